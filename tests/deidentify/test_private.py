"""Retain Safe Private (PS3.15 §E.3.10): what the table lists stays, with its creator; all else goes."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.tables import safe_private_rows
from tests.builders import ct_instance, write_part10
from tests.deidentify.support import deidentified

SAFE = "name: safe\nbase: basic\nprivate: safe\n"
PHILIPS = "Philips Imaging DD 001"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]


def with_private(*blocks, into=None):
    """Return a CT with private elements: (group, block, creator, {offset: (VR, value)})."""
    instance = ct_instance()
    target = instance if into is None else into
    for group, block, creator, elements in blocks:
        target.add_new((group, block), "LO", creator)
        for offset, (vr, value) in elements.items():
            target.add_new((group, block << 8 | offset), vr, value)
    return instance


def private_of(dataset):
    return {element.tag: element.value for element in dataset if element.tag.is_private}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_listed_elements_stay_with_their_creator_in_whatever_block(syntax):
    instance = with_private(
        (0x7053, 0x10, "Philips PET Private Group", {0x00: ("DS", "0.000551"), 0x09: ("DS", "1.68")}),
        (0x0019, 0x23, "GEMS_ACQU_01", {0x9E: ("LO", "FSE-XL T2"), 0x9C: ("LO", "Zqxword")}),
        (0x0029, 0x10, "ACME HIDDEN", {0x01: ("LO", "Zqxword")}),
    )
    way = deidentified(write_part10(instance, transfer_syntax=syntax), profile_text=SAFE)
    kept = private_of(way.dataset)
    assert kept[0x70531000] == "0.000551" or float(kept[0x70531000]) == 0.000551
    assert kept[0x00190023] == "GEMS_ACQU_01"
    assert 0x0019239E in kept
    assert not {0x0019239C, 0x00290010, 0x00291001} & set(kept)
    assert b"Zqxword" not in way.written
    assert b"ACME" not in way.written
    assert "113111" in way.instance.report.options


def test_the_instance_says_which_blocks_are_safe_and_nothing_that_a_vendor_said():
    instance = with_private((0x7053, 0x10, "Philips PET Private Group", {0x00: ("DS", "0.5")}))
    block = Dataset()
    block.PrivateGroupReference, block.PrivateCreatorReference = 0x0029, "ACME Zqxword"
    block.BlockIdentifyingInformationStatus = "UNSAFE"
    instance.PrivateDataElementCharacteristicsSequence = Sequence([block])
    written = deidentified(write_part10(instance), profile_text=SAFE).dataset
    (item,) = written.PrivateDataElementCharacteristicsSequence
    assert (item.PrivateGroupReference, item.PrivateCreatorReference) == (0x7053, "Philips PET Private Group")
    assert item.BlockIdentifyingInformationStatus == "SAFE"
    without = deidentified(write_part10(instance)).dataset
    assert "PrivateDataElementCharacteristicsSequence" not in without
    assert private_of(without) == {}


def test_without_safe_elements_the_option_is_not_claimed():
    way = deidentified(write_part10(with_private((0x0029, 0x10, "ACME", {1: ("DS", "1")}))), profile_text=SAFE)
    assert private_of(way.dataset) == {}
    assert "113111" not in way.instance.report.options


@pytest.mark.parametrize(
    ("creator", "offset", "vr", "value"),
    [
        ("Philips PET Private Group", 0x00, "LO", "Zqxword"),
        ("Philips PET Private Group", 0x00, "UN", b"Zqxword!"),
        ("philips pet private group", 0x00, "DS", "0.5"),
        ("Philips PET Private Group X", 0x00, "DS", "0.5"),
        ("Philips PET Private Group", 0x01, "DS", "0.5"),
        ("Philips PET Private Group", 0x00, "PN", "Zqxword"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_another_creator_offset_vr_or_a_value_of_another_kind_goes(creator, offset, vr, value):
    instance = with_private((0x7053, 0x10, creator, {offset: (vr, value)}))
    way = deidentified(write_part10(instance), profile_text=SAFE)
    assert not any(tag & 0xFF00 for tag in private_of(way.dataset))
    assert b"Zqxword" not in way.written


def test_two_creators_of_one_block_make_it_nobodys():
    part10 = write_part10(with_private((0x7053, 0x10, "Philips PET Private Group", {0: ("DS", "0.5")})))
    creator = part10[part10.index(b"\x53\x70\x10\0LO") :][: 8 + 26]
    other = creator.replace(b"Philips PET", b"Another one")
    doubled = part10.replace(creator, creator + other)
    assert len(doubled) > len(part10)
    assert private_of(deidentified(doubled, profile_text=SAFE).dataset) == {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_listed_sequence_is_walked_and_has_creators_of_its_own(syntax):
    item = Dataset()
    item.PatientName = "Zqxword"
    item.FrameOfReferenceUID = "1.2.826.0.1.3680043.10.1507.99.1"
    item.SeriesDescription = "AX T2 Zqxword"
    item.add_new(0x20011001, "FL", 1.5)
    orphan = Dataset()
    orphan.add_new(0x20010010, "LO", PHILIPS)
    orphan.add_new(0x20011001, "FL", 2.5)
    orphan.add_new(0x20011050, "LO", "Zqxword")
    instance = with_private((0x2001, 0x10, PHILIPS, {0x5F: ("SQ", Sequence([item, orphan]))}))
    way = deidentified(write_part10(instance, transfer_syntax=syntax), profile_text=SAFE)
    assert b"Zqxword" not in way.written
    assert b"1507.99.1" not in way.written
    assert 0x2001105F in way.dataset
    first, second = way.dataset[0x2001105F].value
    assert 0x20011001 not in first
    assert first.SeriesDescription == "AX T2"
    assert second[0x20011001].value == 2.5


def test_a_listed_sequence_hidden_in_un_is_opened():
    hidden = b"\x08\0\x3e\x10\x0e\0\0\0AX T2 Zqxword " + b"\x10\0\x10\0\x08\0\0\0Zqxword "
    value = b"\xfe\xff\0\xe0" + len(hidden).to_bytes(4, "little") + hidden
    instance = with_private((0x2001, 0x10, PHILIPS, {0x5F: ("UN", value)}))
    way = deidentified(write_part10(instance), profile_text=SAFE)
    assert b"Zqxword" not in way.written
    assert way.dataset[0x2001105F].value[0].SeriesDescription == "AX T2"
    cut = with_private((0x2001, 0x10, PHILIPS, {0x5F: ("UN", value[:-4])}))
    assert 0x2001105F not in deidentified(write_part10(cut), profile_text=SAFE).dataset


def test_sequences_hidden_in_each_other_without_end_are_not_followed():
    value = b""
    for _ in range(600):
        inner = b"\x01\x20\x10\0\x16\0\0\0" + PHILIPS.encode()
        inner += b"\x01\x20\x5f\x10" + len(value).to_bytes(4, "little") + value
        value = b"\xfe\xff\0\xe0" + len(inner).to_bytes(4, "little") + inner
    instance = with_private((0x2001, 0x10, PHILIPS, {0x5F: ("UN", value)}))
    written = deidentified(write_part10(instance), profile_text=SAFE).written
    assert written.count(PHILIPS.encode()) < 70


def test_bytes_that_nobody_here_reads_go_although_they_are_listed():
    rows = safe_private_rows()
    assert rows["SIEMENS Ultrasound SC2000", 0x7FD1, 0x10] == "OB"
    instance = with_private((0x7FD1, 0x10, "SIEMENS Ultrasound SC2000", {0x10: ("OB", b"Zqxword!")}))
    assert private_of(deidentified(write_part10(instance), profile_text=SAFE).dataset) == {}


def test_text_of_listed_elements_loses_what_names_somebody_and_uids_are_replaced():
    instance = with_private(
        (0x0019, 0x10, "GEMS_ACQU_01", {0x9E: ("LO", "FSE Testperson")}),
        (0x0099, 0x10, "NQHeader", {0x02: ("UI", "1.2.826.0.1.3680043.10.1507.1.1")}),
    )
    way = deidentified(write_part10(instance), profile_text=SAFE)
    kept = private_of(way.dataset)
    assert "Testperson" not in str(kept.get(0x0019109E))
    assert kept[0x00991002] == way.dataset.SeriesInstanceUID


def test_the_table_is_the_one_that_was_published():
    assert len(safe_private_rows()) == 479
