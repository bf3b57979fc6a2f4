"""What recognised text is taken for."""

import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords, classify, is_evident, is_of_header
from deidentify.pixels.detector import Candidate
from deidentify.pixels.gate import judge
from deidentify.pixels.recognizer import Reading
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo", "adaeze", "lee", "700123", "upright"})))
NOBODY = HeaderWords.of(IdentifiedTokens())


@pytest.mark.parametrize(
    "text",
    [
        "12/03/1957",
        "12.03.57",
        "3 / 4",
        "12:45",
        "14 MAR 57",
        "700123",
        "1957",
        "555 1234",
        "DOE JOHN",
        "Ward 7b",
        "王小明",
        "WESTWAY",
    ],
)
def test_patterns_and_unknown_words_identify(text):
    assert classify(text, NOBODY) is TextClass.IDENTIFYING


@pytest.mark.parametrize("text", ["OKONKWO", "Okonkw0", "LEE", "Lee L", "ÀDAEZE", "UPRIGHT"])
def test_words_of_the_header_identify_even_where_they_are_common_words(text):
    assert classify(text, HEADER) is TextClass.IDENTIFYING


@pytest.mark.parametrize(
    "text",
    ["L", "R", "RT", "AP ERECT", "RMLO", "LCC", "APERECT", "W 400 L 40", "W400L40", "WW:1500WL:-600",
     "TE 90 ms", "MI 1.1",
     "TIS<0.4", "15", "0 5 10", "1.8 3.6", "-", "", "|"],
)  # fmt: skip
def test_markers_settings_and_scale_ticks_are_safe(text):
    assert classify(text, NOBODY) is TextClass.SAFE


def test_two_unknown_characters_are_left_to_a_person():
    assert classify("QO", NOBODY) is TextClass.UNREADABLE


def test_identified_words_never_show_in_a_repr():
    assert "okonkwo" not in repr(HEADER)


@pytest.mark.parametrize("text", ["12/03/1961", "OKONKWO", "ID 4711229"])
def test_dates_numbers_and_words_of_the_header_identify_by_what_they_are(text):
    assert is_evident(text, HEADER)


@pytest.mark.parametrize("text", ["VRO", "Hm"])
def test_an_unknown_word_alone_is_no_evidence(text):
    assert not is_evident(text, HEADER)


@pytest.mark.parametrize(
    ("text", "score", "detected", "height", "expected"),
    [
        ("MELRL", 0.73, 0.9, 4, None),
        ("MELRL", 0.73, 0.9, 20, TextClass.IDENTIFYING),
        ("", 0.0, 0.65, 20, None),
        ("搬", 0.05, 0.6, 20, None),
        ("", 0.0, 0.8, 20, TextClass.UNREADABLE),
        ("CIL", 0.3, 0.65, 20, TextClass.UNREADABLE),
    ],
)
def test_what_is_too_thin_or_has_no_letter_is_no_text_and_other_unread_lines_are(
    text: str, score: float, detected: float, height: float, expected: TextClass | None
) -> None:
    candidate = Candidate(x=100, y=50, width=80, height=height, angle=0, score=detected)
    assert judge(candidate, Reading(identified_text=text, score=score), NOBODY, scale=1) is expected


@pytest.mark.parametrize(
    ("text", "score", "sides", "expected"),
    [
        ("P", 0.9, (200, 20), TextClass.UNREADABLE),
        ("P", 0.9, (20, 200), TextClass.UNREADABLE),
        ("P", 0.9, (30, 20), TextClass.SAFE),
        ("-", 0.9, (200, 20), TextClass.SAFE),
        ("L", 0.9, (25, 20), TextClass.SAFE),
        ("1", 0.9, (6, 20), TextClass.SAFE),
        ("1", 0.9, (200, 20), TextClass.UNREADABLE),
        ("~t>1", 0.55, (80, 20), TextClass.UNREADABLE),
        ("T1", 0.9, (80, 20), TextClass.SAFE),
        ("T1", 0.55, (40, 20), TextClass.SAFE),
    ],
)
def test_what_is_as_long_as_a_line_is_more_than_a_letter_or_a_few_unsure_ones(
    text: str, score: float, sides: tuple[int, int], expected: TextClass
) -> None:
    candidate = Candidate(x=100, y=50, width=sides[0], height=sides[1], angle=0, score=0.9)
    assert judge(candidate, Reading(identified_text=text, score=score), NOBODY, scale=1) is expected


