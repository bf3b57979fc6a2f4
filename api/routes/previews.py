"""What a profile makes of originals and of files, and what another would change; for administrators alone."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.context import Call
from api.errors import UnsupportedMediaTypeError
from api.middleware import MAX_FILE_BYTES
from api.openapi import problems
from api.schemas.common import Key
from api.schemas.previews import (
    FilePreviewOut,
    ImpactOut,
    InstancePreviewOut,
    NewImpact,
    NewPreview,
    PreviewOut,
    ProfileName,
)

router = APIRouter(prefix="/api/v1", tags=["previews"])

DICOM = "application/dicom"
_NOT_KEPT = {"Cache-Control": "no-store"}
_PNG_SCHEMA = {"type": "string", "contentMediaType": "image/png"}
_PNG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture as PNG.", "content": {"image/png": {"schema": _PNG_SCHEMA}}}
}
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "description": f"A Part 10 file of at most {MAX_FILE_BYTES >> 20} MiB.",
        "content": {DICOM: {"schema": {"type": "string", "format": "binary"}}},
    }
}

Number = Annotated[int, Path(ge=1, le=1_000_000, description="From 1.")]
Profile = Annotated[ProfileName, Query(description="`NAME`, or `NAME@REVISION`.", examples=["teaching"])]
Pixels = Annotated[bool, Query(description="Whether the pixels are screened.")]
Pictures = Annotated[bool, Query(description="Whether the answer has pictures, the first 8.")]


async def _file(_call: Call, request: Request) -> bytes:
    """Return the body of a caller who may send one: it is not read before."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != DICOM:
        raise UnsupportedMediaTypeError(f"Send the file itself, with Content-Type: {DICOM}.")
    return await request.body()


@router.post("/previews", status_code=202, responses=problems(403, 404, 409, 413))
def request_preview(call: Call, *, body: NewPreview) -> PreviewOut:
    """Look at the retained originals of a study under a profile; a worker does it, see its state."""
    asked = call.context.previews.request(
        call.caller.name, body.study, body.profile, most=body.most, has_pixels=body.pixels
    )
    return PreviewOut.of(asked)


@router.post("/previews/file", responses=problems(403, 404, 413, 415), openapi_extra=_FILE_BODY)
def preview_file(
    call: Call,
    response: Response,
    identified: Annotated[bytes, Depends(_file)],
    *,
    profile: Profile,
    pixels: Pixels = True,
    pictures: Pictures = False,
) -> FilePreviewOut:
    """Look at a file that is handed in; nothing of it is kept. The answer identifies the patient."""
    response.headers.update(_NOT_KEPT)
    found = call.context.previews.identified_file(
        call.caller.name, identified, profile, has_pixels=pixels, has_pictures=pictures
    )
    return FilePreviewOut.of(found)


@router.get("/previews/{preview_id}", responses=problems(403, 404))
def get_preview(call: Call, response: Response, *, preview_id: Key) -> PreviewOut:
    """Show how far a preview is, and what it came to in counts."""
    response.headers.update(_NOT_KEPT)
    return PreviewOut.of(call.context.previews.get(preview_id))


@router.get("/previews/{preview_id}/instances/{number}", responses=problems(403, 404, 410))
def get_previewed_instance(call: Call, response: Response, *, preview_id: Key, number: Number) -> InstancePreviewOut:
    """Show one instance element by element, from beside its original. The answer identifies the patient."""
    response.headers.update(_NOT_KEPT)
    return InstancePreviewOut.of(call.context.previews.identified_instance(call.caller.name, preview_id, number))


@router.get(
    "/previews/{preview_id}/instances/{number}/pictures/{picture}",
    response_class=Response,
    responses={**_PNG, **problems(403, 404, 410)},
)
def get_previewed_picture(call: Call, *, preview_id: Key, number: Number, picture: Number) -> Response:
    """Show a frame before and after side by side, with what the pixel screen found. It identifies the patient."""
    png = call.context.previews.identified_picture(call.caller.name, preview_id, number, picture)
    return Response(png, media_type="image/png", headers=_NOT_KEPT)


@router.post("/impacts", status_code=202, responses=problems(403, 404, 409, 413))
def request_impact(call: Call, *, body: NewImpact) -> ImpactOut:
    """Count what the second profile would change over the studies that arrived last; workers do it."""
    asked = call.context.impacts.request(call.caller.name, body.first, body.second, last=body.last, most=body.most)
    return ImpactOut.of(asked)


@router.get("/impacts/{impact_id}", responses=problems(403, 404))
def get_impact(call: Call, *, impact_id: Key) -> ImpactOut:
    """Show what was counted so far, without any value."""
    return ImpactOut.of(call.context.impacts.get(impact_id))
