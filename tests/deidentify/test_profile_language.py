"""What a profile says as a whole: bases, words of the site, kinds of objects, doubts; what holds for any of them."""

import io
import re
from collections.abc import Iterator
from functools import cache
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from deidentify.actions import Action
from deidentify.charsets import charset_of
from deidentify.dataset import Element, tag_text
from deidentify.decisions import Decision, Decisions
from deidentify.deidentifier import Deidentifier
from deidentify.dictionary import TEXT_VRS, keyword_tags, vr_table
from deidentify.errors import DeidentificationError, ProfileError
from deidentify.explain import loosened
from deidentify.profile import Profile
from deidentify.results import Dropped, Hold, HoldReason
from deidentify.tables import attribute_rows, iod_types
from deidentify.vocabulary import words_of
from tests.builders import (
    code,
    ct_instance,
    mr_instance,
    secondary_capture_instance,
    sr_instance,
    us_instance,
    write_part10,
)
from tests.deidentify.made_profiles import ATTRIBUTES, Made, profiles, rule_texts
from tests.deidentify.support import clear_screen, deidentified, scope, shipped_text

HEAD = "name: mine\nbase: basic\n"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def outcome(text, instance):
    engine = Deidentifier(Profile.from_yaml(text))
    return engine.disposition(engine.read(io.BytesIO(write_part10(instance))))


def faults_of(text):
    with pytest.raises(ProfileError) as caught:
        Profile.from_yaml(text)
    return str(caught.value).splitlines()


# -- words of the site ------------------------------------------------------------------------------------------------


def described(text, description, **attributes):
    instance = ct_instance(SeriesDescription=description, **attributes)
    return deidentified(write_part10(instance), profile_text=text).dataset.get("SeriesDescription")


def test_words_of_the_site_stay_and_phrases_keep_their_words_together_only():
    plain = HEAD
    site = HEAD + "vocabulary: [kneifenberg, Protokoll Zwiebelkopf]\n"
    assert "Kneifenberg" not in (described(plain, "AX Kneifenberg T2") or "")
    assert described(site, "AX Kneifenberg T2") == "AX Kneifenberg T2"
    assert "Zwiebelkopf" in described(site, "AX Protokoll Zwiebelkopf T2")
    assert "Zwiebelkopf" not in described(site, "AX T2 Zwiebelkopf")


def test_words_of_the_site_never_let_this_patients_own_name_stay():
    site = HEAD + "vocabulary: [testperson, Protokoll Testperson, 'PID-700123']\n"
    for description in ("AX T2 Testperson", "AX Protokoll Testperson", "AX PID-700123"):
        done = described(site, description)
        assert "Testperson" not in done
        assert "700123" not in done


@pytest.mark.parametrize("entry", ["12345", "7", "a b", "''", "'...'", "x" * 65, "1 2 3", "'-'"])
def test_a_word_of_the_site_is_a_word(entry):
    assert re.match(r"line 3: an entry ", faults_of(f"{HEAD}vocabulary: [{entry}]")[0])


def test_words_of_the_site_need_text_that_is_cleaned():
    (fault,) = faults_of(HEAD + "text: remove\nvocabulary: [kneifenberg]\n")
    assert fault.startswith("line 4: under 'text: remove'")
    many = ", ".join(f"word{chr(97 + number % 26)}{number}" for number in range(2001))
    assert faults_of(f"{HEAD}vocabulary: [{many}]")[0].startswith("line 3: there are 2,001 words")


# -- kinds of objects -------------------------------------------------------------------------------------------------

DOCUMENT, CAPTURE = STORAGE + "104.1", {"SeriesDescription": "Dose Report"}


def document():
    return ct_instance(SOPClassUID=DOCUMENT)


def capture():
    return secondary_capture_instance(**CAPTURE)


def state():
    return ct_instance(SOPClassUID=STORAGE + "11.1", Modality="PR", PixelData=None)


def dose():
    return sr_instance(SOPClassUID=STORAGE + "88.67")


