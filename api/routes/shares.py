"""Links to an unlisted case, in its owner's hands. What they show is in ``shared``."""

from collections import Counter
from datetime import timedelta

from fastapi import APIRouter, Response

from api.context import Call
from api.openapi import problems
from api.schemas.common import Key, Listed
from api.schemas.shares import NewShare, NewShareOut, ShareOut
from cases.errors import IdentifyingTextError
from cases.store import Audit, Cases, Shares

router = APIRouter(prefix="/api/v1/cases/{case_id}/shares", tags=["shares"])


@router.get("", responses=problems(403, 404))
def list_shares(call: Call, *, case_id: Key) -> Listed[ShareOut]:
    """List the links that a case had, the newest first, with their use; their tokens cannot be read again."""
    with call.database.read() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        links = Shares(session).list(case_id)
    return Listed(items=[ShareOut.model_validate(link) for link in links])


@router.post("", status_code=201, responses=problems(403, 404, 409, 413))
def create_share(call: Call, *, case_id: Key, body: NewShare) -> NewShareOut:
    """Make a link that shows an unlisted case to whoever has it, without an account, until it ends."""
    try:
        with call.database.write() as session:
            call.permit_case(Cases(session).standing(call.caller, case_id))
            link, token = Shares(session).make(
                call.caller,
                case_id,
                label=body.label,
                lasts=timedelta(days=body.days),
                screen=call.context.text_screen,
            )
            Audit(session).append(call.caller.name, "share.create", case_id, {"link": link.id, "days": body.days})
    except IdentifyingTextError as error:
        # As with every text of a case: names that are tried until one is refused have to be seen.
        reasons = Counter(found.finding.reason.value for found in error.findings)
        with call.database.write() as session:
            Audit(session).append(call.caller.name, "share.create-refused", case_id, dict(reasons))
        raise
    return NewShareOut(token=token, path=f"/api/v1/shared/{token}", link=ShareOut.model_validate(link))


@router.delete("/{share_id}", status_code=204, responses=problems(403, 404))
def revoke_share(call: Call, *, case_id: Key, share_id: Key) -> Response:
    """End a link at once."""
    with call.database.write() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        Shares(session).revoke(case_id, share_id)
        Audit(session).append(call.caller.name, "share.revoke", case_id, {"link": share_id})
    return Response(status_code=204)
