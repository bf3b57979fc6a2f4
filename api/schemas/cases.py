"""Cases on the wire: their lists, their whole, and the changes to them."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer
from api.schemas.reruns import CaseRerunOut
from cases.consents import DocumentType
from cases.model import (
    CaseDetail,
    CaseImage,
    CaseLevel,
    CaseModality,
    CaseStatus,
    CaseSummary,
    CaseSystem,
    Certainty,
    ConsentKind,
    Counts,
    Visibility,
)
from cases.publication import LICENCE, completeness
from deidentify.results import DelayReason, HoldReason, PixelVerdict


class Progress(Answer):
    """How far the instances of a case are; ``received`` = ``screened`` when all is done."""

    received: int = Field(examples=[300])
    screened: int = Field(examples=[120])
    filed: int = Field(examples=[117])
    held: int = Field(examples=[3])
    dropped: int = Field(examples=[0])

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Count what was received, screened and filed."""
        screened = counts.images + counts.held + counts.dropped
        return cls(
            received=screened + counts.pending,
            screened=screened,
            filed=counts.images,
            held=counts.held,
            dropped=counts.dropped,
        )


class CaseItem(Answer):
    """A case as a list shows it."""

    id: str = Field(examples=[ID_EXAMPLE])
    status: CaseStatus
    visibility: Visibility
    owner: str | None = Field(examples=["contributor-1"])
    title: str = Field(examples=["Acute appendicitis"])
    age: str = Field(examples=["45 years"], description="Rounded; empty when unknown.")
    sex: str = Field(examples=["F"])
    modalities: list[CaseModality]
    study_count: int = Field(examples=[1])
    series_count: int = Field(examples=[4])
    image_count: int = Field(examples=[117])
    frame_count: int = Field(examples=[117])
    progress: Progress
    notes: list[str] = Field(examples=[["3 held", "180 of 300 are still being screened"]])
    sender: str = Field(examples=["PACS1"], description="Calling AE title of the sender.")
    arrived_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int = Field(examples=[2])
    previous_case_id: str | None = Field(
        examples=[None], description="The case that this one continues: late images of a study open a linked draft."
    )

    @classmethod
    def of(cls, summary: CaseSummary) -> Self:
        """Describe a case for a list."""
        return cls.model_validate(_summary_fields(summary))


def _summary_fields(summary: CaseSummary) -> dict[str, object]:
    progress = Progress.of(summary.counts)
    return {
        "id": summary.id,
        "status": summary.status,
        "visibility": summary.visibility,
        "owner": summary.owner,
        "title": summary.title,
        "age": summary.age_band,
        "sex": summary.sex,
        "modalities": list(summary.modalities),
        "study_count": summary.studies,
        "series_count": summary.series,
        "image_count": summary.counts.images,
        "frame_count": summary.counts.frames,
        "progress": progress,
        "notes": _notes(summary, progress),
        "sender": summary.sender,
        "arrived_at": summary.arrived_at,
        "created_at": summary.created_at,
        "updated_at": summary.updated_at,
        "version": summary.version,
        "previous_case_id": summary.previous_case_id,
    }


def _notes(summary: CaseSummary, progress: Progress) -> list[str]:
    """Say in words what keeps the case from being complete."""
    notes = []
    if summary.status is CaseStatus.WAITING:
        notes.append("waits for a free place among its owner's drafts; publish or withdraw another draft")
    if progress.held:
        notes.append(f"{progress.held} held")
    if left := progress.received - progress.screened:
        notes.append(f"{left} of {progress.received} are still being screened")
    return notes


class ImageItem(Answer):
    """An image in its series."""

    id: str = Field(examples=[ID_EXAMPLE])
    instance_number: int | None = Field(examples=[1])
    frames: int = Field(examples=[1])
    rows: int = Field(examples=[512])
    columns: int = Field(examples=[512])
    has_pixels: bool
    is_selected: bool = Field(
        description="False for what came with a teaching file, but not on its sender's list of instances."
    )
    is_key: bool = Field(description="Whether the sender pointed it out.")
    key_position: int | None = Field(examples=[0], description="Place among the key images of its study, from 0.")
    key_frames: list[int] = Field(examples=[[]], description="The frames that were meant, from 1; empty for all.")


class BlackBox(Answer):
    """A rectangle in pixels of the stored frame, from the top left corner; frames count from 0."""

    frame: int | None = Field(examples=[0], description="None stands for every frame.")
    x: int = Field(examples=[12])
    y: int = Field(examples=[8])
    width: int = Field(examples=[210])
    height: int = Field(examples=[24])