@pytest.mark.parametrize(
    ("said", "make", "kind"),
    [
        ("", document, Dropped),
        ("", capture, Dropped),
        ("", ct_instance, None),
        ("drop: [encapsulated-document]", document, Dropped),
        ("drop: [raw-data]", document, Hold),
        ("hold: [encapsulated-document]", document, Hold),
        ("drop: [CT Image Storage]", ct_instance, Dropped),
        ("drop: [CT Image]", ct_instance, Dropped),
        (f"drop: [{STORAGE}2]", ct_instance, Dropped),
        (f"drop: [{STORAGE}2]", mr_instance, None),
        ("hold: [MR Image Storage]", mr_instance, Hold),
        (f"hold: [{STORAGE}4]", mr_instance, Hold),
        ("hold: [MR Image Storage]", ct_instance, None),
        ("keep: [screen-capture]", capture, None),
        ("keep: [Secondary Capture Image Storage]", capture, None),
        ("drop: [screen-capture], keep: [Secondary Capture Image Storage]", capture, None),
        ("keep: [screen-capture], drop: [Secondary Capture Image Storage]", capture, Dropped),
        ("keep: [screen-capture], hold: [Secondary Capture Image Storage]", capture, Hold),
        ("drop: [screen-capture], hold: [Secondary Capture Image Storage]", capture, Hold),
        ("drop: [encapsulated-document], hold: [Encapsulated PDF Storage]", document, Hold),
    ],
)
def test_kinds_and_classes_are_dropped_held_or_kept(said, make, kind):
    found = outcome(HEAD + (f"sop_classes: {{{said}}}\n" if said else ""), make())
    assert found is None if kind is None else isinstance(found, kind)
    if isinstance(found, Hold):
        assert found.reason is HoldReason.PROFILE


@pytest.mark.parametrize(
    ("option", "kind", "make"),
    [
        ("clean-graphics", "presentation-state", state),
        ("clean-structured-content", "dose-report", dose),
    ],
)
def test_what_an_option_cleans_goes_on_unless_it_is_dropped_or_held(option, kind, make):
    head = f"{HEAD}options: [{option}]\nsop_classes: "
    assert outcome(head + f"{{keep: [{kind}]}}\n", make()) is None
    assert outcome(head + "{drop: [raw-data]}\n", make()) is None
    assert isinstance(outcome(head + f"{{drop: [{kind}]}}\n", make()), Dropped)
    assert isinstance(outcome(head + f"{{hold: [{kind}]}}\n", make()), Hold)
    (fault,) = faults_of(f"{HEAD}sop_classes: {{keep: [{kind}]}}\n")
    assert fault == f"line 3: {kind} can be kept with the option {option} only"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("{keep: [video]}", "video cannot be kept: nobody can look into it"),
        ("{drop: [video], hold: [video]}", "video stands under drop as well"),
        (f"{{drop: [CT Image Storage], hold: [{STORAGE}2]}}", "stands under drop as well"),
        ("{drop: [1.2.840.10008.1.2.1]}", "unknown class '1.2.840.10008.1.2.1'"),
        ("{drop: [CT Picture]}", "unknown class 'CT Picture'"),
        ("{loose: [video]}", "unknown key 'loose'"),
        ("[video]", "must be keys and values"),
        ("{drop: video}", "drop must be a list"),
    ],
)
def test_what_cannot_be_meant_of_kinds_is_refused(said, sentence):
    (fault,) = faults_of(f"{HEAD}sop_classes: {said}\n")
    assert fault.startswith("line 3: ")
    assert sentence in fault


def test_a_person_looks_at_what_the_profile_doubts():
    text = HEAD + (
        "hold:\n  - {name: dental, reason: r, when: [{keyword: BodyPartExamined, is: JAW}, {keyword: Rows, is: 16}]}\n"
        "  - {reason: r, when: {keyword: InstitutionName, contains: zahnklinik}}\n"
    )
    assert outcome(text, ct_instance()) is None
    assert outcome(text, ct_instance(BodyPartExamined="JAW", Rows=8)) is None
    found = outcome(text, ct_instance(BodyPartExamined="JAW"))
    assert isinstance(found, Hold)
    assert found.reason is HoldReason.PROFILE
    assert "dental" in found.detail
    other = outcome(text, ct_instance(InstitutionName="Zahnklinik Testperson"))
    assert isinstance(other, Hold)
    assert "zahnklinik" not in other.detail.casefold()
    assert faults_of(HEAD + "hold:\n  - {name: x}\n") == ["line 4: the entry has no reason and no when"]


# -- bases ------------------------------------------------------------------------------------------------------------

BASE = (
    "name: site\nbase: basic\noptions: [retain-device-identity, retain-uids]\ndates: keep\nprivate: safe\n"
    "vocabulary: [kneifenberg]\nrules:\n"
    "  - {keyword: ProtocolName, action: X, reason: r}\n"
    "  - {keyword: ContentDate, action: K, reason: r}\n"
    "sop_classes: {drop: [video], hold: [MR Image Storage], keep: [screen-capture]}\n"
    "hold: [{reason: r, when: {keyword: Rows, is: 8}}]\n"
)


