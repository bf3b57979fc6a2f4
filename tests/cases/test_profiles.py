"""Revisions never change; what a name and a route mean is decided by the latest row, and told with who did it."""

import pytest

from cases.errors import ProfileNotKnownError
from cases.profiles import ProfileRevision
from cases.store import Database, Profiles

FIRST = ProfileRevision(name="mine", revision="a" * 16, text="name: mine")
SECOND = ProfileRevision(name="mine", revision="ab" * 8, text="name: mine # second")


def test_a_revision_is_kept_once_and_found_by_its_beginning(database: Database) -> None:
    with database.write() as session:
        profiles = Profiles(session)
        profiles.keep(FIRST)
        profiles.keep(ProfileRevision(name="mine", revision="a" * 16, text="another text"))
        assert profiles.revision("aaaa") == FIRST
        profiles.keep(SECOND)
        for beginning in ("a", "c", "%"):
            with pytest.raises(ProfileNotKnownError):
                profiles.revision(beginning)


def test_the_latest_publication_counts_and_going_back_is_one_too(database: Database) -> None:
    with database.write() as session:
        profiles = Profiles(session)
        assert profiles.newest("mine") is None
        profiles.publish(FIRST, actor="one")
        profiles.publish(SECOND, actor="two", note="keeps the kernel")
        assert profiles.newest("mine") == SECOND
        profiles.publish(FIRST, actor="three")
        assert profiles.newest("mine") == FIRST
        told = [(one.revision, one.published_by, one.note) for one in profiles.publications("mine")]
        assert told == [
            (FIRST.revision, "three", ""),
            (SECOND.revision, "two", "keeps the kernel"),
            (FIRST.revision, "one", ""),
        ]
        assert profiles.published_names() == ["mine"]


def test_a_route_has_what_was_set_last_and_the_settings_when_that_was_taken_back(database: Database) -> None:
    with database.write() as session:
        profiles = Profiles(session)
        assert profiles.route("CT1", "NEURO") is None
        profiles.set_route("NEURO", "*", "mine", "", actor="one")
        profiles.set_route("NEURO", "CT1", "mine", FIRST.revision, actor="one")
        assert profiles.route("CT1", "NEURO").revision == FIRST.revision
        assert profiles.route("MR1", "NEURO").revision == ""
        profiles.set_route("NEURO", "CT1", "", "", actor="two")
        assert profiles.route("CT1", "NEURO").calling_ae == "*"
        assert [one.calling_ae for one in profiles.routes()] == ["*"]
        assert [one.name for one in profiles.route_history("NEURO", "CT1")] == ["", "mine"]
