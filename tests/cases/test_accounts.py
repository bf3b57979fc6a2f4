"""Users and tokens."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import event, select, text

from cases.errors import CaseNotFoundError, InvalidChangeError, LastAdministratorError
from cases.model import CaseStatus, Visibility
from cases.store import Accounts, Administrators, Database
from cases.store.account_rows import TokenRow
from cases.store.accounts import draft_count, lock_owner_named, pending_count, unlisted_count
from cases.store.migrate import alembic_config
from cases.store.rows import CaseRow
from cases.users import ALL_SCOPES, InstitutionPolicy, Role, Scope, Usage, UserChange
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
        accounts.edit(bob.id, UserChange(is_disabled=True))
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
        token = Administrators(session).ensure()
    assert token is not None
    with database.write() as session:
        assert Administrators(session).ensure() is None
        admin = Accounts(session).authenticate(token)
    assert admin is not None
    assert (admin.role, admin.name) == (Role.ADMIN, "admin")


def test_a_configured_token_is_valid_and_the_one_before_it_is_not(database: Database) -> None:
    with database.write() as session:
        accounts = Accounts(session)
        for token in ("first-configured-token", "second-configured-token", "first-configured-token"):
            assert Administrators(session).ensure(token) is None
            assert Administrators(session).ensure(token) is None
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
            Administrators(session).ensure(token)


def test_an_administrator_is_made_also_when_the_name_is_taken(database: Database) -> None:
    user(database, "admin")
    with database.write() as session:
        token = Administrators(session).ensure()
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
        for limits in ({"unlisted_limit": -1}, {"pending_limit": -1}):
            with pytest.raises(InvalidChangeError):
                accounts.create_user("bob", Role.CONTRIBUTOR, **limits)
        with pytest.raises(CaseNotFoundError):
            accounts.issue_token("0" * 32, "x")
        with pytest.raises(InvalidChangeError):
            accounts.edit("0" * 32, UserChange(draft_limit=-1))
        with pytest.raises(CaseNotFoundError):
            accounts.edit("0" * 32, UserChange(draft_limit=1))


def test_an_account_is_changed_in_what_is_named_only(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        changed = Accounts(session).edit(ann.id, UserChange(draft_limit=3, is_trusted=True, role=Role.EDITOR))
    with database.read() as session:
        assert Accounts(session).user(ann.id) == changed
    assert changed == replace(ann, draft_limit=3, is_trusted=True, role=Role.EDITOR)


def test_a_disabled_account_loses_its_tokens_for_good(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        accounts = Accounts(session)
        token = accounts.issue_token(ann.id, "x")
        assert accounts.edit(ann.id, UserChange(is_disabled=True)).is_disabled
        assert not accounts.edit(ann.id, UserChange(is_disabled=False)).is_disabled
        assert accounts.authenticate(token) is None
        (summary,) = accounts.tokens(ann.id)
        assert summary.revoked_at is not None
        assert accounts.authenticate(accounts.issue_token(ann.id, "y")) is not None


@pytest.mark.parametrize("change", [UserChange(is_disabled=True), UserChange(role=Role.EDITOR)])
def test_the_last_administrator_stays_one(database: Database, change: UserChange) -> None:
    one, other = user(database, "one", role=Role.ADMIN), user(database, "other", role=Role.ADMIN)
    user(database, "ann")
    with database.write() as session:
        Accounts(session).edit(one.id, change)
    with pytest.raises(LastAdministratorError), database.write() as session:
        Accounts(session).edit(other.id, change)
    with database.write() as session:
        accounts = Accounts(session)
        accounts.edit(other.id, UserChange(role=Role.ADMIN, draft_limit=1, is_disabled=False))
        accounts.edit(one.id, UserChange(role=Role.ADMIN, is_disabled=False))
        accounts.edit(other.id, change)


def test_two_administrators_who_shut_each_other_out_at_once_leave_one(database: Database) -> None:
    both = [user(database, name, role=Role.ADMIN) for name in ("one", "other")]
    together = threading.Barrier(2)

    def shut_out(user_id: str) -> bool:
        together.wait()
        try:
            with database.write() as session:
                Accounts(session).edit(user_id, UserChange(is_disabled=True))
        except LastAdministratorError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(shut_out, [one.id for one in both]))
    assert sorted(done) == [False, True]
    with database.read() as session:
        assert [one.is_disabled for one in Accounts(session).users()].count(False) == 1


def test_the_configured_token_moves_on_when_its_administrator_is_shut_out(database: Database) -> None:
    with database.write() as session:
        Administrators(session).ensure("configured-token")
        accounts = Accounts(session)
        first = accounts.authenticate("configured-token")
        assert first is not None
        other = accounts.create_user("other", Role.ADMIN)
        accounts.edit(first.id, UserChange(is_disabled=True))
        assert accounts.authenticate("configured-token") is None
    with database.write() as session:
        Administrators(session).ensure("configured-token")
        found = Accounts(session).authenticate("configured-token")
    assert found is not None
    assert found.id == other.id


def test_a_user_is_not_trusted_and_has_limits_unless_told_otherwise(database: Database) -> None:
    with database.write() as session:
        accounts = Accounts(session)
        usual = accounts.create_user("ann", Role.CONTRIBUTOR)
        special = accounts.create_user(
            "bob",
            Role.CONTRIBUTOR,
            unlisted_limit=0,
            pending_limit=7,
            is_trusted=True,
            institution_policy=InstitutionPolicy.FORBIDDEN,
        )
        routed = accounts.user(lock_owner_named(session, "carla").id)
    allowed = InstitutionPolicy.DEIDENTIFIED_ALLOWED
    for one in (usual, routed):
        assert (one.unlisted_limit, one.pending_limit, one.is_trusted, one.institution_policy) == (
            10,
            3,
            False,
            allowed,
        )
    assert (special.unlisted_limit, special.pending_limit, special.is_trusted) == (0, 7, True)
    assert special.institution_policy is InstitutionPolicy.FORBIDDEN


def test_each_case_counts_toward_the_limit_of_what_it_is(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    states = ["draft", "draft", "waiting", "pending_review", "published", "removed"]
    unlisted = ["draft", "pending_review", "published", "published", "published", "removed"]
    with database.write() as session:
        for number, (status, visibility) in enumerate(
            [*((status, "public") for status in states), *((status, "unlisted") for status in unlisted)]
        ):
            session.add(_case(f"{number:032x}", ann.id, CaseStatus(status), Visibility(visibility)))
    with database.read() as session:
        accounts = Accounts(session)
        assert accounts.usage(ann.id) == Usage(drafts=3, unlisted=4, pending=2)
        assert accounts.usage(bob.id) == Usage()
        assert accounts.usages() == {ann.id: Usage(drafts=3, unlisted=4, pending=2)}
        counts = [count(session, ann.id) for count in (draft_count, unlisted_count, pending_count)]
    assert counts == [3, 4, 2]


def _case(case_id: str, owner_id: str, status: CaseStatus, visibility: Visibility) -> CaseRow:
    return CaseRow(
        id=case_id,
        owner_id=owner_id,
        status=status,
        visibility=visibility,
        sender="PACS",
        arrived_at=NOON,
        created_at=NOON,
        updated_at=NOON,
        profile="teaching",
    )


def test_a_call_is_authenticated_with_one_query(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        token = Accounts(session).issue_token(ann.id, "x")
    asked: list[str] = []
    with database.read() as session:
        event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        assert Accounts(session).authenticate(token) is not None
    assert [statement for statement in asked if statement.startswith("SELECT")] == [asked[-1]]


def test_accounts_and_tokens_of_an_older_version_keep_what_they_may(empty_url: str) -> None:
    database = Database.open(empty_url)
    token = "cb_of-an-older-version"
    with database.engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0007")
        values = {"id": "1" * 32, "at": "2026-03-04 12:00:00", "hash": hashlib.sha256(token.encode()).hexdigest()}
        connection.execute(
            text(
                "INSERT INTO user_account (id, name, role, draft_limit, created_at)"
                " VALUES (:id, 'ann', 'admin', 4, :at)"
            ),
            values,
        )
        connection.execute(
            text(
                "INSERT INTO access_token (id, user_id, label, sha256, created_at)"
                " VALUES (:id, :id, 'laptop', :hash, :at)"
            ),
            values,
        )
    database.migrate()
    with database.read() as session:
        found = Accounts(session).authenticate(token)
    assert found is not None
    assert (found.draft_limit, found.unlisted_limit, found.pending_limit, found.is_trusted) == (4, 10, 3, False)
    assert found.scopes == ALL_SCOPES
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0007")
        assert connection.execute(text("SELECT label FROM access_token")).scalars().all() == ["laptop"]
    database.close()


def test_a_token_is_authenticated_with_its_scopes(database: Database) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        accounts = Accounts(session)
        narrow = accounts.issue_token(ann.id, "x", scopes=frozenset({Scope.READ}))
        usual = accounts.issue_token(ann.id, "y")
        found = [accounts.authenticate(token) for token in (narrow, usual)]
        session.execute(text("UPDATE access_token SET scopes = 'read erase'"))
        session.expire_all()
        of_newer = accounts.authenticate(usual)
    assert [one.scopes for one in (*found, of_newer) if one] == [{Scope.READ}, ALL_SCOPES, {Scope.READ}]
    assert ann.scopes == frozenset(), "who was not authenticated has none"


def test_a_narrow_token_does_not_outlive_a_version_that_would_open_everything_to_it(empty_url: str) -> None:
    database = Database.open(empty_url)
    database.migrate()
    ann = user(database, "ann")
    with database.write() as session:
        Accounts(session).issue_token(ann.id, "narrow", scopes=frozenset({Scope.READ}))
        Accounts(session).issue_token(ann.id, "usual")
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0007")
        assert connection.execute(text("SELECT label FROM access_token")).scalars().all() == ["usual"]
    database.close()
