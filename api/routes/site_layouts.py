"""Rules for all images of a device and format, learned from held images that somebody decided on."""

from fastapi import APIRouter

from api.context import Call
from api.openapi import problems
from api.schemas.common import Key, Listed
from api.schemas.holds import LayoutSwitch, NewSiteLayout, SiteLayoutOut
from cases.store import Audit, SiteLayouts

router = APIRouter(prefix="/api/v1/site-layouts", tags=["holds"])


@router.get("", responses=problems(403))
def list_site_layouts(call: Call) -> Listed[SiteLayoutOut]:
    """List the rules, those that are switched off among them."""
    with call.database.read() as session:
        return Listed(items=[SiteLayoutOut.of(one) for one in SiteLayouts(session).list()])


@router.post("", status_code=201, responses=problems(403, 404, 409, 413))
def learn_site_layout(call: Call, *, body: NewSiteLayout) -> SiteLayoutOut:
    """Make a rule of the boxes that become black in a held image; a rule that is there gets them too."""
    with call.database.write() as session:
        layout = SiteLayouts(session).learn(call.caller, body.hold, body.name)
        detail = {"boxes": len(layout.boxes)}
        Audit(session).append(call.caller.name, "layout.learn", f"layout {layout.id}", {"hold": body.hold, **detail})
    return SiteLayoutOut.of(layout)


@router.patch("/{layout_id}", responses=problems(403, 404, 413))
def switch_site_layout(call: Call, *, layout_id: Key, body: LayoutSwitch) -> SiteLayoutOut:
    """Let a rule count, or not; images that are made already stay as they are."""
    with call.database.write() as session:
        layout = SiteLayouts(session).switch(call.caller, layout_id, is_active=body.is_active)
        detail = {"is_active": body.is_active}
        Audit(session).append(call.caller.name, "layout.switch", f"layout {layout.id}", detail)
    return SiteLayoutOut.of(layout)
