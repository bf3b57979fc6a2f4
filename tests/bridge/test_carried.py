"""What people decided on a picture counts for the same picture under another header, and for no other one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge import pipeline
from bridge.pipeline import Filed, Inspection, Processed, Task
from bridge.study import StudyRunner
from cases.holds import HoldFilter, HoldState, HoldSummary
from cases.intake import InstanceFacts, InstanceOutcome, NewArrival
from cases.reviews import Decision, ReviewAction
from cases.store import Audit, Database, Holds, Intake, Reviews
from cases.users import Role
from deidentify.compare import Fingerprint
from deidentify.results import Hold, HoldReason
from deidentify.review import NO_REVIEW, MarkedBox, PixelReview
from tests.bridge.test_study import STUDY, outcomes, runner_with
from tests.cases.world import HOLD, INBOX, arrival, image, receive, user

FOUND = MarkedBox(frame=0, x=4, y=8, width=60, height=12)
DRAWN = MarkedBox(frame=0, x=1, y=1, width=5, height=5)
CONFIRM = Decision(action=ReviewAction.CONFIRM)
DROP = Decision(action=ReviewAction.DROP)
SAFE = Decision(action=ReviewAction.MARK_SAFE)
FACTS = InstanceFacts(series_key="5" * 32, layout_key="1" * 32, rows=100, columns=100)


class Answers:
    """Answers what child processes would: pictures with text are held until somebody decided on them."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.pictures: dict[str, str] = {}
        self.hold: Hold = HOLD
        self.tasks: list[Task] = []
        self.during: dict[str, Callable[[], None]] = {}

    def run(self, function: Callable[[Task], Any], task: Task, **_: object) -> Any:
        return {
            pipeline.inspect: self._inspect,
            pipeline.process: self._process,
            pipeline.picture: lambda one: self.pictures.get(one.arrival_id, "the same"),
        }[function](task)

    def _inspect(self, task: Task) -> Inspection:
        found = Fingerprint(dataset=self.headers.get(task.arrival_id, "header"), pixels="pixels")
        return Inspection(arrival_id=task.arrival_id, fingerprint=found, patient_key="patient", facts=FACTS)

    def _process(self, task: Task) -> Processed:
        self.tasks.append(task)
        self.during.pop(task.arrival_id, lambda: None)()
        if task.review == NO_REVIEW:
            return self.hold
        return Filed(instance=image(task.arrival_id), blob_key=f"cases/{task.case_id}/{task.arrival_id}.dcm")


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def runner(database: Database, answers: Answers, tmp_path: Path) -> StudyRunner:
    return runner_with(database, answers, tmp_path, "default")  # type: ignore[arg-type] # a fake of the same form


def held(database: Database, runner: StudyRunner) -> NewArrival:
    """Let a picture arrive that is held."""
    (one,) = receive(database, INBOX, "study", [arrival("study", "1")])
    runner.run(STUDY, 1)
    assert outcomes(database, one) == [InstanceOutcome.HELD]
    return one


def come_again(database: Database, runner: StudyRunner, answers: Answers, *, picture: str = "the same") -> NewArrival:
    """Let the same instance arrive under another header."""
    again = arrival("study", "1")
    answers.headers[again.arrival_id] = f"header of {again.arrival_id}"
    answers.pictures[again.arrival_id] = picture
    receive(database, INBOX, "study", [again])
    with database.read() as session:
        generation = Intake(session).study(STUDY).generation
    runner.run(STUDY, generation)
    return again


def hold_of(database: Database, arrived: NewArrival) -> HoldSummary | None:
    rita = user(database, "rita", Role.REVIEWER)
    with database.read() as session:
        every = Holds(session).list(rita, filters=HoldFilter(state=None)).items
    return next((hold for hold in every if hold.arrival_id == arrived.arrival_id), None)


def decide(database: Database, arrived: NewArrival, decision: Decision) -> None:
    hold = hold_of(database, arrived)
    assert hold is not None
    with database.write() as session:
        Reviews(session).decide(user_of(session), hold.id, decision)


def user_of(session: Any) -> Any:
    from cases.store import Accounts

    return Accounts(session).user_named("rita")


