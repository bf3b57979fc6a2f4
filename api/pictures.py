"""Frames of filed images over HTTP: what may be asked for, and the answer."""

from typing import Annotated

from fastapi import Depends, Query, Response

from api.context import Context
from api.errors import InvalidRequestError, NotRenderableError
from api.etags import is_held, tag_of
from api.rendering import Rendering, Window
from cases.model import CaseImage

THUMBNAIL_PIXELS = 256
THUMBNAIL = Rendering(max_width=THUMBNAIL_PIXELS, max_height=THUMBNAIL_PIXELS)
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


def _asked(
    *,
    frame: Frame = 0,
    window_center: Center = None,
    window_width: Width = None,
    max_width: Side = None,
    max_height: Side = None,
) -> Rendering:
    if (window_center is None) != (window_width is None):
        raise InvalidRequestError("A window has a center and a width: give both or neither.")
    window = None
    if window_center is not None and window_width is not None:
        window = Window(center=window_center, width=window_width)
    return Rendering(frame=frame, window=window, max_width=max_width, max_height=max_height)


AskedRendering = Annotated[Rendering, Depends(_asked)]


def picture(context: Context, image: CaseImage, rendering: Rendering) -> bytes:
    """
    Return a frame as PNG.

    Raises
    ------
    NotRenderableError
        The image has no pixels, or they cannot be decoded.
    """
    if not image.has_pixels:
        raise NotRenderableError("This object holds no pixels.")
    with context.blobs.open(image.blob_key) as source:
        return context.renderer.png(source, rendering)


def kept_picture(context: Context, image: CaseImage, rendering: Rendering, if_none_match: str | None) -> Response:
    """Answer with a frame that its caller may keep, and is not sent again while it is the same."""
    if not image.has_pixels:
        raise NotRenderableError("This object holds no pixels.")
    tag = tag_of(f"{_REVISION} {image.sha256} {rendering}")
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_held(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(picture(context, image, rendering), media_type="image/png", headers=headers)
