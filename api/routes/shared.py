"""A case behind a link: read without an account, by whoever has the link, until it ends.

The token is part of the address. The log and the figures name routes by their template, answers are not kept by
anybody, and no page that one comes from or goes to is told.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Response

from api.context import Context, Here
from api.openapi import problems, uncached_png_answer
from api.pictures import THUMBNAIL, THUMBNAIL_PIXELS, AskedRendering, picture
from api.rendering import Rendering
from api.schemas.common import Key
from api.schemas.public_cases import PublicCaseOut, PublicImageOut
from cases.errors import CaseNotFoundError, StoreUnavailableError
from cases.shares import ShareLink
from cases.store import Database, Shares
from cases.store.clock import now as clock_now

router = APIRouter(prefix="/api/v1/shared/{token}", tags=["shared"])

MAX_TOKEN_CHARS = 64
_HEADERS = {"Cache-Control": "private, no-store"}
_PROBLEMS = problems(404, 422, 503, is_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A link that counts, and what its calls work on."""

    context: Context
    link: ShareLink
    token: str

    @property
    def base(self) -> str:
        return f"/api/v1/shared/{self.token}"


def _opened(token: str, context: Here) -> _Opened:
    """Open the link of the address; unknown, expired and revoked ones get one answer."""
    if len(token) > MAX_TOKEN_CHARS:
        raise CaseNotFoundError("there is no such link")
    with context.database.read() as session:
        return _Opened(context=context, link=Shares(session).open(token), token=token)


Opened = Annotated[_Opened, Depends(_opened)]


@router.get("", responses=_PROBLEMS)
def get_shared_case(opened: Opened, background: BackgroundTasks, response: Response) -> PublicCaseOut:
    """Show the case of a link, as readers of public cases are shown theirs, and without whose it is."""
    with opened.context.database.read() as session:
        detail = Shares(session).case(opened.link)
    background.add_task(_note_use, opened.context.database, opened.link, is_opened=True)
    response.headers.update(_HEADERS)
    return PublicCaseOut.of_detail(detail, None)


@router.get("/images/{image_id}", responses=_PROBLEMS)
def get_shared_image(
    opened: Opened, *, image_id: Key, background: BackgroundTasks, response: Response
) -> PublicImageOut:
    """Show what is known of an image of the case."""
    with opened.context.database.read() as session:
        image = Shares(session).image(opened.link, image_id)
    background.add_task(_note_use, opened.context.database, opened.link)
    response.headers.update(_HEADERS)
    return PublicImageOut.of(image, base=f"{opened.base}/images/{image_id}")


@router.get(
    "/images/{image_id}/rendered",
    response_class=Response,
    responses={**uncached_png_answer("The frame as PNG."), **_PROBLEMS},
)
def render_shared_image(
    opened: Opened, *, image_id: Key, rendering: AskedRendering, background: BackgroundTasks
) -> Response:
    """Show one frame as PNG, in the window of the file or the one asked for; colored images have none."""
    return _png(opened, image_id, rendering, background)


@router.get(
    "/images/{image_id}/thumbnail",
    response_class=Response,
    responses={
        **uncached_png_answer(f"The first frame, at most {THUMBNAIL_PIXELS} pixels wide and high."),
        **_PROBLEMS,
    },
)
def get_shared_thumbnail(opened: Opened, *, image_id: Key, background: BackgroundTasks) -> Response:
    """Show the first frame, small."""
    return _png(opened, image_id, THUMBNAIL, background)


def _png(opened: _Opened, image_id: str, rendering: Rendering, background: BackgroundTasks) -> Response:
    with opened.context.database.read() as session:
        image = Shares(session).image(opened.link, image_id)
    background.add_task(_note_use, opened.context.database, opened.link)
    png = picture(opened.context, image, rendering)
    return Response(png, media_type="image/png", headers=_HEADERS)


def _note_use(database: Database, link: ShareLink, *, is_opened: bool = False) -> None:
    if not is_opened and not link.is_note_due(clock_now()):
        return
    with suppress(StoreUnavailableError), database.write() as session:  # the time of last use can wait
        Shares(session).note_use(link.id, is_opened=is_opened)
