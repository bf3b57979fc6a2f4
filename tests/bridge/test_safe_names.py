"""Names of folders and files: what media and viewers write stays, what people write is judged."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.safe_names import IdentifiedForms, SafeNames
from deidentify.pseudonyms import PseudonymScope

SCOPE = PseudonymScope(key=b"k" * 32, case_key="0" * 32)
OWN = frozenset({"brown", "mei", "4711", "700123"})
NAMES = SafeNames(SCOPE, IdentifiedForms(OWN))


def name(text: str) -> str:
    return NAMES.path(PurePosixPath(text)).name


@pytest.mark.parametrize(
    "text",
    [
        "IM0001",
        "IMG00012",
        "I10",
        "SE000003",
        "Series 4",
        "CT",
        "axial",
        "MR brain",
        "T2 FLAIR",
        "slice_12",
        "0012",
        "Z01",
    ],
)
def test_names_of_media_and_known_words_stay(text: str) -> None:
    assert name(text) == f"{text}.dcm"


@pytest.mark.parametrize(
    "text",
    [
        *("Smith", "smith^john", "Smith_John_19570314", "19570314", "2024-02-29", "2024_02_29", "24.02.2024", "170324"),
        *("IM19570314", "PAT4711", "Patient 700123", "Mei", "mei2", "ct brown", "Brown", "12345678", "12345"),
        *("Dr House", "kröger", "..hidden", ".x", "-rf", "a\nb", "a\x00b", "ü", " ", "x" * 100, "CON^", "0171-5551234"),
    ],
)
def test_what_could_be_somebodys_goes(text: str) -> None:
    stand_in = name(text)
    assert stand_in.startswith("ID-")
    assert len(stand_in) == len("ID-12345678.dcm")


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("pat0123", "PAT0123"),
        ("pat0123", "pat 123"),
        ("pat0123", "PAT-00123"),
        ("pat0123", "IM0123"),
        ("ct123", "CT123"),
        ("0004711", "4711"),
        ("0004711", "PAT4711"),
        ("4711", "PAT0004711"),
        ("77", "77"),
        ("77", "PAT0077"),
        ("ab123", "AB_123"),
        ("s77", "S77"),
    ],
)
def test_an_identifier_goes_however_it_is_cut_and_padded(word: str, text: str) -> None:
    names = SafeNames(SCOPE, IdentifiedForms(frozenset({word})))
    assert names.path(PurePosixPath(text)).name.startswith("ID-")
    assert names.path(PurePosixPath(text, "IM0001")).parts[0].startswith("ID-")
    assert names.path(PurePosixPath("IM0045")).name == "IM0045.dcm"


@pytest.mark.parametrize("text", ["61-3-12", "12 3 61", "12-May-61", "May 12", "3_12_61", "12mai61", "okt 61", "1-1-1"])
def test_what_could_be_a_date_goes(text: str) -> None:
    assert name(text).startswith("ID-")


def test_uids_become_those_of_the_case() -> None:
    assert name("1.2.826.0.1.3680043.10.1507.1") == f"{SCOPE.uid('1.2.826.0.1.3680043.10.1507.1')}.dcm"
    assert name("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1.dcm"


@given(st.lists(st.text(min_size=1).filter(lambda part: "/" not in part and part not in {".", ".."}), min_size=1))
def test_every_name_is_one_that_a_disk_takes_and_as_deep_as_it_was(parts: list[str]) -> None:
    place = NAMES.path(PurePosixPath(*parts))
    assert len(place.parts) == len(PurePosixPath(*parts).parts)
    assert not place.is_absolute()
    for part in place.parts:
        assert part.isascii()
        assert part.isprintable()
        assert len(part) <= 70
        assert part[0].isalnum()
        assert not OWN.intersection(part.casefold().split())
