"""Whether the process lives, whether it can work, and its figures: for supervisors, without a token."""

import logging

from fastapi import APIRouter, Response

from api.context import Here
from api.metrics import CONTENT_TYPE
from api.openapi import problems
from api.problems import problem_response, sentence
from api.schemas.intake import Health, Ready

_FIGURES = {200: {"content": {"text/plain": {}}}, **problems(is_open=True)}
router = APIRouter(tags=["health"])
_log = logging.getLogger("casebridge.api")


@router.get("/healthz", responses=problems(is_open=True))
async def get_health(here: Here) -> Health:
    """Say that the process answers."""
    return Health(status="ok", version=here.version)


@router.get("/readyz", responses=problems(503, is_open=True), response_model=Ready)
def get_readiness(here: Here) -> Ready | Response:
    """Say whether everything that is needed works, and if not, what does not."""
    try:
        faults = list(here.readiness.faults())
        warnings = [] if faults else [sentence(warning) for warning in here.readiness.warnings()]
    except Exception as error:  # noqa: BLE001 - a check that fails is a fault, not an error of ours
        _log.warning("readiness could not be checked", extra={"error": type(error).__name__})
        faults, warnings = ["readiness could not be checked"], []
    if faults:
        return problem_response(503, kind="urn:casebridge:problem:not-ready", detail=" ".join(map(sentence, faults)))
    return Ready(status="ready", warnings=warnings)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **problems(is_open=True)}
)
def get_metrics(here: Here) -> Response:
    """Give the figures as Prometheus reads them."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE)
