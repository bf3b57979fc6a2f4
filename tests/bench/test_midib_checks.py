"""Each of the ten checks passes what is right, and fails what a broken de-identifier would write."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from benchmarks.midib.answers import pixel_digest
from benchmarks.midib.checks import Uids, passes
from benchmarks.midib.key import Action, Answer
from tests.builders import ct_instance, sr_instance, write_part10
from tests.deidentify.support import deidentified

PATIENT_ID, STUDY_DESCRIPTION, SLICE_THICKNESS = 0x00100020, 0x00081030, 0x00180050
SOP_INSTANCE, STUDY_DATE, FRAME_OF_REFERENCE = 0x00080018, 0x00080020, 0x00200052


def outcome(after: Dataset, action: Action, tag: int, uids: Uids | None = None, **values: object) -> bool:
    answer = Answer(action=action, path=(tag,), why="test", **values)
    judged = passes(after, answer, uids or Uids())
    assert judged is not None
    return judged.passed


def test_a_tag_that_is_gone_is_not_retained():
    assert outcome(ct_instance(), Action.TAG_RETAINED, SLICE_THICKNESS)
    assert not outcome(ct_instance(SliceThickness=None), Action.TAG_RETAINED, SLICE_THICKNESS)


def test_an_emptied_value_is_null():
    assert outcome(ct_instance(), Action.TEXT_NOTNULL, SLICE_THICKNESS)
    assert not outcome(ct_instance(SliceThickness=""), Action.TEXT_NOTNULL, SLICE_THICKNESS)
    assert not outcome(ct_instance(SliceThickness=None), Action.TEXT_NOTNULL, SLICE_THICKNESS)


def test_a_number_is_retained_as_a_number_and_not_when_it_changed():
    assert outcome(ct_instance(SliceThickness="5.0"), Action.TEXT_RETAINED, SLICE_THICKNESS, value="5")
    assert not outcome(ct_instance(SliceThickness="50"), Action.TEXT_RETAINED, SLICE_THICKNESS, value="5")
    assert not outcome(ct_instance(SliceThickness=None), Action.TEXT_RETAINED, SLICE_THICKNESS, value="5")


def test_useful_words_count_one_by_one_and_a_part_of_another_word_is_none():
    answer = Answer(
        action=Action.TEXT_RETAINED, path=(STUDY_DESCRIPTION,), words=("CT", "chest", "with", "contrast"), why="test"
    )
    judged = passes(ct_instance(StudyDescription="CTA Chest contrast"), answer, Uids())
    assert judged is not None
    assert (judged.passed, judged.kept, judged.asked) == (False, 2, 3)
    judged = passes(ct_instance(StudyDescription="contrast CT of the chest"), answer, Uids())
    assert judged is not None
    assert judged.passed


@pytest.mark.parametrize("left", ["CT CHEST for Testperson", "ct chest TESTPERSON", "CT CHEST Testperson's"])
def test_a_name_left_in_useful_text_is_not_removed(left):
    words = {"words": ("Testperson",)}
    assert outcome(ct_instance(StudyDescription="CT CHEST for"), Action.TEXT_REMOVED, STUDY_DESCRIPTION, **words)
    assert not outcome(ct_instance(StudyDescription=left), Action.TEXT_REMOVED, STUDY_DESCRIPTION, **words)


def test_a_short_name_is_removed_where_it_is_only_part_of_a_word():
    words = {"words": ("Lee",)}
    assert outcome(ct_instance(StudyDescription="sleep study"), Action.TEXT_REMOVED, STUDY_DESCRIPTION, **words)
    assert not outcome(ct_instance(StudyDescription="sleep Lee"), Action.TEXT_REMOVED, STUDY_DESCRIPTION, **words)


def test_the_old_day_inside_a_value_is_not_shifted():
    assert outcome(ct_instance(StudyDate="20190704"), Action.DATE_SHIFTED, STUDY_DATE, value="20240229")
    assert not outcome(ct_instance(StudyDate="20240229"), Action.DATE_SHIFTED, STUDY_DATE, value="20240229")


def test_what_is_no_date_is_not_shifted():
    changed = ct_instance()
    changed["StudyDate"]._value = "20241399"
    assert not outcome(changed, Action.DATE_SHIFTED, STUDY_DATE, value="20240229")


def test_an_old_uid_inside_a_new_one_is_not_changed():
    old = str(ct_instance().SOPInstanceUID)
    assert outcome(ct_instance(SOPInstanceUID="2.25.7"), Action.UID_CHANGED, SOP_INSTANCE, value=old)
    assert not outcome(ct_instance(), Action.UID_CHANGED, SOP_INSTANCE, value=old)
    assert not outcome(ct_instance(SOPInstanceUID=old + ".1"), Action.UID_CHANGED, SOP_INSTANCE, value=old)


def test_a_uid_that_became_two_things_or_shares_its_new_one_is_not_consistent():
    after = ct_instance(FrameOfReferenceUID="2.25.5")

    def is_consistent(replaced: dict[str, set[str]]) -> bool:
        return outcome(after, Action.UID_CONSISTENT, FRAME_OF_REFERENCE, Uids(replaced=replaced), value="1.2.3")

    assert is_consistent({"1.2.3": {"2.25.5"}})
    assert not is_consistent({"1.2.3": {"2.25.5", "2.25.6"}})
    assert not is_consistent({"1.2.3": {"2.25.5"}, "1.2.4": {"2.25.5"}})


def test_an_absent_uid_is_not_consistent_unless_it_may_go():
    gone = ct_instance(FrameOfReferenceUID=None)
    assert not outcome(gone, Action.UID_CONSISTENT, FRAME_OF_REFERENCE, value="1.2.3")
    may_go = Answer(
        action=Action.UID_CONSISTENT, path=(FRAME_OF_REFERENCE,), value="1.2.3", why="test", is_required=False
    )
    assert passes(gone, may_go, Uids()) is None


@pytest.mark.parametrize(
    ("new", "all_of_them", "expected"),
    [
        ("CB-A", {"CB-A"}, True),
        ("CB-A", {"CB-A", "CB-B"}, False),
        ("", {""}, False),
        ("PID-700123", {"PID-700123"}, False),
    ],
)
def test_a_patient_has_one_new_id(new, all_of_them, expected):
    uids = Uids(patients={"PID-700123": all_of_them})
    after = ct_instance(PatientID=new)
    assert outcome(after, Action.PATID_CONSISTENT, PATIENT_ID, uids, value="PID-700123") is expected


def test_one_changed_bit_of_the_pixels_is_seen():
    before = ct_instance()
    after = ct_instance()
    after.PixelData = bytes([before.PixelData[0] ^ 1]) + before.PixelData[1:]
    assert outcome(ct_instance(), Action.PIXELS_RETAINED, 0x7FE00010, value=pixel_digest(before))
    assert not outcome(after, Action.PIXELS_RETAINED, 0x7FE00010, value=pixel_digest(before))
    assert not outcome(ct_instance(PixelData=None), Action.PIXELS_RETAINED, 0x7FE00010, value=pixel_digest(before))


def drawn(kind: str) -> tuple[Dataset, str]:
    """Return an image with a mask drawn in it, or blanked, or dimmed, and the answer's value."""
    mask = np.kron(np.random.default_rng(3).integers(0, 2, (6, 12)), np.ones((2, 2), dtype=int))
    pixels = np.random.default_rng(4).integers(0, 400, (64, 64)).astype("<u2")
    region = pixels[10:22, 8:32]
    if kind == "left":
        region[mask == 1] = 4000
    elif kind == "dimmed":
        region[mask == 1] += 200
    elif kind == "inverted":
        region[mask == 0] = 4000
    else:
        region[:] = 0
    data = ct_instance(rows=64, columns=64, PixelData=pixels.tobytes())
    part10 = write_part10(data)
    import io

    import pydicom

    rows = " ".join("".join(str(bit) for bit in line) for line in mask)
    return pydicom.dcmread(io.BytesIO(part10)), f"10,8;{rows}"


