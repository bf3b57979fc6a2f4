"""Users and tokens."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from cases.errors import CaseNotFoundError, InvalidChangeError
from cases.store import Accounts, Database
from cases.store.rows import TokenRow
from cases.users import Role
from tests.cases.world import NOON, user


def test_a_token_is_random_and_only_its_hash_is_kept(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        one, two = (Accounts(session).issue_token(ann.id, "laptop") for _ in range(2))
    assert one != two
    assert len(one) >= 43
    with database.read() as session:
        kept = {row.sha256 for row in session.scalars(select(TokenRow))}
        assert kept == {hashlib.sha256(text.encode()).hexdigest() for text in (one, two)}
        found = Accounts(session).authenticate(one)
    assert found is not None
    assert (found.id, found.name, found.role) == (ann.id, "ann", Role.CONTRIBUTOR)


def test_expired_revoked_unknown_tokens_and_disabled_users_are_nobody(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    with database.write() as session:
        accounts = Accounts(session)
        short = accounts.issue_token(ann.id, "short", expires_at=NOON)
        revoked = accounts.issue_token(ann.id, "revoked")
        accounts.revoke_token(accounts.authenticate(revoked).token_id)  # type: ignore[union-attr]
        of_disabled = accounts.issue_token(bob.id, "x")
        accounts.disable(bob.id)
    with database.read() as session:
        accounts = Accounts(session)
        assert accounts.authenticate(short, NOON - timedelta(seconds=1)) is not None
        for nobody, at in ((short, NOON), (revoked, NOON), (of_disabled, NOON), ("cb_guess", NOON), ("", NOON)):
            assert accounts.authenticate(nobody, at) is None


def test_the_use_of_a_token_is_noted_once_a_minute(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        token = Accounts(session).issue_token(ann.id, "x")
        first = Accounts(session).authenticate(token, NOON)
        assert first is not None
        assert first.token_use_is_due
        Accounts(session).note_use(first.token_id, NOON)
        soon = Accounts(session).authenticate(token, NOON + timedelta(seconds=30))
        later = Accounts(session).authenticate(token, NOON + timedelta(seconds=90))
        assert soon is not None
        assert later is not None
        assert (soon.token_use_is_due, later.token_use_is_due) == (False, True)
        (summary,) = Accounts(session).tokens(ann.id)
    assert (summary.label, summary.last_used_at) == ("x", NOON)


def test_the_first_start_shows_a_token_and_later_starts_none(database: Database) -> None:
    with database.write() as session:
        token = Accounts(session).ensure_admin()
    assert token is not None
    with database.write() as session:
        assert Accounts(session).ensure_admin() is None
        admin = Accounts(session).authenticate(token)
    assert admin is not None
    assert (admin.role, admin.name) == (Role.ADMIN, "admin")


def test_a_configured_token_is_valid_and_the_one_before_it_is_not(database: Database) -> None:
    with database.write() as session:
        accounts = Accounts(session)
        for token in ("first-configured-token", "second-configured-token", "first-configured-token"):
            assert accounts.ensure_admin(token) is None
            assert accounts.ensure_admin(token) is None
            admin = accounts.authenticate(token)
            assert admin is not None
            assert admin.role == Role.ADMIN
        assert accounts.authenticate("second-configured-token") is None
        assert len(accounts.users()) == 1


def test_a_token_of_a_user_cannot_be_configured_for_the_administrator(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        token = Accounts(session).issue_token(ann.id, "x")
        with pytest.raises(InvalidChangeError):
            Accounts(session).ensure_admin(token)


def test_an_administrator_is_made_also_when_the_name_is_taken(database: Database) -> None:
    user(database, "admin")
    with database.write() as session:
        token = Accounts(session).ensure_admin()
        assert token is not None
        made = Accounts(session).authenticate(token)
    assert made is not None
    assert made.name.startswith("admin-")


def test_wrong_users_are_refused(database: Database) -> None:
    user(database, "ann")
    with database.write() as session:
        accounts = Accounts(session)
        for name, limit in (("ann", 10), (" ", 10), ("bob", -1)):
            with pytest.raises(InvalidChangeError):
                accounts.create_user(name, Role.CONTRIBUTOR, limit)
        with pytest.raises(CaseNotFoundError):
            accounts.issue_token("0" * 32, "x")
        with pytest.raises(InvalidChangeError):
            accounts.set_draft_limit("0" * 32, -1)


def test_a_draft_limit_can_be_changed(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        Accounts(session).set_draft_limit(ann.id, 3)
        assert Accounts(session).user(ann.id).draft_limit == 3
