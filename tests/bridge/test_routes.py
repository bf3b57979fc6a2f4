"""Where a study goes, by the two AE titles of its association."""

import json
from pathlib import Path

from bridge.routes import destination_for
from config import Settings, load_settings

ROUTES = [
    {"called_ae": "ALICE", "owner": "alice", "hospital": "North", "quiet_period_s": 5, "max_settle_s": 50},
    {"calling_ae": "PACS2", "called_ae": "ALICE", "owner": "bob"},
    {"calling_ae": "PACS3", "profile": "strict"},
]


def settings(folder: Path) -> Settings:
    return load_settings({"CASEBRIDGE_DATA_DIR": str(folder), "CASEBRIDGE_ROUTES": json.dumps(ROUTES)})


def test_a_study_without_a_route_goes_to_the_inbox(tmp_path: Path) -> None:
    found = destination_for(settings(tmp_path), "PACS1", "CASEBRIDGE")

    assert (found.owner, found.profile, found.hospital) == (None, "teaching", "")


def test_the_closest_route_gives_owner_profile_hospital_and_quiet_period(tmp_path: Path) -> None:
    chosen = settings(tmp_path)

    alice, bob, strict = (
        destination_for(chosen, *titles) for titles in (("PACS1", "ALICE"), ("PACS2", "ALICE"), ("PACS3", "CASEBRIDGE"))
    )

    assert (alice.owner, alice.hospital, alice.quiet_period_s, alice.max_settle_s) == ("alice", "North", 5, 50)
    assert (bob.owner, bob.hospital) == ("bob", "")
    assert (strict.owner, strict.profile) == (None, "strict")


def test_senders_to_one_owner_share_a_destination_and_owners_do_not(tmp_path: Path) -> None:
    chosen = settings(tmp_path)

    ids = {
        titles: destination_for(chosen, *titles).id
        for titles in (("PACS1", "ALICE"), ("PACS9", "ALICE"), ("PACS2", "ALICE"), ("PACS1", "CASEBRIDGE"))
    }

    assert ids["PACS1", "ALICE"] == ids["PACS9", "ALICE"]
    assert len(set(ids.values())) == 3


def test_a_destination_id_says_nothing_and_stays_the_same(tmp_path: Path) -> None:
    first, again = (destination_for(settings(tmp_path), "PACS1", "ALICE").id for _ in range(2))

    assert first == again
    assert len(first) == 12
    assert int(first, 16) >= 0
