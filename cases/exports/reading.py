"""Files of an export as they are read from the blob store: in pieces, and held against what was filed."""

import hashlib
import os
import zlib
from collections.abc import Generator, Sequence
from typing import BinaryIO

from cases.blobs import BlobStore
from cases.errors import DamagedBlobError
from cases.exports.contents import ExportFile
from cases.exports.zip_layout import ZipEntry, ZipLayout
from cases.model import CaseImage

__all__ = ["PIECE_BYTES", "Pieces", "checked_pieces", "crc32_of", "layout_of", "pieces_of_archive"]

PIECE_BYTES = 1 << 20
Pieces = Generator[bytes, None, None]
_SMALL_BYTES = 1 << 16


def crc32_of(blobs: BlobStore, image: CaseImage) -> int:
    """Read a whole image, and return its CRC-32.

    Raises
    ------
    DamagedBlobError
        When it is not what was filed.
    """
    crc32 = 0
    for piece in checked_pieces(blobs, image):
        crc32 = zlib.crc32(piece, crc32)
    return crc32


def checked_pieces(blobs: BlobStore, image: CaseImage, offset: int = 0, length: int | None = None) -> Pieces:
    """Yield the bytes of an image, or of a part of it; of a whole one the last only once all of it was right.

    Parameters
    ----------
    blobs
        Where it lies.
    image
        What is known of it.
    offset, length
        The part; its digest is not known, and of the file its size alone is looked at.

    Raises
    ------
    BlobNotFoundError
        When it is gone.
    DamagedBlobError
        When it is not what was filed.
    StoreUnavailableError
        When the store is out of reach.
    """
    left = image.size_bytes - offset if length is None else length
    is_whole = offset == 0 and left == image.size_bytes
    digest, crc32 = hashlib.sha256(), 0
    with blobs.open(image.blob_key) as file:
        _check_size(file, image)
        file.seek(offset)
        while left:
            piece = file.read(min(PIECE_BYTES, left))
            if not piece:
                raise DamagedBlobError("a filed image is shorter than it was")
            left -= len(piece)
            if is_whole:
                digest.update(piece)
                crc32 = zlib.crc32(piece, crc32)
                if not left:
                    _check_digests(image, digest.hexdigest(), crc32)
            yield piece


def _check_size(file: BinaryIO, image: CaseImage) -> None:
    if file.seek(0, os.SEEK_END) != image.size_bytes:
        raise DamagedBlobError("a filed image is not as long as it was")


def _check_digests(image: CaseImage, sha256: str, crc32: int) -> None:
    if sha256 != image.sha256 or image.crc32 not in {None, crc32}:
        raise DamagedBlobError("a filed image is not what it was")


def layout_of(files: Sequence[ExportFile]) -> ZipLayout:
    """Return the archive of files whose CRC-32 is known."""
    entries = []
    for file in files:
        assert file.crc32 is not None
        entries.append(ZipEntry(name=file.name, size_bytes=file.size_bytes, crc32=file.crc32))
    return ZipLayout(entries)


def pieces_of_archive(
    blobs: BlobStore, files: Sequence[ExportFile], layout: ZipLayout, start: int, stop: int
) -> Pieces:
    """Yield the bytes of an archive from ``start`` to before ``stop``; raises as ``checked_pieces`` does.

    Headers come together with what follows: alone they would be thousands of tiny pieces.
    """
    small = bytearray()
    for piece in _pieces(blobs, files, layout, start, stop):
        if not small and len(piece) >= _SMALL_BYTES:
            yield piece
            continue
        small += piece
        if len(small) >= _SMALL_BYTES:
            yield bytes(small)
            small.clear()
    if small:
        yield bytes(small)


def _pieces(blobs: BlobStore, files: Sequence[ExportFile], layout: ZipLayout, start: int, stop: int) -> Pieces:
    for part in layout.parts(start, stop):
        file = None if part.entry is None else files[part.entry]
        if file is None:
            yield part.literal
        elif file.image is None:
            yield file.content[part.offset : part.offset + part.length]
        else:
            yield from checked_pieces(blobs, file.image, part.offset, part.length)
