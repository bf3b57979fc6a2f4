"""Cases made anew, asked for and decided through the API."""

import pytest
from sqlalchemy import text

from cases.store import Audit, Profiles
from cases.users import Role
from tests.bridge.books import shipped

STRICT = shipped("strict")


@pytest.fixture
def as_admin(as_user, admin):
    return as_user(admin)


@pytest.fixture
def as_editor(as_user, world):
    return as_user(world.user("eve", Role.EDITOR))


def audited(world, case_id: str) -> list[tuple[str, str]]:
    with world.database.read() as session:
        return [(entry.actor, entry.action) for entry in Audit(session).entries(subject=f"case {case_id}")]


def test_a_case_is_asked_for_by_name_and_goes_to_the_job_engine(as_admin, world, engine, picture):
    case_id = world.study("owner", [picture, picture])

    answer = as_admin.post("/api/v1/reruns", json={"case_id": case_id, "profile": "strict"})

    assert answer.status_code == 202
    [asked] = answer.json()["items"]
    assert (asked["case_id"], asked["images"], asked["gone"], asked["refusal"]) == (case_id, 2, 0, "")
    assert (asked["rerun"]["state"], asked["rerun"]["revision"]) == ("queued", STRICT.revision)
    assert asked["rerun"]["result"] is None
    [(_, generation, instances)] = engine.asked
    assert (generation, instances) == (2, 2)
    assert audited(world, case_id) == [("admin", "case.rerun-requested")]
    again = as_admin.post("/api/v1/reruns", json={"case_id": case_id, "profile": f"strict@{STRICT.revision[:8]}"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:casebridge:problem:rerun-in-progress")


def test_all_cases_of_a_revision_are_asked_for_and_those_without_originals_are_named(as_admin, world, engine, picture):
    there, gone = world.study("owner", [picture]), world.study("owner", [picture])
    with world.database.write() as session:
        Profiles(session).keep(shipped())
        session.execute(text("UPDATE teaching_case SET profile_revision = :r"), {"r": shipped().revision})
        session.execute(text("UPDATE received_instance SET purged_at = received_at WHERE case_id = :c"), {"c": gone})
    candidates = as_admin.get("/api/v1/reruns/candidates", params={"made_under": shipped().revision}).json()["items"]
    assert [(one["case_id"], one["images"], one["gone"]) for one in candidates] == [(there, 1, 0), (gone, 0, 1)]

    answer = as_admin.post("/api/v1/reruns", json={"made_under": shipped().revision, "profile": "strict"})

    found = {one["case_id"]: one for one in answer.json()["items"]}
    assert found[there]["rerun"]["state"] == "queued"
    assert found[gone]["rerun"] is None
    assert found[gone]["refusal"] == "no original of the case is there any more: its images stay as they are"
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"profile": "strict"}, 422),
        ({"case_id": "0" * 32, "made_under": "abcd", "profile": "strict"}, 422),
        ({"case_id": "0" * 32, "profile": "../etc"}, 422),
        ({"case_id": "0" * 32, "profile": "strict"}, 404),
        ({"case_id": "0" * 32, "profile": "nobody"}, 404),
        ({"made_under": "abcd", "profile": "strict"}, 404),
    ],
)
def test_what_names_nothing_is_refused(as_admin, body, status):
    assert as_admin.post("/api/v1/reruns", json=body).status_code == status


def test_without_a_worker_nothing_is_asked_for(as_admin, world, engine, picture):
    case_id, engine.is_ready = world.study("owner", [picture]), False

    assert as_admin.post("/api/v1/reruns", json={"case_id": case_id, "profile": "strict"}).status_code == 503
    assert as_admin.get("/api/v1/reruns").json()["items"] == []


def test_an_editor_sees_what_waits_and_applies_it(as_editor, world, picture):
    case_id = world.study("owner", [picture])
    errand = world.rerun_in_review(case_id, STRICT)

    [shown] = as_editor.get("/api/v1/reruns", params={"state": "in-review"}).json()["items"]
    assert (shown["id"], shown["case_id"], shown["result"]["changed"]) == (errand.id, case_id, 1)
    assert shown["result"]["elements"] == [
        {"place": "(0018,1000)", "attribute": "DeviceSerialNumber", "change": "removed", "images": 1}
    ]
    applied = as_editor.post(f"/api/v1/reruns/{errand.id}/apply").json()

    assert (applied["state"], applied["decided_by"]) == ("done", "eve")
    assert world.detail(case_id).summary.status == "published"
    assert audited(world, case_id) == [("eve", "case.rerun")]
    answer = as_editor.post(f"/api/v1/reruns/{errand.id}/apply")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:casebridge:problem:invalid-transition")


def test_an_editor_discards_it_and_the_case_stays(as_editor, world, picture):
    case_id = world.study("owner", [picture])
    before = world.detail(case_id).studies[0].series[0].images[0].sha256
    errand = world.rerun_in_review(case_id, STRICT)

    assert as_editor.post(f"/api/v1/reruns/{errand.id}/discard").json()["state"] == "discarded"
    assert world.detail(case_id).studies[0].series[0].images[0].sha256 == before
    assert audited(world, case_id) == [("eve", "case.rerun-discarded")]


def test_the_owner_sees_in_the_case_what_changed(as_user, owner, stranger, world, picture):
    case_id = world.study("owner", [picture])
    assert as_user(owner).get(f"/api/v1/cases/{case_id}").json()["rerun"] is None
    errand = world.rerun_in_review(case_id, STRICT)

    shown = as_user(owner).get(f"/api/v1/cases/{case_id}").json()["rerun"]
    [listed] = as_user(owner).get(f"/api/v1/cases/{case_id}/reruns").json()["items"]

    assert shown == listed
    assert (shown["id"], shown["state"], shown["result"]["remade"]) == (errand.id, "in-review", 1)
    assert as_user(stranger).get(f"/api/v1/cases/{case_id}").status_code == 200, "the case is public"
    assert as_user(stranger).get(f"/api/v1/cases/{case_id}/reruns").status_code == 403
    assert as_user(owner).get(f"/api/v1/reruns/{errand.id}").status_code == 403
