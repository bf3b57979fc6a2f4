"""What is measured: a CT series that nobody was scanned for, with a header as long as a scanner's.

Pixels are an ellipsoid phantom with bones, a table and the noise of a real dose, so that nothing compresses or repeats;
the header has about 260 elements, sequences and private blocks among them. The same arguments give the same bytes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

__all__ = ["ct_series", "ct_slice", "element_count", "multi_frame_series", "small_series", "uid"]

ROOT = "1.2.826.0.1.3680043.10.1507.9"
"""Prefix of every UID made here."""

SIZE = 512
_SEED = 20240229
_TABLE_ROW = 430
_PRIVATE_BLOCKS = (
    ("GEMS_IDEN_01", 0x0009, 12),
    ("GEMS_ACQU_01", 0x0019, 34),
    ("GEMS_RELA_01", 0x0021, 16),
    ("GEMS_IMAG_01", 0x0027, 14),
    ("GEMS_PARM_01", 0x0043, 22),
    ("GEMS_HELIOS_01", 0x0045, 8),
)
"""Names and sizes as a scanner writes them; the values are ours."""


def uid(*parts: int) -> str:
    """Return a UID of the benchmark."""
    return ".".join((ROOT, *(str(part) for part in parts)))


def _phantom(number: int, slices: int, size: int) -> NDArray[np.float64]:
    """Return one slice in HU: body, two lungs, a spine and the table."""
    rows, columns = np.mgrid[0:size, 0:size] * (SIZE / size)
    depth = (number - slices / 2) / slices

    def ellipse(row: float, column: float, height: float, width: float) -> NDArray[np.bool_]:
        shrink = 1 - abs(depth) / 3
        return ((rows - row) / (height * shrink)) ** 2 + ((columns - column) / (width * shrink)) ** 2 < 1

    image = np.full((size, size), -1000.0)
    image[ellipse(250, 256, 150, 205)] = -90
    image[ellipse(250, 256, 138, 190)] = 45
    for side in (-1, 1):
        image[ellipse(235, 256 + side * 92, 88 - 60 * depth, 62)] = -820
    image[ellipse(335, 256, 30, 26)] = 420
    image[ellipse(335, 256, 11, 11)] = 30
    image[ellipse(225, 262, 42 + 30 * depth, 40)] = 60
    image[(rows > _TABLE_ROW) & (rows < _TABLE_ROW + 9) & (abs(columns - 256) < 210)] = 120
    return image


def _pixels(number: int, slices: int, size: int) -> bytes:
    noise = np.random.default_rng((_SEED, number)).normal(0, 14, (size, size))
    stored = np.clip(_phantom(number, slices, size) + noise + 1024, 0, 4095)
    return bytes(stored.astype("<u2").tobytes())


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    return item


def _patient_and_study(study: int) -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Testperson^Unreal^Q",
        "PatientID": "PID-700123",
        "IssuerOfPatientID": "KLINIKUM-NIRGENDWO",
        "PatientBirthDate": "19570314",
        "PatientSex": "F",
        "PatientAge": "066Y",
        "PatientSize": "1.68",
        "PatientWeight": "71",
        "PatientAddress": "Nebelgasse 17",
        "OtherPatientIDs": ["OLD-99887", "EXT-55441"],
        "EthnicGroup": "unknown",
        "PatientComments": "Testperson was seen before; call Arztin Erfundene",
        "AdditionalPatientHistory": "Pain for three days, seen in Nirgendwo",
        "PregnancyStatus": 4,
        "StudyInstanceUID": uid(study),
        "StudyID": f"ST{study}",
        "StudyDate": "20240229",
        "StudyTime": "235500",
        "AccessionNumber": f"ACC-{900000 + study}",
        "ReferringPhysicianName": "Arztin^Erfundene",
        "PhysiciansOfRecord": "Doktor^Niemand",
        "NameOfPhysiciansReadingStudy": "Leser^Keiner",
        "StudyDescription": "CT Thorax Abdomen with contrast",
        "ReferencedStudySequence": [_reference("1.2.840.10008.3.1.2.3.1", uid(study, 77))],
        "ProcedureCodeSequence": [_code("CTTHAB", "99NIRG", "CT thorax abdomen")],
        "RequestingPhysician": "Anforderer^Erdacht",
        "RequestingService": "EMERGENCY",
        "RequestedProcedureDescription": "CT Thorax Abdomen",
        "RequestedProcedureID": "RP-123456",
        "ReasonForStudy": "Pain",
        "AdmissionID": "ADM-445566",
        "CurrentPatientLocation": "WARD 7",
        "InstitutionName": "Klinikum Nirgendwo",
        "InstitutionAddress": "Nebelgasse 1, Nirgendwo",
        "InstitutionalDepartmentName": "Radiology",
        "StationName": "STATIONXY7",
    }


def _series(study: int) -> dict[str, Any]:
    step = Dataset()
    step.ScheduledProcedureStepDescription = "CT Thorax Abdomen"
    step.ScheduledProcedureStepID = "SPS-1"
    step.RequestedProcedureID = "RP-123456"
    step.ScheduledProtocolCodeSequence = Sequence([_code("THAB", "99NIRG", "Thorax abdomen protocol")])
    return {
        "Modality": "CT",
        "SeriesInstanceUID": uid(study, 1),
        "SeriesNumber": 3,
        "SeriesDate": "20240229",
        "SeriesTime": "235510.25",
        "SeriesDescription": "AX Thorax Abdomen portal venous 1.25",
        "ProtocolName": "Thorax Abdomen portal venous",
        "BodyPartExamined": "CHEST",
        "PatientPosition": "HFS",
        "Laterality": "",
        "PerformingPhysicianName": "Ausfuhrende^Person",
        "OperatorsName": "MTRA^Ausgedacht",
        "PerformedProcedureStepStartDate": "20240229",
        "PerformedProcedureStepStartTime": "235500",
        "PerformedProcedureStepID": "PPS-778899",
        "PerformedProcedureStepDescription": "CT Thorax Abdomen",
        "RequestAttributesSequence": [step],
        "ReferencedPerformedProcedureStepSequence": [_reference("1.2.840.10008.3.1.2.3.3", uid(study, 78))],
        "FrameOfReferenceUID": uid(study, 9),
        "PositionReferenceIndicator": "SN",
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": "Revolution CT",
        "DeviceSerialNumber": "SER-000417",
        "SoftwareVersions": "revo_ct_21b.33",
        "GantryID": "CT99_OC0",
        "DateOfLastCalibration": "20240228",
        "TimeOfLastCalibration": "070000",
    }


def _equipment_and_image(study: int, number: int) -> dict[str, Any]:
    return {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(study, 1, number),
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceCreationDate": "20240229",
        "InstanceCreationTime": f"2356{number % 60:02d}",
        "AcquisitionDate": "20240229",
        "AcquisitionTime": f"2355{number % 60:02d}.5",
        "AcquisitionDateTime": f"202402292355{number % 60:02d}.500000",
        "ContentDate": "20240229",
        "ContentTime": f"2357{number % 60:02d}.25",
        "AcquisitionNumber": 1,
        "InstanceNumber": number,
        "ImagePositionPatient": ["-180.0", "-180.0", f"{number * 1.25:.2f}"],
        "ImageOrientationPatient": ["1.0", "0.0", "0.0", "0.0", "1.0", "0.0"],
        "SliceLocation": f"{number * 1.25:.2f}",
        "SourceImageSequence": [_reference(CTImageStorage, uid(study, 2, part)) for part in range(1, 5)],
        "ReferencedImageSequence": [_reference(CTImageStorage, uid(study, 3, part)) for part in range(1, 4)],
        "DerivationCodeSequence": [_code("113091", "DCM", "Spatially-related frames extracted from the volume")],
        "ContrastBolusAgent": "APPLIED",
        "ContrastBolusRoute": "IV",
        "ContrastBolusVolume": "100",
        "ContrastFlowRate": "3",
        "ScanOptions": "HELICAL MODE",
        "SliceThickness": "1.25",
        "KVP": "120",
        "DataCollectionDiameter": "500.0",
        "ReconstructionDiameter": "360.0",
        "DistanceSourceToDetector": "1099.3",
        "DistanceSourceToPatient": "625.6",
        "GantryDetectorTilt": "0.0",
        "TableHeight": "151.0",
        "RotationDirection": "CW",
        "ExposureTime": "500",
        "XRayTubeCurrent": "310",
        "Exposure": "6",
        "FilterType": "BODY FILTER",
        "GeneratorPower": "37200",
        "FocalSpots": ["1.2"],
        "ConvolutionKernel": "STANDARD",
        "RevolutionTime": 0.5,
        "SingleCollimationWidth": 0.625,
        "TotalCollimationWidth": 80.0,
        "TableSpeed": 158.75,
        "TableFeedPerRotation": 79.375,
        "SpiralPitchFactor": 0.992188,
        "ExposureModulationType": "XYZ",
        "CTDIvol": 7.4,
        "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
        "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
        "ImageComments": "Reviewed by Leser for Testperson",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "WindowCenter": ["40", "-600"],
        "WindowWidth": ["400", "1500"],
        "WindowCenterWidthExplanation": ["ABDOMEN", "LUNG"],
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
    }


def _add_private(data: Dataset, number: int) -> None:
    for creator, group, count in _PRIVATE_BLOCKS:
        block = data.private_block(group, creator, create=True)
        for offset in range(1, count + 1):
            if offset % 4 == 0:
                block.add_new(offset, "DS", f"{offset * 1.5 + number:.3f}")
            elif offset % 4 == 1:
                block.add_new(offset, "LO", f"CT99 value {offset}")
            elif offset % 4 == 2:
                block.add_new(offset, "SL", offset * 1000 + number)
            else:
                block.add_new(offset, "OB", bytes(range(16)) * 2)


def ct_slice(number: int, *, slices: int = 300, study: int = 1, size: int = SIZE) -> Dataset:
    """Return one slice, complete with file meta; `number` counts from 1."""
    data = Dataset()
    values = {**_patient_and_study(study), **_series(study), **_equipment_and_image(study, number)}
    for keyword, value in values.items():
        setattr(data, keyword, Sequence(value) if _is_items(value) else value)
    _add_private(data, number)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns, data.PixelSpacing = size, size, ["0.703125", "0.703125"]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = _pixels(number, slices, size)
    data["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    return data


def _is_items(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Dataset) for item in value)


def element_count(data: Dataset) -> int:
    """Return how many elements a data set has, those in sequences among them."""
    return sum(1 for _ in data.iterall())


def ct_series(
    folder: Path,
    slices: int,
    *,
    study: int = 1,
    size: int = SIZE,
    on_file: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Path]:
    """Write a series of `slices` files into `folder`, or take the one that is there; return the files in order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04d}.dcm" for number in range(1, slices + 1)]
    for number, file in enumerate(files, start=1):
        if not file.exists():
            draft = file.with_suffix(".part")
            ct_slice(number, slices=slices, study=study, size=size).save_as(draft, enforce_file_format=True)
            draft.replace(file)
        on_file(number, slices)
    return files


