"""What the API says of a draft that a teaching file began, and what its owner may change."""

import pytest

from cases.store import Manifests
from deidentify.results import DelayReason, TeachingText


@pytest.fixture
def case_id(world, picture):
    made = world.study("owner", [picture])
    text = TeachingText(
        title="Acute appendicitis", tags=("appendix",), categories=("TCE304",), level="TCE201",
        delay=DelayReason.FINAL_REPORT, withheld=4,
    )  # fmt: skip
    with world.database.write() as session:
        Manifests(session).prefill(made, text)
    return made


def test_what_came_with_the_case_is_shown(as_user, owner, case_id):
    case = as_user(owner).get(f"/api/v1/cases/{case_id}").json()
    assert (case["title"], case["tags"], case["systems"]) == ("Acute appendicitis", ["appendix"], ["Gastrointestinal"])
    assert (case["level"], case["hold_reason"], case["withheld_words"]) == ("primary", "final-report", 4)
    assert case["related_case_ids"] == []
    [image] = case["studies"][0]["series"][0]["images"]
    assert (image["is_selected"], image["is_key"], image["key_position"], image["key_frames"]) == (
        True,
        False,
        None,
        [],
    )
    alone = as_user(owner).get(f"/api/v1/cases/{case_id}/images/{image['id']}").json()
    assert alone["is_selected"] is True


def test_the_owner_clears_the_hold_and_changes_the_rest(as_user, owner, case_id):
    change = {"tags": ["bowel", "bowel", " caecum "], "systems": ["Chest"], "level": "", "hold_reason": ""}
    answer = as_user(owner).patch(f"/api/v1/cases/{case_id}", json=change)
    assert answer.status_code == 200
    case = answer.json()
    assert (case["tags"], case["systems"], case["level"], case["hold_reason"]) == (
        ["bowel", "caecum"],
        ["Chest"],
        None,
        None,
    )
    assert case["title"] == "Acute appendicitis"


@pytest.mark.parametrize(
    "change",
    [{"hold_reason": "death"}, {"systems": ["Elbow"]}, {"level": "expert"}, {"tags": [""]}, {"tags": ["x"] * 51}, {}],
    ids=str,
)
def test_changes_that_make_no_sense_are_refused(as_user, owner, case_id, change):
    assert as_user(owner).patch(f"/api/v1/cases/{case_id}", json=change).status_code == 422


def test_others_clear_no_hold(as_user, stranger, case_id):
    assert as_user(stranger).patch(f"/api/v1/cases/{case_id}", json={"hold_reason": ""}).status_code == 404
