"""What waits for a person: holds, their order, and which of them a list is about."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cases.model import CaseStatus
from deidentify.results import HoldReason, PixelFinding


class HoldState(StrEnum):
    """Where a hold stands."""

    OPEN = "open"
    RELEASED = "released"
    DISCARDED = "discarded"
    WITHDRAWN = "withdrawn"
    """Its case was removed, a newer header took its place, or a re-run made something else of it, before anybody
    decided."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSummary:
    """An instance that waits for a person, or did."""

    id: str
    arrival_id: str
    case_id: str | None
    received_study: str
    study_key: str
    sop_key: str
    sender: str
    reason: HoldReason
    detail: str
    findings: tuple[PixelFinding, ...]
    state: HoldState
    arrived_at: datetime
    held_at: datetime
    reminded_at: datetime | None
    decided_at: datetime | None
    expires_at: datetime
    """When the original is deleted unless somebody decides."""
    owner: str | None = None
    """Of its case, by name."""
    case_status: CaseStatus | None = None
    series_key: str = ""
    layout_key: str = ""
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None
    version: int = 1
    """Raised whenever what a person decides on is another."""
    reviews: int = 0
    """Decisions on it that were not taken back."""
    errand_id: str = ""
    """Of the re-run whose findings these are; empty where they are of the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldQueue:
    """How many holds wait, and since when."""

    count: int
    oldest_arrived_at: datetime | None


class HoldOrder(StrEnum):
    """Which holds come first."""

    WORST = "worst"
    """Text that identifies, then text that nobody could read, then pixels that could not be read, then all others;
    the oldest of each first."""
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFilter:
    """Which holds a list is about; what is None is not looked at."""

    case_id: str | None = None
    series_key: str | None = None
    layout_key: str | None = None
    reason: HoldReason | None = None
    state: HoldState | None = HoldState.OPEN
