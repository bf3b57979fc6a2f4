"""What is written under a translated CTP script, beside what CTP's documentation says of the same lines.

Each attribute carries a value of its own. Where CTP leaves less than the Basic Profile, so must the profile; where it
leaves more, the profile leaves it only if a line of the script says so.
"""

import pytest

from deidentify.ctp import translate_script
from tests.builders import ct_instance, write_part10
from tests.deidentify.support import deidentified

PLANTED = {
    "PatientName": "Planted^Name",
    "PatientID": "PLANT417",
    "AccessionNumber": "PLANTACC77",
    "InstitutionName": "Clinic Nowhere",
    "StationName": "PLANTSTATION",
    "StudyDescription": "Head without contrast",
    "SeriesDescription": "Axial brain",
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": "Skyra",
    "ReceiveCoilName": "Head coil",
    "ProtocolName": "Brain axial",
    "ImageComments": "planted comment",
    "PatientComments": "planted words",
    "StudyDate": "20240229",
    "SeriesDate": "20240229",
    "ContentDate": "20240229",
    "StudyTime": "101112",
    "PatientSex": "F",
    "PatientWeight": "71.5",
    "PatientSize": "1.71",
    "SliceThickness": "5",
    "DeviceSerialNumber": "PLANTDEV9",
}


def written(*lines: str, **others):
    """Return what is written of the planted instance under a script, and the original."""
    script = "\n".join(("<script>", *lines, "</script>"))
    original = ct_instance(**{**PLANTED, **others})
    return deidentified(write_part10(original), profile_text=translate_script(script).profile_yaml).dataset, original


def line(keyword_tag: str, text: str) -> str:
    return f'<e en="T" t="{keyword_tag}">{text}</e>'


@pytest.mark.parametrize(
    ("tag", "keyword"),
    [
        ("00080080", "InstitutionName"),
        ("00081010", "StationName"),
        ("0008103e", "SeriesDescription"),
        ("00080070", "Manufacturer"),
        ("00181250", "ReceiveCoilName"),
        ("00101030", "PatientWeight"),
        ("00100040", "PatientSex"),
        ("00180050", "SliceThickness"),
        ("00181000", "DeviceSerialNumber"),
        ("00080030", "StudyTime"),
    ],
)
@pytest.mark.parametrize("text", ["@keep()", "@require()", "@always()@value(this)"])
def test_what_a_line_keeps_is_kept(tag, keyword, text):
    found, original = written(line(tag, text))
    assert found[keyword].value == original[keyword].value


@pytest.mark.parametrize(
    ("tag", "keyword"),
    [("0008103e", "SeriesDescription"), ("00181250", "ReceiveCoilName"), ("00180050", "SliceThickness")],
)
def test_what_a_line_removes_is_gone(tag, keyword):
    assert written(line(tag, "@keep()"))[0][keyword].value
    assert not written(line(tag, "@remove()"))[0].get(keyword)


@pytest.mark.parametrize(
    "text", ["@empty()", "@blank(4)", "", "New text", "@hash(this)", "@truncate(this,3)", "@date()"]
)
def test_what_a_line_empties_or_replaces_leaves_nothing_of_the_value(text):
    found, original = written(line("0008103e", text), line("00181250", text))
    for keyword in ("SeriesDescription", "ReceiveCoilName"):
        assert not {*str(found.get(keyword, "")).split()} & {*str(original[keyword].value).split()}
        assert "New text" not in str(found.get(keyword, ""))


def test_moved_dates_keep_their_distance_and_removed_ones_are_gone():
    moved = "@incrementdate(this,@DATEINC)"
    found, original = written(
        '<p t="DATEINC">-10</p>', line("00080020", moved), line("00080023", moved), line("00080021", "@remove()")
    )
    assert found.StudyDate == found.ContentDate != original.StudyDate
    assert found.StudyDate != "20240219"
    assert not found.get("SeriesDate")
    assert found.StudyTime == original.StudyTime


