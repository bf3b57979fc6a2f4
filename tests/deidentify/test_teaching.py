"""The privacy gate of a teaching file's text: names, dates and numbers planted in every field, in many scripts."""

import io

import pytest

from deidentify.identity import identified_tokens, joined
from deidentify.manifest import read_manifest, read_teaching_information
from deidentify.parser import read_instance
from deidentify.results import DelayReason
from deidentify.teaching import MOST_TAGS, Sources, clean_teaching_file
from tests.builders import ct_instance, write_part10
from tests.teaching import coded, information, said, selection

TOPICS = ("TCE104", "TCE105", "121060", "121071", "TCE106", "111023", "TCE107", "112005", "111042", "TCE108", "TF001")


def gate(*documents, images=(), keeps_text=True, accounts=()):
    """Take documents and images of one study through the gate."""
    headers = [read_instance(io.BytesIO(write_part10(one))) for one in (*documents, *images)]
    identified = identified_tokens(headers[0])
    for header in headers[1:]:
        identified = joined(identified, identified_tokens(header))
    manifests = tuple(found for header in headers if (found := read_manifest(header)) is not None)
    texts = tuple(found for header in headers if (found := read_teaching_information(header)) is not None)
    sources = Sources(manifests=manifests, information=texts)
    return clean_teaching_file(sources, identified, keeps_text=keeps_text, accounts=accounts)


def everything(text):
    return " ".join((text.title, text.presentation, text.findings, text.discussion, *text.tags))


def test_each_text_has_its_place():
    text = gate(
        selection([], text="mirc:title=Acute appendicitis mirc:freetext=post contrast", delay="TCE014"),
        information(
            said("121060", "acute abdominal pain for 3 days"),
            said("121071", "thickened appendix, 12 mm"),
            said("TCE104", "abdominal CT"),
            said("TCE106", "no abscess"),
            said("111023", "diverticulitis"),
            said("TCE107", "appendicitis"),
            said("TCE105", "appendix; inflammation,\nabdomen"),
            coded("TCE108", "T-50000", "abdomen", "SRT"),
            coded("TCE109", "TCE304"),
            coded("TCE110", "TCE201"),
        ),
    )
    assert text.title == "Acute appendicitis"
    assert text.presentation == "acute abdominal pain for 3 days"
    assert text.findings == "thickened appendix, 12 mm"
    assert "Diagnosis: appendicitis" in text.discussion
    assert text.discussion.startswith("abdominal CT")
    assert text.discussion.endswith("post contrast")
    assert {"appendix", "inflammation", "abdomen"} == set(text.tags)
    assert (text.categories, text.level, text.delay) == (("TCE304",), "TCE201", DelayReason.HISTOPATHOLOGY)


def test_without_a_title_the_diagnosis_is_one():
    text = gate(information(said("TCE107", "Acute appendicitis")))
    assert (text.title, text.discussion) == ("Acute appendicitis", "")


PLANTED = {
    "ISO_IR 100": ["Überweiserin", "Zwitschervogel", "Mädchenname"],
    "ISO_IR 192": ["Kanarjew", "Канарьев", "金絲雀", "카나리아", "Κανάρης", "كناري", "קנרי"],
    "ISO_IR 144": ["Канарьев"],
    "ISO_IR 126": ["Κανάρης"],
    "ISO_IR 127": ["كناري"],
    "ISO_IR 138": ["קנרי"],
    "ISO 2022 IR 6\\ISO 2022 IR 87": ["金糸雀"],
    "GB18030": ["金丝雀"],
}


@pytest.mark.parametrize("charset", PLANTED)
@pytest.mark.parametrize("topic", TOPICS)
def test_names_dates_and_numbers_planted_in_every_field_are_withheld(charset, topic):
    names = PLANTED[charset]
    hidden = [
        *names,
        "KNR-558211",
        "558211",
        "13.04.2021",
        "2021-04-13",
        "20210413",
        "4711-0815",
        "0815",
        "7 March 1961",
    ]
    text = gate(
        information(
            said(topic, "acute pain " + " pain ".join(hidden) + " pain"), SpecificCharacterSet=charset.split("\\")
        ),
        images=[ct_instance(PatientID="KNR-558211", PatientName="Nobody^Known")],
    )
    shown = everything(text)
    for value in hidden:
        assert value not in shown
    for value in ("2021", "0815", "4711", "1961", "March", "KNR"):
        assert value not in shown
    assert text.withheld >= len(hidden)


