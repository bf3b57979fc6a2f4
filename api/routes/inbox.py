"""Drafts without an owner: who recognises one takes it."""

from fastapi import APIRouter, Response

from api.context import Call
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.cases import CaseItem, InboxItem
from api.schemas.common import Key, Listed
from cases.model import CaseFilter, CaseScope
from cases.store import Audit, Cases

router = APIRouter(prefix="/api/v1/inbox", tags=["inbox"])


@router.get("", responses=problems(403))
def list_inbox(call: Call, *, limit: Limit = 50, cursor: Cursor = None) -> Listed[InboxItem]:
    """List the drafts without an owner: sender, arrival and modality."""
    with call.database.read() as session:
        page = Cases(session).list(call.caller, cursor=cursor, limit=limit, filters=CaseFilter(scope=CaseScope.INBOX))
    return Listed(items=[InboxItem.of(case) for case in page.items], next=page.next_cursor)


@router.post("/{case_id}/claim", responses=problems(403, 404, 409))
def claim_case(call: Call, *, case_id: Key, response: Response) -> CaseItem:
    """Take a draft of the inbox, if one of the caller's places for drafts is free."""
    with call.database.write() as session:
        summary = Cases(session).claim(call.caller, case_id).summary
        Audit(session).append(call.caller.name, "case.claim", case_id)
    response.headers["Content-Location"] = f"/api/v1/cases/{case_id}"
    return CaseItem.of(summary)