def on(base, text):
    return Profile.from_yaml(f"{text}---\n{base}")


def test_a_profile_has_what_its_base_has():
    found = on(BASE, "name: mine\nbase: site\n")
    base = Profile.from_yaml(BASE)
    assert found.name == "mine"
    assert found.bases == ("site",)
    for name in ("options", "rules", "dates", "text", "age", "vocabulary", "sop_classes", "doubts"):
        assert getattr(found, name) == getattr(base, name), name
    assert [rule.place for rule in found.rules] == ["site, line 8", "site, line 9"]
    assert found.doubts[0].place == "site, line 11"


def test_a_profile_adds_to_its_base_and_its_own_keys_win():
    text = (
        "name: mine\nbase: site\noptions: [retain-institution-identity]\nprivate: remove\ntext: vocabulary\n"
        "vocabulary: [zwiebelkopf]\nrules:\n  - {keyword: ProtocolName, action: C, reason: r}\n"
        "sop_classes: {drop: [MR Image Storage, screen-capture], hold: [video]}\n"
    )
    found = on(BASE, text)
    assert {"retain_device_identity", "retain_uids", "retain_institution_identity"} <= found.options
    assert "retain_safe_private" not in found.options
    assert found.dates == "keep"
    assert found.vocabulary.words == {"kneifenberg", "zwiebelkopf"}
    assert [rule.place for rule in found.rules] == ["site, line 8", "site, line 9", "line 8"]
    assert found.code(0x00181030) == "C"
    policy = found.sop_classes
    assert (policy.drop_uids, policy.hold_uids) == ({STORAGE + "4"}, frozenset())
    assert (policy.drop, policy.hold, policy.keep) == ({"screen-capture"}, {"video"}, frozenset())


def test_lines_of_a_base_are_those_of_its_own_file_though_it_begins_with_dashes():
    found = on("# ours\n---\n" + BASE, "---\nname: mine\nbase: site\n")
    assert found.rules[0].place == "site, line 10"


def test_a_rule_of_the_base_that_the_policies_contradict_is_refused_with_both_places():
    for policy, rules in (("dates: shift", 1), ("dates: remove", 1)):
        faults = faults_of(f"name: mine\nbase: site\n{policy}\n---\n{BASE}")
        assert len(faults) == rules
        assert faults[0].startswith("line 2: the rule of site, line 9 does not go with this profile: ")
    keeping = "name: site\nbase: basic\nprivate: safe\nrules:\n- {private: {creator: A}, action: K, reason: r}\n"
    (fault,) = faults_of(f"name: mine\nbase: site\nprivate: remove\n---\n{keeping}")
    assert "the rule of site, line 5" in fault


def test_bases_may_have_bases_up_to_a_number():
    chain = [f"name: p{number}\nbase: p{number + 1}\n" for number in range(8)]
    chain[7] = "name: p7\nbase: basic\noptions: [retain-uids]\n"
    found = Profile.from_yaml("---\n".join(chain))
    assert found.bases == ("p7", "p6", "p5", "p4", "p3", "p2", "p1")
    assert "retain_uids" in found.options
    chain[7] = "name: p7\nbase: p8\n"
    assert "more than 8 profiles" in faults_of("---\n".join([*chain, "name: p8\nbase: basic\n"]))[0]


def test_faults_of_a_base_have_its_name_and_its_lines():
    faults = faults_of("name: mine\nbase: site\n---\nname: site\nbase: basic\nrules:\n  - {tag: x}\ndates: x\n")
    assert faults == [
        "site, line 4: rule 1: the rule has no action and no reason",
        "site, line 5: dates is 'x'; it can be: shift, keep, remove",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: a\nbase: a\n", "line 2: the bases go round in a circle by way of 'a'"),
        ("name: a\nbase: b\n---\nname: b\nbase: a\n", "b, line 2: the bases go round in a circle by way of 'a'"),
        ("name: a\nbase: a\n---\nname: a\nbase: a\n", "a, line 2: the bases go round in a circle by way of 'a'"),
        ("name: a\nbase: b\n", "line 2: there is no profile 'b' to build on"),
        ("name: a\nbase: b\n---\nname: c\nbase: basic\n", "line 2: there is no profile 'b' to build on"),
        ("name: a\nbase: [b]\n", "line 2: here must stand a single value"),
        ("name: [a]\nbase: basic\n", "line 1: here must stand a single value"),
        ("name: basic\nbase: basic\n", "line 1: 'basic' is the Basic Profile"),
        ("name: a\nbase: b\n---\n- x\n", "the base, line 1: the profile must be keys and values"),
    ],
)
def test_bases_that_are_missing_or_go_in_a_circle_are_refused(text, sentence):
    assert faults_of(text)[0].startswith(sentence)


