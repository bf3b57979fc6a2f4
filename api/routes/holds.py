"""What waits for a person and why: reasons and places, never the text that was found."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Call
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.common import Key, Listed
from api.schemas.intake import HoldItem, HoldOut
from cases.model import HoldState
from cases.store import Holds
from deidentify.results import HoldReason

router = APIRouter(prefix="/api/v1/holds", tags=["holds"])
Reason = Annotated[HoldReason | None, Query()]
State = Annotated[HoldState, Query()]
OfCase = Annotated[Key | None, Query(description="Only holds of this case.")]


@router.get("", responses=problems(403))
def list_holds(
    call: Call,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    case: OfCase = None,
    reason: Reason = None,
    state: State = HoldState.OPEN,
) -> Listed[HoldItem]:
    """List the holds of the caller's cases, for those who see all of everybody's."""
    with call.database.read() as session:
        page = Holds(session, retention_days=call.context.hold_retention_days).list(
            call.caller, cursor=cursor, limit=limit, case_id=case, reason=reason, state=state
        )
    return Listed(items=[HoldItem.model_validate(hold) for hold in page.items], next=page.next_cursor)


@router.get("/{hold_id}", responses=problems(403, 404))
def get_hold(call: Call, *, hold_id: Key) -> HoldOut:
    """Show a hold with the places of what was found."""
    with call.database.read() as session:
        return HoldOut.of(Holds(session, retention_days=call.context.hold_retention_days).get(call.caller, hold_id))
