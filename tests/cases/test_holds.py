"""Held instances, their reasons and their ages."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cases.errors import CaseNotFoundError
from cases.holds import HoldFilter, HoldState, HoldSummary
from cases.intake import InstanceOutcome
from cases.model import Page
from cases.store import Cases, Database, Holds, Intake
from cases.users import User
from deidentify.results import HoldReason
from tests.cases.world import HOLD, NOON, Role, file, image, open_shell, receive, route, user

ANN = route("ann")


def held(database: Database, study: str, number: int = 1) -> list[str]:
    arrivals = receive(database, ANN, study, number)
    shell = open_shell(database, ANN, study)
    with database.write() as session:
        return [Holds(session).hold(shell.case_id, one.arrival_id, HOLD) for one in arrivals]


def seen_by(database: Database, viewer: User, **options: object) -> Page[HoldSummary]:
    paged = {name: options.pop(name) for name in ("limit", "cursor", "order") if name in options}
    with database.read() as session:
        return Holds(session).list(viewer, filters=HoldFilter(**options), **paged)  # type: ignore[arg-type]


def test_a_hold_keeps_its_reason_and_boxes(database: Database) -> None:
    (hold_id,) = held(database, "s")
    with database.read() as session:
        found = Holds(session).get(user(database, "root", Role.ADMIN), hold_id)
        instance = Intake(session).instance(found.arrival_id)
    assert (found.reason, found.detail, found.findings) == (HOLD.reason, HOLD.detail, HOLD.findings)
    assert (found.state, found.arrived_at, found.expires_at) == (HoldState.OPEN, NOON, NOON + timedelta(days=30))
    assert (found.sender, found.study_key, found.sop_key) == ("PACS", instance.study_key, instance.sop_key)
    assert (instance.outcome, instance.reason) == (InstanceOutcome.HELD, "burned-in-text")


def test_holding_again_keeps_one_hold_with_the_latest_reason(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    other = replace(HOLD, reason=HoldReason.SAME_UID_DIFFERENT_PIXELS, detail="two", findings=())
    with database.write() as session:
        first = Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
        assert Holds(session).hold(None, one.arrival_id, other) == first
    (found,) = seen_by(database, user(database, "ann")).items
    assert (found.reason, found.case_id, found.findings) == (other.reason, shell.case_id, HOLD.findings)
    with database.read() as session:
        assert Intake(session).summary().held_by_reason == {"same-uid-different-pixels": 1}


def test_a_replayed_hold_does_not_undo_a_filed_image(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"))
    with database.write() as session:
        assert Holds(session).hold(shell.case_id, one.arrival_id, HOLD) == ""
        assert Intake(session).instance(one.arrival_id).outcome == InstanceOutcome.FILED


def test_contributors_see_the_holds_of_their_own_cases_only(database: Database) -> None:
    (hold_id,) = held(database, "s")
    assert len(seen_by(database, user(database, "ann")).items) == 1
    assert len(seen_by(database, user(database, "rita", Role.REVIEWER)).items) == 1
    bob = user(database, "bob")
    assert seen_by(database, bob).items == ()
    with database.read() as session, pytest.raises(CaseNotFoundError):
        Holds(session).get(bob, hold_id)


def test_holds_are_listed_page_by_page_and_by_reason(database: Database) -> None:
    ids = held(database, "s", 5)
    ann = user(database, "ann")
    found, cursor = [], None
    while True:
        page = seen_by(database, ann, limit=2, cursor=cursor)
        found += [hold.id for hold in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(ids)
    assert len(found) == 5
    assert len(seen_by(database, ann, reason=HoldReason.BURNED_IN_TEXT).items) == 5
    assert seen_by(database, ann, reason=HoldReason.TWO_PATIENTS).items == ()
    assert seen_by(database, ann, case_id="0" * 32).items == ()
    assert seen_by(database, ann, state=HoldState.EXPIRED).items == ()


def test_undecided_holds_are_reminded_of_once_and_become_tombstones(database: Database) -> None:
    held(database, "s", 2)
    ann = user(database, "ann")

    def remind(days: float) -> int:
        with database.write() as session:
            return Holds(session).remind(NOON + timedelta(days=days))

    assert [remind(days) for days in (13.9, 14, 15)] == [0, 2, 0]
    with database.write() as session:
        due = Intake(session).purgeable(NOON + timedelta(days=30))
        Intake(session).mark_purged([one.arrival_id for one in due], NOON + timedelta(days=30))
    assert seen_by(database, ann).items == ()
    expired = seen_by(database, ann, state=HoldState.EXPIRED).items
    assert [(h.state, h.reason) for h in expired] == [(HoldState.EXPIRED, HOLD.reason)] * 2


def test_holds_of_a_removed_case_are_withdrawn(database: Database) -> None:
    held(database, "s")
    ann = user(database, "ann")
    (found,) = seen_by(database, ann).items
    assert found.case_id is not None
    with database.write() as session:
        Cases(session).remove(ann, found.case_id)
        assert Holds(session).list(ann).items == ()
        assert Intake(session).instance(found.arrival_id).reason == "case-removed"
        assert Intake(session).summary().total.adds_up
