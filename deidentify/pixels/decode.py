"""The frames of an instance, decoded one by one.

Whatever a decoder does, this module raises PixelDecodeError and nothing else.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import iter_unpack, unpack
from typing import Any, BinaryIO

from numpy.typing import NDArray
from pydicom.encaps import generate_fragmented_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from deidentify.errors import PixelDecodeError
from deidentify.pixels.codestream import announced_size
from deidentify.pixels.codestream_end import bytes_behind_end
from deidentify.pixels.guard import decoding
from deidentify.pixels.source import DEFLATED_FRAMES, PixelSource

_LARGEST_FRAME_PIXELS = 256 * 1024 * 1024
_MOST_FRAMES = 1_000_000
_FAULT = "A frame cannot be decoded."
_NATIVE = get_decoder(ExplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded frame: words as stored, colour as RGB.

    ``words`` has shape (rows, columns) or (rows, columns, 3) and is not shared. Integer words keep every allocated bit:
    the stored value is the low ``bits_stored`` bits after a shift to the right by ``shift``.
    """

    index: int
    words: NDArray[Any] = field(repr=False)
    bits_stored: int
    shift: int
    is_palette: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFormat:
    """What the attributes announce, checked to be decodable within bounds."""

    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    shift: int
    is_palette: bool
    options: dict[str, Any] = field(repr=False)

    @property
    def frame_bits(self) -> int:
        """Bits of one frame when it is not compressed."""
        samples = 2 if self.options["photometric_interpretation"] == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


def read_format(source: PixelSource) -> FrameFormat:
    """Return the announced format; raises PixelDecodeError when it is incomplete, contradictory or out of bounds."""
    with decoding("The attributes of the pixels cannot be read."):
        return _read_format(source)


def iter_frames(source: PixelSource, form: FrameFormat) -> Iterator[Frame]:
    """Decode one frame after the other; raises PixelDecodeError when a frame, or the number of frames, is wrong."""
    decoded = _words(source, form)
    for index in range(form.frames):
        with decoding(_FAULT):
            words = next(decoded)
            if words.shape[:2] != (form.rows, form.columns):
                raise PixelDecodeError("A frame has another size than announced.")
        yield Frame(
            index=index,
            # In this machine's byte order: views that look at single bits would else see those of another byte.
            words=words.astype(words.dtype.newbyteorder("="), copy=False),
            bits_stored=form.bits_stored,
            shift=form.shift,
            is_palette=form.is_palette,
        )
    with decoding(_FAULT):
        if next(decoded, None) is not None:
            raise PixelDecodeError("There are more frames than announced.")


def _read_format(source: PixelSource) -> FrameFormat:
    attributes, element = source.attributes, source.element
    assert element is not None
    frames = int(attributes.get("NumberOfFrames") or 1)
    rows, columns = int(attributes.Rows), int(attributes.Columns)
    samples = int(attributes.get("SamplesPerPixel", 1))
    allocated = int(attributes.BitsAllocated)
    is_float = element.keyword != "PixelData"
    stored = allocated if is_float else int(attributes.BitsStored)
    shift = 0 if is_float else max(0, int(attributes.get("HighBit", stored - 1)) + 1 - stored)
    photometric = str(attributes.PhotometricInterpretation)
    if not 0 < rows * columns <= _LARGEST_FRAME_PIXELS or not 0 < frames <= _MOST_FRAMES:
        raise PixelDecodeError("The announced size is out of bounds.")
    if shift + stored > allocated:
        raise PixelDecodeError("The announced bits do not fit into their words.")
    options: dict[str, Any] = {
        "transfer_syntax_uid": source.transfer_syntax,
        "pixel_keyword": element.keyword,
        "pixel_vr": element.vr,
        "rows": rows,
        "columns": columns,
        "number_of_frames": frames,
        "samples_per_pixel": samples,
        "photometric_interpretation": photometric,
        "bits_allocated": allocated,
        "correct_unused_bits": False,
    }
    if not is_float:
        options |= {"bits_stored": stored, "pixel_representation": int(attributes.get("PixelRepresentation", 0))}
    if samples > 1:
        options["planar_configuration"] = int(attributes.get("PlanarConfiguration", 0))
    if "ExtendedOffsetTable" in attributes:
        options["extended_offsets"] = (attributes.ExtendedOffsetTable, attributes.ExtendedOffsetTableLengths)
    form = FrameFormat(
        frames=frames,
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        shift=shift,
        is_palette=photometric == "PALETTE COLOR",
        options=options,
    )
    _check_length(source, form)
    return form


