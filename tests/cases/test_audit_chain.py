"""The chain of the audit log: what breaks it is seen, and writers at once keep it whole."""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from cases.audit import (
    NOTHING_BEFORE,
    AuditEntry,
    AuditFilter,
    AuditHead,
    ChainCheck,
    ChainFault,
    ChainFaultKind,
    chained,
    digest_of,
    entry_of,
    line_of,
)
from cases.errors import StoreUnavailableError
from cases.store import Accounts, Audit, Database
from cases.store.account_rows import UserRow
from cases.store.migrate import alembic_config
from cases.users import Role
from tests.cases.world import NOON

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DETAILS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers() | WORDS, max_size=4)


@st.composite
def chains(draw: st.DrawFn, least: int = 1) -> list[AuditEntry]:
    """Draw a whole chain."""
    entries, head = [], AuditHead()
    for seconds in draw(st.lists(st.integers(-5, 5), min_size=least, max_size=8)):
        entry = chained(
            head,
            at=NOON + timedelta(seconds=seconds, microseconds=draw(st.integers(0, 999_999))),
            actor=draw(WORDS),
            action=draw(WORDS),
            subject=draw(WORDS),
            detail=draw(DETAILS),
        )
        entries.append(entry)
        head = entry.head
    return entries


def first_fault(entries: Sequence[AuditEntry], *, is_part: bool = False) -> ChainFault | None:
    check = ChainCheck(is_part=is_part)
    return next((fault for entry in entries if (fault := check.follow(entry)) is not None), None)


def whole(database: Database) -> list[AuditEntry]:
    """Return all entries, once they were found to be a chain without a gap."""
    with database.read() as session:
        audit = Audit(session)
        entries = list(audit.through(audit.head().place, batch=7))
        assert first_fault(entries) is None
        assert len(entries) == audit.head().place == audit.count(audit.head().place)
    return entries


# -- the chain itself ------------------------------------------------------------------------------------------------


@given(chains())
def test_a_whole_chain_is_found_whole_and_survives_being_written_as_lines(entries: list[AuditEntry]) -> None:
    assert first_fault(entries) is None
    assert [entry_of(line_of(entry)) for entry in entries] == entries


@given(chains(), st.data())
def test_a_changed_entry_is_named_by_its_place(entries: list[AuditEntry], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(entries)))
    entry = entries[place - 1]
    change = data.draw(
        st.sampled_from(
            [
                {"actor": entry.actor + "x"},
                {"action": entry.action + "x"},
                {"subject": entry.subject + "x"},
                {"detail": {**entry.detail, "more": 1}},
                {"at": entry.at + timedelta(microseconds=1)},
                {"digest": "f" * 64},
            ]
        )
    )
    entries[place - 1] = replace(entry, **change)
    assert first_fault(entries) == ChainFault(place=place, kind=ChainFaultKind.CHANGED)


@given(chains(least=2), st.data())
def test_a_change_with_a_new_digest_is_seen_behind_it(entries: list[AuditEntry], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(entries) - 1))
    changed = replace(entries[place - 1], actor=entries[place - 1].actor + "x")
    entries[place - 1] = replace(changed, digest=digest_of(changed))
    assert first_fault(entries) == ChainFault(place=place + 1, kind=ChainFaultKind.UNLINKED)
    assert first_fault(entries, is_part=True) == ChainFault(place=place + 1, kind=ChainFaultKind.UNLINKED)


@given(chains(least=2), st.data())
def test_a_dropped_entry_is_named_but_at_the_end(entries: list[AuditEntry], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(entries)))
    del entries[place - 1]
    expected = ChainFault(place=place, kind=ChainFaultKind.MISSING) if place <= len(entries) else None
    assert first_fault(entries) == expected


