"""Featured cases and the case of the month: picked by editors, read by everybody."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.context import Call
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.common import Key, Listed
from api.schemas.featured import FeaturedOut, PickedCase
from cases.featured import FeaturedCase
from cases.store import Audit, Collector, Database, Featured

router = APIRouter(prefix="/api/v1/featured", tags=["featured"])

Month = Annotated[str, Path(pattern=r"^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])$", description="In UTC.", examples=["2026-11"])]


@router.get("", responses=problems(403))
def list_featured(call: Call, *, limit: Limit = 50, cursor: Cursor = None) -> Listed[FeaturedOut]:
    """List the featured cases, the latest first; cases of the month among them, with their month."""
    with call.database.read() as session:
        page = Featured(session).list(cursor=cursor, limit=limit)
        collectors = Collector(session).of_owners(one.case for one in page.items)
    return Listed(items=[FeaturedOut.of(one, collectors) for one in page.items], next=page.next_cursor)


@router.put("/{case_id}", responses=problems(403, 404, 409))
def feature_case(call: Call, *, case_id: Key) -> FeaturedOut:
    """Feature a public case."""
    with call.database.write() as session:
        featured = Featured(session).feature(call.caller.name, case_id)
        Audit(session).append(call.caller.name, "case.feature", case_id)
    return _shown(call.database, featured)


@router.delete("/{case_id}", status_code=204, responses=problems(403, 404))
def stop_featuring_case(call: Call, *, case_id: Key) -> Response:
    """Feature a case no more; it is the case of no month then."""
    with call.database.write() as session:
        Featured(session).drop(case_id)
        Audit(session).append(call.caller.name, "case.feature-ended", case_id)
    return Response(status_code=204)


@router.put("/months/{month}", responses=problems(403, 404, 409, 413))
def pick_case_of_month(call: Call, *, month: Month, body: PickedCase) -> FeaturedOut:
    """Make a public case the case of a month: one that was first published in the month before."""
    with call.database.write() as session:
        featured = Featured(session).pick(call.caller.name, body.case_id, month)
        Audit(session).append(call.caller.name, "case.month-pick", body.case_id, {"month": month})
    return _shown(call.database, featured)


@router.delete("/months/{month}", status_code=204, responses=problems(403, 404))
def clear_case_of_month(call: Call, *, month: Month) -> Response:
    """Leave a month without its case, which stays featured."""
    with call.database.write() as session:
        case_id = Featured(session).clear_month(month)
        Audit(session).append(call.caller.name, "case.month-clear", case_id, {"month": month})
    return Response(status_code=204)


def _shown(database: Database, featured: FeaturedCase) -> FeaturedOut:
    with database.read() as session:
        return FeaturedOut.of(featured, Collector(session).of_owners([featured.case]))
