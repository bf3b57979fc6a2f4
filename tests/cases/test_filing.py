"""Received studies become drafts, whatever crashes and whoever is faster."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from cases.errors import AlreadyClaimedError, CaseClosedError, DraftLimitError
from cases.intake import InstanceFacts, InstanceOutcome
from cases.model import CaseDetail, CaseFilter, CaseScope, CaseStatus
from cases.store import Accounts, Cases, Database, Holds, Intake
from cases.store.rows import CaseImageRow, CaseRow
from cases.users import Role, User
from tests.cases.world import (
    HOLD,
    INBOX,
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


def detail(database: Database, viewer: User, case_id: str) -> CaseDetail:
    with database.read() as session:
        return Cases(session).get(viewer, case_id)


def set_status(database: Database, case_id: str, status: CaseStatus) -> None:
    """Submit or publish: transitions that a later version has."""
    with database.write() as session:
        row = session.get(CaseRow, case_id)
        assert row is not None
        row.status = status


def at_once(jobs: list[Callable[[], None]]) -> list[BaseException]:
    """Run the jobs together, each in a thread, and return what they raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        barrier.wait()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_a_shell_opens_once_and_shows_what_is_coming(database: Database) -> None:
    receive(database, ANN, "s", 3)
    first, again = open_shell(database, ANN, "s"), open_shell(database, ANN, "s")
    assert (first.case_id, first.is_new, again.is_new) == (again.case_id, True, False)
    assert (first.status, first.owner) == (CaseStatus.DRAFT, "ann")
    shown = detail(database, user(database, "ann"), first.case_id).summary
    assert (shown.counts.pending, shown.counts.images, shown.modalities) == (3, 0, ("CT",))
    assert (shown.sender, shown.title) == ("PACS", "")


def test_two_workers_that_open_one_study_get_one_case(database: Database) -> None:
    receive(database, ANN, "s", 1)
    found: list[str] = []
    errors = at_once([lambda: found.append(open_shell(database, ANN, "s").case_id)] * 4)
    assert errors == []
    assert len(set(found)) == 1


def test_an_owner_without_an_account_becomes_a_contributor_without_a_token(database: Database) -> None:
    receive(database, ANN, "s")
    open_shell(database, ANN, "s")
    with database.read() as session:
        ann = Accounts(session).user_named("ann")
        assert ann is not None
        assert (ann.role, ann.draft_limit, Accounts(session).tokens(ann.id)) == (Role.CONTRIBUTOR, 10, ())


def test_two_destinations_of_one_study_make_two_cases(database: Database) -> None:
    one = file_study(database, ANN, "s", 2)
    two = file_study(database, route("bob"), "s", 2)
    assert one.case_id != two.case_id
    assert (one.owner, two.owner) == ("ann", "bob")


def test_drafts_beyond_the_limit_wait_and_are_promoted_oldest_first(database: Database) -> None:
    ann = user(database, "ann", draft_limit=2)
    shells = [file_study(database, ANN, f"s{n}") for n in range(5)]
    assert [shell.status for shell in shells] == ["draft", "draft", "waiting", "waiting", "waiting"]
    with database.write() as session:
        assert Cases(session).promote_waiting() == []
        Cases(session).remove(ann, shells[0].case_id)
        assert Cases(session).promote_waiting() == [shells[2].case_id]
        assert Cases(session).promote_waiting() == []
    shown = detail(database, ann, shells[2].case_id)
    assert (shown.summary.status, shown.summary.counts.images) == (CaseStatus.DRAFT, 1)


def test_images_file_into_a_waiting_case(database: Database) -> None:
    ann = user(database, "ann", draft_limit=0)
    shell = file_study(database, ANN, "s", 2)
    assert shell.status == CaseStatus.WAITING
    assert detail(database, ann, shell.case_id).summary.counts.images == 2


def test_studies_that_arrive_at_once_never_make_eleven_drafts(database: Database) -> None:
    user(database, "ann")
    for number in range(16):
        receive(database, ANN, f"s{number}")
    statuses: list[CaseStatus] = []

    def some(start: int) -> Callable[[], None]:
        return lambda: statuses.extend(open_shell(database, ANN, f"s{n}").status for n in range(start, start + 2))

    assert at_once([some(start) for start in range(0, 16, 2)]) == []
    assert Counter(statuses) == {CaseStatus.DRAFT: 10, CaseStatus.WAITING: 6}


def test_claims_arrivals_and_promotions_at_once_keep_the_limit(database: Database) -> None:
    ann = user(database, "ann", draft_limit=3)
    inbox = [file_study(database, INBOX, f"i{n}").case_id for n in range(4)]
    for number in range(4):
        receive(database, ANN, f"s{number}")

    def claim(case_id: str) -> Callable[[], None]:
        def run() -> None:
            with database.write() as session:
                Cases(session).claim(ann, case_id)

        return run

    def arrive(number: int) -> Callable[[], None]:
        def run() -> None:
            open_shell(database, ANN, f"s{number}")
            with database.write() as session:
                Cases(session).promote_waiting()

        return run

    errors = at_once([*map(claim, inbox), *map(arrive, range(4))])
    assert all(isinstance(error, DraftLimitError) for error in errors), errors
    with database.read() as session:
        drafts = Cases(session).list(ann, filters=CaseFilter(status=CaseStatus.DRAFT, scope=CaseScope.MINE)).items
        waiting = Cases(session).list(ann, filters=CaseFilter(status=CaseStatus.WAITING)).items
    assert len(drafts) == 3
    assert len(drafts) + len(waiting) + len(errors) == 8


