"""Single images of a case: what is known of them, and how they look."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from api.context import AuthorizedCall, Call
from api.openapi import png_answer, problems
from api.pictures import THUMBNAIL, THUMBNAIL_PIXELS, AskedRendering, kept_picture
from api.schemas.cases import ImageOut
from api.schemas.common import Key
from api.schemas.public_cases import PublicImageOut
from cases.model import CaseImage
from cases.store import Cases

router = APIRouter(prefix="/api/v1/cases/{case_id}/images/{image_id}", tags=["images"])

IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]


@router.get("", responses=problems(403, 404))
def get_image(call: Call, *, case_id: Key, image_id: Key) -> ImageOut | PublicImageOut:
    """Show what is known of an image; its UIDs are those of the case. Readers of public cases are shown less."""
    with call.database.read() as session:
        cases = Cases(session)
        image = cases.image(call.caller, case_id, image_id)
        is_stranger = call.is_stranger_to(cases.standing(call.caller, case_id))
    shown = PublicImageOut if is_stranger else ImageOut
    return shown.of(image, base=f"/api/v1/cases/{case_id}/images/{image_id}")


@router.get(
    "/rendered",
    response_class=Response,
    responses={**png_answer("The frame as PNG."), **problems(403, 404)},
)
def render_image(
    call: Call,
    *,
    case_id: Key,
    image_id: Key,
    rendering: AskedRendering,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show one frame as PNG, in the window of the file or the one asked for; colored images have none."""
    return kept_picture(call.context, _image(call, case_id, image_id), rendering, if_none_match)


@router.get(
    "/thumbnail",
    response_class=Response,
    responses={
        **png_answer(f"The first frame, at most {THUMBNAIL_PIXELS} pixels wide and high."),
        **problems(403, 404),
    },
)
def get_thumbnail(call: Call, *, case_id: Key, image_id: Key, if_none_match: IfNoneMatch = None) -> Response:
    """Show the first frame, small."""
    return kept_picture(call.context, _image(call, case_id, image_id), THUMBNAIL, if_none_match)


def _image(call: AuthorizedCall, case_id: str, image_id: str) -> CaseImage:
    """Return an image of a case that the caller may see: ``cases`` looks at that by the same rule."""
    with call.database.read() as session:
        return Cases(session).image(call.caller, case_id, image_id)
