"""A case keeps the revision it was begun under; a new one gets what its route, its profile or the file means."""

from pathlib import Path

import pytest

from bridge.app import check_profiles
from bridge.keys import SecretError
from bridge.profile_book import ProfileBook, ProfileNotPublishedError, laid_out, lay_out, revision_of
from cases.errors import StoreUnavailableError
from cases.profiles import ProfileRevision
from cases.store import Cases, Database, Intake, Profiles
from config import load_settings
from deidentify.errors import ProfileError
from tests.bridge.books import book, shipped
from tests.cases.world import INBOX, arrival

OTHER = revision_of("name: other\nbase: basic\n")
NEWER = revision_of("name: other\nbase: basic\ndates: remove\n")


def for_route(database: Database, calling: str = "PACS", called: str = "CASEBRIDGE") -> str:
    with database.write() as session:
        return book("teaching").for_route(Profiles(session), calling, called, "teaching").revision


def test_without_a_publication_the_file_counts_and_its_text_is_kept(database: Database) -> None:
    assert for_route(database) == shipped().revision
    with database.read() as session:
        assert Profiles(session).revision(shipped().revision).text == shipped().text


def test_a_published_revision_goes_before_the_file_and_the_newest_before_others(database: Database) -> None:
    published = revision_of("name: teaching\nbase: basic\n")
    with database.write() as session:
        Profiles(session).publish(published, actor="somebody")
    assert for_route(database) == published.revision


def test_a_route_follows_its_profile_or_stays_with_a_pinned_revision(database: Database) -> None:
    with database.write() as session:
        profiles = Profiles(session)
        profiles.publish(OTHER, actor="somebody")
        profiles.set_route("CASEBRIDGE", "*", "other", "", actor="somebody")
        profiles.set_route("CASEBRIDGE", "CT1", "other", OTHER.revision, actor="somebody")
    assert for_route(database) == OTHER.revision
    with database.write() as session:
        Profiles(session).publish(NEWER, actor="somebody")
    assert for_route(database) == NEWER.revision
    assert for_route(database, calling="CT1") == OTHER.revision
    assert for_route(database, called="ELSEWHERE") == shipped().revision


def test_a_name_that_is_neither_published_nor_a_file_waits(database: Database) -> None:
    with database.write() as session:
        profiles = Profiles(session)
        with pytest.raises(ProfileNotPublishedError, match="was not published"):
            book("teaching").for_route(profiles, "PACS", "CASEBRIDGE", "gone")


def test_a_draft_keeps_its_revision_when_late_images_come(database: Database) -> None:
    with database.write() as session:
        [key] = Intake(session).record([arrival("study", "one")], destination=INBOX)
        first = Cases(session).open_shell(key, OTHER)
        second = Cases(session).open_shell(key, NEWER)
    assert (first.profile_revision, second.profile_revision) == (OTHER.revision, OTHER.revision)
    assert second.case_id == first.case_id


def test_a_draft_from_before_revisions_were_kept_gets_one(database: Database) -> None:
    with database.write() as session:
        [key] = Intake(session).record([arrival("study", "one")], destination=INBOX)
        assert Cases(session).open_shell(key).profile_revision == ""
        assert Cases(session).open_shell(key, NEWER).profile_revision == NEWER.revision
        assert Profiles(session).cases_under(NEWER.revision) == 1


def test_a_text_that_was_changed_on_the_host_is_not_used(tmp_path: Path) -> None:
    lay_out(tmp_path / "in", OTHER)
    lay_out(tmp_path / "in", OTHER)
    assert laid_out(tmp_path / "in", OTHER.revision).name == "other"
    with pytest.raises(StoreUnavailableError, match="not on this host"):
        laid_out(tmp_path / "in", NEWER.revision)
    (tmp_path / "in" / f"{OTHER.revision}.yaml").write_text(NEWER.text)
    with pytest.raises(StoreUnavailableError, match="was changed"):
        laid_out(tmp_path / "in", OTHER.revision)


def test_a_worker_does_not_start_with_a_wrong_profile(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nbase: basic\nsurprise: 1\n")
    environ = {"CASEBRIDGE_DATA_DIR": str(tmp_path), "CASEBRIDGE_PROFILES_DIR": str(tmp_path)}
    with pytest.raises(ProfileError, match="unknown key 'surprise'"):
        ProfileBook.of(load_settings(environ | {"CASEBRIDGE_PROFILE": "mine"}))
    found = ProfileBook.of(load_settings(environ))
    assert found.files["teaching"].revision == shipped().revision


def test_nothing_starts_with_a_wrong_profile_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nbase: teaching\nsurprise: 1\n")
    settings = load_settings(
        {
            "CASEBRIDGE_DATA_DIR": str(tmp_path),
            "CASEBRIDGE_PROFILES_DIR": str(tmp_path),
            "CASEBRIDGE_PROFILE": "mine",
        }
    )
    with pytest.raises(SecretError, match="line 3: unknown key 'surprise'"):
        check_profiles(settings)


def test_a_worker_says_once_how_many_lines_of_a_recipe_loosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe = "recipe_file: a.recipe\nrecipe_text: |2\n  %header\n  KEEP StationName\n  KEEP PatientName\n"
    loose = revision_of(f"name: loose\nbase: basic\nrecipe: {{file: a.recipe, allow_loosening: why}}\n---\n{recipe}")
    tight = revision_of(f"name: tight\nbase: basic\nrecipe: a.recipe\n---\n{recipe}")
    worker = book("teaching")
    for one in (tight, loose, loose, shipped()):
        worker.begin(tmp_path, one)
        assert laid_out(tmp_path, one.revision).name == one.name
    (record,) = caplog.records
    assert (record.__dict__["profile"], record.__dict__["revision"]) == ("loose", loose.revision)
    assert record.__dict__["loosened_lines"] == 1
    assert "Station" not in str(record.__dict__)
    book("teaching").begin(tmp_path, loose)
    assert len(caplog.records) == 2


def test_a_kept_text_that_can_no_longer_be_read_is_left_to_those_who_use_it(tmp_path: Path) -> None:
    book("teaching").begin(tmp_path, ProfileRevision(name="old", revision="0" * 16, text="name: old\n"))
    assert (tmp_path / f"{'0' * 16}.yaml").read_text() == "name: old\n"