# -- faults -----------------------------------------------------------------------------------------------------------


def test_all_faults_are_told_at_once_each_with_line_and_rule():
    text = (
        "nane: mine\nname: Mine\nbase: basic\noptions: [fly]\ndates: soon\nvocabulary: ['1']\nrules:\n"
        "  - {keyword: Rows, action: K, reason: r}\n"
        "  - {keyword: ProtocolName, action: X, reason: r}\n"
        "  - keyword: protocolname\n    action: X\n    reason: r\n"
        "  - {keyword: ProtocolName, action: K, reason: r}\n"
        "  - {tag: '(0008,1030)', vr: LO, action: X, reason: ''}\n"
        "sop_classes: {keep: [video]}\nhold: [{reason: r}]\nage: band\n"
    )
    found = [re.match(r"line (\d+): (?:rule (\d+): )?(.{12})", fault).groups() for fault in faults_of(text)]
    assert found == [
        ("1", None, "unknown key "),
        ("2", None, "name must be"),
        ("4", None, "unknown opti"),
        ("5", None, "dates is 'so"),
        ("6", None, "an entry of "),
        ("8", "1", "without this"),
        ("10", "3", "there is no "),
        ("13", "4", "line 9 is ab"),
        ("14", "5", "the rule has"),
        ("15", None, "video cannot"),
        ("16", None, "the entry ha"),
        ("17", None, "age: band ne"),
    ]
    assert "did you mean ProtocolName?" in faults_of(text)[6]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("keyword: ProtocolName, action: X", "the rule has no reason"),
        ("action: X, reason: r", "the rule has no tag, keyword, vr or private"),
        ("keyword: ProtocolName, reason: r", "no action"),
        ("keyword: ProtocolName, action: X, reason: '  '", "the reason is empty"),
        ("keyword: ProtocolName, action: X, reason: r, why: x", "unknown key 'why' in the rule"),
        ("keyword: ProtocolName, action: X, action: K, reason: r", "key 'action' stands twice"),
        ("tag: 'xxxx,1030', action: X, reason: r", "a tag is written"),
        ("tag: '(xxxx,1030)', action: X, reason: r", "first two digits"),
        ("tag: '(0xxx,1030)', action: X, reason: r", "first two digits"),
        ("tag: '(60xx,3000)', action: X, reason: r", "this group cannot be kept or changed"),
        ("tag: '(0009,1001)', action: X, reason: r", "this group cannot be kept or changed"),
        ("tag: '(0018,10xx)', action: K, reason: r", "a rule for a group only takes out"),
        ("vr: LO, action: C, reason: r", "a rule for a kind of value only takes out"),
        ("vr: XX, action: X, reason: r", "there is no VR 'XX'"),
        ("vr: [], action: X, reason: r", "vr is an empty list"),
        ("private: {element: '(0019,xx01)'}, action: X, reason: r", "known by their creator"),
        ("private: {creator: A, element: '(0018,xx01)'}, action: X, reason: r", "an odd group"),
        ("private: {creator: Ä}, action: X, reason: r", "1 to 64 characters of ASCII"),
        ("private: {creator: A, vr: OB}, action: X, reason: r", "cannot be looked through"),
        ("keyword: ProtocolName, action: X, reason: r, inside: [Rows]", "(0028,0010) is no sequence"),
        ("keyword: ProtocolName, action: X, reason: r, inside: ['(0040,xxxx)']", "with hexadecimal digits"),
        ("keyword: ProtocolName, action: X, reason: r, only: {}", "only says of nothing"),
        ("keyword: ProtocolName, action: X, reason: r, only: {modality: mr}", "written as in Modality"),
        ("keyword: ProtocolName, action: X, reason: r, only: {modality: []}", "is an empty list"),
        ("keyword: ProtocolName, action: X, reason: r, only: {sop_class: Picture}", "there is no SOP Class 'Picture'"),
        ("keyword: ProtocolName, action: X, reason: r, only: {series: 1}", "unknown key 'series'"),
        ("keyword: ProtocolName, action: X, reason: r, when: []", "when is an empty list"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{keyword: Rows}]", "a condition has one of"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{is: 1}]", "a condition has one of"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{keyword: Rows, is: 1, contains: 1}]", "one of tag and"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{keyword: Rows, is: ''}]", "nothing to compare with"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{keyword: Rows, present: yes}]", "true or false"),
        ("keyword: ProtocolName, action: X, reason: r, when: [{keyword: Rows, is: 1, not: 1}]", "true or false"),
        ("keyword: PatientIdentityRemoved, action: X, reason: r", "written anew"),
        ("keyword: PatientName, action: C, reason: r", "cannot be cleaned"),
    ],
)
def test_a_wrong_rule_is_refused_with_line_number_and_mend(rule, sentence):
    (fault,) = faults_of(f"{HEAD}rules:\n  - {{{rule}}}\n")
    assert fault.startswith("line 4: rule 1: ")
    assert sentence in fault


