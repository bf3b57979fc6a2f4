"""An explanation says what the engine does, and which line says so."""

import pytest

from deidentify.decisions import Decision, Decisions
from deidentify.dictionary import keyword_tags
from deidentify.explain import WORDS, explained, loosened, name_of
from deidentify.profile import Profile
from deidentify.rules import RuleSet
from deidentify.tables import attribute_rows, iod_types
from tests.deidentify.support import profile

HEAD = "name: mine\nbase: basic\n"
CT = iod_types("1.2.840.10008.5.1.4.1.1.2")


def tag(keyword):
    return keyword_tags()[keyword]


def read(*rules, head=HEAD):
    return Profile.from_yaml(head + "rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules))


def test_every_decision_has_words():
    assert set(WORDS) == set(Decision)


@pytest.mark.parametrize("name", ["teaching", "strict", "research-dates"])
def test_an_explanation_is_what_the_engine_decides_for_every_row(name):
    for row in attribute_rows():
        one = explained(profile(name), row, types=CT)
        told = {"the pseudonym of the case": "no value", "written in bands": "kept"}
        assert told.get(one.becomes, one.becomes) == WORDS[Decisions(profile(name), CT).decide(row, ())]
        assert one.by in {"rule", "option", "Basic Profile", "always"}
        assert one.source


@pytest.mark.parametrize(
    ("keyword", "path", "code", "by", "source"),
    [
        ("DeviceSerialNumber", (), "K", "rule", "line 5"),
        ("DeviceSerialNumber", ("AcquisitionContextSequence",), "X", "rule", "line 6"),
        ("DeviceSerialNumber", ("RequestAttributesSequence",), "K", "rule", "line 5"),
        ("StationName", (), "X", "rule", "line 7"),
        ("InstitutionName", (), "K", "option", "retain-institution-identity"),
        ("StudyDate", (), "C", "option", "retain-longitudinal-modified-dates"),
        ("PatientName", (), "Z", "Basic Profile", "Table E.1-1"),
        ("SliceThickness", (), "", "outside the table", "by its VR, DS"),
        ("BodyPartExamined", (), "", "outside the table", "by its VR, CS"),
        ("ConvolutionKernel", (), "X", "rule", "line 7"),
        ("PatientIdentityRemoved", (), "", "always", "written anew: it says what was done"),
    ],
)
def test_the_line_that_won_is_named(keyword, path, code, by, source):
    found = read(
        "keyword: DeviceSerialNumber, action: K, reason: because",
        "keyword: DeviceSerialNumber, action: X, reason: other, inside: [AcquisitionContextSequence]",
        "vr: SH, action: X, reason: r",
        head=HEAD + "options: [retain-institution-identity]\n",
    )
    one = explained(found, tag(keyword), tuple(tag(each) for each in path), types=CT)
    assert (one.code, one.by, one.source) == (code, by, source)
    assert one.name == keyword


def test_a_rule_of_the_base_is_named_with_the_base():
    text = "name: mine\nbase: site\n---\nname: site\nbase: basic\nrules:\n- {keyword: KVP, action: X, reason: r}\n"
    assert explained(Profile.from_yaml(text), tag("KVP")).source == "site, line 4"


def test_attributes_that_no_dictionary_has_and_private_ones():
    plain, safe = Profile.from_yaml(HEAD), Profile.from_yaml(HEAD + "private: safe\n")
    assert explained(plain, 0x00120999).source == "not in the dictionary"
    assert explained(plain, 0x00120999).becomes == "removed"
    assert explained(plain, 0x60003000).by == "always"
    assert (explained(plain, 0x00191001).by, explained(plain, 0x00191001).source) == ("private", "private: remove")
    one = explained(safe, 0x00191001)
    assert (one.by, one.source) == ("private", "private: safe, by creator, element and VR")
    assert one.becomes == WORDS[Decision.PRIVATE]
    assert name_of(0x00191001) == ""


def test_rules_about_some_instances_are_listed_where_they_can_win():
    found = read(
        "keyword: KVP, action: Z, reason: never, only: {modality: CT}",
        "keyword: KVP, action: X, reason: all of them",
        "keyword: KVP, action: D, reason: some, only: {modality: MR}",
        "vr: DS, action: X, reason: others, when: {keyword: Rows, is: 1}",
        "keyword: StationName, action: K, reason: else, only: {modality: MR}",
    )
    one = explained(found, tag("KVP"))
    assert one.source == "line 5"
    assert [rule.place for rule in one.others] == ["line 6", "line 7"]
    with_it = explained(found, tag("KVP"), rules=RuleSet((*found.always.rules, one.others[0])))
    assert (with_it.source, with_it.others) == ("line 6", ())


# -- what is loosened -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "instead_of"),
    [
        ("keyword: DeviceSerialNumber, action: K", "X/Z/D"),
        ("keyword: ProtocolName, action: K", "C"),
        ("keyword: PatientAddress, action: C", "X"),
        ("keyword: PatientAddress, action: D", "X"),
        ("keyword: BodyPartExamined, action: K", WORDS[Decision.CODE_STRING]),
        ("keyword: ConvolutionKernel, action: K", WORDS[Decision.TECHNICAL]),
        ("keyword: ReferencedImageSequence, action: K", "X/Z/U*"),
        ("keyword: ReferencedImageSequence, action: U", "X/Z/U*"),
        ("keyword: PatientAddress, action: K, only: {modality: MR}", "X"),
        ("keyword: PatientAddress, action: K, inside: [AcquisitionContextSequence]", "X"),
    ],
)
def test_what_keeps_more_is_listed_with_line_and_reason(rule, instead_of):
    (one,) = loosened(read(f"{rule}, reason: because"))
    assert (one.place, one.reason, one.instead_of) == ("line 4", "because", instead_of)


