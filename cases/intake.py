"""What arrives and what becomes of it, as frozen values without a database.

All times are aware and in UTC. Nothing here holds a value of an original data set: only keys (keyed hashes), numbers,
and what the transfer says of itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cases.peers import RejectedPeer


class InstanceOutcome(StrEnum):
    """What became of a received instance; each has exactly one."""

    RECEIVED = "received"
    """Stored and not yet worked through."""
    FILED = "filed"
    """An image of a case."""
    DROPPED = "dropped"
    """Left out, by the profile or with its removed case."""
    HELD = "held"
    """Waits for a person."""
    DUPLICATE = "duplicate"
    """An identical resend: nothing changed."""
    SUPERSEDED = "superseded"
    """A newer header of the same image took its place while the draft was open."""
    EXPIRED = "expired"
    """Was held, nobody decided, the original is deleted: a tombstone, never a release."""


class StudyState(StrEnum):
    """Where a received study stands."""

    ARRIVING = "arriving"
    """Instances arrived that are not yet handed to a worker."""
    WORKING = "working"
    DONE = "done"


class AssociationOutcome(StrEnum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED = "aborted"
    REJECTED = "rejected"
    LOST = "lost"
    """The connection broke, or the receiver died during the association."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The route that (calling AE, called AE) picked.

    ``id`` is a short stable slug: the same study sent by two routes makes two cases. ``owner`` is the name of a user;
    one that has no account yet gets a contributor's account without a token when the first study arrives.
    """

    id: str
    calling_ae: str
    called_ae: str
    owner: str | None
    hospital: str = field(repr=False)
    profile: str
    quiet_period_s: float | None = None
    max_settle_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArrival:
    """A stored file of the spool that may have no row yet."""

    arrival_id: str
    study_key: str
    sop_key: str
    sop_class_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    received_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """A received instance and what became of it."""

    arrival_id: str
    received_study: str
    """Row key of the received study."""
    study_key: str
    """Key of the study in the spool."""
    sop_key: str
    sop_class_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    received_at: datetime
    size_bytes: int
    generation: int | None
    outcome: InstanceOutcome
    reason: str
    detail: str
    case_id: str | None
    duplicate_of: str | None
    fingerprint_dataset: str
    """Keyed digest of the data set, empty until it was computed."""
    fingerprint_pixels: str
    is_purged: bool
    born_in: str = ""
    """The case whose pseudonyms it had first, where it was moved to the one that it is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedStudy:
    """What arrived of one study by one route."""

    key: str
    """Row key: ``<study_key>-<destination id>``."""
    study_key: str
    """Key of the study in the spool."""
    destination: Destination
    first_arrival_at: datetime
    last_arrival_at: datetime
    generation: int
    unassigned: int
    """Instances that wait for the study to settle."""
    patient_key: str = field(repr=False)
    """Internal patient key, empty until an instance named a patient."""
    state: StudyState
    secret_generation: int = 1
    """Generation of the secret that the patient's keys are made under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFacts:
    """What the header of an instance says for the receipt of its study: a key and numbers, nothing that identifies."""

    series_key: str
    """Keyed digest of the Series Instance UID; empty where the header was not read."""
    instance_number: int | None = None
    acquisition_number: int | None = None
    stated_study: int | None = None
    """Number of Study Related Instances (0020,1208)."""
    stated_series: int | None = None
    """Number of Series Related Instances (0020,1209)."""
    stated_acquisition: int | None = None
    """Images in Acquisition (0020,1002)."""
    layout_key: str = ""
    """Keyed digest of device and format; empty where the header names none."""
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None


NO_FACTS = InstanceFacts(series_key="")
"""Of an instance whose header was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivingStudy:
    """A study with instances that no worker has; ages by the clock of the database."""

    key: str
    """Row key of the received study."""
    study_key: str
    """Key of the study in the spool."""
    quiet_for_s: float
    """Since the last instance was recorded."""
    waiting_for_s: float
    """Since the first of those that wait was recorded."""
    quiet_period_s: float | None
    max_settle_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """C-STORE requests of an association that were answered with one failure status."""

    status: int
    reason: str
    count: int
    sop_class_uid: str = ""
    """Of the presentation context they came on; empty in sums over all classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclinedContext:
    """A presentation context that was not accepted."""

    abstract_syntax: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationSummary:
    """The books of one association, from its journal."""

    association_id: str
    calling_ae: str
    called_ae: str
    peer_address: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AssociationOutcome
    rule: str = ""
    """The peer rule or limit that rejected it."""
    count: int = 1
    """How many associations this stands for: rejections of one kind come together, so that a flood stays small."""
    stored: int = 0
    """C-STORE requests answered with Success."""
    tls: str = ""
    """The version of TLS, empty without."""
    certificate: str = ""
    """The certificate that the peer showed, empty where none."""
    refusals: tuple[Refusal, ...] = ()
    declined: tuple[DeclinedContext, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Where every object that was sent is now. ``stored`` and ``refused`` are counted apart from the rest."""

    stored: int = 0
    refused: int = 0
    in_progress: int = 0
    in_draft: int = 0
    waiting: int = 0
    inbox: int = 0
    submitted: int = 0
    """In cases that are in review or published."""
    removed: int = 0
    """In cases that were removed since."""
    dropped: int = 0
    held: int = 0
    expired: int = 0
    duplicate: int = 0
    superseded: int = 0

    @property
    def sent(self) -> int:
        """Return how many C-STORE requests got an answer."""
        return self.stored + self.refused

    @property
    def accounted(self) -> int:
        """Return how many stored objects have a place."""
        return (
            self.in_progress
            + self.in_draft
            + self.waiting
            + self.inbox
            + self.submitted
            + self.removed
            + self.dropped
            + self.held
            + self.expired
            + self.duplicate
            + self.superseded
        )

    @property
    def adds_up(self) -> bool:
        """Return whether every stored object is in exactly one place."""
        return self.stored == self.accounted


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderTally:
    """The books of one calling AE."""

    calling_ae: str
    tally: Tally
    last_arrival_at: datetime | None
    last_receipt: str | None = None
    """Code of the receipt of its latest study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFigures:
    """The totals of the sum that adds up, for those who watch them."""

    total: Tally
    held_by_reason: Mapping[str, int]
    associations: Mapping[str, int]
    rejections: Mapping[str, int]
    """Number of rejected associations by the rule that rejected them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSummary:
    """The sum that adds up, of everything that was sent."""

    total: Tally
    by_sender: tuple[SenderTally, ...]
    held_by_reason: Mapping[str, int]
    dropped_by_reason: Mapping[str, int]
    refusals: tuple[Refusal, ...]
    """Summed over all associations, by status and reason."""
    associations: Mapping[str, int]
    """Number of associations by outcome."""
    rejected_peers: tuple[RejectedPeer, ...]
    declined: Mapping[str, int]
    """Number of declined presentation contexts by abstract syntax."""
    unrecorded: int
    """Objects that were acknowledged on a finished association and have no row (yet): not 0 for long means loss."""
    studies: int
    arriving: int
    """Studies that have not settled."""
