"""docs/profiles.md is run as it stands, and docs/profiles/*.md say what the shipped profiles do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary

from bridge.__main__ import main
from config import Settings, profile_text
from config.settings import SHIPPED_PROFILES
from deidentify.actions import ALL_CODES
from deidentify.condition_text import CONDITION_KEYS
from deidentify.errors import ProfileError
from deidentify.pixel_policy import Faces, OutsideRegions
from deidentify.pixel_text import LONGEST_WORD, MOST_PIXEL_WORDS, PIXEL_KEYS, SHORTEST_WORD, TEXT_FATES
from deidentify.profile import KEEPABLE, Profile
from deidentify.profile_schema import schema
from deidentify.profile_text import AGES, DROPPABLE, KEYS, MOST_WORDS, OPTIONS, POLICIES
from deidentify.rule_text import MOST_RULES, RULE_KEYS
from deidentify.rules import MOST_OF_A_PATTERN
from deidentify.tables import attribute_rows
from deidentify.yaml_nodes import MOST_BYTES
from scp.contexts import is_storage
from tests.docs import profile_tables
from tests.docs.deidentification_tables import fate
from tests.docs.profiles_page import PAGE, PROGRAM, PageRun, blocks, whole, with_outputs

TEXT = PAGE.read_text()
ANEW = "write it anew with: .venv/bin/python -m tests.docs."


@pytest.fixture(scope="module")
def run_of_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PageRun, str]]:
    with PageRun(tmp_path_factory.mktemp("page")) as run:
        yield run, with_outputs(TEXT, run)


def test_every_command_prints_what_the_page_shows(run_of_page: tuple[PageRun, str]) -> None:
    assert run_of_page[1] == TEXT, f"{ANEW}profiles_page"


def test_only_what_is_wrong_on_purpose_ends_with_status_2(run_of_page: tuple[PageRun, str]) -> None:
    wrong = "\n".join(block.text for block in blocks(TEXT) if block.is_refused)
    refused = re.findall("^name: (.*)$", wrong, re.MULTILINE)
    assert len(refused) > 1
    for line, status in run_of_page[0].statuses.items():
        assert status == (2 if any(f"{name}.yaml" in line for name in refused) else 0), line


def test_the_page_shows_every_command(run_of_page: tuple[PageRun, str]) -> None:
    shown = {line.split()[2] for line in run_of_page[0].statuses if line.startswith(f"{PROGRAM} profile")}
    assert shown >= {"list", "check", "explain", "show", "schema", "translate"}
    assert shown >= {"preview", "publish", "use", "rerun", "rollback"}
    # What shows an original, or when something was done, prints something else each time.
    assert all(f"casebridge profile {name}" in TEXT for name in main.commands["profile"].commands)


def test_the_published_schema_is_the_one_of_the_program(run_of_page: tuple[PageRun, str]) -> None:
    published = profile_tables.SCHEMA.read_text()
    assert json.loads(published) == schema(), f"{ANEW}profile_tables"
    assert (run_of_page[0].folder / "profile.schema.json").read_text() == published


def section(heading: str) -> str:
    return re.split(r"\n##+ ", TEXT.partition(f"### {heading}\n")[2])[0]


def first_cells(heading: str) -> list[str]:
    """Return what stands in code in the first cells of a section's table."""
    rows = re.findall(r"^\| (`.*?) \|", section(heading), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row) if not name.endswith(":")]


def test_the_page_names_every_key_option_and_kind() -> None:
    assert first_cells("Keys") == list(KEYS)
    assert set(first_cells("Options")) == set(OPTIONS)
    assert first_cells("Rules") == list(RULE_KEYS)
    assert set(first_cells("Conditions")) == set(CONDITION_KEYS)
    assert set(first_cells("sop_classes")) == set(DROPPABLE)
    pixels = [name for name in first_cells("Pixels") if name in PIXEL_KEYS]
    assert pixels == list(PIXEL_KEYS) == list(profile_tables.PIXELS)
    actions = re.findall(r"^\| ([A-Z][A-Z/,* ]*) \|", section("Actions"), re.MULTILINE)
    assert {code for row in actions for code in row.split(", ")} == set(map(str, ALL_CODES))


def test_the_page_names_the_values_of_every_policy() -> None:
    for key, values in {**POLICIES, "age": AGES}.items():
        row = re.search(rf"^\| `{key}` \|.*$", section("Keys"), re.MULTILINE)
        assert row
        assert all(f"`{value}`" in row[0] for value in values), key


def test_the_page_names_every_value_of_the_pixel_policy() -> None:
    values = {"text": TEXT_FATES, "outside_ultrasound_regions": OutsideRegions, "faces": Faces, "device_masks": None}
    for key, known in values.items():
        row = re.search(rf"^\| `{key}` \|.*$", section("Pixels"), re.MULTILINE)
        assert row
        assert all(f"`{value}`" in row[0] for value in profile_tables.PIXELS[key])
        assert known is None or set(profile_tables.PIXELS[key]) == set(map(str, known))
    assert f"at most {MOST_PIXEL_WORDS}" in section("Pixels")
    assert f"{SHORTEST_WORD} to {LONGEST_WORD} letters" in section("Pixels")


