import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidentify.dataset import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Element, encode, find, swapped
from deidentify.errors import DeidentificationError, UnreadableInstanceError, UnsupportedTransferSyntaxError
from deidentify.parser import read_instance
from tests.builders import ct_instance, mr_instance, sr_instance, write_part10

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)


def read(data: bytes):
    return read_instance(io.BytesIO(data))


def part10(body: bytes, syntax: str = EXPLICIT) -> bytes:
    meta = (
        b"\x02\0\x10\0UI"
        + struct.pack("<H", len(syntax) + len(syntax) % 2)
        + syntax.encode()
        + b"\0" * (len(syntax) % 2)
    )
    return bytes(128) + b"DICM" + meta + body


def flat(elements):
    return [(e.tag, flat_items(e)) if e.items is not None else (e.tag, e.value.rstrip(b" \0")) for e in elements]


def flat_items(element):
    return [flat(item) for item in element.items]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED])
def test_the_same_data_set_is_read_from_every_little_endian_encoding(syntax):
    instance = sr_instance()
    assert flat(read(write_part10(instance, transfer_syntax=syntax)).identified_elements) == flat(
        read(write_part10(instance)).identified_elements
    )


def test_big_endian_values_are_read_as_they_stand():
    received = read(write_part10(ct_instance(rows=16), transfer_syntax=BIG))
    assert received.encoding == EXPLICIT_BIG
    assert find(received.identified_elements, 0x00280010).value == b"\0\x10"