# -- bad input --------------------------------------------------------------------------------------------------------

LAUGHS = "a: &a [lol]\n" + "".join(
    f"{chr(98 + number)}: &{chr(98 + number)} [{', '.join([f'*{chr(97 + number)}'] * 9)}]\n" for number in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "name: &x mine\nbase: *x\n",
        "&a [*a]",
        "name: mine\nbase: basic\nrules: &r\n  - *r\n",
        HEAD + "name: twice\n",
        HEAD + "rules: " + "[" * 5000 + "]" * 5000,
        HEAD + "rules: " + "{a: " * 50 + "b" + "}" * 50,
        HEAD + "? [a, b]\n: c\n",
        HEAD + "description: " + "x" * 1_000_001,
        HEAD + "vocabulary: [" + "a, " * 60_000 + "]",
        HEAD + "<<: {dates: keep}\n",
        "\0", "\x1b[31m", "\ufffe", "\ud800", HEAD + "description: \udfff\n", "\x89PNG\r\n\x1a\n\0\0", "\t", "%",
        "%YAML 3.0\n---\n" + HEAD, "!!python/object/apply:os.system [id]", "- - - -", "|", "'", "---\n" * 10, "...",
        HEAD + "---\n" * 5000, HEAD + "---\n" + "---\nname: b\nbase: basic\n" * 9,
    ],
    ids=lambda text: ascii(text[:24]),
)  # fmt: skip
def test_what_no_profile_is_is_refused_with_a_line_and_soon(text):
    start = monotonic()
    try:
        Profile.from_yaml(text)
    except ProfileError as error:
        for fault in str(error).splitlines():
            assert re.match(r"([a-z0-9-]+|the base, )?(, )?line \d+: \S", fault)
    else:
        assert text.startswith(HEAD + "---\n---"), "only empty documents are nothing"
    assert monotonic() - start < 10


def test_ten_thousand_rules_are_refused_and_so_are_those_of_the_base():
    (fault,) = faults_of(f"{HEAD}rules:\n" + "  - {action: X}\n" * 10_000)
    assert fault == "line 4: there are 10,000 rules; at most 2,000 are read"
    rules = "".join(f"  - {{tag: '(0018,{number:04X})', action: X, reason: r}}\n" for number in range(1, 10_001))
    (fault,) = faults_of(f"{HEAD}rules:\n{rules}")
    assert re.fullmatch(r"line \d+: the text is of more than 60,000 values; no profile is", fault)
    half = f"rules:\n{''.join(rules.splitlines(keepends=True)[:1001])}"
    (fault,) = faults_of(f"name: mine\nbase: site\n{half}---\nname: site\nbase: basic\n{half}")
    assert fault == "line 4: there are 2,002 rules, those of the base included; at most 2,000 are read"


def test_two_thousand_rules_are_read():
    rules = "".join(f"  - {{tag: '(0019,{number:04X})', action: X, reason: r}}\n" for number in range(2))
    assert all("this group" in fault for fault in faults_of(f"{HEAD}rules:\n{rules}"))
    rules = "".join(f"  - {{tag: '(0018,{number:04X})', action: X, reason: r}}\n" for number in range(1, 2001))
    assert len(Profile.from_yaml(f"{HEAD}rules:\n{rules}").rules) == 2000


def test_regular_expressions_have_a_number_and_a_size():
    condition = "{keyword: Manufacturer, matches: [" + ", ".join(f"'a{number}(b|c)+'" for number in range(201)) + "]}"
    rule = f"{HEAD}rules:\n  - {{keyword: ProtocolName, action: X, reason: r, when: [{condition}]}}\n"
    (fault,) = faults_of(rule)
    assert fault.startswith("line 4: rule 1: there are more than 200 regular expressions")
    (fault,) = faults_of(rule.replace("a0(b|c)+", "a" * 501))
    assert "at most 500 characters" in fault
    doubts = "\n".join(
        f"  - {{reason: r, when: {{keyword: Manufacturer, matches: '{number}'}}}}" for number in range(201)
    )
    assert "more than 200" in faults_of(f"{HEAD}hold:\n{doubts}\n")[0]