def test_a_draft_of_the_inbox_is_claimed_by_one(database: Database) -> None:
    shell = file_study(database, INBOX, "s")
    assert (shell.status, shell.owner) == (CaseStatus.DRAFT, None)
    people = [user(database, name) for name in ("ann", "bob", "cho", "dia")]

    def claim(viewer: User) -> Callable[[], None]:
        def run() -> None:
            with database.write() as session:
                Cases(session).claim(viewer, shell.case_id)

        return run

    errors = at_once([claim(viewer) for viewer in people])
    assert [type(error) for error in errors] == [AlreadyClaimedError] * 3


def test_late_instances_join_the_open_draft_also_when_it_was_claimed(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, INBOX, "s")
    with database.write() as session:
        Cases(session).claim(ann, shell.case_id)
    (late,) = receive(database, INBOX, "s", [arrival("s", "late")])
    again = open_shell(database, INBOX, "s")
    assert (again.case_id, again.is_new, again.owner) == (shell.case_id, False, "ann")
    file(database, again, late, image("late", study="s", number=2))
    assert detail(database, ann, shell.case_id).summary.counts.images == 2


@pytest.mark.parametrize("status", [CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED, CaseStatus.REMOVED])
def test_late_instances_of_a_closed_case_open_a_linked_draft(database: Database, status: CaseStatus) -> None:
    shell = file_study(database, ANN, "s")
    set_status(database, shell.case_id, status)
    (late,) = receive(database, ANN, "s", [arrival("s", "late")])
    with pytest.raises(CaseClosedError):
        file(database, shell, late, image("late", study="s"))
    with database.write() as session:
        Cases(session).condemn_blob("cases/orphan.dcm", shell.case_id)
        assert Cases(session).condemned_blobs() == ["cases/orphan.dcm"]
    linked = open_shell(database, ANN, "s")
    assert (linked.previous_case_id, linked.is_new, linked.owner) == (shell.case_id, True, "ann")
    file(database, linked, late, image("late", study="s"))
    assert detail(database, user(database, "ann"), linked.case_id).summary.counts.images == 1


