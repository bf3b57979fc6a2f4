"""DICOM that nobody planned for: each file carries words that occur nowhere else, in every place that can hold one."""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.dataset import EXPLICIT_LITTLE, LONG_FORM_VRS, SHORT_FORM_VRS, Element, encode
from deidentify.dictionary import vr_table
from deidentify.parser import read_instance
from tests.builders import code, ct_instance, dataset, mr_instance, sr_instance, uid, write_part10
from tests.deidentify.test_canaries import Planter, plant_everywhere

STORAGE = "1.2.840.10008.5.1.4.1.1."
LEFT_ALONE = frozenset((0x00080005,))
BODY_AT = 144
"""Where the group length of the file meta ends; the data set begins after as many bytes as it says."""

Nasty = tuple[bytes, Planter]


def body_of(part10: bytes) -> int:
    return BODY_AT + struct.unpack_from("<L", part10, BODY_AT - 4)[0]


def spliced(part10: bytes, *elements: Element) -> bytes:
    """Return a file with these elements in place of those of the same tags, in order."""
    start = body_of(part10)
    received = read_instance(io.BytesIO(part10))
    tags = {element.tag for element in elements}
    kept = [element for element in received.identified_elements if element.tag not in tags]
    parts: list[Any] = []
    encode(sorted([*kept, *elements], key=lambda element: element.tag), EXPLICIT_LITTLE, parts)
    return part10[:start] + b"".join(part10[p[0] : p[0] + p[1]] if isinstance(p, tuple) else p for p in parts)


def planted(instance: Dataset, *, deep: bool = True) -> tuple[Dataset, Planter]:
    """Plant words in every text and byte attribute, at the top and in an item of a sequence outside the table."""
    planter = Planter()
    plant_everywhere(instance, planter, skip=LEFT_ALONE | {0x00420011})
    if deep:
        item = Dataset()
        plant_everywhere(item, planter, skip=LEFT_ALONE)
        item.add_new(0x00091010, "LO", planter.word())
        instance.VOILUTSequence = Sequence([item])
    return instance, planter


def uids_in_un() -> Nasty:
    """Every UI attribute as UN, at the top and in an item, each with a UID of its own."""
    planter = Planter()
    top, inner = [], []
    for number, (tag, vr) in enumerate(sorted(vr_table().items())):
        if vr != "UI" or tag >> 16 < 8 or tag in {0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00081150}:
            continue
        for elements, place in ((top, 1), (inner, 2)):
            value = f"1.2.826.0.1.3680043.10.1507.88{place}.{number}.77"
            planter.planted.append(value.encode())
            elements.append(Element(tag, "UN", value.encode() + b"\0" * (len(value) & 1)))
    sequence = Element(0x00283010, "SQ", items=[inner])
    return spliced(write_part10(ct_instance()), *top, sequence), planter


def nested_deeply(depth: int = 12) -> Nasty:
    """Words at each of twelve levels, the lengths defined and undefined in turn, in sequences of all kinds."""
    planter = Planter()
    tags = (0x00400555, 0x00283010, 0x00081115, 0x52009229, 0x00082218, 0x300A00B0)
    level: list[Element] = []
    for number in range(depth):
        word = planter.word().encode()
        level = [
            Element(0x00081115 if number % 2 else 0x00189301, "SQ", items=[level] if level else []),
            Element(0x00100010, "PN", word + b" " * (len(word) & 1)),
            Element(tags[number % len(tags)], "SQ", items=[[Element(0x00104000, "LT", planter.word().encode())]]),
        ]
        level.sort(key=lambda element: element.tag)
        level = list({element.tag: element for element in level}.values())
    return spliced(write_part10(ct_instance()), Element(0x00400555, "SQ", items=[level])), planter


def wrong_vrs(vr: str) -> Nasty:
    """Every public attribute that is no sequence, a word in each, all under one VR."""
    planter = Planter()
    elements = []
    structural = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x7FE00010, 0x00280010, 0x00280011}
    for tag, real in sorted(vr_table().items()):
        if (
            real == "SQ"
            or tag >> 16 < 8
            or not tag & 0xFFFF
            or tag in structural
            or tag >> 16 == 0xFFFE
            or tag >> 16 == 0x7FE0
        ):
            continue
        word = planter.word().encode()
        elements.append(Element(tag, vr, word + b" " * (len(word) & 1)))
    return spliced(write_part10(ct_instance()), *elements), planter