PIECES = st.sampled_from(
    [
        *("name", "base", "rules", "hold", "when", "only", "options", "sop_classes", "keep", "private", "creator"),
        *("basic", "mine", "keyword", "tag", "vr", "ProtocolName", "'(0018,1030)'", "action", "X", "K", "reason", "r"),
        *(": ", ":", "\n", "\n  ", "\n  - ", "- ", "{", "}", "[", "]", ", ", "'", '"', "&a ", "*a", "!!str ", "|", ">"),
        *("---\n", "...\n", "#", "%", "@", "`", "~", "null", "true", "1.5", "é", "\ud800", "\0", "\t", "\u2028", "🦴"),
        *("is", "matches", "(", "inside", "[]", "{}", "2024-02-29", "<<: ", "? ", "modality", "vocabulary", "age"),
    ]
)
LINES = st.lists(
    st.one_of(
        st.sampled_from(HEAD.splitlines(keepends=True)),
        st.lists(PIECES, max_size=8).map("".join),
        rule_texts().map(lambda rule: f"rules: [{{{rule}}}]\n"),
        st.text(max_size=10),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.one_of(LINES, LINES.map(HEAD.__add__)))
def test_no_text_makes_another_error_than_a_profile_error_with_lines(text):
    try:
        Profile.from_yaml(text)
    except ProfileError as error:
        for fault in str(error).splitlines():
            assert re.match(r"(([a-z0-9-]+|the base), )?line \d+: \S", fault), fault


# -- any profile ------------------------------------------------------------------------------------------------------

KINDS = {"CT": ct_instance, "MR": mr_instance, "US": us_instance, "SR": sr_instance}
RANKS = {"K": 3, "C": 2, "D": 1, "U": 1, "Z/D": 1, "X/D": 1, "X/Z/D": 1, "X/Z/U*": 1, "X": 0, "Z": 0, "X/Z": 0}
"""How much an action keeps."""


@settings(max_examples=8, deadline=None, derandomize=True)
@given(profiles(), st.sampled_from(sorted(KINDS)))
def test_any_profile_decides_on_every_attribute_there_is(made, kind):
    profile = made.profile
    types = iod_types(KINDS[kind]().SOPClassUID)
    for rules in (profile.always, profile.rules_of(tuple(True for rule in profile.rules if rule.is_conditional))):
        decisions = Decisions(profile, types, rules)
        for tag in (*vr_table(), *attribute_rows(), 0x00091001, 0x00090010, 0x60003000, 0x00120999, 0x00080000):
            for path in ((), (0x00400555,), (0x00400275, 0x00081032)):
                assert isinstance(decisions.decide(tag, path), Decision)


ATTRIBUTE_TAGS = frozenset(keyword_tags()[keyword] for keyword in ATTRIBUTES)
PLANTED = {
    tag: vr
    for tag, vr in sorted(vr_table().items())
    if vr in {*TEXT_VRS, "PN", "UI", "AE", "UR", "DA"}
    and tag >> 16 > 6
    and tag not in {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020}
    and (
        tag in ATTRIBUTE_TAGS
        or (vr in {"PN", "AE", "UR"} and tag not in attribute_rows())
        or tag % (13 if tag in attribute_rows() else 97) == 0
    )
}
"""What the rules that are made are about, and some of all other texts, names, UIDs and dates."""


def planted(number: int, vr: str) -> str:
    """Return a value that stands nowhere else."""
    word = "Zq" + "".join(chr(97 + int(digit)) for digit in f"{number:05}") + "xq"
    if vr == "DA":
        return f"{2003 + number // 336 % 12}{1 + number // 28 % 12:02}{1 + number % 28:02}"
    return f"1.2.826.0.1.3680043.10.1507.4711.{number}" if vr == "UI" else word


@cache
def planted_instance(kind: str) -> tuple[bytes, dict[tuple[tuple[int, ...], int], str]]:
    """Return an instance with a value of its own in each attribute, on the top level and in two sequences."""
    instance, values, number = KINDS[kind](), {}, 0
    inner, middle = Dataset(), Dataset()
    for level, path in ((instance, ()), (middle, (0x00400275,)), (inner, (0x00400275, 0x00400555))):
        for tag, vr in PLANTED.items():
            number += 1
            if path and number % 5:
                continue
            level.add_new(tag, vr, planted(number, vr))
            values[path, tag] = planted(number, vr)
    middle.AcquisitionContextSequence = [inner]
    instance.RequestAttributesSequence = [middle]
    instance.ProcedureCodeSequence = [Dataset()]
    for keyword, value in code("L1", "99LOCAL", "Head").items():
        setattr(instance.ProcedureCodeSequence[0], keyword, value)
    return write_part10(instance), values


def walked(elements: list[Element], path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Element]]:
    for element in elements:
        yield path, element
        for item in element.items or ():
            yield from walked(item, (*path, element.tag))