@pytest.mark.parametrize(
    "rule",
    [
        "keyword: DeviceSerialNumber, action: X",
        "keyword: DeviceSerialNumber, action: D",
        "keyword: ProtocolName, action: X",
        "keyword: SliceThickness, action: K",
        "keyword: SliceThickness, action: D",
        "keyword: ConvolutionKernel, action: C",
        "keyword: StudyDate, action: C",
        "keyword: AcquisitionContextSequence, action: X",
        "vr: LO, action: X/Z/D",
        "tag: '(0018,xxxx)', action: X",
        "vr: SQ, action: X/Z",
        "private: {creator: A}, action: X",
    ],
)
def test_what_keeps_no_more_is_not(rule):
    assert loosened(read(f"{rule}, reason: r")) == ()


def test_a_rule_is_not_listed_where_an_option_keeps_the_attribute():
    head = HEAD + "options: [retain-device-identity]\n"
    assert loosened(read("keyword: DeviceSerialNumber, action: K, reason: r", head=head)) == ()


@pytest.mark.parametrize(
    ("where", "is_listed"),
    [
        ('creator: "Philips Imaging DD 001"', True),
        ('creator: "Philips Imaging DD 001", element: "(2001,xx99)"', True),
        ('creator: "Philips Imaging DD 001", element: "(2001,xx01)"', False),
        ('creator: "Philips Imaging DD 001", element: "(2001,xx01)", vr: LO', True),
        ('creator: "GEMS_ACQU_01", element: "(0019,xx9E)"', False),
    ],
)
def test_private_elements_that_the_standard_does_not_list_are(where, is_listed):
    rule = f"private: {{{where}}}, action: K, reason: r"
    assert bool(loosened(read(rule, head=HEAD + "private: safe\n"))) is is_listed


def test_words_of_the_site_and_kinds_that_are_kept_are_listed():
    text = HEAD + "vocabulary: [kneifenberg, Protokoll Zwiebel]\n"
    text += "sop_classes: {keep: [screen-capture, CT Image Storage]}\n"
    found = loosened(Profile.from_yaml(text))
    assert [one.place for one in found] == ["vocabulary", "sop_classes: keep", "sop_classes: keep"]
    assert found[0].subject.startswith("2 words")


def test_an_age_stays_only_in_bands_and_only_then_its_rule_keeps_something():
    assert loosened(read("keyword: PatientAge, action: K, reason: r")) == ()
    assert explained(read("keyword: PatientAge, action: K, reason: r"), tag("PatientAge")).becomes.startswith("removed")
