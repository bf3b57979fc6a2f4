"""What ``casebridge status`` tells: every object in one place, every reason in words."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bridge.app import prepare
from bridge.status import PLACES, collect, show, show_status
from cases.intake import AssociationOutcome, AssociationSummary, DeclinedContext, InstanceOutcome, Refusal, Tally
from cases.store import Database, Holds, Intake
from config import Settings, load_settings
from tests.cases.world import HOLD, INBOX, arrival, file, image, key, open_shell


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    chosen = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})
    prepare(chosen)
    return chosen


@pytest.fixture
def eventful(settings: Settings) -> Settings:
    """A study with an image, a hold, a dropped object and a resend; a refusal, a declined context, a rejected peer."""
    arrivals = [arrival("study", str(number)) for number in range(4)]
    database = Database.open(settings.database_url)
    with database.write() as session:
        Intake(session).record(arrivals, destination=INBOX)
        Intake(session).assign_generation(f"{key('study')}-{INBOX.id}")
    shell = open_shell(database, INBOX, "study")
    file(database, shell, arrivals[0], image("study/0", study="study"))
    with database.write() as session:
        Holds(session).hold(shell.case_id, arrivals[1].arrival_id, HOLD)
        Intake(session).finish(arrivals[2].arrival_id, InstanceOutcome.DROPPED, "dose-report")
        Intake(session).finish(arrivals[3].arrival_id, InstanceOutcome.DUPLICATE, duplicate_of=arrivals[0].arrival_id)
        for summary in associations():
            Intake(session).record_association(summary)
    database.close()
    return settings


def associations() -> list[AssociationSummary]:
    """Return one that ended well, with refusals and a declined context, and one that was rejected."""
    moment = datetime.now(UTC)
    common: dict[str, Any] = {"called_ae": "CASEBRIDGE", "peer_address": "192.0.2.7", "started_at": moment}
    return [
        AssociationSummary(
            association_id="0" * 32,
            calling_ae="PACS",
            ended_at=moment,
            outcome=AssociationOutcome.RELEASED,
            refusals=(Refusal(status=0xC000, reason="unreadable", count=2),),
            declined=(DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),),
            **common,
        ),
        AssociationSummary(
            association_id="1" * 32,
            calling_ae="STRANGER",
            ended_at=moment,
            outcome=AssociationOutcome.REJECTED,
            rule="unknown-peer",
            **common,
        ),
    ]


def shown(settings: Settings) -> str:
    text = io.StringIO()
    show(collect(settings), Console(file=text, width=100))
    return " ".join(text.getvalue().split())


def test_every_place_of_the_sum_has_words() -> None:
    counted = {name for name in Tally.__dataclass_fields__ if name not in {"stored", "refused"}}

    assert {name for name, _ in PLACES} == counted
    assert len({words for _, words in PLACES}) == len(PLACES)


def test_a_new_installation_shows_nothing_and_adds_up(settings: Settings) -> None:
    report = collect(settings)

    assert report["adds_up"]
    assert report["total"]["sent"] == 0
    assert "0 sent to us" in shown(settings)
    assert "none: studies are received and wait" in shown(settings)


def test_the_report_is_plain_json_whose_sum_adds_up(eventful: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_status(eventful, as_json=True) == 0

    report = json.loads(capsys.readouterr().out)
    total = report["total"]
    assert (total["sent"], total["stored"], total["refused"]) == (6, 4, 2)
    assert [total[name] for name in ("inbox", "held", "dropped", "duplicate")] == [1, 1, 1, 1]
    assert report["adds_up"]
    assert report["held_by_reason"] == {"burned-in-text": 1}
    [receipt] = [sender["last_receipt"] for sender in report["by_sender"] if sender["stored"]]
    assert f"PACS {receipt}" in shown(eventful)


def test_the_tables_name_every_reason(eventful: Settings) -> None:
    text = shown(eventful)

    for expected in (
        "6 sent to us", "2 refused with a status", "1 in the inbox, to be claimed", "1 held for a person",
        "1 burned-in-text", "1 dose-report", "0xC000 unreadable", "1.2.3", "STRANGER", "unknown-peer",
    ):  # fmt: skip
        assert expected in text


def test_a_sum_that_does_not_add_up_is_said_and_ends_with_a_fault(
    eventful: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tally, "accounted", property(lambda _: 3))

    assert show_status(eventful, as_json=False) == 1

    assert "does not add up: 3 of 4" in capsys.readouterr().out


def test_a_database_that_does_not_answer_is_said_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "nothing")})

    assert show_status(settings, as_json=False) == 1

    assert capsys.readouterr().err.startswith("No status: ")