class ImageOut(ImageItem):
    """Everything about an image; the UIDs are those of the case, not of the original."""

    sop_instance_uid: str = Field(examples=["2.25.329800735698586629295641978511506172918"])
    sop_class_uid: str = Field(examples=["1.2.840.10008.5.1.4.1.1.2"])
    transfer_syntax_uid: str = Field(examples=["1.2.840.10008.1.2.1"])
    position: tuple[float, float, float] | None = Field(description="Image Position (Patient), mm.")
    orientation: tuple[float, float, float, float, float, float] | None
    verdict: PixelVerdict
    redacted: list[BlackBox] = Field(description="What was made black in its pixels, since it could identify somebody.")
    sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    size_bytes: int = Field(examples=[526336])
    profile_revision: str = Field(examples=["9222bfe5bf2270d7"], description="Of the profile that it was made under.")
    rendered: str = Field(examples=[f"/api/v1/cases/{ID_EXAMPLE}/images/{ID_EXAMPLE}/rendered"])
    thumbnail: str = Field(examples=[f"/api/v1/cases/{ID_EXAMPLE}/images/{ID_EXAMPLE}/thumbnail"])

    @classmethod
    def of(cls, image: CaseImage, *, base: str) -> Self:
        """Describe an image whose address is ``base``."""
        fields = {name: getattr(image, name) for name in cls.model_fields if hasattr(image, name)}
        return cls.model_validate({**fields, "rendered": f"{base}/rendered", "thumbnail": f"{base}/thumbnail"})


class DisplayOut(Answer):
    """How a series is shown; frames are counted from 0 through all images of the stack."""

    window_center: float | None = Field(examples=[40.0], description="In output units; null for the file's own window.")
    window_width: float | None = Field(examples=[400.0])
    crop: tuple[int, int, int, int] | None = Field(
        examples=[None], description="Left, top, width, height in pixels of the stored frame; null for all of it."
    )
    first_frame: int | None = Field(examples=[None], description="Null for the first there is.")
    last_frame: int | None = Field(examples=[None])
    frame_step: int = Field(examples=[1])
    opening_frame: int | None = Field(examples=[40], description="Seen first; null for the middle of the stack.")
    key_image_id: str = Field(examples=[""], description="Stands for the stack; empty for the one that it opens with.")


class SeriesOut(Answer):
    """A series, its images in order."""

    id: str = Field(examples=[ID_EXAMPLE])
    number: int | None = Field(examples=[2])
    perspective: str = Field(examples=["Axial"])
    specifics: str = Field(examples=["T2"])
    body_part: str = Field(examples=["ABDOMEN"])
    laterality: str = Field(examples=[""])
    frames: int = Field(examples=[117], description="Of all its images.")
    display: DisplayOut
    images: list[ImageItem]


class StudyOut(Answer):
    """A study of the case: one modality."""

    id: str = Field(examples=[ID_EXAMPLE])
    modality: CaseModality
    position: int = Field(examples=[2], description="From 2: position 1 is the discussion.")
    day_offset: int = Field(examples=[0], description="Days since the earliest study of the case.")
    description: str = Field(examples=["CT abdomen"])
    caption: str = Field(examples=[""])
    findings: str = Field(examples=["Dilated appendix with an appendicolith."])
    series: list[SeriesOut]


class SeriesProgressOut(Answer):
    """How far the work on one received series is, in instances."""

    number: int = Field(examples=[1], description="From 1, in the order of arrival, as on the receipt.")
    received: int = Field(examples=[300])
    screened: int = Field(examples=[120])
    filed: int = Field(examples=[118])
    held: int = Field(examples=[2])
    dropped: int = Field(examples=[0])


class ConsentDocumentOut(Answer):
    """What is told of a consent's document; who may open it does so elsewhere."""

    kept_at: datetime
    media_type: DocumentType
    size_bytes: int = Field(examples=[182044])


class ConsentOut(Answer):
    """What the publication of a case rests on."""

    kind: ConsentKind | None
    reference: str = Field(examples=["2026/117"], description="The number under which it is kept elsewhere.")
    is_rare: bool = Field(examples=[False], description="The condition is so rare that it could identify somebody.")
    is_small_community: bool = Field(examples=[False], description="So small is the patient's community.")
    document: ConsentDocumentOut | None = Field(description="Null where none is kept.")


