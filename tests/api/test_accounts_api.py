"""Accounts and tokens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cases.passwords import hashed
from cases.store import Accounts, Audit, Passwords
from cases.users import Scope


def test_me_shows_role_and_free_places(as_user, owner, world):
    world.study("owner")
    me = as_user(owner).get("/api/v1/me").json()
    assert me["name"] == "owner"
    assert me["role"] == "contributor"
    assert me["sees_all"] is False
    assert (me["is_trusted"], me["institution_policy"]) == (False, "deidentified-allowed")
    assert me["quotas"] == {
        "drafts": 1,
        "draft_limit": 10,
        "drafts_free": 9,
        "unlisted": 0,
        "unlisted_limit": 10,
        "unlisted_free": 10,
        "pending": 0,
        "pending_limit": 3,
    }


def test_an_administrator_makes_an_account_and_a_token_for_it(client, as_user, admin):
    made = as_user(admin).post("/api/v1/users", json={"name": "newcomer", "role": "contributor", "draft_limit": 3})
    assert made.status_code == 201
    user = made.json()
    issued = as_user(admin).post("/api/v1/tokens", json={"label": "laptop", "user": user["id"]})
    assert issued.status_code == 201
    token = issued.json()["token"]
    me = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["name"], me["quotas"]["draft_limit"]) == ("newcomer", 3)
    assert "newcomer" in [item["name"] for item in as_user(admin).get("/api/v1/users").json()["items"]]


@pytest.mark.parametrize(
    "body", [{"name": "two words"}, {"name": ""}, {"name": "x" * 65}, {"name": "x", "role": "king"}, {"name": "admin"}]
)
def test_an_account_that_cannot_be_is_refused(as_user, admin, body):
    assert as_user(admin).post("/api/v1/users", json=body).status_code == 422


def test_a_token_is_shown_once_and_listed_without_its_secret(as_user, owner):
    client = as_user(owner)
    token = client.post("/api/v1/tokens", json={"label": "phone"}).json()["token"]
    listed = client.get("/api/v1/tokens")
    assert "phone" in [item["label"] for item in listed.json()["items"]]
    assert token not in listed.text


def test_a_revoked_token_ends_at_once(client, as_user, owner, world):
    token = as_user(owner).post("/api/v1/tokens", json={"label": "lost"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    [lost] = [item for item in as_user(owner).get("/api/v1/tokens").json()["items"] if item["label"] == "lost"]
    assert as_user(owner).delete(f"/api/v1/tokens/{lost['id']}").status_code == 204
    assert client.get("/api/v1/me", headers=headers).status_code == 401


def test_an_expired_token_does_not_let_in(client, owner, world):
    with world.database.write() as session:
        token = Accounts(session).issue_token(owner.id, "old", datetime.now(UTC) - timedelta(seconds=1))
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize(
    "expires_at", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "9999-12-31T23:59:59-23:00", "tomorrow"]
)
def test_a_token_expires_at_a_time_to_come_with_a_zone(as_user, owner, expires_at):
    answer = as_user(owner).post("/api/v1/tokens", json={"label": "x", "expires_at": expires_at})
    assert answer.status_code == 422


def test_somebody_elses_token_and_none_at_all_answer_alike(as_user, owner, stranger):
    [theirs] = as_user(owner).get("/api/v1/tokens").json()["items"]
    there = as_user(stranger).delete(f"/api/v1/tokens/{theirs['id']}")
    nowhere = as_user(stranger).delete(f"/api/v1/tokens/{'0' * 32}")
    assert there.status_code == 404
    assert there.json() == nowhere.json()


def test_the_use_of_a_token_is_noted(as_user, owner):
    as_user(owner).get("/api/v1/me")
    [token] = as_user(owner).get("/api/v1/tokens").json()["items"]
    assert token["last_used_at"] is not None


def test_an_administrator_changes_an_account_and_the_log_names_the_fields(as_user, admin, owner, world):
    client = as_user(admin)
    path = f"/api/v1/users/{owner.id}"
    change = {"role": "editor", "unlisted_limit": 0, "is_trusted": True, "institution_policy": "consent-required"}
    answer = client.patch(path, json=change)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change
    assert client.get(path).json() == answer.json()
    assert as_user(owner).get("/api/v1/me").json()["role"] == "editor"
    with world.database.read() as session:
        [entry] = Audit(session).entries(subject=owner.id)
    assert (entry.actor, entry.action) == ("admin", "user.edit")
    assert entry.detail == {"fields": "institution_policy, is_trusted, role, unlisted_limit"}


def test_a_higher_limit_lets_a_waiting_case_in(as_user, admin, world):
    owner = world.user("owner", draft_limit=1)
    first, second = world.study("owner"), world.study("owner")
    assert [world.detail(one).summary.status for one in (first, second)] == ["draft", "waiting"]
    answer = as_user(admin).patch(f"/api/v1/users/{owner.id}", json={"draft_limit": 2})
    assert answer.json()["drafts"] == 2
    assert world.detail(second).summary.status == "draft"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"role": None},
        {"role": "king"},
        {"draft_limit": -1},
        {"pending_limit": 1001},
        {"name": "other"},
        {"id": "x"},
    ],
)
def test_a_change_of_an_account_that_cannot_be_is_refused(as_user, admin, owner, change):
    assert as_user(admin).patch(f"/api/v1/users/{owner.id}", json=change).status_code == 422


@pytest.mark.parametrize("change", [{"is_disabled": True}, {"role": "reviewer"}])
def test_the_last_administrator_cannot_be_lost(as_user, admin, change):
    refused = as_user(admin).patch(f"/api/v1/users/{admin.id}", json=change)
    assert refused.status_code == 409
    assert "last administrator" in refused.json()["detail"]
    assert as_user(admin).get("/api/v1/users").status_code == 200


def test_a_disabled_account_is_out_at_once_and_may_be_let_in_again_with_a_new_token(client, as_user, admin, owner):
    path = f"/api/v1/users/{owner.id}"
    assert as_user(admin).patch(path, json={"is_disabled": True}).json()["is_disabled"] is True
    assert as_user(owner).get("/api/v1/me").status_code == 401
    assert as_user(admin).patch(path, json={"is_disabled": False}).json()["is_disabled"] is False
    assert as_user(owner).get("/api/v1/me").status_code == 401
    token = as_user(admin).post("/api/v1/tokens", json={"label": "new", "user": owner.id}).json()["token"]
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_an_account_that_is_not_there_is_not_found(as_user, admin):
    for answer in (
        as_user(admin).get(f"/api/v1/users/{'0' * 32}"),
        as_user(admin).patch(f"/api/v1/users/{'0' * 32}", json={"is_trusted": True}),
    ):
        assert answer.status_code == 404


# -- scopes ----------------------------------------------------------------------------------------------------------


def narrow(world, somebody, *scopes):
    """Return somebody with a token of these scopes only."""
    with world.database.write() as session:
        token = Accounts(session).issue_token(somebody.id, "narrow", scopes=frozenset(scopes))
    return replace(somebody, token=token)


def test_a_token_has_what_the_role_has_unless_less_is_asked_for(as_user, owner):
    usual = as_user(owner).post("/api/v1/tokens", json={"label": "usual"}).json()
    assert usual["scopes"] == ["read", "write", "moderate"]
    less = as_user(owner).post("/api/v1/tokens", json={"label": "less", "scopes": ["write", "read"]}).json()
    assert less["scopes"] == ["read", "write"]
    me = as_user(replace(owner, token=less["token"])).get("/api/v1/me").json()
    assert me["scopes"] == ["read", "write"]
    listed = {one["label"]: one["scopes"] for one in as_user(owner).get("/api/v1/tokens").json()["items"]}
    assert listed["less"] == ["read", "write"]
    assert listed["usual"] == ["read", "write", "moderate"]


def test_no_token_is_issued_with_more_than_the_token_of_the_call(as_user, owner, world):
    client = as_user(narrow(world, owner, Scope.READ, Scope.WRITE))
    assert client.post("/api/v1/tokens", json={"label": "x"}).json()["scopes"] == ["read", "write"]
    more = client.post("/api/v1/tokens", json={"label": "x", "scopes": ["read", "moderate"]})
    assert more.status_code == 403
    assert "moderate" in more.json()["detail"]
    assert "read" not in more.json()["detail"]


@pytest.mark.parametrize("scopes", [[], ["everything"], ["administer"], "read"])
def test_scopes_that_cannot_be_are_refused(as_user, owner, scopes):
    assert as_user(owner).post("/api/v1/tokens", json={"label": "x", "scopes": scopes}).status_code == 422


def test_a_token_that_administers_alone_gives_nobody_what_it_lacks(as_user, admin, owner, world):
    client = as_user(narrow(world, admin, Scope.ADMINISTER))
    issued = client.post("/api/v1/tokens", json={"label": "x", "user": owner.id})
    assert issued.status_code == 403
    assert client.put(f"/api/v1/users/{owner.id}/password", json={"password": "a horse that is"}).status_code == 403
    with world.database.read() as session:
        assert not Accounts(session).user(owner.id).has_password


def test_a_narrow_token_sets_no_first_password_which_would_open_everything(as_user, owner, world):
    answer = as_user(narrow(world, owner, Scope.READ, Scope.WRITE)).put(
        "/api/v1/me/password", json={"password": "a horse that is correct"}
    )
    assert answer.status_code == 403
    assert "moderate" in answer.json()["detail"]


def test_a_token_lasts_ninety_days_unless_another_time_or_none_is_named(as_user, owner):
    def expiry(**given):
        answer = as_user(owner).post("/api/v1/tokens", json={"label": "x", **given})
        assert answer.status_code == 201
        return answer.json()["expires_at"]

    left = datetime.fromisoformat(expiry()) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert expiry(expires_at=None) is None
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert datetime.fromisoformat(expiry(expires_at=tomorrow.isoformat())) == tomorrow


def test_a_session_has_all_that_the_role_has(client, owner, world, quick_passwords):
    with world.database.write() as session:
        Passwords(session).replace(owner.id, hashed("a horse that is correct"))
    opened = client.post("/api/v1/sessions", json={"name": "owner", "password": "a horse that is correct"}).json()
    assert opened["scopes"] == ["read", "write", "moderate"]
