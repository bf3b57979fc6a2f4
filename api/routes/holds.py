"""What waits for a person and why, how it looks, and what is decided on it.

Places and reasons are for whoever sees the case. What the image shows is for reviewers, and owners in their own drafts.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from api.context import AuthorizedCall, Call
from api.errors import ForbiddenError, InvalidRequestError
from api.etags import expected_version, tag_of
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.common import Key
from api.schemas.holds import HoldItem, HoldList, HoldOut, NewDecision, ReviewedOut
from cases.holds import HoldFilter, HoldOrder, HoldState, HoldSummary
from cases.reviews import NOBODY_DECIDED, ReviewAction, check_may_decide, may_look
from cases.store import Holds, Reviews
from cases.store.clock import now as clock_now
from deidentify.results import HoldReason

router = APIRouter(prefix="/api/v1/holds", tags=["holds"])
MAX_SIDE = 4096
_NOT_KEPT = {"Cache-Control": "no-store"}
_PNG: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The frame as PNG. It may identify the patient.",
        "content": {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}},
    }
}

Reason = Annotated[HoldReason | None, Query()]
State = Annotated[HoldState, Query()]
OfCase = Annotated[Key | None, Query(description="Only holds of this case.")]
OfSeries = Annotated[Key | None, Query(description="Only holds with this `series`.")]
OfLayout = Annotated[Key | None, Query(description="Only holds with this `layout`.")]
Order = Annotated[HoldOrder, Query(description="`worst`: text that identifies first, then what could not be read.")]
Frame = Annotated[int, Path(ge=0, le=1_000_000, description="From 0.")]
Boxes = Annotated[bool, Query(description="Whether boxes are drawn around what was found and decided.")]
WithText = Annotated[bool, Query(description="Whether what was read is told to those who may know it.")]
Size = Annotated[int | None, Query(ge=16, le=MAX_SIDE, description="The longest side; never larger than the frame.")]
IfMatch = Annotated[
    str | None,
    Header(description="The ETag of the hold that was looked at; `mark-safe` needs it.", max_length=512),
]


@router.get("", responses=problems(403))
def list_holds(
    call: Call,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    order: Order = HoldOrder.WORST,
    case: OfCase = None,
    series: OfSeries = None,
    layout: OfLayout = None,
    reason: Reason = None,
    state: State = HoldState.OPEN,
) -> HoldList:
    """List the holds of the caller's cases, for those who see all of everybody's, with the age of the queue."""
    filters = HoldFilter(case_id=case, series_key=series, layout_key=layout, reason=reason, state=state)
    now = clock_now()
    with call.database.read() as session:
        holds = Holds(session, retention_days=call.context.hold_retention_days)
        page = holds.list(call.caller, cursor=cursor, limit=limit, order=order, filters=filters)
        queue = holds.queue(call.caller, filters)
    items = [HoldItem.item(hold, call.caller, now) for hold in page.items]
    return HoldList.of(items, following=page.next_cursor, queue=queue, now=now)


@router.get("/{hold_id}", responses=problems(403, 404))
def get_hold(call: Call, response: Response, *, hold_id: Key, text: WithText = True) -> HoldOut:
    """Show a hold with the places of what was found; what was read there only to those who may see the image."""
    with call.database.read() as session:
        hold = _seen(call, Holds(session, retention_days=call.context.hold_retention_days), hold_id)
        kept = Reviews(session).of([hold.arrival_id]).get(hold.arrival_id, NOBODY_DECIDED)
    identified_texts = (
        call.context.decisions.identified_texts(call.caller.name, hold)
        if text and may_look(call.caller, hold)
        else [None] * len(hold.findings)
    )
    response.headers.update({**_NOT_KEPT, "ETag": tag_of(f"{hold.id} {hold.state}", version=hold.version)})
    return HoldOut.of(hold, call.caller, clock_now(), kept=kept, identified_texts=identified_texts)


@router.get(
    "/{hold_id}/frames/{frame}",
    response_class=Response,
    responses={**_PNG, **problems(403, 404, 410)},
)
def get_held_frame(call: Call, *, hold_id: Key, frame: Frame, boxes: Boxes = False, size: Size = None) -> Response:
    """Show a frame of the original in its full range. It may identify the patient."""
    with call.database.read() as session:
        hold = _seen(call, Holds(session, retention_days=call.context.hold_retention_days), hold_id)
        kept = Reviews(session).of([hold.arrival_id]).get(hold.arrival_id, NOBODY_DECIDED)
    if not may_look(call.caller, hold):
        raise ForbiddenError("The case is no draft any more: only reviewers see what its held images show.")
    drawn = kept.review if boxes else None
    identified_png = call.context.decisions.identified_frame(call.caller.name, hold, frame, boxes=drawn, size=size)
    return Response(identified_png, media_type="image/png", headers=_NOT_KEPT)


@router.post("/{hold_id}/decision", responses=problems(403, 404, 409, 412, 413))
def decide_hold(call: Call, *, hold_id: Key, body: NewDecision, if_match: IfMatch = None) -> ReviewedOut:
    """Decide on a held image, and on others of its series or layout; all but `drop` is looked at again by a re-run."""
    with call.database.read() as session:
        check_may_decide(call.caller, _seen(call, Holds(session), hold_id), body.action)
    version = expected_version(if_match)
    if body.action is ReviewAction.MARK_SAFE and version is None:
        raise InvalidRequestError("Send the ETag of the hold as If-Match: it says which findings you looked at.")
    return ReviewedOut.of(call.context.decisions.decide(call.caller, hold_id, body.decision(), version=version))


@router.post("/{hold_id}/undo", responses=problems(403, 404, 409))
def undo_decision(call: Call, *, hold_id: Key) -> ReviewedOut:
    """Take the last decision on this image back, while its original is there; what it reached beside stays decided."""
    with call.database.read() as session:
        _seen(call, Holds(session), hold_id)
    return ReviewedOut.of(call.context.decisions.undo(call.caller, hold_id))


def _seen(call: AuthorizedCall, holds: Holds, hold_id: str) -> HoldSummary:
    """Return a hold that the caller may make this call about."""
    hold = holds.get(call.caller, hold_id)
    call.permit(hold.owner)
    return hold
