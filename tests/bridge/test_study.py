"""The workflow of a study on a real store, with answers in the place of the process pool."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge import pipeline
from bridge.pipeline import Filed, Inspection, Processed, Task
from bridge.profile_book import revision_of
from bridge.study import StudyRunner
from cases.blobs import LocalBlobs
from cases.errors import CaseClosedError, StoreUnavailableError
from cases.intake import NO_FACTS, InstanceFacts, InstanceOutcome, NewArrival, ReceivedInstance
from cases.store import Cases, Database, Holds, Intake, Looks, Profiles
from cases.store.rows import CaseRow, ReceivedInstanceRow
from cases.users import Role
from deidentify.compare import Fingerprint
from deidentify.results import Hold, HoldReason
from tests.bridge.books import book, shipped
from tests.cases.world import INBOX, arrival, file_study, image, key, receive, route, user

STUDY = f"{key('study')}-{INBOX.id}"
UNREADABLE = Hold(reason=HoldReason.UNREADABLE, detail="the data set ends early")


class Answers:
    """Answers what child processes would, by arrival: content is (header, pixels), or None for what cannot be read."""

    def __init__(self) -> None:
        self.content: dict[str, tuple[str, str] | None] = {}
        self.patient: dict[str, str] = {}
        self.held: set[str] = set()
        self.before: dict[str, Callable[[], None]] = {}
        self.during: dict[str, Callable[[], None]] = {}
        self.facts: dict[str, InstanceFacts] = {}
        self.made: dict[str, Task] = {}

    def run(self, function: Callable[[Task], Any], task: Task, **_: object) -> Any:
        return {pipeline.inspect: self._inspect, pipeline.process: self._process, pipeline.decoded: lambda _: ""}[
            function
        ](task)

    def _inspect(self, task: Task) -> Inspection:
        self.before.pop(task.arrival_id, lambda: None)()
        content = self.content.get(task.arrival_id, ("header", "pixels"))
        return Inspection(
            arrival_id=task.arrival_id,
            fingerprint=Fingerprint(dataset=content[0], pixels=content[1]) if content else None,
            patient_key=self.patient.get(task.arrival_id, "patient") if content else "",
            facts=self.facts.get(task.arrival_id, NO_FACTS),
        )

    def _process(self, task: Task) -> Processed:
        self.during.pop(task.arrival_id, lambda: None)()
        self.made[task.arrival_id] = task
        if task.arrival_id in self.held or self.content.get(task.arrival_id, ()) is None:
            return UNREADABLE
        written = image(task.sop_key, study=task.study_key)
        return Filed(instance=written, blob_key=f"cases/{task.case_id}/{task.arrival_id}.dcm")


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def runner(database: Database, answers: Answers, tmp_path: Path) -> StudyRunner:
    return runner_with(database, answers, tmp_path, "default")


def runner_with(database: Database, answers: Answers, tmp_path: Path, profile: str) -> StudyRunner:
    """Return a runner that has a file of one profile."""
    return StudyRunner(
        database=database,
        blobs=LocalBlobs(tmp_path / "blobs"),
        pool=answers,  # type: ignore[arg-type] # a fake with the one method that is used
        profiles=book(profile),
        profile_folder=tmp_path / "profiles",
        threads=2,
        timeout_s=5.0,
    )


def record(database: Database, arrived: NewArrival) -> None:
    with database.write() as session:
        Intake(session).record([arrived], destination=INBOX)


def settle(database: Database) -> int:
    with database.write() as session:
        return Intake(session).assign_generation(STUDY)[0]


def found(database: Database, arrived: NewArrival) -> ReceivedInstance:
    with database.read() as session:
        return Intake(session).instance(arrived.arrival_id)


def outcomes(database: Database, *arrivals: NewArrival) -> list[InstanceOutcome]:
    return [found(database, arrived).outcome for arrived in arrivals]


def test_a_resend_that_arrives_while_its_study_is_worked_on_is_judged_by_its_own_generation(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    (first,) = receive(database, INBOX, "study", [arrival("study", "1")])
    again = arrival("study", "1")
    answers.content[again.arrival_id] = ("header", "other pixels")
    answers.before[first.arrival_id] = lambda: record(database, again)

    runner.run(STUDY, 1)

    assert outcomes(database, first, again) == [InstanceOutcome.FILED, InstanceOutcome.RECEIVED]
    runner.run(STUDY, settle(database))
    assert outcomes(database, first, again) == [InstanceOutcome.HELD, InstanceOutcome.HELD]


def test_a_late_instance_is_made_for_the_draft_that_its_series_was_moved_to(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    (first, second) = receive(database, INBOX, "study", [arrival("study", "1"), arrival("study", "2")])
    runner.run(STUDY, 1)
    other = file_study(database, route("ann"), "other").case_id
    with database.write() as session:
        row = session.get_one(ReceivedInstanceRow, second.arrival_id)
        row.case_id, row.series_key, row.born_in = other, key("moved"), "b" * 32
        session.get_one(CaseRow, other).profile_revision = shipped().revision
    late, of_nobody = arrival("study", "3"), arrival("study", "4")
    answers.facts = {late.arrival_id: InstanceFacts(series_key=key("moved"))}
    record(database, late)
    record(database, of_nobody)

    runner.run(STUDY, settle(database))

    assert (answers.made[late.arrival_id].case_id, answers.made[late.arrival_id].born_in) == (other, "b" * 32)
    assert answers.made[of_nobody.arrival_id].case_id == found(database, first).case_id != other
    assert found(database, late).case_id == other
    assert found(database, late).born_in == "b" * 32


def test_an_instance_whose_correction_names_another_patient_is_held_with_it(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    other, wrong, corrected = (arrival("study", name) for name in ("other", "same", "same"))
    receive(database, INBOX, "study", [other, wrong, corrected])
    answers.content[corrected.arrival_id] = ("corrected header", "pixels")
    answers.patient[corrected.arrival_id] = "another patient"

    runner.run(STUDY, 1)

    held = [found(database, each) for each in (other, wrong, corrected)]
    assert [each.reason for each in held] == [HoldReason.TWO_PATIENTS] * 3


def test_a_conflict_holds_every_version_of_the_image_that_is_in_the_draft(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    (first,) = receive(database, INBOX, "study", [arrival("study", "1")])
    runner.run(STUDY, 1)
    newer, conflicting = arrival("study", "1"), arrival("study", "1")
    answers.content[newer.arrival_id] = ("newer header", "pixels")
    answers.content[conflicting.arrival_id] = ("header", "other pixels")
    receive(database, INBOX, "study", [newer, conflicting])

    runner.run(STUDY, 2)

    assert outcomes(database, first, newer, conflicting) == [InstanceOutcome.HELD] * 3


def test_a_replay_does_not_let_an_older_file_replace_a_newer_one(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    readable, unreadable = arrival("study", "1"), arrival("study", "1")
    receive(database, INBOX, "study", [readable, unreadable])
    answers.content[unreadable.arrival_id] = None
    with database.write() as session:  # as far as the run came before it was killed
        Cases(session).open_shell(STUDY)
        Holds(session).hold(None, unreadable.arrival_id, UNREADABLE)

    runner.run(STUDY, 1)

    assert outcomes(database, readable, unreadable) == [InstanceOutcome.FILED, InstanceOutcome.HELD]


def test_what_could_not_be_compared_is_held_even_when_it_comes_out_clean(
    database: Database, runner: StudyRunner, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = receive(database, INBOX, "study", [arrival("study", "1")])
    runner.run(STUDY, 1)
    (again,) = receive(database, INBOX, "study", [arrival("study", "1")])
    monkeypatch.setattr(
        answers,
        "_inspect",
        lambda task: Inspection(arrival_id=task.arrival_id, fingerprint=None, patient_key=""),
    )

    runner.run(STUDY, 2)

    assert outcomes(database, first, again) == [InstanceOutcome.FILED, InstanceOutcome.HELD]


def test_a_study_is_done_although_the_image_store_deletes_nothing(
    database: Database, runner: StudyRunner, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = receive(database, INBOX, "study", [arrival("study", "1")])
    with database.write() as session:
        Cases(session).condemn_blob("cases/a/b.dcm")

    def refuse(_blobs: LocalBlobs, _key: str) -> None:
        raise StoreUnavailableError("a blob cannot be deleted")

    monkeypatch.setattr(LocalBlobs, "delete", refuse)
    runner.run(STUDY, 1)

    assert outcomes(database, first) == [InstanceOutcome.FILED]
    with database.read() as session:
        assert Cases(session).condemned_blobs() == ["cases/a/b.dcm"]


def test_a_draft_that_is_removed_while_its_images_appear_does_not_come_back(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    editor = user(database, "eve", Role.EDITOR)
    arrivals = receive(database, INBOX, "study", 3)

    def remove() -> None:
        with database.write() as session:
            (case,) = Cases(session).list(editor).items
            Cases(session).remove(editor, case.id)

    answers.during[arrivals[0].arrival_id] = remove
    with pytest.raises(CaseClosedError):
        runner.run(STUDY, 1)
    runner.run(STUDY, 1)

    with database.read() as session:
        assert [case.status for case in Cases(session).list(editor).items] == []
        tally = Intake(session).summary().total
    assert tally.adds_up
    assert (tally.in_progress, tally.held) == (0, 0)


def test_a_result_that_the_database_does_not_take_is_one_hold(
    database: Database, runner: StudyRunner, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, good = receive(database, INBOX, "study", 2)
    file = Cases.file

    def refuse(cases: Cases, case_id: str, arrival_id: str, *rest: Any) -> None:
        if arrival_id == odd.arrival_id:
            raise OverflowError
        file(cases, case_id, arrival_id, *rest)

    monkeypatch.setattr(Cases, "file", refuse)
    runner.run(STUDY, 1)

    assert outcomes(database, odd, good) == [InstanceOutcome.HELD, InstanceOutcome.FILED]


def test_a_study_that_is_sent_again_after_its_draft_was_removed_gets_a_linked_draft(
    database: Database, runner: StudyRunner
) -> None:
    (first,) = receive(database, INBOX, "study", [arrival("study", "1")])
    runner.run(STUDY, 1)
    removed = found(database, first).case_id
    assert removed is not None
    admin = user(database, "admin", Role.ADMIN)
    with database.write() as session:
        Cases(session).remove(admin, removed)
    (again,) = receive(database, INBOX, "study", [arrival("study", "1")])

    runner.run(STUDY, 2)

    renewed = found(database, again)
    assert renewed.outcome is InstanceOutcome.FILED
    assert renewed.case_id not in {None, removed}
    with database.read() as session:
        assert Cases(session).get(admin, str(renewed.case_id)).summary.previous_case_id == removed


def test_a_draft_shell_comes_at_once_though_a_preview_was_asked_for_before_its_study_settled(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    waiting = arrival("study", "1")
    record(database, waiting)
    with database.write() as session:
        Looks(session).request_preview(waiting.study_key, shipped(), most=1, has_pixels=False, actor="ada")
    generation = settle(database)
    seen: list[int] = []
    answers.before[waiting.arrival_id] = lambda: seen.append(len(cases_of(database)))
    runner.run(STUDY, generation)
    assert (generation, seen) == (2, [1])


def cases_of(database: Database) -> Sequence[object]:
    with database.read() as session:
        return Cases(session).list(user(database, "admin", Role.ADMIN)).items


def test_a_study_whose_profile_nobody_has_waits_and_the_log_says_why(
    database: Database, answers: Answers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = runner_with(database, answers, tmp_path, "another")
    waiting = arrival("study", "one")
    record(database, waiting)
    generation = settle(database)
    pipeline.say_once.cache_clear()
    with pytest.raises(StoreUnavailableError):
        runner.run(STUDY, generation)
    assert "the profile default was not published, and is no file here" in caplog.text
    assert found(database, waiting).outcome is InstanceOutcome.RECEIVED
    with database.write() as session:
        Profiles(session).publish(revision_of("name: default\nbase: basic\n"), actor="somebody")
    runner.run(STUDY, generation)
    assert found(database, waiting).outcome is InstanceOutcome.FILED
