"""Instances of one case written anew as those of another: pseudonyms and days of that, all else the same."""

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError, RekeyingError, ResidualIdentifierError
from deidentify.parser import read_instance
from deidentify.pseudonyms import PseudonymScope
from deidentify.rekeying import NewKeys, Rekeyed, _search, rekeyed
from deidentify.results import Dropped, Hold
from deidentify.transfer import Transfer, number_of_uid, uid_of_number
from tests.builders import ct_instance, write_part10
from tests.corpus import require_corpus
from tests.deidentify.support import KEY, clear_screen, deidentified, profile, scope

CASES = st.integers(min_value=0, max_value=2**128 - 1).map("{:032x}".format)
UID_NUMBERS = st.integers(min_value=0, max_value=2**122 - 1)


def moved(
    written: bytes,
    old: PseudonymScope,
    new: PseudonymScope,
    *,
    original: bytes | None = None,
    patient_id: str = "",
) -> tuple[bytes, Rekeyed]:
    header = read_instance(io.BytesIO(original)) if original is not None else None
    keys, target = NewKeys.between(old, new, original=header, patient_id=patient_id), io.BytesIO()
    made = rekeyed(io.BytesIO(written), keys, target)
    return target.getvalue(), made


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def a_slice(number: int = 1, **more: object) -> bytes:
    content = ct_instance(study=1, number=number)
    for name, value in more.items():
        setattr(content, name, value)
    return write_part10(content)


@given(CASES, CASES, CASES, UID_NUMBERS)
def test_the_way_between_cases_does_not_matter_and_the_way_back_leads_back(
    first: str, second: str, third: str, number: int
) -> None:
    uid = uid_of_number(number)
    assert number_of_uid(uid) == number

    def way(start: str, end: str) -> Transfer:
        return Transfer(key=KEY, from_case=start, to_case=end)

    there = way(first, second)
    assert way(second, first).uid(there.uid(uid)) == uid
    assert way(second, third).uid(there.uid(uid)) == way(first, third).uid(uid)
    label, patient = f"ID-{'ABCDEFGH'}", "CB-ABCDEFGH^Anonymous"
    assert way(second, first).label(there.label(label)) == label
    assert way(second, third).patient_id(there.patient_id(patient)) == way(first, third).patient_id(patient)
    if first != second:
        assert there.uid(uid) != uid
        assert there.patient_id(patient).endswith("^Anonymous")


@given(CASES, CASES, st.text(alphabet="0123456789.", min_size=1, max_size=64), st.text(max_size=8))
def test_what_comes_later_fits_what_was_moved(born: str, case: str, uid: str, mask: str) -> None:
    first = PseudonymScope(key=KEY, case_key=born)
    later = PseudonymScope(key=KEY, case_key=case, born_key=born)
    transfer = Transfer(key=KEY, from_case=born, to_case=case)

    assert later.uid(uid, mask) == transfer.uid(first.uid(uid, mask))
    assert later.label(uid) == transfer.label(first.label(uid))
    assert later.shift_days == PseudonymScope(key=KEY, case_key=case).shift_days


def test_uids_that_are_no_pseudonyms_stay() -> None:
    transfer = Transfer(key=KEY, from_case="0" * 32, to_case="1" * 32)
    for uid in ("1.2.840.10008.1.2.1", "2.25.1", "2.25.329800735698586629295641978511506172918", "2.25.", ""):
        if number_of_uid(uid) is None:
            assert transfer.uid(uid) == uid


def test_a_moved_file_has_the_pseudonyms_and_the_days_of_the_other_case() -> None:
    part10 = a_slice()
    way = deidentified(part10, case=1)

    content, made = moved(way.written, scope(1), scope(2))

    before, after = read(way.written), read(content)
    gap = scope(2).shift_days - scope(1).shift_days
    assert (as_date(before.StudyDate) - as_date(after.StudyDate)).days == gap
    assert after.PixelData == before.PixelData
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert made.uids[str(before[name].value)] == after[name].value != before[name].value
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.PatientID == made.patient_id != before.PatientID
    assert str(after.PatientName) == f"{made.patient_id}^Anonymous"
    changed = {element.tag for element in after if before.get(element.tag) != element}
    assert {before[tag].VR for tag in changed} <= {"UI", "DA", "DT", "PN", "LO"}
    assert after.PatientIdentityRemoved == "YES"


def test_with_its_original_it_is_what_it_would_have_been_in_that_case_at_once() -> None:
    part10 = a_slice()
    at_once = deidentified(part10, case=2)

    content, made = moved(deidentified(part10, case=1).written, scope(1), scope(2), original=part10)

    assert content == at_once.written
    assert made.sha256 == at_once.instance.sha256


def test_to_another_case_and_back_it_is_bit_by_bit_what_it_was() -> None:
    written = deidentified(a_slice(), case=1).written

    content, _ = moved(written, scope(1), scope(2))
    back, _ = moved(content, scope(2), scope(1))

    assert content != written
    assert back == written


