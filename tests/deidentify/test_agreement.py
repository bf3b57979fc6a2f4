"""The byte-level way and a plain pydicom way of the same rules agree: on the corpus, and on what nobody planned for."""

import io
import warnings
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError
from deidentify.profile import Profile
from tests.corpus import require_corpus
from tests.deidentify.made_profiles import profiles
from tests.deidentify.reference import planned, written_tree
from tests.deidentify.support import clear_screen, profile, scope

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
FEWEST_AGREED = 300


def both_ways(engine: Deidentifier, part10: bytes, rules: Profile | None = None) -> tuple[Any, Any] | None:
    """Return what the plain way and the byte-level way make of a file; None where it is not delivered.

    ``rules`` is the profile of the engine, the default one if None.
    """
    source, target = io.BytesIO(part10), io.BytesIO()
    try:
        received = engine.read(source)
        if engine.disposition(received) is not None:
            return None
        plan = engine.plan(received, scope())
        engine.write(plan, clear_screen(plan), source, target)
    except DeidentificationError:
        return None
    return planned(part10, rules or profile(), scope()), written_tree(target.getvalue())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_both_ways_agree_on_every_file_of_the_corpus_with_one_memory_for_all():
    engine, seen = Deidentifier(profile()), Counter[str]()
    differing = []
    for file in require_corpus():
        ways = both_ways(engine, file.path.read_bytes())
        if ways is None:
            seen["not delivered"] += 1
            continue
        plain, written = ways
        if written != plain:
            differing.append(file.path.name)
        seen["agreed"] += written == plain
    assert not differing
    assert seen["agreed"] >= FEWEST_AGREED


TEXTS = st.sampled_from(
    ["AX T2 FLAIR", "Testperson^Pat", "PID-1234567", "19700102", "Dr Example called", "1.2.3.4", ""]
)
PLAIN = st.one_of(
    st.tuples(st.sampled_from(["SeriesDescription", "ImageComments", "ProtocolName", "StationName"]), TEXTS),
    st.tuples(st.sampled_from(["PatientName", "OperatorsName"]), st.just("Testperson^Pat")),
    st.tuples(st.sampled_from(["ContentDate", "AcquisitionDate"]), st.sampled_from(["20240229", "1999", ""])),
    st.tuples(st.just("AcquisitionDateTime"), st.sampled_from(["20240229101500.12", "2024"])),
    st.tuples(st.sampled_from(["FrameOfReferenceUID", "ReferencedSOPInstanceUID"]), st.sampled_from(["1.2.3.4", ""])),
    st.tuples(st.sampled_from(["SliceThickness", "KVP"]), st.sampled_from(["1.5", "120"])),
    st.tuples(st.sampled_from(["Rows", "Columns"]), st.integers(0, 65535)),
    st.tuples(st.just("PatientAge"), st.just("045Y")),
)
SEQUENCES = (
    "ReferencedImageSequence", "SourceImageSequence", "PerFrameFunctionalGroupsSequence", "FrameContentSequence",
    "AcquisitionContextSequence", "RequestAttributesSequence", "PlanePositionSequence", "ProcedureCodeSequence",
)  # fmt: skip
CODES = st.sampled_from(
    [("81827009", "SCT", "Diameter"), ("L1", "99LOCAL", "Head of Testperson"), ("T-A0100", "SRT", "Brain")]
)


def filled(data: Dataset, draw: st.DrawFn, depth: int) -> Dataset:
    """Put a few attributes into a data set, some of them sequences, private blocks or hidden in UN."""
    for keyword, value in draw(st.lists(PLAIN, max_size=5)):
        setattr(data, keyword, value)
    if draw(st.booleans()):
        data.CodeValue, data.CodingSchemeDesignator, data.CodeMeaning = draw(CODES)
    if draw(st.booleans()):
        block = data.private_block(0x0009, "TESTPERSON 01", create=True)
        block.add_new(1, "LO", "Testperson")
    if draw(st.booleans()):
        block = data.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x01, draw(st.sampled_from(["FL", "UL"])), 1)
        block.add_new(0x25, "SH", draw(TEXTS))
        if depth:
            block.add_new(0x5F, "SQ", Sequence([filled(Dataset(), draw, 0)]))
    if depth:
        for keyword in draw(st.lists(st.sampled_from(SEQUENCES), max_size=3, unique=True)):
            items = [filled(Dataset(), draw, depth - 1) for _ in range(draw(st.integers(0, 2)))]
            undefined = draw(st.booleans())
            for item in items:
                item.is_undefined_length_sequence_item = undefined
            setattr(data, keyword, Sequence(items))
            data[keyword].is_undefined_length = undefined
    return data


def hidden(data: Dataset) -> bytes:
    """Return one item of Referenced Study Sequence (0008,1110) as it looks inside UN: implicit, little endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, data)
    body = buffer.getvalue()
    return b"\xfe\xff\0\xe0" + len(body).to_bytes(4, "little") + body


@st.composite
def files(draw: st.DrawFn, syntaxes: tuple[str, ...] = SYNTAXES) -> bytes:
    syntax = draw(st.sampled_from(syntaxes))
    data = filled(Dataset(), draw, 4)
    for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"):
        data.pop(keyword, None)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3.4.5"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.4.6", "1.2.3.4.7"
    data.PatientID, data.Modality = "PID-1234567", "CT"
    data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", 2, 2
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.add_new("PixelData", "OW", bytes(8))
    if syntax is ExplicitVRLittleEndian and draw(st.booleans()):
        value = hidden(filled(Dataset(), draw, 1))
        data[0x00081115] = RawDataElement(BaseTag(0x00081115), "UN", len(value), value, 0, False, True)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2.3.4.5"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


_ENGINE = Deidentifier(profile())
_KEEPING = Profile.from_yaml(
    "name: keeping\nbase: basic\nprivate: safe\nage: band\noptions: [retain-uids, retain-device-identity,"
    " retain-institution-identity, retain-patient-characteristics, clean-structured-content, clean-graphics]\n"
)
_KEEPING_ENGINE = Deidentifier(_KEEPING)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(files())
def test_both_ways_agree_on_generated_data_sets(part10):
    ways = both_ways(_ENGINE, part10)
    assert ways is not None
    assert ways[1] == ways[0]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(files(tuple(syntax for syntax in SYNTAXES if syntax is not ImplicitVRLittleEndian)))
def test_both_ways_agree_under_the_options_that_keep(part10):
    """In explicit syntaxes: in the implicit one pydicom knows no VR of what was private."""
    ways = both_ways(_KEEPING_ENGINE, part10, _KEEPING)
    assert ways is not None
    assert ways[1] == ways[0]


LAST = (
    "vr: [SH, CS], action: X, reason: first",
    "keyword: SeriesDescription, action: K, reason: then",
    "keyword: StationName, action: K, reason: then",
    "keyword: KVP, action: X, reason: then",
    "keyword: ImageComments, action: K, reason: then",
    "keyword: ReferencedImageSequence, action: K, reason: then",
    'tag: "(0020,4xxx)", action: Z, reason: last',
)
"""Rules about what the data sets have, some of which win over others."""


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=80, deadline=None, derandomize=True)
@given(files(tuple(syntax for syntax in SYNTAXES if syntax is not ImplicitVRLittleEndian)), profiles(last=LAST))
def test_both_ways_agree_under_any_profile(part10, made):
    rules = made.profile
    ways = both_ways(Deidentifier(rules), part10, rules)
    if ways is not None:
        assert ways[1] == ways[0]
