"""What is known to be harmless stays so when it is misread; no name, date or word of the header ever becomes it."""

import random
from datetime import date, timedelta

import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords, classify, normalised
from deidentify.pixels.technical import terms_of
from deidentify.pixels.vocabulary import MARKERS, VOCABULARY
from deidentify.results import TextClass
from tests.deidentify.pixels.surnames import SURNAMES

NOBODY = HeaderWords.of(IdentifiedTokens())
MISREAD = {
    "o": "0cq", "i": "1lt", "l": "1it", "s": "5", "b": "8h", "z": "2", "g": "6", "e": "cf", "n": "hm", "m": "n",
    "t": "il", "c": "eo", "u": "v", "v": "u", "h": "nb", "f": "e", "d": "0o", "q": "0o", "p": "r", "r": "p",
}  # fmt: skip
GIVEN = ("ANNA", "MAX", "MARK", "RAY", "L", "HU", "Jo", "Dr")


def misread(text: str, chance: random.Random, share: float) -> str:
    return "".join(
        chance.choice(MISREAD[letter]) if letter in MISREAD and chance.random() < share else letter for letter in text
    )


@pytest.mark.parametrize(
    "text",
    ["AXT2", "AX T2", "FOV 24 cm", "F0V24cm", "TISO.2TIB0.2", "Zo0m 1.5", "UPRI GHT", "AP ERECI", "AP SUPIHE", "RML0",
     "TR2000TE98", "SL5mm", "SL 3.0 mm", "10cm", "120kV250mA", "0 5 10 15", "50 0 -50", "2 4 6 8", "C5",
     "2D FR38Hz", "PWR 100%", "MAX 120 MIN 15", "LEFT HAND", "HU", "C 40 W 400", "W1500L-600", "W 2000 L 500",
     "PR", "AL"],
)  # fmt: skip
def test_technical_text_is_safe_glued_and_misread_too(text):
    assert classify(text, NOBODY) is TextClass.SAFE


@pytest.mark.parametrize(
    "text",
    ["MI08", "TIS02", "WR100%", "PVWR 100%", "Acea3.2cm", "rea 3.2 cm", "OV24cm", "W:4010 1:40", "UPRGHT",
     "AP SUPIN", "BMLO", "MAX 120 MTN 15", "1250.5", "TR 2000.5", "V:400 L:40",
     "200m 1.5", "5.0 Mz", "n 60 DR 70 dB", "ww 350 VL 50",
     "LPRIGHT", "UFRIGHT", "SUPIRE", "PORTIBLE", "IE 12.3", "FR38H", "FR 38 H7",
     "RML.0", "RHL. 0", "PORTABLC", "UPRIGHL",
     "00m1.5", "6m60DR70dB", "Gh60DR70dB", "MAX120MIV15", "TISTIBO.2", "TIS0.2TB 0.2", "TISO2TBO", "TIS 02 TIb O",
     "C40V400",
     "Mt0.8", "IR4500TB98", "n1.5", "AXT2PA", "RMEO", "ER38HZ", "V1500L-600", "5.0MIH", "HRy2bpm",
     "LEF'T", "50.2TB0.2", "BML.O", "XT2", "LCG", "RIGH", "LEF", "AP EREC", "MI1.2 TS:04", "M1.2TS0.4", "Gn 60 DRdB",
     "ARERECT", "LC0"],
)  # fmt: skip
def test_technical_text_with_a_letter_lost_or_misread_is_safe(text):
    assert classify(text, NOBODY) is TextClass.SAFE


@pytest.mark.parametrize(
    "text",
    ["15.0012", "1936.1", "*1936.1", "*12", "WJ08", "A08", "JO 100%", "Meyer 24 cm", "IV24cm", "BERING", "WIGHT",
     "OOM 15", "GH 60", "HIN 15", "TISTIB", "13V", "AR ERECTA", "LC01", "CO", "Mt 8", "IR 4500",
     "TR4500TB", "nn1.5", "n15", "AXT2PAX", "TISTBERG", "MEO", "ER38",
     "0.2TB", "B ML.O1", "XT3", "1961L-60", "1500L600", "LE F", "LEFS", "RIGHE", "EREC", "TS 04",
     "V1961", "5.0 MIHA", "HRyb",
     "MTN 15", "W:4001:40 A", "n 60", "50 Mz", "VL 50", "IE 12", "IE 12.31", "FR38H9", "Lupine", "Supino", "SUPIN",
     "Uprighz", "931」-7", "HILO", "R HL 01", "Ahlo", "HL0", "E HL0", "SUZINE",
     "FR123H7", "A.S.", "L.I"],
)  # fmt: skip
def test_what_is_only_somewhat_like_technical_text_is_not(text):
    assert classify(text, NOBODY) is not TextClass.SAFE


