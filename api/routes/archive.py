"""A case to take away: its images and texts as one ZIP file, whole or from where a download broke off."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from api.archives import Archive, ArchiveResponse, archive_of
from api.context import AuthorizedCall, Call
from api.etags import is_held
from api.openapi import problems
from api.ranges import UNIT, ByteRange, asked_range
from api.schemas.common import Key
from cases.audit import AuditFilter
from cases.store import Audit, Cases
from cases.store.clock import now as clock_now

router = APIRouter(prefix="/api/v1/cases/{case_id}", tags=["cases"])

DOWNLOAD = "case.download"
_GOES_ON = timedelta(days=1)
"""For how long parts of an archive belong to the download that the audit log knows of."""

IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]
IfRange = Annotated[
    str | None,
    Header(description="The ETag of what the caller holds a part of: of another archive, all is sent.", max_length=512),
]
Range = Annotated[
    str | None,
    Header(description="One range of bytes; all is sent where it is several.", max_length=512, examples=["bytes=0-"]),
]


def _bytes(description: str) -> dict[str, Any]:
    schema = {"type": "string", "contentMediaType": "application/zip"}
    return {"description": description, "content": {"application/zip": {"schema": schema}}}


@router.get(
    "/archive",
    response_class=Response,
    responses={
        200: _bytes("The archive."),
        206: _bytes("The part of it that was asked for."),
        304: {"description": "The caller's copy is still right."},
        **problems(403, 404, 410, 416),
    },
)
def download_case(
    call: Call,
    *,
    case_id: Key,
    if_none_match: IfNoneMatch = None,
    if_range: IfRange = None,
    range_: Annotated[Range, Header(alias="Range")] = None,
) -> Response:
    """Take a case away: the filed images in folders by study and series, its texts, its licence and checksums.

    For its owner and for editors. Nothing is compressed, and the same version of a case with the same images is the
    same archive byte by byte, so that a download that broke off goes on with `Range`. Where images are downloaded for
    the first time they are read before the answer begins; 503 with `Retry-After` says that this is not done yet.
    """
    archive = _archive(call, case_id)
    headers = _headers(archive)
    if is_held(if_none_match, archive.tag):
        return Response(status_code=304, headers=headers)
    part = asked_range(range_, if_range, tag=archive.tag, total=archive.size_bytes)
    _note(call, archive, part)
    return ArchiveResponse(call.context, archive, part, headers=headers)


@router.head("/archive", include_in_schema=False, name="download_case")
def head_case(call: Call, *, case_id: Key, if_none_match: IfNoneMatch = None) -> Response:
    """Say how long the archive is and which it is; nothing of it is sent, and nothing noted."""
    archive = _archive(call, case_id)
    headers = _headers(archive)
    if is_held(if_none_match, archive.tag):
        return Response(status_code=304, headers=headers)
    told = {**headers, "Content-Length": str(archive.size_bytes)}
    return Response(media_type="application/zip", headers=told)


def _archive(call: AuthorizedCall, case_id: str) -> Archive:
    with call.database.read() as session:
        cases = Cases(session)
        call.permit_case(cases.standing(call.caller, case_id))
        detail = cases.get(call.caller, case_id)
    return archive_of(call.context, detail)


def _headers(archive: Archive) -> dict[str, str]:
    return {
        "ETag": archive.tag,
        "Accept-Ranges": UNIT,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{archive.file_name}"',
    }


def _note(call: AuthorizedCall, archive: Archive, part: ByteRange | None) -> None:
    """Keep who takes what, before the first byte; parts that follow one another are one download."""
    actor = call.caller.name
    filters = AuditFilter(actor=actor, action=DOWNLOAD, subject=archive.case_id, since=clock_now() - _GOES_ON)
    if part is not None and part.start > 0:
        with call.database.read() as session:
            if any(entry.detail.get("archive") == archive.digest for entry in Audit(session).latest(filters)):
                return
    with call.database.write() as session:
        told = {"version": archive.version, "images": archive.images, "bytes": archive.size_bytes}
        Audit(session).append(actor, DOWNLOAD, archive.case_id, {**told, "archive": archive.digest})
