"""Names of an export are taken by every file system, and are the same on all of them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.exports.names import MAX_CHARS, Siblings, safe_name

WORDS = {
    ("1", "CT", "day 0"): "1 CT day 0",
    ("2", "DSA (angiography)", "day 12"): "2 DSA angiography day 12",
    ("02", "Axial", "T1/T2: fat-sat?"): "02 Axial T1 T2 fat-sat",
    ("Schädel", "größer", "Œdème"): "Schadel grosser Oedeme",
    ("череп",): "07",
    ("",): "07",
    ("..", "/etc/passwd"): "etc passwd",
    ("a\nb\tc\0d",): "a b c d",
    ("ends with a dot.",): "ends with a dot",
    ("--help",): "help",
    ("CON",): "CON_",
    ("nul.txt",): "nul.txt_",
    ("Com1",): "Com1_",
    ("console",): "console",
    ("x" * 100,): "x" * MAX_CHARS,
    ("x" * (MAX_CHARS - 1) + " y",): "x" * (MAX_CHARS - 1),
}


@pytest.mark.parametrize("words", WORDS, ids=lambda words: unicodedata.normalize("NFKD", words[0])[:8])
def test_words_become_one_name(words: tuple[str, ...]) -> None:
    assert safe_name(words, otherwise="07") == WORDS[words]


@given(st.lists(st.text(), max_size=4))
def test_whatever_is_written_gives_a_name_that_windows_takes(words: list[str]) -> None:
    name = safe_name(words, otherwise="07")
    assert 0 < len(name) <= MAX_CHARS + 1
    assert name.isascii()
    assert not set('<>:"/\\|?*') & set(name)
    assert all(" " <= character < "\x7f" for character in name)
    assert name == name.strip()
    assert not name.endswith(".")
    assert not name.startswith((".", "-"))
    assert name.split(".")[0].strip().lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"} or name.endswith("_")


@given(st.lists(st.sampled_from(["a", "A", "a-2", "x" * MAX_CHARS, "x" * (MAX_CHARS - 1)]), max_size=12))
def test_no_name_is_twice_in_a_folder_also_without_capitals(names: list[str]) -> None:
    siblings = Siblings()
    taken = [siblings.take(name) for name in names]
    assert len({name.lower() for name in taken}) == len(names)
    assert all(len(name) <= MAX_CHARS for name in taken)


def test_the_first_keeps_its_name() -> None:
    siblings = Siblings()
    assert [siblings.take(name) for name in ("CT", "ct", "CT", "MR")] == ["CT", "ct-2", "CT-3", "MR"]