@pytest.mark.parametrize(
    "text",
    ["F 1957", "M 1957", "C 2001", "12 3 57", "W 400 3 12 57", "10 20 30", "5 10 15", "MA HU", "MAX L", "GRAY MAX",
     "MA0", "L1MA", "50H", "PALM", "SUPPA", "M0110R", "Ward 3", "L SMITH 40", "HU MAX", "T12500", "WRIGHT", "LIGHT",
     "AL MAX", "AL HU", "HANDAL"],
)  # fmt: skip
def test_what_could_be_a_person_or_a_day_is_not(text):
    assert classify(text, NOBODY) is not TextClass.SAFE


@pytest.mark.parametrize(
    "text",
    ["Roth 170 cm", "Sara:170cm", "Dean 50 %", "Fred 80 kV", "Ray 170 cm", "Ed 170 cm", "F Roth 170 cm", "V2011:45",
     "W321:45", "W 12 1:30", "W:1957 1:30", "W:4001:40", "MI08-1234", "TIS08 1234", "200M1203", "Ned 42 HR 60",
     "Ren 12 TE 50", "Ed 42 HR 72 bpm", "HR 60 Ned 42", "PORTALE", "Portale L", "Standig", "Supin 12"],
)  # fmt: skip
def test_names_times_and_numbers_that_resemble_settings_are_not_safe(text):
    assert classify(text, NOBODY) is not TextClass.SAFE


def test_no_common_name_is_safe_however_it_is_written():
    for name in SURNAMES:
        for text in (name, name.upper(), f"{name.upper()} {name}", f"{name}7", *(f"{name} {given}" for given in GIVEN)):
            assert classify(text, NOBODY) is not TextClass.SAFE, text


def test_no_common_name_becomes_safe_by_being_misread():
    chance = random.Random(6)
    for name in SURNAMES:
        for share in (0.15, 0.3):
            for _ in range(20):
                text = misread(normalised(name), chance, share)
                assert classify(text, NOBODY) is not TextClass.SAFE, (name, text)


def test_no_word_of_a_header_is_safe_not_even_where_it_is_a_marker():
    for word in (*VOCABULARY, *SURNAMES):
        header = HeaderWords.of(IdentifiedTokens(tokens=frozenset({word})), site_words=[word])
        is_short_marker = len(word) < 3 and word in MARKERS  # L, R, AP …: those are credentials and states as well
        if len(word) > 1 and not is_short_marker:
            assert classify(word.upper(), header) is not TextClass.SAFE, word


def test_no_misread_word_of_a_header_is_taken_for_the_marker_it_resembles():
    for word in (word for word in VOCABULARY if len(word) > 2 and word.isalpha()):
        header = HeaderWords.of(IdentifiedTokens(tokens=frozenset({word})))
        for place, letter in enumerate(word):
            for other in MISREAD.get(letter, ""):
                text = word[:place] + other + word[place + 1 :]
                read = terms_of(text)
                if read == (word,):
                    assert classify(text, header) is not TextClass.SAFE, text


def test_no_date_is_safe():
    chance = random.Random(7)
    for _ in range(300):
        day = date(1920, 1, 1) + timedelta(days=chance.randrange(38_000))
        for form in ("%d.%m.%Y", "%m/%d/%y", "%Y-%m-%d", "%d %m %Y", "%d %m %y", "%Y %m %d", "%d%b%Y", "%d %B %Y",
                     "%Y%m%d", "%b %d", "C %d %m %y", "%Y", "F %Y", "%d.%m.%y W 400"):  # fmt: skip
            text = day.strftime(form)
            assert classify(text, NOBODY) is not TextClass.SAFE, text


def test_words_of_the_site_are_safe_and_the_header_wins_over_them():
    site = HeaderWords.of(
        IdentifiedTokens(tokens=frozenset({"okonkwo"})), site_words=["LOGIQ E9", "Abd/Gen", "Okonkwo"]
    )
    for text in ("LOGIQ E9", "logiqe9", "ABD/GEN"):
        assert classify(text, NOBODY) is not TextClass.SAFE
        assert classify(text, site) is TextClass.SAFE
    assert classify("OKONKWO", site) is TextClass.IDENTIFYING
    assert classify("LOGIQ E9 HOUSE", site) is TextClass.IDENTIFYING


def test_two_letters_of_the_header_identify_among_words_alone():
    header = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"ma", "pa", "王"})))
    assert classify("MA", header) is not TextClass.SAFE
    # The header has the last word: for this patient a current of the tube becomes black too.
    assert classify("250 mA", header) is TextClass.IDENTIFYING
    assert classify("PA", header) is TextClass.SAFE
    assert classify("王", header) is TextClass.IDENTIFYING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ir 4500 te 98", ("tr", "4500", "te", "98")),
        ("ir 4500te98", ("tr", "4500", "te", "98")),
        ("ir 4500", None),
        ("xr 4500 te 98", None),
        ("ir te 98", None),
        ("irs 4500 te 98", None),
    ],
)
def test_a_key_of_two_letters_may_be_misread_beside_one_that_is_sure(
    text: str, expected: tuple[str, ...] | None
) -> None:
    assert terms_of(text) == expected
