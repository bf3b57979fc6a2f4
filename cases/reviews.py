"""What a person decides on a held image: what it does to the boxes of the image and of others, and to its hold.

Pure: the store counts, locks and writes; this decides. A refusal is a sentence that says what can be done instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cases.errands import Errand
from cases.errors import InvalidChangeError, InvalidTransitionError, NotAllowedError
from cases.holds import HoldState, HoldSummary
from cases.model import OPEN_STATUSES
from cases.users import Role, User
from deidentify.results import HoldReason, PixelFinding, RegionFate, TextClass
from deidentify.review import NO_REVIEW, MarkedBox, PixelReview

REVIEWERS = frozenset({Role.EDITOR, Role.REVIEWER, Role.ADMIN})
"""Who sees what held images show, whoever they belong to, and may say that it identifies nobody."""
TEACHERS = frozenset({Role.REVIEWER, Role.ADMIN})
"""Who may make a rule for all images of a device."""
ANSWERED_BY_BOXES = frozenset({HoldReason.BURNED_IN_TEXT, HoldReason.UNREADABLE_TEXT})
"""Holds that end where every place of text is decided."""
MOST_BOXES = 500
"""Boxes of one image."""


class ReviewAction(StrEnum):
    """What a person decides."""

    CONFIRM = "confirm"
    """What was found becomes black."""
    DRAW = "draw"
    """These boxes become black too."""
    DROP = "drop"
    """The image is left out."""
    MARK_SAFE = "mark-safe"
    """What was found identifies nobody."""


class ReviewScope(StrEnum):
    """Which held images a decision is for."""

    IMAGE = "image"
    SERIES = "series"
    """Of the same series, of the same size from the same device."""
    LAYOUT = "layout"
    """Of the same size from the same kind of device."""


class HoldEvent(StrEnum):
    """What happens to a hold."""

    MARKED = "marked"
    """Boxes were decided; a re-run looks at the image again."""
    DROPPED = "dropped"
    PASSED = "passed"
    """A re-run with what was decided filed the image."""
    HELD = "held"
    """The machine holds the image, for the first time or again."""
    UNDONE = "undone"
    """The last decision was taken back."""


HOLD_TRANSITIONS: Mapping[tuple[HoldState, HoldEvent], HoldState] = {
    (HoldState.OPEN, HoldEvent.MARKED): HoldState.OPEN,
    (HoldState.OPEN, HoldEvent.DROPPED): HoldState.DISCARDED,
    (HoldState.OPEN, HoldEvent.PASSED): HoldState.RELEASED,
    (HoldState.OPEN, HoldEvent.HELD): HoldState.OPEN,
    (HoldState.OPEN, HoldEvent.UNDONE): HoldState.OPEN,
    (HoldState.RELEASED, HoldEvent.HELD): HoldState.OPEN,
    (HoldState.RELEASED, HoldEvent.UNDONE): HoldState.OPEN,
    (HoldState.DISCARDED, HoldEvent.UNDONE): HoldState.OPEN,
    (HoldState.WITHDRAWN, HoldEvent.HELD): HoldState.OPEN,
}
"""Where a hold goes. What takes a hold away without a decision (its case was removed, a newer header came, nobody
decided in time) ends an open one, whoever looks at it."""
_OVER = {
    HoldState.RELEASED: "it was released: take the last decision back first",
    HoldState.DISCARDED: "it was left out: take that back first",
    HoldState.WITHDRAWN: "it waits for nobody any more: something else became of it",
    HoldState.EXPIRED: "nobody decided in time, and its original is gone",
}


def hold_after(state: HoldState, event: HoldEvent) -> HoldState:
    """Return the state of a hold after an event.

    Raises
    ------
    InvalidTransitionError
        When it does not happen to a hold in this state.
    """
    try:
        return HOLD_TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransitionError(_OVER.get(state, "this does not happen to an open hold")) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person asks for on one held image."""

    action: ReviewAction
    scope: ReviewScope = ReviewScope.IMAGE
    boxes: tuple[MarkedBox, ...] = ()
    """That were drawn."""
    findings: tuple[int, ...] | None = None
    """Places in the findings of the hold, from 0; None for all that wait for somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReview:
    """What was decided on an image, and how often that changed."""

    review: PixelReview = NO_REVIEW
    version: int = 0


NOBODY_DECIDED = KeptReview()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What a decision, or taking one back, reached."""

    action: str
    holds: tuple[str, ...]
    errands: tuple[Errand, ...] = ()
    """Re-runs that look at the images again."""
    new_errands: tuple[str, ...] = ()
    """Those of them that no job works for yet."""
    left: int = 0
    """Others of the scope that wait for something else, and stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLayout:
    """A rule for all images of a device and format."""

    id: str
    layout_key: str
    name: str
    boxes: tuple[MarkedBox, ...]
    rows: int | None
    columns: int | None
    is_active: bool
    created_by: str
    created_at: datetime
    changed_by: str
    changed_at: datetime


# -- who may ---------------------------------------------------------------------------------------------------------


def may_look(viewer: User, hold: HoldSummary) -> bool:
    """Tell whether the viewer may see what a held image shows: reviewers, and owners in their own drafts."""
    is_own_draft = hold.owner == viewer.name and hold.case_status in OPEN_STATUSES
    return viewer.role in REVIEWERS or (is_own_draft and viewer.role is Role.CONTRIBUTOR)


def may_mark_safe(viewer: User) -> bool:
    """Tell whether the viewer may say that text identifies nobody."""
    return viewer.role in REVIEWERS


def check_may_decide(viewer: User, hold: HoldSummary, action: ReviewAction | None = None) -> None:
    """Refuse whoever may not decide this.

    Raises
    ------
    NotAllowedError
        With what that takes.
    """
    if not may_look(viewer, hold):
        if hold.owner == viewer.name and viewer.role is Role.CONTRIBUTOR:
            raise NotAllowedError("the case is no draft any more: a reviewer decides on its held images now")
        raise NotAllowedError("only reviewers, and owners in their own drafts, decide on held images")
    if action is ReviewAction.MARK_SAFE and not may_mark_safe(viewer):
        raise NotAllowedError(
            "only a reviewer can say that text identifies nobody: confirm the boxes, drop the image, or leave it held"
        )


# -- what it does ----------------------------------------------------------------------------------------------------


def check_answers(hold: HoldSummary, action: ReviewAction) -> None:
    """Refuse boxes where no box answers the hold.

    Raises
    ------
    InvalidTransitionError
        With what can be done instead.
    """
    if action is ReviewAction.DROP or hold.reason in ANSWERED_BY_BOXES:
        return
    if hold.reason is HoldReason.RECOGNIZABLE_FACE:
        if action is ReviewAction.MARK_SAFE:
            return
        raise InvalidTransitionError(
            "it is held for a face that could be seen, which no box answers: a reviewer marks it safe, or it is dropped"
        )
    raise InvalidTransitionError(
        f"it is held for {hold.reason.value.replace('-', ' ')}, which no box answers: "
        "it can only be dropped, or stays held"
    )


def chosen_boxes(hold: HoldSummary, decision: Decision) -> tuple[MarkedBox, ...]:
    """Return the boxes that a decision is about, in the frames of the image itself.

    Raises
    ------
    InvalidChangeError
        When there are none, or one is not in the image.
    """
    if hold.reason is HoldReason.RECOGNIZABLE_FACE:
        return ()
    match decision.action:
        case ReviewAction.DROP:
            return ()
        case ReviewAction.DRAW:
            chosen = decision.boxes
            if not chosen:
                raise InvalidChangeError("nothing was drawn: give at least one box")
        case _:
            chosen = tuple(_box_of(found) for found in _chosen_findings(hold, decision))
    for box in chosen:
        _check_inside(box, hold)
    return chosen


def _chosen_findings(hold: HoldSummary, decision: Decision) -> list[PixelFinding]:
    numbers = decision.findings
    if numbers is None:
        # What becomes black by itself is never called harmless unseen: it has to be named.
        waits = _is_held if decision.action is ReviewAction.MARK_SAFE else _waits
        chosen = [found for found in hold.findings if waits(found) and not found.layer]
        if not chosen:
            raise InvalidChangeError(
                "nothing that was found in the pixels waits for anybody: draw boxes, or drop the image"
            )
        return chosen
    if not numbers or not all(0 <= number < len(hold.findings) for number in numbers):
        raise InvalidChangeError(f"findings are counted from 0 to {len(hold.findings) - 1}: name at least one of them")
    chosen = [hold.findings[number] for number in sorted(set(numbers))]
    if any(found.layer for found in chosen):
        raise InvalidChangeError("a finding lies beside the pixel data, where no box reaches: drop the image")
    return chosen


def _waits(found: PixelFinding) -> bool:
    return found.text_class is not TextClass.SAFE and found.fate is not RegionFate.KEPT


def _is_held(found: PixelFinding) -> bool:
    return _waits(found) and found.fate is RegionFate.HELD


def _box_of(found: PixelFinding) -> MarkedBox:
    return MarkedBox(frame=found.frame, x=found.x, y=found.y, width=found.width, height=found.height)


def _check_inside(box: MarkedBox, hold: HoldSummary) -> None:
    if min(box.x, box.y) < 0 or min(box.width, box.height) < 1:
        raise InvalidChangeError("a box begins inside the image and is at least one pixel wide and high")
    if hold.columns is not None and hold.rows is not None:
        if box.x + box.width > hold.columns or box.y + box.height > hold.rows:
            raise InvalidChangeError(
                f"a box ends outside the image, which has {hold.columns} columns and {hold.rows} rows"
            )
        if box.frame is not None and not 0 <= box.frame < (hold.frames or 1):
            raise InvalidChangeError(f"frames are counted from 0, and the image has {hold.frames or 1}")


def decided(
    before: PixelReview,
    action: ReviewAction,
    boxes: Sequence[MarkedBox],
    *,
    is_itself: bool,
    is_face: bool = False,
) -> PixelReview:
    """Return what is decided on an image after a decision on it, or on another one of its series or layout.

    What becomes black elsewhere does so in every frame there; what may stay does only in the same one. ``is_face``
    tells that the image waits for somebody to think of the face that could be seen in it.
    """
    match action:
        case ReviewAction.DROP:
            return before
        case ReviewAction.MARK_SAFE if is_face:
            after = replace(before, accepts_face=True)
        case ReviewAction.MARK_SAFE if is_itself:
            after = replace(before, safe=_joined(before.safe, boxes))
        case ReviewAction.MARK_SAFE:
            after = replace(before, safe_elsewhere=_joined(before.safe_elsewhere, boxes))
        case _:
            here = boxes if is_itself else [replace(box, frame=None) for box in boxes]
            after = replace(before, redact=_joined(before.redact, here))
    if max(len(after.redact), len(after.safe), len(after.safe_elsewhere)) > MOST_BOXES:
        raise InvalidChangeError(f"more than {MOST_BOXES} boxes on one image: draw larger ones, or drop it")
    return after


def carried(review: PixelReview) -> PixelReview:
    """Return what is decided on a picture that came in again under another header.

    What a reviewer let stand was seen beside the header of that time: beside this one it may be the patient's name.
    """
    return replace(review, safe=(), safe_elsewhere=_joined(review.safe_elsewhere, review.safe))


def _joined(before: Sequence[MarkedBox], more: Sequence[MarkedBox]) -> tuple[MarkedBox, ...]:
    return tuple(dict.fromkeys((*before, *more)))


# -- to JSON and back ------------------------------------------------------------------------------------------------


def boxes_values(boxes: Sequence[MarkedBox]) -> list[dict[str, Any]]:
    """Return what the database keeps of boxes."""
    return [asdict(box) for box in boxes]


def boxes_of(values: Sequence[Mapping[str, Any]]) -> tuple[MarkedBox, ...]:
    """Return the boxes that the database kept."""
    return tuple(MarkedBox(**box) for box in values)


def review_values(review: PixelReview) -> dict[str, Any]:
    """Return what the database keeps of a review."""
    return {
        "redact": boxes_values(review.redact),
        "safe": boxes_values(review.safe),
        "safe_elsewhere": boxes_values(review.safe_elsewhere),
        "accepts_face": review.accepts_face,
    }


def review_of(values: Mapping[str, Any]) -> PixelReview:
    """Return the review that the database kept."""
    return PixelReview(
        redact=boxes_of(values["redact"]),
        safe=boxes_of(values["safe"]),
        safe_elsewhere=boxes_of(values["safe_elsewhere"]),
        accepts_face=bool(values.get("accepts_face")),
    )
