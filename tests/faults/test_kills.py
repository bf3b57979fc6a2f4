"""kill -9 of a receiver at every one of its operations, and in the middle of each write."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scp.journal import Outcome
from scp.spool import Spool
from tests.faults.ledger import Ledger
from tests.faults.lives import life
from tests.faults.senders import NAME_KEY, Found, Thing, row, send_all, things

STEPS = (
    "create",
    "write",
    "sync file",
    "make study folder",
    "rename",
    "sync study folder",
    "sync studies",
    "answer",
    "journal",
)
IN_PARTS = {"write", "answer", "journal"}
"""Steps that a process can die in the middle of."""
UNHARMED = ""


def _lives(root: Path, window: int) -> Iterator[tuple[str, list[Thing], frozenset[str]]]:
    """Start a receiver again and again, each dying one operation later; yield where, what was sent, what answered."""

    def one(number: int, *, within: bool) -> tuple[str, list[Thing], frozenset[str]]:
        objects = things(min(window, 2), study="2.25.60", size=600)
        objects += things(2, study=f"2.25.6{number}{within:d}", size=600)
        with life(root, die_at=number, within=within) as receiver:
            sender = send_all(receiver.port, objects, window=window) if receiver.listen() else None
            if not receiver.died_at:
                receiver.end()
        return receiver.died_at, sender.sent if sender else [], sender.acknowledged if sender else frozenset()

    for number in itertools.count():
        step, sent, told = one(number, within=False)
        yield step, sent, told
        if step == UNHARMED:
            return
        if step in IN_PARTS:
            yield one(number, within=True)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 3])
def test_a_receiver_killed_at_any_operation_loses_nothing(tmp_path: Path, ledger: Ledger, window: int) -> None:
    root = tmp_path / "spool"
    sent: dict[str, list[Thing]] = defaultdict(list)
    told: dict[str, list[str]] = defaultdict(list)
    for step, objects, answered in _lives(root, window):
        sent[step] += objects
        told[step] += answered
        # After each kill, whatever came before it is still there, and once.
        everything = list(itertools.chain(*sent.values()))
        assert row(step, sent=everything, acknowledged=itertools.chain(*told.values()), root=root).is_clean
    assert set(sent) >= {*STEPS, UNHARMED}
    assert not list((root / "incoming").iterdir())
    found = Found.among(everything, root)
    how = "" if window == 1 else ", several objects at once"
    for step in STEPS:
        ledger.enter(row(f"kill -9 at: {step}{how}", sent=sent[step], acknowledged=told[step], found=found))
    _the_books_name_every_kill(root, told)


def _the_books_name_every_kill(root: Path, told: dict[str, list[str]]) -> None:
    """Each acknowledged object is counted in a journal, also where the receiver was killed right after."""
    spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
    spool.prepare()
    records = []
    for path in spool.journals():
        with suppress(ValueError):  # killed before its first line was whole: nothing had been accepted yet
            records.append(spool.read_journal(path))
    assert {Outcome.INTERRUPTED, Outcome.RELEASED} <= {record.outcome for record in records}
    assert sum(record.stored for record in records) >= sum(len(marks) for marks in told.values())
