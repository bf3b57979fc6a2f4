"""What a case needs before others may see it, and how complete it is. Pure: the store gives the facts.

Two doors lead out of a draft. The unlisted one asks for privacy and permission; the public one also for what readers of
a library expect. Whatever is missing is told at once, each with what to do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cases.model import CaseDetail, CaseStatus, CaseStudy, Certainty, ConsentKind, Visibility
from cases.users import InstitutionPolicy
from deidentify.results import PixelVerdict

__all__ = [
    "LICENCE",
    "LICENCE_NAME",
    "LICENCE_URL",
    "CaseEvent",
    "Completeness",
    "Fault",
    "Part",
    "PushBackReason",
    "Requirement",
    "completeness",
    "faults",
]

LICENCE = "CC BY-NC-SA 3.0"
"""Under which others may use a case once its owner has accepted it; the owner keeps the rights."""
LICENCE_NAME = "Creative Commons Attribution-NonCommercial-ShareAlike 3.0 Unported"
LICENCE_URL = "https://creativecommons.org/licenses/by-nc-sa/3.0/"
_SHOWABLE = frozenset({PixelVerdict.CLEAR, PixelVerdict.REDACT, PixelVerdict.NO_PIXELS})
_WITHOUT_PROOF = frozenset({Certainty.POSSIBLE, Certainty.PROBABLE})


class PushBackReason(StrEnum):
    """Why an editor gives a case back."""

    PATIENT_DETAILS = "patient-details"
    CONSENT = "consent"
    PLAGIARISM = "plagiarism"
    NO_FINDINGS = "no-findings"
    POOR_IMAGES = "poor-images"
    SINGLE_IMAGES = "single-images"
    """Where a stack is wanted."""
    MIXED_MODALITIES = "mixed-modalities"
    """In one study."""
    CERTAINTY = "certainty"
    INCOMPLETE = "incomplete"
    LANGUAGE = "language"
    DUPLICATE = "duplicate"
    OTHER = "other"


class Requirement(StrEnum):
    """One thing that a case needs."""

    TITLE = "title"
    SYSTEM = "system"
    PRESENTATION = "presentation"
    AGE = "age"
    SEX = "sex"
    DISCUSSION = "discussion"
    FINDINGS = "findings"
    CERTAINTY = "certainty"
    CERTAINTY_EVIDENCE = "certainty-evidence"
    IMAGES = "images"
    """Something to see."""
    SCREENED = "screened"
    """Every image that arrived is worked through."""
    NOTHING_HELD = "nothing-held"
    CLEAN_IMAGES = "clean-images"
    CLEAN_TEXT = "clean-text"
    SENDER = "sender"
    """What its sender wanted to wait for has happened."""
    FACES = "faces"
    LICENCE = "licence"
    CONSENT = "consent"
    INSTITUTION = "institution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is missing, and what to do about it."""

    requirement: Requirement
    what_to_do: str
    study_id: str | None = None
    """The study that lacks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the score: what it gives, and how much of that is there."""

    name: str
    points: int
    reached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """How complete a case is, of 100. It ignores quality and decides nothing: that is for the guards."""

    parts: tuple[Part, ...]

    @property
    def score(self) -> int:
        """Return the sum of all parts."""
        return sum(part.reached for part in self.parts)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of the parts that are not whole."""
        return tuple(part.name for part in self.parts if part.reached < part.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One step in the life of a case; ``source`` and ``target`` are the states before and after."""

    id: int
    at: datetime
    actor: str
    action: str
    source: CaseStatus | None
    target: CaseStatus
    visibility: Visibility
    reason: PushBackReason | None
    message: str = field(repr=False)


def faults(
    case: CaseDetail,
    visibility: Visibility,
    *,
    policy: InstitutionPolicy,
    is_text_clean: bool,
    accepts_probable: bool = False,
) -> tuple[Fault, ...]:
    """Return what a case lacks before it may be seen by others in this way; privacy first.

    Parameters
    ----------
    case
        The case as it is.
    visibility
        Whether everybody shall find it, or those alone who have a link.
    policy
        What the institution of its owner says.
    is_text_clean
        Whether the text screen, asked again of every text, found nothing.
    accepts_probable
        Whether an editor lets a probable diagnosis pass.
    """
    found = [*_privacy(case, is_text_clean=is_text_clean), *_permission(case, policy)]
    if visibility is Visibility.PUBLIC:
        found += [*_texts(case), *_certainty(case, accepts_probable=accepts_probable)]
    return tuple(found)


def _privacy(case: CaseDetail, *, is_text_clean: bool) -> Iterator[Fault]:
    counts = case.summary.counts
    images = [image for study in case.studies for series in study.series for image in series.images]
    if not any(image.has_pixels for image in images):
        yield Fault(requirement=Requirement.IMAGES, what_to_do="add images: there is nothing to see yet")
    if counts.pending:
        yield Fault(
            requirement=Requirement.SCREENED,
            what_to_do=f"wait until the {counts.pending} images that arrived are worked through",
        )
    if counts.held:
        yield Fault(
            requirement=Requirement.NOTHING_HELD,
            what_to_do=f"decide on the {counts.held} held images, or drop them, under /api/v1/holds",
        )
    if unclear := sum(image.verdict not in _SHOWABLE for image in images):
        yield Fault(
            requirement=Requirement.CLEAN_IMAGES,
            what_to_do=f"have the {unclear} images made anew whose pixels were not found clean",
        )
    if not is_text_clean:
        yield Fault(
            requirement=Requirement.CLEAN_TEXT,
            what_to_do="save each text again: one of them could identify somebody, and the answer says where",
        )
    if case.hold_reason:
        yield Fault(
            requirement=Requirement.SENDER,
            what_to_do=f"its sender asked to wait for this: {case.hold_reason.value.replace('-', ' ')}; clear "
            "hold_reason when that has happened",
        )
    if not case.has_faces_acknowledged:
        yield Fault(
            requirement=Requirement.FACES,
            what_to_do="look at the images in which a face could be seen, then set faces_acknowledged",
        )


