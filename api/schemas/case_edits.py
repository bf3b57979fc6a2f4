"""Changes to cases on the wire."""

from typing import Literal, Self

from pydantic import Field, model_validator

from api.schemas.common import ID_EXAMPLE, Age, Body, Key, LongText, Presentation, Reference, SeriesLabel, Tag, Title
from cases.changes import TAGS_MAX, CaseChanges, SeriesChange, StudyChange
from cases.model import CaseLevel, CaseSystem, Certainty, ConsentKind, SeriesDisplay, Sex
from cases.publication import LICENCE


class StudyTexts(Body):
    """New texts of one study; a field that is absent or null stays as it is."""

    findings: LongText | None = Field(None, examples=["Dilated appendix with an appendicolith."])
    caption: LongText | None = Field(None, examples=["Portal venous phase"])

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.findings is None and self.caption is None:
            raise ValueError("Nothing is changed: give findings or caption.")
        return self

    def change(self, study_id: str) -> StudyChange:
        """Return the change to this study."""
        return StudyChange(id=study_id, findings=self.findings, caption=self.caption)


class StudyEdit(StudyTexts):
    """New texts of the study with this id."""

    id: Key = Field(examples=[ID_EXAMPLE])


class Display(Body):
    """How a series is to be shown, as a whole; frames are counted from 0 through all images of the stack."""

    window_center: float | None = Field(None, allow_inf_nan=False, examples=[40.0])
    window_width: float | None = Field(None, gt=0, allow_inf_nan=False, examples=[400.0])
    crop: tuple[int, int, int, int] | None = Field(None, description="Left, top, width, height.", examples=[None])
    first_frame: int | None = Field(None, ge=0, le=1_000_000, examples=[None])
    last_frame: int | None = Field(None, ge=0, le=1_000_000, examples=[None])
    frame_step: int = Field(1, ge=1, le=10_000)
    opening_frame: int | None = Field(None, ge=0, le=1_000_000, examples=[40])
    key_image_id: Key | Literal[""] = Field("", examples=[""])


class SeriesTexts(Body):
    """New labels of one series and how it is shown; a field that is absent or null stays as it is."""

    perspective: SeriesLabel | None = Field(None, examples=["Axial"], description="Plane or projection.")
    specifics: SeriesLabel | None = Field(None, examples=["C+ portal venous phase"])
    display: Display | None = Field(None, description="Replaces how it is shown, as a whole.")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.perspective is None and self.specifics is None and self.display is None:
            raise ValueError("Nothing is changed: give perspective, specifics or display.")
        return self

    def change(self, series_id: str) -> SeriesChange:
        """Return the change to this series."""
        shown = SeriesDisplay(**self.display.model_dump()) if self.display is not None else None
        return SeriesChange(id=series_id, perspective=self.perspective, specifics=self.specifics, display=shown)


class SeriesEdit(SeriesTexts):
    """New labels of the series with this id."""

    id: Key = Field(examples=[ID_EXAMPLE])


class ConsentEdit(Body):
    """What the publication rests on; a field that is absent or null stays as it is."""

    kind: ConsentKind | Literal[""] | None = Field(None, examples=["patient"])
    reference: Reference | None = Field(
        None, examples=["2026/117"], description="The number under which it is kept elsewhere, never a name."
    )
    is_rare: bool | None = None
    is_small_community: bool | None = None


class CaseEdit(Body):
    """Changes to a case; a field that is absent or null stays as it is, an empty one is emptied."""

    title: Title | None = Field(None, examples=["Acute appendicitis"])
    presentation: Presentation | None = Field(None, examples=["Pain in the right iliac fossa for two days."])
    age: Age | None = Field(None, examples=["45 years"], description="Adults by five years; 90+ years at the end.")
    sex: Sex | Literal[""] | None = Field(None, examples=["F"])
    discussion: LongText | None = Field(None, examples=["Confirmed at surgery."])
    differential: LongText | None = Field(None, examples=["Mesenteric adenitis."])
    certainty: Certainty | Literal[""] | None = Field(None, examples=["certain"])
    certainty_evidence: LongText | None = Field(None, examples=["Histology after appendicectomy."])
    tags: list[Tag] | None = Field(None, max_length=TAGS_MAX, examples=[["appendicitis"]])
    systems: list[CaseSystem] | None = Field(None, max_length=len(CaseSystem), examples=[["Gastrointestinal"]])
    level: CaseLevel | Literal[""] | None = Field(None, examples=["intermediate"])
    suitable_for_quiz: bool | None = None
    consent: ConsentEdit | None = None
    licence_accepted: Literal[True] | None = Field(
        None, description=f"True: others may use the case under {LICENCE}. It cannot be taken back here."
    )
    key_image_id: Key | Literal[""] | None = Field(None, examples=[""])
    hold_reason: Literal[""] | None = Field(
        None, examples=[""], description="Empty: what the sender wanted to wait for has happened."
    )
    faces_acknowledged: Literal[True] | None = Field(
        None, description="True: you have thought of the faces that could be seen in its images as it is now."
    )
    studies: list[StudyEdit] = Field(default_factory=list, max_length=100)
    series: list[SeriesEdit] = Field(default_factory=list, max_length=1000)
    study_order: list[Key] | None = Field(None, max_length=1000, description="The ids of all its studies.")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        given = (getattr(self, name) for name in type(self).model_fields if name not in {"studies", "series"})
        if not self.studies and not self.series and all(value is None for value in given):
            raise ValueError("Nothing is changed: name a field of the case, studies or series.")
        return self

    def changes(self) -> CaseChanges:
        """Return the change to the case."""
        consent = self.consent or ConsentEdit()
        return CaseChanges(
            title=self.title,
            presentation=self.presentation,
            age_band=self.age,
            sex=self.sex or None,
            clears_sex=self.sex == "",
            discussion=self.discussion,
            differential=self.differential,
            certainty=self.certainty or None,
            clears_certainty=self.certainty == "",
            certainty_evidence=self.certainty_evidence,
            tags=None if self.tags is None else tuple(self.tags),
            systems=None if self.systems is None else tuple(self.systems),
            level=self.level or None,
            clears_level=self.level == "",
            is_quiz=self.suitable_for_quiz,
            consent_kind=consent.kind or None,
            clears_consent=consent.kind == "",
            consent_reference=consent.reference,
            is_rare=consent.is_rare,
            is_small_community=consent.is_small_community,
            accepts_licence=bool(self.licence_accepted),
            key_image_id=self.key_image_id,
            clears_hold=self.hold_reason == "",
            acknowledges_faces=bool(self.faces_acknowledged),
            studies=tuple(study.change(study.id) for study in self.studies),
            series=tuple(series.change(series.id) for series in self.series),
            study_order=None if self.study_order is None else tuple(self.study_order),
        )
