"""Profiles as files: the site's folder before ours, bases behind what is built on them, and what cannot be read."""

from pathlib import Path

import pytest

from config import ConfigError, load_settings
from config.profile_files import has_profile, profile_names, profile_text, read_text, unknown_profile, with_bases
from config.settings import SHIPPED_PROFILES, Settings
from deidentify.errors import ProfileError
from deidentify.profile import Profile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


@pytest.fixture
def settings(folder: Path) -> Settings:
    return load_settings({"CASEBRIDGE_PROFILES_DIR": str(folder)})


def put(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_the_shipped_profiles_are_there_without_a_folder_of_the_site():
    settings = load_settings({})
    assert set(profile_names(settings)) == {path.stem for path in SHIPPED_PROFILES.glob("*.yaml")}
    assert "teaching" in profile_names(settings)
    assert Profile.from_yaml(profile_text("research-dates", settings)).bases == ("teaching",)


def test_the_sites_own_profile_goes_before_a_shipped_one_of_that_name(settings, folder):
    put(folder, "teaching", "name: teaching\nbase: basic\ndescription: ours\n")
    put(folder, "mine", "name: mine\nbase: teaching\n")
    assert profile_names(settings)["teaching"] == folder / "teaching.yaml"
    assert Profile.from_yaml(profile_text("teaching", settings)).description == "ours"
    assert profile_text("mine", settings).endswith("---\nname: teaching\nbase: basic\ndescription: ours\n")
    # A shipped profile that is built on it follows.
    assert Profile.from_yaml(profile_text("research-dates", settings)).rules == ()


@pytest.mark.parametrize(
    "line",
    [
        "base: teaching",
        'base: "teaching"',
        "base: 'teaching'  # ours",
        "base:   teaching\t",
        "base: teaching\r",
        "base : teaching",
    ],
)
def test_the_base_is_found_however_it_is_written(settings, line):
    text = with_bases(f"{line}\nname: mine\n", settings)
    assert Profile.from_yaml(text).bases == ("teaching",)


@pytest.mark.parametrize("text", ["name: mine\nbase: basic\n", "name: mine\n", "", "name: mine\nbase: nobody\n"])
def test_a_text_without_a_base_that_is_there_stays_as_it_is(settings, text):
    assert with_bases(text, settings) == text


def test_what_is_called_base_elsewhere_is_none(settings):
    text = "name: mine\ndescription: |\n  base: teaching\nbase: basic\n# base: strict\n"
    assert with_bases(text, settings) == text


def test_bases_of_bases_come_along_in_order(settings, folder):
    put(folder, "one", "name: one\nbase: two\n")
    put(folder, "two", "---\nname: two\nbase: teaching\nrules:\n  - {keyword: KVP, action: X, reason: r}\n")
    found = Profile.from_yaml(profile_text("one", settings))
    assert found.bases == ("teaching", "two")
    assert found.rules[-1].place == "two, line 5"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"mine": "name: mine\nbase: mine\n"}, "circle by way of 'mine'"),
        ({"mine": "name: mine\nbase: other\n", "other": "name: other\nbase: mine\n"}, "in a circle"),
        ({"mine": "name: mine\nbase: other\n"}, "line 2: there is no profile 'other' to build on"),
        ({"mine": "name: mine\nbase: other\n", "other": "name: else\nbase: basic\n"}, "there is no profile 'other'"),
    ],
)
def test_circles_and_gaps_are_left_to_the_reader_of_the_profile(settings, folder, files, sentence):
    for name, text in files.items():
        put(folder, name, text)
    with pytest.raises(ProfileError, match=sentence):
        Profile.from_yaml(profile_text("mine", settings))


def test_a_long_chain_ends_and_is_refused(settings, folder):
    for number in range(20):
        put(folder, f"p{number}", f"name: p{number}\nbase: p{number + 1}\n")
    text = profile_text("p0", settings)
    assert text.count("name:") == 8
    with pytest.raises(ProfileError, match="there is no profile 'p8'"):
        Profile.from_yaml(text)


def test_a_profile_that_is_not_there_is_told_with_those_that_are(settings):
    assert not has_profile("nobody", settings)
    with pytest.raises(ConfigError) as caught:
        profile_text("nobody", settings)
    assert unknown_profile("nobody", settings) in str(caught.value)
    assert "research-dates, strict, teaching" in str(caught.value)


@pytest.mark.parametrize("content", ["name: müller".encode("latin-1"), b"\xff\xfe\0", b"\x80"])
def test_a_file_that_is_no_text_is_told_by_its_name(settings, folder, content):
    (folder / "odd.yaml").write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"odd\.yaml: cannot be read \(UnicodeDecodeError\); make it a readable UTF-8"
    ):
        profile_text("odd", settings)
    put(folder, "mine", "name: mine\nbase: odd\n")
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        profile_text("mine", settings)


def test_a_file_that_is_not_there_is_told_by_its_name(folder):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(FileNotFoundError\)"):
        read_text(folder / "none.yaml")


@pytest.mark.parametrize(
    "text", ["{name: mine, base: teaching}", "{base: 'teaching', name: mine}\n", "{\nbase: teaching\n, name: mine}"]
)
def test_the_base_is_found_in_braces_too(settings, text):
    assert Profile.from_yaml(with_bases(text, settings)).bases == ("teaching",)


def test_what_was_published_goes_before_the_file_and_brings_its_own_bases(settings, folder):
    put(folder, "site", "name: site\nbase: teaching\n")
    published = {"site": "name: site\nbase: low\n---\nname: low\nbase: basic\ndates: remove\n"}
    found = Profile.from_yaml(with_bases("name: mine\nbase: site\n", settings, published=published.get))
    assert (found.bases, found.dates) == (("low", "site"), "remove")
    # A file in between is one that nobody published.
    put(folder, "middle", "name: middle\nbase: site\n")
    assert (
        Profile.from_yaml(with_bases("name: mine\nbase: middle\n", settings, published=published.get)).dates == "remove"
    )


@pytest.mark.parametrize("end", ["", "---\n", "---\n# nothing\n", "--- # nothing\n"])
def test_a_text_that_has_its_bases_already_stays_as_it_is(settings, end):
    whole = f"name: mine\nbase: teaching\n---\nname: teaching\nbase: basic\n{end}"
    assert with_bases(whole, settings) == whole


def test_a_text_with_some_of_its_bases_gets_the_others(settings):
    text = "name: mine\nbase: site\n---\nname: site\nbase: teaching\n"
    assert Profile.from_yaml(with_bases(text, settings)).bases == ("teaching", "site")


def test_a_profile_is_not_built_on_an_older_text_of_its_own_name(settings):
    published = {"site": "name: site\nbase: mine\n---\nname: mine\nbase: basic\n"}
    with pytest.raises(ProfileError, match=r"^site, line 2: the bases go round in a circle by way of 'mine'"):
        Profile.from_yaml(with_bases("name: mine\nbase: site\n", settings, published=published.get))