def _permission(case: CaseDetail, policy: InstitutionPolicy) -> Iterator[Fault]:
    consent = case.consent
    has_consent = consent.kind in {ConsentKind.PATIENT, ConsentKind.INSTITUTIONAL} and bool(consent.reference)
    if case.milestones.licence_accepted_at is None:
        yield Fault(requirement=Requirement.LICENCE, what_to_do=f"accept the licence ({LICENCE}): set licence_accepted")
    if policy is InstitutionPolicy.FORBIDDEN:
        yield Fault(
            requirement=Requirement.INSTITUTION,
            what_to_do="your institution does not permit publication: an administrator can change that",
        )
    if policy is InstitutionPolicy.CONSENT_REQUIRED and not has_consent:
        yield Fault(
            requirement=Requirement.CONSENT,
            what_to_do="your institution asks for a consent: say which kind it is and give its reference",
        )
    elif (consent.is_rare or consent.is_small_community) and not (
        consent.kind is ConsentKind.PATIENT and consent.reference
    ):
        yield Fault(
            requirement=Requirement.CONSENT,
            what_to_do="a rare condition or a small community needs the patient's consent: give its reference, "
            "or think again about showing the case",
        )
    elif consent.kind in {ConsentKind.PATIENT, ConsentKind.INSTITUTIONAL} and not consent.reference:
        yield Fault(requirement=Requirement.CONSENT, what_to_do="give the reference of the consent")


def _texts(case: CaseDetail) -> Iterator[Fault]:
    summary = case.summary
    for requirement, is_there, what_to_do in (
        (Requirement.TITLE, summary.title, "give the case a title: the diagnosis, without the modality"),
        (Requirement.SYSTEM, case.systems, "choose at least one system"),
        (Requirement.PRESENTATION, case.presentation, "say in a sentence or two what the patient came with"),
        (Requirement.AGE, summary.age_band, "give the age, rounded"),
        (Requirement.SEX, summary.sex, "give the sex"),
        (Requirement.DISCUSSION, case.discussion, "write the discussion"),
    ):
        if not is_there:
            yield Fault(requirement=requirement, what_to_do=what_to_do)
    for study in case.studies:
        if not study.findings.strip():
            yield Fault(
                requirement=Requirement.FINDINGS,
                what_to_do=f"write the findings of study {study.position} ({study.modality})",
                study_id=study.id,
            )


def _certainty(case: CaseDetail, *, accepts_probable: bool) -> Iterator[Fault]:
    certainty = case.certainty
    if certainty is None:
        yield Fault(requirement=Requirement.CERTAINTY, what_to_do="say how certain the diagnosis is")
    elif certainty is Certainty.POSSIBLE:
        yield Fault(
            requirement=Requirement.CERTAINTY,
            what_to_do="a possible diagnosis is not for the public: prove it, or leave the case unlisted",
        )
    elif certainty is Certainty.PROBABLE and not accepts_probable:
        yield Fault(
            requirement=Requirement.CERTAINTY,
            what_to_do="a probable diagnosis becomes public where an editor says so: submit it for review",
        )
    if certainty in {*_WITHOUT_PROOF, Certainty.ALMOST_CERTAIN} and not case.certainty_evidence.strip():
        yield Fault(
            requirement=Requirement.CERTAINTY_EVIDENCE,
            what_to_do="say in certainty_evidence what the diagnosis rests on",
        )


def completeness(case: CaseDetail) -> Completeness:
    """Return the score of a case; findings and labels count by the share that has them."""
    summary, series = case.summary, [series for study in case.studies for series in study.series]
    has_key = bool(case.key_image_id) or any(
        one.display.key_image_id or any(image.is_key for image in one.images) for one in series
    )
    return Completeness(
        parts=(
            _whole("title", 10, summary.title),
            _whole("systems", 5, case.systems),
            _whole("presentation", 10, case.presentation.strip()),
            _share("age and sex", 10, [bool(summary.age_band), bool(summary.sex)]),
            _whole("certainty", 10, case.certainty),
            _whole("images", 15, any(map(_is_ready, case.studies))),
            _share("findings", 15, [bool(study.findings.strip()) for study in case.studies]),
            _share("labels of series", 5, [bool(one.perspective or one.specifics) for one in series]),
            _whole("key image", 5, has_key),
            _whole("discussion", 10, case.discussion.strip()),
            _whole("tags or level", 5, case.tags or case.level),
        )
    )


def _is_ready(study: CaseStudy) -> bool:
    return any(image.has_pixels for series in study.series for image in series.images)


def _whole(name: str, points: int, is_there: object) -> Part:
    return Part(name=name, points=points, reached=points if is_there else 0)


def _share(name: str, points: int, are_there: Sequence[bool]) -> Part:
    reached = points * sum(are_there) // len(are_there) if are_there else 0
    return Part(name=name, points=points, reached=reached)
