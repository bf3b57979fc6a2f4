"""Storage commitment as the case store keeps it: keys and counts, never a UID of an original."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CommitmentState(StrEnum):
    """What became of a commitment request."""

    DECIDED = "decided"
    """The promise is kept; the requester has not taken the report yet."""
    REPORTED = "reported"
    GIVEN_UP = "given-up"
    """The requester took no report within the time limit; the promise stands all the same."""
    REPEATED = "repeated"
    """The requester asked again before it was told; the later request is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedReference:
    """An instance that a commitment is about."""

    sop_key: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommitment:
    """A commitment request that is to be decided."""

    request_id: str
    transaction_key: str
    references: tuple[KeyedReference, ...]
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRecord:
    """A commitment request that was decided."""

    request_id: str
    transaction_key: str
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    state: CommitmentState
    committed: int
    failed: int
    requested_at: datetime
    decided_at: datetime
    committed_until: datetime | None
    attempts: int
    next_attempt_at: datetime
    last_failure: str
    """Why the last report was not taken, as a short code; empty where none failed."""
    reported_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentEvidence:
    """What commitment requests say about a study: whoever asks for a list has sent what stands in it."""

    named: int
    """How many instances are named in the lists that name any instance of the study."""
    present: int
    """How many of them are here."""
    requested_at: datetime
    """When the latest of the lists came."""
    is_complete: bool
    """All that is named is here, and all that is here of the study is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentSummary:
    """Commitment requests by state, and what they keep."""

    requests: Mapping[str, int]
    committed_originals: int
    """Originals that stay because they were promised."""
    last_failures: Mapping[str, int]
    """Reports that were not taken yet or were given up, by the reason of the last failure."""