def _plain_object(number: int, *, study: int, frames: int, size: int) -> Dataset:
    """Return an object with a short header and `frames` frames of noise: for what the header is not the point."""
    data = Dataset()
    values = {**_patient_and_study(study), "SeriesInstanceUID": uid(study, 1), "SOPClassUID": CTImageStorage}
    values |= {"SOPInstanceUID": uid(study, 1, number), "Modality": "CT", "InstanceNumber": number}
    for keyword, value in values.items():
        setattr(data, keyword, Sequence(value) if _is_items(value) else value)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.NumberOfFrames = 1, "MONOCHROME2", frames
    data.Rows = data.Columns = size
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = np.random.default_rng((_SEED, study, number)).bytes(frames * size * size * 2)
    data["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    return data


def _plain_series(folder: Path, count: int, *, study: int, frames: int, size: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:05d}.dcm" for number in range(1, count + 1)]
    for number, file in enumerate(files, start=1):
        if not file.exists():
            draft = file.with_suffix(".part")
            _plain_object(number, study=study, frames=frames, size=size).save_as(draft, enforce_file_format=True)
            draft.replace(file)
    return files


def multi_frame_series(folder: Path, count: int, *, megabytes: int) -> list[Path]:
    """Write `count` objects of about `megabytes` each, frames of 512 by 512 pixels, or take those that are there."""
    frames = max(1, round(megabytes * 1e6 / (SIZE * SIZE * 2)))
    return _plain_series(folder, count, study=8, frames=frames, size=SIZE)


def small_series(folder: Path, count: int) -> list[Path]:
    """Write `count` objects of about 5 kB, as a structured report or a presentation state has, or take those there."""
    return _plain_series(folder, count, study=9, frames=1, size=36)
