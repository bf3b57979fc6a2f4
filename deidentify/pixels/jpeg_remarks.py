"""What a JPEG code stream says besides its picture: of a frame in which boxes became black, only its colour stays.

An application segment may hold the same picture in small, as it was, and a comment anything. Decoders need two of them
to know what the components are: JFIF (APP0) and Adobe (APP14).
"""

from deidentify.pixels.jpeg_markers import read_remarks

_JFIF, _ADOBE = (0xE0, b"JFIF\0"), (0xEE, b"Adobe")
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
"""Length of what they say themselves (T.871 §10.1, T.872 §6.5.3), without the thumbnail that JFIF may have behind."""


def colour_segment(kind: int, body: bytes) -> bytes:
    """Return what stays of an application segment or a comment: a segment without any picture, or nothing."""
    said = b""
    if (kind, body[:5]) == _JFIF and len(body) >= _JFIF_BYTES:
        said = body[: _JFIF_BYTES - 2] + b"\0\0"
    elif (kind, body[:5]) == _ADOBE and len(body) >= _ADOBE_BYTES:
        said = body[:_ADOBE_BYTES]
    return b"\xff" + bytes((kind,)) + (len(said) + 2).to_bytes(2, "big") + said if said else b""


def without_remarks(identified_stream: bytes) -> bytes:
    """Return a code stream of a sequential process without what its picture does not need.

    Raises
    ------
    PixelDecodeError
        The process is another one, or the stream is malformed.
    """
    parts: list[bytes] = []
    at = 0
    for remark in read_remarks(identified_stream):
        parts += (identified_stream[at : remark.start], colour_segment(remark.kind, remark.identified_body))
        at = remark.stop
    return b"".join((*parts, identified_stream[at:]))