def test_dates_that_no_line_moves_are_not_there():
    found, original = written(line("00080080", "@keep()"))
    assert found.StudyDate != original.StudyDate


def test_patients_and_uids_have_pseudonyms():
    found, original = written(
        line("00100010", "@hashname(this,6,2)"),
        line("00100020", "@hashptid(@SITEID,this)"),
        line("00080018", "@hashuid(@UIDROOT,this)"),
        line("0020000d", "@remove()"),
    )
    for keyword in ("PatientName", "PatientID", "SOPInstanceUID", "StudyInstanceUID"):
        assert found[keyword].value
        assert found[keyword].value != original[keyword].value
    assert found.SOPClassUID == original.SOPClassUID


def test_a_silent_script_keeps_nothing_that_the_basic_profile_would_not():
    found, _ = written()
    for keyword in ("InstitutionName", "DeviceSerialNumber", "PatientWeight", "StationName", "PatientComments"):
        assert not found.get(keyword)


def test_a_script_that_removes_the_unnamed_leaves_no_text_that_it_does_not_name():
    found, original = written(
        line("00180050", "@keep()"), '<r en="T" t="unspecifiedelements"/>', line("00080070", "@keep()")
    )
    assert found.Manufacturer == original.Manufacturer
    assert found.SliceThickness == original.SliceThickness
    assert found.PixelData == original.PixelData
    for keyword in ("ManufacturerModelName", "ReceiveCoilName", "SeriesDescription", "ProtocolName", "ImageComments"):
        assert not found.get(keyword)
    kept, _ = written('<k en="T" t="0018"/>', '<r en="T" t="unspecifiedelements"/>')
    assert kept.ReceiveCoilName
    assert not kept.get("ManufacturerModelName")


def test_private_elements_go_unless_the_script_keeps_safe_ones():
    def planted():
        original = ct_instance(**PLANTED)
        block = original.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", "1000")
        other = original.private_block(0x0029, "PLANTED MAKER", create=True)
        other.add_new(0x10, "LO", "planted private")
        return write_part10(original)

    def tags(script):
        dataset = deidentified(planted(), profile_text=translate_script(script).profile_yaml).dataset
        return {element.tag for element in dataset if element.tag.is_private and not element.tag.is_private_creator}

    assert tags('<script><r en="F" t="privategroups"/></script>') == set()
    assert tags('<script><r en="T" t="privategroups"/></script>') == set()
    safe = '<script><k en="T" t="safeprivateelements"/><r en="T" t="privategroups"/></script>'
    assert {tag & 0xFF for tag in tags(safe)} == {0x0C}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('Modality,equals,"ct"', True),
        ('Modality,equals,"MR"', False),
        ('Manufacturer,contains,"siem"', True),
        ('Manufacturer,contains,"GE"', False),
        ("Manufacturer,exists", True),
        ("PatientMotherBirthName,exists", False),
        ("PatientMotherBirthName,isblank", True),
        ("Manufacturer,isblank", False),
        ('Manufacturer,matches,"SIE.*"', True),
        ('Manufacturer,matches,"sie.*"', False),
        ('Manufacturer,matches,"(?i)sie.*"', True),
        ('Manufacturer,matches,"IEM"', False),
        ("this,contains,@WORD", True),
    ],
)
def test_a_condition_chooses_as_in_ctp(condition, holds):
    word = '<p t="WORD">Axial</p>'
    kept, original = written(word, line("0008103e", f"@if({condition}){{@keep()}}{{@remove()}}"))
    assert kept.get("SeriesDescription") == (original.SeriesDescription if holds else None)
    turned, _ = written(word, line("0008103e", f"@if({condition}){{@remove()}}{{@keep()}}"))
    assert turned.get("SeriesDescription") == (None if holds else original.SeriesDescription)


def test_a_condition_that_no_profile_has_removes_in_all_cases():
    for number in ("1", "9"):
        found, _ = written(line("0008103e", "@if(SeriesNumber,greaterthan,5){@keep()}{@remove()}"), SeriesNumber=number)
        assert not found.get("SeriesDescription")
