"""What de-identification hands on: no value of the original, only what was done and what is now known to be clean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from deidentify.review import MarkedBox

AgeBand = NewType("AgeBand", str)
"""Rounded patient age, for example "9 days", "7 months", "12 years", "45 years", "90+ years"; empty when unknown."""


class PixelVerdict(StrEnum):
    """What the pixel screen says of an instance as a whole."""

    CLEAR = "clear"
    """Every frame was read, nothing but safe text was found."""
    REDACT = "redact"
    """Boxes have to be blanked before the instance may be passed on."""
    SUSPECT = "suspect"
    """A person has to look."""
    NOT_EVALUATED = "not-evaluated"
    """At least one frame was not read: it never counts as clear."""
    NO_PIXELS = "no-pixels"
    """The instance has no pixel data by its definition, so there was nothing to read."""


class TextClass(StrEnum):
    """What a piece of text found in pixels is taken for."""

    IDENTIFYING = "identifying"
    SAFE = "safe"
    UNREADABLE = "unreadable"


class RegionFate(StrEnum):
    """What becomes of a piece of text found in pixels."""

    HELD = "held"
    """A person has to look."""
    REDACTED = "redacted"
    KEPT = "kept"
    """It is harmless, or a reviewer said so."""


class HoldReason(StrEnum):
    """Why an instance waits for a person."""

    UNREADABLE = "unreadable"
    """The data set cannot be parsed to its end."""
    UNSUPPORTED_SOP_CLASS = "unsupported-sop-class"
    TRANSFER_SYNTAX = "transfer-syntax"
    """The transfer syntax is unknown, so that the data set cannot be rewritten."""
    INVALID_AFTER_CHANGE = "invalid-after-change"
    """Our own change made a required attribute missing or a value invalid."""
    RESIDUAL_IDENTIFIER = "residual-identifier"
    """An identifier of the original was found in the written bytes."""
    BURNED_IN_TEXT = "burned-in-text"
    UNREADABLE_TEXT = "unreadable-text"
    PIXELS_MISSING = "pixels-missing"
    PIXELS_UNDECODABLE = "pixels-undecodable"
    SCREEN_UNAVAILABLE = "screen-unavailable"
    """The pixel screen could not run here."""
    TWO_PATIENTS = "two-patients"
    """Instances of one study name different patients."""
    SAME_UID_DIFFERENT_PIXELS = "same-uid-different-pixels"
    PROFILE = "profile"
    """The profile asks for a person's decision on this kind of object."""
    RECOGNIZABLE_FACE = "recognizable-face"
    """A face could be seen in it or rendered from it, and the profile asks for a person's decision."""
    PROCESS_DIED = "process-died"
    """The process working on it was killed, more than once (for example for memory)."""
    INTERNAL_ERROR = "internal-error"


class DropReason(StrEnum):
    """Why the profile leaves an instance out (listed in the receipt, restorable while retained)."""

    PRIVATE_SOP_CLASS = "private-sop-class"
    RAW_DATA = "raw-data"
    DOSE_REPORT = "dose-report"
    PRESENTATION_STATE = "presentation-state"
    ENCAPSULATED_DOCUMENT = "encapsulated-document"
    SCREEN_CAPTURE = "screen-capture"
    VIDEO = "video"
    SLIDE_LABEL = "slide-label"
    MEDIA_DIRECTORY = "media-directory"
    TEACHING_FILE_MANIFEST = "teaching-file-manifest"
    """A selection or text that made the draft what it is; its content is identified, so it is no image of a case."""
    PROFILE = "profile"
    REVIEW = "review"
    """A person left it out after looking at it."""


class DelayReason(StrEnum):
    """What a teaching file waits for before it may be seen by others, as the PACS said (IHE TCE, TCE011 to TCE018)."""

    FINAL_REPORT = "final-report"
    CLINICAL_INFORMATION = "clinical-information"
    CONFIRMATION_OF_DIAGNOSIS = "confirmation-of-diagnosis"
    HISTOPATHOLOGY = "histopathology"
    LABORATORY_RESULTS = "laboratory-results"
    DISCHARGE = "discharge"
    DEATH = "death"
    EXPERT_REVIEW = "expert-review"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingText:
    """What came with a teaching file, after the privacy gate: known words only; empty where nothing was left."""

    title: str = ""
    presentation: str = ""
    findings: str = ""
    discussion: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    """Codes of TCE109, for example "TCE302"."""
    level: str = ""
    """Code of TCE110, or empty."""
    delay: DelayReason | None = None
    withheld: int = 0
    """How many words were taken out."""
    account: str = ""
    """The account that the sender named, out of those that there are; empty for none."""


