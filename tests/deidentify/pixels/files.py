"""Whole files around made-up pixels, for the screen to read."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from tests.builders import dataset, uid

_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "US": UltrasoundImageStorage,
    "OT": SecondaryCaptureImageStorage,
}
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def image(
    frames: NDArray[Any] | Sequence[NDArray[Any]], *, modality: str = "CT", bits_stored: int | None = None, **more: Any
) -> Dataset:
    """Return an image data set around frames of equal shape, little endian and native."""
    stack = np.stack(frames) if isinstance(frames, (list, tuple)) else frames[None]
    samples = stack.shape[3] if stack.ndim == 4 else 1
    bits = stack.dtype.itemsize * 8
    stored = bits_stored or bits
    attributes: dict[str, Any] = {
        "SOPClassUID": _CLASSES[modality],
        "SOPInstanceUID": uid(1, 2, 3),
        "StudyInstanceUID": uid(1),
        "SeriesInstanceUID": uid(1, 2),
        "Modality": modality,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "Rows": stack.shape[1],
        "Columns": stack.shape[2],
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(stack.dtype.kind == "i"),
    }
    if samples > 1:
        attributes["PlanarConfiguration"] = 0
    if len(stack) > 1:
        attributes["NumberOfFrames"] = len(stack)
    content = stack.tobytes()
    result = dataset(**(attributes | more))
    result.PixelData = content + b"\0" * (len(content) % 2)
    result["PixelData"].VR = "OB" if bits == 8 else "OW"
    return result


def part10(content: Dataset, syntax: str = ExplicitVRLittleEndian) -> io.BytesIO:
    """Return a complete file; words are swapped for big endian, fragments are given already encapsulated."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = content.get("SOPClassUID", "1.2")
    meta.MediaStorageSOPInstanceUID = content.get("SOPInstanceUID", "1.2")
    meta.TransferSyntaxUID = syntax
    content.file_meta = meta
    if syntax == ExplicitVRBigEndian and content.get("BitsAllocated") == 16:
        content.PixelData = np.frombuffer(content.PixelData, "<u2").byteswap().tobytes()
    written = io.BytesIO()
    dcmwrite(written, content, enforce_file_format=True)
    written.seek(0)
    return written


def encapsulated(content: Dataset, fragments: list[bytes], *, has_bot: bool = True) -> Dataset:
    """Return the data set with its pixel data replaced by compressed frames."""
    content.PixelData = encapsulate(fragments, has_bot=has_bot)
    content["PixelData"].VR = "OB"
    content["PixelData"].is_undefined_length = True
    return content
