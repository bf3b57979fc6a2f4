"""Objects that refer to the images of a study: structure set, report, key object selection, presentation state."""

from collections.abc import Callable

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
)

__all__ = ["MAKERS", "SHARES", "item", "key_object", "presentation_state", "report", "structure_set"]

_STUDY_LEVEL = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "SpecificCharacterSet")


def item(**values: object) -> Dataset:
    """Return an item of a sequence."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def _reference(image: Dataset) -> Dataset:
    return item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)


def _base(images: list[Dataset], sop_class: UID, modality: str, uid: Callable[[], str]) -> Dataset:
    made = Dataset()
    for keyword in _STUDY_LEVEL:
        if keyword in images[0]:
            made[keyword] = images[0][keyword]
    date = images[0].get("StudyDate") or "20200101"
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = sop_class, uid(), uid()
    made.Modality, made.SeriesNumber, made.InstanceNumber = modality, 901, 1
    made.Manufacturer, made.ManufacturerModelName = "Philips Medical Systems", "IntelliSpace Portal"
    made.SeriesDate = made.ContentDate = date
    made.SeriesTime, made.ContentTime = "120000", "121500"
    made.PatientName = made.PatientID = made.AccessionNumber = made.StudyID = ""
    made.PatientBirthDate = made.PatientSex = made.ReferringPhysicianName = ""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, made.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta = meta
    return made


def structure_set(images: list[Dataset], uid: Callable[[], str]) -> Dataset:
    """Return an RT Structure Set with two regions on the images."""
    made = _base(images, RTStructureSetStorage, "RTSTRUCT", uid)
    frame = images[0].get("FrameOfReferenceUID") or uid()
    made.StructureSetLabel, made.StructureSetDate, made.StructureSetTime = "PLAN", made.SeriesDate, "121000"
    contours = Sequence([_reference(image) for image in images])
    series = item(SeriesInstanceUID=images[0].SeriesInstanceUID, ContourImageSequence=contours)
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=Sequence([series]),
    )
    made.ReferencedFrameOfReferenceSequence = Sequence(
        [item(FrameOfReferenceUID=frame, RTReferencedStudySequence=Sequence([study]))]
    )
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = frame, ""
    names = ("Heart", "Lt Lung")
    made.StructureSetROISequence = Sequence(
        [
            item(ROINumber=n, ReferencedFrameOfReferenceUID=frame, ROIName=name, ROIGenerationAlgorithm="MANUAL")
            for n, name in enumerate(names, 1)
        ]
    )
    made.ROIContourSequence = Sequence(
        [
            item(
                ReferencedROINumber=n,
                ROIDisplayColor=[255, 0, n],
                ContourSequence=Sequence(
                    [
                        item(
                            ContourImageSequence=Sequence([_reference(images[0])]),
                            ContourGeometricType="CLOSED_PLANAR",
                            NumberOfContourPoints=3,
                            ContourData=["1", "2", "3", "4", "5", "3", "7", "8", "3"],
                        )
                    ]
                ),
            )
            for n in (1, 2)
        ]
    )
    made.RTROIObservationsSequence = Sequence(
        [
            item(ObservationNumber=n, ReferencedROINumber=n, RTROIInterpretedType="ORGAN", ROIInterpreter="")
            for n in (1, 2)
        ]
    )
    made.ApprovalStatus = "UNAPPROVED"
    return made


def _evidence(images: list[Dataset]) -> Sequence:
    series = item(
        SeriesInstanceUID=images[0].SeriesInstanceUID,
        ReferencedSOPSequence=Sequence([_reference(image) for image in images]),
    )
    return Sequence([item(StudyInstanceUID=images[0].StudyInstanceUID, ReferencedSeriesSequence=Sequence([series]))])


def _document(images: list[Dataset], sop_class: UID, modality: str, uid: Callable[[], str]) -> Dataset:
    made = _base(images, sop_class, modality, uid)
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.CurrentRequestedProcedureEvidenceSequence = _evidence(images)
    made.ReferencedPerformedProcedureStepSequence = Sequence([])
    return made


def _content(relation: str, kind: str, name: tuple[str, str, str], **values: object) -> Dataset:
    return item(RelationshipType=relation, ValueType=kind, ConceptNameCodeSequence=_code(*name), **values)


def report(images: list[Dataset], uid: Callable[[], str], *, is_basic: bool = False) -> Dataset:
    """Return a report: who observed, when, the finding as text, a measurement, the image it speaks of."""
    made = _document(images, BasicTextSRStorage if is_basic else ComprehensiveSRStorage, "SR", uid)
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.PerformedProcedureCodeSequence = Sequence([])
    made.ConceptNameCodeSequence = _code("18748-4", "LN", "Diagnostic imaging report")
    content = [
        _content("HAS OBS CONTEXT", "PNAME", ("121008", "DCM", "Person Observer Name"), PersonName="?"),
        _content("CONTAINS", "TEXT", ("121071", "DCM", "Finding"), TextValue="?"),
        _content("CONTAINS", "TEXT", ("121073", "DCM", "Impression"), TextValue="?"),
        _content(
            "CONTAINS",
            "IMAGE",
            ("121080", "DCM", "Best illustration of finding"),
            ReferencedSOPSequence=Sequence([_reference(images[0])]),
        ),
    ]
    image = item(
        RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=Sequence([_reference(images[-1])])
    )
    content.append(image)
    if not is_basic:
        value = item(NumericValue="12.5", MeasurementUnitsCodeSequence=_code("mm", "UCUM", "millimeter"))
        name = ("410668003", "SCT", "Length")
        content.append(_content("CONTAINS", "NUM", name, MeasuredValueSequence=Sequence([value])))
        site = ("363698007", "SCT", "Finding Site")
        code = _code("39607008", "SCT", "Lung structure")
        content.append(_content("CONTAINS", "CODE", site, ConceptCodeSequence=code))
    made.ContentSequence = Sequence(content)
    return made


def key_object(images: list[Dataset], uid: Callable[[], str]) -> Dataset:
    """Return a key object selection: which images are of interest."""
    made = _document(images, KeyObjectSelectionDocumentStorage, "KO", uid)
    made.ConceptNameCodeSequence = _code("113002", "DCM", "For Referring Provider")
    made.ContentSequence = Sequence(
        [
            item(
                RelationshipType="CONTAINS",
                ValueType="IMAGE",
                ReferencedSOPSequence=Sequence([_reference(image)]),
            )
            for image in images
        ]
    )
    return made


def presentation_state(images: list[Dataset], uid: Callable[[], str]) -> Dataset:
    """Return a softcopy presentation state with a window and a displayed area."""
    made = _base(images, GrayscaleSoftcopyPresentationStateStorage, "PR", uid)
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "KEY", "", ""
    made.PresentationCreationDate, made.PresentationCreationTime = made.SeriesDate, "121600"
    series = item(
        SeriesInstanceUID=images[0].SeriesInstanceUID,
        ReferencedImageSequence=Sequence([_reference(image) for image in images]),
    )
    made.ReferencedSeriesSequence = Sequence([series])
    area = item(
        DisplayedAreaTopLeftHandCorner=[1, 1],
        DisplayedAreaBottomRightHandCorner=[16, 16],
        PresentationSizeMode="SCALE TO FIT",
        PresentationPixelAspectRatio=[1, 1],
    )
    made.DisplayedAreaSelectionSequence = Sequence([area])
    made.SoftcopyVOILUTSequence = Sequence([item(WindowCenter="40", WindowWidth="400")])
    made.PresentationLUTShape = "IDENTITY"
    return made


SHARES = {"structure set": 6, "report": 6, "key object": 4, "basic report": 3, "presentation state": 1}
"""How often each is made: presentation states are rare in what is sent for teaching."""

MAKERS: dict[str, Callable[[list[Dataset], Callable[[], str]], Dataset]] = {
    "structure set": structure_set,
    "report": report,
    "basic report": lambda images, uid: report(images, uid, is_basic=True),
    "key object": key_object,
    "presentation state": presentation_state,
}
