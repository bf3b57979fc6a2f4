"""One frame of a filed instance as a PNG: what a person sees, decoded frame by frame, never the whole object."""

import io
import logging
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from api.errors import NotRenderableError, PartNotFoundError
from api.rendering import Rendering, Window

MAX_PIXELS = 64 * 1024 * 1024
"""Rows times columns that are decoded at most, so that one request cannot take the memory of all."""
MAX_INFLATED_BYTES = 512 * 1024 * 1024

_HEADER_KEYWORDS = [
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "LUTData",
    "MaximumFractionalValue",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SamplesPerPixel",
    "SharedFunctionalGroupsSequence",
    "VOILUTFunction",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    *(
        f"{kind}{color}PaletteColorLookupTable{part}"
        for color in ("Red", "Green", "Blue")
        for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
]
_META_END = 144
"""Offset behind File Meta Information Group Length (0002,0000), from which that length counts."""


class Renderer:
    """Turn filed instances into PNG, a bounded number at a time."""

    def __init__(self, *, concurrent: int | None = None) -> None:
        self._slots = threading.BoundedSemaphore(concurrent or max(2, os.cpu_count() or 2))

    def png(self, source: BinaryIO, rendering: Rendering) -> bytes:
        """
        Render one frame.

        Parameters
        ----------
        source
            A filed Part 10 file, seekable.
        rendering
            Frame, window and size.

        Raises
        ------
        NotRenderableError
            The object holds no pixels, or the frame cannot be decoded.
        PartNotFoundError
            The object has no such frame.
        """
        with self._slots, _pydicom_kept_quiet():
            try:
                image = Image.fromarray(_picture(source, rendering))
            except (NotRenderableError, PartNotFoundError):
                raise
            except Exception:  # noqa: BLE001 - decoders raise anything, and their texts may quote values
                raise NotRenderableError("This frame cannot be decoded.") from None
        limit = (rendering.max_width or image.width, rendering.max_height or image.height)
        if limit[0] < image.width or limit[1] < image.height:
            image.thumbnail(limit, Image.Resampling.LANCZOS, reducing_gap=3.0)
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=3)
        return out.getvalue()


def _picture(source: BinaryIO, rendering: Rendering) -> NDArray[np.uint8]:
    """Return (rows, columns) or (rows, columns, 3)."""
    header = dcmread(source, stop_before_pixels=True, specific_tags=list(_HEADER_KEYWORDS))
    samples = _check(header, rendering.frame)
    stored = _decode(source, header, rendering.frame)
    photometric = str(header.get("PhotometricInterpretation", ""))
    if samples == 3:  # noqa: PLR2004 - pydicom has made RGB of every YBR by now
        return _to_8_bits(stored, int(header.BitsStored))
    if photometric == "PALETTE COLOR":
        _order_palette(header)
        colored = apply_color_lut(stored, header)
        return _to_8_bits(colored, colored.dtype.itemsize * 8)
    shown = _grayscale(stored, header, rendering)
    return np.invert(shown) if photometric == "MONOCHROME1" else shown


def _check(header: Dataset, frame: int) -> int:
    """Return the Samples per Pixel (0028,0002) of an image that is worth decoding."""
    if not (header.get("Rows") and header.get("Columns")):
        raise NotRenderableError("This object holds no pixels.")
    if header.Rows * header.Columns > MAX_PIXELS:
        raise NotRenderableError("This frame is too large to be rendered.")
    if not 0 <= frame < int(header.get("NumberOfFrames") or 1):
        raise PartNotFoundError("The image has no such frame.")
    samples = int(header.get("SamplesPerPixel") or 1)
    if samples not in (1, 3):
        raise NotRenderableError("Images of this photometric interpretation are not rendered.")
    return samples


def _decode(source: BinaryIO, header: Dataset, frame: int) -> NDArray[Any]:
    source.seek(0)
    if header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        source = _inflated(source)
    array: NDArray[Any] = pixel_array(source, index=frame)
    return array


