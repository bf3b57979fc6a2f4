"""Merging drafts, splitting one, and moving studies or series between two."""

from typing import Annotated

from fastapi import APIRouter, Header

from api.context import AuthorizedCall, Call
from api.etags import expected_version
from api.openapi import problems
from api.schemas.common import Key, Listed
from api.schemas.moves import CaseMoveOut, MergeBody, MoveBody, PartBody
from cases.moves import NewMove
from cases.store import Cases

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])

IfMatch = Annotated[str | None, Header(description="The ETag of the case that the request builds on.", max_length=512)]
_PROBLEMS = problems(403, 404, 409, 412, 413)


@router.post("/{case_id}/merge", status_code=202, responses=_PROBLEMS)
def merge_case(call: Call, *, case_id: Key, body: MergeBody, if_match: IfMatch = None) -> CaseMoveOut:
    """Let all of another draft be part of this one: studies, held images and texts; of the other a tombstone stays."""
    return _asked(call, NewMove(from_case=body.from_case, to_case=case_id, is_whole=True), if_match)


@router.post("/{case_id}/split", status_code=202, responses=_PROBLEMS)
def split_case(call: Call, *, case_id: Key, body: PartBody, if_match: IfMatch = None) -> CaseMoveOut:
    """Let studies or series of this draft be a new draft, for which a place has to be free."""
    return _asked(call, body.part_of(case_id), if_match)


@router.post("/{case_id}/move", status_code=202, responses=_PROBLEMS)
def move_images(call: Call, *, case_id: Key, body: MoveBody, if_match: IfMatch = None) -> CaseMoveOut:
    """Let studies or series of this draft go to another draft of the same owner and patient."""
    return _asked(call, body.part_of(case_id, body.to), if_match)


@router.get("/{case_id}/moves", responses=problems(403, 404))
def list_case_moves(call: Call, *, case_id: Key) -> Listed[CaseMoveOut]:
    """List what was merged with this case, split from it and moved, the latest first."""
    _permit(call, case_id)
    return Listed(items=[CaseMoveOut.of(one) for one in call.context.moves.list(case_id)])


def _asked(call: AuthorizedCall, new: NewMove, if_match: str | None) -> CaseMoveOut:
    version = expected_version(if_match)
    for case_id in (new.from_case, new.to_case):
        if case_id:
            _permit(call, case_id)
    return CaseMoveOut.of(call.context.moves.request(call.caller, new, version=version))


def _permit(call: AuthorizedCall, case_id: str) -> None:
    with call.database.read() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
