"""Every row of Table E.1-1 under every option, read from the table as published and from what is written."""

import io
import json
from functools import cache
from importlib.resources import files
from itertools import combinations

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.actions import COMPOUND_CODES
from deidentify.dataset import Element
from deidentify.dictionary import vr_table
from deidentify.profile import Profile
from deidentify.tables import iod_types
from tests.builders import ct_instance, write_part10
from tests.deidentify.nasty import spliced
from tests.deidentify.support import deidentified

COLUMNS = {
    "retain_uids": "options: [retain-uids]",
    "retain_device_identity": "options: [retain-device-identity]",
    "retain_institution_identity": "options: [retain-institution-identity]",
    "retain_patient_characteristics": "options: [retain-patient-characteristics]\nage: band",
    "retain_longitudinal_full_dates": "dates: keep",
    "retain_longitudinal_modified_dates": "dates: shift",
    "clean_descriptors": "text: vocabulary",
    "clean_structured_content": "options: [clean-structured-content]",
    "clean_graphics": "options: [clean-graphics]",
    "retain_safe_private": "private: safe",
}
NEITHER_DATES_NOR_TEXT = "dates: remove\ntext: remove\n"
CODES = {"clean_pixel_data": "113101", "clean_graphics": "113103", "clean_structured_content": "113104"}
CODES |= {"clean_descriptors": "113105", "retain_longitudinal_full_dates": "113106"}
CODES |= {"retain_longitudinal_modified_dates": "113107", "retain_patient_characteristics": "113108"}
CODES |= {"retain_device_identity": "113109", "retain_uids": "113110", "retain_safe_private": "113111"}
CODES |= {"retain_institution_identity": "113112", "clean_recognizable_visual_features": "113102"}


@cache
def rows():
    return json.loads(files("deidentify.tables").joinpath("ps3.15_table_E.1-1.json").read_bytes())["rows"]


def single_rows():
    return {int(row["group"] + row["element"], 16): row for row in rows() if row["tag_kind"] == "single"}


def profile_text(*columns):
    """Return a profile with these options and no other."""
    lines = ["name: one", "base: basic"]
    named = [COLUMNS[column] for column in columns]
    lists = [line.split("\n")[0][10:-1] for line in named if line.startswith("options")]
    lines += [part for line in named for part in line.split("\n") if not part.startswith("options")]
    lines += [f"options: [{', '.join(lists)}]"] if lists else []
    for key in ("dates", "text"):
        lines += [] if any(line.startswith(key) for line in lines) else [f"{key}: remove"]
    return "\n".join(lines) + "\n"


def test_the_table_is_the_whole_table():
    assert len(rows()) == 657
    assert len(single_rows()) == 653
    columns = {key for row in rows() for key in row if key.startswith(("retain", "clean"))}
    assert columns == set(COLUMNS)


@pytest.mark.parametrize("column", [None, *COLUMNS])
def test_each_row_has_the_code_of_the_option_or_else_of_the_basic_profile(column):
    profile = Profile.from_yaml(profile_text(*([column] if column else [])))
    assert profile.options - {"clean_pixel_data"} == ({column} if column else set())
    for tag, row in single_rows().items():
        assert profile.code(tag) == ((row[column] if column else None) or row["basic_profile"]), row["tag"]


def expected(row, one, other):
    """Return the code of a row under two options, as the administrator's page tells it."""
    chosen = {column: row[column] for column in (one, other) if row[column]}
    if "retain_longitudinal_modified_dates" in chosen:
        return "C"
    return "K" if "K" in chosen.values() else "C" if chosen else row["basic_profile"]


@pytest.mark.parametrize(("one", "other"), list(combinations(COLUMNS, 2)))
def test_two_options_have_one_order_on_every_row(one, other):
    dates = {"retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"}
    if {one, other} == dates:
        return
    profile = Profile.from_yaml(profile_text(one, other))
    for tag, row in single_rows().items():
        assert profile.code(tag) == expected(row, one, other), row["tag"]


def test_a_date_that_is_moved_is_moved_though_the_device_is_kept():
    text = profile_text("retain_device_identity", "retain_longitudinal_modified_dates")
    original = ct_instance(DateOfLastCalibration="20240128", DeviceSerialNumber="SN77")
    result = deidentified(write_part10(original), profile_text=text).dataset
    assert result.DeviceSerialNumber == "SN77"
    assert result.DateOfLastCalibration not in {"", "20240128"}


