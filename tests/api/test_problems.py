"""Every error is a problem detail, and none repeats what the caller wrote."""

import pytest

import api.errors
import cases.errors
from api.problems import STATUSES, problem_type

CANARY = "CANARY^NAME"


def walk(root):
    for kind in root.__subclasses__():
        # Those of bridge are answered as what they are a kind of.
        if kind.__module__.partition(".")[0] in {"api", "cases"}:
            yield kind
        yield from walk(kind)


@pytest.mark.parametrize("kind", [*walk(api.errors.ApiError), *walk(cases.errors.CaseError)])
def test_every_error_of_the_room_and_of_cases_has_a_status(kind):
    assert kind in STATUSES
    assert 400 <= STATUSES[kind] < 600


def test_every_error_has_a_name_of_its_own():
    names = [problem_type(kind) for kind in STATUSES]
    assert len(set(names)) == len(names)
    assert problem_type(cases.errors.CaseNotFoundError) == "urn:casebridge:problem:case-not-found"


def is_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert CANARY not in answer.text
    return problem


def test_an_unknown_path_is_a_problem(client):
    is_problem(client.get(f"/api/v1/{CANARY}"), 404)


def test_a_method_that_is_not_there_is_a_problem_and_says_which_are(client):
    answer = client.put("/api/v1/me")
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_a_missing_token_is_a_problem_and_names_the_scheme(client):
    answer = client.get("/api/v1/me")
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", [f"Bearer {CANARY}", f"Basic {CANARY}", "Bearer", "Bearer ", f"Bearer {'x' * 5000}", "Bearer \u00e9"]
)
def test_a_wrong_token_is_a_problem(client, header):
    is_problem(client.get("/api/v1/me", headers={"Authorization": header.encode("latin-1")}), 401)


def test_a_wrong_parameter_is_named_and_its_value_is_not(as_user, owner):
    problem = is_problem(as_user(owner).get("/api/v1/cases", params={"status": CANARY, "limit": CANARY}), 422)
    assert {part["field"] for part in problem["errors"]} == {"status", "limit"}


def test_an_unknown_field_is_refused_by_name(as_user, owner, world):
    case_id = world.study("owner")
    client = as_user(owner)
    problem = is_problem(client.patch(f"/api/v1/cases/{case_id}", json={"titel": CANARY}), 422)
    assert problem["errors"][0]["field"] == "titel"
    problem = is_problem(client.patch(f"/api/v1/cases/{case_id}", json={CANARY: "x"}), 422)
    assert problem["errors"][0]["field"] == "?"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", CANARY.encode(), b'{"title": 5}', b'{"title": "\\ud800"}'],
)
def test_a_body_that_does_not_fit_is_a_problem(as_user, owner, world, body):
    case_id = world.study("owner")
    answer = as_user(owner).patch(
        f"/api/v1/cases/{case_id}", content=body, headers={"Content-Type": "application/json"}
    )
    is_problem(answer, 422)


def test_a_body_that_is_too_large_is_refused(as_user, owner, world):
    case_id = world.study("owner")
    client = as_user(owner)
    is_problem(client.patch(f"/api/v1/cases/{case_id}", json={"discussion": "x" * 2_000_000}), 413)
    pieces = (b"x" * 100_000 for _ in range(20))
    headers = {"Content-Type": "application/json"}
    is_problem(client.patch(f"/api/v1/cases/{case_id}", content=pieces, headers=headers), 413)


def test_a_fault_of_ours_is_a_problem_without_its_text(app, as_user, owner, monkeypatch, caplog):
    from cases.store import Accounts

    def fail(self, token, now=None):
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr(Accounts, "authenticate", fail)
    is_problem(as_user(owner).get("/api/v1/me"), 500)
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.error == "ZeroDivisionError"
    assert record.exc_info is None
    assert CANARY not in caplog.text


def test_a_store_out_of_reach_is_a_503_that_says_when_to_come_back(as_user, owner, monkeypatch):
    from cases.store import Accounts

    def fail(self, token, now=None):
        raise cases.errors.StoreUnavailableError(CANARY)

    monkeypatch.setattr(Accounts, "authenticate", fail)
    answer = as_user(owner).get("/api/v1/me")
    is_problem(answer, 503)
    assert answer.headers["retry-after"] == "5"