@pytest.mark.parametrize("encoding", [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_what_is_encoded_is_read_back(encoding):
    inner = [Element(0x00080100, "SH", b"113100"), Element(0x00280010, "US", b"\1\2")]
    tree = [Element(0x00080005, "CS", b"ISO_IR 100"), Element(0x00120064, "SQ", items=[inner, []])]
    parts = []
    size = encode(tree, encoding, parts)
    body = b"".join(parts)
    assert size == len(body)
    syntax = {IMPLICIT_LITTLE: IMPLICIT, EXPLICIT_LITTLE: EXPLICIT, EXPLICIT_BIG: BIG}[encoding]
    assert flat(read(part10(body, syntax)).identified_elements) == flat(tree)


def test_a_public_sequence_in_un_is_seen_through():
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", 14) + b"\x10\0\x20\0" + struct.pack("<I", 6) + b"SECRET"
    body = b"\x08\0\x40\x11UN\0\0" + struct.pack("<I", len(item)) + item
    element = read(part10(body)).identified_elements[0]
    assert element.vr == "SQ"
    assert element.items[0][0].vr == "LO"


def test_an_undefined_un_is_an_implicit_sequence():
    item = b"\xfe\xff\0\xe0\xff\xff\xff\xff\x10\0\x20\0" + struct.pack("<I", 2) + b"AB"
    item += b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    element = read(part10(b"\x09\0\x40\x11UN\0\0\xff\xff\xff\xff" + item)).identified_elements[0]
    assert element.items[0][0].value == b"AB"


def test_uids_stored_as_un_get_their_vr():
    body = b"\x08\0\x18\0UN\0\0" + struct.pack("<I", 6) + b"1.2.34"
    assert read(part10(body)).identified_elements[0].vr == "UI"


def test_encapsulated_pixel_data_is_kept_as_a_span():
    data = write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.70", frames=[b"\xff\xd8" + bytes(500)])
    pixels = read(data).identified_elements[-1]
    assert pixels.encapsulated
    assert pixels.value == b""
    assert data[pixels.span[0] :][: pixels.span[1]].endswith(b"\xfe\xff\xdd\xe0" + bytes(4))


def test_large_values_are_not_read_into_memory(tmp_path):
    path = tmp_path / "large.dcm"
    path.write_bytes(write_part10(ct_instance(rows=512, columns=512)))
    with path.open("rb") as stream:
        pixels = find(read_instance(stream).identified_elements, 0x7FE00010)
    assert pixels.span[1] == 512 * 512 * 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"\0" * 4, "empty"),
        (b"Hello, this is no DICOM file. " * 20, "not a DICOM file"),
        (part10(b""), "empty"),
        (part10(b"\x08\0\x16\0UI\xff\x00ABC"), "longer than what is left"),
        (part10(b"\x08\0\x40\x11SQ\0\0" + struct.pack("<I", 8) + b"\xfe\xff\0\xe0" + struct.pack("<I", 99)), "item"),
        (part10(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0" + bytes(4)), "inside the pixel data"),
        (part10(b"\x08\0\x16\0UI\x02\x001\0garbage"), "element"),
        (part10(b"\0" * 40, DEFLATED), "inflated"),
    ],
)
def test_malformed_input_ends_in_a_sentence(data, sentence):
    with pytest.raises(UnreadableInstanceError, match=sentence):
        read(data)


def test_two_gigabytes_announced_are_refused_at_once():
    body = b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", 2**31) + bytes(100)
    with pytest.raises(UnreadableInstanceError, match="7FE0,0010"):
        read(part10(body))


def test_endless_nesting_is_bounded():
    body = (b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 5000
    with pytest.raises(UnreadableInstanceError, match="nested deeper"):
        read(part10(body))


@pytest.mark.parametrize("syntax", ["1.2.3.4", "1.2.840.113619.5.2", "1.2.840.10008.1.2.4.94"])
def test_unknown_transfer_syntaxes_are_named_as_such(syntax):
    with pytest.raises(UnsupportedTransferSyntaxError):
        read(part10(b"\x08\0\x16\0UI\x02\x001\0", syntax))


def test_trailing_zeros_are_left_out_with_a_note():
    received = read(write_part10(ct_instance()) + bytes(512))
    assert received.notes == ("zeros behind the data set were left out",)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_makes_anything_but_a_named_error(data):
    whole = bytearray(write_part10(data.draw(st.sampled_from([sr_instance(), mr_instance(rows=4, columns=4)]))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        read(bytes(whole[:cut] if data.draw(st.booleans()) else whole))
    except DeidentificationError as error:
        sentence = str(error)
    else:
        sentence = "readable"
    assert sentence


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_equal_sequences_share_their_items_and_keep_their_own_tags_and_places(syntax):
    plane = {"PlanePositionSequence": [{"ImagePositionPatient": [1, 2, 3]}]}
    frames = [{**plane, "FrameContentSequence": [{"InStackPositionNumber": number}]} for number in range(3)]
    data = write_part10(mr_instance(PerFrameFunctionalGroupsSequence=frames), transfer_syntax=syntax)
    items = find(read(data).identified_elements, 0x52009230).items
    first, *others = [find(item, 0x00209113) for item in items]
    assert all(other.items is first.items for other in others)
    assert all(data[slice(*other.run)] == data[slice(*first.run)] for other in others)
    assert len({other.run for other in (first, *others)}) == 3
    assert len({find(item, 0x00209111).items[0][0].value for item in items}) == 3


def test_settled_elements_are_left_out_and_nothing_else_is():
    whole = write_part10(mr_instance())
    elements = read(whole).identified_elements
    settled = {whole[slice(*element.run)] for element in elements[::2] if element.run}
    rest = read_instance(io.BytesIO(whole), settled={EXPLICIT_LITTLE: settled}).identified_elements
    assert flat(rest) == flat([e for e in elements if not e.run or whole[slice(*e.run)] not in settled])
    everything = {whole[slice(*element.run)] for element in elements if element.run}
    with pytest.raises(UnreadableInstanceError):
        read_instance(io.BytesIO(whole[:-3]), settled={EXPLICIT_LITTLE: everything})


def test_representations_show_no_values():
    received = read(write_part10(ct_instance()))
    shown = repr(received) + repr(received.identified_elements)
    assert "PID-" not in shown
    assert "Testperson" not in shown


def test_swapping_twice_is_nothing():
    assert swapped(swapped(b"\1\2\3\4", "UL"), "UL") == b"\1\2\3\4"
    assert swapped(b"AB", "LO") == b"AB"
