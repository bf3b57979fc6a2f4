"""What a profile says of pixels: each key, what is inherited, what is refused with its line, what counts as looser."""

import pytest

from deidentify.errors import ProfileError
from deidentify.explain import loosened
from deidentify.pixel_policy import DEFAULT_POLICY, Faces, OutsideRegions, PixelPolicy
from deidentify.pixel_text import LONGEST_WORD, MOST_PIXEL_WORDS, PIXEL_KEYS, told
from deidentify.profile import Profile
from deidentify.profile_facts import facts_of
from tests.deidentify.support import shipped_text

HEAD = "name: mine\nbase: basic\n"
BASE = """\
name: site
base: basic
pixels:
  text: hold
  outside_ultrasound_regions: blank
  device_masks: no
  faces: hold
  words: [zollverein]
"""


def policy_of(pixels, base=""):
    text = f"name: mine\nbase: {'site' if base else 'basic'}\n{pixels}"
    return Profile.from_yaml(f"{text}\n---\n{base}" if base else text).pixel_policy


def faults_of(pixels):
    with pytest.raises(ProfileError) as caught:
        Profile.from_yaml(HEAD + pixels)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("pixels", ["", "pixels: screen", "pixels: {}"])
def test_what_is_not_said_is_the_default(pixels):
    assert policy_of(pixels) == DEFAULT_POLICY


def test_every_key_is_read():
    assert policy_of("", base=BASE) == PixelPolicy(
        redacts=False,
        outside_regions=OutsideRegions.BLANK,
        device_masks=False,
        faces=Faces.HOLD,
        words=frozenset({"zollverein"}),
    )


def test_what_is_not_said_is_as_in_the_base_and_words_are_added():
    found = policy_of("pixels: {text: redact, device_masks: yes, words: [Kneifenberg]}", base=BASE)
    assert found == PixelPolicy(
        redacts=True,
        outside_regions=OutsideRegions.BLANK,
        device_masks=True,
        faces=Faces.HOLD,
        words=frozenset({"zollverein", "kneifenberg"}),
    )


def test_screen_is_the_defaults_whatever_the_base_says():
    assert policy_of("pixels: screen", base=BASE) == DEFAULT_POLICY


def test_every_way_of_reading_keeps_the_option_of_the_standard():
    for pixels in ("pixels: screen", "pixels: {text: hold}", "options: [clean-pixel-data]\npixels: {faces: hold}"):
        assert "clean_pixel_data" in Profile.from_yaml(HEAD + pixels).options


def test_words_are_compared_without_case_and_accents():
    assert policy_of("pixels: {words: [ZOLLVEREIN, Kölner, C52]}").words == {"zollverein", "kolner", "c52"}


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("a", "2 to 40 letters"),
        ("a" * (LONGEST_WORD + 1), "2 to 40 letters"),
        ("two words", "2 to 40 letters"),
        ("'12/03'", "2 to 40 letters"),
        ("s5-1", "2 to 40 letters"),
        ("42", "digits alone"),
        ("'007'", "digits alone"),
        ("mrn12345", "dates and numbers"),
        ("vom1987", "dates and numbers"),
        ("12jan", "dates and numbers"),
        ("March3", "dates and numbers"),
    ],
)
def test_a_word_that_could_be_somebodys_number_or_date_is_refused_with_its_line(word, sentence):
    (fault,) = faults_of(f"pixels:\n  words:\n    - harmless\n    - {word}\n")
    assert fault.startswith("line 6: ")
    assert sentence in fault


def test_all_faults_are_told_at_once_with_their_lines():
    faults = faults_of(
        "pixels:\n  text: keep\n  faces: show\n  outside_ultrasound_regions: some\n  device_masks: maybe\n"
        "  words: word\n  look: never\n  text: hold\n"
    )
    assert [fault.split(": ")[0] for fault in faults] == [f"line {number}" for number in range(4, 11)]
    assert faults[0].endswith("text is 'keep'; it can be: redact, hold")
    assert "there are: text, outside_ultrasound_regions" in faults[5]
    assert "stands twice" in faults[6]


@pytest.mark.parametrize("value", ["ignore", "[text]", "no"])
def test_no_value_turns_the_screen_off(value):
    (fault,) = faults_of(f"pixels: {value}")
    assert fault.startswith("line 3: pixels is ")
    assert "it can be: screen, or some of the keys" in fault


def test_there_are_only_so_many_words_those_of_the_base_included():
    words = ", ".join(f"w{a}{b}" for a in "abcdefghijklmnopqrstuvw" for b in "abcdefghijklmnopqrstuvwxyz")
    assert words.count(",") + 1 > MOST_PIXEL_WORDS
    assert "at most 500" in faults_of(f"pixels: {{words: [{words}]}}")[0]
    most = ", ".join(words.split(", ")[: MOST_PIXEL_WORDS - 1])
    assert len(policy_of(f"pixels: {{words: [{most}]}}", base=BASE).words) == MOST_PIXEL_WORDS
    with pytest.raises(ProfileError, match="501 words, those of the base included"):
        policy_of(f"pixels: {{words: [{most}, extra]}}", base=BASE)


def test_what_stays_in_pixels_though_the_defaults_make_it_black_is_listed():
    looser = "pixels: {outside_ultrasound_regions: read, device_masks: no, words: [zollverein, kneifenberg]}"
    found = loosened(Profile.from_yaml(HEAD + looser))
    assert [one.place for one in found] == [
        "pixels: outside_ultrasound_regions",
        "pixels: device_masks",
        "pixels: words",
    ]
    assert found[2].subject == "2 words of the site"
    tighter = "pixels: {text: hold, outside_ultrasound_regions: blank, faces: hold}"
    assert loosened(Profile.from_yaml(HEAD + tighter)) == ()


def test_a_profile_is_told_with_each_key_and_without_its_words():
    facts = facts_of(Profile.from_yaml(f"name: mine\nbase: site\n---\n{BASE}"))
    assert facts.pixels == (
        "text: hold",
        "outside_ultrasound_regions: blank",
        "device_masks: no",
        "faces: hold",
        "words: 1",
    )
    assert tuple(line.split(": ")[0] for line in told(DEFAULT_POLICY)) == PIXEL_KEYS


def test_strict_blanks_more_and_holds_faces_and_teaching_has_the_defaults():
    assert Profile.from_yaml(shipped_text("teaching")).pixel_policy == DEFAULT_POLICY
    strict = Profile.from_yaml(shipped_text("strict")).pixel_policy
    assert strict == PixelPolicy(outside_regions=OutsideRegions.BLANK, faces=Faces.HOLD)
