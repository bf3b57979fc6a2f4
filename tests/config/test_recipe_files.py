"""Recipes beside profiles: which file is meant, and a text that comes back as it was whatever stands in it."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config import ConfigError, Settings, load_settings
from config import recipe_files as files
from config.profile_files import profile_text, with_bases
from deidentify import recipe_document
from deidentify.errors import ProfileError
from deidentify.profile import Profile

RECIPE = "FORMAT dicom\n%header\nREMOVE StudyDescription\n"
PROFILE = "name: mine\nbase: teaching\nrecipe: ct-room.recipe\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


@pytest.fixture
def site(folder: Path) -> Settings:
    return load_settings({"CASEBRIDGE_PROFILES_DIR": str(folder)})


def put(folder: Path, profile: str = PROFILE, recipe: str = RECIPE, *, name: str = "mine") -> None:
    (folder / f"{name}.yaml").write_text(profile, encoding="utf-8")
    (folder / "ct-room.recipe").write_text(recipe, encoding="utf-8")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=80) | st.text("ab#:-%'\"|> \t\n\u2028\u00a0", max_size=40))
@example(RECIPE)
@example("  %header\n\n\n REMOVE a\n")
@example("\n\n%header\n")
@example("---\nname: other\nbase: basic\n...\n")
@example("a\n   \n")
@example("")
@example("a\tb\n\tc")
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_a_text_comes_back_as_it_was(loader, text):
    text = text.encode("utf-8", "ignore").decode()
    document = files.as_document("ct-room.recipe", text)
    # As it stands in the middle of a text.
    _, read, _ = yaml.load_all(f"a: b\n---\n{document.rstrip()}\n---\nc: d\n", loader)
    assert read == {"recipe_file": "ct-room.recipe", "recipe_text": text}


def test_a_recipe_travels_in_lines_behind_the_profile_that_names_it(site, folder):
    put(folder)
    text = profile_text("mine", site)
    document = (
        "recipe_file: ct-room.recipe\nrecipe_text: |2\n  FORMAT dicom\n  %header\n  REMOVE StudyDescription\n---\n"
    )
    assert text.startswith(f"{PROFILE}---\n{document}")
    assert Profile.from_yaml(text).code(0x00081030) == "X"


def test_what_travels_is_not_added_to_again(site, folder):
    put(folder)
    text = profile_text("mine", site)
    assert with_bases(text, site, folder) == text
    assert with_bases(text, site) == text


def test_one_byte_of_the_recipe_is_another_revision(site, folder):
    put(folder)
    before = Profile.from_yaml(profile_text("mine", site)).revision
    for recipe in (RECIPE + "\n", RECIPE + "#", RECIPE.replace("dicom", "DICOM"), RECIPE.rstrip("\n")):
        put(folder, recipe=recipe)
        assert Profile.from_yaml(profile_text("mine", site)).revision != before
    put(folder)
    assert Profile.from_yaml(profile_text("mine", site)).revision == before


def test_the_recipe_of_a_base_comes_along_behind_the_base(site, folder):
    put(folder, PROFILE.replace("mine", "below"), name="below")
    put(folder, "name: mine\nbase: below\n")
    found = Profile.from_yaml(profile_text("mine", site))
    assert found.rules[-1].place == "below, ct-room.recipe, line 3"
    assert found.code(0x00081030) == "X"


@pytest.mark.parametrize(
    "named",
    [
        "recipe: 'ct-room.recipe'",
        "recipe: {file: ct-room.recipe}",
        "recipe:\n  allow_loosening: why\n  file: ct-room.recipe",
        'recipe: {allow_loosening: "a, b", file: "ct-room.recipe"}',
    ],
)
def test_a_recipe_is_found_however_it_is_named(site, folder, named):
    put(folder, f"{named}\nname: mine\nbase: teaching\n")
    assert Profile.from_yaml(profile_text("mine", site)).recipes[0].called == "ct-room.recipe"


@pytest.mark.parametrize(
    "name", ["../ct-room.recipe", "/etc/hostname", "a/b", "..", ".hidden", "", "a\\b", "x" * 65, "ct room.recipe", "-a"]
)
def test_a_name_that_leads_elsewhere_is_refused_and_no_file_is_read(site, folder, name):
    put(folder, f"name: mine\nbase: teaching\nrecipe: {name!r}\n")
    (folder.parent / "ct-room.recipe").write_text(RECIPE, encoding="utf-8")
    text = profile_text("mine", site)
    assert "recipe_text" not in text
    with pytest.raises(ProfileError, match="line 3: the recipe lies beside the profile: a file name of"):
        Profile.from_yaml(text)
    assert files.FILE_NAME.pattern == recipe_document.FILE_NAME.pattern


def test_a_recipe_that_is_not_there_is_a_fault_of_the_line_that_names_it(site, folder):
    put(folder)
    (folder / "ct-room.recipe").unlink()
    with pytest.raises(ProfileError, match=r"line 3: the recipe 'ct-room\.recipe' is not there; lay it beside"):
        Profile.from_yaml(profile_text("mine", site))
    (folder / "ct-room.recipe").mkdir()
    with pytest.raises(ProfileError, match=r"line 3: the recipe 'ct-room\.recipe' is not there"):
        Profile.from_yaml(profile_text("mine", site))


def test_a_text_that_is_no_file_has_no_recipe_beside_it(site, folder):
    put(folder)
    with pytest.raises(ProfileError, match=r"line 3: the recipe 'ct-room\.recipe' is not there"):
        Profile.from_yaml(with_bases(PROFILE, site))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"%header\nREMOVE \xe4\n", "cannot be read (UnicodeDecodeError); make it a readable UTF-8 text."),
        (b"#" * 1_000_001, "has more than 1,000,000 bytes"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_told_with_its_file_and_line(site, folder, content, sentence):
    put(folder)
    (folder / "ct-room.recipe").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        profile_text("mine", site)
    assert f"Recipe {folder}/ct-room.recipe, which line 3 of the profile names: {sentence}" in str(caught.value)


def test_lines_end_as_in_the_profile_itself_whatever_the_editor_wrote(site, folder):
    put(folder)
    plain = profile_text("mine", site)
    (folder / "ct-room.recipe").write_bytes(b"\xef\xbb\xbf" + RECIPE.replace("\n", "\r\n").encode())
    assert profile_text("mine", site) == plain


def test_a_pipe_is_no_recipe(site, folder):
    put(folder)
    (folder / "ct-room.recipe").unlink()
    os.mkfifo(folder / "ct-room.recipe")
    assert "recipe_text" not in profile_text("mine", site)


def test_a_base_that_leads_elsewhere_is_not_read(site, folder):
    (folder.parent / "secret.yaml").write_text("name: secret\nbase: basic\n")
    put(folder, "name: mine\nbase: ../secret\n")
    assert profile_text("mine", site) == "name: mine\nbase: ../secret\n"


@pytest.mark.parametrize(
    "text", ["a: [", "&a [*a]", "[" * 3000, "a: *b\n", "? [a]\n: b\nname: c\n", "\0", "- a\n- b\n"]
)
def test_what_is_no_profile_names_nothing_and_stays_as_it_is(site, folder, text):
    assert with_bases(text, site, folder) == text
