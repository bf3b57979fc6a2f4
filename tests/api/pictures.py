"""Small Part 10 files with known pixels, and the pixels of a PNG."""

import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def instance(pixels: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, frames: int = 0, **elements: Any) -> bytes:
    """Return a Part 10 file; ``pixels`` is (rows, columns[, 3]) or, with ``frames``, (frames, rows, columns[, 3])."""
    shape = pixels.shape[1:] if frames else pixels.shape
    bits = pixels.dtype.itemsize * 8
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.Rows, ds.Columns = shape[:2]
    ds.SamplesPerPixel = shape[2] if len(shape) > 2 else 1
    ds.PhotometricInterpretation = "RGB" if ds.SamplesPerPixel == 3 else "MONOCHROME2"
    if ds.SamplesPerPixel > 1:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames:
        ds.NumberOfFrames = frames
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    if pixels.dtype.kind == "f":
        del ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.FloatPixelData = pixels.tobytes()
    elif "PixelData" not in ds:
        data = pixels.tobytes()
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def shown(png: bytes) -> np.ndarray:
    """Return the pixels of a PNG as (rows, columns) or (rows, columns, 3)."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)
