"""``casebridge peers``: its tables fit a terminal; its changes reach the receivers' file and the audit log."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from bridge.__main__ import main
from bridge.app import open_spool, prepare
from bridge.peers import BridgePeers
from bridge.peers_command import show
from cases.intake import AssociationOutcome, AssociationSummary
from cases.store import Audit, Database, Intake
from cases.store import PeerRules as AddedRules
from cases.store.peer_rules import PeerRuleRow
from config import Settings, load_settings
from scp.peers import PeerRule, PeerRules, PeerRulesFile, write_peer_rules
from tests.cases.world import NOON

FINGERPRINT = "sha256:" + "ab" * 32
LONG_ADDRESS = "2001:db8:1234:5678:9abc:def0:1234:5678"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    chosen = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})
    prepare(chosen)
    return chosen


@pytest.fixture
def database(settings: Settings) -> Database:
    return Database.open(settings.database_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["peers", *arguments])


def rules(settings: Settings) -> tuple[PeerRule, ...]:
    return PeerRulesFile(open_spool(settings).peer_rules_path).rules().rules


def fill(database: Database) -> None:
    rejected, released = AssociationOutcome.REJECTED, AssociationOutcome.RELEASED
    rows = [
        ("A_TITLE_OF_SIXTN", LONG_ADDRESS, rejected, "unknown-calling-ae", 123456, 0, ""),
        ("PACS_QR", LONG_ADDRESS, released, "", 1, 0, ""),
        ("A_TITLE_OF_SIXTN", "192.0.2.7", released, "", 1, 123456789, f"{FINGERPRINT} a-long-name.hospital.example"),
        ("[/red]", "192.0.2.8", rejected, "certificate-not-of-peer", 1, 0, f"{FINGERPRINT} other.example"),
    ]
    with database.write() as session:
        for number, (title, address, outcome, rule, count, stored, certificate) in enumerate(rows):
            summary = AssociationSummary(
                association_id=f"{number:032x}",
                calling_ae=title,
                called_ae="CASEBRIDGE",
                peer_address=address,
                started_at=NOON,
                ended_at=NOON,
                outcome=outcome,
                rule=rule,
                count=count,
                stored=stored,
                tls="TLSv1.3" if certificate else "",
                certificate=certificate,
            )
            assert Intake(session).record_association(summary)


def test_a_peer_is_allowed_shown_and_removed(settings: Settings, database: Database) -> None:
    terms = ("--from", "10.1.4.0/24", "--from", "192.0.2.7", "--certificate", FINGERPRINT, "--max-associations", "4")

    done = run("allow", "PACS1", *terms, "--note", "the new one", "--json")

    assert done.exit_code == 0, done.output
    rule = json.loads(done.stdout)
    assert rules(settings) == (
        PeerRule(
            calling_ae="PACS1",
            addresses=("10.1.4.0/24", "192.0.2.7/32"),
            certificates=(FINGERPRINT,),
            max_associations=4,
        ),
    )
    shown = run()
    assert rule["id"][:8] in shown.stdout
    assert "command-line" in shown.stdout
    assert run("remove", rule["id"][:8]).exit_code == 0
    assert rules(settings) == ()
    with database.read() as session:
        entries = Audit(session).entries(subject=rule["id"])
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("command-line", "peer.allow"),
        ("command-line", "peer.remove"),
    ]


def test_what_cannot_be_done_is_said_in_a_line(settings: Settings) -> None:
    for arguments, said in (
        (("allow", "*"), "every AE title in from every address"),
        (("allow", "PACS", "--from", "nowhere"), "neither an IP address nor a range"),
        (("remove", "abcdef"), "no allowed rule has this id"),
        (("remove", ""), "no allowed rule has this id"),
    ):
        done = run(*arguments)
        assert done.exit_code == 1
        assert said in done.output
        assert "Traceback" not in done.output
    assert rules(settings) == ()


def test_a_beginning_that_means_several_rules_removes_none(settings: Settings, database: Database) -> None:
    with database.write() as session:
        for number in range(2):
            session.add(
                PeerRuleRow(
                    id=f"abcd{number:028x}",
                    calling_ae=f"PACS{number}",
                    addresses=[],
                    certificates=[],
                    created_by="admin",
                    created_at=NOON,
                )
            )

    done = run("remove", "abcd")

    assert done.exit_code == 1
    assert "several rules" in done.output
    with database.read() as session:
        assert len(AddedRules(session).in_force()) == 2


def test_the_tables_fit_eighty_columns_and_cut_nothing_off(settings: Settings, database: Database) -> None:
    fill(database)
    spool = open_spool(settings)
    of_settings = PeerRule(calling_ae="A_TITLE_OF_SIXTN", addresses=("10.1.4.0/24",))
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=(of_settings,), called_aes=("CASEBRIDGE",)))
    peers = BridgePeers(database=database, spool=spool, own_ae="CASEBRIDGE")
    text = io.StringIO()

    show(peers.overview(), ["any sender is let in"], Console(file=text, width=80))

    written = text.getvalue()
    example = next(line for line in written.splitlines() if line.startswith("For example: "))
    assert all(len(line) <= 80 for line in written.splitlines() if line != example)
    assert "…" not in written
    for expected in (
        "Warning: any sender is let in.",
        "settings",
        "123456  A_TITLE_OF_SIXTN  " + LONG_ADDRESS,
        "this address: 2026-03-04 as PACS_QR, 0 stored",
        "this AE title: 2026-03-04 from 192.0.2.7, 123456789 stored",
        "[/red]",
        "showed other.example",
        "123456789",
    ):
        assert expected in written
    assert "casebridge status" not in written


def test_the_report_for_programs_is_json_named_as_the_api_names_it(settings: Settings, database: Database) -> None:
    fill(database)
    run("allow", "A_TITLE_OF_SIXTN", "--from", LONG_ADDRESS)

    report = json.loads(run("--json").stdout)

    assert not report["is_open"]
    assert report["rules"][0]["origin"] == "allowed"
    states = {row["calling_ae"]: row["state"] for row in report["rejected"]}
    assert states == {"A_TITLE_OF_SIXTN": "allowed", "[/red]": "rejected"}
    assert {sender["calling_ae"] for sender in report["senders"]} == {"A_TITLE_OF_SIXTN", "PACS_QR"}
