"""Which profile a route has: to be seen, set, and taken back."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Call
from api.openapi import problems
from api.schemas.profile_routes import REPLACES, SPELLED, RouteOnly, RouteOut, RoutesOut, RouteToSet
from cases.profiles import ANY

router = APIRouter(prefix="/api/v1/profiles/routes", tags=["profiles"])

CalledAe = Annotated[str, Query(min_length=1, max_length=16, description="The AE title that is sent to.")]
CallingAe = Annotated[str, Query(min_length=1, max_length=16, description="The AE title that sends; `*` for all.")]
Replaces = Annotated[str | None, Query(pattern=SPELLED, description=REPLACES)]


@router.get("", responses=problems(403))
def list_profile_routes(call: Call) -> RoutesOut:
    """List which profile each route has: what was set here, and the settings where nothing goes before them."""
    return RoutesOut(items=[RouteOut.of(one) for one in call.context.profiles.routes()])


@router.get("/history", responses=problems(403))
def get_profile_route_history(call: Call, *, called_ae: CalledAe, calling_ae: CallingAe = ANY) -> RoutesOut:
    """List what was set for a route, the latest first."""
    return RoutesOut(items=[RouteOut.of(one) for one in call.context.profiles.route_history(called_ae, calling_ae)])


@router.put("", responses=problems(403, 404, 409, 412, 413))
def set_profile_route(call: Call, *, body: RouteToSet) -> RouteOut:
    """Give a route a profile, its newest revision or a pinned one; a name that is only a file is published with it."""
    done = call.context.profiles.set_route(
        call.caller.name,
        body.called_ae,
        body.calling_ae,
        name=body.name,
        revision=body.revision or "",
        replaces=body.replaces,
    )
    return RouteOut.of(done)


@router.delete("", responses=problems(403, 409, 412))
def clear_profile_route(
    call: Call, *, called_ae: CalledAe, calling_ae: CallingAe = ANY, replaces: Replaces = None
) -> RouteOut:
    """Leave the profile of a route to the settings again; what was set stays in its history."""
    return RouteOut.of(
        call.context.profiles.roll_back_route(
            call.caller.name, called_ae, calling_ae, to_settings=True, replaces=replaces
        )
    )


@router.post("/rollback", responses=problems(403, 409, 412, 413))
def roll_back_profile_route(call: Call, *, body: RouteOnly) -> RouteOut:
    """Give a route the profile that it had before, or leave it to the settings where it had none."""
    done = call.context.profiles.roll_back_route(
        call.caller.name, body.called_ae, body.calling_ae, replaces=body.replaces
    )
    return RouteOut.of(done)
