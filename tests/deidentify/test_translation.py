"""What is written as YAML is read as it was meant, whatever stood in the file of another program."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deidentify.dataset import tag_text
from deidentify.profile import Profile
from deidentify.translation import one_line, yaml_comment, yaml_profile, yaml_rule, yaml_value


@pytest.mark.parametrize(
    "text", ["yes", "no", "Null", "~", "1e3", "12:30:00", "a: b", "x # y", '"q"', "a\u2028b", "\x85", ""]
)
def test_a_text_is_read_as_the_same_text(text):
    assert yaml.safe_load(yaml_value(text)) == text


@given(st.text(max_size=200))
def test_every_text_stays_on_one_line_and_is_read_as_the_same(text):
    assert len(yaml_value(text).splitlines()) == 1
    assert yaml.safe_load("a: " + yaml_value([text, {"k": text}])) == {"a": [text, {"k": text}]}


@given(st.text(max_size=1500))
def test_a_comment_is_one_line_and_says_nothing_to_a_program(text):
    assert len(yaml_comment(text).splitlines()) == 1
    assert yaml.safe_load(yaml_comment(text)) is None


def test_values_of_other_kinds_are_read_as_such():
    assert yaml.safe_load(yaml_value({"a": [True, False, 3], "b": ["x", "yes"]})) == {
        "a": [True, False, 3],
        "b": ["x", "yes"],
    }


def test_a_long_line_is_shortened():
    assert one_line("a\n\tb  c") == "a b c"
    assert one_line("x" * 300) == "x" * 199 + "…"


def test_a_rule_has_only_the_keys_that_it_needs():
    plain = yaml.safe_load(yaml_rule({"tag": tag_text(0x0008103E)}, "X", "Why."))
    assert plain == [{"tag": "(0008,103E)", "action": "X", "reason": "Why."}]
    full = yaml_rule(
        {"keyword": "DeviceSerialNumber"},
        "K",
        "Why.",
        inside=["(0040,0275)"],
        only={"modality": ["MR"]},
        when=[{"keyword": "Manufacturer", "contains": "no", "not": True}],
    )
    assert yaml.safe_load(full)[0] == {
        "keyword": "DeviceSerialNumber",
        "action": "K",
        "inside": ["(0040,0275)"],
        "only": {"modality": ["MR"]},
        "when": [{"keyword": "Manufacturer", "contains": "no", "not": True}],
        "reason": "Why.",
    }


def test_a_profile_is_one():
    rules = [yaml_comment("first", indent=2), yaml_rule({"tag": "(0008,103E)"}, "X/Z/D", "Why: because.")]
    found = Profile.from_yaml(yaml_profile("mine", "Says: this.", {"dates": "shift"}, rules, ["Read\nme."]))
    assert (found.name, found.dates, found.code(0x0008103E)) == ("mine", "shift", "X/Z/D")
    assert Profile.from_yaml(yaml_profile("mine", "", {}, [])).rules == ()
