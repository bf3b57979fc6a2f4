"""What strangers are shown of a case: readers of public ones, and whoever follows a link.

Each field stands here because it may be shown, so that a new field of a case is hidden until somebody puts it here.
Left out are, beside all of the work on a case: when it arrived and changed, which is near the day of the examination;
which cases it is related to, which may be the same patient's; and what was made black in its images.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from api.schemas.cases import CaseItem, DisplayOut
from api.schemas.common import ID_EXAMPLE, Answer, Listed
from cases.model import (
    CaseDetail,
    CaseImage,
    CaseLevel,
    CaseModality,
    CaseStatus,
    CaseSummary,
    CaseSystem,
    Certainty,
    Visibility,
)
from cases.publication import LICENCE


class CaseOwner(Answer):
    """Whose a public case is."""

    name: str = Field(examples=["contributor-1"])
    collector: int = Field(examples=[12], description="How many public cases they have.")


class PublicCaseItem(Answer):
    """A case as strangers find it in a list."""

    id: str = Field(examples=[ID_EXAMPLE])
    status: CaseStatus
    visibility: Visibility
    owner: CaseOwner | None = Field(description="Null for whoever follows a link.")
    title: str = Field(examples=["Acute appendicitis"])
    age: str = Field(examples=["45 years"], description="Rounded; empty when unknown.")
    sex: str = Field(examples=["F"])
    modalities: list[CaseModality]
    study_count: int = Field(examples=[1])
    series_count: int = Field(examples=[4])
    image_count: int = Field(examples=[117])
    frame_count: int = Field(examples=[117])
    version: int = Field(examples=[2])

    @classmethod
    def of(cls, summary: CaseSummary, collectors: Mapping[str, int] | None) -> Self:
        """Describe a case for a list.

        Parameters
        ----------
        summary
            The case.
        collectors
            How many public cases its owner has, by name; None hides whose it is.
        """
        return cls.model_validate(public_summary(summary, collectors))


class ListedCases(Listed[CaseItem | PublicCaseItem]):
    """One page of cases: strangers are shown less of each."""


def public_summary(summary: CaseSummary, collectors: Mapping[str, int] | None) -> dict[str, object]:
    """Return what may be shown of a case in a list."""
    owner = None
    if summary.owner is not None and collectors is not None:
        owner = CaseOwner(name=summary.owner, collector=collectors.get(summary.owner, 0))
    return {
        "id": summary.id,
        "status": summary.status,
        "visibility": summary.visibility,
        "owner": owner,
        "title": summary.title,
        "age": summary.age_band,
        "sex": summary.sex,
        "modalities": list(summary.modalities),
        "study_count": summary.studies,
        "series_count": summary.series,
        "image_count": summary.counts.images,
        "frame_count": summary.counts.frames,
        "version": summary.version,
    }


class PublicImageItem(Answer):
    """An image in its series."""

    id: str = Field(examples=[ID_EXAMPLE])
    instance_number: int | None = Field(examples=[1])
    frames: int = Field(examples=[1])
    rows: int = Field(examples=[512])
    columns: int = Field(examples=[512])
    has_pixels: bool
    is_key: bool = Field(description="Whether it was pointed out.")
    key_position: int | None = Field(examples=[0], description="Place among the key images of its study, from 0.")
    key_frames: list[int] = Field(examples=[[]], description="The frames that were meant, from 1; empty for all.")


class PublicImageOut(PublicImageItem):
    """An image; the UIDs are those of the case, not of the original."""

    sop_instance_uid: str = Field(examples=["2.25.329800735698586629295641978511506172918"])
    sop_class_uid: str = Field(examples=["1.2.840.10008.5.1.4.1.1.2"])
    position: tuple[float, float, float] | None = Field(description="Image Position (Patient), mm.")
    orientation: tuple[float, float, float, float, float, float] | None
    rendered: str = Field(examples=[f"/api/v1/cases/{ID_EXAMPLE}/images/{ID_EXAMPLE}/rendered"])
    thumbnail: str = Field(examples=[f"/api/v1/cases/{ID_EXAMPLE}/images/{ID_EXAMPLE}/thumbnail"])

    @classmethod
    def of(cls, image: CaseImage, *, base: str) -> Self:
        """Describe an image whose address is ``base``."""
        fields = {name: getattr(image, name) for name in cls.model_fields if hasattr(image, name)}
        return cls.model_validate({**fields, "rendered": f"{base}/rendered", "thumbnail": f"{base}/thumbnail"})


class PublicSeriesOut(Answer):
    """A series, its images in order."""

    id: str = Field(examples=[ID_EXAMPLE])
    number: int | None = Field(examples=[2])
    perspective: str = Field(examples=["Axial"])
    specifics: str = Field(examples=["T2"])
    body_part: str = Field(examples=["ABDOMEN"])
    laterality: str = Field(examples=[""])
    frames: int = Field(examples=[117], description="Of all its images.")
    display: DisplayOut
    images: list[PublicImageItem]


class PublicStudyOut(Answer):
    """A study of the case: one modality."""

    id: str = Field(examples=[ID_EXAMPLE])
    modality: CaseModality
    position: int = Field(examples=[2], description="From 2: position 1 is the discussion.")
    day_offset: int = Field(examples=[0], description="Days since the earliest study of the case.")
    description: str = Field(examples=["CT abdomen"])
    caption: str = Field(examples=["Portal venous phase"])
    findings: str = Field(examples=["Dilated appendix with an appendicolith."])
    series: list[PublicSeriesOut]


class PublicCaseOut(PublicCaseItem):
    """A case as strangers read it."""

    presentation: str = Field(examples=["Pain in the right iliac fossa for two days."])
    discussion: str = Field(examples=["Confirmed at surgery."])
    tags: list[str] = Field(examples=[["appendicitis"]])
    systems: list[CaseSystem] = Field(examples=[["Gastrointestinal"]])
    level: CaseLevel | None
    differential: str = Field(examples=["Mesenteric adenitis."])
    certainty: Certainty | None
    certainty_evidence: str = Field(examples=["Histology after appendicectomy."])
    suitable_for_quiz: bool = Field(examples=[False])
    licence: str = Field(examples=[LICENCE], description="Under which the case may be used.")
    key_image_id: str = Field(examples=[""], description="The image that stands for the case.")
    studies: list[PublicStudyOut]

    @classmethod
    def of_detail(cls, detail: CaseDetail, collectors: Mapping[str, int] | None) -> Self:
        """Describe a whole case; ``collectors`` as in ``of``."""
        return cls.model_validate(public_case(detail, collectors))


def public_case(detail: CaseDetail, collectors: Mapping[str, int] | None) -> dict[str, object]:
    """Return what may be shown of a whole case; ``collectors`` as in ``public_summary``."""
    return {
        **public_summary(detail.summary, collectors),
        "presentation": detail.presentation,
        "discussion": detail.discussion,
        "tags": list(detail.tags),
        "systems": list(detail.systems),
        "level": detail.level,
        "differential": detail.differential,
        "certainty": detail.certainty,
        "certainty_evidence": detail.certainty_evidence,
        "suitable_for_quiz": detail.is_quiz,
        "licence": LICENCE,
        "key_image_id": detail.key_image_id,
        "studies": [PublicStudyOut.model_validate(study) for study in detail.studies],
    }


# -- quiz: what may be known before the answer -----------------------------------------------------------------------


class QuizCaseItem(Answer):
    """A case whose diagnosis is to be found, in a list: nothing here may tell it."""

    id: str = Field(examples=[ID_EXAMPLE])
    age: str = Field(examples=["45 years"], description="Rounded; empty when unknown.")
    sex: str = Field(examples=["F"])
    modalities: list[CaseModality]
    study_count: int = Field(examples=[1])
    series_count: int = Field(examples=[4])
    image_count: int = Field(examples=[117])
    frame_count: int = Field(examples=[117])

    @classmethod
    def of(cls, summary: CaseSummary) -> Self:
        """Describe a case for a list."""
        return cls.model_validate(_quiz_fields(summary))


def _quiz_fields(summary: CaseSummary) -> dict[str, object]:
    shown = public_summary(summary, None)
    return {name: shown[name] for name in QuizCaseItem.model_fields}


class QuizImageItem(Answer):
    """An image in its series; which of them is the key image would tell."""

    id: str = Field(examples=[ID_EXAMPLE])
    instance_number: int | None = Field(examples=[1])
    frames: int = Field(examples=[1])
    rows: int = Field(examples=[512])
    columns: int = Field(examples=[512])
    has_pixels: bool


class QuizSeriesOut(Answer):
    """A series, its images in order; plane, sequence and phase are needed to read them."""

    id: str = Field(examples=[ID_EXAMPLE])
    number: int | None = Field(examples=[2])
    perspective: str = Field(examples=["Axial"])
    specifics: str = Field(examples=["T2"])
    images: list[QuizImageItem]


class QuizStudyOut(Answer):
    """A study of the case, without findings, caption and description."""

    id: str = Field(examples=[ID_EXAMPLE])
    modality: CaseModality
    position: int = Field(examples=[2], description="From 2: position 1 is the discussion.")
    day_offset: int = Field(examples=[0], description="Days since the earliest study of the case.")
    series: list[QuizSeriesOut]


class QuizCaseOut(QuizCaseItem):
    """A case whose diagnosis is to be found: presentation, age, sex and images."""

    presentation: str = Field(examples=["Pain in the right iliac fossa for two days."])
    studies: list[QuizStudyOut]

    @classmethod
    def of_detail(cls, detail: CaseDetail) -> Self:
        """Describe a case without what would tell its diagnosis."""
        studies = [QuizStudyOut.model_validate(study) for study in detail.studies]
        fields = _quiz_fields(detail.summary) | {"presentation": detail.presentation, "studies": studies}
        return cls.model_validate(fields)
