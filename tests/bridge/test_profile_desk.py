"""The desk on both databases: who decides at the same time does so one after the other, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.profile_desk import BridgeProfiles
from cases.errors import (
    InvalidChangeError,
    InvalidTransitionError,
    ProfileNotKnownError,
    StoreUnavailableError,
    VersionConflictError,
)
from cases.profiles import Meaning, Origin, ProfileSource
from cases.store import Audit, Database, Profiles
from config import Settings, load_settings
from deidentify.errors import ProfileError
from deidentify.profile_facts import Question

MINE = "name: mine\nbase: teaching\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "profiles"
    folder.mkdir()
    return load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path), "CASEBRIDGE_PROFILES_DIR": str(folder)})


@pytest.fixture
def desk(settings: Settings, database: Database) -> BridgeProfiles:
    return BridgeProfiles(settings, database)


def text(number: int, body: str = MINE) -> ProfileSource:
    return ProfileSource(text=f"{body}description: {number}\n")


def test_of_many_who_replace_the_same_revision_one_does(desk: BridgeProfiles, database: Database) -> None:
    first = desk.publish("one", text(0)).revision

    def replace(number: int) -> Meaning | None:
        try:
            return desk.publish(f"number {number}", text(number), replaces=first)
        except VersionConflictError:
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [one for one in pool.map(replace, range(1, 9)) if one is not None]

    assert len(done) == 1
    with database.read() as session:
        assert [one.revision for one in Profiles(session).publications("mine")] == [done[0].revision, first]
        assert len(Audit(session).entries(actions=["profile.publish"])) == 2


def test_a_base_that_is_published_meanwhile_is_not_passed_over(
    desk: BridgeProfiles, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish("one", text(0, "name: site\nbase: basic\n"))
    original = BridgeProfiles._writing

    def after_another(self: BridgeProfiles) -> object:
        monkeypatch.setattr(BridgeProfiles, "_writing", original)
        desk.publish("another", text(1, "name: site\nbase: basic\n"))
        return original(self)

    monkeypatch.setattr(BridgeProfiles, "_writing", after_another)
    with pytest.raises(VersionConflictError, match="built on was changed meanwhile"):
        desk.publish("one", text(0, "name: mine\nbase: site\n"))
    with database.read() as session:
        assert Profiles(session).publications("mine") == []


def test_without_a_database_files_are_shown_and_nothing_is_decided(settings: Settings) -> None:
    desk = BridgeProfiles(settings, None)
    assert {one.name for one in desk.listed()} == {"teaching", "strict", "research-dates"}
    shown = desk.named("strict").shown
    assert shown is not None
    assert shown.source.origin is Origin.FILE
    assert desk.publications() == ()
    assert [one.profile for one in desk.routes()] == ["teaching"]
    assert desk.route_history("NEURO", "*") == ()
    with pytest.raises(ProfileNotKnownError):
        desk.profile(ProfileSource(revision="0" * 16))
    with pytest.raises(StoreUnavailableError):
        desk.publish("one", text(0))
    with pytest.raises(StoreUnavailableError):
        desk.set_route("one", "NEURO", "*", name="strict")


def test_the_routes_of_the_settings_are_shown_where_nothing_goes_before_them(
    tmp_path: Path, database: Database
) -> None:
    (tmp_path / "casebridge.toml").write_text(
        '[[routes]]\ncalled_ae = "A"\nprofile = "strict"\n'
        '[[routes]]\ncalled_ae = "B"\ncalling_ae = "CT1"\n'
        '[[routes]]\ncalled_ae = "B"\ncalling_ae = "MR1"\nprofile = "gone"\n'
    )
    (tmp_path / "gone.yaml").write_text("name: gone\nbase: basic\n")
    environ = {"CASEBRIDGE_DATA_DIR": str(tmp_path), "CASEBRIDGE_PROFILES_DIR": str(tmp_path)}
    desk = BridgeProfiles(load_settings(environ, tmp_path / "casebridge.toml"), database)
    (tmp_path / "gone.yaml").unlink()

    def told() -> set[tuple[str, str, str, bool]]:
        return {(one.called_ae, one.calling_ae, one.profile, bool(one.means)) for one in desk.routes()}

    of_settings = {("B", "CT1", "teaching", True), ("B", "MR1", "gone", False), ("*", "*", "teaching", True)}
    assert told() == {("A", "*", "strict", True)} | of_settings
    desk.set_route("one", "A ", "*", name="teaching")
    assert told() == {("A", "*", "teaching", True)} | of_settings
    desk.set_route("one", "B", "*", name="strict")
    assert told() == {("A", "*", "teaching", True), ("B", "*", "strict", True), ("*", "*", "teaching", True)}


def test_a_revision_has_to_be_of_the_profile_that_is_named(desk: BridgeProfiles) -> None:
    done = desk.publish("one", text(0))
    assert desk.profile(ProfileSource(name="mine", revision=done.revision[:6])).revision == done.revision
    with pytest.raises(InvalidChangeError, match="is of the profile mine"):
        desk.profile(ProfileSource(name="strict", revision=done.revision))


def test_an_older_revision_is_published_again_by_its_number(desk: BridgeProfiles) -> None:
    first = desk.publish("one", text(0)).revision
    second = desk.publish("one", text(1)).revision
    done = desk.publish("one", ProfileSource(revision=first))
    assert (done.revision, done.before, done.is_changed) == (first, second, True)


def test_what_cannot_be_done_has_a_sentence_and_does_nothing(
    desk: BridgeProfiles, settings: Settings, database: Database
) -> None:
    assert settings.profiles_dir is not None
    (settings.profiles_dir / "odd.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidChangeError, match="more than 200 characters"):
        desk.publish("one", text(0), note="x" * 201)
    with pytest.raises(InvalidTransitionError, match="cannot be read"):
        desk.publish("one", text(0, "name: mine\nbase: odd\n"))
    with pytest.raises(InvalidTransitionError, match="cannot be read"):
        desk.profile(ProfileSource(name="odd"))
    with pytest.raises(ProfileError):
        desk.explained(ProfileSource(text="name: x\n"), Question())
    with pytest.raises(InvalidTransitionError, match="no earlier publication"):
        desk.roll_back("one", "strict")
    with database.read() as session:
        assert Profiles(session).published_names() == []
        assert Audit(session).entries() == ()
