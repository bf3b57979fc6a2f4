"""Write, sync, rename, sync folder, Success: the order that a power cut proves, and what it says when a step is out."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scp.server import Receiver
from scp.spool import Spool
from tests.faults.ledger import Ledger, Row
from tests.faults.power import Cut, ModelDisk, Survival, cuts, lay_out
from tests.faults.senders import NAME_KEY, Sender, Thing, row, things
from tests.faults.tap import Kind, Operation, Recorder
from tests.scp.conftest import settings


def _receive(
    home: Path, associations: list[list[Thing]], without: Callable[[Operation], bool] | None = None
) -> list[Cut]:
    """Receive objects on several associations at once; return every state that a power cut could leave."""
    home.mkdir()
    model = ModelDisk.of(home)
    senders: list[Sender] = []

    def acknowledged() -> frozenset[str]:
        return frozenset().union(*(sender.acknowledged for sender in senders))

    recorder = Recorder(home, without=without or (lambda _: False), acknowledged=acknowledged)
    with recorder.laid():
        spool = Spool(home / "data" / "spool", name_key=NAME_KEY, reserve_bytes=0)
        with Receiver(settings(), spool) as receiver:
            senders += [Sender(receiver.port, window=1 + 3 * (number % 2)) for number, _ in enumerate(associations)]

            def send(sender: Sender, objects: list[Thing]) -> None:
                assert sender.open()
                assert sender.store_all(objects)
                assert sender.release()

            threads = [threading.Thread(target=send, args=pair) for pair in zip(senders, associations, strict=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            told = acknowledged()
        for sender in senders:
            sender.socket.close()
    assert len(told) == sum(len(objects) for objects in associations)
    assert bool(recorder.left_out) == (without is not None)
    done = {operation.step for operation in [*recorder.operations, *recorder.left_out]}
    assert done >= {"write", "sync file", "rename", "sync study folder", "sync studies", "journal"}
    return list(cuts(model, recorder.operations, at_the_end=told))


def _judge(fault: str, states: list[Cut], sent: list[Thing], folder: Path) -> Row:
    """Lay every state out, start and scan; the row of the worst one, with its numbers of objects."""
    rows = []
    for number, cut in enumerate(states):
        lay_out(cut.tree, folder / str(number))
        rows.append(row(fault, sent=sent, acknowledged=cut.acknowledged, root=folder / str(number) / "data" / "spool"))
    return max(rows, key=lambda one: (one.lost, one.doubled, one.broken, one.acknowledged))


def test_whatever_a_power_cut_leaves_holds_all_that_was_acknowledged(tmp_path: Path, ledger: Ledger) -> None:
    # The second association sends all before it reads an answer: what arrives together is made durable together.
    associations = [things(2, study="2.25.81"), things(3, study="2.25.82") + things(1, study="2.25.81")]
    sent = [thing for objects in associations for thing in objects]

    states = _receive(tmp_path / "disk", associations)

    # Data without names makes no state of its own: no name is durable before its data.
    assert {cut.survival for cut in states} == set(Survival) - {Survival.DATA}
    assert {len(cut.acknowledged) for cut in states} >= {0, len(sent)}
    assert len(states) > 80
    ledger.enter(_judge("power cut at any operation", states, sent, tmp_path))


STEPS = {
    "the sync of the file": lambda one: one.step == "sync file",
    "the rename": lambda one: one.step == "rename",
    "the sync of the study folder": lambda one: one.step == "sync study folder",
    "the sync of what the spool lies in": lambda one: one.step == "start" and one.kind is Kind.SYNC,
    "the sync of the folder of studies": lambda one: one.step == "sync studies",
    "writing the second half": lambda one: one.kind is Kind.WRITE and one.step == "write" and one.offset > 2000,
}


@pytest.mark.parametrize("together", [False, True], ids=["each", "together"])
@pytest.mark.parametrize("step", STEPS)
def test_the_suite_would_notice_a_step_taken_out(tmp_path: Path, ledger: Ledger, step: str, together: bool) -> None:
    # Larger than what is read from the network, and so written, at once.
    sent = things(2, study="2.25.83", size=400_000)

    objects = [[], sent] if together else [sent]
    states = _receive(tmp_path / "disk", objects, STEPS[step])

    ledger.enter_loss(f"{step}, of several objects" if together else step, _judge(step, states, sent, tmp_path))