def test_boxes_count_for_the_same_picture_under_another_header_and_can_be_taken_back_there(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, CONFIRM)

    again = come_again(database, runner, answers)

    assert answers.tasks[-1].review == PixelReview(redact=(FOUND,))
    assert outcomes(database, first, again) == [InstanceOutcome.SUPERSEDED, InstanceOutcome.FILED]
    hold = hold_of(database, again)
    assert hold is not None
    assert (hold.state, hold.reason, hold.reviews) == (HoldState.RELEASED, HoldReason.BURNED_IN_TEXT, 1)
    with database.read() as session:
        (entry,) = Audit(session).entries(subject=f"hold {hold.id}")
    assert (entry.action, entry.detail["decisions"], entry.detail["left_out"]) == ("hold.carry", 1, False)
    with database.write() as session:
        Reviews(session).undo(user_of(session), hold.id)
        assert Reviews(session).of([again.arrival_id])[again.arrival_id].review == NO_REVIEW
    assert outcomes(database, again) == [InstanceOutcome.HELD]


@pytest.mark.parametrize("picture", ["another", ""], ids=["another picture", "cannot be decoded"])
def test_nothing_is_carried_to_a_picture_that_is_not_known_to_be_the_same(
    database: Database, runner: StudyRunner, answers: Answers, picture: str
) -> None:
    first = held(database, runner)
    decide(database, first, CONFIRM)
    answers.pictures[first.arrival_id] = "" if not picture else "the same"

    again = come_again(database, runner, answers, picture=picture)

    assert answers.tasks[-1].review == NO_REVIEW
    assert outcomes(database, first, again) == [InstanceOutcome.SUPERSEDED, InstanceOutcome.HELD]


def test_what_may_stay_does_so_for_what_is_not_known_alone_beside_another_header(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, SAFE)
    come_again(database, runner, answers)
    assert answers.tasks[-1].review == PixelReview(safe_elsewhere=(FOUND,))


def test_a_picture_that_somebody_left_out_stays_out_and_that_can_be_taken_back(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, DROP)
    before = len(answers.tasks)

    again = come_again(database, runner, answers)

    assert len(answers.tasks) == before, "nobody has to read it"
    with database.read() as session:
        found = Intake(session).instance(again.arrival_id)
    assert (found.outcome, found.reason) == (InstanceOutcome.DROPPED, "review")
    hold = hold_of(database, again)
    assert hold is not None
    assert hold.state is HoldState.DISCARDED
    with database.write() as session:
        Reviews(session).undo(user_of(session), hold.id)
    assert outcomes(database, again) == [InstanceOutcome.HELD]


def test_several_headers_of_a_picture_that_was_left_out_end_together(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, DROP)
    one, other = arrival("study", "1"), arrival("study", "1")
    answers.headers |= {one.arrival_id: "second header", other.arrival_id: "third header"}
    receive(database, INBOX, "study", [one, other])
    runner.run(STUDY, 2)
    assert outcomes(database, one, other) == [InstanceOutcome.SUPERSEDED, InstanceOutcome.DROPPED]


def test_leaving_out_what_only_its_header_made_doubtful_says_nothing_of_the_picture(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    answers.hold = Hold(reason=HoldReason.RESIDUAL_IDENTIFIER, detail="an identifier is in it")
    first = held(database, runner)
    decide(database, first, DROP)
    again = come_again(database, runner, answers)
    assert outcomes(database, again) == [InstanceOutcome.HELD]


def test_what_is_decided_while_the_newer_header_is_worked_on_counts_too(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, CONFIRM)
    again = arrival("study", "1")
    answers.headers[again.arrival_id] = "corrected header"
    answers.during[again.arrival_id] = lambda: decide(
        database, first, Decision(action=ReviewAction.DRAW, boxes=(DRAWN,))
    )
    receive(database, INBOX, "study", [again])
    with database.read() as session:
        generation = Intake(session).study(STUDY).generation

    runner.run(STUDY, generation)

    reviews = [task.review for task in answers.tasks if task.arrival_id == again.arrival_id]
    assert reviews == [PixelReview(redact=(FOUND,)), PixelReview(redact=(FOUND, DRAWN))]
    assert outcomes(database, first, again) == [InstanceOutcome.SUPERSEDED, InstanceOutcome.FILED]
    with database.read() as session:
        assert Reviews(session).of([again.arrival_id])[again.arrival_id].review == reviews[-1]
    hold = hold_of(database, again)
    assert hold is not None
    assert hold.reviews == 2


def test_what_was_decided_goes_on_from_header_to_header(
    database: Database, runner: StudyRunner, answers: Answers
) -> None:
    first = held(database, runner)
    decide(database, first, CONFIRM)
    come_again(database, runner, answers)
    third = come_again(database, runner, answers)
    assert answers.tasks[-1].arrival_id == third.arrival_id
    assert answers.tasks[-1].review == PixelReview(redact=(FOUND,))
    assert outcomes(database, third) == [InstanceOutcome.FILED]
