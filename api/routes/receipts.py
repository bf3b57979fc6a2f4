"""A receipt for each study: what became of all that was sent, and whether all of it is there."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.authorization import SEES_ACCESSION
from api.context import AuthorizedCall, Call
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.common import Listed, Moment
from api.schemas.receipts import CODE_EXAMPLE, ReceiptItem, ReceiptOut
from cases.evidence import ReceiptState
from cases.store import Receipts
from cases.store.receipts import ReceiptFilter

router = APIRouter(prefix="/api/v1/receipts", tags=["receipts"])

State = Annotated[
    ReceiptState | None,
    Query(description="A page may have fewer receipts than its limit, and go on: the state is found by looking."),
]
Sender = Annotated[
    str | None, Query(max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$", description="A calling AE title.")
]
Since = Annotated[Moment | None, Query(description="Only studies of which something arrived since.")]
Code = Annotated[str, Path(max_length=20, examples=[CODE_EXAMPLE], description="In any case; O is read as 0.")]
_NOT_KEPT = {"Cache-Control": "no-store"}


@router.get("", responses=problems(403))
def list_receipts(
    call: Call,
    response: Response,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: State = None,
    sender: Sender = None,
    since: Since = None,
) -> Listed[ReceiptItem]:
    """List the receipts of the caller's studies, for those who see all of everybody's, the latest first."""
    filters = ReceiptFilter(state=state, sender=sender, since=since)
    with call.database.read() as session:
        page = Receipts(session).list(call.caller, cursor=cursor, limit=limit, filters=filters)
    response.headers.update(_NOT_KEPT)
    items = [
        ReceiptItem.of(one, viewer=_viewer(call), identified_accession_end=_accession_end(call, one.study_key))
        for one in page.items
    ]
    return Listed(items=items, next=page.next_cursor)


@router.get("/{code}", responses=problems(403, 404))
def get_receipt(call: Call, response: Response, *, code: Code) -> ReceiptOut:
    """Show a receipt with its classes, reasons, associations and series."""
    with call.database.read() as session:
        found = Receipts(session).get(call.caller, code)
    response.headers.update(_NOT_KEPT)
    end = _accession_end(call, found.summary.study_key)
    return ReceiptOut.of_receipt(found, viewer=_viewer(call), identified_accession_end=end)


def _viewer(call: AuthorizedCall) -> str | None:
    """Return whose cases alone are shown, None for all."""
    return None if call.caller.sees_all else call.caller.name


def _accession_end(call: AuthorizedCall, study_key: str) -> str | None:
    """Return what identifies the study, for those alone who answer to its sender or for its patient."""
    if call.caller.role not in SEES_ACCESSION:
        return None
    return call.context.marks.identified_accession_end(study_key)