def odd_lengths() -> Nasty:
    """Values without padding, so that every second element begins at an odd place."""
    planter = Planter()
    values = {
        0x00081030: (b"LO", b"CT Abdomens"),
        0x00100010: (b"PN", b"A" + planter.word().encode()),
        0x00104000: (b"LT", b"B" + planter.word().encode()),
        0x00200052: (b"UI", b"1.2.826.0.1.3680043.10.1507.9"),
    }
    added = b""
    for tag, (vr, value) in sorted(values.items()):
        odd = value if len(value) & 1 else value + b"1"
        planter.planted += [odd] if vr == b"UI" else []
        added += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(odd)) + odd
    return spliced_raw(write_part10(ct_instance()), added, set(values)), planter


def spliced_raw(part10: bytes, added: bytes, tags: set[int]) -> bytes:
    """Return a file whose elements of these tags are replaced by bytes as given, one element after the other."""
    start = body_of(part10)
    pieces: dict[int, bytes] = {}
    for source in (part10[start:], added):
        position = 0
        while position < len(source):
            group, number, vr, length = struct.unpack_from("<HH2sH", source, position)
            head = 8
            if vr.decode() in LONG_FORM_VRS:
                length, head = struct.unpack_from("<L", source, position + 8)[0], 12
            assert vr.decode() in LONG_FORM_VRS | SHORT_FORM_VRS
            stop = position + head + length
            pieces[group << 16 | number] = source[position:stop]
            position = stop
    assert tags <= set(pieces)
    return part10[:start] + b"".join(pieces[tag] for tag in sorted(pieces))


def with_charset(charset: bytes, codec: str) -> Nasty:
    """Names in bytes that the character set does not explain, in names, descriptions and codes."""
    planter = Planter()
    word = planter.word()
    name = f"Ürzqüam{word}".encode(codec, "replace")
    elements = [
        Element(0x00080005, "CS", charset + b" " * (len(charset) & 1)),
        Element(0x00081030, "LO", b"CT Abdomen " + name[:40]),
        Element(0x0008103E, "LO", name[:40] + b" portal"),
        Element(0x00100010, "PN", name[:60]),
        Element(0x00104000, "LT", name),
        Element(0x00180024, "SH", name[:16]),
    ]
    return spliced(write_part10(ct_instance()), *elements), planter


def names_in_three_groups() -> Nasty:
    """Several names in one value, each alphabetic, ideographic and phonetic, repeated in descriptions."""
    planter = Planter()
    romans = [planter.word() for _ in range(3)]
    japanese = ["山田^太郎", "佐藤^花子", "鈴木^一郎"]
    phonetic = ["やまだ^たろう", "さとう^はなこ", "すずき^いちろう"]
    planter.planted += [part.encode() for name in (*japanese, *phonetic) for part in name.split("^")]
    names = ["=".join(parts) for parts in zip(romans, japanese, phonetic, strict=True)]
    instance = ct_instance(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=names[0],
        OtherPatientNames=names,
        OperatorsName=names[1:],
        StudyDescription="CT Abdomen 山田",
        SeriesDescription="AX portal やまだ 太郎",
        ProtocolName=f"AX {romans[1]}",
        ImageComments="portal for 鈴木一郎 and すずき",
    )
    return write_part10(instance), planter


