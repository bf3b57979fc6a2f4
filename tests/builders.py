"""Data sets for tests, built by keyword: small, synthetic, complete enough for ``dciodvfy``.

Nobody in here exists. Unknown keywords are an error, so that a typing slip cannot make a test pass.
"""

import io
from collections.abc import Iterator
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

ROOT = "1.2.826.0.1.3680043.10.1507"
"""Prefix of every UID made here."""

PATIENT_ONE = {
    "PatientName": "Testperson^Unreal",
    "PatientID": "PID-700123",
    "PatientBirthDate": "19570314",
    "PatientSex": "F",
}
PATIENT_TWO = {
    "PatientName": "Musterfrau^Fiktiva",
    "PatientID": "PID-800456",
    "PatientBirthDate": "20190102",
    "PatientSex": "M",
}


def uid(*parts: int) -> str:
    """Return a UID below our test root."""
    return ".".join([ROOT, *(str(part) for part in parts)])


def dataset(**attributes: Any) -> Dataset:
    """Return a data set of the given attributes, each named by its DICOM keyword.

    A list of dictionaries stands for a sequence.
    """
    result = Dataset()
    for keyword, value in attributes.items():
        if tag_for_keyword(keyword) is None:
            raise TypeError(f"unknown DICOM keyword {keyword!r}")
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            value = Sequence([dataset(**item) for item in value])  # noqa: PLW2901
        setattr(result, keyword, value)
    return result


def _base(study: int, series: int, number: int, **attributes: Any) -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPInstanceUID": uid(study, series, number),
        "StudyInstanceUID": uid(study),
        "SeriesInstanceUID": uid(study, series),
        "StudyDate": "20240229",
        "SeriesDate": "20240229",
        "AcquisitionDate": "20240229",
        "ContentDate": "20240229",
        "StudyTime": "235500",
        "SeriesTime": "235510.25",
        "AcquisitionTime": "235530",
        "ContentTime": "000110.5",
        "AccessionNumber": f"ACC-{900000 + study}",
        "ReferringPhysicianName": "Arztin^Erfundene",
        "InstitutionName": "Klinikum Nirgendwo",
        "StationName": "STATIONXY7",
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Emotion 16",
        "StudyID": f"ST{study}",
        "SeriesNumber": series,
        "InstanceNumber": number,
        **PATIENT_ONE,
        **attributes,
    }


