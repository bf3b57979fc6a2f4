"""``casebridge profile rerun``, ``reruns`` and ``decide`` at the terminal."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from bridge import rerun_command
from bridge.__main__ import main
from bridge.engine import EngineClient, EngineNotReadyError
from bridge.profile_book import revision_of
from cases.errands import Errand, ErrandKind, ErrandState
from cases.intake import NewArrival
from cases.model import CaseShell
from cases.reruns import StagedInstance
from cases.store import Audit, Database, Errands, Intake, Profiles, Reruns
from config import load_settings
from deidentify.results import Dropped, DropReason, ElementChange, ElementFate
from tests.bridge.books import shipped
from tests.cases.world import HOLD, INBOX, file, image, key, open_shell, receive

SERIAL = ElementChange(place="(0018,1000)", name="DeviceSerialNumber", change=ElementFate.ADDED)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(EngineClient, "enqueue_study", lambda *_, **__: None)
    monkeypatch.setattr(rerun_command, "POLL_S", 0.01)
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})
    settings.data_dir.mkdir()
    opened = Database.open(settings.database_url)
    opened.migrate()
    with opened.write() as session:
        Profiles(session).keep(shipped())
    yield opened
    opened.close()


def case_of(database: Database, study: str = "study", images: int = 3) -> tuple[CaseShell, list[NewArrival]]:
    arrivals = receive(database, INBOX, study, images)
    with database.write() as session:
        session.execute(text("UPDATE received_study SET profile = 'teaching'"))
    shell = open_shell(database, INBOX, study)
    for number, arrived in enumerate(arrivals):
        with database.write() as session:
            Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p")
        file(database, shell, arrived, image(f"{study}{number}", study=study, number=number))
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET profile_revision = :r"), {"r": shipped().revision})
    return shell, arrivals


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["profile", *words], prog_name="casebridge")


def work(database: Database, arrivals: list[NewArrival]) -> None:
    """Do what a worker would, as soon as a re-run is asked for."""
    for _ in range(1000):
        with database.read() as session:
            queued = Errands(session).list(ErrandKind.RERUN, state=ErrandState.QUEUED)
        if queued:
            break
        threading.Event().wait(0.02)
    [errand] = queued
    with database.write() as session:
        Errands(session).begin(errand.id, 3)
    outcomes = [
        replace(image("study0", study="study", number=0), sha256="0" * 64),
        HOLD,
        Dropped(reason=DropReason.SCREEN_CAPTURE, detail="a capture"),
    ]
    for arrived, outcome in zip(arrivals, outcomes, strict=True):
        is_image = not isinstance(outcome, type(HOLD) | Dropped)
        with database.read() as session:
            was = Intake(session).instance(arrived.arrival_id).outcome
        made = StagedInstance(
            arrival_id=arrived.arrival_id,
            was=was,
            outcome=outcome,
            blob_key=f"cases/{arrived.arrival_id}.dcm" if is_image else "",
            changes=(SERIAL,) if is_image else (),
        )
        with database.write() as session:
            Reruns(session).stage(errand.id, made)
    with database.write() as session:
        Reruns(session).conclude(errand.id)


def published(database: Database, shell: CaseShell) -> None:
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})


def latest(database: Database) -> Errand:
    with database.read() as session:
        return Errands(session).list(ErrandKind.RERUN)[0]


def test_the_command_waits_and_says_what_changed(database: Database) -> None:
    shell, arrivals = case_of(database)
    worker = threading.Thread(target=work, args=(database, arrivals))
    worker.start()
    done = run("rerun", shell.case_id, "--under", "strict")
    worker.join()

    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "1 made anew, 1 of them otherwise, 1 held (burned-in-text), 1 left out (screen-capture)" in told
    assert f"Case {shell.case_id}, from {shipped().revision} to {shipped('strict').revision}" in told
    assert "(0018,1000) DeviceSerialNumber added 1" in told
    listed = run("reruns", "--case", shell.case_id)
    assert latest(database).id in listed.output
    [told_json] = json.loads(run("reruns", "--json").output)
    assert (told_json["state"], told_json["result"]["held"]) == ("done", {"burned-in-text": 1})


def test_what_would_be_made_anew_is_listed_and_nothing_is_asked_for(database: Database) -> None:
    there, _ = case_of(database)
    gone, arrivals = case_of(database, "other", 1)
    with database.write() as session:
        Intake(session).mark_purged([arrivals[0].arrival_id], arrivals[0].received_at)

    done = run("rerun", "--made-under", shipped().revision[:8], "--under", "strict", "--dry-run")

    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in done.output.splitlines() if line}
    assert rows[there.case_id] == "draft 3 0 would be made anew"
    assert rows[gone.case_id] == "draft 0 1 nothing: its originals are gone"
    assert run("reruns").output == "No case was made anew.\n"
    one = run("rerun", gone.case_id, "--under", "strict", "--dry-run", "--json")
    assert json.loads(one.output)[0]["gone"] == 1


def test_all_cases_of_a_revision_are_asked_for_and_refusals_end_with_1(database: Database) -> None:
    there, _ = case_of(database)
    gone, arrivals = case_of(database, "other", 1)
    with database.write() as session:
        Intake(session).mark_purged([arrivals[0].arrival_id], arrivals[0].received_at)

    done = run("rerun", "--made-under", shipped().revision, "--under", "strict", "--no-wait")

    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert f"queued: casebridge profile reruns --case {there.case_id}" in told
    assert "no original of the case is there any more: its images stay as they are" in told
    assert latest(database).case_id == there.case_id
    assert gone.case_id in done.output
    unknown = run("rerun", "--made-under", "ffff", "--under", "strict")
    assert (unknown.exit_code, unknown.output) == (1, "Not done: no revision begins with 'ffff'\n")
    with database.write() as session:
        Profiles(session).keep(other := revision_of("name: other\nbase: basic\n"))
    nothing = run("rerun", "--made-under", other.revision, "--under", "strict")
    assert (nothing.exit_code, nothing.output) == (0, "No case has this revision.\n")


@pytest.mark.parametrize(
    ("what", "state", "told"), [("apply", "done", "has the new images"), ("discard", "discarded", "stays")]
)
def test_what_waits_for_an_editor_is_listed_and_decided(database: Database, what: str, state: str, told: str) -> None:
    shell, arrivals = case_of(database)
    published(database, shell)
    worker = threading.Thread(target=work, args=(database, arrivals))
    worker.start()
    done = run("rerun", shell.case_id, "--under", "strict")
    worker.join()
    waits = latest(database)
    assert f"casebridge profile decide {waits.id} apply" in " ".join(done.output.split())
    assert waits.id in run("reruns", "--in-review").output

    decided = run("decide", waits.id, what)

    assert told in decided.output
    assert latest(database).state == state
    assert latest(database).decided_by.startswith("command-line (")
    with database.read() as session:
        entry = Audit(session).entries(subject=f"case {shell.case_id}")[-1]
    assert entry.action == ("case.rerun" if what == "apply" else "case.rerun-discarded")
    again = run("decide", waits.id, what)
    why = "done: only one that is in review can be decided" if what == "apply" else "discarded already"
    assert (again.exit_code, again.output) == (1, f"Not done: this re-run is {why}\n")


def test_what_cannot_be_done_is_one_sentence(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shell, _ = case_of(database)
    for words, told in (
        (
            (shell.case_id, "--under", "nobody"),
            "Not done: there is no profile 'nobody'; name one of: research-dates, strict, teaching.\n",
        ),
        (("0" * 32, "--under", "strict"), "Not done: there is no such case\n"),
        ((shell.case_id, "--under", "strict@0000"), "Not done: no revision begins with '0000'\n"),
        (
            (shell.case_id, "--under", f"strict@{shipped().revision}"),
            f"Not done: revision {shipped().revision} is of the profile teaching\n",
        ),
    ):
        done = run("rerun", *words)
        assert (done.exit_code, done.output) == (1, told)
    assert run("rerun", "--under", "strict").exit_code == 2
    assert run("rerun", shell.case_id, "--made-under", "abcd", "--under", "strict").exit_code == 2

    def never(*_: object, **__: object) -> None:
        raise EngineNotReadyError("no worker has started on this database yet")

    monkeypatch.setattr(EngineClient, "enqueue_study", never)
    done = run("rerun", shell.case_id, "--under", "strict")
    assert done.output == "Not done: no worker has started on this database yet; start one, then ask again\n"
    assert run("reruns").output == "No case was made anew.\n"


def test_a_rerun_that_fails_ends_with_1(database: Database) -> None:
    shell, _ = case_of(database)

    def fail() -> None:
        for _ in range(1000):
            with database.write() as session:
                for errand in Errands(session).list(ErrandKind.RERUN):
                    Errands(session).call_off(errand.id, ErrandState.FAILED, "it could not be worked on: ValueError")
                    return
            threading.Event().wait(0.02)

    worker = threading.Thread(target=fail)
    worker.start()
    done = run("rerun", shell.case_id, "--under", "strict")
    worker.join()

    assert done.exit_code == 1
    assert "failed: it could not be worked on: ValueError" in " ".join(done.output.split())
    assert key("study") not in done.output
