"""Held images through the API: what they show and to whom, and what is decided on them."""

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from cases.holds import HoldFilter
from cases.store import Audit, Holds
from cases.users import Role, User
from tests.api.pictures import instance
from tests.api.seed import ARRIVED, burned_in
from tests.bridge.books import shipped

STRICT = shipped("strict")
CANARY = "CANARY-DOE-JANE"
ADMIN = User(id="", name="", role=Role.ADMIN, draft_limit=0)
ROWS, COLUMNS = 96, 128
BOX = {"frame": 0, "x": 3, "y": 4, "width": 50, "height": 12}


@pytest.fixture
def reviewer(world):
    return world.user("rita", Role.REVIEWER)


@pytest.fixture
def original():
    ramp = np.arange(ROWS * COLUMNS, dtype="u2").reshape(ROWS, COLUMNS)
    return instance(np.stack([ramp, ramp[::-1]]), frames=2, WindowCenter=1, WindowWidth=1)


@pytest.fixture
def held(world, looks, original):
    """Give a function that holds an image of somebody's, with its original and what was read in the spool."""

    def hold(owner="owner"):
        case_id = world.study(owner, holds=[burned_in()], profile=STRICT)
        with world.database.read() as session:
            [found] = Holds(session).list(ADMIN, filters=HoldFilter(case_id=case_id)).items
        path = looks.spool.path(found.study_key, found.sop_key, found.arrival_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(original)
        read = {"detector": "test", "findings": [{**BOX, "text": CANARY}]}
        content = json.dumps(read).encode()
        looks.spool.write_beside(found.study_key, found.sop_key, found.arrival_id, "findings.json", content)
        return found

    return hold


def looks_at(world, hold):
    with world.database.read() as session:
        return [
            (entry.actor, entry.action, dict(entry.detail))
            for entry in Audit(session).entries(subject=f"hold {hold.id}")
        ]


def close(world, hold):
    with world.database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'pending_review' WHERE id = :c"), {"c": hold.case_id})


def png(answer):
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_the_list_tells_what_waits_and_for_how_long(as_user, owner, reviewer, held, world):
    hold, _ = held(), held("stranger")
    told = as_user(owner).get("/api/v1/holds").json()
    [item] = told["items"]
    age = (datetime.now(UTC) - ARRIVED - timedelta(minutes=1)).total_seconds() / 86_400
    assert (told["total"], told["oldest_days"]) == (1, pytest.approx(age, abs=0.1))
    assert (item["findings"], item["reviews"], item["owner"]) == (1, 0, "owner")
    assert item["age_days"] == pytest.approx(age, abs=0.1)
    assert item["thumbnail"] == f"/api/v1/holds/{hold.id}/frames/0?size=256"
    assert (item["can_decide"], item["can_mark_safe"]) == (True, False)
    of_reviewer = as_user(reviewer).get("/api/v1/holds", params={"layout": item["layout"]}).json()
    assert (of_reviewer["total"], {one["can_mark_safe"] for one in of_reviewer["items"]}) == (2, {True})
    of_series = as_user(reviewer).get("/api/v1/holds", params={"series": "0" * 32}).json()
    assert (of_series["total"], of_series["oldest_days"]) == (0, None)
    assert as_user(reviewer).get("/api/v1/holds", params={"order": "oldest", "limit": 1}).json()["next"]


def test_what_was_read_is_told_to_reviewers_and_to_owners_in_their_drafts_and_is_on_record(
    as_user, owner, reviewer, held, world
):
    hold = held()
    url = f"/api/v1/holds/{hold.id}"
    for somebody in (owner, reviewer):
        answer = as_user(somebody).get(url)
        assert answer.json()["boxes"][0]["text"] == CANARY
        assert answer.headers["Cache-Control"] == "no-store"
    assert CANARY not in as_user(owner).get(url, params={"text": False}).text
    officer = as_user(world.user("pia", Role.PRIVACY_OFFICER)).get(url)
    assert (officer.status_code, officer.json()["boxes"][0]["text"], officer.json()["thumbnail"]) == (200, None, None)
    looked = [("owner", "hold.look", {"texts": 1}), ("rita", "hold.look", {"texts": 1})]
    assert looks_at(world, hold) == looked
    close(world, hold)
    assert CANARY not in as_user(owner).get(url).text
    assert as_user(owner).get(f"{url}/frames/0").status_code == 403
    assert CANARY in as_user(reviewer).get(url).text
    with world.database.read() as session:
        assert CANARY not in str(Audit(session).entries())


def test_words_of_another_reading_are_told_of_no_box(as_user, reviewer, held, looks):
    hold = held()
    read = {"detector": "test", "findings": [{**BOX, "x": 4, "text": CANARY}]}
    for content in (json.dumps(read).encode(), b"{}", b"no json"):
        looks.spool.write_beside(hold.study_key, hold.sop_key, hold.arrival_id, "findings.json", content)
        assert as_user(reviewer).get(f"/api/v1/holds/{hold.id}").json()["boxes"][0]["text"] is None


def test_a_frame_is_shown_in_its_full_range_whatever_window_the_header_names(as_user, owner, held, world):
    hold = held()
    url = f"/api/v1/holds/{hold.id}/frames"
    first, second = (png(as_user(owner).get(f"{url}/{frame}")) for frame in (0, 1))
    assert (first.shape, first[0, 0], first[-1, -1]) == ((ROWS, COLUMNS), 0, 255)
    assert np.array_equal(first[::-1], second)
    assert png(as_user(owner).get(f"{url}/0", params={"size": 32})).shape == (24, 32)
    assert as_user(owner).get(f"{url}/2").status_code == 404
    assert [entry[2] for entry in looks_at(world, hold)] == [{"frame": 0}, {"frame": 1}, {"frame": 0}, {"frame": 2}]


def test_boxes_are_drawn_around_what_was_found_and_decided(as_user, owner, held):
    hold = held()
    client = as_user(owner)
    drawn = {"action": "draw", "boxes": [{"x": 60, "y": 60, "width": 20, "height": 20}]}
    assert client.post(f"/api/v1/holds/{hold.id}/decision", json=drawn).status_code == 200
    picture = png(client.get(f"/api/v1/holds/{hold.id}/frames/0", params={"boxes": True}))
    assert picture.shape == (ROWS, COLUMNS, 3)
    assert tuple(picture[4, 3]) == (255, 64, 64)
    assert tuple(picture[60, 60]) == (255, 0, 255)
    assert client.get(f"/api/v1/holds/{hold.id}").json()["redact"] == [
        {"frame": None, "x": 60, "y": 60, "width": 20, "height": 20}
    ]


def test_an_original_that_is_gone_or_cannot_be_decoded_is_said_so(as_user, owner, held, looks):
    hold = held()
    path = looks.spool.path(hold.study_key, hold.sop_key, hold.arrival_id)
    path.write_bytes(path.read_bytes()[:-400])
    answer = as_user(owner).get(f"/api/v1/holds/{hold.id}/frames/0")
    assert (answer.status_code, answer.json()["detail"]) == (422, "This frame cannot be decoded.")
    looks.pool.dies.add(hold.arrival_id)
    answer = as_user(owner).get(f"/api/v1/holds/{hold.id}/frames/0")
    assert (answer.status_code, "memory or time" in answer.json()["detail"]) == (422, True)
    looks.pool.dies.clear()
    path.unlink()
    assert as_user(owner).get(f"/api/v1/holds/{hold.id}/frames/0").status_code == 410


def test_a_decision_goes_to_the_job_engine_and_into_the_log_by_ids_and_counts(as_user, owner, held, world, looks):
    hold = held()
    answer = as_user(owner).post(f"/api/v1/holds/{hold.id}/decision", json={"action": "confirm"})
    told = answer.json()
    assert (told["holds"], told["left"], len(told["reruns"])) == ([hold.id], 0, 1)
    assert looks.engine.jobs == [(hold.received_study, 2, 1)]
    assert looks_at(world, hold) == [("owner", "hold.confirm", {"scope": "image", "boxes": 0, "left": 0, "reached": 1})]
    again = as_user(owner).post(f"/api/v1/holds/{hold.id}/undo")
    assert (again.json()["action"], again.json()["reruns"]) == ("undo", told["reruns"])
    assert len(looks.engine.jobs) == 1
    none = as_user(owner).post(f"/api/v1/holds/{hold.id}/undo")
    assert (none.status_code, "nothing to take back" in none.json()["detail"]) == (409, True)


def test_marking_safe_needs_a_reviewer_who_says_what_was_looked_at(as_user, owner, reviewer, held):
    hold = held()
    url, safe = f"/api/v1/holds/{hold.id}", {"action": "mark-safe", "findings": [0]}
    tag = as_user(owner).get(url).headers["ETag"]
    assert as_user(owner).post(f"{url}/decision", json=safe).status_code == 403
    refused = as_user(owner).post(f"{url}/decision", json=safe, headers={"If-Match": tag})
    assert (refused.status_code, "only a reviewer" in refused.json()["detail"].lower()) == (403, True)
    assert as_user(reviewer).post(f"{url}/decision", json=safe).status_code == 422
    done = as_user(reviewer).post(f"{url}/decision", json=safe, headers={"If-Match": tag})
    assert done.status_code == 200
    assert as_user(reviewer).get(url).json()["safe"] == [BOX]
    assert as_user(reviewer).post(f"{url}/decision", json=safe, headers={"If-Match": tag}).status_code == 412


@pytest.mark.parametrize(
    "body",
    [
        {"action": "draw"},
        {"action": "draw", "boxes": [{"x": 0, "y": 0, "width": 129, "height": 1}]},
        {"action": "draw", "boxes": [{"x": 0, "y": 0, "width": 0, "height": 1}]},
        {"action": "draw", "findings": [0], "boxes": [BOX]},
        {"action": "confirm", "boxes": [BOX]},
        {"action": "confirm", "findings": [1]},
        {"action": "release"},
    ],
)
def test_a_decision_that_does_not_fit_is_refused_with_a_sentence(as_user, owner, held, body):
    answer = as_user(owner).post(f"/api/v1/holds/{held().id}/decision", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["detail"].split()) > 4


def test_the_answer_lists_every_hold_that_a_decision_reached(as_user, reviewer, held, world):
    holds = [held(), held("stranger"), held(None)]
    body = {"action": "drop", "scope": "layout"}
    told = as_user(reviewer).post(f"/api/v1/holds/{holds[0].id}/decision", json=body).json()
    assert set(told["holds"]) == {hold.id for hold in holds}
    assert told["reruns"] == []
    assert looks_at(world, holds[1])[0][2]["by"] == holds[0].id
    left = as_user(reviewer).get("/api/v1/holds", params={"state": "discarded"}).json()
    assert left["total"] == 3
    assert {one["thumbnail"] for one in left["items"]} == {None}


def test_a_layout_of_the_site_is_learned_listed_and_switched_off(as_user, reviewer, owner, held, world):
    hold = held()
    client = as_user(reviewer)
    new = {"hold": hold.id, "name": "Room 3"}
    refused = client.post("/api/v1/site-layouts", json=new)
    assert (refused.status_code, "confirm or draw boxes first" in refused.json()["detail"]) == (409, True)
    client.post(f"/api/v1/holds/{hold.id}/decision", json={"action": "confirm"})
    learned = client.post("/api/v1/site-layouts", json=new)
    assert (learned.status_code, learned.json()["boxes"]) == (201, [{**BOX, "frame": None}])
    url = f"/api/v1/site-layouts/{learned.json()['id']}"
    assert client.patch(url, json={"is_active": False}).json()["is_active"] is False
    [listed] = client.get("/api/v1/site-layouts").json()["items"]
    assert (listed["name"], listed["is_active"], listed["created_by"]) == ("Room 3", False, "rita")
    with world.database.read() as session:
        entries = Audit(session).entries(subject=f"layout {listed['id']}")
    assert [(one.action, dict(one.detail)) for one in entries] == [
        ("layout.learn", {"hold": hold.id, "boxes": 1}),
        ("layout.switch", {"is_active": False}),
    ]