def _check_length(source: PixelSource, form: FrameFormat) -> None:
    element = source.element
    assert element is not None
    if source.transfer_syntax == DEFLATED_FRAMES or source.transfer_syntax.is_encapsulated:
        if element.fragments < form.frames:
            raise PixelDecodeError("There are fewer frames than announced.")
        return
    expected = -(-form.frame_bits * form.frames // 8)
    if element.fragments or element.length < expected:
        raise PixelDecodeError("The pixel data are shorter than announced.")
    # A name could hide in frames behind the last one, and the bytes of pixel data are passed on as they are.
    source.identified_file.seek(element.position + expected)
    rest = element.length - expected
    if rest > 1 and any(source.identified_file.read(rest)):
        raise PixelDecodeError("The pixel data are longer than announced.")


def _words(source: PixelSource, form: FrameFormat) -> Iterator[NDArray[Any]]:
    element = source.element
    assert element is not None
    source.identified_file.seek(element.position)
    if source.transfer_syntax == DEFLATED_FRAMES:
        yield from _inflated_frames(source.identified_file, form)
        return
    decoder = get_decoder(source.transfer_syntax)
    if not source.transfer_syntax.is_encapsulated:
        for words, _ in decoder.iter_array(source.identified_file, raw=False, **form.options):
            yield words
        return
    for fragments in fragmented_frames(source, form):
        content = b"".join(fragments)
        check_codestream(source.transfer_syntax, content, form)
        yield decoded_frame(decoder, content, form, raw=False)[0]


def fragmented_frames(source: PixelSource, form: FrameFormat) -> Iterator[tuple[bytes, ...]]:
    """Yield the fragments of each compressed frame; every byte of every fragment belongs to one of them."""
    element = source.element
    assert element is not None
    file = source.identified_file
    file.seek(element.position)
    (table_bytes,) = unpack("<4xL", file.read(8))
    if table_bytes not in {0, 4 * form.frames}:
        raise PixelDecodeError("The offset table does not fit the number of frames.")
    file.seek(element.position)
    if "extended_offsets" in form.options:
        _check_extended_offsets(source, form)
    size = 0
    # The extended offsets say nothing new where each frame is one fragment, as they require.
    for fragments in generate_fragmented_frames(file, number_of_frames=form.frames):
        size += sum(len(fragment) for fragment in fragments)
        yield fragments
    items_and_end = 8 * (element.fragments + 2)
    if size != element.length - items_and_end - table_bytes:
        raise PixelDecodeError("There are fragments that belong to no frame.")


def _check_extended_offsets(source: PixelSource, form: FrameFormat) -> None:
    """Refuse tables that name other places than those of the fragments: viewers would show what was not read."""
    element, file = source.element, source.identified_file
    assert element is not None
    offsets, lengths = form.options["extended_offsets"]
    (table_bytes,) = unpack("<4xL", file.read(8))
    file.seek(table_bytes, 1)
    expected = []
    at = 0
    for _ in range(element.fragments):
        (length,) = unpack("<4xL", file.read(8))
        expected.append((at, length))
        at += 8 + length
        file.seek(length, 1)
    file.seek(element.position)
    announced = list(zip(iter_unpack("<Q", offsets), iter_unpack("<Q", lengths), strict=True))
    if len(expected) != form.frames or any(
        offset != where or not length - 1 <= said <= length
        for ((offset,), (said,)), (where, length) in zip(announced, expected, strict=True)
    ):
        raise PixelDecodeError("The extended offset table does not fit the fragments.")


def decoded_frame(
    decoder: Decoder, content: bytes, form: FrameFormat, *, raw: bool, plugin: str = ""
) -> tuple[NDArray[Any], str]:
    """Decode one compressed frame, wrapped as the only item of pixel data of its own.

    Returns its words and their photometric interpretation; ``raw`` leaves YBR as it is. Raises whatever decoders raise.
    """
    table = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    item = b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content
    single = {name: value for name, value in form.options.items() if name != "extended_offsets"}
    words, described = decoder.as_array(
        table + item, index=0, raw=raw, decoding_plugin=plugin, **(single | {"number_of_frames": 1})
    )
    return words, str(described["photometric_interpretation"])


def check_codestream(syntax: UID, content: bytes, form: FrameFormat) -> None:
    """Refuse a compressed frame that announces another size, or has something behind its end."""
    # A frame that announces a gigantic picture must not reach a decoder that allocates first and compares later.
    size = announced_size(syntax, content)
    if size is not None and size != (form.rows, form.columns):
        raise PixelDecodeError("A compressed frame has another size than announced.")
    segment_bytes = -(-form.rows * form.columns * min(8, form.bits_allocated) // 8)
    if len(bytes_behind_end(syntax, content, segment_bytes)) > 1:
        raise PixelDecodeError("There is something behind the end of a compressed frame.")


def _inflated_frames(identified_file: BinaryIO, form: FrameFormat) -> Iterator[NDArray[Any]]:
    options = form.options | {"transfer_syntax_uid": ExplicitVRLittleEndian, "number_of_frames": 1}
    for fragments in generate_fragmented_frames(identified_file, number_of_frames=form.frames):
        words, _ = _NATIVE.as_array(inflated_frame(b"".join(fragments), form), raw=False, **options)
        yield words


def inflated_frame(content: bytes, form: FrameFormat) -> bytes:
    """Return the native bytes of one deflated frame; raises PixelDecodeError when they are more or fewer."""
    limit = -(-form.frame_bits // 8)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = engine.decompress(content, limit + 2)
    if len(plain) < limit:
        raise PixelDecodeError("A deflated frame is shorter than announced.")
    if len(plain) > limit + 1 or any(engine.unconsumed_tail) or any(engine.unused_data):
        raise PixelDecodeError("A deflated frame is longer than announced.")
    return plain[:limit]