@pytest.mark.parametrize("charset", PLANTED)
def test_what_is_planted_in_the_selection_is_withheld(charset):
    names = PLANTED[charset]
    said_by_mirc = f"mirc:title=acute pain of {names[0]} mirc:authorization/owner={names[-1]} mirc:freetext=no pain"
    text = gate(selection([], text=said_by_mirc, observer=names[0], SpecificCharacterSet=charset.split("\\")))
    shown = everything(text)
    assert not any(name in shown for name in names)
    assert text.title == "acute pain of"
    assert text.withheld == 1


def test_words_that_name_this_patient_go_though_they_are_known_words():
    before = gate(information(said("121071", "cyst near the head of the pancreas")))
    assert "head" in before.findings
    named_on_another_instance = ct_instance(number=7, PatientName="Head^Pancreas")
    after = gate(information(said("121071", "cyst near the head of the pancreas")), images=[named_on_another_instance])
    assert "head" not in after.findings.lower()
    assert "pancreas" not in after.findings.lower()
    assert after.withheld == before.withheld + 2


def test_names_of_authors_go_wherever_they_stand():
    text = gate(
        information(
            said("TCE101", "Axial Contrast"), said("TCE103", "lesion@example.org"), said("121071", "axial lesion")
        ),
    )
    assert text.findings == ""
    assert text.withheld == 2


@pytest.mark.parametrize(
    "hidden",
    ["93 year old", "aged 97", "101-year-old", "12/11", "123 456", "1234", "5 May", "March 5", "J. Smith", "Dr. Brown"],
)
def test_what_may_identify_without_being_a_name_of_the_header_goes(hidden):
    text = gate(information(said("121060", f"acute chest pain with pain and {hidden} pain")))
    for part in hidden.replace(".", " ").split():
        if part not in {"year", "old", "aged", "Dr"}:
            assert part not in text.presentation.split()
    assert text.withheld > 0


@pytest.mark.parametrize(
    "hidden", ["Brown", "BROWN", "White", "May", "Stone", "Waters", "seen by Head", "seen by Small", "with Long"]
)
def test_known_words_that_stand_as_family_names_go(hidden):
    name = hidden.split()[-1]
    text = gate(information(said("121060", f"acute pain, {hidden} and pain in the abdomen")))
    assert name not in text.presentation
    assert text.withheld == 1


@pytest.mark.parametrize(
    ("written", "hidden"),
    [
        ("97 male", "97"),
        ("woman (95)", "95"),
        ("95/M", "95"),
        ("male, 97", "97"),
        ("95M", "95M"),
        ("102y", "102y"),
        ("1\u200b2\u200b3\u200b4\u200b5", "1 2 3"),
        ("1\u200b2.0\u200b3.2\u200b0\u200b2\u200b1", "12"),
        ("555,123,456", "123"),
        ("555, 123, 4567", "123"),
        ("555_123_456", "123"),
        ("555_-123_-456", "123"),
        ("①②③④", "①"),
        ("&#74;&#97;&#110;&#101;", "74"),
        ("&amp;#74;&amp;#97;&amp;#110;", "74"),
        ("seen on 12.5. with", "12.5"),
        ("DR. BLOCK", "BLOCK"),
        ("DR. MED. HAND", "HAND"),
        ("Dr. med. Hand", "Hand"),
        ("Drs. Hand", "Hand"),
        ("referred by HAND", "HAND"),
        ("seen by Hu", "Hu"),
        ("seen by Max", "Max"),
        ("shown to Browns", "Browns"),
        ("from Heidelberg", "Heidelberg"),
        ("from heidelberg", "heidelberg"),
    ],
)
def test_names_ages_and_numbers_in_disguise_go(written, hidden):
    history = said("121060", f"acute chest pain with fever and pain {written} pain")
    shown = gate(information(history, SpecificCharacterSet="ISO_IR 192")).presentation
    assert shown
    assert hidden not in shown


