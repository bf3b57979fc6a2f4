"""The nouns of a teaching case and of what arrives for it, as frozen values without a database.

All ids are 32 hexadecimal digits; all times are aware and in UTC. Nothing here holds a value of an original data set:
only keys (keyed hashes) and what de-identification found clean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from cases.errands import Errand
from cases.peers import RejectedPeer
from deidentify.results import AgeBand, DelayReason, HoldReason, PixelFinding, PixelVerdict
from deidentify.review import MarkedBox

Item = TypeVar("Item")

TITLE_MAX = 120
PRESENTATION_MAX = 2000
TEXT_MAX = 50_000
TAG_MAX = 64
TAGS_MAX = 50
"""Characters of the long texts: discussion, findings and caption."""


class CaseStatus(StrEnum):
    """Where a case stands."""

    DRAFT = "draft"
    WAITING = "waiting"
    """Its owner's drafts are full: visible, not editable until a place frees."""
    PENDING_REVIEW = "pending_review"
    PUBLISHED = "published"
    REMOVED = "removed"
    """A tombstone: the images are gone."""


OPEN_STATUSES = frozenset({CaseStatus.DRAFT, CaseStatus.WAITING})
"""The states in which a case takes new images."""


class Visibility(StrEnum):
    """Who may find a published case."""

    PUBLIC = "public"
    UNLISTED = "unlisted"


class Role(StrEnum):
    """What a user may do."""

    CONTRIBUTOR = "contributor"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    PRIVACY_OFFICER = "privacy_officer"


class CaseModality(StrEnum):
    """The twelve modalities of the public library, by its own literal strings."""

    CT = "CT"
    MRI = "MRI"
    X_RAY = "X-ray"
    ULTRASOUND = "Ultrasound"
    MAMMOGRAPHY = "Mammography"
    DSA = "DSA (angiography)"
    FLUOROSCOPY = "Fluoroscopy"
    NUCLEAR_MEDICINE = "Nuclear medicine"
    ANNOTATED_IMAGE = "Annotated image"
    ILLUSTRATION = "Illustration"
    PATHOLOGY = "Pathology"
    PHOTOGRAPH = "Photograph"


class CaseSystem(StrEnum):
    """The systems of the public library."""

    BREAST = "Breast"
    VASCULAR = "Vascular"
    CENTRAL_NERVOUS_SYSTEM = "Central Nervous System"
    CHEST = "Chest"
    GASTROINTESTINAL = "Gastrointestinal"
    HEAD_AND_NECK = "Head & Neck"
    HEPATOBILIARY = "Hepatobiliary"
    MUSCULOSKELETAL = "Musculoskeletal"
    UROGENITAL = "Urogenital"
    PAEDIATRICS = "Paediatrics"
    SPINE = "Spine"
    CARDIAC = "Cardiac"
    INTERVENTIONAL = "Interventional"
    OBSTETRICS = "Obstetrics"
    GYNAECOLOGY = "Gynaecology"
    HAEMATOLOGY = "Haematology"
    FORENSIC = "Forensic"
    ONCOLOGY = "Oncology"
    TRAUMA = "Trauma"
    NOT_APPLICABLE = "Not Applicable"


class CaseLevel(StrEnum):
    """For whom a case is."""

    PRIMARY = "primary"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


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


class HoldState(StrEnum):
    """Where a hold stands."""

    OPEN = "open"
    RELEASED = "released"
    DISCARDED = "discarded"
    WITHDRAWN = "withdrawn"
    """Its case was removed, a newer header took its place, or a re-run made something else of it, before anybody
    decided."""
    EXPIRED = "expired"


