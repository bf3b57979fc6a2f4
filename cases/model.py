"""The nouns of a teaching case, as frozen values without a database.

All ids are 32 hexadecimal digits; all times are aware and in UTC. Nothing here holds a value of an original data set:
only keys (keyed hashes) and what de-identification found clean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from cases.consents import ConsentDocument
from cases.errands import Errand
from deidentify.results import AgeBand, DelayReason, PixelVerdict
from deidentify.review import MarkedBox

Item = TypeVar("Item")


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


class Certainty(StrEnum):
    """How sure the diagnosis is, in the terms of the public library."""

    POSSIBLE = "possible"
    """Favored among viable alternatives: not for the public."""
    PROBABLE = "probable"
    """More than 90 % likely and not established: public where an editor says so."""
    ALMOST_CERTAIN = "almost-certain"
    """Confirmed at second hand, or nearly pathognomonic."""
    CERTAIN = "certain"
    """Pathognomonic, or the proof is held."""
    NOT_APPLICABLE = "not-applicable"
    """A normal scan, a diagram."""


class Sex(StrEnum):
    """Of the patient, as Patient's Sex (0010,0040) says it."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"


class ConsentKind(StrEnum):
    """What the publication of a case rests on."""

    NONE_NEEDED = "none-needed"
    INSTITUTIONAL = "institutional"
    """The institution permits it."""
    PATIENT = "patient"
    """The patient does."""


class CaseScope(StrEnum):
    """Which cases a list is about."""

    VISIBLE = "visible"
    """Own cases; for those who see all: all."""
    MINE = "mine"
    INBOX = "inbox"
    """Drafts without an owner, to be claimed."""
    PUBLIC = "public"
    """Published cases that everybody may find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; ``next_cursor`` is opaque, and None on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


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
    born_in: str = ""
    """The case whose pseudonyms the study had first, where it was moved here."""
    given_patient_id: str = ""
    """The Patient ID of its files, a pseudonym, where it is not made of the originals'."""


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
class CaseStanding:
    """What decides who may do what with a case."""

    status: CaseStatus
    visibility: Visibility
    owner: str | None
    """Its owner's name."""
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary:
    """A case as a list shows it."""

    id: str
    status: CaseStatus
    visibility: Visibility
    owner: str | None
    """Its owner's name."""
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
    submitted_at: datetime | None = None
    """When it went to the editors for the last time."""
    owner_id: str | None = None


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
    crc32: int | None = None
    """Of the file, as an archive needs it; None before it was first asked for."""
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
class SeriesDisplay:
    """How a series is shown; frames are counted from 0 through all images of its stack."""

    window_center: float | None = None
    """In output units, for example HU; None for the file's own window."""
    window_width: float | None = None
    crop: tuple[int, int, int, int] | None = None
    """Left, top, width and height in pixels of the stored frame; None for all of it."""
    first_frame: int | None = None
    """None for the first there is."""
    last_frame: int | None = None
    frame_step: int = 1
    opening_frame: int | None = None
    """The frame that is seen first; None for the middle of the stack."""
    key_image_id: str = ""
    """The image that stands for the stack; empty for the one that it opens with."""


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
    display: SeriesDisplay = SeriesDisplay()

    @property
    def frames(self) -> int:
        """Return how many frames its stack has."""
        return sum(max(1, image.frames) for image in self.images)


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
class CaseConsent:
    """What a case's publication rests on, and what makes that necessary."""

    kind: ConsentKind | None = None
    reference: str = field(default="", repr=False)
    """The number under which it is kept elsewhere: no name."""
    is_rare: bool = False
    """The condition is so rare that it could identify somebody."""
    is_small_community: bool = False
    """The patient's community is so small that it could."""
    document: ConsentDocument | None = None
    """What is known of its document, where one is kept; nobody can open it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestones:
    """When a case went which step for the first or latest time; None where it has not."""

    licence_accepted_at: datetime | None = None
    submitted_at: datetime | None = None
    first_published_at: datetime | None = None
    approved_at: datetime | None = None
    """When an editor, or the trust in its owner, let it become public."""


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
    certainty: Certainty | None = None
    certainty_evidence: str = ""
    differential: str = ""
    is_quiz: bool = False
    """Whether it is suitable for a quiz."""
    consent: CaseConsent = CaseConsent()
    milestones: Milestones = Milestones()
    key_image_id: str = ""
    suggested_case_ids: tuple[str, ...] = ()
    """Open drafts of the same owner that are of the same patient: the study may belong to one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """What a list of cases is narrowed to."""

    scope: CaseScope = CaseScope.VISIBLE
    status: CaseStatus | None = None
    modality: CaseModality | None = None
    owner: str | None = None