VALUES = {
    "TM": "101112", "DS": "71.5", "IS": "17", "AS": "043Y", "CS": "ZQX", "US": 4711, "UL": 4711, "SS": 4711,
    "FL": 4711.5, "FD": 4711.5, "AT": 0x00104711, "OB": b"zqxzqx", "OW": b"zqxzqx", "UN": b"zqxzqx",
}  # fmt: skip


def value_of(vr, number):
    """Return a value that no other attribute has, so that one that is kept is no trace of one that went."""
    word = "Zq" + "".join(chr(97 + int(digit)) for digit in f"{number:04}") + "xq"
    day = f"{2003 + number // 336}{1 + number // 28 % 12:02}{1 + number % 28:02}"
    unique = {"DA": day, "DT": day + "101112", "UI": f"1.2.826.0.1.3680043.10.1507.4711.{number}"}
    unique |= {"UR": f"https://{word}.example"}
    return VALUES.get(vr) or unique.get(vr, word)


TYPES = iod_types("1.2.840.10008.5.1.4.1.1.2")
UNTOUCHED = frozenset((0x00100010, 0x00100020, 0x00080018, 0x0020000D, 0x0020000E, 0x7FE00010))


@cache
def instance_with_every_row():
    """Return a CT with every single row of the table in it that can stand in a data set."""
    instance = ct_instance()
    for number, (tag, row) in enumerate(single_rows().items()):
        vr = row["vr"] or vr_table()[tag]
        if tag >> 16 < 8 or tag in UNTOUCHED:
            continue
        if vr == "SQ":
            item = Dataset()
            item.Rows = 4711
            instance.add_new(tag, vr, Sequence([item]))
        else:
            instance.add_new(tag, vr, value_of(vr, number))
    return write_part10(instance)


def as_written(dataset, tag):
    if tag not in dataset:
        return None
    element = dataset[tag]
    if element.VR == "SQ":
        return [item.get("Rows") for item in element.value]
    return "" if element.is_empty else element.value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("column", [None, *COLUMNS])
def test_what_is_written_follows_the_code_of_every_row(column):
    text = profile_text(*([column] if column else []))
    profile = Profile.from_yaml(text)
    original = instance_with_every_row()
    written = deidentified(original, profile_text=text).dataset
    before = pydicom.dcmread(io.BytesIO(original))
    checked = 0
    for tag, row in single_rows().items():
        if tag not in before or tag in UNTOUCHED or tag >> 16 == 0x0400:
            continue
        code, was, now = profile.code(tag), as_written(before, tag), as_written(written, tag)
        vr = before[tag].VR
        checked += 1
        if code == "K":
            assert now == (was if vr != "AS" else "045Y"), row["tag"]
        elif code == "X":
            assert now is None or (now == "" and TYPES.type_of((), tag) == "2C"), row["tag"]
        elif code == "U":
            assert now not in {None, "", was}, row["tag"]
        elif code == "Z":
            assert now in ("", []), row["tag"]
        elif code == "D" and vr != "SQ":
            assert now not in (None, "", was), row["tag"]
        elif code == "C" and vr != "SQ":
            assert now in (None, "") or now != was or vr in {"TM", "CS"}, row["tag"]
        elif code in COMPOUND_CODES and now is not None:
            assert now in ("", []) or now != was or vr == "SQ", row["tag"]
    assert checked > 600


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("column", sorted(set(COLUMNS) - {"retain_safe_private"}))
def test_the_method_codes_name_the_option_where_it_had_something_to_do(column):
    way = deidentified(instance_with_every_row(), profile_text=profile_text(column))
    codes = [item.CodeValue for item in way.dataset.DeidentificationMethodCodeSequence]
    assert codes == sorted({"113100", "113101", CODES[column]})


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x001021C0, "US", b"Zqxword!"),
        (0x001021C0, "FD", b"Zqxword!"),
        (0x001021C0, "LO", b"Zqxword!"),
        (0x00101030, "DS", b"Zqxword!"),
        (0x00101030, "LO", b"Zqxword!"),
        (0x00101020, "OB", b"Zqxword!"),
        (0x00181200, "DA", b"Zqxword!"),
        (0x00181201, "TM", b"Zqxword!"),
        (0x00181002, "UI", b"Zqxword!"),
    ],
)
def test_a_kept_attribute_is_no_place_for_a_value_of_another_kind(tag, vr, value):
    options = "retain-uids, retain-device-identity, retain-patient-characteristics"
    part10 = spliced(write_part10(ct_instance()), Element(tag, vr, value))
    text = f"name: keeping\nbase: basic\ndates: keep\noptions: [{options}]\n"
    assert value not in deidentified(part10, profile_text=text).written
