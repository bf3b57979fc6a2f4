"""What the audit log says, and the chain that shows whether it still says what it said.

Each entry has a place (1, 2, 3 … without a gap) and a digest: the SHA-256 of its canonical text, which holds the digest
of the entry before. So an entry that was changed, dropped, put in or moved no longer fits those behind it. What the
chain alone cannot show is that its end is missing: for that a head, once noted down, is compared.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Detail = Mapping[str, str | int | bool | None]

FORM = 1
"""Of the canonical text. Each entry says by which form it was chained, so that a later one leaves the earlier valid."""
NOTHING_BEFORE = "0" * 64
"""What the first entry has for the digest of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The newest entry, by its place and digest; place 0 of an empty log."""

    place: int = 0
    digest: str = NOTHING_BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing, when."""

    place: int
    """Counts from 1, in the order in which transactions ended; ``at`` may run back by a moment between two of them."""
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Detail
    previous: str
    """Digest of the entry before."""
    digest: str
    form: int = FORM

    @property
    def head(self) -> AuditHead:
        """Return what stands for the log up to here."""
        return AuditHead(place=self.place, digest=self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted; what is None leaves all in."""

    actor: str | None = None
    action: str | None = None
    """How the action begins: ``case.`` is all that was done to cases."""
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Entries before this moment."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return which filters there are; their values are typed by people, and kept nowhere."""
        given = {"actor": self.actor, "action": self.action, "subject": self.subject}
        return tuple(
            name for name, value in (given | {"since": self.since, "until": self.until}).items() if value is not None
        )


def chained(
    before: AuditHead, *, at: datetime, actor: str, action: str, subject: str, detail: Detail, form: int = FORM
) -> AuditEntry:
    """Return an entry as the one behind a head."""
    entry = AuditEntry(
        place=before.place + 1,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
        previous=before.digest,
        digest="",
        form=form,
    )
    return replace(entry, digest=digest_of(entry))


def digest_of(entry: AuditEntry) -> str:
    """Return the digest that an entry should have."""
    return hashlib.sha256(canonical(_values_of(entry)).encode()).hexdigest()


def line_of(entry: AuditEntry) -> str:
    """Return an entry as one line of JSON: its canonical text with the digest beside."""
    return canonical({**_values_of(entry), "digest": entry.digest})


def entry_of(line: str) -> AuditEntry:
    """Return the entry that a line holds.

    Raises
    ------
    ValueError
        When it holds none; the text is not repeated.
    """
    try:
        values = json.loads(line)
        entry = AuditEntry(**{**values, "at": datetime.fromisoformat(values["at"])})
        is_spelled_so = type(entry.place) is int and canonical(values).encode() == line_of(entry).encode()
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        is_spelled_so = False
    if not is_spelled_so:
        raise ValueError("this line is no entry of an audit log")
    return entry


def canonical(values: Mapping[str, Any]) -> str:
    """Return values as JSON in one spelling: keys in order, no spaces, text as it is; what ``jq -cS`` prints."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _values_of(entry: AuditEntry) -> dict[str, Any]:
    return {
        "form": entry.form,
        "place": entry.place,
        "previous": entry.previous,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
    }


# -- verifying -------------------------------------------------------------------------------------------------------


class ChainFaultKind(StrEnum):
    """What can be wrong with a chain."""

    CHANGED = "changed"
    UNLINKED = "unlinked"
    MISSING = "missing"
    OUT_OF_ORDER = "out-of-order"
    UNKNOWN_FORM = "unknown-form"
    NOT_AS_NOTED = "not-as-noted"
    BEYOND_THE_END = "beyond-the-end"


WHAT_IS_WRONG: Mapping[ChainFaultKind, str] = {
    ChainFaultKind.CHANGED: "the entry is not what was written",
    ChainFaultKind.UNLINKED: "the entry does not follow the one before it: one of the two was changed",
    ChainFaultKind.MISSING: "the entry is missing",
    ChainFaultKind.OUT_OF_ORDER: "the entry stands behind a later one, or twice",
    ChainFaultKind.UNKNOWN_FORM: "the entry was chained by a form that this version does not know; install a newer one",
    ChainFaultKind.NOT_AS_NOTED: "the entry is not the one that was noted down: the log was written anew",
    ChainFaultKind.BEYOND_THE_END: "the entry was noted down, and is not there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first place that is wrong, and what is."""

    place: int
    kind: ChainFaultKind

    @property
    def why(self) -> str:
        """Return it as a sentence without capital and full stop."""
        return WHAT_IS_WRONG[self.kind]


@dataclass(slots=True, kw_only=True)
class ChainCheck:
    """Follows a chain entry by entry, from its beginning; of a part also from its middle and over gaps."""

    is_part: bool = False
    """Whether entries may be left out: those that somebody asked for by actor, subject or time."""
    noted: Mapping[int, str] = field(default_factory=dict)
    """Digests by place, as somebody noted them down."""
    count: int = 0
    left_out: int = 0
    """Places between those that were seen."""
    first: AuditHead | None = None
    head: AuditHead = field(default_factory=AuditHead)

    def follow(self, entry: AuditEntry) -> ChainFault | None:
        """Take the next entry; return what is wrong with it, if anything is."""
        fault = self._fault_before(entry)
        if fault is not None:
            return fault
        if entry.form != FORM:
            return ChainFault(place=entry.place, kind=ChainFaultKind.UNKNOWN_FORM)
        if entry.digest != digest_of(entry):
            return ChainFault(place=entry.place, kind=ChainFaultKind.CHANGED)
        if entry.place == self.head.place + 1 and entry.previous != self.head.digest:
            return ChainFault(place=entry.place, kind=ChainFaultKind.UNLINKED)
        if self.noted.get(entry.place, entry.digest) != entry.digest:
            return ChainFault(place=entry.place, kind=ChainFaultKind.NOT_AS_NOTED)
        if self.first is None:
            self.first = entry.head
        else:
            self.left_out += entry.place - self.head.place - 1
        self.count += 1
        self.head = entry.head
        return None

    def fault_at_end(self, expected: AuditHead) -> ChainFault | None:
        """Return what is wrong once no entry follows: one that is missing behind the last, or was noted down.

        Parameters
        ----------
        expected
            The newest entry that there has to be.
        """
        if self.head.place < expected.place:
            return ChainFault(place=self.head.place + 1, kind=ChainFaultKind.MISSING)
        if self.head != expected:
            return ChainFault(place=self.head.place, kind=ChainFaultKind.OUT_OF_ORDER)
        beyond = [place for place in self.noted if place > self.head.place]
        return ChainFault(place=min(beyond), kind=ChainFaultKind.BEYOND_THE_END) if beyond else None

    def _fault_before(self, entry: AuditEntry) -> ChainFault | None:
        if entry.place <= self.head.place:
            return ChainFault(place=entry.place, kind=ChainFaultKind.OUT_OF_ORDER)
        if entry.place > self.head.place + 1 and not self.is_part:
            return ChainFault(place=self.head.place + 1, kind=ChainFaultKind.MISSING)
        return None
