import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scp.arrival import new_arrival_id
from scp.journal import AssociationFacts, ContextRecord, Outcome, RefusedObjects
from scp.peers import Refusal
from scp.rejections import Rejections

CT = "1.2.840.10008.5.1.4.1.1.2"


def facts(calling: str = "MODALITY", address: str = "10.0.0.1") -> AssociationFacts:
    return AssociationFacts(
        association_id=new_arrival_id(),
        calling_ae=calling,
        called_ae="CASEBRIDGE",
        peer_address=address,
        started_at=datetime.now(UTC),
        contexts=(
            ContextRecord(abstract_syntax=CT, transfer_syntaxes=("1.2", "1.3"), accepted="1.2"),
            ContextRecord(abstract_syntax="1.2.840.10008.1.20.1", transfer_syntaxes=("1.2",), accepted=None),
        ),
    )


def test_a_journal_counts_what_was_stored_refused_and_echoed(spool):
    about = facts()
    journal = spool.journal.open(about)
    journal.stored()
    journal.stored()
    journal.refused(sop_class_uid=CT, status=0xA900, reason="other-class")
    journal.refused(sop_class_uid=CT, status=0xA900, reason="other-class")
    journal.refused(sop_class_uid=CT, status=0xC000, reason="unparsable")
    journal.echoed()
    assert spool.journals() == []
    journal.end(Outcome.RELEASED)
    journal.end(Outcome.ABORTED, "ignored")

    [path] = spool.journals()
    record = spool.read_journal(path)

    assert (record.stored, record.echoes, record.outcome, record.rule) == (2, 1, Outcome.RELEASED, "")
    assert record.refused == (
        RefusedObjects(sop_class_uid=CT, status=0xA900, reason="other-class", count=2),
        RefusedObjects(sop_class_uid=CT, status=0xC000, reason="unparsable", count=1),
    )
    assert record.contexts == about.contexts
    assert [context.abstract_syntax for context in record.declined] == ["1.2.840.10008.1.20.1"]
    assert record.association_id == about.association_id
    assert record.started_at <= record.ended_at

    spool.remove_journal(path)
    spool.remove_journal(path)
    assert spool.journals() == []


def test_the_journal_of_a_killed_receiver_is_closed_as_interrupted_with_its_counts(spool):
    code = (
        "import os, signal; from pathlib import Path; from scp.spool import Spool\n"
        "from tests.scp.test_journal import facts, CT\n"
        f"spool = Spool(Path({str(spool.root)!r}), name_key=b'n' * 32, reserve_bytes=0)\n"
        "journal = spool.journal.open(facts()); journal.stored(); journal.stored()\n"
        "journal.refused(sop_class_uid=CT, status=0xC000, reason='unparsable')\n"
        "os.write(journal._descriptor, b'{\"stored\":')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    running = spool.journal.open(facts("ALIVE"))
    subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])

    spool.prepare()

    [path] = spool.journals()
    record = spool.read_journal(path)
    assert (record.outcome, record.rule, record.stored) == (Outcome.INTERRUPTED, "receiver-killed", 2)
    assert record.refused == (RefusedObjects(sop_class_uid=CT, status=0xC000, reason="unparsable", count=1),)
    running.end(Outcome.RELEASED)
    assert len(spool.journals()) == 2


@pytest.mark.parametrize("content", [b"", b"garbage\n", b'{"association": "x"}\n', b"[1]\n", b"\xff\xfe"])
def test_what_is_no_journal_is_said_to_be_none(spool, content):
    path = spool.root / "journal" / "bad.jsonl"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="not a journal"):
        spool.read_journal(path)


def test_a_flood_of_rejections_makes_few_files_and_loses_no_count(spool):
    rejections = Rejections(spool.journal)
    for number in range(500):
        rejections.note(facts(f"SCANNER{number % 100}"), Refusal.UNKNOWN_CALLING_AE)
    for _ in range(300):
        rejections.note(facts("SCANNER0"), Refusal.UNKNOWN_CALLING_AE)
    rejections.flush()

    records = [spool.read_journal(path) for path in spool.journals()]

    assert sum(record.count for record in records) == 800
    assert len(records) <= 42
    assert {record.outcome for record in records} == {Outcome.REJECTED}
    assert {record.rule for record in records} == {"unknown-calling-ae"}
    assert len({record.association_id for record in records}) == len(records)


def test_the_first_rejection_is_on_record_at_once(spool):
    Rejections(spool.journal).note(facts("STRANGER", "10.9.9.9"), Refusal.UNKNOWN_CALLING_AE)

    [record] = [spool.read_journal(path) for path in spool.journals()]

    assert (record.calling_ae, record.peer_address, record.count) == ("STRANGER", "10.9.9.9", 1)


def test_an_object_that_takes_its_time_leaves_marks_while_its_bytes_flow_and_no_others(spool, monkeypatch):
    monkeypatch.setattr("scp.journal.MARK_S", 0.0)
    about = facts()
    running, idle = spool.journal.open(about), spool.journal.open(facts("IDLE"))
    idle.receiving("b" * 32)
    idle.stored()

    running.stored()
    assert spool.journal.receiving() == []
    running.receiving("a" * 32)
    [first] = spool.journal.receiving()
    [same] = spool.journal.receiving()
    running.receiving("a" * 32)
    [later] = spool.journal.receiving()
    running.stored()

    assert (first.association_id, first.study_key) == (about.association_id, "a" * 32)
    assert first == same
    assert later.progress > first.progress
    assert spool.journal.receiving() == []
    running.end(Outcome.RELEASED)
    idle.end(Outcome.RELEASED)
    assert [spool.read_journal(path).stored for path in spool.journals()] == [2, 1]


def test_a_short_object_leaves_no_mark(spool, monkeypatch):
    monkeypatch.setattr("scp.journal.MARK_S", 3600.0)
    journal = spool.journal.open(facts())
    for _ in range(100):
        journal.receiving("a" * 32)

    assert spool.journal.receiving() == []
    journal.end(Outcome.RELEASED)
