"""Re-runs as the job engine hands them out: staged, brought in, taken up after a crash, given up."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bridge import pipeline
from bridge.children import Children
from bridge.jobs import Jobs
from bridge.looks import LookRunner
from bridge.moves import MoveRunner
from bridge.pipeline import Filed, OriginalGoneError, Task
from bridge.pool import ChildDiedError
from bridge.rerun import INCOMPARABLE, Again, AgainTask, RerunRunner, process_again
from bridge.rerun_desk import RerunDesk
from bridge.study import StudyRunner
from cases.blobs import LocalBlobs
from cases.errands import Errand, ErrandState
from cases.errors import StoreUnavailableError
from cases.holds import HoldState
from cases.intake import InstanceFacts, InstanceOutcome, NewArrival
from cases.model import CaseShell, CaseStatus
from cases.profiles import ProfileRevision
from cases.reruns import rerun_blob_key
from cases.reviews import Decision, ReviewAction
from cases.store import Audit, Cases, Database, Errands, Holds, Intake, Profiles, Reruns, Reviews, SiteLayouts
from cases.store.review_errands import ReviewErrands
from cases.store.rows import CaseImageRow, CaseRow, ReceivedInstanceRow
from cases.users import Role
from config import load_settings
from deidentify.results import DropReason, ElementChange, ElementFate, Hold
from deidentify.review import MarkedBox, PixelReview, SiteLayout
from tests.bridge.books import book, shipped
from tests.bridge.spooled import spool_in
from tests.bridge.test_scanner import Engine
from tests.cases.world import HOLD, INBOX, file, image, key, open_shell, receive, user

STRICT = shipped("strict")
STUDY = f"{key('study')}-{INBOX.id}"
CHANGE = ElementChange(place="(0008,1030)", name="StudyDescription", change=ElementFate.REMOVED)


class Answers:
    """Answers what child processes would, by arrival."""

    def __init__(self) -> None:
        self.outcome: dict[str, Hold | None] = {}
        self.during: dict[str, Callable[[], None]] = {}
        self.asked: list[str] = []
        self.tasks: dict[str, Task] = {}

    def run(self, function: Any, again: AgainTask, **_: object) -> Again:
        assert function is process_again
        task = again.task
        self.asked.append(task.arrival_id)
        self.tasks[task.arrival_id] = task
        self.during.pop(task.arrival_id, lambda: None)()
        if task.arrival_id in self.outcome:
            return Again(processed=self.outcome[task.arrival_id])
        assert task.profile_revision == STRICT.revision
        made = image(task.sop_key, study=task.study_key)
        blob_key = rerun_blob_key(task.case_id, task.arrival_id, task.errand_id)
        return Again(processed=Filed(instance=made, blob_key=blob_key), changes=(CHANGE,))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def jobs(database: Database, answers: Answers, tmp_path: Path) -> Jobs:
    blobs = LocalBlobs(tmp_path / "blobs")
    children = Children(pool=answers, threads=1, timeout_s=5.0)  # type: ignore[arg-type] # the one method that is used
    reruns = RerunRunner(database=database, blobs=blobs, children=children, profile_folder=tmp_path / "profiles")
    studies = StudyRunner(
        database=database,
        blobs=blobs,
        pool=answers,  # type: ignore[arg-type]
        profiles=book("default"),
        profile_folder=tmp_path / "profiles",
        threads=1,
        timeout_s=5.0,
    )
    looks = LookRunner(
        database=database, children=children, spool=spool_in(tmp_path), profile_folder=tmp_path / "profiles"
    )
    moves = MoveRunner(database=database, blobs=blobs, children=children)
    return Jobs(database=database, studies=studies, reruns=reruns, looks=looks, moves=moves)


@pytest.fixture
def case(database: Database) -> tuple[CaseShell, list[NewArrival]]:
    arrivals = receive(database, INBOX, "study", 3)
    shell = open_shell(database, INBOX, "study")
    for number, arrived in enumerate(arrivals):
        with database.write() as session:
            Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p")
        file(database, shell, arrived, image(f"{number}", number=number))
    return shell, arrivals


def requested(database: Database, shell: CaseShell, profile: ProfileRevision = STRICT) -> Errand:
    with database.write() as session:
        Profiles(session).keep(profile)
        return Reruns(session).request(shell.case_id, profile, actor="ada")[0]


def state(database: Database, errand: Errand) -> Errand:
    with database.read() as session:
        return Errands(session).get(errand.id)


def revisions(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(CaseImageRow.blob_key)))


def actions(database: Database, shell: CaseShell) -> list[str]:
    with database.read() as session:
        return [entry.action for entry in Audit(session).entries(subject=f"case {shell.case_id}")]


def test_a_generation_that_is_an_errand_makes_the_case_anew(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]], tmp_path: Path
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)
    assert errand.generation == 2

    jobs.run(STUDY, errand.generation)

    ended = state(database, errand)
    assert (ended.state, ended.total, ended.done) == (ErrandState.DONE, 3, 3)
    assert ended.result["elements"] == [["(0008,1030)", "StudyDescription", "removed", 3]]
    assert answers.asked == [one.arrival_id for one in arrivals]
    assert all(key.endswith(f"-{errand.id[:8]}.dcm") for key in revisions(database))
    assert (tmp_path / "profiles" / f"{STRICT.revision}.yaml").read_text() == STRICT.text
    assert actions(database, shell) == ["case.rerun"]
    jobs.run(STUDY, errand.generation)  # the engine may do so after a crash
    assert len(answers.asked) == 3
    assert actions(database, shell) == ["case.rerun"]


def test_what_came_from_another_case_is_made_anew_with_the_pseudonyms_that_it_had_first(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    with database.write() as session:
        moved = ReceivedInstanceRow.arrival_id == arrivals[0].arrival_id
        session.execute(update(ReceivedInstanceRow).where(moved).values(born_in="b" * 32))
        session.execute(update(CaseRow).values(given_patient_id="CB-ABCDEFGH"))

    jobs.run(STUDY, requested(database, shell).generation)

    tasks = [answers.tasks[one.arrival_id] for one in arrivals]
    assert [task.born_in for task in tasks] == ["b" * 32, "", ""]
    assert {task.given_patient_id for task in tasks} == {"CB-ABCDEFGH"}


def test_what_was_staged_before_a_crash_is_not_made_again(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)

    def fail() -> None:
        raise StoreUnavailableError("the disk is full")

    answers.during[arrivals[2].arrival_id] = fail
    with pytest.raises(StoreUnavailableError):
        jobs.run(STUDY, errand.generation)
    assert state(database, errand).state is ErrandState.RUNNING
    assert state(database, errand).done == 2
    answers.asked.clear()

    jobs.run(STUDY, errand.generation)

    assert answers.asked == [arrivals[2].arrival_id]
    assert state(database, errand).state is ErrandState.DONE


def test_an_original_that_goes_meanwhile_and_a_hold_are_told(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)
    answers.outcome = {arrivals[0].arrival_id: None, arrivals[1].arrival_id: HOLD}

    jobs.run(STUDY, errand.generation)

    result = state(database, errand).result
    assert (result["gone"], result["held"], result["remade"]) == (1, {"burned-in-text": 1}, 1)
    with database.read() as session:
        found = [Intake(session).instance(one.arrival_id).outcome for one in arrivals]
    assert found == [InstanceOutcome.FILED, InstanceOutcome.HELD, InstanceOutcome.FILED]


def test_an_image_that_kills_its_process_stays_as_it_is_and_the_rest_goes_on(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)

    def die() -> None:
        answers.during[arrivals[0].arrival_id] = die
        raise ChildDiedError("killed")

    answers.during[arrivals[0].arrival_id] = die
    jobs.run(STUDY, errand.generation)

    # A fault of the machine is no answer of the profile: the image stays.
    result = state(database, errand).result
    assert (result["failed"], result["held"], result["remade"]) == (1, {}, 2)
    with database.read() as session:
        assert Intake(session).instance(arrivals[0].arrival_id).outcome is InstanceOutcome.FILED


def test_a_rerun_that_is_called_off_stops_and_leaves_the_case(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)
    before = revisions(database)

    def call_off() -> None:
        with database.write() as session:
            Errands(session).call_off(errand.id, ErrandState.DISCARDED, "nobody wants it")

    answers.during[arrivals[1].arrival_id] = call_off
    jobs.run(STUDY, errand.generation)

    assert revisions(database) == before
    assert state(database, errand).state is ErrandState.DISCARDED
    assert actions(database, shell) == []


def test_a_rerun_that_fails_again_and_again_is_given_up_and_says_so(
    database: Database, jobs: Jobs, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, _ = case
    errand = requested(database, shell)
    before = revisions(database)

    jobs.give_up(STUDY, errand.generation, "ValueError")
    jobs.give_up(STUDY, errand.generation, "ValueError")

    ended = state(database, errand)
    assert (ended.state, ended.reason) == (ErrandState.FAILED, "it could not be worked on: ValueError")
    assert revisions(database) == before
    assert actions(database, shell) == ["case.rerun-failed"]


def test_a_generation_of_arrivals_is_none_of_an_errand(
    database: Database, jobs: Jobs, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    _, arrivals = case
    jobs.run(STUDY, 1)  # all of it is done already: nothing is asked of the pool
    jobs.give_up(STUDY, 1, "ValueError")
    with database.read() as session:
        assert {Intake(session).instance(one.arrival_id).outcome for one in arrivals} == {InstanceOutcome.FILED}


def test_a_child_tells_a_missing_original_from_a_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_task: object) -> object:
        raise OriginalGoneError("gone")

    monkeypatch.setattr(pipeline, "process_original", gone)
    task = pipeline.Task(study_key="s", sop_key="i", arrival_id="a", case_id="c", hospital="")
    assert process_again(AgainTask(task=task)) == Again(processed=None)
    assert pipeline.process(task).detail  # type: ignore[union-attr] # in a first run it is a hold


def test_an_image_that_is_not_there_any_more_is_compared_with_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.put("cases/new.dcm", io.BytesIO(b"no DICOM"))
    made = Filed(instance=image("0"), blob_key="cases/new.dcm")
    monkeypatch.setattr(pipeline, "blobs", lambda: blobs)
    monkeypatch.setattr(pipeline, "process_original", lambda _: made)
    task = pipeline.Task(study_key="s", sop_key="i", arrival_id="a", case_id="c", hospital="")
    for current in ("cases/gone.dcm", "cases/new.dcm"):
        again = process_again(AgainTask(task=task, current_blob=current))
        assert again == Again(processed=made, changes=(INCOMPARABLE,))


def test_nothing_that_was_made_for_a_rerun_that_is_called_off_stays_in_the_store(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    """Also what a child wrote and nobody heard of: its patient may have been erased."""
    shell, arrivals = case
    errand = requested(database, shell)
    keys = [rerun_blob_key(shell.case_id, one.arrival_id, errand.id) for one in arrivals]

    def call_off() -> None:
        for key_of_blob in keys:
            jobs.reruns.blobs.put(key_of_blob, io.BytesIO(b"x"))
        with database.write() as session:
            Errands(session).call_off(errand.id, ErrandState.DISCARDED, "its case was removed")

    answers.during[arrivals[0].arrival_id] = call_off
    jobs.run(STUDY, errand.generation)

    assert not any(jobs.reruns.blobs.exists(key_of_blob) for key_of_blob in keys)


def test_what_a_dead_worker_left_of_a_rerun_that_was_called_off_is_swept(
    database: Database, jobs: Jobs, answers: Answers, case: tuple[CaseShell, list[NewArrival]]
) -> None:
    shell, arrivals = case
    errand = requested(database, shell)
    left = rerun_blob_key(shell.case_id, arrivals[1].arrival_id, errand.id)
    jobs.reruns.blobs.put(left, io.BytesIO(b"x"))
    with database.write() as session:
        Errands(session).call_off(errand.id, ErrandState.DISCARDED, "its case was removed")

    jobs.run(STUDY, errand.generation)

    assert answers.asked == []
    assert not jobs.reruns.blobs.exists(left)


def test_a_rerun_whose_empty_shell_went_meanwhile_ends_without_a_word_of_failure(
    database: Database, jobs: Jobs, answers: Answers
) -> None:
    (arrived,) = receive(database, INBOX, "study", 1)
    shell = open_shell(database, INBOX, "study")
    with database.write() as session:
        Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p")
        Intake(session).finish(arrived.arrival_id, InstanceOutcome.DROPPED, DropReason.VIDEO.value)
    errand = requested(database, shell)
    with database.write() as session:
        Cases(session).close_books(STUDY)

    jobs.run(STUDY, errand.generation)

    assert (state(database, errand).state, answers.asked) == (ErrandState.DISCARDED, [])


def test_a_reviewed_image_alone_is_made_again_with_its_boxes_and_the_layouts_of_the_site(
    database: Database, jobs: Jobs, answers: Answers
) -> None:
    arrivals = receive(database, INBOX, "study", 2)
    with database.write() as session:
        Profiles(session).keep(STRICT)
        shell = Cases(session).open_shell(STUDY, STRICT)
        for one in arrivals:
            facts = InstanceFacts(series_key="5" * 32, layout_key="1" * 32)
            Intake(session).set_fingerprint(one.arrival_id, dataset="d", pixels="p", facts=facts)
            Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
    rita = user(database, "rita", Role.REVIEWER)
    with database.write() as session:
        hold = next(one for one in Holds(session).list(rita).items if one.arrival_id == arrivals[0].arrival_id)
        reviewed = Reviews(session).decide(rita, hold.id, Decision(action=ReviewAction.CONFIRM))
        SiteLayouts(session).learn(rita, hold.id, "Room 3")
    box = MarkedBox(frame=0, x=4, y=8, width=60, height=12)

    jobs.run(STUDY, reviewed.errands[0].generation)

    assert answers.asked == [arrivals[0].arrival_id]
    task = answers.tasks[arrivals[0].arrival_id]
    assert task.review == PixelReview(redact=(box,))
    assert task.layouts == (SiteLayout(layout_key="1" * 32, boxes=(replace(box, frame=None),)),)
    with database.read() as session:
        found = [Intake(session).instance(one.arrival_id).outcome for one in arrivals]
        assert Holds(session).get(rita, hold.id).state is HoldState.RELEASED
    assert found == [InstanceOutcome.FILED, InstanceOutcome.HELD]
    assert actions(database, shell) == ["case.rerun"]


def test_what_a_person_decides_while_a_rerun_works_is_not_passed_over(
    database: Database, jobs: Jobs, answers: Answers
) -> None:
    (one,) = receive(database, INBOX, "study", 1)
    with database.write() as session:
        Profiles(session).keep(STRICT)
        shell = Cases(session).open_shell(STUDY, STRICT)
        Intake(session).set_fingerprint(one.arrival_id, dataset="d", pixels="p")
        Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
    rita = user(database, "rita", Role.REVIEWER)
    later: list[Errand] = []

    def decide() -> None:
        with database.write() as session:
            (hold,) = Holds(session).list(rita).items
            later.extend(Reviews(session).decide(rita, hold.id, Decision(action=ReviewAction.CONFIRM)).errands)

    whole = requested(database, shell)
    answers.during[one.arrival_id] = decide
    jobs.run(STUDY, whole.generation)
    with database.read() as session:
        assert Intake(session).instance(one.arrival_id).outcome is InstanceOutcome.HELD

    jobs.run(STUDY, later[0].generation)

    with database.read() as session:
        assert Intake(session).instance(one.arrival_id).outcome is InstanceOutcome.FILED


def test_what_was_decided_while_a_rerun_waited_for_an_editor_gets_a_job_when_it_is_applied(
    database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    before = shipped()
    (one,) = receive(database, INBOX, "study", 1)
    with database.write() as session:
        Profiles(session).keep(before)
        shell = Cases(session).open_shell(STUDY, before)
        Intake(session).set_fingerprint(one.arrival_id, dataset="d", pixels="p")
    file(database, shell, one, image("1", study="study"))
    whole = requested(database, shell)
    with database.write() as session:
        session.execute(update(CaseRow).values(status=CaseStatus.PUBLISHED))
    jobs.run(STUDY, whole.generation)
    rita = user(database, "rita", Role.REVIEWER)
    with database.write() as session:
        # As a decision on an image of the case makes it, which was worked on but not applied.
        review, _ = ReviewErrands(session).ask(shell.case_id, [one.arrival_id], actor=rita.name)
        Reruns(session).begin(review)
        assert Reruns(session).conclude(review.id) is not None
    engine = Engine()
    desk = RerunDesk(database=database, client=engine, settings=load_settings({}))  # type: ignore[arg-type]

    desk.decide("eve", whole.id, applies=True)

    again = next(errand for errand in desk.list(case_id=shell.case_id) if errand.state is ErrandState.QUEUED)
    assert engine.jobs == [(STUDY, again.generation, 1)]
    assert again.revision == STRICT.revision
    assert actions(database, shell)[-3:] == ["case.rerun", "case.rerun-discarded", "case.rerun-requested"]
