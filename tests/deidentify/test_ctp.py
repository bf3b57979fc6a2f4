"""What each function, switch and form of a CTP script becomes; docs/ctp-scripts.md says the same in words."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deidentify.actions import ALL_CODES
from deidentify.ctp import translate_script
from deidentify.ctp_calls import _COPYING, _SIMPLE
from deidentify.errors import ProfileError
from deidentify.profile import Profile
from deidentify.translation import Outcome, Translation

HOSPITAL = Path(__file__).parents[1] / "data" / "ctp" / "hospital.script"
KEYS = {"name", "description", "base", "private", "dates", "text", "pixels", "rules"}
CONDITION_KEYS = {"keyword", "tag", "is", "contains", "matches", "present", "not"}


def script(*lines: str) -> str:
    return "\n".join(("<script>", *lines, "</script>"))


def element(tag: str, text: str, *, name: str = "", enabled: str = "T") -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<e en="{enabled}" t="{tag}" n="{name}">{escaped}</e>'


def profile_of(translation: Translation) -> dict:
    """Return the profile as the language reads it, after checking what the language asks of it."""
    text = translation.profile_yaml
    found = yaml.safe_load(text)
    assert set(found) <= KEYS
    assert {"name", "base"} <= set(found)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", found["name"])
    rules = found.get("rules", [])
    assert len(rules) <= 2000
    for rule in rules:
        assert set(rule) <= {"tag", "private", "action", "reason", "when"}
        assert ("tag" in rule) != ("private" in rule)
        assert rule["action"] in ALL_CODES
        assert rule["reason"]
        for condition in rule.get("when", ()):
            assert set(condition) <= CONDITION_KEYS
            assert ("keyword" in condition) != ("tag" in condition)
            assert len({"is", "contains", "matches", "present"} & set(condition)) == 1
    if all(set(rule) == {"tag", "action", "reason"} for rule in rules):
        Profile.from_yaml(text)
    return found


def one(text: str, tag: str = "0008103e", *others: str) -> tuple[Outcome, str, list[dict]]:
    """Return what one instruction became, and the rules; Series Description where no tag is given."""
    translation = translate_script(script(element(tag, text), *others))
    line = translation.lines[0]
    return line.outcome, line.became, profile_of(translation).get("rules", [])


def action(text: str, tag: str = "0008103e", *others: str) -> tuple[Outcome, list[str]]:
    outcome, _, rules = one(text, tag, *others)
    return outcome, [rule["action"] for rule in rules]


# Functions


def test_keep_becomes_a_rule_that_says_what_it_loosens():
    outcome, became, rules = one("@keep()", "00080080")
    assert outcome is Outcome.RULE
    assert "where the Basic Profile removes it" in became
    assert "retain-institution-identity" in became
    assert [(rule["tag"], rule["action"]) for rule in rules] == [("(0008,0080)", "K")]


@pytest.mark.parametrize("tag", ["00180050", "00280030", "00080060", "00080005", "00080016", "00081150", "00081032"])
def test_keep_needs_no_rule_where_the_basic_profile_leaves_an_attribute(tag):
    outcome, _, rules = one("@keep()", tag)
    assert (outcome, rules) == (Outcome.SAME, [])


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ("00100010", "names the patient"),
        ("00100020", "names the patient"),
        ("00101000", "number of the patient"),
        ("00080090", "names a person"),
        ("0020000d", "retain-uids"),
        ("00200052", "retain-uids"),
        ("00080020", "'dates: keep'"),
        ("00100030", "'dates: keep'"),
        ("0040a730", "clean-structured-content"),
        ("60003000", "goes whatever"),
        ("50003000", "goes whatever"),
        ("04000561", "goes whatever"),
        ("00420011", "nobody can read"),
        ("00190010", "creator"),
        ("00080003", "does not know it"),
    ],
)
def test_keep_is_refused_where_the_language_refuses_it(tag, hint):
    outcome, became, rules = one("@keep()", tag)
    assert (outcome, rules) == (Outcome.NOT_TRANSLATED, [])
    assert hint in became


def test_a_time_of_day_is_kept_by_the_policy_that_shifts_dates():
    shifting = element("00080020", "@incrementdate(this,-5)")
    assert action("@keep()", "00080030", shifting) == (Outcome.POLICY, [])
    assert action("@keep()", "00080030") == (Outcome.RULE, ["K"])


def test_remove_becomes_x_where_the_basic_profile_would_leave_something():
    assert action("@remove()") == (Outcome.RULE, ["X"])
    assert action("@remove()", "00180050") == (Outcome.RULE, ["X"])
    assert action("@remove()", "00101040") == (Outcome.SAME, [])
    assert action("@remove()", "00080080") == (Outcome.SAME, [])


def test_a_uid_is_removed_only_where_the_object_can_do_without():
    assert action("@remove()", "00200052") == (Outcome.RULE, ["X/Z/U*"])


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000d", "0020000e", "00280010", "7fe00010", "00080005"])
def test_what_an_object_is_read_by_is_not_removed(tag):
    assert action("@remove()", tag) == (Outcome.NOT_TRANSLATED, [])


def test_empty_and_blank_become_z():
    assert action("@empty()") == (Outcome.RULE, ["Z"])
    assert action("@blank(12)") == (Outcome.RULE, ["Z"])
    assert action("") == (Outcome.RULE, ["Z"])
    assert action("@empty()", "00080050") == (Outcome.SAME, [])
    assert "without blanks" in one("@blank(12)")[1]


def test_a_literal_text_is_not_written():
    outcome, became, rules = one("Anonymous")
    assert (outcome, [rule["action"] for rule in rules]) == (Outcome.RULE, ["Z/D"])
    assert "No text and no number is written" in became
    assert action("Anonymous", "00080080") == (Outcome.SAME, [])
    assert action("Anonymous", "00100010") == (Outcome.SAME, [])


def test_always_adds_no_attribute():
    outcome, became, rules = one("@always()@remove()")
    assert (outcome, [rule["action"] for rule in rules]) == (Outcome.RULE, ["X"])
    assert "No attribute is added" in became
    assert action("@always()YES", "00120062") == (Outcome.SAME, [])


def test_require_keeps_and_adds_nothing():
    outcome, became, rules = one("@require(StudyDescription,none)")
    assert (outcome, [rule["action"] for rule in rules]) == (Outcome.RULE, ["K"])
    assert "No attribute is added" in became


def test_append_is_not_translated():
    assert action("@append(){CTP}") == (Outcome.NOT_TRANSLATED, [])
    assert action("@append(){CTP: @date():@time()}", "00120063") == (Outcome.SAME, [])


def test_param_is_resolved_and_its_text_not_written():
    known = one("@param(@SITENAME)", "0008103e", '<p t="SITENAME">General</p>')
    assert [rule["action"] for rule in known[2]] == ["Z/D"]
    assert "not set" not in known[1]
    assert "The parameter SITENAME is not set." in one("@param(@SITENAME)")[1]
    assert "The parameter SITENAME is not set." in one("@param($SITENAME)")[1]


def test_hashuid_is_what_the_basic_profile_does_with_uids():
    assert action("@hashuid(@UIDROOT,this)", "00080018") == (Outcome.SAME, [])
    assert action("@hashuid(@UIDROOT,this)", "00081155") == (Outcome.SAME, [])
    assert action("@hashuid(@UIDROOT,this)", "00081150") == (Outcome.NOT_TRANSLATED, [])
    assert action("@hashuid(@UIDROOT,this)", "0008103e") == (Outcome.RULE, ["Z/D"])


@pytest.mark.parametrize(
    "text", ["@hashptid(@SITEID,this,10)", "@hashname(this,6,2)", "@hash(this)", "X-@integer(this,p,4)"]
)
def test_patients_get_the_pseudonym_of_the_case(text):
    assert action(text, "00100020") == (Outcome.SAME, [])
    assert action(text, "00100010") == (Outcome.SAME, [])
    assert action(text) == (Outcome.RULE, ["Z/D"])


@pytest.mark.parametrize("text", ["@incrementdate(this,@DATEINC)", "@hashdate(this,PatientID)"])
def test_moved_dates_are_the_policy_that_shifts(text):
    translation = translate_script(
        script(element("00080020", text), element("00100030", text), element("0008103e", text))
    )
    assert profile_of(translation)["dates"] == "shift"
    outcomes = [line.outcome for line in translation.lines]
    assert outcomes == [Outcome.POLICY, Outcome.SAME, Outcome.NOT_TRANSLATED]
    assert "the script's is not used" in translation.lines[0].became


def test_dates_are_removed_where_no_line_moves_one():
    assert profile_of(translate_script(script()))["dates"] == "remove"
    disabled = element("00080020", "@incrementdate(this,3)", enabled="F")
    assert profile_of(translate_script(script(disabled)))["dates"] == "remove"


def test_a_date_that_is_removed_beside_shifted_ones_is_removed():
    shifting = element("00080020", "@incrementdate(this,-5)")
    assert action("@remove()", "00080021", shifting) == (Outcome.RULE, ["X"])
    assert action("@remove()", "00080021") == (Outcome.SAME, [])


@pytest.mark.parametrize("text", ["@modifydate(this,*,*,1)", "@dateinterval(StudyDate,basedate,PatientID)"])
def test_parts_of_dates_and_intervals_are_not_translated(text):
    assert action(text, "00080020") == (Outcome.NOT_TRANSLATED, [])
    assert action(text) == (Outcome.RULE, ["Z/D"])


@pytest.mark.parametrize("text", ["@date()", "@date(-)", "@time(:)"])
def test_now_is_not_written(text):
    outcome, became, rules = one(text)
    assert (outcome, [rule["action"] for rule in rules]) == (Outcome.RULE, ["Z/D"])
    assert "is not written" in became


@pytest.mark.parametrize(
    "text",
    [
        "@initials(this)",
        "@integer(this,ptid,6)",
        "@lookup(this,ptid)",
        "@lookup(this,ptid,keep)",
        "@encrypt(this,@KEY)",
        "@decrypt(this,@KEY)",
        "@truncate(this,4)",
        "@pathelement(this,0)",
        "@round(this,5)",
        '@contents(this,"[A-Z]+")',
        '@contents(this,"[A-Z]+","x")',
        "@contents(StudyDescription)",
        "@value(PatientName)",
        "@uppercase(PatientName)",
    ],
)
def test_what_is_computed_from_values_is_not_written(text):
    outcome, became, rules = one(text)
    assert (outcome, [rule["action"] for rule in rules]) == (Outcome.RULE, ["Z/D"])
    assert "No text and no number is written" in became


@pytest.mark.parametrize("text", ["@uppercase(this)", "@lowercase(this)", "@value(this,none)", "@contents(this)"])
def test_what_hands_on_an_attributes_own_value_keeps_it(text):
    assert action(text) == (Outcome.RULE, ["K"])
    assert action(text, "00100010") == (Outcome.NOT_TRANSLATED, [])


def test_rounded_ages_name_the_policy():
    assert "'age: band'" in one("@round(this,10)", "00101010")[1]


@pytest.mark.parametrize(
    "text", ["@quarantine()", "@skip()", "@call(plugin,this)", "@scramble(this)", "@hashPtID(this)"]
)
def test_what_no_rule_can_do_is_left_to_the_basic_profile(text):
    outcome, became, rules = one(text)
    assert (outcome, rules) == (Outcome.NOT_TRANSLATED, [])
    assert "The Basic Profile" in became


def test_process_keeps_a_sequence_and_treats_what_is_in_it():
    assert action("@process()", "00081140") == (Outcome.RULE, ["K"])
    assert action("@process()", "00081032") == (Outcome.SAME, [])
    assert action("@process()", "0040a730") == (Outcome.NOT_TRANSLATED, [])
    assert action("@process()") == (Outcome.NOT_TRANSLATED, [])


# Conditions


def whens(text: str, tag: str = "0008103e", *others: str) -> list[tuple[str, dict]]:
    outcome, became, rules = one(text, tag, *others)
    assert outcome is Outcome.RULE, became
    return [(rule["action"], rule["when"][0]) for rule in rules]


def test_if_becomes_a_rule_for_each_case():
    assert whens('@if(Manufacturer,contains,"SIEMENS"){@keep()}{@remove()}') == [
        ("K", {"keyword": "Manufacturer", "contains": "SIEMENS"}),
        ("X", {"keyword": "Manufacturer", "contains": "SIEMENS", "not": True}),
    ]


def test_if_writes_no_rule_for_the_case_that_the_basic_profile_has_anyway():
    assert whens('@if(Modality,equals,"MR"){@keep()}{@remove()}', "00181000") == [
        ("K", {"keyword": "Modality", "is": "MR"})
    ]


@pytest.mark.parametrize(
    ("condition", "holds", "fails"),
    [
        ("Modality,exists", {"present": True}, {"present": False}),
        ("Modality,isblank", {"present": False}, {"present": True}),
        ('Modality,equals,"MR"', {"is": "MR"}, {"is": "MR", "not": True}),
        ("Modality,contains,MR", {"contains": "MR"}, {"contains": "MR", "not": True}),
        (r'Modality,matches,"M\d|C,T"', {"matches": r"^(?-i:M\d|C,T)$"}, {"matches": r"^(?-i:M\d|C,T)$", "not": True}),
        (r'Modality,matches,"(?i)m\\d"', {"matches": r"^(?i:m\d)$"}, {"matches": r"^(?i:m\d)$", "not": True}),
        ("[0008,0060],equals,@M", {"is": "yes: no"}, {"is": "yes: no", "not": True}),
        ("root:00080060,equals,@M", {"is": "yes: no"}, {"is": "yes: no", "not": True}),
    ],
)
def test_each_condition_has_its_words(condition, holds, fails):
    found = whens(f"@if({condition}){{@remove()}}{{@empty()}}", "0008103e", '<p t="M">yes: no</p>')
    assert found == [("X", {"keyword": "Modality", **holds}), ("Z", {"keyword": "Modality", **fails})]


def test_a_condition_may_use_the_scripts_own_names_and_this():
    named = element("00081070", "@remove()", name="OperatorName")
    assert whens("@if(OperatorName,exists){@remove()}{@empty()}", "0008103e", named)[0][1]["keyword"] == "OperatorsName"
    assert whens("@if(this,exists){@remove()}{@empty()}")[0][1]["keyword"] == "SeriesDescription"


@pytest.mark.parametrize(
    "condition",
    [
        "SeriesNumber,greaterthan,5",
        "Nothing,exists",
        "00190010,exists",
        "RequestAttributesSequence::AccessionNumber,exists",
        'Modality,matches,"(?=M)R"',
        r'Modality,matches,"(M)\1"',
        'Modality,matches,"["',
        f'Modality,matches,"{"a" * 300}"',
        "Modality,equals",
        "Modality",
        "",
    ],
)
def test_a_condition_that_cannot_be_said_gives_the_stricter_rule_in_all_cases(condition):
    outcome, became, rules = one(f"@if({condition}){{@keep()}}{{@remove()}}")
    assert outcome is Outcome.RULE
    assert "the stricter of the two, in all cases" in became
    assert [(rule["action"], "when" in rule) for rule in rules] == [("X", False)]


def test_a_condition_that_cannot_be_said_never_keeps():
    outcome, _, rules = one("@if(SeriesNumber,greaterthan,5){@keep()}{@uppercase(this)}")
    assert (outcome, rules) == (Outcome.NOT_TRANSLATED, [])


def test_quarantine_in_a_clause_is_told_and_the_other_clause_holds_only_for_its_case():
    outcome, became, rules = one('@if(this,contains,"SCREEN"){@quarantine()}{@remove()}')
    assert outcome is Outcome.NOT_TRANSLATED
    assert "sop_classes: hold:" in became
    assert [(rule["action"], rule["when"][0].get("not")) for rule in rules] == [("X", True)]


def test_an_if_inside_an_if_is_none():
    outcome, became, _ = one("@if(Modality,exists){@if(this,exists){@keep()}{@keep()}}{@remove()}")
    assert outcome is Outcome.NOT_TRANSLATED
    assert "inside another" in became


def test_select_gives_the_stricter_rule_for_both():
    assert action("@select(){@keep()}{@remove()}") == (Outcome.RULE, ["X"])
    assert action("@select(){@empty()}{@remove()}") == (Outcome.RULE, ["X"])
    assert action("@select(){@keep()}{@keep()}") == (Outcome.NOT_TRANSLATED, [])


# Switches


def line_of(translation: Translation, number: int) -> tuple[Outcome, str]:
    return next((line.outcome, line.became) for line in translation.lines if line.number == number)


def test_private_groups_are_removed_by_the_policy():
    translation = translate_script(script('<r en="T" t="privategroups">Remove</r>'))
    assert translation.lines[0].outcome is Outcome.POLICY
    assert profile_of(translation)["private"] == "remove"
    assert profile_of(translate_script(script()))["private"] == "remove"


def test_safe_private_elements_are_the_policy_of_their_own():
    translation = translate_script(script('<k en="T" t="safeprivateelements"/>', '<r en="T" t="privategroups"/>'))
    assert [line.outcome for line in translation.lines] == [Outcome.POLICY, Outcome.POLICY]
    assert profile_of(translation)["private"] == "safe"


def test_a_private_element_is_kept_by_creator_only_and_beside_safe_ones():
    safe = '<k en="T" t="safeprivateelements"/>'
    rules = one("@keep()", "0019[SIEMENS MR HEADER]0c", safe)[2]
    assert rules[0]["private"] == {"creator": "SIEMENS MR HEADER", "element": "(0019,xx0C)"}
    assert action("@keep()", "0019[SIEMENS MR HEADER]0c", safe) == (Outcome.RULE, ["K"])
    assert action("@keep()", "0019[SIEMENS MR HEADER]0c") == (Outcome.NOT_TRANSLATED, [])
    assert "'private: safe'" in one("@keep()", "0019[SIEMENS MR HEADER]0c")[1]
    assert action("@remove()", "0019[SIEMENS MR HEADER]0c") == (Outcome.SAME, [])
    assert action("@remove()", "19,[SIEMENS MR HEADER]0c", safe) == (Outcome.RULE, ["X"])
    assert action("@remove()", "0019100c", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("@keep()", "001900[SIEMENS MR HEADER]", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("@keep()", "0018[SIEMENS MR HEADER]0c", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("@keep()", "0019[Größe]0c", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("@keep()", f"0019[{'A' * 65}]0c", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("@if(this,exists){@keep()}{@remove()}", "0019[A]0c", safe) == (Outcome.NOT_TRANSLATED, [])
    assert action("CTP", "00130010") == (Outcome.SAME, [])


def test_curves_and_overlays_go_anyway():
    translation = translate_script(
        script('<r en="T" t="curves"/>', '<r en="T" t="overlays"/>', '<r en="T" t="pixels"/>')
    )
    assert [line.outcome for line in translation.lines] == [Outcome.SAME, Outcome.SAME, Outcome.NOT_TRANSLATED]


def test_unspecified_elements_lose_the_text_that_the_basic_profile_would_leave():
    keep = element("00181250", "@keep()")
    switch = '<r en="T" t="unspecifiedelements"/>'
    translation = translate_script(script(keep, switch))
    profile = profile_of(translation)
    by_tag = {rule["tag"]: rule["action"] for rule in profile["rules"]}
    assert profile["text"] == "remove"
    assert by_tag["(0018,1250)"] == "K"
    assert by_tag["(0008,0070)"] == "X"
    assert "(0028,1055)" not in by_tag
    assert "(0008,0100)" not in by_tag
    assert line_of(translation, 3)[0] is Outcome.RULE
    assert "Numbers" in line_of(translation, 3)[1]


def test_kept_groups_are_left_out_of_what_nobody_named():
    switch = '<r en="T" t="unspecifiedelements"/>'
    without = {rule["tag"] for rule in profile_of(translate_script(script(switch)))["rules"]}
    kept = {rule["tag"] for rule in profile_of(translate_script(script(switch, '<k en="T" t="0018"/>')))["rules"]}
    assert without - kept == {tag for tag in without if tag.startswith("(0018,")}
    assert without - kept


def test_kept_groups_keep_nothing_by_themselves():
    lines = ('<k en="T" t="0018"/>', '<k en="T" t="0019"/>', '<k en="T" t="6000"/>', '<k en="T" t="all"/>')
    translation = translate_script(script(*lines))
    assert [line.outcome for line in translation.lines] == [Outcome.SAME, *[Outcome.NOT_TRANSLATED] * 3]
    assert "rules" not in profile_of(translation)


def test_what_is_switched_off_does_nothing():
    lines = (
        element("0008103e", "@keep()", enabled="F"),
        '<k en="F" t="safeprivateelements"/>',
        '<r en="F" t="unspecifiedelements"/>',
        '<r t="privategroups"/>',
        '<e t="0008103e">@keep()</e>',
    )
    translation = translate_script(script(*lines))
    assert {line.outcome for line in translation.lines} == {Outcome.DISABLED}
    assert translate_script(script()).profile_yaml == translation.profile_yaml


def test_of_two_lines_for_one_attribute_the_last_counts():
    translation = translate_script(script(element("0008103e", "@keep()"), element("0008,103E", "@remove()")))
    assert [line.outcome for line in translation.lines] == [Outcome.DISABLED, Outcome.RULE]
    assert "Line 3" in translation.lines[0].became
    assert [rule["action"] for rule in profile_of(translation)["rules"]] == ["X"]
    private = [element("0019[A]0c", "@keep()"), element("19[A]0C", "@remove()"), '<k en="T" t="safeprivateelements"/>']
    translation = translate_script(script(*private))
    assert [line.outcome for line in translation.lines] == [Outcome.DISABLED, Outcome.RULE, Outcome.POLICY]


def test_parameters_are_listed_with_the_lines_that_use_them():
    lines = ['<p t="A">1</p>', '<p t="B">2</p>', *[element(f"0008103{n}", "@hash(this,@A)") for n in range(7)]]
    translation = translate_script(script(*lines))
    assert "used on lines 4, 5, 6, 7, 8 …" in translation.lines[0].became
    assert "no enabled line" in translation.lines[1].became


def test_the_profile_is_named_after_the_script():
    assert profile_of(translate_script(script('<p t="PROFILENAME">S142 - Keep: Ünï</p>')))["name"] == "s142-keep-n"
    assert profile_of(translate_script(script('<p t="PROFILENAME">???</p>')))["name"] == "ctp-script"


# Forms


def test_properties_say_the_same_as_xml():
    text = "\n".join(  # noqa: FLY002 - one line of the script a line
        (
            "# a comment",
            "param.SITEID=417",
            "set.[0010,0010]PatientName=@hashname(this,6)",
            "#set.[0010,0040]PatientSex=@keep()",
            "set.[0008,103e]SeriesDescription = @if(Manufacturer,contains,\\",
            '    "SIEMENS"){@keep()}{@remove()}',
            r'set.[0008,1010]StationName=@if(this,matches,"MR\\d"){@keep()}{@remove()}',
            "set.[0019,[SIEMENS MR HEADER]0c]BValue=@keep()",
            "keep.group18=",
            "keep.safeprivateelements=",
            "remove.privategroups=",
            "#remove.overlays=",
            "something else",
            "",
        )
    )
    translation = translate_script(text)
    assert [(line.number, line.outcome.value) for line in translation.lines] == [
        (1, "disabled"),
        (2, "disabled"),
        (3, "same"),
        (4, "disabled"),
        (5, "rule"),
        (7, "rule"),
        (8, "rule"),
        (9, "same"),
        (10, "policy"),
        (11, "policy"),
        (12, "disabled"),
        (13, "not-translated"),
    ]
    rules = profile_of(translation)["rules"]
    assert [rule["action"] for rule in rules] == ["K", "X", "K", "K"]
    assert rules[2]["when"] == [{"keyword": "StationName", "matches": r"^(?-i:MR\d)$"}]


def test_every_line_of_a_hospitals_script_is_accounted_for():
    text = HOSPITAL.read_text()
    translation = translate_script(text)
    begun = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip().startswith("<") and "script>" not in line and not line.strip().startswith("</")
    ]
    assert [line.number for line in translation.lines] == begun
    assert len(begun) > 80
    assert all(line.became and line.source for line in translation.lines)
    assert {line.outcome for line in translation.lines} == set(Outcome)
    rules = profile_of(translation)["rules"]
    for line in translation.lines:
        has_rule = any(rule["reason"].startswith(f"Line {line.number} ") for rule in rules)
        is_switch = "unspecifiedelements" in line.source
        assert has_rule == (line.outcome is Outcome.RULE and not is_switch) or line.outcome is Outcome.NOT_TRANSLATED


def test_what_was_not_translated_stands_at_the_top_of_the_profile():
    translation = translate_script(HOSPITAL.read_text())
    left = [line.number for line in translation.lines if line.outcome is Outcome.NOT_TRANSLATED]
    assert left
    found = re.findall(r"^# line (\d+), not translated: ", translation.profile_yaml, re.MULTILINE)
    assert [int(number) for number in found] == left


def test_no_rule_keeps_what_no_enabled_keeping_line_names():
    translation = translate_script(HOSPITAL.read_text())
    keeping = {
        line.number for line in translation.lines if re.search(r"@(keep|require|process|uppercase)\(", line.source)
    }
    for rule in profile_of(translation)["rules"]:
        if rule["action"] == "K":
            assert int(rule["reason"].split()[1]) in keeping


# Bad input


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the script is empty"),
        (" \n\t\n", "line 1: the script is empty"),
        ("<script>\n<e en='T'", "line 2: this is not XML"),
        ("<script>\n\n<e>\n</script>", "line 4: this is not XML"),
        ("<html><e/></html>", "line 1: the first element of a CTP script is <script>"),
        ("<script>&nbsp;</script>", "this is not XML"),
        ("<script/><script/>", "this is not XML"),
        ("\n<!DOCTYPE script>\n<script/>", "line 2: a script has no document type"),
        ('<!DOCTYPE s [<!ENTITY a "b">]><script>&a;</script>', "no document type"),
        ('<!DOCTYPE s SYSTEM "file:///etc/passwd"><script/>', "no document type"),
        ("<script>" + "<e/>" * 300_000 + "</script>", "more than 1,000,000 bytes"),
        ("<script>" + "<a>" * 50_000 + "</a>" * 50_000 + "</script>", "more than 20,000 instructions"),
        ("<script>\ud800</script>\0", "this is not XML"),
    ],
)
def test_what_is_no_script_is_refused_with_its_line(text, sentence):
    with pytest.raises(ProfileError, match=re.escape(sentence)):
        translate_script(text)


def test_too_many_rules_are_refused():
    lines = [element(f"{group:04x}[A]{n:02x}", "@keep()") for group in range(9, 29, 2) for n in range(250)]
    with pytest.raises(ProfileError, match="more than 2,000 rules"):
        translate_script(script('<k en="T" t="safeprivateelements"/>', *lines))


def test_a_declaration_a_mark_and_lines_before_it_do_no_harm():
    text = '\ufeff\n\n<?xml version="1.0" encoding="ISO-8859-1"?>\n<script>\n<p t="PROFILENAME">Größe</p></script>'
    assert [(line.number, line.source) for line in translate_script(text).lines] == [
        (5, '<p t="PROFILENAME">Größe</p>')
    ]


def test_what_ctp_does_not_read_is_told():
    lines = (
        "stray",
        "<x>1</x>",
        "<e en='T' t='0008103e'>@remove()<b>bold</b></e>",
        "<?php echo ?>",
        "<e en='T' t='me'/>",
    )
    found = [(line.number, line.outcome) for line in translate_script(script(*lines)).lines]
    assert found.count((2, Outcome.NOT_TRANSLATED)) == 1
    assert (3, Outcome.NOT_TRANSLATED) in found
    assert (4, Outcome.NOT_TRANSLATED) in found
    assert (5, Outcome.NOT_TRANSLATED) in found
    assert (6, Outcome.NOT_TRANSLATED) in found


@pytest.mark.parametrize(
    "text",
    [
        "@keep(",
        "@keep",
        "me@home",
        "@if(this,exists){@keep()}",
        "@if(this,exists)@keep()",
        "@",
        "@()",
        "@if(this,(exists",
    ],
)
def test_a_call_without_an_end_is_not_translated(text):
    outcome, became, rules = one(text)
    assert (outcome, rules) == (Outcome.NOT_TRANSLATED, [])
    assert "no end" in became


def test_an_escaped_sign_is_text():
    assert action(r"me\@home") == (Outcome.RULE, ["Z/D"])


@pytest.mark.parametrize(
    "text", ["@if(" * 20_000, "@if(a,b){" * 20_000, '@keep("' * 20_000, "@keep()" * 20_000, "\\" * 9_999]
)
def test_long_calls_take_no_long_time(text):
    assert one(text)[0] in {Outcome.NOT_TRANSLATED, Outcome.RULE}


def test_text_of_a_script_cannot_become_yaml():
    evil = "x&#10;rules: [{tag: '(0010,0010)'}]&#10;# \u2028 &#x85; \" ' : {"
    lines = (
        f'<p t="PROFILENAME&#10;options: [retain-uids]">{evil}</p>',
        f'<e en="T" t="0008103e" n="{evil.replace(chr(34), "")}">{evil}</e>',
        f'<e en="T" t="0019[{evil.replace(chr(34), "").replace("[", "").replace("]", "")}]0c">@keep()</e>',
        "<e en='T' t='0019[a: &quot; # &#123; b]0c'>@keep()</e>",
        "<k en='T' t='safeprivateelements'/>",
        f"<!-- {evil} -->",
        f'<x y="1">{evil}</x>',
    )
    profile = profile_of(translate_script(script(*lines)))
    assert {rule["action"] for rule in profile["rules"]} == {"Z/D", "K"}


ELEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["0008103e", "00080020", "00100010", "0020000d", "00081140", "0019100c", "00181000", "zz"]),
        st.one_of(
            st.sampled_from(["@keep()", "@remove()", "@if(this,exists){@keep()}{@remove()}", "@incrementdate(this,1)"]),
            st.text(alphabet='@(){}[],"\\ ifkeprmov.x\u00e9\u2028', max_size=30),
        ),
        st.sampled_from("TF"),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(ELEMENTS)
def test_whatever_stands_there_gives_a_profile_and_a_line_for_each(elements):
    lines = [element(tag, text, enabled=enabled) for tag, text, enabled in elements]
    translation = translate_script(script(*lines))
    profile_of(translation)
    assert [line.number for line in translation.lines] == list(range(2, len(lines) + 2))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_whatever_a_file_holds_gives_a_profile_or_a_sentence(text):
    try:
        translation = translate_script(text)
    except ProfileError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - most texts are refused, not all
    else:
        profile_of(translation)


def test_the_page_explains_every_function_and_every_outcome():
    page = (Path(__file__).parents[2] / "docs" / "ctp-scripts.md").read_text()
    for name in (*_SIMPLE, *_COPYING, "if", "select", "always"):
        assert f"@{name}(" in page, name
    for outcome in Outcome:
        assert f"| `{outcome}` |" in page
    for condition in ("exists", "isblank", "equals", "contains", "matches", "greaterthan"):
        assert f"`{condition}" in page
