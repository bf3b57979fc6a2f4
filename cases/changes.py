"""What an edit of a case says, and how long its texts may be."""

from dataclasses import dataclass

from cases.model import CaseLevel, CaseSystem, Certainty, ConsentKind, SeriesDisplay, Sex

TITLE_MAX = 120
PRESENTATION_MAX = 2000
TEXT_MAX = 50_000
"""Characters of the long texts: discussion, findings and caption."""
TAG_MAX = 64
TAGS_MAX = 50
LABEL_MAX = 200
"""Characters of a series' plane or sequence."""
REFERENCE_MAX = 100
"""Characters of the number under which a consent is kept elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChange:
    """A change to one study of a case; None leaves a field as it is."""

    id: str
    findings: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChange:
    """A change to one series of a case; None leaves a field as it is."""

    id: str
    perspective: str | None = None
    specifics: str | None = None
    display: SeriesDisplay | None = None
    """Replaces how it is shown, as a whole."""


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
    series: tuple[SeriesChange, ...] = ()
    study_order: tuple[str, ...] | None = None
    """Ids of all its studies."""
    age_band: str | None = None
    sex: Sex | None = None
    clears_sex: bool = False
    certainty: Certainty | None = None
    clears_certainty: bool = False
    certainty_evidence: str | None = None
    differential: str | None = None
    is_quiz: bool | None = None
    consent_kind: ConsentKind | None = None
    clears_consent: bool = False
    consent_reference: str | None = None
    is_rare: bool | None = None
    is_small_community: bool | None = None
    accepts_licence: bool = False
    """Whether its owner lets others use it under the library's licence."""
    key_image_id: str | None = None
    """Empty takes the choice back."""
