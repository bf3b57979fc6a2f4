"""Where the pixels of an instance lie in its file: attributes, position, announced and real length."""

import zlib
from dataclasses import dataclass
from io import BytesIO
from struct import unpack
from typing import BinaryIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from deidentify.errors import PixelDecodeError
from deidentify.pixels.guard import decoding

_KEYWORDS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
"""Deflated Image Frame Compression (PS3.5 §A.4.13): Explicit VR Little Endian, each frame deflated by itself."""
_META_START = 132
_META_GROUP = 2
_UNDEFINED = 0xFFFFFFFF
_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_END = (0xFFFE, 0xE0DD)
_SHORT_HEADER_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_INFLATED_LIMIT_BYTES = 2 << 30
_CHUNK_BYTES = 1 << 20
_MR_SPECTROSCOPY = "1.2.840.10008.5.1.4.1.1.4.2"
_IMAGE_CLASS_WORDS = ("Image Storage", "Segmentation Storage", "Parametric Map", "Thickness Map", "Topography Map")
_WANTED = [
    "SOPClassUID",
    "ImageType",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "SeriesDescription",
    "ProtocolName",
    "BurnedInAnnotation",
    "SequenceOfUltrasoundRegions",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelElement:
    """The one pixel data element of a data set. ``position`` and ``length`` are those of its value, in bytes."""

    keyword: str
    vr: str
    position: int
    length: int
    """Length of the value, or of all items with their delimiter when it is encapsulated."""
    fragments: int
    """Items after the Basic Offset Table; 0 when native."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSource:
    """A data set positioned for decoding; ``identified_file`` is what its positions refer to."""

    identified_file: BinaryIO
    attributes: Dataset
    sop_classes: tuple[str, ...]
    """As the data set and as the file meta name it; one of them may be empty."""
    transfer_syntax: UID
    element: PixelElement | None

    @property
    def is_image(self) -> bool:
        """Say whether pixel data belong to this kind of object, by its class or by its own attributes."""
        if _MR_SPECTROSCOPY in self.sop_classes:
            return False  # has Rows and Columns, but keeps its data in (5600,0020)
        names = [UID(sop_class).name for sop_class in self.sop_classes]
        named = any(word in name for word in _IMAGE_CLASS_WORDS for name in names if "Surface" not in name)
        announced = any(name in self.attributes for name in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel"))
        return named or announced


def locate(identified_file: BinaryIO) -> PixelSource:
    """Parse up to the pixel data and measure their element; raises PixelDecodeError when that cannot be done."""
    with decoding("The data set cannot be parsed up to its pixel data."):
        return _locate(identified_file)


def _locate(identified_file: BinaryIO) -> PixelSource:
    identified_file.seek(_META_START)
    meta = read_dataset(identified_file, is_implicit_VR=False, is_little_endian=True, stop_when=_is_past_meta)
    syntax = UID(str(meta.TransferSyntaxUID))
    encoding = ExplicitVRLittleEndian if syntax == DEFLATED_FRAMES else syntax
    if syntax == DeflatedExplicitVRLittleEndian:
        identified_file = _inflated(identified_file)
        syntax = encoding = ExplicitVRLittleEndian
    attributes = read_dataset(
        identified_file,
        is_implicit_VR=encoding.is_implicit_VR,
        is_little_endian=encoding.is_little_endian,
        stop_when=_is_pixel_data,
        specific_tags=[Tag(keyword) for keyword in _WANTED],
    )
    element = _measure(identified_file, encoding)
    return PixelSource(
        identified_file=identified_file,
        attributes=attributes,
        sop_classes=(str(attributes.get("SOPClassUID", "")), str(meta.get("MediaStorageSOPClassUID", ""))),
        transfer_syntax=syntax,
        element=element,
    )


def _is_past_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != _META_GROUP


def _is_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return (tag.group, tag.element) in _KEYWORDS


def _inflated(identified_file: BinaryIO) -> BinaryIO:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    whole = BytesIO()
    while not inflate.eof:
        chunk = inflate.unconsumed_tail or identified_file.read(_CHUNK_BYTES)
        if not chunk:
            raise PixelDecodeError("The deflated data set ends before its own end.")
        whole.write(inflate.decompress(chunk, _CHUNK_BYTES))
        if whole.tell() > _INFLATED_LIMIT_BYTES:
            raise PixelDecodeError("The deflated data set is larger than the screen reads.")
    whole.seek(0)
    return whole


def _measure(identified_file: BinaryIO, syntax: UID) -> PixelElement | None:
    header = _header(identified_file, syntax)
    if header is None:
        return None
    tag, vr, length = header
    position = identified_file.tell()
    fragments = 0
    if length == _UNDEFINED:
        fragments = _fragments(identified_file)
        length = identified_file.tell() - position
    else:
        size = identified_file.seek(0, 2)
        if position + length > size:
            raise PixelDecodeError("The pixel data end before their announced length.")
        identified_file.seek(position + length)
    following = _header(identified_file, syntax)
    if following is not None and following[0] in _KEYWORDS:
        raise PixelDecodeError("There is more than one pixel data element.")
    identified_file.seek(position)
    return PixelElement(
        keyword=_KEYWORDS[tag], vr=vr, position=position, length=length, fragments=max(0, fragments - 1)
    )


def _header(identified_file: BinaryIO, syntax: UID) -> tuple[tuple[int, int], str, int] | None:
    """Read one element header: tag, VR and value length; None at the end of the file."""
    order = "<" if syntax.is_little_endian else ">"
    start = identified_file.read(8)
    if len(start) < 8:  # noqa: PLR2004 - the length of a header
        return None
    tag = unpack(f"{order}HH", start[:4])
    if syntax.is_implicit_VR:
        return tag, "OW", unpack(f"{order}L", start[4:])[0]
    vr = start[4:6]
    if vr in _SHORT_HEADER_VRS:
        return tag, vr.decode("ascii"), unpack(f"{order}H", start[6:])[0]
    rest = identified_file.read(4)
    if len(rest) < 4:  # noqa: PLR2004
        return None
    return tag, vr.decode("ascii", "replace"), unpack(f"{order}L", rest)[0]


def _fragments(identified_file: BinaryIO) -> int:
    """Walk the items of encapsulated pixel data to the delimiter and count them."""
    count = 0
    while True:
        header = identified_file.read(8)
        if len(header) < 8:  # noqa: PLR2004
            raise PixelDecodeError("The encapsulated pixel data have no end.")
        group, element, length = unpack("<HHL", header)
        if (group, element) == _SEQUENCE_END:
            return count
        if (group, element) != _ITEM or length == _UNDEFINED:
            raise PixelDecodeError("The encapsulated pixel data hold something that is not an item.")
        here = identified_file.tell()
        if here + length > identified_file.seek(0, 2):
            raise PixelDecodeError("The pixel data end before their announced length.")
        identified_file.seek(here + length)
        count += 1
