import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from scp.commitment_data import (
    MAX_REFERENCES,
    FailedReference,
    FailureReason,
    MalformedActionError,
    TooManyReferencesError,
    encode_event,
    read_action,
)
from tests.scp.commitments import TRANSACTION, action_information, reference, references_in
from tests.scp.objects import CT
from tests.scp.wire import EXPLICIT, IMPLICIT

SYNTAXES = pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])


def encoded(data: Dataset, syntax: str, *, undefined: bool = False) -> bytes:
    buffer = DicomFileLike(BytesIO())
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, True
    for element in data:
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    write_dataset(buffer, data)
    return bytes(buffer.parent.getvalue())


@SYNTAXES
@pytest.mark.parametrize("undefined", [False, True])
def test_a_request_is_read_whatever_else_stands_in_it(syntax, undefined):
    data = action_information("2.25.1", "2.25.2", "2.25.1")
    inside = Dataset()
    inside.CodeValue = "T-D0050"
    data.ReferencedSOPSequence[1].PurposeOfReferenceCodeSequence = [inside]
    data.StorageMediaFileSetID = "DISC"
    data.add_new((0x0009, 0x1001), "UN", b"\1\2\3\4")

    transaction, references = read_action(encoded(data, syntax, undefined=undefined), syntax)

    assert transaction == TRANSACTION
    assert references == (reference("2.25.1"), reference("2.25.2"))
    assert "2.25.1" not in repr(references)


@SYNTAXES
@pytest.mark.parametrize(
    "data",
    [
        action_information("2.25.1", transaction=None),
        action_information(),
        action_information("2.25.1", ""),
        action_information("2.25.1", sop_class=""),
        Dataset(),
    ],
)
def test_a_request_that_lacks_something_is_malformed(data, syntax):
    with pytest.raises(MalformedActionError):
        read_action(encoded(data, syntax), syntax)


def test_a_reference_that_is_no_uid_is_malformed():
    raw = encoded(action_information("2.25.12345"), EXPLICIT).replace(b"2.25.12345", b"DOE^JOHN^A")

    with pytest.raises(MalformedActionError):
        read_action(raw, EXPLICIT)


@SYNTAXES
def test_a_request_that_is_cut_off_is_malformed_at_every_byte(syntax):
    whole = encoded(action_information("2.25.1", "2.25.2"), syntax, undefined=True)

    for length in range(len(whole)):
        with pytest.raises(MalformedActionError):
            read_action(whole[:length], syntax)


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_no_bytes_raise_anything_else(data, syntax):
    with pytest.raises(MalformedActionError):
        read_action(data, syntax)


def test_sequences_nested_without_end_are_malformed():
    opened = struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)

    with pytest.raises(MalformedActionError):
        read_action(opened * 10_000, IMPLICIT)


def test_too_many_instances_are_told_apart_from_nonsense():
    item = b"\xfe\xff\x00\xe0\0\0\0\0"
    body = item * (MAX_REFERENCES + 1)
    data = struct.pack("<HHI", 0x0008, 0x1199, len(body)) + body

    with pytest.raises(TooManyReferencesError):
        read_action(data, IMPLICIT)


@SYNTAXES
def test_a_report_reads_as_the_standard_has_it(syntax):
    failed = FailedReference(reference=reference("2.25.33"), reason=FailureReason.NO_SUCH_OBJECT_INSTANCE)

    raw = encode_event(TRANSACTION, (reference("2.25.1"), reference("2.25.22")), (failed,), transfer_syntax=syntax)
    data = read_dataset(BytesIO(raw), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)

    assert data.TransactionUID == TRANSACTION
    assert references_in(data.ReferencedSOPSequence) == [(CT, "2.25.1"), (CT, "2.25.22")]
    assert references_in(data.FailedSOPSequence) == [(CT, "2.25.33")]
    assert data.FailedSOPSequence[0].FailureReason == 0x0112
    assert [element.tag for element in data] == sorted(element.tag for element in data)


def test_a_sequence_without_items_is_left_out():
    raw = encode_event(TRANSACTION, (reference("2.25.1"),), (), transfer_syntax=EXPLICIT)

    assert "FailedSOPSequence" not in read_dataset(BytesIO(raw), is_implicit_VR=False, is_little_endian=True)
