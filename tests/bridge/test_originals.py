"""Originals: listed by keys, exported as they were received, and every export in the audit log."""

import json
import stat
from pathlib import Path

import pytest

from bridge.app import open_database, open_spool
from bridge.commitments import CommitmentDecisions
from bridge.originals import MAX_REASON, ExportError, export, export_originals, list_originals
from cases.intake import InstanceOutcome
from cases.store import Audit, Commitments, Database, Intake, Originals
from config import Settings, load_settings
from scp.sealing import SpoolKeys
from scp.spool import Spool
from tests.bridge.spooled import arrive, spool_in
from tests.bridge.test_commitments import ask
from tests.bridge.test_scanner import Engine, scanner
from tests.builders import uid
from tests.scp.commitments import TRANSACTION, allow


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spool_in(tmp_path)


def scan(database: Database, spool: Spool) -> None:
    decisions = CommitmentDecisions(database=database, spool=spool, keep_days=30)
    scanner(database, spool, Engine(), commitments=decisions).tick()


def test_originals_are_listed_by_study_with_their_end(database: Database, spool: Spool) -> None:
    first, second = arrive(spool, 1, 1), arrive(spool, 1, 2)
    waiting = arrive(spool, 2, 1)
    ask(spool, uid(1, 1, 1))
    scan(database, spool)
    with database.write() as session:
        for arrived in (first, second):
            Intake(session).finish(arrived.arrival_id, InstanceOutcome.DROPPED)

    with database.read() as session:
        found = {one.study_key: one for one in Originals(session).studies(retention_days=7, hold_retention_days=30)}

    committed, plain = found[first.study_key], found[waiting.study_key]
    assert (committed.originals, committed.by_outcome) == (2, {"dropped": 2})
    assert committed.kept_until == committed.committed_until
    assert committed.committed_until is not None
    assert (committed.committed_until - committed.last_arrival_at).days == 30
    assert (plain.kept_until, plain.committed_until) == (None, None)


def test_an_export_is_as_received_and_audited(database: Database, spool: Spool, tmp_path: Path) -> None:
    first, second = arrive(spool, 1, 1), arrive(spool, 1, 2)
    arrive(spool, 2, 1)
    scan(database, spool)
    with database.read() as session:
        originals = Originals(session).of_study(first.study_key)
    to = tmp_path / "out" / "study"

    count = export_originals(
        database, spool, originals, to=to, subject="study", reason=" lost  at the modality ", actor="somebody"
    )

    assert count == 2
    assert stat.S_IMODE(to.stat().st_mode) == 0o700
    assert {path.name for path in to.iterdir()} == {f"{one.arrival_id}.dcm" for one in (first, second)}
    for one in (first, second):
        copy = to / f"{one.arrival_id}.dcm"
        assert copy.read_bytes() == spool.path(one.study_key, one.sop_key, one.arrival_id).read_bytes()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with database.read() as session:
        [entry] = Audit(session).entries(subject="study")
    assert (entry.actor, entry.action) == ("somebody", "originals.export")
    assert entry.detail == {"reason": "lost at the modality", "count": 2}


def test_sealed_originals_are_exported_plain(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "sealed", name_key=b"n" * 32, reserve_bytes=0, keys=SpoolKeys(keys=(b"k" * 32,)))
    spool.prepare()
    arrived = arrive(spool, 1, 1)
    scan(database, spool)
    with database.read() as session:
        originals = Originals(session).of_study(arrived.study_key)

    export_originals(database, spool, originals, to=tmp_path / "out", subject="s", reason="r", actor="a")

    assert (tmp_path / "out" / f"{arrived.arrival_id}.dcm").read_bytes()[128:132] == b"DICM"


def test_the_audit_log_knows_before_the_first_byte(database: Database, spool: Spool, tmp_path: Path) -> None:
    arrived = arrive(spool, 1, 1)
    scan(database, spool)
    with database.read() as session:
        originals = Originals(session).of_study(arrived.study_key)
    spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id).unlink()

    assert export_originals(database, spool, originals, to=tmp_path / "o", subject="s", reason="r", actor="a") == 0

    with database.read() as session:
        actions = [entry.action for entry in Audit(session).entries(subject="s")]
    assert actions == ["originals.export", "originals.export-incomplete"]
    assert list((tmp_path / "o").iterdir()) == []


@pytest.mark.parametrize("fault", ["no reason", "long reason", "nothing", "full folder"])
def test_an_export_that_cannot_be_is_refused_and_leaves_no_trace(
    database: Database, spool: Spool, tmp_path: Path, fault: str
) -> None:
    arrived = arrive(spool, 1, 1)
    scan(database, spool)
    with database.read() as session:
        originals = Originals(session).of_study(arrived.study_key)
    to = tmp_path / "out"
    to.mkdir()
    if fault == "full folder":
        (to / "mine").touch()
    reason = {"no reason": "  ", "long reason": "x" * (MAX_REASON + 1)}.get(fault, "lost")

    with pytest.raises(ExportError):
        export_originals(
            database, spool, [] if fault == "nothing" else originals, to=to, subject="s", reason=reason, actor="a"
        )

    assert [path.name for path in to.iterdir()] == (["mine"] if fault == "full folder" else [])
    with database.read() as session:
        assert Audit(session).entries(subject="s") == ()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})


def test_what_a_transaction_named_is_exported_by_its_uid(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bridge.app import prepare_folders

    prepare_folders(settings)
    spool = open_spool(settings)
    allow(spool, calling="MODALITY")
    named = arrive(spool, 1, 1)
    arrive(spool, 1, 2)
    ask(spool, uid(1, 1, 1))
    with open_database(settings) as database:
        scan(database, spool)
        with database.read() as session:
            key = spool.transaction_key(TRANSACTION)
            assert len(Commitments(session).of_transaction(key)) == 1

    assert export(settings, study=None, transaction=TRANSACTION, to=tmp_path / "a", reason="asked for") == 0
    assert export(settings, study=None, transaction=key, to=tmp_path / "b", reason="asked for") == 0
    assert export(settings, study=None, transaction="DOE^JOHN", to=tmp_path / "c", reason="asked for") == 1
    assert export(settings, study=None, transaction=None, to=tmp_path / "c", reason="asked for") == 1
    assert export(settings, study=named.study_key, transaction=None, to=tmp_path / "d", reason="asked for") == 0
    shown = capsys.readouterr()
    assert "DOE" not in shown.err
    for folder, count in (("a", 1), ("b", 1), ("d", 2)):
        assert len(list((tmp_path / folder).iterdir())) == count

    assert list_originals(settings, as_json=True) == 0
    [study] = json.loads(capsys.readouterr().out)
    assert (study["study_key"], study["originals"]) == (named.study_key, 2)
    assert list_originals(settings, as_json=False) == 0
    assert named.study_key[:8] in capsys.readouterr().out
