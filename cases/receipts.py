"""What a receipt says of one study: where its objects are, and whether all are there. Values without a database."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cases.evidence import Judgement, SeriesFacts
from cases.intake import AssociationOutcome
from cases.model import CaseStatus

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is read as a digit, none that makes words."""
CODE_LENGTH = 7
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code() -> str:
    """Return a random code; that it is unique is the store's affair."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def read_code(text: str) -> str:
    """Return a code as it is stored, however somebody wrote it down; empty where it can be none."""
    code = text.upper().translate(_READ_AS)
    return code if len(code) == CODE_LENGTH and set(code) <= set(CODE_ALPHABET) else ""


class SettledBy(StrEnum):
    """What let a study settle."""

    QUIET = "quiet"
    """No traffic for the quiet period."""
    MANIFEST = "manifest"
    COMMITMENT = "commitment"
    LONGEST_WAIT = "longest-wait"
    """Traffic went on for as long as a study may take."""


class Place(StrEnum):
    """Where a stored object is; each is in exactly one place."""

    FILED = "filed"
    REMOVED = "removed"
    """Filed in a case that was removed since."""
    WAITING = "waiting"
    """Not worked through yet."""
    DROPPED = "dropped"
    HELD = "held"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """Stored objects of one SOP class that are in one place for one reason."""

    sop_class_uid: str
    place: Place
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRefusal:
    """Refused requests of one association of the study.

    A refused object belongs to no study that we know. The receipt of the study that the association brought first
    counts it; those of the others show it, with the code of that one, and leave it out of their sums.
    """

    association_id: str
    sop_class_uid: str
    status: int
    reason: str
    count: int
    counted_in: str
    """Code of the receipt that counts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAssociations:
    """Associations of the study that ended alike; ``outcome`` None stands for those that are open."""

    calling_ae: str
    called_ae: str
    peer_address: str
    outcome: AssociationOutcome | None
    rule: str
    count: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSeries:
    """One series, numbered in the order of arrival."""

    number: int
    facts: SeriesFacts
    gaps: tuple[tuple[int, int], ...]
    """First and last of the missing Instance Numbers, at most ``GAPS_SHOWN`` of them."""


GAPS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCase:
    """A case that the study became."""

    case_id: str
    status: CaseStatus
    owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSums:
    """How many objects were sent, and where they are. ``stored`` is counted by itself: that makes the sum a check."""

    stored: int = 0
    refused: int = 0
    filed: int = 0
    removed: int = 0
    waiting: int = 0
    dropped: int = 0
    held: int = 0
    duplicate: int = 0
    superseded: int = 0
    expired: int = 0

    @property
    def sent(self) -> int:
        """Return how many requests got an answer."""
        return self.stored + self.refused

    @property
    def adds_up(self) -> bool:
        """Return whether every stored object is in exactly one place."""
        placed = (self.filed, self.removed, self.waiting, self.dropped, self.held)
        return self.stored == sum(placed) + self.duplicate + self.superseded + self.expired


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSummary:
    """A receipt as a list shows it."""

    code: str
    study_key: str
    """Key of the study in the spool."""
    senders: tuple[str, ...]
    """Calling AE titles."""
    called: tuple[str, ...]
    """Called AE titles."""
    judgement: Judgement
    sums: ReceiptSums
    generation: int
    """How many times it settled."""
    settled_by: SettledBy | None
    first_arrival_at: datetime
    last_arrival_at: datetime
    settled_at: datetime | None
    first_filed_at: datetime | None
    done_at: datetime | None
    cases: tuple[ReceiptCase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt with all its parts."""

    summary: ReceiptSummary
    lines: tuple[ReceiptLine, ...]
    refusals: tuple[ReceiptRefusal, ...]
    associations: tuple[ReceiptAssociations, ...]
    declined: tuple[tuple[str, int], ...]
    """Presentation contexts that were declined on its associations: (abstract syntax, how often)."""
    series: tuple[ReceiptSeries, ...]
