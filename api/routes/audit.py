"""The audit log. Reading it is recorded in it, once for all pages of a reading."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.context import Call
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.audit import AuditEntriesOut
from api.schemas.common import Moment
from cases.audit import AuditFilter
from cases.store import AuditReadings

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

PLAIN = r"^[^\x00-\x1f\x7f]+$"
LAST_PLACE = 10**18 - 1
From = Annotated[
    int | None, Query(alias="from", ge=1, le=LAST_PLACE, description="Oldest first, from this place on.", examples=[1])
]
Actor = Annotated[str | None, Query(max_length=200, pattern=PLAIN, description="Who did it.")]
Action = Annotated[
    str | None,
    Query(max_length=64, pattern=r"^[a-z][a-z.-]*$", description="How the action begins, such as `case.`."),
]
Subject = Annotated[str | None, Query(max_length=200, pattern=PLAIN, description="What it was done to.")]
Since = Annotated[Moment | None, Query(description="From this moment on, with its zone.")]
Until = Annotated[Moment | None, Query(description="Before this moment, with its zone.")]


@router.get("", responses=problems(403))
def list_audit_entries(
    call: Call,
    response: Response,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    from_place: From = None,
    actor: Actor = None,
    action: Action = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
) -> AuditEntriesOut:
    """List who did what to which thing, the latest first. A cursor is good for a day, with the filters it came from."""
    filters = AuditFilter(actor=actor, action=action, subject=subject, since=since, until=until)
    terms = (*filters.names, *(("from",) if from_place is not None else ()))
    reading, start = None, from_place
    if cursor is None:
        with call.database.write() as session:
            reading = AuditReadings(session).record(call.caller.name, terms)
    with call.database.read() as session:
        readings = AuditReadings(session)
        if reading is None:
            assert cursor is not None
            reading, start = readings.resume(call.caller.name, terms, cursor)
        page = readings.page(reading, start, filters=filters, newest_first=from_place is None, limit=limit)
    response.headers["Cache-Control"] = "no-store"
    return AuditEntriesOut.of(page)