def _pixels(rows: int, columns: int, bits: int = 16, samples: int = 1, seed: int = 1) -> dict[str, Any]:
    size = rows * columns * samples * bits // 8
    data = bytes((seed * 31 + index * 7) % 251 for index in range(min(size, 4096)))
    data = (data * (size // len(data) + 1))[:size]
    return {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        **({} if samples == 1 else {"PlanarConfiguration": 0}),
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": bits,
        "BitsStored": 12 if bits == 16 else bits,
        "HighBit": 11 if bits == 16 else bits - 1,
        "PixelRepresentation": 0,
        "PixelData": data + b"\0" * (len(data) % 2),
    }


def ct_instance(
    *, study: int = 1, series: int = 1, number: int = 1, rows: int = 16, columns: int = 16, **attributes: Any
) -> Dataset:
    """Return a CT image of ``rows`` by ``columns``; other keywords replace the defaults, None removes one."""
    values: dict[str, Any] = {
        **_base(study, series, number),
        "SOPClassUID": CTImageStorage,
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "StudyDescription": "CT Abdomen",
        "SeriesDescription": "AX Abdomen portal venous 5.0",
        "BodyPartExamined": "ABDOMEN",
        "PatientPosition": "HFS",
        "KVP": "120",
        "SliceThickness": "5",
        "ConvolutionKernel": "B30f",
        "FrameOfReferenceUID": uid(study, 0, 1),
        "PositionReferenceIndicator": "",
        "ImagePositionPatient": [0, 0, 5 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.5],
        "AcquisitionNumber": 1,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        **_pixels(rows, columns, seed=number),
    }
    return _finish(values, attributes)


def mr_instance(
    *, study: int = 1, series: int = 1, number: int = 1, rows: int = 16, columns: int = 16, **attributes: Any
) -> Dataset:
    """Return an MR image; see `ct_instance`."""
    values: dict[str, Any] = {
        **_base(study, series, number),
        "SOPClassUID": MRImageStorage,
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "StudyDescription": "MR Brain",
        "SeriesDescription": "AX T2 FLAIR post Gd",
        "BodyPartExamined": "BRAIN",
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "EchoTime": "90",
        "RepetitionTime": "5000",
        "EchoTrainLength": "1",
        "SliceThickness": "5",
        "PatientPosition": "HFS",
        "FrameOfReferenceUID": uid(study, 0, 1),
        "PositionReferenceIndicator": "",
        "ImagePositionPatient": [0, 0, 5 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.5],
        **_pixels(rows, columns, seed=number),
    }
    return _finish(values, attributes)


def us_instance(
    *, study: int = 1, series: int = 1, number: int = 1, rows: int = 32, columns: int = 32, **attributes: Any
) -> Dataset:
    """Return a color ultrasound image; see `ct_instance`."""
    values: dict[str, Any] = {
        **_base(study, series, number),
        "SOPClassUID": UltrasoundImageStorage,
        "Modality": "US",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SeriesDescription": "Liver",
        "LossyImageCompression": "00",
        **_pixels(rows, columns, bits=8, samples=3, seed=number),
    }
    return _finish(values, attributes)


def secondary_capture_instance(
    *, study: int = 1, series: int = 1, number: int = 1, rows: int = 32, columns: int = 32, **attributes: Any
) -> Dataset:
    """Return a secondary capture; see `ct_instance`."""
    values: dict[str, Any] = {
        **_base(study, series, number),
        "SOPClassUID": SecondaryCaptureImageStorage,
        "Modality": "OT",
        "ImageType": ["DERIVED", "SECONDARY"],
        "ConversionType": "WSD",
        **_pixels(rows, columns, bits=8, seed=number),
    }
    return _finish(values, attributes)


def sr_instance(*, study: int = 1, series: int = 9, number: int = 1, **attributes: Any) -> Dataset:
    """Return a small Basic Text SR with an observer, a number-free finding and one image reference."""
    values: dict[str, Any] = {
        **_base(study, series, number),
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11",
        "Modality": "SR",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ReferencedPerformedProcedureStepSequence": [],
        "PerformedProcedureCodeSequence": [],
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "ConceptNameCodeSequence": [code("18748-4", "LN", "Diagnostic imaging report")],
        "ContentSequence": [
            {
                "RelationshipType": "HAS OBS CONTEXT",
                "ValueType": "PNAME",
                "ConceptNameCodeSequence": [code("121008", "DCM", "Person Observer Name")],
                "PersonName": "Arztin^Erfundene",
            },
            {
                "RelationshipType": "CONTAINS",
                "ValueType": "TEXT",
                "ConceptNameCodeSequence": [code("121071", "DCM", "Finding")],
                "TextValue": "Baker cyst of the left knee, reported to Testperson",
            },
        ],
    }
    return _finish(values, attributes)


def code(value: str, scheme: str, meaning: str) -> dict[str, Any]:
    """Return one item of a code sequence."""
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def _finish(values: dict[str, Any], attributes: dict[str, Any]) -> Dataset:
    merged = {**values, **attributes}
    return dataset(**{keyword: value for keyword, value in merged.items() if value is not None})


def study_of_two_series(*, study: int = 1, images: int = 2, **attributes: Any) -> list[Dataset]:
    """Return one study: two CT series of ``images`` images each."""
    return [
        ct_instance(study=study, series=series, number=number, **attributes)
        for series in (1, 2)
        for number in range(1, images + 1)
    ]


def two_patients() -> Iterator[list[Dataset]]:
    """Yield a study of the first patient and one of the second."""
    yield study_of_two_series(study=1, **PATIENT_ONE)
    yield study_of_two_series(study=2, **PATIENT_TWO)


def write_part10(
    instance: Dataset,
    *,
    transfer_syntax: str = ExplicitVRLittleEndian,
    preamble: bytes = bytes(128),
    frames: list[bytes] | None = None,
    **meta: Any,
) -> bytes:
    """Return the instance as a Part 10 file; ``frames`` are encapsulated in place of native pixel data."""
    copy = Dataset()
    copy.update(instance)
    if frames is not None:
        copy.PixelData = encapsulate(frames)
        copy["PixelData"].VR = "OB"
        copy["PixelData"].is_undefined_length = True
    elif "PixelData" in copy:
        copy["PixelData"].VR = "OW" if transfer_syntax == ImplicitVRLittleEndian or copy.BitsAllocated > 8 else "OB"
    copy.file_meta = FileMetaDataset()
    copy.file_meta.MediaStorageSOPClassUID = instance.get("SOPClassUID", "")
    copy.file_meta.MediaStorageSOPInstanceUID = instance.get("SOPInstanceUID", "")
    copy.file_meta.TransferSyntaxUID = transfer_syntax
    for keyword, value in meta.items():
        if tag_for_keyword(keyword) is None:
            raise TypeError(f"unknown DICOM keyword {keyword!r}")
        setattr(copy.file_meta, keyword, value)
    copy.preamble = preamble
    buffer = io.BytesIO()
    dcmwrite(buffer, copy, enforce_file_format=True, implicit_vr=None, little_endian=None)
    return buffer.getvalue()
