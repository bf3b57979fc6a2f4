"""The ways of a case to others and back: submitting, publishing, accepting, giving back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Response

from api.context import AuthorizedCall, Call
from api.etags import expected_version
from api.openapi import problems
from api.paging import Cursor, Limit
from api.routes.cases import IfMatch, answer
from api.schemas.cases import CaseOut
from api.schemas.common import Key, Listed
from api.schemas.moderation import (
    Acceptance,
    CaseEventOut,
    CompletenessOut,
    MissingOut,
    NewVisibility,
    PendingCase,
    PushBack,
    Readiness,
    Submission,
    Vocabularies,
)
from cases.model import CaseDetail, CaseLevel, CaseModality, CaseSystem, Certainty, ConsentKind, Sex, Visibility
from cases.publication import LICENCE, PushBackReason
from cases.store import Audit, Cases, Moderation

router = APIRouter(prefix="/api/v1", tags=["moderation"])
_MOVES = problems(403, 404, 409, 412, 413)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One transaction in which a case is moved and that is written down."""

    call: AuthorizedCall
    moderation: Moderation
    audit: Audit

    def moved(self, action: str, case: CaseDetail, more: Mapping[str, str | bool] | None = None) -> Response:
        """Write down what was done, and return the case as it is now."""
        summary = case.summary
        now = {"status": summary.status.value, "visibility": summary.visibility.value, "version": summary.version}
        self.audit.append(self.call.caller.name, action, summary.id, {**(more or {}), **now})
        return answer(CaseOut.of_detail(case), summary.version)


@contextmanager
def _desk(call: AuthorizedCall, case_id: str) -> Iterator[_Desk]:
    with call.database.write() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        yield _Desk(call=call, moderation=Moderation(session, call.context.text_screen), audit=Audit(session))


@router.post("/cases/{case_id}/submission", response_model=CaseOut, responses=_MOVES)
def submit_case(call: Call, *, case_id: Key, body: Submission, if_match: IfMatch = None) -> Response:
    """Let a draft out: published at once where no editor has to see it first, else in review.

    Whatever it lacks is told at once, each with what to do; nothing is changed then.
    """
    version = expected_version(if_match)
    with _desk(call, case_id) as desk:
        detail = desk.moderation.submit(call.caller, case_id, body.visibility, version=version)
        response = desk.moved("case.submit", detail, {"asked": body.visibility.value})
    with call.database.write() as session:  # a place among the drafts is free
        Cases(session).promote_waiting()
    return response


@router.delete("/cases/{case_id}/submission", response_model=CaseOut, responses=_MOVES)
def take_back_case(call: Call, *, case_id: Key) -> Response:
    """Take a case out of review; it becomes a draft again, if one of your places is free."""
    with _desk(call, case_id) as desk:
        return desk.moved("case.take-back", desk.moderation.take_back(call.caller, case_id))


@router.put("/cases/{case_id}/visibility", response_model=CaseOut, responses=_MOVES)
def set_case_visibility(call: Call, *, case_id: Key, body: NewVisibility, if_match: IfMatch = None) -> Response:
    """Make a published case unlisted, or an unlisted one public; the latter goes to an editor who has not seen it."""
    version = expected_version(if_match)
    with _desk(call, case_id) as desk:
        detail = desk.moderation.show(call.caller, case_id, body.visibility, version=version)
        return desk.moved("case.show", detail, {"asked": body.visibility.value})


@router.post("/cases/{case_id}/acceptance", response_model=CaseOut, responses=_MOVES)
def accept_case(call: Call, *, case_id: Key, body: Acceptance) -> Response:
    """Let others see a case in review; not your own."""
    with _desk(call, case_id) as desk:
        detail = desk.moderation.accept(
            call.caller, case_id, accepts_probable=body.accepts_probable, message=body.message
        )
        return desk.moved("case.accept", detail, {"accepts_probable": body.accepts_probable})


@router.post("/cases/{case_id}/push-back", response_model=CaseOut, responses=_MOVES)
def push_back_case(call: Call, *, case_id: Key, body: PushBack) -> Response:
    """Give a case in review, or a published one, back to its owner as a draft."""
    with _desk(call, case_id) as desk:
        detail = desk.moderation.push_back(call.caller, case_id, body.reason, body.message)
        return desk.moved("case.push-back", detail, {"reason": body.reason.value})


@router.get("/cases/{case_id}/history", responses=problems(403, 404))
def get_case_history(call: Call, *, case_id: Key) -> Listed[CaseEventOut]:
    """Show every step that a case went, the first of them first."""
    with call.database.read() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        steps = Moderation(session, call.context.text_screen).history(case_id)
    return Listed(items=[CaseEventOut.of(step) for step in steps])


@router.get("/cases/{case_id}/readiness", responses=problems(403, 404))
def get_case_readiness(call: Call, *, case_id: Key) -> Readiness:
    """Show what a case lacks on each way out, and how complete it is."""
    with call.database.read() as session:
        detail = Cases(session).get(call.caller, case_id)
        call.permit_case(detail.summary)
        moderation = Moderation(session, call.context.text_screen)
        public, unlisted = (
            [MissingOut.of(fault) for fault in moderation.readiness(detail, visibility)]
            for visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
        )
        score = moderation.completeness(detail)
    return Readiness(public=public, unlisted=unlisted, completeness=CompletenessOut.of(score))


@router.get("/moderation", responses=problems(403))
def list_pending_cases(call: Call, *, limit: Limit = 50, cursor: Cursor = None) -> Listed[PendingCase]:
    """List the cases in review, the one that waits longest first."""
    with call.database.read() as session:
        page = Moderation(session, call.context.text_screen).queue(cursor=cursor, limit=limit)
    items = [PendingCase.for_editor(case, call.caller.name) for case in page.items]
    return Listed(items=items, next=page.next_cursor)


@router.get("/vocabularies", responses=problems(403))
def get_vocabularies(_call: Call) -> Vocabularies:
    """List the terms that fields of a case take."""
    return Vocabularies(
        modalities=list(CaseModality),
        systems=list(CaseSystem),
        certainties=list(Certainty),
        levels=list(CaseLevel),
        sexes=list(Sex),
        consent_kinds=list(ConsentKind),
        push_back_reasons=list(PushBackReason),
        licence=LICENCE,
    )
