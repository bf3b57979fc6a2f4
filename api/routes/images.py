"""Single images of a case: what is known of them, and how they look."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.context import AuthorizedCall, Call
from api.errors import InvalidRequestError, NotRenderableError
from api.etags import is_held, tag_of
from api.openapi import png_answer, problems
from api.rendering import Rendering, Window
from api.schemas.cases import ImageOut
from api.schemas.common import Key
from cases.model import CaseImage
from cases.store import Cases

router = APIRouter(prefix="/api/v1/cases/{case_id}/images/{image_id}", tags=["images"])

THUMBNAIL_PIXELS = 256
MAX_SIDE = 8192
_REVISION = "1"
"""Raised when the same request gives another picture, so that copies held by callers are fetched again."""

Frame = Annotated[int, Query(ge=0, le=1_000_000, description="From 0.")]
Center = Annotated[
    float | None,
    Query(allow_inf_nan=False, description="Window center in output units, for example HU.", examples=[40.0]),
]
Width = Annotated[float | None, Query(gt=0, allow_inf_nan=False, description="Window width.", examples=[400])]
Side = Annotated[int | None, Query(ge=1, le=MAX_SIDE, description="The image is made smaller to fit, never larger.")]
IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]


@router.get("", responses=problems(403, 404))
def get_image(call: Call, *, case_id: Key, image_id: Key) -> ImageOut:
    """Show what is known of an image; its UIDs are those of the case."""
    image = _image(call, case_id, image_id)
    return ImageOut.of(image, base=f"/api/v1/cases/{case_id}/images/{image_id}")


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
    frame: Frame = 0,
    window_center: Center = None,
    window_width: Width = None,
    max_width: Side = None,
    max_height: Side = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show one frame as PNG, in the window of the file or the one asked for; colored images have none."""
    if (window_center is None) != (window_width is None):
        raise InvalidRequestError("A window has a center and a width: give both or neither.")
    window = None
    if window_center is not None and window_width is not None:
        window = Window(center=window_center, width=window_width)
    rendering = Rendering(frame=frame, window=window, max_width=max_width, max_height=max_height)
    image = _image(call, case_id, image_id)
    return _png(call, image, rendering, if_none_match)


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
    image = _image(call, case_id, image_id)
    return _png(call, image, Rendering(max_width=THUMBNAIL_PIXELS, max_height=THUMBNAIL_PIXELS), if_none_match)


def _image(call: AuthorizedCall, case_id: str, image_id: str) -> CaseImage:
    """Return an image of a case that the caller may see: ``cases`` looks at that by the same rule."""
    with call.database.read() as session:
        return Cases(session).image(call.caller, case_id, image_id)


def _png(call: AuthorizedCall, image: CaseImage, rendering: Rendering, if_none_match: str | None) -> Response:
    if not image.has_pixels:
        raise NotRenderableError("This object holds no pixels.")
    tag = tag_of(f"{_REVISION} {image.sha256} {rendering}")
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_held(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    with call.context.blobs.open(image.blob_key) as source:
        png = call.context.renderer.png(source, rendering)
    return Response(png, media_type="image/png", headers=headers)
