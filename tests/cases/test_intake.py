"""What arrives gets a row, settles, and is accounted for."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from cases.errors import CaseNotFoundError
from cases.holds import HoldState
from cases.intake import (
    AssociationOutcome,
    AssociationSummary,
    DeclinedContext,
    InstanceOutcome,
    Refusal,
    StudyState,
    Tally,
)
from cases.store import Cases, Database, Holds, Intake
from tests.cases.world import (
    HOLD,
    INBOX,
    NOON,
    Role,
    arrival,
    file,
    file_study,
    image,
    key,
    open_shell,
    receive,
    route,
    user,
)

ANN = route("ann")
STUDY = f"{key('s')}-ann"


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_recording_twice_changes_nothing(database: Database) -> None:
    arrivals = [arrival("s", "1"), arrival("s", "2"), arrival("other", "1")]
    with database.write() as session:
        assert Intake(session).record(arrivals, destination=ANN) == sorted([STUDY, f"{key('other')}-ann"])
    with database.write() as session:
        assert Intake(session).record(arrivals, destination=ANN) == []
        assert Intake(session).known([*(a.arrival_id for a in arrivals), "f" * 32]) == {a.arrival_id for a in arrivals}
        study = Intake(session).study(STUDY)
    assert (study.unassigned, study.generation, study.state) == (2, 0, StudyState.ARRIVING)
    assert study.destination == ANN


def test_more_arrivals_than_one_statement_takes_are_recorded(database: Database) -> None:
    arrivals = [arrival("s", str(number)) for number in range(1203)]
    with database.write() as session:
        Intake(session).record(arrivals, destination=ANN)
        assert Intake(session).known([a.arrival_id for a in arrivals]) == {a.arrival_id for a in arrivals}
        assert Intake(session).assign_generation(STUDY) == (1, 1203)


def test_what_waits_is_measured_by_the_clock_of_the_database_alone(database: Database) -> None:
    wrong = NOON - timedelta(hours=1)
    slow = replace(ANN, quiet_period_s=300.0, max_settle_s=900.0)
    with database.write() as session:
        intake = Intake(session)
        assert intake.arriving() == []
        for seconds in (0, 25):
            arrived = [arrival("s", str(seconds), at=wrong + after(seconds)), arrival("s", f"{seconds}b", at=NOON)]
            intake.record(arrived, destination=slow, now=NOON + after(seconds))
        [study] = intake.arriving(NOON + after(60))
        assert intake.unassigned([STUDY, "none"]) == {STUDY: 4}
    assert (study.key, study.study_key) == (STUDY, key("s"))
    assert (study.quiet_for_s, study.waiting_for_s) == (35, 60)
    assert (study.quiet_period_s, study.max_settle_s) == (300, 900)


def test_without_a_given_moment_the_clock_of_the_database_counts(database: Database) -> None:
    with database.write() as session:
        Intake(session).record([arrival("s", "1")], destination=ANN)
        [study] = Intake(session).arriving()
    assert 0 <= study.quiet_for_s == study.waiting_for_s < 300


def test_generations_hold_what_arrived_between_two_settlements(database: Database) -> None:
    first = receive(database, ANN, "s", 2)
    late = arrival("s", "late", at=NOON + after(600))
    with database.write() as session:
        intake = Intake(session)
        assert intake.assign_generation(STUDY) == (1, 0)
        intake.record([late], destination=ANN)
        assert intake.assign_generation(STUDY) == (2, 1)
        assert [i.arrival_id for i in intake.pending(STUDY, 1)] == [a.arrival_id for a in first]
        assert [i.arrival_id for i in intake.pending(STUDY, 2)] == [late.arrival_id]
        assert intake.arriving() == []


def test_only_the_first_outcome_of_an_instance_counts(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    with database.write() as session:
        intake = Intake(session)
        assert intake.finish(one.arrival_id, InstanceOutcome.DROPPED, "dose-report", detail="by the profile")
        assert not intake.finish(one.arrival_id, InstanceOutcome.DUPLICATE)
        assert intake.pending(STUDY, 1) == []
        kept = intake.instance(one.arrival_id)
    assert (kept.outcome, kept.reason) == (InstanceOutcome.DROPPED, "dose-report")


def test_fingerprints_and_the_patient_key_are_kept(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    with database.write() as session:
        intake = Intake(session)
        intake.set_fingerprint(one.arrival_id, dataset="d" * 64, pixels="p" * 64)
        assert intake.set_patient_key(STUDY, "k" * 64) == "k" * 64
        assert intake.set_patient_key(STUDY, "x" * 64) == "k" * 64
        (same,) = intake.standing(STUDY, {one.sop_key})
        assert intake.standing(STUDY, {one.sop_key, "f" * 32}) == [same]
        study = intake.study(STUDY)
    assert (same.fingerprint_dataset, same.fingerprint_pixels) == ("d" * 64, "p" * 64)
    assert study.patient_key == "k" * 64
    assert "kkkk" not in repr(study)
    assert shell.is_new


def test_what_is_unknown_says_so(database: Database) -> None:
    with database.write() as session:
        for call in (Intake(session).study, Intake(session).instance, Intake(session).assign_generation):
            with pytest.raises(CaseNotFoundError):
                call("0" * 32)


def test_a_held_instance_may_be_superseded(database: Database) -> None:
    old, new = receive(database, ANN, "s", [arrival("s", "1"), arrival("s", "1")])
    shell = open_shell(database, ANN, "s")
    with database.write() as session:
        hold = Holds(session).hold(shell.case_id, old.arrival_id, HOLD)
        assert Intake(session).finish(old.arrival_id, InstanceOutcome.SUPERSEDED, duplicate_of=new.arrival_id)
    with database.read() as session:
        assert Holds(session).get(user_admin(database), hold).state == HoldState.WITHDRAWN
        assert Intake(session).instance(old.arrival_id).outcome == InstanceOutcome.SUPERSEDED


def user_admin(database: Database):
    return user(database, "root", Role.ADMIN)


def association(name: str, **values: object) -> AssociationSummary:
    return AssociationSummary(
        **{
            "association_id": name,
            "calling_ae": "PACS",
            "called_ae": "CASEBRIDGE",
            "peer_address": "192.0.2.7",
            "started_at": NOON,
            "ended_at": NOON + after(5),
            "outcome": AssociationOutcome.RELEASED,
            **values,
        }
    )


def test_the_sum_adds_up_over_every_place_an_object_can_be_in(database: Database) -> None:
    user(database, "ann", draft_limit=1)
    file_study(database, ANN, "draft", 3)
    file_study(database, ANN, "waits", 2)
    file_study(database, INBOX, "unowned", 4)
    rest = receive(database, INBOX, "rest", [arrival("rest", str(n), calling_ae="MODALITY") for n in range(5)])
    shell = open_shell(database, INBOX, "rest")
    file(database, shell, rest[0], image("r0", study="rest"))
    with database.write() as session:
        intake = Intake(session)
        Holds(session).hold(shell.case_id, rest[1].arrival_id, HOLD)
        intake.finish(rest[2].arrival_id, InstanceOutcome.DROPPED, "dose-report")
        intake.finish(rest[3].arrival_id, InstanceOutcome.DUPLICATE)
        refusals = (
            Refusal(status=0xC000, reason="unreadable", count=2),
            Refusal(status=0xA700, reason="full", count=1),
        )
        assert intake.record_association(association("a1", stored=14, refusals=refusals))
        assert not intake.record_association(association("a1", stored=14, refusals=refusals))
        summary = intake.summary()
    assert summary.total == Tally(
        stored=14, refused=3, in_progress=1, in_draft=3, waiting=2, inbox=5, dropped=1, held=1, duplicate=1
    )
    assert summary.total.adds_up
    assert summary.total.sent == 17
    assert [(s.calling_ae, s.tally.stored, s.tally.adds_up) for s in summary.by_sender] == [
        ("MODALITY", 5, True),
        ("PACS", 9, True),
    ]
    assert summary.held_by_reason == {"burned-in-text": 1}
    assert summary.dropped_by_reason == {"dose-report": 1}
    assert [(r.status, r.reason, r.count) for r in summary.refusals] == [(0xA700, "full", 1), (0xC000, "unreadable", 2)]
    assert summary.unrecorded == 0
    assert (summary.studies, summary.arriving) == (4, 0)


def test_removed_and_expired_objects_stay_in_the_sum(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "s", 2)
    held = receive(database, ANN, "t", 1)
    other = open_shell(database, ANN, "t")
    with database.write() as session:
        Holds(session).hold(other.case_id, held[0].arrival_id, HOLD)
        Cases(session).remove(ann, shell.case_id)
        Intake(session).mark_purged([held[0].arrival_id], NOON)
        summary = Intake(session).summary()
    assert summary.total == Tally(stored=3, removed=2, expired=1)


def test_an_acknowledged_object_without_a_row_shows(database: Database) -> None:
    receive(database, ANN, "s", 2)
    with database.write() as session:
        Intake(session).record_association(association("a1", stored=3))
        Intake(session).record_association(association("a2", stored=1))
        assert Intake(session).summary().unrecorded == 2


def test_rejected_peers_and_declined_contexts_are_listed(database: Database) -> None:
    with database.write() as session:
        intake = Intake(session)
        for number, name in enumerate(("r1", "r2")):
            intake.record_association(
                association(
                    name,
                    outcome=AssociationOutcome.REJECTED,
                    rule="unknown calling AE",
                    calling_ae="STRANGER",
                    started_at=NOON + after(number),
                    ended_at=NOON + after(number),
                )
            )
        intake.record_association(
            association("a1", declined=(DeclinedContext(abstract_syntax="1.2.3", reason="no transfer syntax"),) * 2)
        )
        summary = intake.summary()
    (peer,) = summary.rejected_peers
    assert (peer.calling_ae, peer.rule, peer.count, peer.last_at) == (
        "STRANGER",
        "unknown calling AE",
        2,
        NOON + after(1),
    )
    assert summary.associations == {"rejected": 2, "released": 1}
    assert summary.declined == {"1.2.3": 2}


def test_originals_are_purged_by_their_age_and_never_before_their_work_is_done(database: Database) -> None:
    working, filed, held = receive(database, ANN, "s", 3)
    shell = open_shell(database, ANN, "s")
    file(database, shell, filed, image("f"))
    with database.write() as session:
        Holds(session).hold(shell.case_id, held.arrival_id, HOLD)

    def purgeable(days: float) -> set[str]:
        with database.read() as session:
            return {i.arrival_id for i in Intake(session).purgeable(NOON + timedelta(days=days))}

    assert purgeable(6.9) == set()
    assert purgeable(7) == {filed.arrival_id}
    assert purgeable(30) == {filed.arrival_id, held.arrival_id}
    with database.write() as session:
        Intake(session).mark_purged([filed.arrival_id, held.arrival_id], NOON + timedelta(days=30))
    assert purgeable(400) == set()
    with database.read() as session:
        intake = Intake(session)
        assert intake.instance(filed.arrival_id).outcome == InstanceOutcome.FILED
        assert intake.instance(held.arrival_id).outcome == InstanceOutcome.EXPIRED
        assert intake.instance(held.arrival_id).is_purged
        assert intake.instance(working.arrival_id).outcome == InstanceOutcome.RECEIVED


def test_rejections_that_came_together_are_counted_one_by_one(database):
    record = AssociationSummary(
        association_id="a" * 32,
        calling_ae="STRANGER",
        called_ae="CASEBRIDGE",
        peer_address="10.0.0.9",
        started_at=NOON,
        ended_at=NOON,
        outcome=AssociationOutcome.REJECTED,
        rule="unknown-calling-ae",
        count=250,
    )
    with database.write() as session:
        assert Intake(session).record_association(record)
        assert not Intake(session).record_association(record)
    with database.read() as session:
        summary = Intake(session).summary()
    assert summary.associations == {"rejected": 250}
    assert [peer.count for peer in summary.rejected_peers] == [250]


def test_the_sum_adds_up_while_objects_arrive(database: Database) -> None:
    def arrives(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT") and "GROUP BY" in statement and not arrived:
            arrived.append(statement)
            receive(database, ANN, "second", [arrival("second", "1")])

    receive(database, ANN, "first", [arrival("first", "1")])
    arrived: list[str] = []
    with database.read() as session:
        event.listen(database.engine, "after_cursor_execute", arrives)
        summary = Intake(session).summary()
    assert arrived
    assert (summary.total.stored, summary.total.adds_up) == (1, True)