def test_the_page_says_which_kinds_can_be_kept_and_by_which_option() -> None:
    rows = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", section("sop_classes"), re.MULTILINE))
    for kind in DROPPABLE:
        says = next(cell for kinds, cell in rows.items() if f"`{kind}`" in kinds)
        assert says.startswith(f"`{KEEPABLE[kind].replace('_', '-') or 'keep'}`" if kind in KEEPABLE else "never"), kind


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"at most {MOST_RULES:,}" in section("Keys")
    assert f"at most {MOST_WORDS:,}" in section("Vocabulary")
    assert f"at most {MOST_OF_A_PATTERN} characters" in section("Conditions")
    assert f"at most {MOST_BYTES:,} bytes" in TEXT
    assert f"which knows {len(attribute_rows())} attributes" in TEXT


@pytest.mark.parametrize(
    "wish",
    [
        "{keyword: PatientBirthName, action: K, reason: x}",
        "{keyword: OtherPatientIDs, action: K, reason: x}",
        "{keyword: SeriesInstanceUID, action: K, reason: x}",
        "{keyword: ContentDate, only: {modality: MR}, action: K, reason: x}",
        '{tag: "(0018,99xx)", action: C, reason: x}',
        "{vr: LO, action: K, reason: x}",
        "{private: {creator: ACME}, action: K, reason: x}",
        '{tag: "(0018,FFFE)", action: K, reason: x}',
        "{keyword: SliceThickness, action: C, reason: x}",
        '{tag: "(50xx,3000)", action: K, reason: x}',
        '{tag: "(6000,3000)", action: X, reason: x}',
        "{keyword: IconImageSequence, action: K, reason: x}",
        "{keyword: IconImageSequence, action: C, reason: x}",
        "{keyword: OriginalAttributesSequence, action: K, reason: x}",
        '{tag: "(0004,1220)", action: X, reason: x}',
        "{keyword: SpecificCharacterSet, action: X, reason: x}",
        "{keyword: SOPClassUID, action: X, reason: x}",
        "{keyword: PixelData, action: X, reason: x}",
    ],
)
def test_what_the_page_says_is_refused_is_refused(wish: str) -> None:
    with pytest.raises(ProfileError, match="line 4: rule 1: "):
        Profile.from_yaml(f"name: wish\nbase: basic\nrules:\n  - {wish}\n")


def test_a_part_on_the_page_is_made_a_whole_profile() -> None:
    parts = [block for block in blocks(TEXT) if block.kind == "yaml" and whole(block) != block.text]
    assert len(parts) > 2
    assert all(Profile.from_yaml(whole(block)).name == "part" for block in parts)


# -- the pages of the shipped profiles ---------------------------------------------------------------------------------


def test_every_shipped_profile_has_a_page() -> None:
    shipped = {path.stem for path in SHIPPED_PROFILES.glob("*.yaml")}
    assert shipped == set(profile_tables.NAMES)
    assert shipped == {path.stem for path in profile_tables.FOLDER.glob("*.md")}
    assert all(f"](profiles/{name}.md)" in TEXT for name in shipped)


@pytest.mark.parametrize("name", profile_tables.NAMES)
def test_the_tables_of_a_page_equal_the_code(name: str) -> None:
    text = profile_tables.page(name).read_text()
    assert text == profile_tables.with_tables_of(name, text), f"{ANEW}profile_tables"


@pytest.mark.parametrize("name", profile_tables.NAMES)
def test_a_page_says_for_whom_it_is_and_what_remains(name: str) -> None:
    text = profile_tables.page(name).read_text()
    assert text.startswith(f"# The profile `{name}`\n")
    assert "**For whom:**" in text
    assert "\n## What remains\n" in text
    assert f"config/profiles/{name}.yaml" in text


def test_every_policy_has_its_words() -> None:
    words = profile_tables.POLICIES
    assert {key: set(values) for key, values in words.items()} == {
        **{key: set(values) for key, values in POLICIES.items()},
        "age": set(AGES),
    }


@pytest.mark.parametrize("name", profile_tables.NAMES)
def test_the_example_of_a_page_shows_no_name_and_no_number_of_the_patient(name: str) -> None:
    rows = [row.split(" | ") for row in profile_tables.example(name).splitlines()[2:]]
    assert any("Testperson" in row[1] for row in rows)
    for row in rows:
        assert not re.search("Testperson|Nirgendwo|Erfundene|700123|900001|1957", " ".join(row[2:])), row[0]


def test_strict_and_teaching_keep_no_date_of_the_original() -> None:
    assert "20240229 | 20240229" in profile_tables.example("research-dates")
    for name in ("strict", "teaching"):
        assert not re.search(r"\| 20240229 \|$", profile_tables.example(name), re.MULTILINE)


def test_research_dates_does_with_each_class_what_teaching_does() -> None:
    classes = [uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and is_storage(uid)]
    assert len(classes) > 100
    teaching, research = profile_tables.profile("teaching"), profile_tables.profile("research-dates")
    assert [fate(uid, research) for uid in classes] == [fate(uid, teaching) for uid in classes]


def test_a_folder_of_the_site_goes_first(tmp_path: Path) -> None:
    """What the page says of names: the site's own goes before ours, and cannot be built on ours of that name."""
    (tmp_path / "strict.yaml").write_text("name: strict\nbase: strict\n")
    text = profile_text("strict", Settings(profiles_dir=tmp_path))
    with pytest.raises(ProfileError, match="the bases go round in a circle"):
        Profile.from_yaml(text)