@pytest.mark.parametrize(
    ("kind", "hidden"), [("blanked", True), ("left", False), ("dimmed", False), ("inverted", False)]
)
def test_text_in_the_pixels_is_hidden_only_when_nothing_looks_like_it(kind, hidden):
    after, value = drawn(kind)
    assert outcome(after, Action.PIXELS_HIDDEN, 0x7FE00010, value=value) is hidden


def test_a_content_item_may_move_up_when_another_goes():
    path = (0x0040A730, 1, 0x0040A160)
    answer = Answer(action=Action.TEXT_RETAINED, path=path, words=("Baker", "cyst"), why="test")
    report = sr_instance()
    del report.ContentSequence[0]
    judged = passes(report, answer, Uids())
    assert judged is not None
    assert judged.passed


def test_our_engine_passes_where_the_broken_ones_above_fail():
    after = deidentified(write_part10(ct_instance())).dataset
    assert outcome(after, Action.TEXT_REMOVED, 0x00100010, words=("Testperson", "Unreal"))
    assert outcome(after, Action.DATE_SHIFTED, STUDY_DATE, value="20240229")
    assert outcome(after, Action.UID_CHANGED, SOP_INSTANCE, value=str(ct_instance().SOPInstanceUID))
    assert outcome(after, Action.PIXELS_RETAINED, 0x7FE00010, value=pixel_digest(ct_instance()))