def _inflated(source: BinaryIO) -> BinaryIO:
    """Return the same object in Explicit VR Little Endian; pydicom's frame access does not inflate."""
    start = source.read(_META_END)
    meta_bytes = int.from_bytes(start[140:144], "little")
    if meta_bytes > MAX_PIXELS:
        raise NotRenderableError("This frame cannot be decoded.")
    meta = source.read(meta_bytes)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(source.read(), MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise NotRenderableError("This object is too large to be rendered.")
    plain = bytearray(start + meta)
    # same length, so that the group length stays true: the longer UID is padded with zeros, as a UID may be
    before, after = str(DeflatedExplicitVRLittleEndian).encode(), str(ExplicitVRLittleEndian).encode()
    at = plain.index(before, _META_END)
    plain[at : at + len(before)] = after.ljust(len(before), b"\0")
    return io.BytesIO(bytes(plain) + data)


def _order_palette(header: Dataset) -> None:
    """Bring the tables of a big-endian file into the order that pydicom expects; it orders segmented ones only."""
    if header.file_meta.TransferSyntaxUID != ExplicitVRBigEndian:
        return
    for color in ("Red", "Green", "Blue"):
        keyword = f"{color}PaletteColorLookupTableData"
        if keyword in header:
            setattr(header, keyword, np.frombuffer(header[keyword].value, ">u2").astype("<u2").tobytes())


def _grayscale(stored: NDArray[Any], header: Dataset, rendering: Rendering) -> NDArray[np.uint8]:
    """Apply the modality and VOI transforms; integers of up to 16 bits go through one table."""
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:  # noqa: PLR2004 - bytes of a 16 bit word
        return _displayed(stored, header, rendering)
    lowest, highest = int(stored.min()), int(stored.max())
    index = stored.astype(np.int32) - lowest
    present = np.zeros(highest - lowest + 1, bool)
    present[index] = True  # a value that no pixel has must not widen the range
    values = (np.flatnonzero(present) + lowest).astype(np.int32)
    table = np.zeros(present.size, np.uint8)
    table[present] = _displayed(values, header, rendering)
    return table[index]


def _displayed(stored: NDArray[Any], header: Dataset, rendering: Rendering) -> NDArray[np.uint8]:
    groups = [*_functional_groups(header, rendering.frame), header]
    transformed = _modality_transform(stored, groups)
    window = rendering.window
    if window is None:
        for group in _items(groups, "FrameVOILUTSequence"):
            if group.get("VOILUTSequence"):
                return _voi_lut(transformed, group)
            if window := _window_of(group):
                break
    if window is not None:
        return _windowed(transformed, window)
    lowest, highest = _range(transformed, stored, header)
    scale = 255.0 / (highest - lowest) if highest > lowest else 0.0
    finite = np.nan_to_num(transformed.astype(np.float64), nan=lowest, posinf=highest, neginf=lowest)
    return np.clip((finite - lowest) * scale + 0.5, 0, 255).astype(np.uint8)


def _functional_groups(header: Dataset, frame: int) -> list[Dataset]:
    """Return the functional groups of the frame, those of its own first (PS3.3 §C.7.6.16)."""
    groups = []
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    if frame < len(per_frame):
        groups.append(per_frame[frame])
    groups.extend((header.get("SharedFunctionalGroupsSequence") or [])[:1])
    return groups


def _items(groups: list[Dataset], sequence: str) -> Iterator[Dataset]:
    for group in groups[:-1]:
        yield from (group.get(sequence) or [])[:1]
    yield groups[-1]


def _modality_transform(values: NDArray[Any], groups: list[Dataset]) -> NDArray[Any]:
    for group in _items(groups, "PixelValueTransformationSequence"):
        if group.get("ModalityLUTSequence"):
            transformed: NDArray[Any] = apply_modality_lut(values, group)
            return transformed
        slope, intercept = _number(group.get("RescaleSlope")), _number(group.get("RescaleIntercept"))
        if slope is not None and intercept is not None:
            return values.astype(np.float64) * slope + intercept
    return values


def _window_of(group: Dataset) -> Window | None:
    center, width = _number(group.get("WindowCenter")), _number(group.get("WindowWidth"))
    if center is None or width is None or width <= 0:
        return None
    return Window(center=center, width=width, function=str(group.get("VOILUTFunction") or "LINEAR").upper())


def _number(value: object) -> float | None:
    """Return the first value as a finite number, or None where there is none."""
    if isinstance(value, (list, tuple)) or hasattr(value, "__getitem__"):
        value = value[0] if value else None  # type: ignore[index]
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _voi_lut(transformed: NDArray[Any], group: Dataset) -> NDArray[np.uint8]:
    looked_up = apply_voi(np.rint(transformed).astype(np.int32), group)
    bits = int(group.VOILUTSequence[0].LUTDescriptor[2])
    return _to_8_bits(looked_up, bits)


def _windowed(transformed: NDArray[Any], window: Window) -> NDArray[np.uint8]:
    """Return 0 to 255 by PS3.3 §C.11.2.1.2 and §C.11.2.1.3."""
    values = transformed.astype(np.float64)
    if window.function == "SIGMOID":
        shown = 255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - window.center) / window.width, -700, 700)))
    elif window.function == "LINEAR_EXACT":
        shown = ((values - window.center) / window.width + 0.5) * 255.0
    elif window.width <= 1:  # the LINEAR function's denominator is width - 1: a threshold
        shown = np.where(values > window.center - 0.5, 255.0, 0.0)
    else:
        shown = ((values - (window.center - 0.5)) / (window.width - 1.0) + 0.5) * 255.0
    return np.clip(np.nan_to_num(shown) + 0.5, 0, 255).astype(np.uint8)


