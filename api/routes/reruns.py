"""Cases made anew under another revision of a profile: asked for, watched, and decided where others see the case."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Call
from api.openapi import problems
from api.schemas.common import Key, Listed
from api.schemas.reruns import CaseRerunOut, NewReruns, RerunCandidateOut, RerunOut, Revision
from cases.errands import ErrandState
from cases.reruns import RerunCandidate
from cases.store import Cases

router = APIRouter(prefix="/api/v1", tags=["reruns"])

State = Annotated[ErrandState | None, Query()]


@router.get("/reruns", responses=problems(403))
def list_reruns(call: Call, *, state: State = None) -> Listed[RerunOut]:
    """List the latest hundred re-runs; `in-review` are those that wait for an editor."""
    return Listed(items=[RerunOut.of(one) for one in call.context.reruns.list(state=state)])


@router.get("/reruns/candidates", responses=problems(403, 404))
def list_rerun_candidates(call: Call, *, made_under: Annotated[Revision, Query()]) -> Listed[RerunCandidateOut]:
    """List the cases that have a revision, those whose originals are gone among them; nothing is asked for."""
    return Listed(items=[RerunCandidateOut.of(one) for one in call.context.reruns.candidates(made_under)])


@router.post("/reruns", status_code=202, responses=problems(403, 404, 409, 413))
def request_reruns(call: Call, *, body: NewReruns) -> Listed[RerunCandidateOut]:
    """Make one case anew, or all that have a revision; each answer tells what was asked for, or why nothing was."""
    reruns, actor = call.context.reruns, call.caller.name
    if body.case_id is None:
        assert body.made_under is not None
        found = reruns.request_all(actor, body.made_under, body.profile)
        return Listed(items=[RerunCandidateOut.of(one) for one in found])
    asked = reruns.request(actor, body.case_id, body.profile)
    plan = reruns.plan(body.case_id).plan
    return Listed(items=[RerunCandidateOut.of(RerunCandidate(plan=plan, errand=asked))])


@router.get("/reruns/{rerun_id}", responses=problems(403, 404))
def get_rerun(call: Call, *, rerun_id: Key) -> RerunOut:
    """Show a re-run, and what it changes in its case."""
    return RerunOut.of(call.context.reruns.get(rerun_id))


@router.post("/reruns/{rerun_id}/apply", responses=problems(403, 404, 409))
def apply_rerun(call: Call, *, rerun_id: Key) -> RerunOut:
    """Bring into a case that others may see what waits for this decision."""
    return RerunOut.of(call.context.reruns.decide(call.caller.name, rerun_id, applies=True))


@router.post("/reruns/{rerun_id}/discard", responses=problems(403, 404, 409))
def discard_rerun(call: Call, *, rerun_id: Key) -> RerunOut:
    """Leave the case as it is; what was made goes. One that is queued or runs is called off."""
    return RerunOut.of(call.context.reruns.decide(call.caller.name, rerun_id, applies=False))


@router.get("/cases/{case_id}/reruns", responses=problems(403, 404))
def list_case_reruns(call: Call, *, case_id: Key) -> Listed[CaseRerunOut]:
    """List what was made anew in a case, the latest first: its owner sees what changed."""
    with call.database.read() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
    return Listed(items=[CaseRerunOut.of(one) for one in call.context.reruns.list(case_id=case_id)])
