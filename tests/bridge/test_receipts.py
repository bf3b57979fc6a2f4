"""``casebridge receipts``: tables that fit a terminal, and all of it for programs."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.__main__ import main
from bridge.app import open_spool
from bridge.receipts import PLACES, class_name
from cases.receipts import Place, ReceiptSums
from cases.store import Database
from config import Settings
from tests.bridge.story import CODE, settings_in, tell
from tests.cases.world import receive, route


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def study_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    return tell(settings, monkeypatch)


def run(settings: Settings, *arguments: str) -> tuple[int, str]:
    environ = {"CASEBRIDGE_DATA_DIR": str(settings.data_dir)}
    done = CliRunner(env=environ).invoke(main, ["receipts", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_every_place_has_words() -> None:
    assert set(PLACES) == set(Place)
    assert len(set(PLACES.values())) == len(PLACES)


def test_a_list_and_a_receipt_fit_eighty_columns(settings: Settings, study_key: str) -> None:
    database = Database.open(settings.database_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cases.store.intake.new_code", lambda: "ZZZZZZ2")
        receive(database, route("somebody-else"), "other", 3)
    database.close()
    for arguments in ((), (CODE,)):
        code, output = run(settings, *arguments)
        assert code == 0
        assert max(map(len, output.splitlines())) <= 80
        assert CODE in output


def test_a_list_has_a_line_for_each_study(settings: Settings, study_key: str) -> None:
    _, output = run(settings)
    [line] = [line for line in output.splitlines() if CODE in line]
    assert line.split() == [CODE, "short", "by", "2", "12", "7", "1", "PACS", "03-04", "12:00", "4711"]


def test_a_receipt_names_everything_in_words(settings: Settings, study_key: str) -> None:
    _, output = run(settings, CODE.lower())
    text = " ".join(output.split())
    for expected in (
        f"Receipt {CODE}: short by 2",
        "series-count: 8 of the 10 instances that 1 series state (0020,1209)",
        "Accession number ends in 4711",
        "12 sent = 10 stored + 2 refused",
        "7 filed CT Image",
        "1 held for a person CT Image burned-in-text",
        "1 left out",
        "1 identical resends CT Image",
        "2 0xC000 unparsable CT Image",
        "1 Storage Commitment Push Model",
        "1 released PACS 192.0.2.7",
        "missing: 5-6",
        "settled 2026-03-04 12:00:42 UTC, by quiet, 1 time(s)",
        "first image 2026-03-04 12:00:47 UTC",
    ):
        assert expected in text


def test_the_accession_number_goes_with_the_originals(settings: Settings, study_key: str) -> None:
    open_spool(settings).remove(study_key, "0" * 32, "1" * 32)
    for arguments in ((), (CODE,), ("--json",), (CODE, "--json")):
        _, output = run(settings, *arguments)
        assert "4711" not in output


def test_for_programs_there_is_all_of_it_and_no_key_of_the_spool(settings: Settings, study_key: str) -> None:
    _, output = run(settings, CODE, "--json")
    receipt = json.loads(output)
    assert (receipt["code"], receipt["state"], receipt["missing"]) == (CODE, "short", 2)
    assert (receipt["sums"]["sent"], receipt["sums"]["adds_up"]) == (12, True)
    assert [line["place"] for line in receipt["lines"]] == ["filed", "dropped", "held", "duplicate"]
    assert receipt["identified_accession_end"] == "4711"
    assert receipt["declined"] == [{"abstract_syntax": "1.2.840.10008.1.20.1", "count": 1}]
    assert study_key not in output
    _, output = run(settings, "--json")
    [item] = json.loads(output)
    assert item["evidence"][0]["rule"] == "series-count"
    assert item.items() <= receipt.items()


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        (["--state", "short"], True),
        (["--state", "complete"], False),
        (["--sender", "PACS"], True),
        (["--sender", "NOBODY"], False),
        (["--since", "2026-03-04 12:00"], True),
        (["--since", "2026-03-05"], False),
        (["--limit", "1"], True),
    ],
)
def test_the_list_is_narrowed(settings: Settings, study_key: str, arguments: list[str], there: bool) -> None:
    code, output = run(settings, *arguments)
    assert code == 0
    assert (CODE in output) is there
    assert there or "no such receipts" in output


def test_a_code_that_is_none_is_said(settings: Settings) -> None:
    code, output = run(settings, "0000000")
    assert code == 1
    assert output.startswith("No receipt: there is no such receipt")


def test_a_database_that_does_not_answer_is_said(tmp_path: Path) -> None:
    from config import load_settings

    nothing = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "nothing")})
    for arguments in ((), (CODE,)):
        code, output = run(nothing, *arguments)
        assert code in {1, 2}
        assert re.match("No receipt: |Casebridge cannot start: ", output)


def test_a_sum_that_does_not_add_up_is_said_and_ends_with_a_fault(
    settings: Settings, study_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReceiptSums, "adds_up", property(lambda _: False))
    code, output = run(settings, CODE)
    assert code == 1
    assert "does not add up" in output


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT Image"),
        ("1.2.3.4", "1.2.3.4"),
        ("unknown", "unknown"),
        ("1.2.840.10008.5.1.4.1.1.88.67", "X-Ray Radiation Dose SR"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presenta…"),
    ],
)
def test_a_class_is_called_by_its_name(uid: str, name: str) -> None:
    assert class_name(uid) == name
