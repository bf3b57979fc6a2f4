"""``Idempotency-Key``: a call that is sent again is done once and answered as the first time."""

import threading

import pytest
from sqlalchemy import text

from api.repeats import READING, SECRET_ANSWERS, KeepAnswers, takes_key
from cases.errors import StoreUnavailableError
from cases.store import Accounts, Audit, Repeats
from cases.users import Role
from tests.api.routes import calls_of

KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
PROFILE = "name: mine\nbase: basic\n"


@pytest.fixture
def mine(as_user, owner):
    return as_user(owner)


def kept(world):
    with world.database.read() as session:
        return session.execute(text("SELECT * FROM repeated_request")).all()


def claims(world):
    with world.database.read() as session:
        return len([entry for entry in Audit(session).entries() if entry.action == "case.claim"])


def test_a_call_that_is_sent_again_is_done_once_and_answered_alike(mine, world):
    case_id = world.study(None)
    first, second, third = (mine.post(f"/api/v1/inbox/{case_id}/claim", headers=KEY) for _ in range(3))
    assert first.status_code == second.status_code == third.status_code == 200
    assert first.content == second.content == third.content
    assert first.headers["content-location"] == second.headers["content-location"]
    assert first.headers["content-type"] == second.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == third.headers["idempotency-replayed"] == "true"
    assert claims(world) == 1


def test_without_a_key_a_call_is_a_new_one_each_time(mine, world):
    case_id = world.study(None)
    answers = [mine.post(f"/api/v1/inbox/{case_id}/claim").status_code for _ in range(2)]
    assert answers == [200, 409]
    assert not kept(world)


def test_another_call_or_body_under_the_key_is_refused(as_user, admin):
    root = as_user(admin)
    assert root.post("/api/v1/users", json={"name": "ann"}, headers=KEY).status_code == 201
    for path, body in (
        ("/api/v1/users", {"name": "bob"}),
        ("/api/v1/users?a=b", {"name": "ann"}),
        ("/api/v1/profiles", {"text": PROFILE}),
    ):
        answer = root.post(path, json=body, headers=KEY)
        assert answer.status_code == 422, path
        assert answer.json()["type"] == "urn:casebridge:problem:key-reused"
    assert root.post("/api/v1/users", json={"name": "ann"}, headers=KEY).headers["idempotency-replayed"] == "true"


def test_the_same_key_of_two_callers_stands_for_two_calls(as_user, world):
    first, second = (world.study(None) for _ in range(2))
    for name, case_id in (("ann", first), ("bob", second)):
        answer = as_user(world.user(name)).post(f"/api/v1/inbox/{case_id}/claim", headers=KEY)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers


def test_a_refused_call_can_be_sent_again_once_it_is_mended(mine, as_user, world, admin):
    root = as_user(admin)
    assert root.post("/api/v1/users", json={"name": "a b"}, headers=KEY).status_code == 422
    assert root.post("/api/v1/users", content=b"{", headers=KEY).status_code == 422
    assert root.post("/api/v1/users", json={"name": "ann"}, headers=KEY).status_code == 201
    case_id = world.study("stranger")
    assert mine.post(f"/api/v1/inbox/{case_id}/claim", headers=KEY).status_code == 409
    assert mine.post("/api/v1/users", json={"name": "x"}, headers=KEY).status_code == 403
    assert mine.post(f"/api/v1/inbox/{world.study(None)}/claim", headers=KEY).status_code == 200


def test_of_two_at_once_one_is_done_and_the_other_is_told_to_wait(mine, world, monkeypatch):
    path = f"/api/v1/inbox/{world.study(None)}/claim"
    within, go_on = threading.Event(), threading.Event()
    # held up before it is begun to be written down: nothing is locked then
    monkeypatch.setattr("api.repeats.KeepAnswers._keep", slowed(KeepAnswers._keep, within, go_on))
    first = []
    thread = threading.Thread(target=lambda: first.append(mine.post(path, headers=KEY)))
    thread.start()
    assert within.wait(20)
    second = mine.post(path, headers=KEY)
    go_on.set()
    thread.join()
    assert (first[0].status_code, second.status_code) == (200, 409)
    assert second.json()["type"] == "urn:casebridge:problem:request-running"
    assert mine.post(path, headers=KEY).headers["idempotency-replayed"] == "true"
    assert claims(world) == 1


def slowed(function, within, go_on):
    def call(*arguments, **words):
        within.set()
        go_on.wait(20)
        return function(*arguments, **words)

    return call


