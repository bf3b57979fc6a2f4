"""Rejections on record, coalesced: a flood of refused peers must not fill the disk."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from scp.arrival import new_arrival_id
from scp.journal import AssociationFacts, Journals

__all__ = ["Rejections"]

_WINDOW_S = 60.0
_MAX_KINDS = 20
_VARIOUS = "(various)"


@dataclass(slots=True, kw_only=True)
class _Kind:
    facts: AssociationFacts
    count: int = 0


class Rejections:
    """Writes the first rejection of each kind at once and the number of its repetitions once a minute.

    A kind is calling AE, called AE, address, certificate and rule. Beyond twenty kinds in a minute the rest is counted
    by rule.

    Parameters
    ----------
    journals
        Where they are recorded.
    window_s
        Seconds over which repetitions are counted together.
    """

    def __init__(self, journals: Journals, *, window_s: float = _WINDOW_S) -> None:
        self._journals = journals
        self._window_s = window_s
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str, str, str, str], _Kind] = {}
        self._since = time.monotonic()

    def note(self, facts: AssociationFacts, rule: str) -> None:
        """Record a rejection."""
        self.flush_due()
        shown = facts.certificate.fingerprint if facts.certificate else ""
        key = (facts.calling_ae, facts.called_ae, facts.peer_address, shown, rule)
        with self._lock:
            if key in self._kinds:
                self._kinds[key].count += 1
                return
            if len(self._kinds) >= _MAX_KINDS:
                facts = replace(
                    facts,
                    calling_ae=_VARIOUS,
                    called_ae=_VARIOUS,
                    peer_address=_VARIOUS,
                    contexts=(),
                    tls="",
                    certificate=None,
                )
                key = (_VARIOUS, _VARIOUS, _VARIOUS, "", rule)
                self._kinds.setdefault(key, _Kind(facts=facts)).count += 1
                return
            self._kinds[key] = _Kind(facts=facts)
        self._journals.write_rejection(facts, rule=rule, count=1, ended_at=datetime.now(UTC))

    def flush_due(self) -> None:
        """Write the counts of a window that is over; cheap when it is not."""
        if time.monotonic() - self._since >= self._window_s:
            self.flush()

    def flush(self) -> None:
        """Write all counts."""
        with self._lock:
            kinds, self._kinds = self._kinds, {}
            self._since = time.monotonic()
        for (_, _, _, _, rule), kind in kinds.items():
            if kind.count:
                facts = replace(kind.facts, association_id=new_arrival_id())
                self._journals.write_rejection(facts, rule=rule, count=kind.count, ended_at=datetime.now(UTC))
