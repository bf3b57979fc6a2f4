"""The published schema agrees with the reader, as far as a schema can know."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from deidentify.errors import ProfileError
from deidentify.profile import Profile
from deidentify.profile_schema import schema
from deidentify.profile_text import KEYS
from tests.deidentify.made_profiles import profiles
from tests.deidentify.support import PROFILES

PUBLISHED = Path(__file__).parents[2] / "docs" / "profile.schema.json"
VALIDATOR = Draft202012Validator(schema())
HEAD = "name: mine\nbase: basic\n"


def is_valid(text):
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_it_is_a_schema_and_the_published_one():
    Draft202012Validator.check_schema(schema())
    assert list(schema()["properties"]) == list(KEYS)
    assert PUBLISHED.read_text(encoding="utf-8") == json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", (
        "write it anew: casebridge profile schema > docs/profile.schema.json"
    )


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_profile_is_valid(path):
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(profiles())
def test_what_the_reader_accepts_is_valid(made):
    assert is_valid(made.text)


GOOD = """\
name: mine
description: All that there is.
base: basic
options: [retain-uids, clean-graphics, retain-patient-characteristics]
private: safe
dates: remove
text: vocabulary
vocabulary: [kneifenberg, Protokoll Zwiebel]
age: band
pixels: {text: hold, outside_ultrasound_regions: read, device_masks: yes, faces: warn, words: [kneifenberg]}
sop_classes: {drop: [video], hold: [CT Image Storage], keep: [screen-capture, 1.2.840.10008.5.1.4.1.1.4]}
hold:
  - {name: dental, reason: r, when: [{keyword: Rows, is: [8, 16]}, {tag: "(0008,0070)", present: true, not: true}]}
rules:
  - {tag: "(0018,xxXX)", action: X/Z/D, reason: r, inside: []}
  - {keyword: KVP, action: K, reason: r, inside: ["(0040,0555)", RequestAttributesSequence], only: {modality: MR}}
  - {vr: [LO, SH], action: X, reason: r, only: {sop_class: [CT Image Storage]}, when: {keyword: KVP, matches: "^1"}}
  - {private: {creator: "SIEMENS MR HEADER", element: "(0019,xx0C)", vr: US}, action: K, reason: r}
"""


def test_a_profile_with_every_key_is_accepted_by_both():
    assert is_valid(GOOD)
    assert Profile.from_yaml(GOOD).name == "mine"


@pytest.mark.parametrize(
    "pixels",
    [
        "screen",
        "{}",
        "{text: hold, faces: hold}",
        "{outside_ultrasound_regions: blank, device_masks: no, words: [kneifenberg, c52]}",
    ],
)
def test_every_way_of_saying_what_becomes_of_pixels_is_accepted_by_both(pixels):
    text = f"{HEAD}pixels: {pixels}\n"
    assert is_valid(text)
    assert Profile.from_yaml(text).name == "mine"


RULE = "rules:\n  - "
WRONG = [
    "",
    "- a",
    "name: mine",
    "base: basic",
    "name: Not Good\nbase: basic",
    HEAD + "surprise: 1",
    HEAD + "dates: soon",
    HEAD + "text: all",
    HEAD + "private: keep",
    HEAD + "pixels: ignore",
    HEAD + "pixels: [text]",
    HEAD + "pixels: {text: keep}",
    HEAD + "pixels: {outside_ultrasound_regions: some}",
    HEAD + "pixels: {device_masks: 1}",
    HEAD + "pixels: {faces: show}",
    HEAD + "pixels: {words: word}",
    HEAD + "pixels: {words: [a]}",
    HEAD + "pixels: {look: no}",
    HEAD + "age: exact",
    HEAD + "options: retain-uids",
    HEAD + "options: [fly]",
    HEAD + "options: [retain-uids, retain-uids]",
    HEAD + "vocabulary: word",
    HEAD + "vocabulary: [[a]]",
    HEAD + "vocabulary: [" + ", ".join(["a"] * 2001) + "]",
    HEAD + "sop_classes: [video]",
    HEAD + "sop_classes: {lose: [video]}",
    HEAD + "sop_classes: {drop: video}",
    HEAD + "hold: {reason: r}",
    HEAD + "hold: [{reason: r}]",
    HEAD + "hold: [{when: {keyword: Rows, is: 1}}]",
    HEAD + "rules: {a: b}",
    HEAD + RULE + "a",
    HEAD + RULE + "{keyword: KVP, action: X}",
    HEAD + RULE + "{keyword: KVP, reason: r}",
    HEAD + RULE + "{action: X, reason: r}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: ''}",
    HEAD + RULE + "{keyword: KVP, action: Q, reason: r}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, why: r}",
    HEAD + RULE + "{keyword: kvp, action: X, reason: r}",
    HEAD + RULE + "{keyword: KVP, tag: '(0018,0060)', action: X, reason: r}",
    HEAD + RULE + "{tag: '0018,0060', action: X, reason: r}",
    HEAD + RULE + "{tag: '(0018,006g)', action: X, reason: r}",
    HEAD + RULE + "{vr: XX, action: X, reason: r}",
    HEAD + RULE + "{vr: [], action: X, reason: r}",
    HEAD + RULE + "{private: A, action: X, reason: r}",
    HEAD + RULE + "{private: {element: '(0019,xx01)'}, action: X, reason: r}",
    HEAD + RULE + "{private: {creator: A, element: '(0019,1)'}, action: X, reason: r}",
    HEAD + RULE + "{private: {creator: A, block: 1}, action: X, reason: r}",
    HEAD + RULE + "{private: {creator: A, vr: OB}, action: X, reason: r}",
    HEAD + RULE + "{private: {creator: A, element: '(0018,xx01)'}, action: X, reason: r}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, inside: KVP}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, inside: ['(0040,xxxx)']}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, only: {}}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, only: {series: 1}}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, only: {modality: mr}}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, only: {modality: []}}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: []}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{is: 1}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, tag: '(0028,0010)', is: 1}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, is: 1, contains: 1}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, is: []}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, is: ''}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, present: 'yes'}]}",
    HEAD + RULE + "{keyword: KVP, action: X, reason: r, when: [{keyword: Rows, matches: " + "a" * 501 + "}]}",
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text.replace(HEAD, "")[:60])
def test_what_the_schema_knows_to_be_wrong_both_refuse(text):
    assert not is_valid(text)
    with pytest.raises(ProfileError):
        Profile.from_yaml(text)