def kept_on_purpose(profile: Profile, tag: int, vr: str) -> bool:
    """Tell whether options keep an attribute, or the profile says that a rule loosens it."""
    row = attribute_rows().get(tag)
    by_option = profile.row_ruling(row) == (Action.KEEP, profile.row_ruling(row)[1]) if row else profile.keeps_vr(vr)
    return by_option or any(one.subject.startswith(tag_text(tag)) for one in loosened(profile))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(profiles(), st.sampled_from(sorted(KINDS)))
def test_any_profile_writes_no_planted_value_that_it_does_not_say_it_keeps(made, kind):
    profile = made.profile
    part10, values = planted_instance(kind)
    engine = Deidentifier(profile)
    source, target = io.BytesIO(part10), io.BytesIO()
    try:
        plan = engine.plan(engine.read(source), scope())
        engine.write(plan, clear_screen(plan), source, target)
    except DeidentificationError:
        return
    there = {(path, element.tag): element.value for path, element in walked(plan.elements) if element.items is None}
    written = target.getvalue()
    for (path, tag), value in values.items():
        vr = PLANTED[tag]
        if kept_on_purpose(profile, tag, vr):
            continue
        if vr == "DA":
            assert there.get((path, tag)) != value.encode(), (tag_text(tag), path)
        else:
            assert not re.search(re.escape(value).encode() + rb"(?![0-9.])", written), (tag_text(tag), path)


def lowered(draw: st.DrawFn, rule: str) -> str:
    """Return a rule with an action that keeps less."""
    action = re.search(r"action: ([^,]+)", rule)[1]
    if rule.startswith("private"):
        lower = ["X"]
    else:
        # A sequence whose UIDs are replaced keeps its items, as one that is cleaned does.
        rank = 2 if action == "U" and "Sequence" in rule.split(",", maxsplit=1)[0] else RANKS[action]
        lower = [code for code, other in RANKS.items() if other < rank and code not in {"U", "X/Z/U*", "C"}] or [action]
    return rule.replace(f"action: {action}", f"action: {draw(st.sampled_from(sorted(lower)))}")


KEPT = (
    "StationName", "DeviceSerialNumber", "ProtocolName", "ImageComments", "InstitutionName", "PatientAddress",
    "PatientComments", "PatientWeight", "ReferencedImageSequence", "AcquisitionContextSequence", "SeriesDescription",
    "RequestAttributesSequence", "SourceImageSequence", "PatientAge", "ProcedureCodeSequence",
)  # fmt: skip
"""What the instances below have and a rule can keep."""


@st.composite
def tightenings(draw: st.DrawFn) -> tuple[Made, Made]:
    """Return a profile, and one that differs by a rule that keeps less."""
    keeping = draw(st.lists(st.sampled_from(KEPT), min_size=4, unique=True))
    made = draw(profiles(most=6, last=tuple(f"keyword: {one}, action: K, reason: kept" for one in keeping)))
    rules = list(made.rules)
    if rules and draw(st.integers(0, 3)):
        place = draw(st.integers(1, len(rules)))
        rules[-place] = lowered(draw, rules[-place])
    else:
        one = draw(rule_texts())
        rules.append(re.sub(r"action: [^,]+", "action: X", one))
    return made, Made(head=made.head, rules=tuple(rules))


def kept(made: Made, part10: bytes) -> set[tuple[tuple[int, ...], int, bytes | str]] | None:
    """Return what is written as it stood: values, and words of texts, each with its place; None where it is held."""
    engine = Deidentifier(made.profile)
    received = engine.read(io.BytesIO(part10))
    try:
        plan = engine.plan(received, scope())
    except DeidentificationError:
        return None
    before: dict[tuple[tuple[int, ...], int], set[bytes | str]] = {}
    for place, value in facts(received.identified_elements):
        before.setdefault(place, set()).add(value)
    return {(*place, value) for place, value in facts(plan.elements) if value in before.get(place, ())}