@pytest.mark.parametrize("kept", ["95 mm", "120 kV", "98%", "100 HU", "12 \xd7 15 mm", "12.5 mm", "38.5 degrees"])
def test_large_measures_stay(kept):
    assert kept in gate(information(said("121060", f"pain, {kept}, no fracture"))).presentation


@pytest.mark.parametrize(
    "kept",
    [
        "Small bowel obstruction",
        "pain. Free fluid",
        "circle of Willis",
        "Baker cyst",
        "white matter",
        "long bone",
        "Head CT",
    ],
)
def test_the_same_words_stay_where_they_name_nobody(kept):
    text = gate(information(said("121071", kept)))
    assert (text.findings, text.withheld) == (kept, 0)


def test_a_real_history_keeps_its_sense():
    history = (
        "A 45-year-old woman presented with right lower quadrant pain and fever for 2 days. "
        "CT shows a dilated appendix with wall thickening and surrounding fat stranding, "
        "consistent with acute appendicitis."
    )
    text = gate(information(said("121060", history)))
    assert (text.presentation, text.withheld) == (history, 0)


def test_words_of_prose_name_nobody_that_a_header_does():
    text = gate(
        information(said("121060", "acute pain shown to Woman at night")),
        images=[ct_instance(PatientName="Woman^Night")],
    )
    assert text.presentation == "acute pain shown to at"


@pytest.mark.parametrize("kept", ["12 mm", "12.5 mm", "T2", "L4-L5", "52 year", "120 kV"])
def test_measures_and_levels_stay(kept):
    assert kept in gate(information(said("121060", f"pain, {kept}, no fracture"))).presentation


def test_more_withheld_than_kept_leaves_nothing():
    text = gate(information(said("121060", "Zwitschervogel Kanaria aus Volierenstadt pain")))
    assert (text.presentation, text.withheld) == ("", 5)


def test_half_a_keyword_is_none():
    text = gate(information(said("TCE105", "appendix, Zwitschervogel pain, pain")))
    assert text.tags == ("appendix", "pain")
    assert text.withheld == 2


def test_a_profile_without_text_withholds_all_of_it():
    text = gate(information(said("121060", "acute pain"), coded("TCE110", "TCE201")), keeps_text=False)
    assert (text.presentation, text.withheld, text.level) == ("", 2, "TCE201")


def test_long_texts_are_cut_to_what_a_case_takes():
    text = gate(
        information(said("TCE107", "pain " * 500), said("121060", "pain " * 5000), said("TCE105", "pain " * 40)),
    )
    assert (len(text.title), len(text.presentation)) == (119, 1999)
    assert len(text.tags) <= MOST_TAGS


@pytest.mark.parametrize(
    ("owner", "found"), [("jdoe", "jdoe"), ("JDoe", "jdoe"), ("jdo", ""), ("jdoe, asmith", ""), ("", "")]
)
def test_an_account_is_matched_by_its_whole_name(owner, found):
    document = selection([], text=f"mirc:authorization/owner={owner} mirc:freetext=pain")
    assert gate(document, accounts=("jdoe", "asmith")).account == found


def test_two_accounts_are_none():
    document = information(said("TCE101", "jdoe"), said("TCE103", "asmith"))
    assert gate(document, accounts=("jdoe", "asmith")).account == ""


def test_nothing_of_it_stands_in_a_repr():
    document = selection([], text="mirc:title=Zwitschervogel", observer="Vogel^Kanaria")
    header = read_instance(io.BytesIO(write_part10(document)))
    manifest = read_manifest(header)
    assert "vogel" not in repr(Sources(manifests=(manifest,), information=())).lower()
