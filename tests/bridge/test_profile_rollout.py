"""Publish, use, roll back: one command each, in the audit log, and the next case follows."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.__main__ import main
from bridge.app import open_database
from bridge.profile_book import ProfileBook
from cases.store import Audit, Profiles
from config import Settings, load_settings

MINE = "name: mine\nbase: teaching\nrules:\n  - {keyword: DeviceSerialNumber, action: K, reason: we need it}\n"
MINE_TOO = MINE + "  - {keyword: SoftwareVersions, action: X, reason: nobody needs it}\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["profile", *words], env={"COLUMNS": "160"})


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


def revision_for(settings: Settings, calling: str = "PACS", called: str = "NEURO") -> tuple[str, str]:
    with open_database(settings) as database, database.write() as session:
        found = ProfileBook.of(settings).for_route(Profiles(session), calling, called, "teaching")
        return found.name, found.revision


def actions(settings: Settings) -> list[tuple[str, str]]:
    with open_database(settings) as database, database.read() as session:
        return [(one.action, one.subject) for one in Audit(session).entries()]


def test_a_profile_is_published_used_and_taken_back(settings: Settings, tmp_path: Path) -> None:
    published = call("publish", written(tmp_path, MINE), "--note", "device for the physicists")
    assert published.exit_code == 0, published.output
    assert call("use", "mine", "--called", "NEURO").exit_code == 0
    name, first = revision_for(settings)
    assert name == "mine"
    assert first in published.output
    assert revision_for(settings, called="OTHER")[0] == "teaching"

    assert "profile rollback mine" in call("publish", written(tmp_path, MINE_TOO)).output
    assert revision_for(settings)[1] != first
    assert f"means {first} again" in call("rollback", "mine").output
    assert revision_for(settings) == ("mine", first)

    back = call("rollback", "--called", "NEURO")
    assert "the profile of the settings again" in back.output
    assert revision_for(settings)[0] == "teaching"
    assert [action for action, _ in actions(settings)] == [
        "profile.publish",
        "profile.route",
        "profile.publish",
        "profile.rollback",
        "profile.route",
    ]


def test_a_route_can_be_pinned_to_a_revision_and_to_a_sender(settings: Settings, tmp_path: Path) -> None:
    call("publish", written(tmp_path, MINE))
    with open_database(settings) as database, database.read() as session:
        found = Profiles(session).newest("mine")
    assert found is not None
    done = call("use", f"mine@{found.revision[:8]}", "--called", "NEURO", "--calling", "MR1")
    assert "pinned to" in done.output
    call("publish", written(tmp_path, MINE_TOO))
    assert revision_for(settings, calling="MR1") == ("mine", found.revision)
    assert revision_for(settings)[0] == "teaching"
    assert call("use", f"teaching@{found.revision[:8]}", "--called", "NEURO").exit_code == 1


def test_a_file_profile_is_published_with_the_route_that_uses_it(settings: Settings) -> None:
    assert call("use", "strict", "--called", "NEURO").exit_code == 0
    assert revision_for(settings)[0] == "strict"
    assert call("use", "nothing", "--called", "NEURO").exit_code == 1


def test_the_history_tells_who_when_and_how_many_cases(settings: Settings, tmp_path: Path) -> None:
    assert "Nothing was published" in call("history").output
    call("publish", written(tmp_path, MINE), "--note", "for the physicists")
    call("use", "mine", "--called", "NEURO")
    told = json.loads(call("history", "--json").output)
    [publication] = told["publications"]
    assert (publication["name"], publication["note"], publication["cases"]) == ("mine", "for the physicists", 0)
    assert publication["published_by"].startswith("command-line")
    [route] = told["routes"]
    assert (route["called_ae"], route["calling_ae"], route["name"]) == ("NEURO", "*", "mine")
    assert "for the physicists" in call("history", "mine").output


def test_a_wrong_profile_is_not_published_and_the_running_one_stays(settings: Settings, tmp_path: Path) -> None:
    before = revision_for(settings)
    done = call("publish", written(tmp_path, "name: teaching\nbase: basic\nsurprise: 1\n"))
    assert done.exit_code == 2
    assert "unknown key 'surprise'" in done.output
    assert revision_for(settings) == before
    assert actions(settings) == []


def test_what_cannot_be_taken_back_says_so(settings: Settings, tmp_path: Path) -> None:
    assert call("rollback").exit_code == 2
    assert call("rollback", "mine").exit_code == 1
    assert call("rollback", "--called", "NEURO").exit_code == 1
    path = written(tmp_path, MINE)
    call("publish", path)
    assert "nothing was changed" in call("publish", path).output


def test_what_a_recipe_loosens_is_counted_in_the_audit_log_when_it_is_published(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "ct-room.recipe").write_text("%header\nKEEP StationName\nKEEP StudyDescription\nKEEP PatientName\n")
    named = "recipe: {file: ct-room.recipe, allow_loosening: We compare.}\n"
    published = call("publish", written(tmp_path, f"name: mine\nbase: basic\n{named}"))
    assert published.exit_code == 0, published.output
    with open_database(settings) as database, database.write() as session:
        (entry,) = [one for one in Audit(session).entries() if one.action == "profile.publish"]
        text = Profiles(session).revision(str(entry.detail["revision"])).text
    assert entry.detail["loosened"] == 2
    assert "recipe_text: |2\n  %header\n  KEEP StationName\n" in text
    assert "means" in call("publish", written(tmp_path, text)).output
    assert "already; nothing was changed" in call("publish", written(tmp_path, text)).output
