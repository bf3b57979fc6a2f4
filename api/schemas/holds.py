"""What waits for a person, and what is decided on it, on the wire: places, reasons and counts.

What the recogniser read is in one field alone, and only for those who may see what the image shows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import ID_EXAMPLE, Answer, Body, Line, Listed
from cases.holds import HoldQueue, HoldState, HoldSummary
from cases.reviews import (
    MOST_BOXES,
    Decision,
    KeptReview,
    ReviewAction,
    Reviewed,
    ReviewScope,
    ShownLayout,
    may_look,
    may_mark_safe,
)
from cases.users import User
from deidentify.results import HoldReason, PixelFinding, RegionFate, TextClass
from deidentify.review import MarkedBox

THUMBNAIL_PIXELS = 256
MAX_PLACE = 1 << 20
SECONDS_OF_A_DAY = 86_400
LayoutName = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class FindingOut(Answer):
    """Where text was found, in pixels of the stored frame from its top left corner; ``frame`` counts from 0."""

    frame: int = Field(examples=[0])
    x: int = Field(examples=[12])
    y: int = Field(examples=[8])
    width: int = Field(examples=[180])
    height: int = Field(examples=[22])
    text_class: TextClass
    score: float = Field(examples=[0.97])
    layer: str = Field("", examples=[""], description="What it was found in; empty for the pixel data.")
    fate: RegionFate
    text: str | None = Field(
        None,
        examples=[None],
        description="What was read there. It may identify the patient: for reviewers, and owners of the draft.",
    )

    @classmethod
    def of(cls, found: PixelFinding, identified_text: str | None) -> Self:
        """Describe a finding."""
        return cls.model_validate(found).model_copy(update={"text": identified_text})


class BoxOut(Answer):
    """A rectangle in pixels; ``frame`` counts from 0, null for every frame."""

    frame: int | None = Field(examples=[0])
    x: int = Field(examples=[12])
    y: int = Field(examples=[8])
    width: int = Field(examples=[180])
    height: int = Field(examples=[22])


class HoldItem(Answer):
    """An instance that waits for a person."""

    id: str = Field(examples=[ID_EXAMPLE])
    case_id: str | None = Field(examples=[ID_EXAMPLE])
    owner: str | None = Field(examples=["contributor-1"], description="Of the case.")
    sender: str = Field(examples=["PACS1"])
    reason: HoldReason
    detail: str = Field(examples=["Text that may identify the patient stands in the pixels."])
    state: HoldState
    version: int = Field(examples=[1], description="Raised whenever what is decided on is another.")
    findings: int = Field(examples=[3], description="How many pieces of text were found.")
    reviews: int = Field(examples=[0], description="Decisions on it that were not taken back.")
    series: str = Field(examples=[ID_EXAMPLE], description="Shared by the images of a series; empty where unknown.")
    layout: str = Field(examples=[ID_EXAMPLE], description="Shared by images of one device and format; empty for none.")
    arrived_at: datetime
    age_days: float = Field(examples=[2.5], description="Since it arrived.")
    held_at: datetime
    reminded_at: datetime | None = Field(description="When it was old enough to be reminded of.")
    decided_at: datetime | None
    expires_at: datetime = Field(description="When the original is deleted unless somebody decides.")
    thumbnail: str | None = Field(
        examples=[f"/api/v1/holds/{ID_EXAMPLE}/frames/0?size=256"],
        description="It identifies; null for those who may not see what the image shows.",
    )
    can_decide: bool = Field(description="Whether the caller may decide on it.")
    can_mark_safe: bool = Field(description="Whether the caller may say that text identifies nobody.")

    @classmethod
    def item(cls, hold: HoldSummary, viewer: User, now: datetime) -> "HoldItem":
        """Describe a hold as the viewer may see it."""
        return HoldItem.model_validate(_fields(hold, viewer, now))


def _fields(hold: HoldSummary, viewer: User, now: datetime) -> dict[str, object]:
    can_decide = may_look(viewer, hold)
    frame = hold.findings[0].frame if hold.findings else 0
    shown = f"/api/v1/holds/{hold.id}/frames/{frame}?size={THUMBNAIL_PIXELS}"
    told = {name: getattr(hold, name) for name in HoldItem.model_fields if hasattr(hold, name)}
    return told | {
        "findings": len(hold.findings),
        "series": hold.series_key,
        "layout": hold.layout_key,
        "age_days": _days(hold.arrived_at, now),
        "thumbnail": shown if can_decide and hold.state is HoldState.OPEN else None,
        "can_decide": can_decide,
        "can_mark_safe": can_decide and may_mark_safe(viewer),
    }


def _days(since: datetime, now: datetime) -> float:
    return round(max(0.0, (now - since).total_seconds() / SECONDS_OF_A_DAY), 2)


class HoldList(Listed[HoldItem]):
    """One page of holds, and the age of the whole queue."""

    total: int = Field(examples=[12], description="Holds on all pages.")
    oldest_arrived_at: datetime | None = Field(description="When the oldest of them arrived.")
    oldest_days: float | None = Field(examples=[6.2], description="How long ago that is.")

    @classmethod
    def of(cls, items: list[HoldItem], *, following: str | None, queue: HoldQueue, now: datetime) -> Self:
        """Describe a page."""
        oldest = queue.oldest_arrived_at
        return cls(
            items=items,
            next=following,
            total=queue.count,
            oldest_arrived_at=oldest,
            oldest_days=_days(oldest, now) if oldest is not None else None,
        )


class HoldOut(HoldItem):
    """A hold with the places of the text that was found, and what is decided so far."""

    rows: int | None = Field(examples=[768])
    columns: int | None = Field(examples=[1024])
    frames: int | None = Field(examples=[1], description="Null where the header says nothing: one then.")
    boxes: list[FindingOut]
    redact: list[BoxOut] = Field(description="What becomes black.")
    safe: list[BoxOut] = Field(description="What a reviewer saw in this image and lets stand.")
    safe_elsewhere: list[BoxOut] = Field(
        description="The same of another image; it counts for what cannot be read or is not known."
    )

    @classmethod
    def of(
        cls,
        hold: HoldSummary,
        viewer: User,
        now: datetime,
        *,
        kept: KeptReview,
        identified_texts: Sequence[str | None],
    ) -> Self:
        """Describe a hold as the viewer may see it."""
        boxes = [FindingOut.of(found, text) for found, text in zip(hold.findings, identified_texts, strict=True)]
        decided = {name: getattr(kept.review, name) for name in ("redact", "safe", "safe_elsewhere")}
        size = {name: getattr(hold, name) for name in ("rows", "columns", "frames")}
        return cls.model_validate({**_fields(hold, viewer, now), **size, "boxes": boxes, **decided})


class DrawnBox(Body):
    """A rectangle in pixels of the stored frame from its top left corner; without ``frame``, in every frame."""

    frame: int | None = Field(None, ge=0, le=MAX_PLACE, examples=[0])
    x: int = Field(ge=0, le=MAX_PLACE, examples=[12])
    y: int = Field(ge=0, le=MAX_PLACE, examples=[8])
    width: int = Field(ge=1, le=MAX_PLACE, examples=[180])
    height: int = Field(ge=1, le=MAX_PLACE, examples=[22])


class NewDecision(Body):
    """What is decided on a held image."""

    action: ReviewAction = Field(
        examples=["confirm"],
        description="`confirm`: what was found becomes black; `draw`: these boxes too; `drop`: the image is left out; "
        "`mark-safe`: what was found identifies nobody (reviewers).",
    )
    scope: ReviewScope = Field(
        ReviewScope.IMAGE, description="Others that are held, of the same series or from the same kind of device."
    )
    boxes: list[DrawnBox] = Field(default_factory=list, max_length=MOST_BOXES, examples=[[]], description="For `draw`.")
    findings: list[Annotated[int, Field(ge=0)]] | None = Field(
        None,
        max_length=MOST_BOXES,
        examples=[None],
        description="For `confirm` and `mark-safe`: places among `boxes` of the hold, from 0; null for all that wait.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.boxes and self.action is not ReviewAction.DRAW:
            raise ValueError("Boxes are for draw alone.")
        if self.findings is not None and self.action not in {ReviewAction.CONFIRM, ReviewAction.MARK_SAFE}:
            raise ValueError("Findings are for confirm and mark-safe alone.")
        return self

    def decision(self) -> Decision:
        """Return what is asked for."""
        return Decision(
            action=self.action,
            scope=self.scope,
            boxes=tuple(MarkedBox(**box.model_dump()) for box in self.boxes),
            findings=tuple(self.findings) if self.findings is not None else None,
        )


class ReviewedOut(Answer):
    """What a decision reached."""

    action: str = Field(examples=["confirm"])
    holds: list[str] = Field(examples=[[ID_EXAMPLE]], description="Holds that were decided on.")
    left: int = Field(examples=[0], description="Others of the scope that it does not answer; they stay as they are.")
    reruns: list[str] = Field(examples=[[ID_EXAMPLE]], description="Re-runs that look at the images again.")

    @classmethod
    def of(cls, reviewed: Reviewed) -> Self:
        """Describe what was reached."""
        reruns = [errand.id for errand in reviewed.errands]
        return cls(action=reviewed.action, holds=list(reviewed.holds), left=reviewed.left, reruns=reruns)


class NewSiteLayout(Body):
    """A held image whose decided boxes become a rule for all images of its device and format."""

    hold: str = Field(pattern=r"^[0-9a-f]{32}$", examples=[ID_EXAMPLE])
    name: LayoutName = Field(examples=["Ultrasound, room 3"], description="No name of a patient.")


class LayoutSwitch(Body):
    """Whether a rule counts."""

    is_active: bool


class SiteLayoutOut(Answer):
    """A rule for all images of a device and format."""

    id: str = Field(examples=[ID_EXAMPLE])
    layout: str = Field(examples=[ID_EXAMPLE], description="As holds have it.")
    name: str = Field(examples=["Ultrasound, room 3"])
    boxes: list[BoxOut] = Field(description="What becomes black, in every frame.")
    rows: int | None = Field(examples=[768])
    columns: int | None = Field(examples=[1024])
    is_active: bool
    created_by: str = Field(examples=["reviewer-1"])
    created_at: datetime
    changed_by: str = Field(examples=["reviewer-1"])
    changed_at: datetime

    @classmethod
    def of(cls, layout: ShownLayout) -> Self:
        """Describe a rule."""
        values = {name: getattr(layout, name) for name in cls.model_fields if name != "layout"}
        return cls.model_validate({**values, "layout": layout.layout_key})
