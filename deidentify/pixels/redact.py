"""Boxes in selected frames made black, and everything else left as it is.

Written is the new value of the pixel data element; what the header then has to say is returned. Native pixel data keep
every byte outside the boxes. In compressed pixel data frames without boxes keep their fragments, and frames with boxes
are encoded again in the same transfer syntax without loss. Where that cannot be, the whole object becomes native
Explicit VR Little Endian, with all words equal to what a named decoder gives.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import iter_unpack, pack, unpack
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGTransferSyntaxes,
)

from deidentify.errors import PixelDecodeError, RedactionError
from deidentify.pixels.blank import blank_words, is_shared_in_pairs, widened_to_pairs
from deidentify.pixels.boxes import Box, clipped_to
from deidentify.pixels.decode import FrameFormat, fragmented_frames
from deidentify.pixels.fragments import FragmentWriter
from deidentify.pixels.frame_codec import CodestreamBlanker, FrameCodec
from deidentify.pixels.guard import decoding
from deidentify.pixels.native_value import copy_value, write_native
from deidentify.pixels.source import DEFLATED_FRAMES, PixelElement, PixelSource

_LOSSY_JPEG = frozenset(JPEGTransferSyntaxes) - {JPEGLossless, JPEGLosslessSV1}
_LONGEST_VALUE = 0xFFFFFFFE
_BYTE_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedPixels:
    """What the header has to say of the pixel data that were written. Lossy history stays: what was lost is lost."""

    length: int
    """Bytes written: the value, or all items with their delimiter when it is encapsulated."""
    vr: str
    is_encapsulated: bool
    transfer_syntax: UID | None = None
    """The new one; None where the one of the file stays."""
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    """Attributes of the pixels that have new values, by keyword."""
    extended_offsets: tuple[bytes, bytes] | None = None
    """Values of Extended Offset Table (7FE0,0001) and its Lengths (7FE0,0002); None where there are none, any more."""
    areas: Mapping[int, tuple[Box, ...]] = field(default_factory=dict)
    """What was made black, by frame: the boxes inside the frame, widened where neighbours share their colour."""
    decoders: tuple[str, ...] = ()
    """Whose output the words of frames that did not keep their bytes are equal to."""


def redact(
    source: PixelSource,
    form: FrameFormat,
    boxes: Mapping[int, Sequence[Box]],
    target: BinaryIO,
    *,
    blank_codestream: CodestreamBlanker | None = None,
) -> RedactedPixels:
    """Write the pixel data of an instance with boxes made black.

    Parameters
    ----------
    source
        The instance, positioned by ``locate``.
    form
        Its format, as ``read_format`` checked it.
    boxes
        Boxes by frame, counted from 0. Parts outside the frame are of no account.
    target
        Takes the value from where it stands; has to be seekable. After an error what it holds is worth nothing.
    blank_codestream
        What makes blocks of lossy JPEG black without a new loss; without it such an object becomes native.

    Returns
    -------
    RedactedPixels
        What the header has to say, and what became black.

    Raises
    ------
    PixelDecodeError
        A frame that has to be decoded cannot be.
    RedactionError
        Black is not known, or what was encoded is not what it has to be.
    """
    element = source.element
    if element is None:
        raise RedactionError("There are no pixel data in which boxes could be blanked.")
    is_deflated = source.transfer_syntax == DEFLATED_FRAMES
    is_native = not is_deflated and not source.transfer_syntax.is_encapsulated
    areas = _areas(form, boxes, in_pairs=is_shared_in_pairs(form, native=is_native or is_deflated))
    start = target.tell()
    codec = FrameCodec(source=source, form=form, blank_codestream=blank_codestream)
    if is_native or not areas:
        if areas:
            write_native(source, form, areas, codec.black_of_form(), target)
        else:
            copy_value(source, target)
        return _as_it_was(form, element, target.tell() - start, areas)
    redacted = _same_syntax(codec, areas, target)
    if redacted is None:
        target.seek(start)
        target.truncate()
        redacted = _made_native(codec, areas, target)
    return redacted


def _areas(form: FrameFormat, boxes: Mapping[int, Sequence[Box]], *, in_pairs: bool) -> dict[int, tuple[Box, ...]]:
    if not all(0 <= index < form.frames for index in boxes):
        raise RedactionError("A box lies in a frame that the image does not have.")
    areas = {index: clipped_to(boxes[index], rows=form.rows, columns=form.columns) for index in sorted(boxes)}
    if in_pairs:
        areas = {index: widened_to_pairs(parts) for index, parts in areas.items()}
    return {index: parts for index, parts in areas.items() if parts}


def _as_it_was(
    form: FrameFormat, element: PixelElement, length: int, areas: Mapping[int, tuple[Box, ...]]
) -> RedactedPixels:
    return RedactedPixels(
        length=length,
        vr=element.vr,
        is_encapsulated=bool(element.fragments),
        extended_offsets=form.options.get("extended_offsets"),
        areas=areas,
    )


def _same_syntax(codec: FrameCodec, areas: Mapping[int, tuple[Box, ...]], target: BinaryIO) -> RedactedPixels | None:
    """Write changed frames encoded as they were and the others as they are; None where one cannot be encoded so."""
    source, form = codec.source, codec.form
    attributes = {}
    if source.transfer_syntax == JPEG2000 and form.options["photometric_interpretation"] == "YBR_ICT":
        # Frames without loss have the other transform, and one object has one photometric interpretation.
        if len(areas) < form.frames:
            return None
        attributes["PhotometricInterpretation"] = "YBR_RCT"
    writer = FragmentWriter(target, form.frames, has_table=_has_table(source))
    changed: dict[int, tuple[Box, ...]] = {}
    for index, fragments in enumerate(_frames(source, form)):
        if index not in areas:
            writer.write(fragments)
            continue
        blanked = codec.blanked(b"".join(fragments), areas[index])
        if blanked is None:
            return None
        content, changed[index] = blanked
        writer.write((content,))
    return RedactedPixels(
        length=writer.finish(),
        vr="OB",
        is_encapsulated=True,
        attributes=attributes,
        extended_offsets=_extended_offsets(form, writer, areas),
        areas=changed,
        decoders=tuple(sorted(codec.decoders)),
    )


def _has_table(source: PixelSource) -> bool:
    assert source.element is not None
    source.identified_file.seek(source.element.position)
    return bool(unpack("<4xL", source.identified_file.read(8))[0])


def _frames(source: PixelSource, form: FrameFormat) -> Iterator[tuple[bytes, ...]]:
    """Yield the fragments of each frame; raises PixelDecodeError where there are not as many as announced."""
    frames = fragmented_frames(source, form)
    for _ in range(form.frames):
        with decoding("The compressed frames cannot be told apart."):
            fragments = next(frames)
        yield fragments
    with decoding("The compressed frames cannot be told apart."):
        if next(frames, None) is not None:
            raise PixelDecodeError("There are more frames than announced.")


def _extended_offsets(
    form: FrameFormat, writer: FragmentWriter, areas: Mapping[int, object]
) -> tuple[bytes, bytes] | None:
    if "extended_offsets" not in form.options:
        return None
    announced = [length for (length,) in iter_unpack("<Q", form.options["extended_offsets"][1])]
    lengths = [writer.lengths[index] if index in areas else length for index, length in enumerate(announced)]
    return pack(f"<{form.frames}Q", *writer.offsets), pack(f"<{form.frames}Q", *lengths)


def _made_native(codec: FrameCodec, areas: Mapping[int, tuple[Box, ...]], target: BinaryIO) -> RedactedPixels:
    """Write all frames decoded: colour of JPEG with loss in RGB, as the screen reads it, all else as it was encoded."""
    source, form = codec.source, codec.form
    if form.bits_allocated % _BYTE_BITS:
        raise RedactionError("Frames of single bits cannot be encoded again.")
    if -(-form.rows * form.columns * form.samples * form.frames * form.bits_allocated // _BYTE_BITS) > _LONGEST_VALUE:
        raise RedactionError("The frames cannot be encoded again, and are too long to be stored without compression.")
    start = target.tell()
    interpretations = set()
    for index, fragments in enumerate(_frames(source, form)):
        decoded, photometric = codec.decoded(b"".join(fragments), raw=source.transfer_syntax not in _LOSSY_JPEG)
        interpretations.add("YBR_FULL" if photometric == "YBR_FULL_422" else photometric)
        words = _allocated(decoded, form)
        if index in areas:
            blank_words(words, areas[index], codec.black(photometric))
        target.write(words.tobytes())
    if len(interpretations) > 1:
        raise RedactionError("The frames do not have one photometric interpretation.")
    target.write(b"\0" * ((target.tell() - start) % 2))
    attributes: dict[str, str | int] = {"PhotometricInterpretation": interpretations.pop()}
    if form.samples > 1:
        attributes["PlanarConfiguration"] = 0
    return RedactedPixels(
        length=target.tell() - start,
        vr="OB" if form.bits_allocated == _BYTE_BITS else "OW",
        is_encapsulated=False,
        transfer_syntax=ExplicitVRLittleEndian,
        attributes=attributes,
        areas=areas,
        decoders=tuple(sorted(codec.decoders)),
    )


def _allocated(words: NDArray[Any], form: FrameFormat) -> NDArray[Any]:
    """Return a copy of the words in their allocated length, little endian."""
    allocated = np.ascontiguousarray(words).astype(f"<{words.dtype.kind}{form.bits_allocated // _BYTE_BITS}")
    if not np.array_equal(allocated, words):
        raise PixelDecodeError("A frame has words that do not fit into the announced bits.")
    return allocated
