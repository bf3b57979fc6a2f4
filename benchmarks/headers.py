"""What a header costs beside a CT's: an enhanced multi-frame object of 8,000 elements, and a structured report.

Both are as scanners and measuring workstations write them, with the pixels small: the header is the point.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, EnhancedSRStorage, ExplicitVRLittleEndian

from benchmarks.contestants import FRAMES
from benchmarks.inputs import _PRIVATE_BLOCKS, _code, _patient_and_study, _reference, uid

__all__ = ["enhanced_series", "report_series"]

_SIZE = 64


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _frame(number: int) -> Dataset:
    return _item(
        MRImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="T2",
            )
        ],
        FrameContentSequence=[
            _item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=f"20240229101500.{number:06d}",
                FrameAcquisitionDateTime=f"20240229101500.{number:06d}",
                FrameAcquisitionDuration=120.0,
                StackID="1",
                InStackPositionNumber=number,
                DimensionIndexValues=[1, number],
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=["-120", "-110", f"{number * 1.5:.1f}"])],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        PixelMeasuresSequence=[_item(SliceThickness="1.5", PixelSpacing=["0.9", "0.9"])],
        FrameVOILUTSequence=[_item(WindowCenter="512", WindowWidth="1024")],
        MRTimingAndRelatedParametersSequence=[_item(RepetitionTime="4500", FlipAngle="120", EchoTrainLength=16)],
        MREchoSequence=[_item(EffectiveEchoTime=98.0)],
    )


def _with_meta(data: Dataset, sop_class: UID) -> Dataset:
    data.SOPClassUID = sop_class
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    return data


def _base(study: int, number: int, modality: str) -> Dataset:
    data = _item(**_patient_and_study(study))
    data.SeriesInstanceUID, data.SOPInstanceUID = uid(study, 1), uid(study, 1, number)
    data.Modality, data.SeriesNumber, data.InstanceNumber = modality, 1, number
    data.Manufacturer, data.SeriesDescription = "Bench", "AX T2 TSE"
    return data


def _enhanced(number: int) -> Dataset:
    data = _base(11, number, "MR")
    data.FrameOfReferenceUID, data.NumberOfFrames = uid(11, 2), FRAMES
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    data.ContentDate, data.ContentTime = "20240229", "101500"
    data.AcquisitionDateTime = "20240229101500"
    data.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=uid(11, 3))]
    data.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[_item(SliceThickness="1.5")])]
    data.PerFrameFunctionalGroupsSequence = [_frame(index) for index in range(1, FRAMES + 1)]
    for creator, group, count in _PRIVATE_BLOCKS[:2]:
        block = data.private_block(group, creator, create=True)
        for offset in range(1, count + 1):
            block.add_new(offset, "LO", f"value {offset}")
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = _SIZE
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    noise = np.random.default_rng(number).integers(0, 4096, FRAMES * _SIZE * _SIZE, dtype="<u2")
    data.PixelData = noise.tobytes()
    data["PixelData"].VR = "OW"
    return _with_meta(data, EnhancedMRImageStorage)


def _measurement(number: int) -> Dataset:
    value = _item(NumericValue=f"{number * 1.7:.1f}", MeasurementUnitsCodeSequence=[_code("mm", "UCUM", "millimeter")])
    return _item(
        RelationshipType="CONTAINS",
        ValueType="NUM",
        ConceptNameCodeSequence=[_code("81827009", "SCT", "Diameter")],
        MeasuredValueSequence=[value],
    )


def _report(number: int) -> Dataset:
    data = _base(12, number, "SR")
    data.ContentDate, data.ContentTime = "20240229", "103000"
    data.CompletionFlag, data.VerificationFlag, data.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"
    data.ContinuityOfContent = "SEPARATE"
    data.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    finding = _item(
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=[_code("121071", "DCM", "Finding")],
        TextValue="Small nodule in the left upper lobe, no change.",
    )
    observer = _item(
        RelationshipType="HAS OBS CONTEXT",
        ValueType="PNAME",
        ConceptNameCodeSequence=[_code("121008", "DCM", "Person Observer Name")],
        PersonName="Bench^Reader",
    )
    image = _item(
        RelationshipType="CONTAINS",
        ValueType="IMAGE",
        ReferencedSOPSequence=[_reference("1.2.840.10008.5.1.4.1.1.2", uid(12, 5, number))],
    )
    data.ContentSequence = [observer, finding, image, *(_measurement(index) for index in range(1, 7))]
    return _with_meta(data, EnhancedSRStorage)


def _series(folder: Path, count: int, make: Callable[[int], Dataset]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04d}.dcm" for number in range(1, count + 1)]
    for number, file in enumerate(files, start=1):
        if not file.exists():
            draft = file.with_suffix(".part")
            make(number).save_as(draft, enforce_file_format=True)
            draft.replace(file)
    return files


def enhanced_series(folder: Path, count: int) -> list[Path]:
    """Write `count` enhanced MR objects of 240 frames and about 8,000 elements, or take those that are there."""
    return _series(folder, count, _enhanced)


def report_series(folder: Path, count: int) -> list[Path]:
    """Write `count` structured reports of about 5 kB, or take those that are there."""
    return _series(folder, count, _report)