def test_by_a_third_case_it_is_what_it_is_at_once() -> None:
    written = deidentified(a_slice(), case=1).written

    by_third = moved(moved(written, scope(1), scope(3))[0], scope(3), scope(2))[0]

    assert by_third == moved(written, scope(1), scope(2))[0]


def test_a_slice_that_comes_after_the_move_has_the_uids_of_those_that_were_moved() -> None:
    content, made = moved(deidentified(a_slice(1), case=1).written, scope(1), scope(2), patient_id="CB-ABCDEFGH")
    later = replace(scope(2), born_key=scope(1).case_key, given_patient_id="CB-ABCDEFGH")

    late = late_slice(a_slice(2), later)

    before = read(content)
    assert late.StudyInstanceUID == before.StudyInstanceUID
    assert late.SeriesInstanceUID == before.SeriesInstanceUID
    assert late.FrameOfReferenceUID == before.FrameOfReferenceUID
    assert late.SOPInstanceUID != before.SOPInstanceUID
    assert (late.PatientID, late.StudyDate) == (before.PatientID, before.StudyDate)
    assert made.patient_id == "CB-ABCDEFGH"


def test_references_among_moved_instances_follow_and_those_to_others_lead_nowhere_as_before() -> None:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ct_instance(study=1, number=1).SOPClassUID, "1.2.3.4.5"
    first = read(deidentified(a_slice(1), case=1).written)
    item.ReferencedSOPInstanceUID = ct_instance(study=1, number=1).SOPInstanceUID
    second = deidentified(a_slice(2, ReferencedImageSequence=Sequence([item])), case=1).written
    assert read(second).ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID

    to, _ = moved(second, scope(1), scope(2))

    one, _ = moved(deidentified(a_slice(1), case=1).written, scope(1), scope(2))
    assert read(to).ReferencedImageSequence[0].ReferencedSOPInstanceUID == read(one).SOPInstanceUID


def test_dates_that_nobody_moved_stay() -> None:
    way = deidentified(a_slice(), case=1, profile_name="research-dates")

    content, made = moved(way.written, scope(1), scope(2))

    before, after = read(way.written), read(content)
    assert (made.days, after.StudyDate) == (0, before.StudyDate)
    assert after.StudyInstanceUID != before.StudyInstanceUID


def test_a_date_that_cannot_be_moved_on_stops_it() -> None:
    content = read(deidentified(a_slice(), case=1).written)
    content.StudyDate = "00010101"
    first = min((1, 2), key=lambda case: scope(case).shift_days)
    with pytest.raises(RekeyingError, match=r"\(0008,0020\)"):
        moved(write_part10(content), scope(first), scope(3 - first))


def test_a_pseudonym_that_is_left_is_found() -> None:
    written = deidentified(a_slice(), case=1).written
    with pytest.raises(ResidualIdentifierError, match=r"\(0020,000D\)"):
        _search(io.BytesIO(written), {str(read(written).StudyInstanceUID)})


def as_date(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def late_slice(part10: bytes, later: PseudonymScope) -> Dataset:
    engine, source, target = Deidentifier(profile()), io.BytesIO(part10), io.BytesIO()
    plan = engine.plan(engine.read(source), later)
    engine.write(plan, clear_screen(plan), source, target)
    engine.verify(plan, target)
    return read(target.getvalue())


def moved_corpus(path: Path) -> tuple[bytes, bytes, bytes, bytes, list[str]] | None:
    """Return a real file in its first case, moved to a second with and without its original, and there at once."""
    part10 = path.read_bytes()
    engine = Deidentifier(profile())
    written = []
    for case in (1, 2):
        try:
            received = engine.read(io.BytesIO(part10))
            if isinstance(engine.disposition(received), Dropped | Hold):
                return None
            target = io.BytesIO()
            plan = engine.plan(received, scope(case))
            engine.write(plan, clear_screen(plan), io.BytesIO(part10), target)
        except DeidentificationError:
            return None
        written.append(target.getvalue())
    without, made = moved(written[0], scope(1), scope(2))
    with_original, _ = moved(written[0], scope(1), scope(2), original=part10)
    return written[0], without, with_original, written[1], [*made.uids]


@pytest.mark.filterwarnings("ignore")
def test_real_files_move_and_nothing_of_their_first_case_is_left() -> None:
    done = 0
    for file in require_corpus():
        found = moved_corpus(file.path)
        if found is None:
            continue
        first, without, with_original, at_once, uids = found
        pixels = read(first).get("PixelData") or b""
        assert (read(without).get("PixelData") or b"") == pixels, file.path.name
        header = without.replace(pixels, b"") if pixels else without
        assert not [uid for uid in uids if uid.encode() in header], file.path.name
        assert read(without).StudyDate == read(at_once).StudyDate if "StudyDate" in read(at_once) else True
        assert with_original == at_once, file.path.name
        done += 1
    assert done > 300