def test_a_call_whose_answer_is_not_kept_yet_answers_409_with_the_time_to_wait(mine, world, monkeypatch):
    case_id = world.study(None)
    path = f"/api/v1/inbox/{case_id}/claim"

    def lost(*_arguments, **_words):
        raise StoreUnavailableError("away")

    with monkeypatch.context() as away:
        away.setattr(Repeats, "finish", lost)
        assert mine.post(path, headers=KEY).status_code == 200  # it was done, whatever becomes of its answer
    answer = mine.post(path, headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:casebridge:problem:request-running"
    assert int(answer.headers["retry-after"]) > 0
    with world.database.write() as session:
        session.execute(text("UPDATE repeated_request SET lease_until = began_at"))
    answer = mine.post(path, headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:casebridge:problem:answer-not-kept"
    assert claims(world) == 1


def test_a_call_that_failed_before_it_did_anything_can_be_sent_again_at_once(mine, world, monkeypatch):
    from cases.store import Cases

    case_id = world.study(None)
    with monkeypatch.context() as failing:
        failing.setattr(Cases, "claim", lambda *_: 1 / 0)
        assert mine.post(f"/api/v1/inbox/{case_id}/claim", headers=KEY).status_code == 500
    assert mine.post(f"/api/v1/inbox/{case_id}/claim", headers=KEY).status_code == 200


def test_a_secret_is_stored_nowhere_and_a_repeat_says_so(mine, world, owner):
    first = mine.post("/api/v1/tokens", json={"label": "laptop"}, headers=KEY)
    assert first.status_code == 201
    second = mine.post("/api/v1/tokens", json={"label": "laptop"}, headers=KEY)
    assert second.status_code == 409
    assert "secret" in second.json()["detail"]
    assert first.json()["token"] not in str(kept(world))
    with world.database.read() as session:
        assert len([token for token in Accounts(session).tokens(owner.id) if token.label == "laptop"]) == 1


def test_every_call_that_answers_with_a_secret_is_known(app):
    """A property that may be a secret in the answer of a POST has its call named among those that keep none."""
    document = app.openapi()

    def names(schema, seen=()):
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return set() if name in seen else names(document["components"]["schemas"][name], (*seen, name))
        found = set(schema.get("properties", ()))
        parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
        for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
            found |= names(part, seen)
        return found

    posts = {path["post"]["operationId"]: path["post"] for path in document["paths"].values() if "post" in path}
    telling = {
        operation
        for operation, post in posts.items()
        for status, answer in post["responses"].items()
        for content in answer.get("content", {}).values()
        if status.startswith("2") and names(content["schema"]) & {"token", "secret", "password", "link"}
    }
    assert telling == SECRET_ANSWERS
    assert {call.operation for call in calls_of(app) if call.method == "POST"} >= SECRET_ANSWERS | READING


def test_the_answer_goes_with_its_case(mine, world):
    case_id = world.study(None)
    path = f"/api/v1/inbox/{case_id}/claim"
    assert mine.post(path, headers=KEY).status_code == 200
    assert case_id in str(kept(world))
    assert mine.delete(f"/api/v1/cases/{case_id}").status_code == 204
    assert case_id not in str(kept(world))
    assert mine.post(path, headers=KEY).status_code == 409


def test_the_key_is_stored_as_a_digest_alone(mine, world):
    case_id = world.study(None)
    mine.post(f"/api/v1/inbox/{case_id}/claim", headers={"Idempotency-Key": "CANARY-KEY"})
    assert kept(world)
    assert "CANARY-KEY" not in str(kept(world))


@pytest.mark.parametrize("key", ["", " ", "\t", "x" * 256, '"' + "x" * 256 + '"', "a\u00e9", "a\x7f"])
def test_what_is_no_key_is_refused(mine, world, key):
    path = f"/api/v1/inbox/{world.study(None)}/claim"
    answer = mine.post(path, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert "255" in answer.json()["detail"]
    assert not kept(world)


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "~!@#$%^&*()"])
def test_a_key_may_have_any_printable_characters_and_quotation_marks_around_them(mine, world, key):
    path = f"/api/v1/inbox/{world.study(None)}/claim"
    assert mine.post(path, headers={"Idempotency-Key": key}).status_code == 200
    assert mine.post(path, headers={"Idempotency-Key": f'"{key}"'}).headers["idempotency-replayed"] == "true"


def test_calls_that_only_read_pay_no_heed_to_a_key(as_user, admin, world):
    root = as_user(admin)
    for _ in range(2):
        answer = root.post("/api/v1/profiles/check", json={"text": PROFILE}, headers=KEY)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers
    assert root.get("/api/v1/me", headers=KEY).status_code == 200
    assert not kept(world)


def test_the_description_says_which_calls_take_a_key(app):
    for path in app.openapi()["paths"].values():
        for method, operation in path.items():
            named = [one["name"] for one in operation.get("parameters", ())]
            does = takes_key(method.upper(), operation["operationId"])
            assert ("Idempotency-Key" in named) is does, operation["operationId"]
            if does:
                assert "409" in operation["responses"]


def test_a_key_opens_nothing_to_whoever_may_not_call(client, as_user, world):
    case_id = world.study(None)
    path = f"/api/v1/inbox/{case_id}/claim"
    assert client.post(path, headers=KEY).status_code == 401
    assert as_user(world.user("reader", Role.READER)).post(path, headers=KEY).status_code == 403
    assert not kept(world)
