import datetime as dt
import io
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidentify.parser import read_instance
from deidentify.pseudonyms import (
    PseudonymScope,
    age_band,
    banded_age_string,
    is_time,
    normalized_id,
    patient_key,
    patient_number_key,
    patient_number_key_of,
    shifted_date,
    shifted_datetime,
)
from tests.builders import ct_instance, write_part10
from tests.deidentify.support import KEY, scope

DATES = st.dates(min_value=dt.date(1900, 1, 1), max_value=dt.date(2100, 1, 1))


@given(st.text(max_size=70), st.integers(0, 2**128 - 1))
def test_every_uid_is_a_valid_version_8_uuid(original, case):
    made = PseudonymScope(key=KEY, case_key=f"{case:032x}").uid(original)
    number = uuid.UUID(int=int(made.removeprefix("2.25.")))
    assert number.version == 8
    assert number.variant == uuid.RFC_4122
    assert len(made) <= 64


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_uids_are_equal_exactly_when_their_originals_are(one, other):
    assert (scope().uid(one) == scope().uid(other)) is (one == other)


def test_two_cases_and_two_masks_share_no_uid():
    assert len({scope(1).uid("1.2.3"), scope(2).uid("1.2.3"), scope(1).uid("1.2.3", "boxes")}) == 3


@given(DATES, DATES, st.integers(0, 1000))
def test_a_shift_keeps_every_interval(one, other, case):
    days = scope(case).shift_days
    assert 365 <= days <= 3650
    moved = [dt.date.fromisoformat(shifted_date(f"{date:%Y%m%d}", days)) for date in (one, other)]
    assert moved[1] - moved[0] == other - one
    assert one - moved[0] == dt.timedelta(days=days)


@given(st.datetimes(timezones=st.just(dt.UTC)).filter(lambda moment: 1900 < moment.year < 2100), st.integers(365, 3650))
def test_a_date_and_time_keeps_its_time_of_day_and_offset(moment, days):
    text = f"{moment:%Y%m%d%H%M%S.%f}+0230"
    assert shifted_datetime(text, days)[8:] == text[8:]
    assert shifted_datetime(text, days)[:8] == shifted_date(text[:8], days)


@given(st.text(max_size=20))
def test_anything_is_shifted_to_a_valid_date_or_refused(text):
    moved = shifted_date(text, 400)
    assert moved is None or all(not end or len(end) == 8 for end in moved.split("-"))


@pytest.mark.parametrize(
    "text", ["", "2024", "202402", "20240230", "20241301", "00010101", "yesterday", "2024-02-29-1"]
)
def test_incomplete_and_impossible_dates_are_refused(text):
    assert shifted_date(text, 400) is None


def test_legacy_dates_and_ranges_are_shifted():
    assert shifted_date("2024.02.29", 366) == "20230228"
    assert shifted_date("20240101-20240229", 366) == "20221231-20230228"
    assert shifted_date("-20240229", 366) == "-20230228"


@pytest.mark.parametrize(
    ("text", "good"), [("2355", True), ("235959.999999", True), ("23:55:01", True), ("noon", False)]
)
def test_times_are_recognised(text, good):
    assert is_time(text) is good


@pytest.mark.parametrize(
    ("age", "birth", "study", "band"),
    [
        ("", "20240201", "20240201", "0 days"),
        ("", "20240201", "20240202", "1 day"),
        ("", "20240201", "20240210", "9 days"),
        ("003W", "", "", "21 days"),
        ("027D", "", "", "27 days"),
        ("028D", "", "", "1 month"),
        ("1Y ", "", "", "12 months"),
        ("45y", "", "", "45 years"),
        ("999Y", "", "", "90+ years"),
        ("999D", "", "", "2 years"),
        ("000D", "", "", "0 days"),
        ("000Y", "", "", ""),
        ("000Y", "20231001", "20240101", "3 months"),
        ("45", "19800101", "20250601", "45 years"),
        ("007M", "", "", "7 months"),
        ("", "20220101", "20231201", "22 months"),
        ("012Y", "", "", "12 years"),
        ("017Y", "", "", "17 years"),
        ("018Y", "", "", "20 years"),
        ("043Y", "", "", "45 years"),
        ("087Y", "", "", "85 years"),
        ("088Y", "", "", "90+ years"),
        ("104Y", "", "", "90+ years"),
        ("", "", "20240101", ""),
        ("", "20250101", "20240101", ""),
        ("old", "notadate", "20240101", ""),
    ],
)
def test_ages_are_rounded_to_bands(age, birth, study, band):
    assert age_band(age, birth, study) == band


@pytest.mark.parametrize(
    ("band", "text"),
    [
        ("1 day", "001D"),
        ("9 days", "009D"),
        ("7 months", "007M"),
        ("45 years", "045Y"),
        ("90+ years", "090Y"),
        ("", ""),
    ],
)
def test_a_band_can_stand_in_the_data_set(band, text):
    assert banded_age_string(band) == text


@given(st.integers(0, 999), st.sampled_from("DWMY"))
def test_every_age_has_a_band_that_says_no_more_than_it_may(number, unit):
    band = age_band(f"{number:03d}{unit}", "", "")
    if not number and unit != "D":
        assert band == ""
        return
    value, named = band.split(" ")
    if value == "90+":
        assert number * {"D": 1, "W": 7, "M": 30.4375, "Y": 365.25}[unit] > 87 * 365
    else:
        years = {"day": 0, "days": 0, "month": 0, "months": 0, "years": int(value)}[named]
        assert years < 90
        assert years < 18 or years % 5 == 0
    # The band of what is written is the band itself: a second pass changes nothing.
    assert age_band(banded_age_string(band), "", "") == band


def test_patient_ids_are_compared_as_people_write_them():
    assert normalized_id(" 00123 ") == normalized_id("123")
    assert normalized_id("Ab  12") == normalized_id("aB 12")
    assert scope().patient_id("0042") == scope().patient_id("42")


def _received(**attributes):
    return read_instance(io.BytesIO(write_part10(ct_instance(**attributes))))


def test_the_patient_key_needs_the_same_issuer():
    def key_of(hospital="A", **attributes):
        return patient_key(_received(**attributes), KEY, hospital)

    assert key_of() == key_of(study=2)
    assert key_of() != key_of(hospital="B")
    assert key_of(IssuerOfPatientID="X") == key_of(hospital="B", IssuerOfPatientID="X")


def test_the_key_of_a_number_does_not_ask_who_issued_it_and_is_no_patient_key():
    numbers = {
        patient_number_key(_received(PatientID=number, **more), KEY)
        for number in ("4711", " 04711")
        for more in ({}, {"IssuerOfPatientID": "X"})
    }
    assert len(numbers) == 1
    assert patient_key(_received(PatientID="4711"), KEY, "") not in numbers
    assert patient_number_key(_received(PatientID="4712"), KEY) not in numbers


def test_a_patient_id_is_found_as_it_is_typed_in_whichever_character_set_it_came():
    typed = patient_number_key_of(KEY, identified_patient_id="ä-17")
    for charset in ("ISO_IR 100", "ISO_IR 192"):
        assert patient_number_key(_received(PatientID="Ä-17", SpecificCharacterSet=charset), KEY) == typed


def test_weak_keys_are_refused_and_keys_are_not_shown():
    with pytest.raises(ValueError, match="16 bytes"):
        PseudonymScope(key=b"short", case_key="0" * 32)
    with pytest.raises(ValueError, match="hexadecimal"):
        PseudonymScope(key=KEY, case_key="x")
    assert "test key" not in repr(scope())
