"""Merging, splitting and moving between drafts through the API: asked for, watched, refused."""

import pytest

from cases.store import Audit
from cases.users import Role
from tests.bridge.books import shipped

PATIENT = "d" * 64
STRICT = shipped("strict")


@pytest.fixture
def as_owner(as_user, owner):
    return as_user(owner)


def a_case(world, picture, owner="owner", *, patient=PATIENT, series=1):
    return world.study(owner, [picture, picture], patient=patient, series=series, profile=STRICT)


def test_two_drafts_are_asked_to_be_one_and_the_request_is_watched(as_owner, world, engine, picture):
    case_id, other = a_case(world, picture), a_case(world, picture)

    answer = as_owner.post(f"/api/v1/cases/{case_id}/merge", json={"from": other})

    assert answer.status_code == 202
    move = answer.json()
    assert (move["from_case_id"], move["to_case_id"], move["is_whole"]) == (other, case_id, True)
    assert (move["state"], move["result"], move["requested_by"]) == ("queued", None, "owner")
    [(_, generation, instances)] = engine.asked
    assert (generation, instances) == (2, 2)
    for one in (case_id, other):
        assert [shown["id"] for shown in as_owner.get(f"/api/v1/cases/{one}/moves").json()["items"]] == [move["id"]]
        with world.database.read() as session:
            [entry] = Audit(session).entries(subject=f"case {one}")
        assert (entry.actor, entry.action) == ("owner", "case.move-requested")


def test_series_are_split_from_a_draft_and_moved_to_another(as_owner, world, engine, picture):
    case_id, other = a_case(world, picture, series=2), a_case(world, picture)
    series = [one.id for one in world.detail(case_id).studies[0].series]

    split = as_owner.post(f"/api/v1/cases/{case_id}/split", json={"series": series[1:]})

    assert split.status_code == 202
    assert split.json()["to_case_id"] not in {case_id, other}
    case_id = a_case(world, picture, series=2)
    series = [one.id for one in world.detail(case_id).studies[0].series]
    moved = as_owner.post(f"/api/v1/cases/{case_id}/move", json={"to": other, "series": series[:1]})
    assert (moved.status_code, moved.json()["to_case_id"]) == (202, other)
    assert len(engine.asked) == 2


def test_a_merge_on_an_older_version_is_refused(as_owner, world, picture):
    case_id, other = a_case(world, picture), a_case(world, picture)
    tag = as_owner.get(f"/api/v1/cases/{case_id}").headers["ETag"]
    as_owner.patch(f"/api/v1/cases/{case_id}", json={"title": "Changed"})

    answer = as_owner.post(f"/api/v1/cases/{case_id}/merge", json={"from": other}, headers={"If-Match": tag})

    assert (answer.status_code, answer.json()["type"]) == (412, "urn:casebridge:problem:version-conflict")


def test_two_patients_stay_two_cases(as_owner, world, picture):
    case_id, other = a_case(world, picture), a_case(world, picture, patient="e" * 64)

    answer = as_owner.post(f"/api/v1/cases/{case_id}/merge", json={"from": other})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:casebridge:problem:other-patient")
    assert "a case is of one patient" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("merge", {}, 422),
        ("merge", {"from": "0" * 32}, 404),
        ("merge", {"from": "0" * 32, "into": "1"}, 422),
        ("split", {}, 422),
        ("split", {"studies": ["0" * 32]}, 422),
        ("move", {"studies": ["0" * 32]}, 422),
        ("move", {"to": "0" * 32, "studies": ["0" * 32]}, 404),
    ],
)
def test_what_names_nothing_is_refused(as_owner, world, picture, *, call, body, status):
    case_id = a_case(world, picture)
    assert as_owner.post(f"/api/v1/cases/{case_id}/{call}", json=body).status_code == status


def test_a_stranger_can_move_nothing_out_of_a_case_nor_into_it(as_user, stranger, world, picture):
    case_id, mine = a_case(world, picture), a_case(world, picture, "stranger")
    client = as_user(stranger)

    assert client.post(f"/api/v1/cases/{case_id}/merge", json={"from": mine}).status_code == 404
    assert client.post(f"/api/v1/cases/{mine}/merge", json={"from": case_id}).status_code == 404
    study = world.detail(mine).studies[0].id
    assert client.post(f"/api/v1/cases/{mine}/move", json={"to": case_id, "studies": [study]}).status_code == 404
    assert client.get(f"/api/v1/cases/{case_id}/moves").status_code == 404


def test_without_a_worker_nothing_is_asked_for(as_owner, world, engine, picture):
    case_id, other, engine.is_ready = a_case(world, picture), a_case(world, picture), False

    assert as_owner.post(f"/api/v1/cases/{case_id}/merge", json={"from": other}).status_code == 503
    assert as_owner.get(f"/api/v1/cases/{case_id}/moves").json()["items"] == []


def test_the_owner_and_editors_are_told_which_drafts_are_of_the_same_patient(as_user, owner, world, picture):
    case_id, other = a_case(world, picture), a_case(world, picture)
    a_case(world, picture, "stranger")
    a_case(world, picture, patient="e" * 64)

    def told(somebody):
        return as_user(somebody).get(f"/api/v1/cases/{case_id}").json()["suggested_case_ids"]

    assert told(owner) == [other]
    assert told(world.user("eve", Role.EDITOR)) == [other]
    assert told(world.user("vera", Role.REVIEWER)) == []