@given(chains(least=2), st.data())
def test_a_moved_or_repeated_entry_is_seen(entries: list[AuditEntry], data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True)))
    moved = list(entries)
    moved[one], moved[other] = moved[other], moved[one]
    assert first_fault(moved) == ChainFault(place=one + 1, kind=ChainFaultKind.MISSING)
    repeated = [*entries[: one + 1], *entries[one:]]
    assert first_fault(repeated) == ChainFault(place=one + 1, kind=ChainFaultKind.OUT_OF_ORDER)


@given(chains(), st.data())
def test_a_part_of_a_chain_is_whole_as_a_part(entries: list[AuditEntry], data: st.DataObject) -> None:
    kept = [entry for entry in entries if data.draw(st.booleans())]
    check = ChainCheck(is_part=True)
    assert all(check.follow(entry) is None for entry in kept)
    assert check.count == len(kept)
    if kept:
        assert check.left_out == kept[-1].place - kept[0].place + 1 - len(kept)


def test_an_entry_of_an_unknown_form_is_no_proof() -> None:
    entry = chained(AuditHead(), at=NOON, actor="ann", action="a", subject="s", detail={}, form=2)
    assert first_fault([entry]) == ChainFault(place=1, kind=ChainFaultKind.UNKNOWN_FORM)


def test_the_digest_is_that_of_the_line_without_it() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    entry = chained(AuditHead(), at=at, actor="ann", action="case.edit", subject="c", detail={"b": 1, "a": "für"})
    line = line_of(entry)
    assert line == (
        '{"action":"case.edit","actor":"ann","at":"2026-03-04T05:06:07.000008Z","detail":{"a":"für","b":1},'
        f'"digest":"{entry.digest}","form":1,"place":1,"previous":"{NOTHING_BEFORE}","subject":"c"}}'
    )
    values = json.loads(line)
    del values["digest"]
    rest = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(rest.encode()).hexdigest() == entry.digest


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:-1],
        lambda _line: "[]",
        lambda line: line.replace('"place":1', '"place":"1"'),
        lambda line: line.replace('"place":1', '"place":true'),
        lambda line: line.replace("Z", "+00:00"),
        lambda line: line.replace("Z", ""),
        lambda line: line.replace('"ann"', '"\\ud800"'),
        lambda line: line.replace('"form":1', '"form":1,"more":1'),
        lambda line: line.replace('"detail":{}', '"detail":[]'),
        lambda line: line.replace('"detail":{}', '"detail":' + "[" * 100_000),
        lambda line: line.replace("2026", "0001").replace("Z", "+23:00"),
    ],
)
def test_a_line_that_is_no_entry_is_refused_without_repeating_it(spoil: Callable[[str], str]) -> None:
    entry = chained(AuditHead(), at=NOON, actor="ann", action="a", subject="s", detail={})
    with pytest.raises(ValueError, match=r"^this line is no entry of an audit log$"):
        entry_of(spoil(line_of(entry)))


# -- in the database -------------------------------------------------------------------------------------------------


def test_what_comes_back_from_the_database_is_what_was_digested(database: Database) -> None:
    detail = {
        "text": 'ä "quoted" \u2028 \U0001f600',
        "big": 2**63,
        "none": None,
        "yes": True,
        "half": 0.5,
        "z": "",
        "a": 1,
    }
    with database.write() as session:
        Audit(session).append("ann", "case.edit", "c1", detail)  # type: ignore[arg-type]
        Audit(session).append("bob", "case.edit", "c1")
    first, second = whole(database)
    assert first.detail == detail
    assert (first.previous, second.previous) == (NOTHING_BEFORE, first.digest)


def test_an_entry_is_there_once_its_transaction_ended(database: Database) -> None:
    with database.write() as session:
        Audit(session).append("ann", "case.edit", "c1")
        assert Audit(session).entries() == ()
    assert [entry.actor for entry in whole(database)] == ["ann"]


