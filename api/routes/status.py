"""What was received and where it is now: the sum that adds up."""

from fastapi import APIRouter

from api.context import Call
from api.openapi import problems
from api.problems import sentence
from api.schemas.intake import StatusOut
from cases.store import Intake

router = APIRouter(prefix="/api/v1/status", tags=["status"])


@router.get("", responses=problems(403))
def get_status(call: Call) -> StatusOut:
    """Account for every object that was sent."""
    with call.database.read() as session:
        summary = Intake(session).summary()
    return StatusOut.of(summary, warnings=[sentence(text) for text in call.context.readiness.warnings()])
