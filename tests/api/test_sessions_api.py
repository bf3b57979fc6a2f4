"""Signing in with a password, and changing it."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from cases.passwords import hashed
from cases.store import Accounts, Audit, Passwords
from cases.store.passwords import FREE_ATTEMPTS
from cases.users import UserChange

RIGHT = "a horse that is correct"
OTHER = "another horse entirely"
pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def known(world, owner, quick_passwords):
    with world.database.write() as session:
        Passwords(session).replace(owner.id, hashed(RIGHT))
    return owner


def sign_in(client, name="owner", password=RIGHT):
    return client.post("/api/v1/sessions", json={"name": name, "password": password})


def bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_a_password_opens_a_session_of_twelve_hours(client, known, world):
    opened = sign_in(client)
    assert opened.status_code == 201
    left = datetime.fromisoformat(opened.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    me = client.get("/api/v1/me", headers=bearer(opened)).json()
    assert (me["name"], me["has_password"]) == ("owner", True)
    [token] = [one for one in client.get("/api/v1/tokens", headers=bearer(opened)).json()["items"] if one["is_session"]]
    assert token["label"] == "session"
    with world.database.read() as session:
        actions = [(entry.actor, entry.action) for entry in Audit(session).entries(subject=known.id)]
    assert actions == [("owner", "session.start")]


def test_signing_out_ends_this_session_and_no_other(client, known):
    one, other = sign_in(client), sign_in(client)
    assert client.delete("/api/v1/sessions/current", headers=bearer(one)).status_code == 204
    assert client.get("/api/v1/me", headers=bearer(one)).status_code == 401
    assert client.get("/api/v1/me", headers=bearer(other)).status_code == 200


def test_whoever_cannot_sign_in_gets_one_answer(client, known, stranger, world):
    gone = world.user("gone")
    with world.database.write() as session:
        Passwords(session).replace(gone.id, hashed(RIGHT))
        Accounts(session).edit(gone.id, UserChange(is_disabled=True))
    answers = [
        sign_in(client, "owner", OTHER),
        sign_in(client, "stranger"),
        sign_in(client, "gone"),
        sign_in(client, "nobody"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("name", ["owner", "nobody"])
def test_guessing_is_paused_with_a_time_to_try_again(client, known, name):
    for _ in range(FREE_ATTEMPTS):
        assert sign_in(client, name, OTHER).status_code == 401
    paused = sign_in(client, name, RIGHT)
    assert paused.status_code == 429
    assert 1 <= int(paused.headers["Retry-After"]) <= 30
    assert paused.json()["type"] == "urn:casebridge:problem:sign-in-paused"
    assert client.get("/api/v1/me", headers=known.headers).status_code == 200, "tokens go on"


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "owner", "password": "\\ud800 half a character"}',
        b'{"name": "\\ud800", "password": "a horse that is correct"}',
        b'{"name": "own\\u0000er", "password": "a horse that is correct"}',
        b'{"name": "owner"}',
        b'{"name": "owner", "password": 12}',
        b'{"name": "owner", "password": "%s"}' % (b"x" * 201),
        b'{"name": "%s", "password": "x"}' % (b"x" * 201),
    ],
)
def test_what_cannot_be_a_name_and_a_password_is_refused(client, known, body):
    answer = client.post("/api/v1/sessions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "horse" not in answer.text


def test_a_changed_password_ends_every_session_and_keeps_tokens(client, known):
    here, elsewhere = sign_in(client), sign_in(client)
    change = {"password": OTHER, "old_password": RIGHT}
    assert client.put("/api/v1/me/password", json=change, headers=bearer(here)).status_code == 204
    for session in (here, elsewhere):
        assert client.get("/api/v1/me", headers=bearer(session)).status_code == 401
    assert client.get("/api/v1/me", headers=known.headers).status_code == 200
    assert sign_in(client, "owner", RIGHT).status_code == 401
    assert sign_in(client, "owner", OTHER).status_code == 201


def test_the_old_password_is_asked_for_where_there_is_one(as_user, client, known):
    without = as_user(known).put("/api/v1/me/password", json={"password": OTHER})
    assert without.status_code == 422
    assert "old_password" in without.json()["detail"]
    wrong = as_user(known).put("/api/v1/me/password", json={"password": OTHER, "old_password": OTHER})
    assert wrong.status_code == 403
    assert sign_in(client).status_code == 201


def test_the_old_password_cannot_be_guessed_with_a_token_either(as_user, known):
    tries = [{"password": OTHER, "old_password": f"{OTHER} {number}"} for number in range(FREE_ATTEMPTS + 1)]
    statuses = [as_user(known).put("/api/v1/me/password", json=one).status_code for one in tries]
    assert statuses == [403] * FREE_ATTEMPTS + [429]


def test_who_has_no_password_sets_the_first_one(as_user, client, owner):
    assert as_user(owner).put("/api/v1/me/password", json={"password": RIGHT}).status_code == 204
    assert sign_in(client).status_code == 201


@pytest.mark.parametrize("password", ["x" * 11, "x" * 201, "", "a-name-long-enough"])
def test_a_password_that_cannot_be_is_refused(as_user, admin, world, password):
    somebody = world.user("a-name-long-enough")
    own = as_user(somebody).put("/api/v1/me/password", json={"password": password})
    given = as_user(admin).put(f"/api/v1/users/{somebody.id}/password", json={"password": password})
    assert own.status_code == given.status_code == 422


def test_an_administrator_gives_a_password_which_ends_sessions(as_user, client, admin, known, world):
    opened = sign_in(client)
    for _ in range(FREE_ATTEMPTS):
        sign_in(client, "owner", OTHER)
    answer = as_user(admin).put(f"/api/v1/users/{known.id}/password", json={"password": OTHER})
    assert answer.status_code == 204
    assert client.get("/api/v1/me", headers=bearer(opened)).status_code == 401
    assert sign_in(client, "owner", OTHER).status_code == 201, "the pause is over as well"
    with world.database.read() as session:
        entries = Audit(session).entries(subject=known.id, actions=["password.set"])
    assert [entry.actor for entry in entries] == ["admin"]


def test_an_administrator_changes_the_own_password_as_everybody_does(as_user, admin):
    answer = as_user(admin).put(f"/api/v1/users/{admin.id}/password", json={"password": RIGHT})
    assert answer.status_code == 422
    assert "/api/v1/me/password" in answer.json()["detail"]


def test_no_password_and_nothing_kept_of_one_is_said_or_logged(as_user, client, admin, known, *, world, caplog):
    caplog.set_level(logging.DEBUG)
    said = [
        sign_in(client),
        sign_in(client, "owner", OTHER),
        sign_in(client, RIGHT, OTHER),
        as_user(known).put("/api/v1/me/password", json={"password": "short", "old_password": RIGHT}),
        as_user(known).put("/api/v1/me/password", json={"password": OTHER, "old_password": RIGHT}),
        as_user(known).put("/api/v1/me/password", json={"password": [RIGHT], "old_password": OTHER}),
        as_user(admin).get("/api/v1/users"),
        client.get("/openapi.json"),
    ]
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    with world.database.read() as session:
        logged = " ".join([*(str(record.__dict__) for record in ours), str(Audit(session).entries())])
    for text in (*(f"{answer.headers} {answer.text}" for answer in said), logged):
        assert RIGHT not in text
        assert OTHER not in text
        assert "argon2" not in text
