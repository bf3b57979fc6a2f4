"""Who may send, who did, who was turned away; and how the books of it stay small."""

import threading
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from cases.errors import CaseNotFoundError
from cases.intake import AssociationOutcome, AssociationSummary, DeclinedContext, Refusal
from cases.peers import NewPeerRule
from cases.store import Audit, Database, Intake, PeerBooks, PeerRules, Peers
from cases.store.peer_books import BOOKS_DAYS, KINDS_A_DAY, VARIOUS
from tests.cases.world import NOON

_numbers = count(1)
REJECTED = AssociationOutcome.REJECTED
RELEASED = AssociationOutcome.RELEASED
LATER = NOON + timedelta(days=3)


def association(at: datetime = NOON, outcome: AssociationOutcome = RELEASED, **values: Any) -> AssociationSummary:
    defaults = {"calling_ae": "PACS", "called_ae": "CASEBRIDGE", "peer_address": "192.0.2.7", "ended_at": at}
    return AssociationSummary(
        association_id=f"{next(_numbers):032x}", started_at=at, outcome=outcome, **(defaults | values)
    )


def record(database: Database, *summaries: AssociationSummary) -> None:
    with database.write() as session:
        for summary in summaries:
            assert Intake(session).record_association(summary)


def fold(database: Database, now: datetime = LATER) -> int:
    with database.write() as session:
        return PeerBooks(session).fold(now)


# -- rules -----------------------------------------------------------------------------------------------------------


def test_a_rule_is_added_seen_and_taken_back_with_a_line_in_the_audit_log_each(database: Database) -> None:
    new = NewPeerRule(calling_ae="PACS", addresses=("192.0.2.7/32",), certificates=("ab" * 32,), note="the new one")
    with database.write() as session:
        rule = PeerRules(session).allow("admin", new)
    with database.read() as session:
        assert PeerRules(session).in_force() == (rule,)
    with database.write() as session:
        PeerRules(session).remove("other", rule.id)
    with database.read() as session:
        assert PeerRules(session).in_force() == ()
        allowed, removed = Audit(session).entries(subject=rule.id)

    assert (rule.calling_ae, rule.addresses, rule.created_by) == ("PACS", ("192.0.2.7/32",), "admin")
    assert (allowed.actor, allowed.action) == ("admin", "peer.allow")
    assert allowed.detail["addresses"] == "192.0.2.7/32"
    assert (removed.actor, removed.action) == ("other", "peer.remove")
    assert "the new one" not in str(allowed.detail)


def test_the_same_rule_twice_is_one_rule(database: Database) -> None:
    first = NewPeerRule(calling_ae="PACS", addresses=("192.0.2.7/32", "192.0.2.8/32"))
    again = NewPeerRule(calling_ae="PACS", addresses=("192.0.2.8/32", "192.0.2.7/32"), note="again")
    with database.write() as session:
        rules = PeerRules(session)
        assert rules.allow("admin", first).id == rules.allow("admin", again).id
        rules.allow("admin", NewPeerRule(calling_ae="PACS", addresses=("192.0.2.7/32",)))
    with database.read() as session:
        assert len(PeerRules(session).in_force()) == 2
        assert len(Audit(session).entries()) == 2


def test_a_rule_is_taken_back_once(database: Database) -> None:
    with database.write() as session:
        rule = PeerRules(session).allow("admin", NewPeerRule(calling_ae="PACS"))
        PeerRules(session).remove("admin", rule.id)
    for rule_id in (rule.id, "0" * 32):
        with pytest.raises(CaseNotFoundError), database.write() as session:
            PeerRules(session).remove("admin", rule_id)
    with database.write() as session:
        assert PeerRules(session).allow("admin", NewPeerRule(calling_ae="PACS")).id != rule.id


# -- rejected and accepted -------------------------------------------------------------------------------------------


def test_rejections_are_grouped_by_who_to_whom_from_where_with_what_and_why(database: Database) -> None:
    hour = timedelta(hours=1)
    record(
        database,
        association(outcome=REJECTED, rule="unknown-calling-ae"),
        association(NOON + hour, REJECTED, rule="unknown-calling-ae", count=4, ended_at=NOON + 2 * hour),
        association(NOON, REJECTED, rule="address-not-allowed"),
        association(NOON, REJECTED, rule="unknown-calling-ae", certificate="ab" * 32),
        association(NOON, REJECTED, rule="unknown-calling-ae", peer_address="192.0.2.8"),
        association(NOON, REJECTED, rule="unknown-calling-ae", called_ae="OTHER"),
        association(NOON),
    )

    with database.read() as session:
        first, *others = Peers(session).rejected()
        assert Peers(session).rejected_kinds() == 5
        assert Peers(session).rejected(limit=2) == (first, others[0])
        assert Peers(session).rejected_peer(first.id) == first
        with pytest.raises(CaseNotFoundError):
            Peers(session).rejected_peer("0" * 32)

    assert (first.count, first.first_at, first.last_at) == (5, NOON, NOON + 2 * hour)
    assert [other.count for other in others] == [1] * 4
    assert len({first.id, *(other.id for other in others)}) == 5


