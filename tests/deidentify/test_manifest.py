"""Key object selections and Additional Teaching File Information, as they are read; nothing hostile crashes it."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from deidentify import manifest as room
from deidentify.disposition import disposition_of
from deidentify.errors import DeidentificationError
from deidentify.manifest import Purpose, Topic, read_manifest, read_teaching_information
from deidentify.parser import read_instance
from deidentify.results import DelayReason, Dropped, DropReason, Hold
from tests.builders import code, ct_instance, sr_instance, study_of_two_series, uid, write_part10
from tests.deidentify.support import profile
from tests.teaching import FOR_TEACHING, OF_INTEREST, coded, information, said, selection


def received(instance, **encoding):
    return read_instance(io.BytesIO(write_part10(instance, **encoding)))


def uids(listed):
    return [one.identified_sop_uid for one in listed]


@pytest.mark.parametrize(
    "syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian], ids=str
)
def test_a_selection_names_its_list_and_its_images_in_their_order(syntax):
    images = study_of_two_series(images=3)
    document = selection(images, [images[4], (images[0], [3, 1]), images[2]])
    found = read_manifest(received(document, **({"transfer_syntax": syntax} if syntax else {})))

    assert found.purpose is Purpose.TEACHING_FILE
    assert sorted(uids(found.identified_listed)) == sorted(image.SOPInstanceUID for image in images)
    assert {one.identified_study_uid for one in found.identified_listed} == {uid(1)}
    assert uids(found.identified_key_images) == [images[n].SOPInstanceUID for n in (4, 0, 2)]
    assert [image.frames for image in found.identified_key_images] == [(), (3, 1), ()]


def test_an_image_that_stands_twice_keeps_its_first_place_with_the_frames_of_both():
    one, two = ct_instance(number=1), ct_instance(number=2)
    found = read_manifest(received(selection([one, two], [(one, [2]), two, (one, [5, 2])])))
    assert [(image.identified_sop_uid, image.frames) for image in found.identified_key_images] == [
        (one.SOPInstanceUID, (2, 5)),
        (two.SOPInstanceUID, ()),
    ]
    whole = read_manifest(received(selection([one], [(one, [2]), one, (one, [3])])))
    assert whole.identified_key_images[0].frames == ()


def test_studies_of_one_list_are_told_apart_and_identical_documents_are_named():
    here, there = ct_instance(study=1), ct_instance(study=2)
    found = read_manifest(received(selection([here, there], identical=[(uid(2), uid(2, 90, 1))])))
    assert {one.identified_study_uid for one in found.identified_listed} == {uid(1), uid(2)}
    assert found.identified_identical == (uid(2, 90, 1),)


@pytest.mark.parametrize(
    ("title", "purpose", "detail"),
    [
        (None, Purpose.TEACHING_FILE, "for teaching"),
        (FOR_TEACHING, Purpose.KEY_IMAGES, "for teaching"),
        (OF_INTEREST, Purpose.KEY_IMAGES, "for teaching"),
        (code("TCE002", "IHERADTF", "For Clinical Trial Export"), Purpose.NOT_TEACHING, "clinical trial"),
        (code("TCE007", "IHERADTF", "For Research Collection Export"), Purpose.NOT_TEACHING, "research collection"),
        (code("TCE008", "IHERADTF", "For Publication Export"), Purpose.NOT_TEACHING, "publication"),
    ],
)
def test_titles_decide_what_a_selection_does_and_each_is_dropped_with_its_reason(title, purpose, detail):
    document = received(selection([ct_instance()], title=title))
    assert read_manifest(document).purpose is purpose
    dropped = disposition_of(document, profile())
    assert isinstance(dropped, Dropped)
    assert dropped.reason is DropReason.TEACHING_FILE_MANIFEST
    assert detail in dropped.detail


def test_other_selections_and_reports_go_on_as_before():
    rejected = received(selection([ct_instance()], title=code("113001", "DCM", "Rejected for Quality Reasons")))
    assert read_manifest(rejected).purpose is Purpose.OTHER
    assert disposition_of(rejected, profile()) is None
    # The code of another scheme is another concept.
    assert read_manifest(received(selection([], title=code("TCE001", "99LOCAL", "x")))).purpose is Purpose.OTHER
    assert disposition_of(received(sr_instance()), profile()) is None
    assert read_teaching_information(received(sr_instance())) is None
    assert read_manifest(received(ct_instance())) is None


def test_a_profile_that_does_not_drop_manifests_asks_a_person():
    text = "name: own\nbase: basic\noptions: [clean-structured-content]\nsop_classes:\n  drop: [raw-data]\n"
    held = disposition_of(received(selection([ct_instance()])), profile().from_yaml(text))
    assert isinstance(held, Hold)


def test_the_extension_of_mirc_gives_title_and_account():
    text = "mirc:title=Acute appendicitis mirc:authorization/owner=jdoe mirc:freetext=Kept for the course = good one"
    found = read_manifest(received(selection([], text=text, observer="Doe^Jane")))
    assert (found.identified_title, found.identified_owner) == ("Acute appendicitis", "jdoe")
    assert found.identified_text == "Kept for the course = good one"
    assert found.identified_observers == ("Doe^Jane",)
    assert "appendicitis" not in repr(found)
    assert "Doe" not in repr(found)


def test_a_description_without_the_extension_is_free_text():
    assert read_manifest(received(selection([], text="a good one"))).identified_text == "a good one"


@pytest.mark.parametrize(("value", "reason"), list(zip(room.DELAYS, DelayReason, strict=True)))
def test_a_delay_is_read(value, reason):
    assert read_manifest(received(selection([], delay=value))).delay is reason


def test_an_unknown_delay_is_none():
    assert read_manifest(received(selection([], delay="TCE099"))).delay is None


def test_information_is_read_by_topic():
    document = information(
        said("121060", "pain"),
        said("121071", "first finding"),
        said("121071", "second finding"),
        coded("112005", "T-D4000", "Abdomen", "SRT"),
        said("TCE101", "An Author"),
        said("TF001", "Its title"),
        coded("TCE109", "TCE304"),
        coded("TCE109", "TCE310"),
        coded("TCE109", "TCE399"),
        coded("TCE110", "TCE202"),
        coded("TCE111", "R-00339", "No", "SRT"),
    )
    found = read_teaching_information(received(document))
    assert found.identified_texts == (
        (Topic.HISTORY, "pain"),
        (Topic.FINDINGS, "first finding"),
        (Topic.FINDINGS, "second finding"),
        (Topic.ANATOMY, "Abdomen"),
        (Topic.AUTHOR, "An Author"),
        (Topic.TITLE, "Its title"),
    )
    assert found.categories == ("TCE304", "TCE310")
    assert found.level == "TCE202"
    assert found.has_confirmation
    assert "pain" not in repr(found)
    dropped = disposition_of(received(document), profile())
    assert isinstance(dropped, Dropped)
    assert dropped.reason is DropReason.TEACHING_FILE_MANIFEST


@pytest.mark.parametrize("tail", ["11", "22", "33"])
def test_information_may_come_in_any_of_three_classes(tail):
    document = information(said("121060", "pain"), SOPClassUID=f"1.2.840.10008.5.1.4.1.1.88.{tail}")
    assert read_teaching_information(received(document)).identified_texts


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 100", "Überweiserin Ornitha"),
        ("ISO_IR 192", "приветствие 患者 Überweiserin"),
        ("ISO_IR 144", "приветствие"),
        ("ISO_IR 126", "καλημέρα"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ"),
        (["ISO 2022 IR 6", "ISO 2022 IR 87"], "患者 山田"),
        ("GB18030", "患者"),
        (["ISO 2022 IR 6", "ISO 2022 IR 149"], "김희중"),
    ],
    ids=str,
)
def test_text_is_read_in_its_character_set(charset, text):
    found = read_teaching_information(received(information(said("121060", text), SpecificCharacterSet=charset)))
    assert found.identified_texts == ((Topic.HISTORY, text),)


def test_an_unknown_character_set_invents_nothing():
    document = write_part10(information(said("121060", "plain words"), SpecificCharacterSet="ISO_IR 100"))
    document = document.replace(b"ISO_IR 100", b"ISO_IR 999")
    assert read_teaching_information(read_instance(io.BytesIO(document))).identified_texts == (
        (Topic.HISTORY, "plain words"),
    )


# -- hostile ---------------------------------------------------------------------------------------------------------


def test_a_list_beyond_all_bounds_lists_nothing(monkeypatch):
    monkeypatch.setattr(room, "MOST_LISTED", 3)
    found = read_manifest(received(selection(study_of_two_series(images=2))))
    assert found.identified_listed == ()


def test_only_so_much_content_is_read(monkeypatch):
    monkeypatch.setattr(room, "_MOST_ITEMS", 5)
    items = [said("121060", f"text {n}") for n in range(50)]
    assert len(read_teaching_information(received(information(*items))).identified_texts) == 5


def test_content_that_nests_too_deep_is_left_alone():
    item = said("121060", "at the bottom")
    for _ in range(40):
        item = {**said("121060", ""), "ContentSequence": [item]}
    assert read_teaching_information(received(information(item))).identified_texts == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"ConceptNameCodeSequence": None},
        {"ConceptNameCodeSequence": []},
        {"CurrentRequestedProcedureEvidenceSequence": None, "ContentSequence": None},
        {"CurrentRequestedProcedureEvidenceSequence": [{"StudyInstanceUID": "1.2"}]},
        {"SpecificCharacterSet": None},
    ],
    ids=str,
)
def test_what_is_missing_is_left_out(broken):
    found = read_manifest(received(selection([ct_instance()], [ct_instance()], **broken)))
    assert found is not None
    assert found.identified_listed == () or "SpecificCharacterSet" in broken or "ConceptName" in str(broken)


def test_references_that_are_no_uids_are_left_out():
    odd = ct_instance()
    document = write_part10(selection([odd], [odd]))
    old = odd.SOPInstanceUID.encode()
    found = read_manifest(read_instance(io.BytesIO(document.replace(old, b"Smith^John".ljust(len(old), b"x")))))
    assert (found.identified_listed, found.identified_key_images) == ((), ())


WHOLE = write_part10(
    selection(
        study_of_two_series(images=1), [ct_instance()], text="mirc:title=x", delay="TCE011", identical=[("1.2", "1.3")]
    )
)


@settings(max_examples=300, deadline=None)
@given(
    cut=st.integers(0, len(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
)
def test_damaged_documents_are_read_or_refused_but_never_crash(cut, changes):
    damaged = bytearray(WHOLE)
    for place, value in changes:
        damaged[place] = value
    try:
        header = read_instance(io.BytesIO(bytes(damaged[:cut])))
    except DeidentificationError:
        return
    read_manifest(header)
    read_teaching_information(header)
    disposition_of(header, profile())
