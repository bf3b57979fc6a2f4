"""Passwords: what may be one, what is kept, and how guessing is slowed down."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import argon2
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import cases.passwords
from cases.errors import InvalidChangeError, SignInPausedError, SignInRefusedError
from cases.passwords import AT_ONCE, LONGEST, SHORTEST, checked, fits, hashed, is_outdated
from cases.store import Accounts, Audit, Database, Passwords
from cases.store.account_rows import SignInFailuresRow, UserRow
from cases.store.passwords import FORGOTTEN_AFTER, FREE_ATTEMPTS, LONGEST_PAUSE, Proof, pause_after, prove
from cases.users import User, UserChange
from tests.cases.world import NOON, user

RIGHT = "a horse that is correct"
WRONG = "a horse that is wrong"
KEPT = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(RIGHT)
pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def ann(database: Database) -> User:
    made = user(database, "ann")
    with database.write() as session:
        Passwords(session).replace(made.id, KEPT)
    return made


def kept_of(database: Database, user_id: str) -> str:
    with database.read() as session:
        return session.scalars(select(UserRow.password_hash).where(UserRow.id == user_id)).one()


def refused(database: Database, name: str = "ann", password: str = WRONG, at: timedelta = timedelta(0)) -> str:
    with pytest.raises(SignInRefusedError) as caught:
        prove(database, name, password, NOON + at)
    return str(caught.value)


# -- what may be one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password", ["", "x" * 11, "x" * 201, "Contributor-1", " contributor-1 ", "\uff43ontributor-1"]
)
def test_a_password_that_is_too_short_too_long_or_the_name_is_refused_without_repeating_it(password: str) -> None:
    with pytest.raises(InvalidChangeError) as caught:
        checked(password, "contributor-1")
    assert not password or password not in str(caught.value)


@given(st.text(st.characters(max_codepoint=0x2FF), min_size=SHORTEST, max_size=LONGEST // 3))
def test_any_characters_will_do(password: str) -> None:
    assert fits(password, hashed(checked(password, "ann")))


def test_halves_of_characters_are_no_password() -> None:
    with pytest.raises(InvalidChangeError):
        checked("\ud800 and eleven more", "ann")


def test_what_is_kept_is_argon2id_with_a_salt_and_fits_the_password_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    kept = hashed(RIGHT)
    assert extract_parameters(kept) == argon2.profiles.RFC_9106_LOW_MEMORY
    assert kept.startswith("$argon2id$")
    assert kept != hashed(RIGHT)
    assert fits(RIGHT, kept)
    assert not fits(WRONG, kept)
    assert not fits(RIGHT, "nothing that anybody kept")
    assert extract_parameters(cases.passwords._nobodys()) == extract_parameters(kept)


def test_the_same_keys_on_another_machine_are_the_same_password() -> None:
    assert fits("ein Schlüssel, der paßt", hashed("ein Schlu\u0308ssel, der paßt"))


def test_where_no_password_is_kept_the_answer_costs_as_much() -> None:
    nobodys = cases.passwords._nobodys()
    assert extract_parameters(nobodys) == extract_parameters(KEPT)
    assert not is_outdated(nobodys)
    with pytest.raises(VerifyMismatchError):  # looked at to the end, and not refused for how it is written
        cases.passwords._hasher().verify(nobodys, RIGHT)
    assert not fits(RIGHT, "")


def test_only_a_few_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.passwords, "WAIT_S", 0.01)
    for _ in range(AT_ONCE):
        assert cases.passwords._turns.acquire(timeout=1)
    try:
        with pytest.raises(SignInPausedError):
            fits(RIGHT, KEPT)
    finally:
        for _ in range(AT_ONCE):
            cases.passwords._turns.release()
    assert fits(RIGHT, KEPT)


# -- who may sign in -------------------------------------------------------------------------------------------------


def test_the_right_password_is_proved_and_the_proof_does_not_show_what_is_kept(database: Database, ann: User) -> None:
    proof = prove(database, "ann", RIGHT, NOON)
    assert proof.user_id == ann.id
    assert KEPT not in repr(proof)
    with database.write() as session:
        Passwords(session).confirm(proof)


def test_unknown_wrong_disabled_and_without_a_password_answer_alike(database: Database, ann: User) -> None:
    shut_out = user(database, "bob")
    user(database, "carla")
    with database.write() as session:
        Passwords(session).replace(shut_out.id, KEPT)
        Accounts(session).edit(shut_out.id, UserChange(is_disabled=True))
    told = {
        refused(database, "nobody", RIGHT),
        refused(database, "ann", WRONG),
        refused(database, "bob", RIGHT),
        refused(database, "carla", RIGHT),
    }
    assert len(told) == 1


def test_a_proof_is_worth_nothing_once_the_account_changed(database: Database, ann: User) -> None:
    proof = prove(database, "ann", RIGHT, NOON)
    with database.write() as session:
        Passwords(session).replace(ann.id, hashed("another horse"))
    with pytest.raises(SignInRefusedError), database.write() as session:
        Passwords(session).confirm(proof)
    with database.write() as session:
        Passwords(session).replace(ann.id, KEPT)
        Accounts(session).edit(ann.id, UserChange(is_disabled=True))
    with pytest.raises(SignInRefusedError), database.write() as session:
        Passwords(session).confirm(proof)


def test_a_password_kept_under_other_parameters_is_kept_anew_when_it_is_known(database: Database, ann: User) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(RIGHT)
    with database.write() as session:
        Passwords(session).replace(ann.id, old)
    refused(database)
    assert kept_of(database, ann.id) == old
    proof = prove(database, "ann", RIGHT, NOON)
    with database.write() as session:
        Passwords(session).confirm(proof)
    renewed = kept_of(database, ann.id)
    assert renewed != old
    assert not is_outdated(renewed)
    assert fits(RIGHT, renewed)


def test_a_new_password_ends_sessions_and_no_other_token(database: Database, ann: User) -> None:
    bob = user(database, "bob")
    with database.write() as session:
        accounts = Accounts(session)
        by_hand = accounts.issue_token(ann.id, "session")
        opened, of_bob = (accounts.open_session(one.id, NOON + timedelta(hours=12)) for one in (ann, bob))
        assert [token.is_session for token in accounts.tokens(bob.id)] == [True]
        Passwords(session).replace(ann.id, KEPT)
        assert accounts.authenticate(opened, NOON) is None
        assert accounts.authenticate(by_hand, NOON) is not None
        assert accounts.authenticate(of_bob, NOON) is not None


# -- guessing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_after_a_few_failures_nothing_is_looked_at_for_a_while(database: Database, ann: User, name: str) -> None:
    for number in range(FREE_ATTEMPTS):
        refused(database, name, at=timedelta(seconds=number))
    with pytest.raises(SignInPausedError) as caught:
        prove(database, name, RIGHT, NOON + timedelta(seconds=10))
    assert 0 < caught.value.retry_after_s <= 30
    assert "try again" in str(caught.value)
    refused(database, name, at=timedelta(seconds=40))
    with pytest.raises(SignInPausedError) as longer:
        prove(database, name, RIGHT, NOON + timedelta(seconds=80))
    assert longer.value.retry_after_s == 21


def test_nobody_is_shut_out_for_ever(database: Database, ann: User) -> None:
    at = timedelta(0)
    for number in range(12):
        refused(database, at=at)
        at += pause_after(number + 1)
    proof = prove(database, "ann", RIGHT, NOON + at)
    with database.write() as session:
        Passwords(session).confirm(proof)
        assert session.scalars(select(SignInFailuresRow)).all() == []


def test_the_pause_grows_and_ends() -> None:
    pauses = [pause_after(attempts) for attempts in range(100)]
    assert not any(pauses[:FREE_ATTEMPTS])
    assert all(pauses[FREE_ATTEMPTS:])
    assert all(one <= other for one, other in pairwise(pauses))
    assert max(pauses) == LONGEST_PAUSE


def test_guesses_made_at_once_count_as_many(database: Database, ann: User) -> None:
    together = threading.Barrier(12)

    def guess(number: int) -> type[Exception] | None:
        together.wait()
        try:
            prove(database, "ann", f"{WRONG} {number}", NOON)
        except (SignInRefusedError, SignInPausedError) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(12) as pool:
        ended = list(pool.map(guess, range(12)))
    assert ended.count(SignInRefusedError) == FREE_ATTEMPTS
    assert ended.count(SignInPausedError) == 12 - FREE_ATTEMPTS


def test_failures_are_forgotten_after_a_day_and_their_rows_go(database: Database, ann: User) -> None:
    for number in range(FREE_ATTEMPTS - 1):
        refused(database, at=timedelta(seconds=number))
        refused(database, f"nobody-{number}")
    later = FORGOTTEN_AFTER + timedelta(hours=1)
    refused(database, at=later)
    with database.read() as session:
        rows = session.scalars(select(SignInFailuresRow)).all()
        assert [(row.count, row.paused_until) for row in rows] == [(1, None)]
    refused(database, at=later)


def test_failures_at_an_account_are_audited_and_what_was_typed_is_kept_nowhere(database: Database, ann: User) -> None:
    for _ in range(FREE_ATTEMPTS):
        refused(database)
    refused(database, "a password in the wrong field", WRONG)
    with database.read() as session:
        entries = Audit(session).entries()
        names = session.scalars(select(SignInFailuresRow.name_digest)).all()
    assert {(entry.actor, entry.action, entry.subject) for entry in entries} == {("sign-in", "session.refuse", ann.id)}
    assert [entry.detail["attempts"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.detail["pause_s"] for entry in entries] == [0, 0, 0, 0, 30]
    assert all(len(name) == 64 for name in names)


def test_an_account_without_a_password_gets_its_first_one_only_while_it_has_none(database: Database) -> None:
    carla = user(database, "carla")
    first = Proof(user_id=carla.id, kept="")
    with database.write() as session:
        Passwords(session).confirm(first)
        Passwords(session).replace(carla.id, KEPT)
    with pytest.raises(SignInRefusedError), database.write() as session:
        Passwords(session).confirm(first)
