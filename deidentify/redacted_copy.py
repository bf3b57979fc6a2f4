"""A copy of a file with boxes made black; its header still says whose it is."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import BinaryIO

from deidentify.dataset import Element, Source
from deidentify.parser import read_instance
from deidentify.redaction import RedactedInstance, redacted, with_redaction, write_around
from deidentify.references import with_uids
from deidentify.review import MarkedBox
from deidentify.writing import Writer, file_meta

_SOP_CLASS, _SOP_INSTANCE, _BURNED_IN = 0x00080016, 0x00080018, 0x00280301


def redacted_copy(
    identified_file: BinaryIO,
    boxes: Sequence[MarkedBox],
    target: BinaryIO,
    *,
    scratch: Callable[[], BinaryIO] = BytesIO,
) -> RedactedInstance:
    """Write a copy with boxes made black, under another SOP Instance UID (PS3.3 C.7.6.1.1.2).

    All else of the header stays: the copy identifies as the original does. That nothing is burned in, (0028,0301), is
    said of it; it has to be read again before that is believed.

    Raises
    ------
    UnreadableInstanceError, UnsupportedTransferSyntaxError
        The file cannot be parsed.
    PixelDecodeError, RedactionError
        Boxes cannot be made black.
    """
    received = read_instance(identified_file)
    with scratch() as pixels:
        made = redacted(identified_file, boxes, pixels)
        before = received.text(_SOP_INSTANCE)
        after = _uid(before, made.mask)
        # Pixel data and what else is long are spans of the original: all of it is written before the source is closed.
        kept = [element for element in received.identified_elements if element.tag != _BURNED_IN]
        kept = sorted([*kept, Element(_BURNED_IN, "CS", b"NO")], key=lambda element: element.tag)
        elements = with_uids(with_redaction(kept, made, received.encoding), {before.encode(): after.encode()})
        syntax = made.pixels.transfer_syntax or received.transfer_syntax_uid
        writer = Writer(target, received.encoding)
        writer.raw(file_meta(received.text(_SOP_CLASS), after, str(syntax)))
        source = Source(identified_file, deflated_at=received.deflated_at)
        try:
            write_around(writer, elements, source, made, pixels)
        finally:
            source.close()
        writer.finish()
    return made


def _uid(identified_uid: str, mask: str) -> str:
    """Return a UID that says nothing of the other and is the same for the same boxes (PS3.5 §B.2)."""
    digest = hashlib.sha256(f"{identified_uid}\0{mask}".encode("utf-8", "replace")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
