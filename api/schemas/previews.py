"""Previews and impacts on the wire. A preview of an instance identifies; all others are counts and names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from api.schemas.common import ID_EXAMPLE, Answer, Body
from cases.errands import ErrandState
from cases.looks import PreviewedInstance, RevisionImpact, StudyPreview

MOST_INSTANCES = 200
MOST_STUDIES = 100
MOST_ATTRIBUTES = 1000
REVISION_EXAMPLE = "8fe18da09dce0803"

ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}(@[0-9a-f]{4,16})?$")]
StudyName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{7,32}$")]


class NewPreview(Body):
    """A study whose retained originals are to be looked at, and the profile."""

    study: StudyName = Field(
        examples=[ID_EXAMPLE], description="Its key, as `casebridge originals` shows it, or the code of its receipt."
    )
    profile: ProfileName = Field(examples=["teaching"], description="`NAME`, or `NAME@REVISION`.")
    most: int = Field(12, ge=1, le=MOST_INSTANCES, description="Instances at most, spread over the study.")
    pixels: bool = Field(True, description="Whether pixels are screened, and pictures made.")


class PreviewedInstanceOut(Answer):
    """One instance of a preview, in counts."""

    number: int = Field(examples=[1])
    arrival_id: str = Field(examples=[ID_EXAMPLE])
    outcome: str = Field(
        examples=["delivered"],
        description="`delivered`, `held` or `dropped`; `gone` where the original went before it was looked at; empty "
        "until then.",
    )
    reason: str = Field(examples=[""], description="Of a hold or of what is left out.")
    pictures: int = Field(examples=[1])

    @classmethod
    def of(cls, one: PreviewedInstance) -> Self:
        """Describe an instance."""
        looked = one.looked
        return cls(
            number=one.number,
            arrival_id=one.arrival_id,
            outcome=looked.outcome,
            reason=looked.reason,
            pictures=looked.pictures,
        )


class PreviewOut(Answer):
    """How far the preview of a study is, and what it came to, in counts."""

    id: str = Field(examples=[ID_EXAMPLE])
    state: ErrandState
    profile: str = Field(examples=["teaching"])
    revision: str = Field(examples=[REVISION_EXAMPLE])
    pixels: bool
    total: int = Field(examples=[12], description="Instances to look at.")
    done: int = Field(examples=[12])
    requested_by: str = Field(examples=["admin"])
    requested_at: datetime
    finished_at: datetime | None
    reason: str = Field(examples=[""], description="Why it failed.")
    outcomes: dict[str, int] = Field(
        examples=[{"delivered": 11, "held: burned-in-text": 1}], description="Instances by outcome and reason."
    )
    changes: dict[str, int] = Field(
        examples=[{"same": 700, "removed": 90}], description="Elements by what becomes of them, over all instances."
    )
    instances: list[PreviewedInstanceOut]

    @classmethod
    def of(cls, preview: StudyPreview) -> Self:
        """Describe a preview."""
        errand = preview.errand
        return cls(
            id=errand.id,
            state=errand.state,
            profile=errand.profile,
            revision=errand.revision,
            pixels=preview.has_pixels,
            total=len(preview.instances),
            done=errand.done,
            requested_by=errand.requested_by,
            requested_at=errand.requested_at,
            finished_at=errand.finished_at,
            reason=errand.reason,
            outcomes=preview.outcomes(),
            changes=preview.changes(),
            instances=[PreviewedInstanceOut.of(one) for one in preview.instances],
        )


class ElementOut(Answer):
    """One element before and after, and which line did it."""

    place: str = Field(examples=["(0010,0010)"], description="With the sequences around it, items from 0.")
    name: str = Field(examples=["PatientName"])
    vr: str = Field(examples=["PN"])
    change: str = Field(examples=["changed"], description="`same`, `changed`, `emptied`, `removed` or `added`.")
    by: str = Field(examples=["Basic Profile"])
    source: str = Field(examples=["Table E.1-1"])
    reason: str = Field(examples=[""])
    identified_before: str = Field(examples=["…"])
    after: str = Field(examples=["…"])
    identified_marks: list[tuple[int, int, str]] = Field(
        examples=[[[0, 4, "unknown-word"]]], description="Of a cleaned text: start, end and reason of what goes."
    )


class ScreenFindingOut(Answer):
    """A piece of text in the pixels."""

    frame: int = Field(examples=[0], description="From 0.")
    x: int
    y: int
    width: int
    height: int
    text_class: str = Field(examples=["identifying"], description="`identifying`, `safe` or `unreadable`.")
    score: float
    text: str = Field(examples=["…"], description="What was read.")


class ScreenOut(Answer):
    """What the pixel screen found."""

    verdict: str = Field(examples=["clear"])
    frames: int = Field(examples=[1])
    findings: list[ScreenFindingOut]


class InstancePreviewOut(Answer):
    """What becomes of one instance, element by element. It identifies the patient."""

    outcome: str = Field(examples=["delivered"], description="`delivered`, `held` or `dropped`.")
    reason: str = Field(examples=[""])
    detail: str = Field(examples=[""])
    counts: dict[str, int] = Field(
        examples=[{"same": 60, "removed": 8}], description="Elements by what becomes of them."
    )
    markers: list[str] = Field(examples=[["113100"]], description="Codes of CID 7050 that stand in what is written.")
    notes: list[str] = Field(examples=[[]])
    screen: ScreenOut | None = Field(description="Null where the pixels were not read.")
    pictures: int = Field(examples=[1])
    pictures_left_out: int = Field(examples=[0], description="Frames with text beyond those that have a picture.")
    elements: list[ElementOut]

    @classmethod
    def of(cls, identified_values: Mapping[str, Any]) -> Self:
        """Describe the preview of an instance."""
        return cls.model_validate(identified_values)


class FilePreviewOut(InstancePreviewOut):
    """What becomes of a file that was handed in. It identifies the patient."""

    png: list[str] = Field(examples=[[]], description="Pictures in base64, before and after side by side.")


class NewImpact(Body):
    """Two profiles that are to be compared over the studies that arrived last."""

    first: ProfileName = Field(examples=["teaching"], description="`NAME`, or `NAME@REVISION`.")
    second: ProfileName = Field(examples=["strict"])
    last: int = Field(20, ge=1, le=MOST_STUDIES, description="How many studies, of those that have originals.")
    most: int = Field(5, ge=1, le=MOST_INSTANCES, description="Instances of each at most, spread over the study.")


class OutcomeChangeOut(Answer):
    """How many instances come to what under either."""

    first: str = Field(examples=["delivered"])
    second: str = Field(examples=["held: profile"])
    instances: int = Field(examples=[3])


class AttributeChangeOut(Answer):
    """In how many instances an attribute would be written otherwise."""

    place: str = Field(examples=["(0008,0020)"])
    attribute: str = Field(examples=["StudyDate"])
    first: str = Field(examples=["changed"])
    second: str = Field(examples=["emptied"])
    instances: int = Field(examples=[80])


class ImpactOut(Answer):
    """What the second profile would change, as far as it was counted. Pixels are not read."""

    id: str = Field(examples=[ID_EXAMPLE])
    state: ErrandState
    first: str = Field(examples=[f"teaching@{REVISION_EXAMPLE}"])
    second: str = Field(examples=[f"strict@{REVISION_EXAMPLE}"])
    requested_by: str = Field(examples=["admin"])
    requested_at: datetime
    studies: int = Field(examples=[20])
    studies_by_state: dict[str, int] = Field(examples=[{"done": 19, "queued": 1}])
    studies_unfinished: int = Field(examples=[1])
    studies_gone: int = Field(examples=[0], description="Studies whose originals all went before they were looked at.")
    reasons: list[str] = Field(examples=[[]], description="Why studies failed.")
    instances: int = Field(examples=[95], description="Instances that were compared.")
    instances_gone: int = Field(examples=[0], description="Instances whose originals went before.")
    touched: int = Field(examples=[80], description="Instances that would be written otherwise.")
    outcomes: list[OutcomeChangeOut]
    holds_appear: dict[str, int] = Field(examples=[{"profile": 3}], description="Instances by the reason of the hold.")
    holds_vanish: dict[str, int] = Field(examples=[{"profile": 1}])
    attributes: list[AttributeChangeOut] = Field(description="Those of the most instances.")
    attributes_left_out: int = Field(examples=[0], description="Rarer attributes that are not listed.")

    @classmethod
    def of(cls, impact: RevisionImpact) -> Self:
        """Describe an impact."""
        counts = impact.counts()
        counts.keep_most(MOST_ATTRIBUTES)
        appear, vanish = counts.holds()
        values = counts.values()
        return cls(
            id=impact.id,
            state=impact.state,
            first=impact.first,
            second=impact.second,
            requested_by=impact.requested_by,
            requested_at=impact.requested_at,
            studies=len(impact.errands),
            studies_by_state=impact.states(),
            studies_unfinished=impact.unfinished,
            studies_gone=impact.studies_gone,
            reasons=list(impact.faults()),
            instances=values["instances"],
            instances_gone=impact.gone,
            touched=values["touched"],
            outcomes=[OutcomeChangeOut(**row) for row in values["outcomes"]],
            holds_appear=dict(appear),
            holds_vanish=dict(vanish),
            attributes=[AttributeChangeOut(**row) for row in values["attributes"]],
            attributes_left_out=values["attributes_left_out"],
        )
