import pytest

from deidentify.errors import ProfileError
from deidentify.profile import Profile
from tests.deidentify.support import PROFILES, profile, shipped_text

HEAD = "name: mine\nbase: basic\n"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_profile_is_valid_and_named_like_its_file(path):
    assert Profile.from_yaml(shipped_text(path.stem)).name == path.stem


def test_the_default_shifts_dates_and_cleans_text():
    assert profile().code(0x00080020) == "C"
    assert profile().code(0x0008103E) == "C"
    assert profile().code(0x00081140) == "K"
    assert profile("strict").code(0x0008103E) == "X"
    assert profile().code(0x00180050) is None


def test_the_revision_follows_the_text():
    assert Profile.from_yaml(HEAD).revision == Profile.from_yaml(HEAD).revision
    assert Profile.from_yaml(HEAD).revision != Profile.from_yaml(HEAD + "# other\n").revision


def test_an_option_of_a_key_may_stand_in_the_list_of_options():
    listed = Profile.from_yaml(HEAD + "options: [retain-longitudinal-full-dates, retain-safe-private]\n")
    keyed = Profile.from_yaml(HEAD + "dates: keep\nprivate: safe\n")
    assert (listed.options, listed.dates) == (keyed.options, keyed.dates)


def test_keeping_wins_over_cleaning():
    both = Profile.from_yaml(HEAD + "options: [retain-device-identity]\n")
    assert both.code(0x00181000) == "K"


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", 1, "empty"),
        ("- a", 1, "keys and values"),
        ("name: x", 1, "no base"),
        ("base: basic", 1, "no name"),
        (HEAD + "surprise: 1", 3, "unknown key 'surprise'"),
        (HEAD + "dates: soon", 3, "it can be: shift, keep, remove"),
        (HEAD + "dates: shift\ndates: keep", 4, "twice"),
        (HEAD + "options:\n  - fly", 4, "unknown option"),
        (HEAD + "options: retain-uids", 3, "must be a list"),
        (HEAD + "private: keep", 3, "it can be: remove, safe"),
        (HEAD + "options: [retain-uids,\n  retain-uids]", 4, "stands twice"),
        (HEAD + "text: remove\noptions:\n  - clean-descriptors", 5, "contradicts 'text: remove'; it is 'text: voc"),
        (HEAD + "dates: shift\noptions:\n  - retain-longitudinal-full-dates", 5, "it is 'dates: keep'"),
        (HEAD + "private: remove\noptions: [retain-safe-private]", 4, "it is 'private: safe'"),
        (
            HEAD + "options:\n  - retain-longitudinal-full-dates\n  - retain-longitudinal-modified-dates",
            5,
            "kept in full or modified, not both",
        ),
        (HEAD + "rules:\n  - {tag: '(0010,0010)', action: K, reason: r}", 4, "names a person"),
        (HEAD + "rules:\n  - {tag: '(0010,1000)', action: K, reason: r}", 4, "names a person"),
        (HEAD + "rules:\n  - {tag: '(0008,0018)', action: K, reason: r}", 4, "choose the option retain-uids"),
        (HEAD + "options: [retain-uids]\nrules:\n  - {tag: '(0008,0018)', action: U, reason: r}", 5, "keeps UIDs"),
        (HEAD + "rules:\n  - {tag: '(0008,1030)', action: U, reason: r}", 4, "only UIDs"),
        (HEAD + "rules:\n  - {tag: '(0008,0008)', action: X/Z/U*, reason: r}", 4, "only UIDs"),
        (HEAD + "rules:\n  - {tag: '(0008,0020)', action: K, reason: r}", 4, "'dates: shift' and one date"),
        (HEAD + "dates: remove\nrules:\n  - {tag: '(0008,0020)', action: C, reason: r}", 5, "no number of days"),
        (HEAD + "rules:\n  - {tag: '(0018,0060)', action: C, reason: r}", 4, "cannot be cleaned"),
        (HEAD + "rules:\n  - {tag: '(0012,9999)', action: K, reason: r}", 4, "no attribute of that tag is known"),
        (HEAD + "rules:\n  - {tag: '(6000,3000)', action: K, reason: r}", 4, "cannot be kept"),
        (HEAD + "rules:\n  - {tag: '(0400,0561)', action: K, reason: r}", 4, "cannot be kept"),
        (HEAD + "rules:\n  - {tag: '(7FE0,0010)', action: K, reason: r}", 4, "nobody can read the object"),
        (HEAD + "rules:\n  - {tag: '(7FE0,0010)', action: D, reason: r}", 4, "nobody can read the object"),
        (HEAD + "rules:\n  - tag: '(0008,1030)'\n    action: X", 4, "no reason"),
        (HEAD + "rules:\n  - {tag: 00081030, action: X, reason: r}", 4, "hexadecimal"),
        (HEAD + "rules:\n  - {tag: '(0008,1030)', action: Q, reason: r}", 4, "unknown action"),
        (HEAD + "rules:\n  - {tag: '(0009,1030)', action: K, reason: r}", 4, "cannot be kept"),
        (HEAD + "sop_classes:\n  drop: [everything]", 4, "unknown class"),
        (HEAD + "name: [", 4, "not YAML"),
        (HEAD + "age: band", 3, "retain-patient-characteristics"),
        ("name: Not Good\nbase: basic", 1, "lower case"),
    ],
)
def test_a_wrong_profile_names_line_fault_and_mend(text, line, sentence):
    with pytest.raises(ProfileError, match=sentence) as caught:
        Profile.from_yaml(text)
    assert str(caught.value).startswith(f"line {line}:")