class AssociationOutcome(StrEnum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED = "aborted"
    REJECTED = "rejected"
    LOST = "lost"
    """The connection broke, or the receiver died during the association."""


class CaseScope(StrEnum):
    """Which cases a list is about."""

    VISIBLE = "visible"
    """Own cases; for those who see all: all."""
    MINE = "mine"
    INBOX = "inbox"
    """Drafts without an owner, to be claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; ``next_cursor`` is opaque, and None on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


# -- what arrives ----------------------------------------------------------------------------------------------------


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


# -- users -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or program with an account."""

    id: str
    name: str
    role: Role
    draft_limit: int
    drafts: int = 0
    """How many drafts the user has now."""
    is_disabled: bool = False
    token_id: str = ""
    """The token that this user was authenticated with."""
    token_use_is_due: bool = False
    """Whether ``Accounts.note_use`` should be called for that token."""

    @property
    def sees_all(self) -> bool:
        """Return whether the user's lists show everybody's cases."""
        return self.role in {Role.ADMIN, Role.EDITOR, Role.REVIEWER, Role.PRIVACY_OFFICER}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSummary:
    """A token without its secret."""

    id: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


# -- cases -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseShell:
    """The draft that takes the images of a received study. Its id is the case key of its pseudonyms."""

    case_id: str
    status: CaseStatus
    owner: str | None
    previous_case_id: str | None
    is_new: bool
    secret_generation: int = 1
    """Generation of the secret that its pseudonyms are made under."""
    profile_revision: str = ""
    """Under which its images are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretGeneration:
    """A generation of the installation's secret, without the secret."""

    number: int
    check_digest: str
    """Tells whether a secret file holds it."""
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationUse:
    """What still needs a generation of the secret."""

    cases: int
    """Cases, whatever their state, that were not removed."""
    studies: int
    """Received studies with such a case, or with an original that is still there."""

    @property
    def is_none(self) -> bool:
        """Whether it is needed no more."""
        return not self.cases and not self.studies


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far the images of a case are."""

    images: int = 0
    frames: int = 0
    pending: int = 0
    """Received and not yet worked through."""
    held: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary:
    """A case as a list shows it."""

    id: str
    status: CaseStatus
    visibility: Visibility
    owner: str | None
    title: str
    age_band: AgeBand
    sex: str
    modalities: tuple[CaseModality, ...]
    studies: int
    series: int
    counts: Counts
    sender: str
    """Calling AE that the first study of the case came from."""
    arrived_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int
    previous_case_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseImage:
    """An image of a series: de-identified, verified, filed."""

    id: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    frames: int
    rows: int
    columns: int
    has_pixels: bool
    verdict: PixelVerdict
    blob_key: str
    sha256: str
    size_bytes: int
    profile_revision: str = ""
    """That it was made under."""
    redacted: tuple[MarkedBox, ...] = ()
    """What was made black in its pixels."""
    is_selected: bool = True
    """Whether it belongs to what its sender chose; true where nobody chose."""
    is_key: bool = False
    key_position: int | None = None
    """Place among the key images of its study, from 0."""
    key_frames: tuple[int, ...] = ()
    """The frames that were meant, from 1; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSeries:
    """A series of a case study, its images in order."""

    id: str
    series_instance_uid: str
    number: int | None
    perspective: str
    """Plane or projection."""
    specifics: str
    """Sequence, phase, window."""
    body_part: str
    laterality: str
    images: tuple[CaseImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStudy:
    """A study of a case: one modality of one source study."""

    id: str
    study_instance_uid: str
    modality: CaseModality
    position: int
    """From 2: position 1 is the discussion."""
    day_offset: int
    """Days since the earliest study of the case."""
    description: str
    caption: str
    findings: str
    series: tuple[CaseSeries, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesProgress:
    """How far the work on one received series is, in instances."""

    number: int
    """From 1, in the order of arrival, as on the receipt of its study."""
    received: int
    filed: int
    held: int
    dropped: int

    @property
    def screened(self) -> int:
        """Return how many have been worked on."""
        return self.filed + self.held + self.dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """A case with its studies, series and images."""

    summary: CaseSummary
    presentation: str
    discussion: str
    studies: tuple[CaseStudy, ...]
    held_by_reason: Mapping[str, int]
    tags: tuple[str, ...] = ()
    systems: tuple[CaseSystem, ...] = ()
    level: CaseLevel | None = None
    hold_reason: DelayReason | None = None
    """What its sender wants to wait for; the case goes to nobody else until its owner clears it."""
    withheld_words: int = 0
    """Words of the sender's text that the privacy gate took out."""
    related_case_ids: tuple[str, ...] = ()
    """Cases of the same selection over other studies."""
    receipts: tuple[str, ...] = ()
    """Codes of the receipts of what was sent for it."""
    knows_identifiers: bool = False
    """Whether typed texts are held against the identifiers of all its images, and not against patterns alone."""
    profile: str = ""
    profile_revision: str = ""
    """Under which its images are made, late ones too."""
    rerun: Errand | None = None
    """The latest re-run of its images."""
    series_progress: tuple[SeriesProgress, ...] = ()
    faces: Mapping[str, int] = field(default_factory=dict)
    """How a face could be seen, and in how many images."""
    has_faces_acknowledged: bool = True
    """Whether its owner has thought of all of them; true where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """What a list of cases is narrowed to."""

    scope: CaseScope = CaseScope.VISIBLE
    status: CaseStatus | None = None
    modality: CaseModality | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChange:
    """A change to one study of a case; None leaves a field as it is."""

    id: str
    findings: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChanges:
    """A change to a case; None leaves a field as it is."""

    title: str | None = None
    presentation: str | None = None
    discussion: str | None = None
    tags: tuple[str, ...] | None = None
    systems: tuple[CaseSystem, ...] | None = None
    level: CaseLevel | None = None
    clears_level: bool = False
    clears_hold: bool = False
    """Whether what the sender wanted to wait for has happened."""
    acknowledges_faces: bool = False
    """Whether the owner has thought of the faces that could be seen in its images."""
    studies: tuple[StudyChange, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing, when."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, str | int | bool | None]
