"""Files around redacted pixels, as the step that writes headers will make them."""

import io

from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian

from deidentify.pixels.boxes import Box
from deidentify.pixels.decode import read_format
from deidentify.pixels.redact import RedactedPixels, redact
from deidentify.pixels.source import PixelSource, locate

SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def box(x: int, y: int, width: int, height: int) -> Box:
    return Box(x=x, y=y, width=width, height=height)


def redacted(file: io.BytesIO, boxes, **more) -> tuple[PixelSource, RedactedPixels, bytes]:
    """Return where the pixels were, what the header has to say, and the new value."""
    file.seek(0)
    source = locate(file)
    target = io.BytesIO(b"head")
    target.seek(4)
    result = redact(source, read_format(source), boxes, target, **more)
    assert target.getvalue()[:4] == b"head"
    assert len(target.getvalue()) == 4 + result.length
    return source, result, target.getvalue()[4:]


def rewritten(file: io.BytesIO, result: RedactedPixels, value: bytes) -> io.BytesIO:
    """Return the whole file with its new pixel data and what the result says of them."""
    file.seek(0)
    content = dcmread(file, force=True)
    syntax = content.file_meta.TransferSyntaxUID if result.transfer_syntax is None else result.transfer_syntax
    content.file_meta.TransferSyntaxUID = syntax
    for keyword, new in result.attributes.items():
        setattr(content, keyword, new)
    for keyword in OFFSET_TABLES:
        if keyword in content:
            delattr(content, keyword)
    if result.extended_offsets is not None:
        content.ExtendedOffsetTable, content.ExtendedOffsetTableLengths = result.extended_offsets
    # pydicom writes the delimiter by itself
    content.PixelData = value.removesuffix(SEQUENCE_END) if result.is_encapsulated else value
    content["PixelData"].VR = result.vr
    content["PixelData"].is_undefined_length = result.is_encapsulated
    written = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    content.save_as(written, implicit_vr=syntax.is_implicit_VR, little_endian=little, enforce_file_format=True)
    written.seek(0)
    return written