def test_filing_again_after_a_crash_gives_one_image(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    keys = {file(database, shell, one, image("1", study="s")) for _ in range(3)}
    shown = detail(database, user(database, "ann"), shell.case_id)
    assert [i.blob_key for i in shown.studies[0].series[0].images] == list(keys)
    with database.read() as session:
        assert Cases(session).condemned_blobs() == []
        assert Intake(session).instance(one.arrival_id).outcome == InstanceOutcome.FILED


def test_a_blob_that_a_replay_wrote_for_nothing_is_condemned(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    kept = file(database, shell, one, image("1", study="s"))
    with database.write() as session:
        Cases(session).file(shell.case_id, one.arrival_id, image("1", study="s"), "cases/other.dcm")
    with database.read() as session:
        assert Cases(session).condemned_blobs() == ["cases/other.dcm"]
    assert detail(database, user(database, "ann"), shell.case_id).studies[0].series[0].images[0].blob_key == kept


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_arrivals_of_one_instance_the_newer_one_wins(database: Database, newest_first: bool) -> None:
    old, new = receive(database, ANN, "s", [arrival("s", "1"), arrival("s", "1")])
    shell = open_shell(database, ANN, "s")
    keys = {}
    for one in (new, old) if newest_first else (old, new):
        keys[one.arrival_id] = file(database, shell, one, image("1", study="s"))
    shown = detail(database, user(database, "ann"), shell.case_id)
    (kept,) = shown.studies[0].series[0].images
    assert kept.blob_key == keys[new.arrival_id]
    with database.read() as session:
        assert Cases(session).condemned_blobs() == [keys[old.arrival_id]]
        assert Intake(session).instance(old.arrival_id).outcome == InstanceOutcome.SUPERSEDED
        assert Intake(session).summary().total.adds_up


def test_the_same_instance_twice_in_a_case_is_impossible(database: Database) -> None:
    old, new = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    file(database, shell, old, image("1", study="s"))

    def add_again() -> None:
        with database.write() as session:
            row = session.query(CaseImageRow).one()
            values = {c.name: getattr(row, c.name) for c in CaseImageRow.__table__.columns}
            session.add(CaseImageRow(**{**values, "id": "f" * 32, "arrival_id": new.arrival_id, "blob_key": "b"}))

    with pytest.raises(IntegrityError) as caught:
        add_again()
    assert "hidden" in str(caught.value)


def test_a_withdrawn_image_leaves_no_trace_in_the_case_but_its_blob_is_remembered(database: Database) -> None:
    one, two = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    blob = file(database, shell, one, image("1", study="s", series="a"))
    file(database, shell, two, image("2", study="s", series="b"))
    with database.write() as session:
        assert Cases(session).withdraw_image(one.arrival_id) == [blob]
        assert Cases(session).withdraw_image(one.arrival_id) == []
        assert Intake(session).instance(one.arrival_id).outcome == InstanceOutcome.RECEIVED
        Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
        assert Cases(session).close_books(f"{key('s')}-ann") == [blob]
    shown = detail(database, user(database, "ann"), shell.case_id)
    assert (shown.summary.counts.images, shown.summary.series, shown.summary.counts.held) == (1, 1, 1)
    assert shown.held_by_reason == {"burned-in-text": 1}
    with database.write() as session:
        Cases(session).forget_blob(blob)
        assert Cases(session).condemned_blobs() == []


def test_a_shell_that_turned_out_empty_is_closed_and_frees_its_place(database: Database) -> None:
    ann = user(database, "ann")
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    with database.write() as session:
        Cases(session).close_books(f"{key('s')}-ann")
    assert detail(database, ann, shell.case_id).summary.counts.pending == 1
    with database.write() as session:
        Intake(session).finish(one.arrival_id, InstanceOutcome.DROPPED, "dose-report")
        Cases(session).close_books(f"{key('s')}-ann")
        assert Cases(session).list(ann).items == ()
        assert Accounts(session).usage(ann.id).drafts == 0
        assert Intake(session).summary().dropped_by_reason == {"dose-report": 1}


def test_a_shell_with_held_images_only_stays(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    with database.write() as session:
        Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
        Cases(session).close_books(f"{key('s')}-ann")
    assert detail(database, user(database, "ann"), shell.case_id).summary.counts.held == 1


def test_an_identical_resend_changes_nothing_but_the_books(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "s", 2)
    before = detail(database, ann, shell.case_id)
    for resend in receive(database, ANN, "s", 2):
        with database.write() as session:
            Intake(session).finish(resend.arrival_id, InstanceOutcome.DUPLICATE)
    with database.write() as session:
        Cases(session).close_books(f"{key('s')}-ann")
        assert Intake(session).summary().total.duplicate == 2
    assert detail(database, ann, shell.case_id) == before


def test_a_pet_ct_makes_two_studies_and_days_become_offsets(database: Database) -> None:
    ct, pet, later = receive(database, ANN, "s", 3)
    shell = open_shell(database, ANN, "s")
    file(database, shell, pet, image("p", study="s", series="p", modality="PT", study_day="20200103"))
    file(database, shell, ct, image("c", study="s", series="c", study_day="20200101"))
    file(database, shell, later, image("l", study="s2", series="c", study_day="20200210"))
    shown = detail(database, user(database, "ann"), shell.case_id)
    assert [(s.modality, s.position, s.day_offset) for s in shown.studies] == [
        ("Nuclear medicine", 2, 2),
        ("CT", 3, 0),
        ("CT", 4, 40),
    ]
    assert (shown.summary.age_band, shown.summary.sex) == ("45 years", "F")
    assert shown.studies[0].series[0].specifics == "AX LUNG"


@pytest.mark.parametrize(
    "odd",
    [
        {"instance_number": 10**25, "series_number": -(10**19), "frames": 2**33},
        {"study_description": "x" * 500, "series_description": "a\0b" * 200, "body_part": "z" * 300},
        {"laterality": "q" * 50, "study_day": "no day at all"},
        {"position": (float("nan"), 0.0, float("inf")), "orientation": (1.0, 0.0, 0.0, 0.0, 1.0, float("nan"))},
    ],
    ids=["numbers", "labels", "codes", "geometry"],
)
def test_what_no_column_holds_fails_no_study(database: Database, odd: dict[str, Any]) -> None:
    (instance,) = receive(database, INBOX, "study", 1)
    shell = open_shell(database, INBOX, "study")
    written = image("odd")
    file(database, shell, instance, replace(written, description=replace(written.description, **odd)))

    with database.read() as session:
        assert Intake(session).instance(instance.arrival_id).outcome == InstanceOutcome.FILED


def test_progress_is_told_by_series_in_the_order_of_arrival(database: Database) -> None:
    arrivals = receive(database, INBOX, "progress", [arrival("progress", str(number)) for number in range(5)])
    shell = open_shell(database, INBOX, "progress")
    with database.write() as session:
        for number, one in enumerate(arrivals):
            facts = InstanceFacts(series_key=key("late" if number > 2 else "early"))
            Intake(session).set_fingerprint(one.arrival_id, dataset="", pixels="", facts=facts)
        Cases(session).file(shell.case_id, arrivals[0].arrival_id, image("a"), "cases/a.dcm")
        Holds(session).hold(shell.case_id, arrivals[3].arrival_id, HOLD)
    with database.read() as session:
        progress = Cases(session).get(user(database, "reader", Role.EDITOR), shell.case_id).series_progress
    assert [(one.number, one.received, one.screened, one.filed, one.held) for one in progress] == [
        (1, 3, 1, 1, 0),
        (2, 2, 1, 0, 1),
    ]