def test_what_is_rolled_back_leaves_no_entry_and_no_gap(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            Audit(session).append("ann", "case.edit", "c1")
            Audit(session).chain()
            raise ZeroDivisionError

    with database.write() as session:
        Audit(session).append("ann", "case.open", "c1")
    with pytest.raises(ZeroDivisionError):
        fail()
    with database.write() as session:
        Audit(session).append("ann", "case.close", "c1")
    assert [entry.action for entry in whole(database)] == ["case.open", "case.close"]


def test_a_transaction_whose_entry_cannot_be_written_changes_nothing(database: Database) -> None:
    def write() -> None:
        with database.write() as session:
            Accounts(session).create_user("ann", Role.CONTRIBUTOR)
            Audit(session).append("ann", "user.create", "u1", {"figure": float("nan")})  # type: ignore[dict-item]

    with pytest.raises(ValueError, match="JSON"):
        write()
    with database.read() as session:
        assert Accounts(session).users() == ()
    assert whole(database) == []


def test_entries_are_refused_where_nobody_would_chain_them(database: Database) -> None:
    with database.read() as session, pytest.raises(RuntimeError, match=r"Database\.write"):
        Audit(session).append("ann", "case.edit", "c1")
    with Session(database.engine) as session, pytest.raises(RuntimeError, match=r"Database\.write"):
        Audit(session).append("ann", "case.edit", "c1")
    with database.write() as session, session.begin_nested(), pytest.raises(RuntimeError, match="savepoint"):
        Audit(session).append("ann", "case.edit", "c1")
    assert whole(database) == []


def test_the_head_is_known_before_the_transaction_ends(database: Database) -> None:
    with database.write() as session:
        assert Audit(session).chain() is None
        Audit(session).append("ann", "case.edit", "c1")
        head = Audit(session).chain()
    assert [entry.head for entry in whole(database)] == [head]


def test_entries_are_chosen_by_actor_action_subject_and_time(database: Database) -> None:
    for number, (actor, action) in enumerate(
        [("ann", "case.edit"), ("bob", "case.edit-refused"), ("ann", "peer.allow")]
    ):
        with database.write() as session:
            Audit(session).append(actor, action, f"s{number % 2}")
    entries = whole(database)
    at = entries[1].at
    for filters, places in (
        (AuditFilter(actor="ann"), [1, 3]),
        (AuditFilter(action="case."), [1, 2]),
        (AuditFilter(action="case_"), []),
        (AuditFilter(subject="s0"), [1, 3]),
        (AuditFilter(since=at), [2, 3]),
        (AuditFilter(until=at), [1]),
        (AuditFilter(actor="ann", since=at), [3]),
    ):
        with database.read() as session:
            audit = Audit(session)
            assert [entry.place for entry in audit.through(3, filters=filters, batch=1)] == places
            assert audit.count(3, filters) == len(places)
            latest = audit.between(1, 3, filters=filters, newest_first=True, limit=5)
        assert [entry.place for entry in latest] == places[::-1]


def test_no_change_of_the_log_gets_past_the_database(database: Database) -> None:
    with database.write() as session:
        Audit(session).append("ann", "case.edit", "c1")
    columns = "place, at, actor, action, subject, detail, previous, digest, form"
    row = f"{columns}) SELECT place, at, 'bob', action, subject, detail, previous, digest, form FROM audit_entry"
    changes = ["UPDATE audit_entry SET actor = 'bob'", "DELETE FROM audit_entry", f"INSERT INTO audit_entry ({row}"]
    if database.engine.dialect.name == "postgresql":
        changes += [
            "TRUNCATE audit_entry",
            f"INSERT INTO audit_entry ({row} ON CONFLICT (place) DO UPDATE SET actor = 'bob'",
        ]
    else:
        changes += [f"INSERT OR REPLACE INTO audit_entry ({row}", f"REPLACE INTO audit_entry ({row}"]
    for change in changes:
        with pytest.raises((DBAPIError, StoreUnavailableError)), database.write() as session:
            session.execute(text(change))
    assert [entry.actor for entry in whole(database)] == ["ann"]


# -- several writers at once -----------------------------------------------------------------------------------------


def test_writers_at_once_with_locks_rollbacks_and_several_entries_keep_the_chain_whole(database: Database) -> None:
    with database.write() as session:
        ids = [Accounts(session).create_user(f"user{number}", Role.CONTRIBUTOR).id for number in range(4)]
    kept: list[str] = []

    def write(random: Random, number: int, step: int) -> None:
        with database.write() as session:
            for part, user_id in enumerate(sorted(random.sample(ids, 2))):
                session.get(UserRow, user_id, with_for_update=True)
                Audit(session).append(f"w{number}", "write", f"{number}/{step}/{part}")
            session.execute(update(UserRow).where(UserRow.id == user_id).values(draft_limit=step))
            if random.random() < 0.3:
                raise ZeroDivisionError

    def work(number: int) -> None:
        random = Random(number)
        for step in range(12):
            with suppress(ZeroDivisionError):
                write(random, number, step)
                kept.extend(f"{number}/{step}/{part}" for part in range(2))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = whole(database)
    assert sorted(entry.subject for entry in entries) == sorted(kept)
    by_writer = [[entry.subject for entry in entries if entry.actor == f"w{number}"] for number in range(8)]
    assert all(subjects == sorted(subjects, key=lambda one: [*map(int, one.split("/"))]) for subjects in by_writer)


def test_who_appended_may_still_wait_for_a_row_of_somebody_who_appends(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    database.migrate()
    with database.write() as session:
        first, second = (Accounts(session).create_user(name, Role.CONTRIBUTOR).id for name in ("ann", "bob"))
    both_hold_a_row = threading.Barrier(2)
    faults: list[Exception] = []

    def one(own: str, other: str | None) -> None:
        try:
            with database.write() as session:
                session.get(UserRow, own, with_for_update=True)
                Audit(session).append("x", "early", own)
                both_hold_a_row.wait(20)
                if other is not None:
                    # Given a lock on the chain at the append, either this or the other's append would never return.
                    session.get(UserRow, other, with_for_update=True)
                Audit(session).append("x", "late", own)
        except Exception as error:  # noqa: BLE001 - told by the test
            faults.append(error)

    threads = [threading.Thread(target=one, args=terms) for terms in ((first, second), (second, None))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    # Who ended first stands first, whoever appended first.
    assert [entry.subject for entry in whole(database)] == [second, second, first, first]
    database.close()


# -- older databases -------------------------------------------------------------------------------------------------


def test_entries_from_before_the_chain_are_chained_in_the_order_of_their_ids(empty_url: str) -> None:
    database = Database.open(empty_url)
    insert = text(
        "INSERT INTO audit_entry (id, at, actor, action, subject, detail) "
        "VALUES (:id, :at, 'ann', 'case.edit', :subject, :detail)"
    )
    with database.engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0008")
        for number in range(1, 2101):
            values = {"id": 3 * number, "at": "2026-03-04 12:00:00.000001", "subject": f"s{number}"}
            connection.execute(insert, values | {"detail": json.dumps({"version": number})})
    database.migrate()
    before = whole(database)
    assert [entry.subject for entry in before] == [f"s{number}" for number in range(1, 2101)]
    assert before[6].detail == {"version": 7}
    assert before[0].at == datetime(2026, 3, 4, 12, 0, 0, 1, tzinfo=UTC)
    with database.write() as session:
        Audit(session).append("bob", "case.edit", "new")
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0008")
        assert connection.execute(text("SELECT max(id) FROM audit_entry")).scalar() == 2101
        row = "(at, actor, action, subject, detail) SELECT at, 'cy', action, subject, detail FROM audit_entry"
        connection.execute(text(f"INSERT INTO audit_entry {row} WHERE id = 1"))
    with pytest.raises(DBAPIError), database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_entry"))
    database.migrate()
    after = whole(database)
    assert after[:2100] == before
    assert [entry.actor for entry in after[2100:]] == ["bob", "cy"]
    database.close()
