"""Previews and impacts over HTTP: asked for, worked on, read; what identifies is in no cache, log or database."""

import base64
import logging
import threading

import pytest

from api.middleware import MAX_FILE_BYTES
from bridge.file_preview import Pool
from cases.store import Audit
from tests.api.conftest import unread
from tests.bridge.test_preview_command import with_text
from tests.builders import ct_instance, write_part10

CANARY = "Canary^Doe"
FILE = "/api/v1/previews/file"
DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture
def client(as_user, admin):
    return as_user(admin)


def audited(world, action):
    with world.database.read() as session:
        return Audit(session).entries(actions=[action])


def problem_of(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_a_study_is_previewed_and_read_instance_by_instance(client, looks, world):
    first, _ = looks.received((1, 1), (1, 2))
    asked = client.post("/api/v1/previews", json={"study": first.study_key, "profile": "teaching", "most": 1})
    assert asked.status_code == 202
    told = asked.json()
    assert (told["state"], told["total"], told["done"], told["pixels"]) == ("queued", 1, 0, True)
    url = f"/api/v1/previews/{told['id']}"
    assert "not looked at yet" in problem_of(client.get(f"{url}/instances/1"), 404)["detail"]
    looks.work()
    told = client.get(url).json()
    assert (told["state"], told["done"], told["outcomes"]) == ("done", 1, {"delivered": 1})
    (instance,) = told["instances"]
    assert (instance["number"], instance["arrival_id"], instance["outcome"]) == (1, first.arrival_id, "delivered")
    assert instance["pictures"] == 1
    whole = client.get(f"{url}/instances/1")
    assert whole.headers["cache-control"] == "no-store"
    assert whole.json()["counts"] == told["changes"]
    assert {row["name"] for row in whole.json()["elements"]} >= {"PatientName", "StudyDate"}
    assert whole.json()["screen"]["verdict"] == "clear"
    png = client.get(f"{url}/instances/1/pictures/1")
    assert png.headers["content-type"] == "image/png"
    assert png.headers["cache-control"] == "no-store"
    assert png.content.startswith(b"\x89PNG")
    assert [entry.detail.get("picture") for entry in audited(world, "profile.preview")] == [None, None, 1]
    assert {entry.actor for entry in audited(world, "profile.preview")} == {"admin"}


def test_what_goes_with_its_original_is_gone_and_what_never_was_is_not_there(client, looks):
    (one,) = looks.received((1, 1))
    body = {"study": one.study_key, "profile": "teaching", "pixels": False}
    url = f"/api/v1/previews/{client.post('/api/v1/previews', json=body).json()['id']}"
    looks.work()
    problem_of(client.get(f"{url}/instances/2"), 404)
    problem_of(client.get(f"{url}/instances/1/pictures/1"), 404)
    problem_of(client.get(f"/api/v1/previews/{'0' * 32}"), 404)
    looks.purge(one)
    gone = problem_of(client.get(f"{url}/instances/1"), 410)
    assert gone["type"] == "urn:casebridge:problem:gone"
    assert gone["detail"] == "The original is gone, and its preview with it."
    refused = problem_of(client.post("/api/v1/previews", json=body), 409)
    assert refused["type"] == "urn:casebridge:problem:originals-gone"
    assert "no original" in refused["detail"].lower()
    problem_of(client.post("/api/v1/previews", json={**body, "study": "0" * 32}), 404)
    problem_of(client.post("/api/v1/previews", json={**body, "profile": "nobody-knows"}), 404)


@pytest.mark.parametrize(
    "wrong", [{"most": 0}, {"most": 201}, {"profile": "../secret"}, {"profile": "Teaching"}, {"study": "a/b"}, {"x": 1}]
)
def test_what_does_not_fit_is_refused_by_its_field(client, wrong):
    body = {"study": "0" * 32, "profile": "teaching", **wrong}
    problem = problem_of(client.post("/api/v1/previews", json=body), 422)
    assert [part["field"] for part in problem["errors"]] == list(wrong)


def test_the_impact_is_asked_for_and_summed(client, looks, world):
    arrivals = looks.received((1, 1), (2, 1), (3, 1))
    asked = client.post("/api/v1/impacts", json={"first": "teaching", "second": "strict", "last": 2})
    assert asked.status_code == 202
    told = asked.json()
    assert (told["state"], told["studies"], told["studies_unfinished"]) == ("queued", 2, 2)
    looks.purge(arrivals[2])
    looks.work()
    told = client.get(f"/api/v1/impacts/{told['id']}").json()
    assert (told["state"], told["studies_by_state"], told["studies_gone"]) == ("done", {"done": 2}, 1)
    assert (told["instances"], told["instances_gone"], told["touched"]) == (1, 1, 1)
    assert told["outcomes"] == [{"first": "delivered", "second": "delivered", "instances": 1}]
    assert (told["holds_appear"], told["holds_vanish"]) == ({}, {})
    assert "StudyDate" in {row["attribute"] for row in told["attributes"]}
    (entry,) = audited(world, "profile.impact")
    assert (entry.actor, entry.detail) == ("admin", {"studies": 2, "count": 2})
    looks.purge(*arrivals[:2])
    problem_of(client.post("/api/v1/impacts", json={"first": "teaching", "second": "strict"}), 409)


# -- files that are handed in ------------------------------------------------------------------------------------------


def test_a_file_is_looked_at_and_nothing_of_it_is_kept(client, world, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    whole = write_part10(ct_instance(PatientName=CANARY))
    answer = client.post(FILE, params={"profile": "teaching", "pixels": False}, content=whole, headers=DICOM)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["outcome"], told["screen"], told["png"]) == ("delivered", None, [])
    assert any(row["identified_before"] == CANARY for row in told["elements"])
    (entry,) = audited(world, "profile.preview")
    assert (entry.actor, entry.subject) == ("admin", "a file that was handed in")
    assert (entry.detail["count"], len(entry.detail["revision"])) == (1, 16)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in " ".join(str(record.__dict__) for record in caplog.records)


def test_the_pictures_of_a_file_come_with_the_answer(client):
    parameters = {"profile": "teaching", "pictures": True}
    told = client.post(FILE, params=parameters, content=with_text("QUILMARA UNREAL"), headers=DICOM).json()
    assert (told["outcome"], told["reason"], told["pictures"]) == ("held", "burned-in-text", 1)
    assert base64.b64decode(told["png"][0]).startswith(b"\x89PNG")
    assert "QUILMARA" in told["screen"]["findings"][0]["text"].upper()


def test_what_is_no_image_is_held_and_says_why(client):
    told = client.post(FILE, params={"profile": "teaching"}, content=b"no file of ours", headers=DICOM).json()
    assert (told["outcome"], told["reason"], told["elements"]) == ("held", "unreadable", [])
    assert told["detail"]


def test_a_file_that_costs_its_process_its_life_is_held(client, monkeypatch):
    monkeypatch.setattr("bridge.file_preview.TIMEOUT_S", 0.0)
    whole = write_part10(ct_instance())
    told = client.post(FILE, params={"profile": "teaching"}, content=whole, headers=DICOM).json()
    assert (told["outcome"], told["reason"]) == ("held", "process-died")


def test_a_body_of_another_kind_or_too_large_is_refused(client, world):
    parameters = {"profile": "teaching"}
    refused = problem_of(client.post(FILE, params=parameters, json={"a": CANARY}), 415)
    assert "application/dicom" in refused["detail"]
    assert CANARY not in str(refused)
    pieces = (bytes(1 << 20) for _ in range((MAX_FILE_BYTES >> 20) + 1))
    problem_of(client.post(FILE, params=parameters, content=pieces, headers=DICOM), 413)
    assert audited(world, "profile.preview") == ()


def test_the_body_of_somebody_who_may_not_send_one_is_not_read(app, owner, world):
    assert unread(app, owner, "POST", FILE, content_type="application/dicom", query=b"profile=teaching") == 403
    assert audited(world, "profile.preview") == ()


def test_two_files_at_once_are_looked_at_one_after_the_other(looks, monkeypatch):
    running, most = [], []

    class Counting(Pool):
        def __enter__(self):
            running.append(1)
            most.append(len(running))
            return super().__enter__()

        def __exit__(self, *error):
            running.pop()
            super().__exit__(*error)

    monkeypatch.setattr("bridge.file_preview.Pool", Counting)
    desk, whole = looks.previews, write_part10(ct_instance())

    def look():
        desk.identified_file("ada", whole, "teaching", has_pixels=False, has_pictures=False)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]
