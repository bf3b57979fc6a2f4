"""When a study has settled: decided from traffic that this process saw, by its own monotonic clock.

One clock measures all: neither a receiver whose clock is wrong nor a clock that is set meanwhile lets a study settle
again and again, or never.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from cases.intake import ArrivingStudy
from cases.receipts import SettledBy
from scp.journal import Receiving

CALM_S = 2.0
"""The pause of traffic after which a list that says "all there" is believed, where the quiet period is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRules:
    """When a study counts as complete enough to begin with, unless its route says otherwise."""

    quiet_period_s: float
    max_settle_s: float


@dataclass(slots=True, kw_only=True)
class _Watched:
    """Moments of one study, by the clock of this process."""

    traffic_at: float
    since: float


class Settling:
    """Watches the studies that arrive.

    Traffic is an instance that was recorded, or bytes of one that is on its way. An association that is open and silent
    is none, and its release means nothing (PS3.4 §B.4.1).

    Parameters
    ----------
    rules
        The quiet period and the longest wait in seconds, of studies whose route names none.
    list_of
        Return the kind of list by which everything of a study is there, by its row key.
    clock
        Seconds that only rise.
    """

    def __init__(
        self,
        rules: SettleRules,
        list_of: Callable[[str], SettledBy | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._list_of = list_of
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._progress: dict[str, int] = {}

    def note(self, keys: Iterable[str]) -> None:
        """Remember that instances of these studies, by their row keys, were recorded just now."""
        now = self._clock()
        for key in keys:
            known = self._watched.setdefault(key, _Watched(traffic_at=now, since=now))
            known.traffic_at = now

    def forget(self) -> None:
        """Begin anew: another process watched meanwhile."""
        self._watched.clear()
        self._progress.clear()

    def due(
        self, arriving: Collection[ArrivingStudy], receiving: Iterable[Receiving] = ()
    ) -> list[tuple[str, SettledBy]]:
        """Return the row keys of the studies that have settled, and why; they are not watched any longer.

        Parameters
        ----------
        arriving
            All studies with instances that wait.
        receiving
            The associations in the middle of an object.
        """
        now = self._clock()
        keys = {study.key for study in arriving}
        self._watched = {key: known for key, known in self._watched.items() if key in keys}
        moving = self._moving(receiving)
        settled = []
        for study in arriving:
            known = self._watched.setdefault(
                study.key,
                # What another process recorded; a clock that was set back makes no moment in the future of it.
                _Watched(traffic_at=now - max(0.0, study.quiet_for_s), since=now - max(0.0, study.waiting_for_s)),
            )
            if study.study_key in moving:
                known.traffic_at = now
            why = self._settled_by(study, known, now)
            if why is not None:
                settled.append((study.key, why))
                del self._watched[study.key]
        return settled

    def _moving(self, receiving: Iterable[Receiving]) -> set[str]:
        """Return the spool's keys of the studies of which bytes came since the last look."""
        before, self._progress = self._progress, {}
        moving = set()
        for one in receiving:
            self._progress[one.association_id] = one.progress
            if before.get(one.association_id) != one.progress:
                moving.add(one.study_key)
        return moving

    def _settled_by(self, study: ArrivingStudy, known: _Watched, now: float) -> SettledBy | None:
        quiet_s = self._rules.quiet_period_s if study.quiet_period_s is None else study.quiet_period_s
        longest_s = self._rules.max_settle_s if study.max_settle_s is None else study.max_settle_s
        if now - known.traffic_at >= quiet_s:
            return SettledBy.QUIET
        if now - known.since >= longest_s:
            return SettledBy.LONGEST_WAIT
        if now - known.traffic_at >= CALM_S:
            return self._list_of(study.key)
        return None