class TextReason(StrEnum):
    """Why a piece of typed text could identify somebody."""

    CASE_IDENTIFIER = "case-identifier"
    """A name, a number or a date that stood in an original of this case, or is a letter away from it."""
    DATE = "date"
    PHONE = "phone"
    EMAIL = "e-mail"
    TITLED_NAME = "name-after-title"
    RECORD_NUMBER = "record-number"
    ADDRESS = "address"
    AGE_BEYOND_89 = "age-beyond-89"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFinding:
    """Where a typed text could identify somebody and why, never what it says.

    ``start`` and ``end`` count characters (code points) of the text as it was given, from 0; ``end`` is behind the
    last.
    """

    start: int
    end: int
    reason: TextReason


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierHashes:
    """Keyed hashes of the identifiers of one original: only the text screen can tell what they stand for."""

    hashes: frozenset[bytes] = field(repr=False)
    is_whole: bool
    """False where the original held more than is kept of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentifiers:
    """What is kept of the identifiers of a case, for the text screen."""

    case_id: str
    generation: int
    """Generation of the secret that the hashes were made under."""
    hashes: frozenset[bytes] = field(repr=False)
    is_whole: bool
    """False where images are without, or there are none yet: the case's own identifiers may pass then."""
    of_others: Mapping[str, frozenset[bytes]] = field(default_factory=dict, repr=False)
    """Hashes that other cases key, by their ids: they came from there with images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFinding:
    """One region of text in one frame: where it is and what it is taken for, never what it says.

    ``x``, ``y``, ``width`` and ``height`` are in pixels of the stored frame, from the top left corner; ``frame`` counts
    from 0; ``score`` is the recogniser's confidence, 0 to 1.
    """

    frame: int
    x: int
    y: int
    width: int
    height: int
    text_class: TextClass
    score: float
    layer: str = ""
    """What it was found in: empty for the pixel data, else for example "overlay 6000" or "icon"."""
    fate: RegionFate = RegionFate.HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenReport:
    """What the pixel screen saw. ``frames_read`` equals ``frames`` whenever the verdict is CLEAR or REDACT."""

    verdict: PixelVerdict
    frames: int
    frames_read: int
    findings: tuple[PixelFinding, ...] = ()
    hold: HoldReason | None = None
    """Set when the verdict does not let the instance pass."""
    boxes: tuple[MarkedBox, ...] = ()
    """What has to become black, or is black, where the verdict is REDACT."""
    detector: str = ""
    """Name and version of the models that read the frames."""
    visual_features_cleaned: bool = False
    """Whether faces and the like were made unrecognizable in every frame (PS3.15 §E.3.2)."""
    identified_texts: tuple[str, ...] = field(default=(), repr=False)
    """Recognised text of each finding, in the same order: kept beside the original only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An instance that waits for a person, and why. ``detail`` is a sentence without any value of the data set."""

    reason: HoldReason
    detail: str
    findings: tuple[PixelFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """An instance that the profile leaves out, and by which rule."""

    reason: DropReason
    detail: str


MOST_REMOVED = 200
"""Words of one instance whose places are told one by one; the notes count all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedText:
    """One word, or piece of text, that was taken out of a header: where it stood and why, never what it said."""

    place: str
    """Attribute with its sequences and items counted from 0, for example "(0040,A730)[2].(0040,A160)"."""
    word: int
    """Number of the word in the value, counted from 0."""
    reason: str
    """One of ``deidentify.text.Reason``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done to the header: counts by action code and the options executed, never values."""

    profile: str
    profile_revision: str
    actions: tuple[tuple[str, int], ...]
    """(action, number of elements), for example ("X", 31)."""
    options: tuple[str, ...]
    """Code values of CID 7050 that were really executed, for example "113100"."""
    notes: tuple[str, ...] = ()
    """What a reviewer should know, by tag and path, for example "(0008,103E): words removed (2)"."""
    removed_text: tuple[RemovedText, ...] = ()
    """The words that were taken out, one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the case shows of an instance: clean attributes only, with the new UIDs."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    series_number: int | None
    instance_number: int | None
    frames: int
    rows: int
    columns: int
    has_pixels: bool
    age_band: AgeBand
    sex: str
    """"M", "F", "O" or empty."""
    study_day: str
    """Shifted Study Date (0008,0020) as YYYYMMDD, or empty."""
    study_description: str
    series_description: str
    body_part: str
    laterality: str
    position: tuple[float, float, float] | None
    """Image Position (Patient) (0020,0032) in mm, for sorting."""
    orientation: tuple[float, float, float, float, float, float] | None
    """Image Orientation (Patient) (0020,0037)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifiedInstance:
    """A written, verified instance: the only thing that ``cases`` accepts."""

    description: Description
    report: Report
    screen: ScreenReport
    sha256: str
    size_bytes: int
    uid_of_original: str = ""
    """The SOP Instance UID that it would have without a change of its pixels; empty where there is none."""
    face: str = ""
    """How a face could be seen in it, by the words of ``deidentify.pixels.faces.FaceRisk``; empty where none could."""
    references: tuple[str, ...] = ()
    """SOP Instances that it refers to, by the UIDs of the case."""


Outcome = DeidentifiedInstance | Hold | Dropped


class ElementFate(StrEnum):
    """How an element of one written instance differs from that of an older one."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementChange:
    """One difference. ``place`` has the sequences around the element, without item numbers."""

    place: str
    name: str
    change: ElementFate

    @property
    def is_pixels(self) -> bool:
        """Tell whether it is about pixel data."""
        return self.place in _PIXEL_PLACES


_PIXEL_PLACES = frozenset(("(7FE0,0008)", "(7FE0,0009)", "(7FE0,0010)"))
