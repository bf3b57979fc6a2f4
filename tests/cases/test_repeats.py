"""Requests under a key: begun once, done once, answered alike, and forgotten after a day."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from cases.errors import (
    AnswerNotKeptError,
    AttemptOverError,
    KeyReusedError,
    RequestRunningError,
)
from cases.repeats import CURRENT_ATTEMPT, KEPT_FOR, LEASE, Attempt, KeptAnswer
from cases.store import Accounts, Cases, Database, Repeats
from cases.store.repeat_rows import AnsweredCaseRow, RepeatedRequestRow
from cases.users import Role
from tests.cases.world import file_study, route, user


def a_case(database: Database, owner: str, study: str = "study") -> str:
    return file_study(database, route(owner), study).case_id


ANSWER = KeptAnswer(status=201, headers={"location": "/there"}, body='{"a": 1}')


def begin(database: Database, key: str = "key", digest: str = "d", caller: str = "c") -> Attempt | KeptAnswer:
    with database.write() as session:
        return Repeats(session).begin(caller, key, digest)


def begun(database: Database, key: str = "key") -> Attempt:
    attempt = begin(database, key)
    assert isinstance(attempt, Attempt)
    return attempt


def finish(database: Database, attempt: Attempt, answer: KeptAnswer = ANSWER, *, keeps_body: bool = True) -> None:
    with database.write() as session:
        Repeats(session).finish(attempt, answer, keeps_body=keeps_body)


def do_something(database: Database, attempt: Attempt, name: str = "newcomer") -> None:
    """Commit something as part of an attempt."""
    token = CURRENT_ATTEMPT.set(attempt)
    try:
        with database.write() as session:
            Accounts(session).create_user(name, Role.READER)
    finally:
        CURRENT_ATTEMPT.reset(token)


def let_pass(database: Database, time: timedelta) -> None:
    """Make all that is kept older."""
    with database.write() as session:
        for row in session.scalars(select(RepeatedRequestRow)):
            row.began_at -= time
            row.lease_until -= time


def test_the_first_answer_is_given_again(database: Database) -> None:
    finish(database, begun(database))
    assert begin(database) == ANSWER


def test_the_key_of_another_caller_is_another_key(database: Database) -> None:
    finish(database, begun(database))
    assert isinstance(begin(database, caller="another"), Attempt)


def test_another_request_under_a_key_is_refused(database: Database) -> None:
    attempt = begun(database)
    with pytest.raises(KeyReusedError):
        begin(database, digest="another")
    finish(database, attempt)
    with pytest.raises(KeyReusedError):
        begin(database, digest="another")


def test_a_request_that_is_worked_on_is_not_begun_again(database: Database) -> None:
    begun(database)
    with pytest.raises(RequestRunningError) as refusal:
        begin(database)
    assert refusal.value.retry_after_s > 0


def test_of_many_at_once_one_begins(database: Database) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        try:
            outcomes.append(type(begin(database)))
        except RequestRunningError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == sorted(map(str, [Attempt, *[RequestRunningError] * 7]))


def test_a_request_whose_process_died_before_it_did_anything_can_be_sent_again(database: Database) -> None:
    first = begun(database)
    let_pass(database, LEASE)
    second = begun(database)
    assert second.number != first.number
    do_something(database, second)
    finish(database, second)
    assert begin(database) == ANSWER


def test_a_request_whose_process_died_after_it_did_something_is_never_done_again(database: Database) -> None:
    do_something(database, begun(database))
    with pytest.raises(RequestRunningError):
        begin(database)
    let_pass(database, LEASE)
    with pytest.raises(AnswerNotKeptError, match="at least in part"):
        begin(database)


def test_what_is_rolled_back_leaves_the_key_free(database: Database) -> None:
    attempt = begun(database)
    user(database, "newcomer")
    with pytest.raises(Exception, match="user of this name"):
        do_something(database, attempt)
    let_pass(database, LEASE)
    assert isinstance(begin(database), Attempt)


def test_an_attempt_that_took_too_long_commits_nothing_once_another_one_began(database: Database) -> None:
    slow = begun(database)
    let_pass(database, LEASE)
    begun(database)
    with pytest.raises(AttemptOverError):
        do_something(database, slow)
    with database.read() as session:
        assert Accounts(session).user_named("newcomer") is None
    finish(database, slow)  # comes too late as well
    with pytest.raises(RequestRunningError):
        begin(database)


def test_of_an_attempt_and_its_successor_that_write_at_once_one_commits(database: Database) -> None:
    slow = begun(database)
    let_pass(database, LEASE)
    quick = begun(database)
    barrier = threading.Barrier(2)
    failed: list[Exception] = []

    def write(attempt: Attempt, name: str) -> None:
        barrier.wait()
        try:
            do_something(database, attempt, name)
        except AttemptOverError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=pair) for pair in ((slow, "slow"), (quick, "quick"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert [one.name for one in Accounts(session).users()] == ["quick"]
    assert len(failed) == 1


def test_a_refused_request_gives_its_key_back(database: Database) -> None:
    attempt = begun(database)
    do_something(database, attempt)  # the refusal stands in the audit log
    with database.write() as session:
        Repeats(session).give_back(attempt, even_with_effect=True)
    assert isinstance(begin(database, digest="mended"), Attempt)


def test_a_request_that_failed_keeps_its_key_only_if_it_did_something(database: Database) -> None:
    failed, half_done = begun(database, "failed"), begun(database, "half done")
    do_something(database, half_done)
    with database.write() as session:
        for attempt in (failed, half_done):
            Repeats(session).give_back(attempt, even_with_effect=False)
    assert isinstance(begin(database, "failed"), Attempt)
    with pytest.raises(RequestRunningError):
        begin(database, "half done")


def test_an_answer_with_a_secret_is_not_kept_but_that_it_was_given_is(database: Database) -> None:
    secret = KeptAnswer(status=201, headers={"location": "/secret"}, body='{"token": "secret"}')
    finish(database, begun(database, "CANARY"), secret, keeps_body=False)
    with pytest.raises(AnswerNotKeptError):
        begin(database, "CANARY")
    with database.read() as session:
        rows = session.execute(text("SELECT * FROM repeated_request")).all()
    assert "secret" not in str(rows)
    assert "CANARY" not in str(rows)


def test_an_answer_goes_with_each_of_its_cases(database: Database) -> None:
    ann = user(database, "ann")
    first, second = (a_case(database, "ann", study=f"study{number}") for number in (1, 2))
    finish(database, begun(database, "one"), KeptAnswer(status=200, headers={}, body=f'{{"id": "{first}"}}'))
    finish(database, begun(database, "two"), KeptAnswer(status=200, headers={"location": f"/{first}"}, body="{}"))
    finish(database, begun(database, "both"), KeptAnswer(status=200, headers={}, body=f'["{first}", "{second}"]'))
    finish(database, begun(database, "other"), KeptAnswer(status=200, headers={}, body=f'{{"id": "{second}"}}'))
    with database.write() as session:
        Cases(session).remove(ann, first)
    for key in ("one", "two", "both"):
        with pytest.raises(AnswerNotKeptError):
            begin(database, key)
    assert isinstance(begin(database, "other"), KeptAnswer)
    with database.write() as session:
        Cases(session).erase(second)
    with pytest.raises(AnswerNotKeptError):
        begin(database, "other")


def test_an_answer_that_tells_of_a_case_which_went_meanwhile_is_not_kept(database: Database) -> None:
    ann = user(database, "ann")
    case_id = a_case(database, "ann")
    attempt = begun(database)
    with database.write() as session:
        Cases(session).remove(ann, case_id)
    finish(database, attempt, KeptAnswer(status=200, headers={}, body=f'{{"id": "{case_id}", "title": "Hernia"}}'))
    with pytest.raises(AnswerNotKeptError):
        begin(database)


def test_a_day_later_the_key_is_free_whether_it_was_swept_or_not(database: Database) -> None:
    case_id = a_case(database, "ann")
    for key in ("one", "two"):
        finish(database, begun(database, key), KeptAnswer(status=200, headers={}, body=f'"{case_id}"'))
    let_pass(database, KEPT_FOR - timedelta(minutes=1))
    with database.write() as session:
        assert Repeats(session).sweep() == 0
    assert isinstance(begin(database, "one"), KeptAnswer)
    let_pass(database, timedelta(minutes=2))
    assert isinstance(begin(database, "one", digest="another"), Attempt)
    with database.write() as session:
        assert Repeats(session).sweep() == 1
        assert session.scalar(select(func.count()).select_from(RepeatedRequestRow)) == 1
        assert session.scalar(select(func.count()).select_from(AnsweredCaseRow)) == 0


def test_the_scanner_sweeps(database: Database) -> None:
    from bridge.retention import keep_books_small

    finish(database, begun(database))
    let_pass(database, KEPT_FOR)
    assert keep_books_small(database)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(RepeatedRequestRow)) == 0