class CaseOut(CaseItem):
    """A case with its studies, series and images."""

    presentation: str = Field(examples=["Pain in the right iliac fossa for two days."])
    discussion: str = Field(examples=[""])
    tags: list[str] = Field(examples=[["appendicitis"]])
    systems: list[CaseSystem] = Field(examples=[["Gastrointestinal"]])
    level: CaseLevel | None
    hold_reason: DelayReason | None = Field(
        description="What the sender wants to wait for; the case goes to nobody else until it is cleared."
    )
    withheld_words: int = Field(
        examples=[0], description="Words of the sender's text that were taken out, since they could identify somebody."
    )
    related_case_ids: list[str] = Field(
        examples=[[]], description="Your cases of the same selection over other studies of the patient."
    )
    held_by_reason: dict[HoldReason, int] = Field(examples=[{"burned-in-text": 3}])
    receipts: list[str] = Field(examples=[["K7Q2M9F"]], description="Codes of the receipts of what was sent for it.")
    text_screen: Literal["identifiers", "patterns"] = Field(
        description="What you type is held against the identifiers of all images of the case, or against patterns "
        "alone: before its first image, and where images came from an older version."
    )
    profile: str = Field(examples=["teaching"], description="Name of the profile that its images are made under.")
    profile_revision: str = Field(examples=["9222bfe5bf2270d7"])
    rerun: CaseRerunOut | None = Field(description="The latest re-run of its images, and what it changed.")
    series_progress: list[SeriesProgressOut]
    faces: dict[str, int] = Field(
        examples=[{"volume": 300}],
        description="How a face could be seen (photograph, volume, rendering), and in how many images.",
    )
    faces_acknowledged: bool = Field(
        description="Whether its owner has thought of all of them, as somebody has to before others may see the case."
    )
    certainty: Certainty | None
    certainty_evidence: str = Field(examples=["Histology after appendicectomy."])
    differential: str = Field(examples=["Mesenteric adenitis."])
    suitable_for_quiz: bool = Field(examples=[False])
    consent: ConsentOut
    licence: str = Field(
        examples=[LICENCE], description="Under which others may use it once its owner has accepted it."
    )
    licence_accepted_at: datetime | None
    submitted_at: datetime | None
    first_published_at: datetime | None
    approved_at: datetime | None
    key_image_id: str = Field(examples=[""], description="The image that stands for the case.")
    completeness: int = Field(examples=[85], description="Of 100; it says nothing of quality and decides nothing.")
    suggested_case_ids: list[str] = Field(
        examples=[[]],
        description="Other open drafts of its owner that are of the same patient, for the owner and editors: the study "
        "may belong to one of them.",
    )
    studies: list[StudyOut]

    @classmethod
    def of_detail(cls, detail: CaseDetail) -> Self:
        """Describe a whole case."""
        return cls.model_validate(
            {
                **_summary_fields(detail.summary),
                "presentation": detail.presentation,
                "discussion": detail.discussion,
                "tags": list(detail.tags),
                "systems": list(detail.systems),
                "level": detail.level,
                "hold_reason": detail.hold_reason,
                "withheld_words": detail.withheld_words,
                "related_case_ids": list(detail.related_case_ids),
                "held_by_reason": dict(detail.held_by_reason),
                "receipts": list(detail.receipts),
                "text_screen": "identifiers" if detail.knows_identifiers else "patterns",
                "profile": detail.profile,
                "profile_revision": detail.profile_revision,
                "rerun": CaseRerunOut.of(detail.rerun) if detail.rerun is not None else None,
                "series_progress": [SeriesProgressOut.model_validate(one) for one in detail.series_progress],
                "faces": dict(detail.faces),
                "faces_acknowledged": detail.has_faces_acknowledged,
                "certainty": detail.certainty,
                "certainty_evidence": detail.certainty_evidence,
                "differential": detail.differential,
                "suitable_for_quiz": detail.is_quiz,
                "consent": ConsentOut.model_validate(detail.consent),
                "licence": LICENCE,
                "licence_accepted_at": detail.milestones.licence_accepted_at,
                "submitted_at": detail.milestones.submitted_at,
                "first_published_at": detail.milestones.first_published_at,
                "approved_at": detail.milestones.approved_at,
                "key_image_id": detail.key_image_id,
                "completeness": completeness(detail).score,
                "suggested_case_ids": list(detail.suggested_case_ids),
                "studies": [StudyOut.model_validate(study) for study in detail.studies],
            }
        )


class InboxItem(Answer):
    """A draft without an owner: as much as is needed to know one's own."""

    id: str = Field(examples=[ID_EXAMPLE])
    sender: str = Field(examples=["PACS1"], description="Calling AE title of the sender.")
    arrived_at: datetime
    modalities: list[CaseModality]
    study_count: int = Field(examples=[1])
    series_count: int = Field(examples=[4])
    image_count: int = Field(examples=[117])
    progress: Progress

    @classmethod
    def of(cls, summary: CaseSummary) -> Self:
        """Describe an unowned draft."""
        return cls.model_validate(_summary_fields(summary))
