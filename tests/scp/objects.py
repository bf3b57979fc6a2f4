"""Small data sets, encoded in any transfer syntax."""

import zlib
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "2.25.1001"


def data_set(
    *, sop_class: str = CT, instance: str = "2.25.2001", study: str | None = STUDY, pixels: bytes = b"\1\2\3\4"
) -> Dataset:
    data = Dataset()
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = instance
    data.PatientName = "Canary^Carla"
    data.PatientID = "CANARY-1"
    if study is not None:
        data.StudyInstanceUID = study
    data.BitsAllocated = 8
    data.PixelData = pixels
    data["PixelData"].VR = "OB"
    return data


def encoded(data: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    uid = UID(transfer_syntax)
    buffer = DicomFileLike(BytesIO())
    known = uid.is_transfer_syntax and not uid.is_private
    buffer.is_implicit_VR = uid.is_implicit_VR if known else False
    buffer.is_little_endian = uid.is_little_endian if known else True
    write_dataset(buffer, data)
    raw = buffer.parent.getvalue()
    if uid == DeflatedExplicitVRLittleEndian:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflater.compress(raw) + deflater.flush()
    return raw
