"""A case as one file to take away: what it is made of, and how it goes out without being in memory."""

import hashlib
import logging
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from time import monotonic

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

from api.context import Context
from api.errors import ArchiveNotReadyError, GoneError
from api.ranges import ByteRange
from api.schemas.archive import case_json
from cases.errors import CaseError
from cases.exports.contents import ExportFile, by_words, files_of
from cases.exports.reading import Pieces, crc32_of, layout_of, pieces_of_archive
from cases.exports.zip_layout import ZipLayout
from cases.model import CaseDetail, CaseImage, CaseStatus
from cases.store import Crc32s

_FORM = "1"
"""Raised when the same case gives other bytes, so that nobody goes on with an archive of the older form."""
_READ_FOR_S = 20.0
"""How long a call may read images that nobody downloaded before; then it says how far it is."""
_KEPT_EACH_S = 1.0
_READERS = threading.BoundedSemaphore(2)
"""Calls that read images before they answer, at once: the others' threads are for everybody."""
_log = logging.getLogger("casebridge.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive, of which every byte has its place and none is read yet."""

    case_id: str
    version: int
    images: int
    files: tuple[ExportFile, ...]
    layout: ZipLayout
    digest: str
    """Of all that decides on its bytes."""

    @property
    def size_bytes(self) -> int:
        """Return how long it is."""
        return self.layout.size_bytes

    @property
    def tag(self) -> str:
        """Return its entity tag, a strong one."""
        return f'"{self.version}-{self.digest}"'

    @property
    def file_name(self) -> str:
        """Return what it is saved as."""
        return f"case-{self.case_id[:8]}-{self.version}.zip"


def archive_of(context: Context, detail: CaseDetail) -> Archive:
    """
    Return the archive of a case.

    Images that nobody downloaded before are read for their CRC-32, which stands before each in a ZIP file; it is kept
    as they are read, and the database is not held meanwhile.

    Raises
    ------
    ArchiveNotReadyError
        When that takes longer than a call may take, or others do the same; the next call goes on with it.
    DamagedBlobError
        When an image is not what was filed.
    GoneError
        When the case was removed.
    """
    if detail.summary.status is CaseStatus.REMOVED:
        raise GoneError("The case was removed, and its images with it.")
    named = by_words(detail)
    files = files_of(detail, named, case_json(detail, named))
    files = _with_crc32(context, files)
    decides = "".join(f"{file.name}\0{file.size_bytes}\0{file.crc32}\0{file.sha256}\n" for file in files)
    return Archive(
        case_id=detail.summary.id,
        version=detail.summary.version,
        images=len(named),
        files=files,
        layout=layout_of(files),
        digest=hashlib.sha256(f"{_FORM}\n{decides}".encode()).hexdigest()[:16],
    )


def _with_crc32(context: Context, files: tuple[ExportFile, ...]) -> tuple[ExportFile, ...]:
    unread = [file.image for file in files if file.image is not None and file.crc32 is None]
    if not unread:
        return files
    if not _READERS.acquire(blocking=False):
        raise ArchiveNotReadyError("Images of other cases are being read for a download; try again.", retry_after_s=5)
    try:
        computed = _computed(context, unread)
    finally:
        _READERS.release()
    return tuple(_completed(file, computed) for file in files)


def _completed(file: ExportFile, computed: Mapping[str, int]) -> ExportFile:
    if file.image is None or file.crc32 is not None:
        return file
    crc32 = computed[file.image.id]
    return replace(file, crc32=crc32, image=replace(file.image, crc32=crc32))


def _computed(context: Context, unread: list[CaseImage]) -> Mapping[str, int]:
    computed: dict[str, int] = {}
    batch: list[tuple[CaseImage, int]] = []
    ends_at = monotonic() + _READ_FOR_S
    keeps_at = monotonic() + _KEPT_EACH_S
    try:
        for image in unread:
            if monotonic() > ends_at:
                told = f"{len(computed)} of {len(unread)} images that nobody downloaded before are read; try again."
                raise ArchiveNotReadyError(told, retry_after_s=1)
            computed[image.id] = crc32 = crc32_of(context.blobs, image)
            batch.append((image, crc32))
            if monotonic() > keeps_at:
                _keep(context, batch)
                keeps_at = monotonic() + _KEPT_EACH_S
    finally:
        _keep(context, batch)
    return computed


def _keep(context: Context, batch: list[tuple[CaseImage, int]]) -> None:
    if batch:
        with context.database.write() as session:
            Crc32s(session).keep(batch)
        batch.clear()


class ArchiveResponse(StreamingResponse):
    """An archive or a part of it, read as fast as its caller takes it, a piece in memory at a time.

    What is found to be damaged on the way breaks the answer off: it stays shorter than its Content-Length.
    """

    def __init__(
        self, context: Context, archive: Archive, part: ByteRange | None, *, headers: Mapping[str, str]
    ) -> None:
        start, stop = (part.start, part.stop) if part else (0, archive.size_bytes)
        self._pieces = _sent(
            archive.case_id, pieces_of_archive(context.blobs, archive.files, archive.layout, start, stop)
        )
        told = {**headers, "Content-Length": str(stop - start)}
        if part is not None:
            told["Content-Range"] = part.content_range
        super().__init__(self._pieces, status_code=206 if part else 200, headers=told, media_type="application/zip")

    async def stream_response(self, send: Send) -> None:
        """Send it; the file that is open goes shut whatever happens."""
        try:
            await super().stream_response(send)
        finally:
            await self._pieces.aclose()


async def _sent(case_id: str, pieces: Pieces) -> AsyncGenerator[bytes, None]:
    try:
        while (piece := await run_in_threadpool(next, pieces, None)) is not None:
            yield piece
    except CaseError as error:
        _log.error("download broken off", extra={"case": case_id, "error": type(error).__name__})
        raise
    finally:
        pieces.close()
