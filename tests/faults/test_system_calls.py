"""The receiver as it is installed, watched from outside while DCMTK sends to it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from scp.spool import Spool
from tests.builders import ct_instance, uid, write_part10
from tests.faults.ledger import Ledger, Row
from tests.faults.power import ModelDisk, Survival, cuts, lay_out
from tests.faults.senders import NAME_KEY, Sender, Thing, row, send_all, things
from tests.faults.tap import Kind, Operation
from tests.faults.traced import STRACE, Trace
from tests.integration.running import CHECKOUT, RunningBridge, eventually
from tests.scp.conftest import wait_for
from tests.scp.test_dcmtk import run
from tests.tools import require_tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def receiver(home: Path, *prefix: str, processes: int) -> Iterator[RunningBridge]:
    """Run `casebridge scp` behind a prefix such as strace."""
    bridge = RunningBridge(
        data_dir=home / "data",
        environment={"CASEBRIDGE_RECEIVER_PROCESSES": str(processes), "CASEBRIDGE_DISK_RESERVE_MB": "16"},
        command=("scp",),
    )
    with (home.parent / "scp.log").open("wb") as log:
        bridge.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "bridge", *bridge.command],
            env=bridge.environ, cwd=CHECKOUT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        echo = [str(require_tool("echoscu")), "-aec", "CASEBRIDGE", "127.0.0.1", str(bridge.dicom_port)]
        eventually(
            lambda: bridge.process.poll() is not None or run(*echo).returncode == 0,
            within_s=60,
            what="the receiver answers C-ECHO",
        )
        assert bridge.process.poll() is None, (home.parent / "scp.log").read_text()
        yield bridge
    finally:
        bridge.kill_everything()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_system_calls_of_the_installed_receiver_survive_a_power_cut(
    tmp_path: Path, ledger: Ledger, processes: int
) -> None:
    strace, storescu = require_tool("strace"), require_tool("storescu")
    home, trace_file = tmp_path / "disk", tmp_path / "trace"
    home.mkdir()
    files = []
    for study, number in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1)):
        path = tmp_path / f"{study}-{number}.dcm"
        path.write_bytes(write_part10(ct_instance(study=study, number=number, rows=64, columns=64)))
        files.append((uid(study, 1, number), path))
    with receiver(home, str(strace), *STRACE[1:], "-o", str(trace_file), processes=processes) as bridge:
        sends = [
            subprocess.Popen(
                [storescu, "-aec", "CASEBRIDGE", "127.0.0.1", str(bridge.dicom_port), *(path for _, path in some)],
                env=os.environ | {"TCP_NODELAY": "1"},
            )
            for some in (files[:3], files[3:])
        ]
        assert [send.wait(timeout=120) for send in sends] == [0, 0]
        root = home / "data" / "spool"
        wait_for(lambda: not list((root / "journal" / "open").iterdir()))
        [scp] = _children(bridge)  # of strace
        os.kill(scp, signal.SIGTERM)
        assert bridge.process is not None
        bridge.process.wait(timeout=60)
    seen = Trace(home)
    seen.read(trace_file.read_text())
    assert seen.acknowledged == {instance for instance, _ in files}
    sent = _as_stored(root)
    marks = {thing.instance: thing.mark for thing in sent}
    operations = list(_of_the_spool(seen))
    told = frozenset(marks[instance] for instance in seen.acknowledged)
    rows, fault = [], f"power cut, by system calls of {processes}"
    (tmp_path / "cuts").mkdir()
    for number, cut in enumerate(cuts(ModelDisk(), operations, at_the_end=frozenset(seen.acknowledged))):
        acknowledged = [marks[instance] for instance in cut.acknowledged]
        rows.append(_after(cut.tree, tmp_path / "cuts" / str(number), fault, sent, acknowledged))
    ledger.enter(max(rows, key=lambda one: (one.lost, one.doubled, one.broken, one.acknowledged)))
    for step in ("sync file", "sync study folder", "sync studies"):
        disk = ModelDisk()
        for operation in operations:
            if operation.step != step:
                disk.do(operation)
        without = _after(disk.after_a_cut(Survival.NOTHING), tmp_path / "cuts" / step, step, sent, told)
        assert without.lost, f"nothing would be lost without: {step}"


def _after(tree: Mapping[str, bytes | None], folder: Path, fault: str, sent: list[Thing], told: Iterable[str]) -> Row:
    lay_out(tree, folder)
    return row(fault, sent=sent, acknowledged=told, root=folder / "data" / "spool")


def _of_the_spool(trace: Trace) -> Iterator[Operation]:
    """Leave out what happens beside the spool, but for the folders that it lies in."""
    for operation in trace.operations:
        is_way = operation.kind in {Kind.MAKE_FOLDER, Kind.SYNC} and operation.path in {".", "data"}
        if is_way or operation.path.startswith("data/spool"):
            yield operation


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _as_stored(root: Path) -> list[Thing]:
    """Return what DCMTK sent, as the spool has it: the data sets behind the file meta."""
    spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
    found = []
    for arrival in spool.scan()[0]:
        with spool.open_original(arrival.study_key, arrival.sop_key, arrival.arrival_id) as file:
            content = file.read()
        instance = str(dcmread(BytesIO(content)).SOPInstanceUID)
        found.append(Thing(instance=instance, data=content[144 + int.from_bytes(content[140:144], "little") :]))
    return found


def _children(bridge: RunningBridge) -> list[int]:
    """The processes that receive: children of the one that was started."""
    assert bridge.process is not None
    return [pid for pid in bridge.pids_of("-m bridge scp") if _parent(pid) == bridge.process.pid]


def _send_at_once(port: int, count: int, *, kill: int) -> list[Sender]:
    """Send on several associations at once, killing a process in the middle; return the senders."""
    senders: list[Sender] = []

    def send(objects: list[Thing]) -> None:
        with Sender(port) as sender:
            senders.append(sender)
            if sender.open() and all(sender.store(thing) for thing in objects):
                sender.release()

    threads = [threading.Thread(target=send, args=(things(20, size=20_000),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(senders) == count and all(sender.statuses for sender in senders), seconds=30)
    os.kill(kill, signal.SIGKILL)
    for thread in threads:
        thread.join()
    return senders


def test_killing_one_of_several_receiver_processes_costs_no_acknowledged_object(tmp_path: Path, ledger: Ledger) -> None:
    home = tmp_path / "disk"
    home.mkdir()
    require_tool("echoscu")
    sent: list[Thing] = []
    told: list[str] = []
    with receiver(home, processes=3) as bridge:
        for _ in range(3):
            serving = _children(bridge)
            assert len(serving) >= 3, "where are the processes that receive?"
            senders = _send_at_once(bridge.dicom_port, 6, kill=serving[len(sent) % len(serving)])
            sent += [thing for sender in senders for thing in sender.sent]
            told += [mark for sender in senders for mark in sender.acknowledged]
            eventually(lambda: len(_children(bridge)) >= 3, within_s=60, what="another process stands in")
        last = send_all(bridge.dicom_port, things(3))
        assert len(last.acknowledged) == 3
    assert len(told) < len(sent), "nobody was in the middle of an object"
    ledger.enter(
        row(
            "kill -9 of one receiver of three",
            sent=[*sent, *last.sent],
            acknowledged=[*told, *last.acknowledged],
            root=home / "data" / "spool",
        )
    )
