"""The directory of a DICOM file set: Media Storage Directory Storage (PS3.3 Annex F) over files that lie there.

Only what the Standard demands stands in its records. A directory has to say some things that files may leave out:
where an identifier or number is empty, the place in the case stands for it, and where a day is empty, 1 January 1900.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from pydicom import dcmread, dcmwrite
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import DIRECTORY_RECORDERS

from cases.errors import NotListableError

__all__ = ["DIRECTORY", "ListedFile", "write_directory"]

DIRECTORY = "DICOMDIR"
_IN_USE = 0xFFFF
_NO_DAY, _NO_TIME = "19000101", "000000"
_PER_KIND: Mapping[str, Sequence[uids.UID]] = {
    "ENCAP DOC": (uids.EncapsulatedPDFStorage, uids.EncapsulatedCDAStorage, uids.EncapsulatedSTLStorage),
    "FIDUCIAL": (uids.SpatialFiducialsStorage,),
    "KEY OBJECT DOC": (uids.KeyObjectSelectionDocumentStorage,),
    "PRESENTATION": (
        uids.GrayscaleSoftcopyPresentationStateStorage,
        uids.ColorSoftcopyPresentationStateStorage,
        uids.PseudoColorSoftcopyPresentationStateStorage,
        uids.BlendingSoftcopyPresentationStateStorage,
    ),
    "RAW DATA": (uids.RawDataStorage,),
    "REGISTRATION": (uids.SpatialRegistrationStorage, uids.DeformableSpatialRegistrationStorage),
    "RT DOSE": (uids.RTDoseStorage,),
    "RT PLAN": (uids.RTPlanStorage, uids.RTIonPlanStorage),
    "RT STRUCTURE SET": (uids.RTStructureSetStorage,),
    "SPECTROSCOPY": (uids.MRSpectroscopyStorage,),
    "SR DOCUMENT": (
        uids.BasicTextSRStorage,
        uids.EnhancedSRStorage,
        uids.ComprehensiveSRStorage,
        uids.Comprehensive3DSRStorage,
        uids.MammographyCADSRStorage,
        uids.ChestCADSRStorage,
        uids.XRayRadiationDoseSRStorage,
    ),
    "SURFACE": (uids.SurfaceSegmentationStorage,),
    "VALUE MAP": (uids.RealWorldValueMappingStorage,),
    "WAVEFORM": (
        uids.TwelveLeadECGWaveformStorage,
        uids.GeneralECGWaveformStorage,
        uids.AmbulatoryECGWaveformStorage,
        uids.HemodynamicWaveformStorage,
    ),
}
_KINDS = {sop_class: kind for kind, classes in _PER_KIND.items() for sop_class in classes}
"""SOP Class → Directory Record Type (0004,1430); what has pixels and is not here is an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file of the set, and where its image stands in the case; places count from 1."""

    file_id: PurePosixPath
    sop_class_uid: str
    has_pixels: bool
    study: int
    series: int
    position: int


@dataclass(slots=True, eq=False)
class _Node:
    """A record with those below it."""

    record: Dataset
    below: dict[str, "_Node"] = field(default_factory=dict)


def write_directory(folder: Path, files: Sequence[ListedFile]) -> None:
    """Write the directory of files that lie in a folder.

    Parameters
    ----------
    folder
        Root of the file set; it has no directory yet.
    files
        All its files.

    Raises
    ------
    NotListableError
        When a file is of a kind that no record is for, or lacks what the record has to say.
    """
    patients: dict[str, _Node] = {}
    for file in files:
        header = dcmread(folder / file.file_id, stop_before_pixels=True)
        node = _below(patients, str(header.get("PatientID", "")), _patient(header))
        node = _below(node.below, str(header.StudyInstanceUID), _study(header, file))
        node = _below(node.below, str(header.SeriesInstanceUID), _series(header, file))
        _below(node.below, str(header.SOPInstanceUID), _leaf(header, file))
    data = _directory(patients)
    with (folder / DIRECTORY).open("xb") as target:
        target.write(data)


def _below(nodes: dict[str, _Node], key: str, record: Dataset) -> _Node:
    return nodes.setdefault(key, _Node(record))


# -- records ---------------------------------------------------------------------------------------------------------


def _record(header: Dataset, kind: str) -> Dataset:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = _IN_USE
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    if header.get("SpecificCharacterSet"):
        record.SpecificCharacterSet = header.SpecificCharacterSet
    return record


def _patient(header: Dataset) -> Dataset:
    record = _record(header, "PATIENT")
    record.PatientName = header.get("PatientName", "")
    record.PatientID = header.get("PatientID") or "CASE"
    return record


def _study(header: Dataset, file: ListedFile) -> Dataset:
    record = _record(header, "STUDY")
    record.StudyDate = header.get("StudyDate") or _NO_DAY
    record.StudyTime = header.get("StudyTime") or _NO_TIME
    record.AccessionNumber = header.get("AccessionNumber") or ""
    record.StudyDescription = header.get("StudyDescription") or ""
    record.StudyInstanceUID = header.StudyInstanceUID
    record.StudyID = header.get("StudyID") or str(file.study)
    return record


def _series(header: Dataset, file: ListedFile) -> Dataset:
    record = _record(header, "SERIES")
    record.Modality = header.get("Modality") or "OT"
    record.SeriesInstanceUID = header.SeriesInstanceUID
    number = header.get("SeriesNumber")
    record.SeriesNumber = file.series if number is None else number
    return record


def _leaf(header: Dataset, file: ListedFile) -> Dataset:
    kind = _KINDS.get(uids.UID(file.sop_class_uid), "IMAGE" if file.has_pixels else "")
    if not kind:
        raise NotListableError("an object of the case is of a kind that no DICOM directory lists; leave out --dicomdir")
    record = _record(header, kind)
    record.ReferencedFileID = list(file.file_id.parts)
    record.ReferencedSOPClassUIDInFile = header.SOPClassUID
    record.ReferencedSOPInstanceUIDInFile = header.SOPInstanceUID
    record.ReferencedTransferSyntaxUIDInFile = header.file_meta.TransferSyntaxUID
    if header.get("InstanceNumber") is None:
        header.InstanceNumber = file.position
    try:
        record.update(DIRECTORY_RECORDERS[kind](header))
    except (ValueError, AttributeError):
        raise NotListableError(
            "an object of the case lacks what a DICOM directory has to say of its kind; leave out --dicomdir"
        ) from None
    return record


# -- the file --------------------------------------------------------------------------------------------------------


def _directory(patients: Mapping[str, _Node]) -> bytes:
    """Return the file: written once to learn where each record lies, and again with those places in it."""
    nodes = list(_in_order(patients))
    directory = Dataset()
    directory.FileSetID = ""
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.FileSetConsistencyFlag = 0
    directory.DirectoryRecordSequence = [node.record for node in nodes]
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = uids.MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = uids.generate_uid(prefix=None)
    directory.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    written = dcmread(io.BytesIO(_bytes(directory)))
    items = written.DirectoryRecordSequence
    places = {id(node): int(item.seq_item_tell or 0) for node, item in zip(nodes, items, strict=True)}
    _link(patients, places)
    roots = [places[id(node)] for node in patients.values()]
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = roots[0] if roots else 0
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = roots[-1] if roots else 0
    return _bytes(directory)


def _bytes(directory: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, directory, enforce_file_format=True)
    return buffer.getvalue()


def _in_order(nodes: Mapping[str, _Node]) -> list[_Node]:
    return [found for node in nodes.values() for found in (node, *_in_order(node.below))]


def _link(nodes: Mapping[str, _Node], places: Mapping[int, int]) -> None:
    siblings = list(nodes.values())
    for node, following in zip_longest(siblings, siblings[1:]):
        node.record.OffsetOfTheNextDirectoryRecord = 0 if following is None else places[id(following)]
        first = next(iter(node.below.values()), None)
        node.record.OffsetOfReferencedLowerLevelDirectoryEntity = 0 if first is None else places[id(first)]
        _link(node.below, places)
