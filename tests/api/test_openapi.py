"""What the description says of every call alike, and the names that a generated client gets."""

import re

import pytest

from api.limited import UNLIMITED
from api.openapi import _add_key
from tests.api.routes import calls_of


@pytest.fixture
def document(app):
    return app.openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_call_but_those_for_monitoring_says_that_there_may_be_too_many(document):
    for path, _, operation in operations(document):
        assert ("429" in operation["responses"]) is (path not in UNLIMITED), path
        if path not in UNLIMITED:
            assert set(operation["responses"]["429"]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy"}


def test_every_call_with_a_body_says_what_is_too_large_or_of_another_kind(document):
    for path, _, operation in operations(document):
        if "requestBody" in operation:
            assert {"413", "422"} <= set(operation["responses"]), path
            if "application/json" not in operation["requestBody"]["content"]:
                assert "415" in operation["responses"], path


def test_names_are_plain_so_that_a_client_can_be_made_of_them(document):
    for name in document["components"]["schemas"]:
        # two models of one name get the names of their modules; a generator drops one of them
        assert "__" not in name, f"{name}: another schema has this name, give one of them a name of its own"
        assert re.fullmatch(r"[A-Z][A-Za-z]+(_[A-Z][A-Za-z]+_)?", name)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", one) for one in ids)
    titles = [schema["title"] for schema in document["components"]["schemas"].values() if "title" in schema]
    assert len(set(titles)) == len(titles)


def test_responses_stand_in_order(document):
    for path, _, operation in operations(document):
        assert list(operation["responses"]) == sorted(operation["responses"]), path


def test_a_path_names_all_of_its_methods_when_it_is_called_by_another(app, client, as_user, admin):
    methods = {}
    for call in calls_of(app):
        methods.setdefault(call.path, set()).add(call.method)
    root = as_user(admin)
    for path, known in methods.items():
        answer = root.request("TRACE", re.sub(r"\{\w+\}", "0" * 32, path))
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == known, path


def test_a_word_of_the_path_is_not_taken_for_an_id(as_user, admin):
    answer = as_user(admin).get("/api/v1/previews/file")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("since", ["0.5", "1767225600", "2026-01-31T12:00:00", "yesterday"])
def test_a_moment_is_written_as_one(as_user, owner, since):
    assert as_user(owner).get("/api/v1/receipts", params={"since": since}).status_code == 422
    assert as_user(owner).post("/api/v1/tokens", json={"label": "a", "expires_at": since}).status_code == 422


@pytest.mark.parametrize("since", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", "2026-01-31 12:00:00Z"])
def test_a_moment_has_a_day_a_time_and_a_zone(as_user, owner, since):
    assert as_user(owner).get("/api/v1/receipts", params={"since": since}).status_code == 200


def test_a_number_is_no_moment(as_user, owner):
    answer = as_user(owner).post("/api/v1/tokens", json={"label": "a", "expires_at": 1_800_000_000})
    assert answer.status_code == 422
    assert "2026-01-31T12:00:00Z" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("body", [b"\xff\xfe\xfa", b"\x80", b"\xc3("])
def test_a_body_that_is_no_text_is_answered_like_one_that_is_no_json(as_user, owner, body):
    answer = as_user(owner).post("/api/v1/tokens", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:casebridge:problem:invalid-request"


def test_an_open_call_takes_no_key():
    operation = {"operationId": "create_something", "responses": {"201": {}}}
    _add_key("POST", operation)
    assert operation == {"operationId": "create_something", "responses": {"201": {}}}
    with_token = operation | {"security": [{"HTTPBearer": []}]}
    _add_key("POST", with_token)
    assert [one["name"] for one in with_token["parameters"]] == ["Idempotency-Key"]
    assert list(with_token["responses"]) == ["201", "409"]