def test_senders_show_what_they_stored_and_when_they_last_succeeded(database: Database) -> None:
    hour = timedelta(hours=1)
    aborted = AssociationOutcome.ABORTED
    record(
        database,
        association(NOON, stored=10, tls="TLSv1.3", certificate="ab" * 32),
        association(NOON + hour, stored=5, outcome=aborted, tls="TLSv1.3", certificate="ab" * 32),
        association(NOON + 2 * hour, outcome=aborted, tls="TLSv1.3", certificate="ab" * 32),
        association(NOON, calling_ae="QUERY"),
        association(NOON, outcome=aborted, calling_ae="SCANNER"),
        association(NOON, REJECTED, calling_ae="STRANGER", rule="unknown-calling-ae"),
    )

    with database.read() as session:
        by_title = {sender.calling_ae: sender for sender in Peers(session).senders()}

    assert set(by_title) == {"PACS", "QUERY", "SCANNER"}
    pacs = by_title["PACS"]
    assert (pacs.associations, pacs.stored, pacs.tls, pacs.certificate) == (3, 15, "TLSv1.3", "ab" * 32)
    assert (pacs.first_at, pacs.last_at, pacs.last_success_at) == (NOON, NOON + 2 * hour, NOON + hour)
    assert (by_title["QUERY"].last_stored_at, by_title["QUERY"].last_success_at) == (None, NOON)
    assert by_title["SCANNER"].last_success_at is None


# -- small books -----------------------------------------------------------------------------------------------------


def ids(database: Database) -> list[str]:
    from sqlalchemy import text

    with database.read() as session:
        return list(session.scalars(text("SELECT id FROM association ORDER BY id")))


def test_verifications_of_a_peer_become_one_row_a_day_and_the_sums_stay(database: Database) -> None:
    declined = (DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),)
    record(database, *(association(NOON + timedelta(minutes=n), declined=declined) for n in range(50)))
    record(database, *(association(NOON - timedelta(days=1, minutes=n)) for n in range(50)))
    record(database, association(NOON, calling_ae="OTHER"))
    with database.read() as session:
        before = Intake(session).summary()
        senders = Peers(session).senders()

    assert fold(database) == 101
    assert fold(database) == 0

    assert len(ids(database)) == 3
    with database.read() as session:
        assert Intake(session).summary() == before
        assert Peers(session).senders() == senders
    assert before.associations == {"released": 101}
    assert before.declined == {"1.2.3": 50}


def test_folding_goes_on_where_it_stopped(database: Database) -> None:
    record(database, association(NOON), association(NOON + timedelta(hours=1)))
    fold(database)
    late = association(NOON - timedelta(hours=1), ended_at=NOON + timedelta(hours=3))
    record(database, late)
    fold(database)

    assert len(ids(database)) == 1
    with database.read() as session:
        [sender] = Peers(session).senders()
    assert (sender.associations, sender.first_at, sender.last_at) == (3, late.started_at, late.ended_at)


def test_two_who_fold_at_once_count_nothing_twice(database: Database) -> None:
    record(database, *(association(NOON + timedelta(seconds=n)) for n in range(200)))
    start = threading.Barrier(4)

    def run() -> None:
        start.wait(timeout=60)
        fold(database)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(ids(database)) == 1
    with database.read() as session:
        assert Intake(session).summary().associations == {"released": 200}


def test_what_something_was_stored_or_refused_on_keeps_its_row(database: Database) -> None:
    stored = association(stored=1)
    refused = association(refusals=(Refusal(status=0xC000, reason="unreadable", count=1),))
    fresh = association(LATER - timedelta(hours=1))
    record(database, stored, refused, fresh)

    assert fold(database) == 0
    with database.write() as session:
        assert PeerBooks(session).prune(NOON + timedelta(days=1000)) == 0

    assert ids(database) == sorted([stored.association_id, refused.association_id, fresh.association_id])


def test_a_flood_of_made_up_titles_is_told_apart_so_far_and_no_further(database: Database) -> None:
    def knocks(first: int, last: int) -> list[AssociationSummary]:
        return [
            association(outcome=REJECTED, rule="unknown-calling-ae", calling_ae=f"X{number}")
            for number in range(first, last)
        ]

    record(database, *knocks(0, KINDS_A_DAY + 30))
    fold(database)
    record(database, *knocks(0, 10), *knocks(10_000, 10_010))
    fold(database)

    assert len(ids(database)) == KINDS_A_DAY + 1
    with database.read() as session:
        [rest] = [peer for peer in Peers(session).rejected() if peer.calling_ae == VARIOUS]
        assert rest.count == 40
        assert Intake(session).summary().associations == {"rejected": KINDS_A_DAY + 50}


def test_old_books_go_with_their_sum_in_the_audit_log(database: Database) -> None:
    declined = (DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),)
    record(
        database,
        association(outcome=REJECTED, rule="unknown-calling-ae", count=7),
        association(declined=declined),
        association(stored=3),
    )
    fold(database)

    with database.write() as session:
        assert PeerBooks(session).prune(NOON + timedelta(days=BOOKS_DAYS - 1)) == 0
        assert PeerBooks(session).prune(NOON + timedelta(days=BOOKS_DAYS + 1)) == 8
        assert PeerBooks(session).prune(NOON + timedelta(days=BOOKS_DAYS + 1)) == 0
    with database.read() as session:
        [entry] = Audit(session).entries()
        summary = Intake(session).summary()

    assert (entry.action, entry.subject) == ("associations.prune", "8 association(s)")
    assert entry.detail == {"rejected": 7, "released": 1}
    assert summary.associations == {"released": 1}
    assert summary.declined == {}