def facts(elements: list[Element]) -> Iterator[tuple[tuple[tuple[int, ...], int], bytes | str]]:
    charset = charset_of(b"ISO_IR 100")
    for path, element in walked(elements):
        if element.items is not None or element.span is not None:
            continue
        place = path, element.tag
        if element.value.strip(b" \0"):
            yield place, element.value.rstrip(b" \0")
        if element.vr in TEXT_VRS:
            for word in words_of(charset.decode(element.value)):
                yield place, word


TEXTS = st.sampled_from(["AX T2 FLAIR", "Head Testperson", "Abdomen Nirgendwo", "Dr Example called", "Liver", "B30f"])


@st.composite
def instances(draw: st.DrawFn) -> bytes:
    item = {
        "SeriesDescription": draw(TEXTS), "DeviceSerialNumber": "SN-5", "ContentDate": "20230228",
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.1507.8", "PatientAddress": draw(TEXTS),
        "ProcedureCodeSequence": [code("81827009", "SCT", "Diameter"), code("L1", "99LOCAL", "Head of Testperson")],
    }  # fmt: skip
    sequences = ("AcquisitionContextSequence", "RequestAttributesSequence", "SourceImageSequence")
    chosen = draw(st.lists(st.sampled_from(sequences), unique=True))
    instance = KINDS[draw(st.sampled_from(sorted(KINDS)))](
        StationName=draw(TEXTS), DeviceSerialNumber="SN77", ProtocolName=draw(TEXTS), ImageComments=draw(TEXTS),
        InstitutionName=draw(TEXTS), PatientAddress=draw(TEXTS), PatientComments=draw(TEXTS), PatientWeight="71.5",
        PatientAge="045Y", AcquisitionDateTime="20240229101500", ReferencedImageSequence=[item],
        PerFrameFunctionalGroupsSequence=[{"FrameContentSequence": [item]}], **{one: [item] for one in chosen},
    )  # fmt: skip
    for group, creator in ((0x2001, "Philips Imaging DD 001"), (0x0009, "TESTPERSON 01")):
        block = instance.private_block(group, creator, create=True)
        block.add_new(0x01, "FL", 1.5)
        block.add_new(0x25, "SH", draw(TEXTS))
    return write_part10(instance)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=80, deadline=None, derandomize=True)
@given(tightenings(), instances())
def test_a_tightened_profile_never_keeps_more(pair, part10):
    loose, tight = pair
    try:
        assert tight.profile
    except ProfileError:
        return  # the rule that was added is there already, or cannot be meant
    before, after = kept(loose, part10), kept(tight, part10)
    if before is not None and after is not None:
        assert not after - before


@settings(max_examples=60, deadline=None, derandomize=True)
@given(profiles())
def test_every_rule_that_keeps_more_than_options_and_table_is_listed(made):
    profile = made.profile
    bare = Made(head=made.head, rules=()).profile
    listed = {one.place for one in loosened(profile)}
    for rule in profile.rules:
        if rule.tags is None or not rule.tags.is_exact:
            continue
        tag = rule.tags.value
        for path in {(), rule.inside or ()}:
            for sop_class in (STORAGE + "2", STORAGE + "4"):
                types = iod_types(sop_class)
                without = Decisions(bare, types).decide(tag, path)
                with_it = Decisions(profile, types, type(profile.always)([rule])).decide(tag, path)
                if with_it is Decision.KEEP and without not in {Decision.KEEP, Decision.BINARY, Decision.NUMBER}:
                    if without is Decision.RECURSE:
                        continue
                    assert rule.place in listed, (rule, without)
                if with_it is Decision.CLEAN and without in {Decision.GONE, Decision.REMOVE, Decision.EMPTY}:
                    assert rule.place in listed, (rule, without)


def test_shipped_profiles_loosen_what_they_say():
    assert {one.subject for one in loosened(Profile.from_yaml(shipped_text("teaching")))} == {
        "(0008,1140) ReferencedImageSequence",
        "(0008,2112) SourceImageSequence",
    }
    assert loosened(Profile.from_yaml(shipped_text("strict"))) == ()


def test_a_class_that_nobody_can_look_into_cannot_be_kept():
    (fault,) = faults_of(f"{HEAD}sop_classes:\n  keep: [Encapsulated PDF Storage]\n")
    assert fault.endswith("cannot be kept: nobody can look into it; it can be: drop, hold")