def structured_report() -> Nasty:
    """A report with items of every value type, some of them of concepts that identify."""
    planter = Planter()

    def item(kind: str, concept: tuple[str, str, str], **value: Any) -> dict[str, Any]:
        return {
            "RelationshipType": "CONTAINS",
            "ValueType": kind,
            "ConceptNameCodeSequence": [code(*concept)],
            **value,
        }

    finding = ("121071", "DCM", "Finding")
    instance = sr_instance(SOPClassUID=STORAGE + "88.33")
    items = [
        item("TEXT", finding, TextValue=f"Baker cyst, seen by {planter.word()}"),
        item("TEXT", ("L1", "99LOCAL", planter.word()), TextValue=planter.word()),
        item("PNAME", ("121008", "DCM", "Person Observer Name"), PersonName=planter.word()),
        item("PNAME", ("X1", "99LOCAL", "Whoever"), PersonName=planter.word()),
        item("CODE", finding, ConceptCodeSequence=[code("Z1", "99LOCAL", planter.word())]),
        item("DATE", ("126201", "DCM", "Acquisition Date"), Date="20240301"),
        item("DATETIME", ("111526", "DCM", "DateTime Started"), DateTime="20240301101112"),
        item("UIDREF", ("112227", "DCM", "Frame of Reference UID"), UID=uid(77, 1)),
        item("TEXT", ("121022", "DCM", "Accession Number"), TextValue=planter.word()),
        item("TEXT", ("121005", "DCM", "Observer Type"), TextValue=planter.word()),
        item(
            "NUM",
            ("81827009", "SCT", "Diameter"),
            MeasuredValueSequence=[
                {"NumericValue": "12.5", "MeasurementUnitsCodeSequence": [code("mm", "UCUM", "mm")]}
            ],
        ),
        item(
            "IMAGE",
            finding,
            ReferencedSOPSequence=[
                {"ReferencedSOPClassUID": STORAGE + "2", "ReferencedSOPInstanceUID": uid(1, 1, 1)},
            ],
        ),
        item("CONTAINER", finding, ContinuityOfContent="SEPARATE", ContentSequence=[]),
    ]
    made = [dataset(**values) for values in items]
    inner = dataset(**item("TEXT", finding, TextValue=f"cyst {planter.word()}"))
    made[-1].ContentSequence = Sequence([inner])
    instance.ContentSequence = Sequence([*instance.ContentSequence, *made])
    planter.planted += [b"20240301", uid(77, 1).encode(), uid(1, 1, 1).encode()]
    return write_part10(instance), planter


def key_object_selection() -> Nasty:
    planter = Planter()
    instance = sr_instance(SOPClassUID=STORAGE + "88.59", Modality="KO", VerificationFlag=None, CompletionFlag=None)
    instance.ConceptNameCodeSequence = Sequence([dataset(**code("113010", "DCM", "Quality Issue"))])
    description = dataset(
        RelationshipType="CONTAINS", ValueType="TEXT", TextValue=f"knee of {planter.word()}",
        ConceptNameCodeSequence=[code("113012", "DCM", "Key Object Description")],
    )  # fmt: skip
    image = dataset(
        RelationshipType="CONTAINS", ValueType="IMAGE",
        ReferencedSOPSequence=[{"ReferencedSOPClassUID": STORAGE + "2", "ReferencedSOPInstanceUID": uid(1, 1, 1)}],
    )  # fmt: skip
    instance.ContentSequence = Sequence([description, image])
    instance.CurrentRequestedProcedureEvidenceSequence = Sequence(
        [
            dataset(
                StudyInstanceUID=uid(1),
                ReferencedSeriesSequence=[
                    {
                        "SeriesInstanceUID": uid(1, 1),
                        "RetrieveAETitle": planter.word()[:16],
                        "ReferencedSOPSequence": [
                            {"ReferencedSOPClassUID": STORAGE + "2", "ReferencedSOPInstanceUID": uid(1, 1, 1)}
                        ],
                    }
                ],
            )
        ]
    )
    planter.planted.append(uid(1, 1, 1).encode())
    return write_part10(instance), planter


def segmentation() -> Nasty:
    instance, planter = planted(
        mr_instance(SOPClassUID=STORAGE + "66.4", Modality="SEG", SegmentationType="BINARY", NumberOfFrames=1)
    )
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 8, 8, 7
    instance.PixelData = bytes(256)
    segment = dataset(
        SegmentNumber=1, SegmentLabel=f"Liver {planter.word()}", SegmentDescription=planter.word(),
        SegmentAlgorithmType="MANUAL", SegmentedPropertyCategoryCodeSequence=[code("85756007", "SCT", "Tissue")],
        SegmentedPropertyTypeCodeSequence=[code("X", "99LOCAL", planter.word())], TrackingID=planter.word(),
        TrackingUID=uid(99, 2),
    )  # fmt: skip
    instance.SegmentSequence = Sequence([segment])
    planter.planted.append(uid(99, 2).encode())
    return write_part10(instance), planter


def _rt(sop_class: str, modality: str, **attributes: Any) -> tuple[Dataset, Planter]:
    instance = sr_instance(
        SOPClassUID=STORAGE + sop_class, Modality=modality, ContentSequence=None, ValueType=None,
        ContinuityOfContent=None, CompletionFlag=None, VerificationFlag=None, ConceptNameCodeSequence=None,
        ReferencedPerformedProcedureStepSequence=None, PerformedProcedureCodeSequence=None, OperatorsName="",
        **attributes,
    )  # fmt: skip
    return planted(instance)