def _range(transformed: NDArray[Any], stored: NDArray[Any], header: Dataset) -> tuple[float, float]:
    """Return what black and white stand for when the file names no window."""
    if header.BitsAllocated == 1:
        return 0.0, 1.0
    if (fraction := _number(header.get("MaximumFractionalValue"))) is not None:
        return 0.0, fraction
    counted = np.isfinite(transformed) if transformed.dtype.kind == "f" else np.ones(transformed.shape, bool)
    if (padding := _number(header.get("PixelPaddingValue"))) is not None:
        limit = _number(header.get("PixelPaddingRangeLimit"))
        limit = padding if limit is None else limit
        counted &= (stored < min(padding, limit)) | (stored > max(padding, limit))
    if not counted.any():
        return 0.0, 0.0
    kept = transformed[counted]
    if kept.min() == kept.max():  # a label on padding, say: without the padding there is nothing to tell it from
        kept = transformed[np.isfinite(transformed)]
    return float(kept.min()), float(kept.max())


def _to_8_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits <= 8 and values.dtype == np.uint8:  # noqa: PLR2004 - bits of a byte
        unscaled: NDArray[np.uint8] = np.ascontiguousarray(values)
        return unscaled
    scaled = values.astype(np.float64) * (255.0 / (2**bits - 1))
    rounded: NDArray[np.uint8] = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return rounded


_quiet_lock = threading.Lock()
_quiet_count = 0
_quiet_filter: "warnings.catch_warnings[None] | None" = None


@contextmanager
def _pydicom_kept_quiet() -> Iterator[None]:
    """
    Ignore pydicom's warnings, which quote values, while at least one rendering runs.

    ``warnings.catch_warnings`` is one for the whole process, so threads share the one that the first of them entered.
    """
    global _quiet_count, _quiet_filter  # noqa: PLW0603 - the state it guards is the process's own
    with _quiet_lock:
        if _quiet_count == 0:
            logging.getLogger("pydicom").setLevel(logging.CRITICAL)
            _quiet_filter = warnings.catch_warnings()
            _quiet_filter.__enter__()
            warnings.simplefilter("ignore")
        _quiet_count += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_count -= 1
            if _quiet_count == 0 and _quiet_filter is not None:
                _quiet_filter.__exit__(None, None, None)
                _quiet_filter = None
