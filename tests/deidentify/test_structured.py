"""Content items by Table E.3.4-1, under whatever code their concept stands."""

import json
from importlib.resources import files

import pytest
from pydicom.sequence import Sequence

from deidentify.dataset import Element
from deidentify.profile import Profile
from deidentify.structured import content_action
from tests.builders import code, ct_instance, dataset, sr_instance, uid, write_part10
from tests.deidentify.support import deidentified

BASIC = "name: one\nbase: basic\noptions: [clean-structured-content]\ndates: remove\ntext: remove\n"
TWINS = {"371524004": "R-42B89", "363698007": "G-C0E3", "160476009": "F-02455", "398201009": "G-D321"}


def rows():
    name = "ps3.15_table_E.3.4-1_sr_content_items.json"
    return json.loads(files("deidentify.tables").joinpath(name).read_bytes())["rows"]


def item_of(value_type, value, scheme, meaning="Whatever"):
    parts = [Element(0x00080100, "SH", value.encode()), Element(0x00080102, "SH", scheme.encode())]
    parts.append(Element(0x00080104, "LO", meaning.encode()))
    concept = Element(0x0040A043, "SQ", items=[parts])
    return [Element(0x0040A040, "CS", value_type.encode()), concept]


def action_of(row, profile, **changed):
    found = {**row, **changed}
    item = item_of(found["value_type"], found["code_value"], found["coding_scheme"], found.get("meaning", "Whatever"))
    return content_action(item, profile)


OPTIONS = {
    "retain_uids": "retain-uids",
    "retain_device_identity": "retain-device-identity",
    "retain_institution_identity": "retain-institution-identity",
    "retain_patient_characteristics": "retain-patient-characteristics",
    "retain_longitudinal_full_dates": "dates: keep",
    "retain_longitudinal_modified_dates": "dates: shift",
    "clean_descriptors": "text: vocabulary",
}


def profile_with(option):
    text = BASIC
    if option:
        key, _, value = OPTIONS[option].partition(": ")
        text = (
            text.replace(f"{key}: remove", f"{key}: {value}") if value else text.replace("content]", f"content, {key}]")
        )
    return Profile.from_yaml(text)


@pytest.mark.parametrize("option", [None, *OPTIONS])
def test_each_of_the_214_rows_has_its_action_under_each_option(option):
    profile = profile_with(option)
    assert len(rows()) == 214
    for row in rows():
        expected = ((row[option] if option else None) or row["basic_profile"]).replace("X/D", "D")
        assert action_of(row, profile) == expected, row["code_value"]


def test_older_snomed_codes_of_a_concept_meet_its_row():
    profile = profile_with(None)
    listed = [row for row in rows() if row["code_value"] in TWINS]
    assert len(listed) == 5
    for row in listed:
        for scheme in ("SRT", "SNM3", "99SDM"):
            twin = action_of(row, profile, code_value=TWINS[row["code_value"]], coding_scheme=scheme)
            assert twin == action_of(row, profile)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['code_value']} {row['value_type']}")
def test_a_concept_is_known_by_its_name_under_any_code(row):
    profile = profile_with(None)
    changed = {"code_value": "99999", "coding_scheme": "99LOCAL", "meaning": f" {row['code_meaning'].upper()}"}
    assert action_of(row, profile, **changed) in {"X", "D"}


def test_a_code_under_a_concept_of_free_text_is_no_free_text():
    profile = profile_with(None)
    assert content_action(item_of("CODE", "G-C0E3", "SRT"), profile) == "C"
    assert content_action(item_of("TEXT", "G-C0E3", "SRT"), profile) == "D"
    assert content_action(item_of("CODE", "121022", "DCM"), profile) == "X"
    assert content_action(item_of("TEXT", "121008", "DCM"), profile) in {"X", "D"}


def report(*items):
    instance = sr_instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", DeviceSerialNumber="ZQ-55121")
    instance.ContentSequence = Sequence(
        [dataset(RelationshipType="CONTAINS", ConceptNameCodeSequence=[code(*item[1])], **item[2]) for item in items]
    )
    for kind, item in zip(items, instance.ContentSequence, strict=True):
        item.ValueType = kind[0]
    return write_part10(instance)


def test_a_text_that_an_option_retains_stays_and_goes_without_it():
    part10 = report(
        ("TEXT", ("121016", "DCM", "Device Observer Serial Number"), {"TextValue": "ZQ-55121"}),
        ("TEXT", ("121071", "DCM", "Finding"), {"TextValue": "Baker cyst"}),
    )
    kept = BASIC.replace("content]", "content, retain-device-identity]").replace("text: remove", "text: vocabulary")
    content = deidentified(part10, profile_text=kept).dataset.ContentSequence
    assert [item.TextValue for item in content] == ["ZQ-55121", "Baker cyst"]
    assert b"ZQ-55121" not in deidentified(part10).written


def test_references_of_a_report_meet_the_images_of_its_study():
    image = ct_instance()
    part10 = report(
        (
            "IMAGE",
            ("121191", "DCM", "Referenced Segment"),
            {
                "ReferencedSOPSequence": [
                    {"ReferencedSOPClassUID": image.SOPClassUID, "ReferencedSOPInstanceUID": uid(1, 1, 1)}
                ]
            },
        ),
        ("UIDREF", ("112227", "DCM", "Frame of Reference UID"), {"UID": image.FrameOfReferenceUID}),
    )
    content = deidentified(part10).dataset.ContentSequence
    written = deidentified(write_part10(image)).dataset
    assert content[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == written.SOPInstanceUID
    assert written.FrameOfReferenceUID == content[1].UID


def test_observers_and_names_are_replaced_under_any_concept():
    part10 = report(
        ("PNAME", ("121008", "DCM", "Person Observer Name"), {"PersonName": "Zqxword^One"}),
        ("PNAME", ("L9", "99LOCAL", "Seen by"), {"PersonName": "Zqxword^Two"}),
        ("TEXT", ("121008", "DCM", "Person Observer Name"), {"TextValue": "Zqxword Three"}),
        ("TEXT", ("L8", "99LOCAL", "Patient Name"), {"TextValue": "Zqxword Four"}),
    )
    way = deidentified(part10)
    assert b"Zqxword" not in way.written
    assert [item.PersonName for item in way.dataset.ContentSequence if "PersonName" in item] == ["Anonymous"] * 2