def rt_structure_set() -> Nasty:
    instance, planter = _rt("481.3", "RTSTRUCT", StructureSetLabel="x", StructureSetDate="20240301")
    roi = dataset(
        ROINumber=1, ROIName=f"Liver {planter.word()}", ROIDescription=planter.word(), ROIGenerationAlgorithm=""
    )
    roi.ReferencedFrameOfReferenceUID = uid(1, 0, 1)
    instance.StructureSetROISequence = Sequence([roi])
    observed = dataset(
        ObservationNumber=1, ReferencedROINumber=1, ROIInterpreter=planter.word(), RTROIInterpretedType="",
        ROIObservationLabel=planter.word()[:16],
    )  # fmt: skip
    instance.RTROIObservationsSequence = Sequence([observed])
    planter.planted += [uid(1, 0, 1).encode(), b"20240301"]
    return write_part10(instance), planter


def rt_plan() -> Nasty:
    instance, planter = _rt("481.5", "RTPLAN", RTPlanLabel="x", RTPlanDate="20240301", RTPlanGeometry="PATIENT")
    beam = dataset(
        BeamNumber=1, BeamName=planter.word(), BeamDescription=planter.word(), TreatmentMachineName=planter.word()[:16],
        BeamType="STATIC", RadiationType="PHOTON",
    )  # fmt: skip
    instance.BeamSequence = Sequence([beam])
    planter.planted.append(b"20240301")
    return write_part10(instance), planter


def waveform() -> Nasty:
    instance, planter = _rt("9.1.1", "ECG", AcquisitionDateTime="20240301101112")
    channel = dataset(
        ChannelLabel=planter.word()[:16], ChannelSourceSequence=[code("2:1", "MDC", "Lead I")], WaveformBitsStored=16,
        ChannelDerivationDescription=planter.word(),
    )  # fmt: skip
    group = dataset(
        WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=1, NumberOfWaveformSamples=8, SamplingFrequency="500",
        MultiplexGroupLabel=planter.word()[:16], WaveformBitsAllocated=16, WaveformSampleInterpretation="SS",
    )  # fmt: skip
    group.ChannelDefinitionSequence = Sequence([channel])
    group.add_new(0x54001010, "OW", bytes(16))
    instance.WaveformSequence = Sequence([group])
    note = dataset(UnformattedTextValue=f"Sinus rhythm {planter.word()}", AnnotationGroupNumber=1)
    instance.WaveformAnnotationSequence = Sequence([note])
    planter.planted.append(b"20240301")
    return write_part10(instance), planter


def encapsulated_pdf() -> Nasty:
    instance, planter = _rt("104.1", "DOC", MIMETypeOfEncapsulatedDocument="application/pdf", DocumentTitle="x")
    instance.add_new(0x00420011, "OB", b"%PDF-1.4 " + planter.word().encode().ljust(31))
    return write_part10(instance), planter


def private_class() -> Nasty:
    instance, planter = planted(ct_instance(SOPClassUID="1.2.826.0.1.3680043.10.1507.5"))
    return write_part10(instance), planter


def in_syntax(syntax: str) -> Callable[[], Nasty]:
    def made() -> Nasty:
        instance, planter = planted(ct_instance())
        return write_part10(instance, transfer_syntax=syntax), planter

    return made


def clean_ones() -> Iterator[tuple[str, Callable[[], Nasty]]]:
    """Yield name and maker of the files that have to come out clean."""
    yield "UIDs in UN", uids_in_un
    yield "12 deep", nested_deeply
    yield "40 deep", lambda: nested_deeply(40)
    for vr in sorted((LONG_FORM_VRS | SHORT_FORM_VRS) - {"SQ"}):
        yield f"all as {vr}", lambda vr=vr: wrong_vrs(vr)
    yield "odd lengths", odd_lengths
    for charset, codec in CHARSETS:
        yield f"{charset!r} with {codec}", lambda charset=charset, codec=codec: with_charset(charset, codec)
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        yield f"syntax {syntax}", in_syntax(syntax)
    yield "names in three groups", names_in_three_groups
    yield "SR", structured_report
    yield "KO", key_object_selection
    yield "SEG", segmentation
    yield "RT Structure Set", rt_structure_set
    yield "RT Plan", rt_plan
    yield "ECG", waveform


CHARSETS = [
    (charset, codec)
    for charset in (b"ISO_IR 999", b"UTF-8", b"iso_ir 100", b"ISO_IR 100\\ISO_IR 192", b"\\", b"ISO 2022 IR 13\\GBK")
    for codec in ("utf-8", "latin-1", "utf-16-be", "cp437")
]