BORN = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"li", "wu", "l", "kowalczyk"}), dates=frozenset({"19621203"})))


@pytest.mark.parametrize(
    "text",
    ["3,12,62", "3.12,62", "3.I2.62", "3.1Z.62", "12'03'1962", "1962 12 03", "3 12 62", "O3.12.62", "62,12,3"],
)
def test_a_date_is_known_however_its_signs_and_digits_were_read(text):
    assert classify(text, BORN) is TextClass.IDENTIFYING
    assert is_evident(text, BORN)


@pytest.mark.parametrize("text", ["LI", "LI M 62", "WU 35", "LI WU"])
def test_short_names_of_the_header_are_evident(text):
    assert classify(text, BORN) is TextClass.IDENTIFYING
    assert is_evident(text, BORN)


def test_a_direction_between_two_is_safe_alone_unless_the_header_has_it():
    assert classify("AL", BORN) is TextClass.SAFE
    assert classify("AL", HeaderWords.of(IdentifiedTokens(tokens=frozenset({"al"})))) is TextClass.IDENTIFYING
    for text in ("AL 12", "A.L.", "A L"):
        assert classify(text, BORN) is not TextClass.SAFE


@pytest.mark.parametrize("text", ["W 400 L 40", "L", "1,5 2,0 2,5", "TE 12.5", "MI 0,8", "FOV 24 cm", "10 20 30 40"])
def test_settings_are_none_the_worse_for_it(text):
    assert classify(text, BORN) is TextClass.SAFE


NUMBERED = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"24665655", "okonkwo"})))


@pytest.mark.parametrize(("text", "expected"), [("6656", True), ("TR 6565", True), ("2468", False), ("TR 2466", True)])
def test_four_digits_are_of_the_header_where_it_has_just_these(text: str, expected: bool) -> None:
    assert is_of_header(text, NUMBERED) is expected
    assert (classify(text, NUMBERED) is TextClass.IDENTIFYING) is expected


@pytest.mark.parametrize("text", ["W:400 L:40", "C:40 W:400", "L:-600"])
def test_width_and_level_with_a_colon_are_no_time(text: str) -> None:
    assert classify(text, NOBODY) is TextClass.SAFE


@pytest.mark.parametrize("text", ["I0:45", "l2:45", "X:4001:40"])
def test_a_time_with_misread_digits_still_is_one(text: str) -> None:
    assert is_evident(text, NOBODY)


def test_a_pattern_is_evidence_but_not_of_the_header() -> None:
    assert is_evident("12/03/1961", NUMBERED)
    assert not is_of_header("12/03/1961", NUMBERED)
    assert is_of_header("0KONKWO", NUMBERED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("W0NG", True), ("WONG", True), ("VONG", True), ("HR72", False), ("R721", True), ("TIBO", False)],
)
def test_a_short_word_is_of_the_header_whole_or_but_for_one_letter(text: str, expected: bool) -> None:
    header = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"wong", "r72117693"})))
    assert is_of_header(text, header) is expected


@pytest.mark.parametrize("text", ["OB16.09", "16.09", "B 31,12", "09.16", "D0B 01.02"])
def test_what_is_left_of_a_date_identifies(text):
    assert classify(text, NOBODY) is TextClass.IDENTIFYING


@pytest.mark.parametrize("text", ["TE 12.11", "te12.10", "12.10 mm", "10.12cm", "45.67", "TI: 10.05"])
def test_values_of_settings_are_no_dates(text):
    assert classify(text, NOBODY) is TextClass.SAFE
