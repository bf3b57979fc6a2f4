"""The receivers that are measured, each started afresh on an empty folder, with settings that favour it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.blast import CALLED_AE
from benchmarks.measure import free_port

__all__ = ["CHECKOUT", "RECEIVERS", "Receiver", "Running", "bridge_environment", "running"]

CHECKOUT = Path(__file__).parents[1]
_START_S = 60.0
_MAX_PDU = "131072"
ADMIN_TOKEN = "a-token-for-benchmarks-on-loopback-only-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver by name; `program` is what must be installed."""

    name: str
    program: str
    promise: str
    """What an answer of Success means."""
    is_tuned: bool = True
    """Whether it runs with large PDUs and without Nagle's algorithm, where it can be told so."""
    settings: tuple[tuple[str, str], ...] = ()
    """Settings of ours besides those of every run, without their prefix."""


RECEIVERS = (
    Receiver(name="casebridge scp", program=sys.executable, promise="synced"),
    Receiver(name="storescp +B", program="storescp", promise="not synced"),
    Receiver(name="storescp", program="storescp", promise="not synced"),
    Receiver(name="Orthanc", program="Orthanc", promise="synced"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A receiver that listens."""

    pid: int
    port: int


def bridge_environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a bridge whose data lie in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CASEBRIDGE_")}
    ours = {"DATA_DIR": str(folder / "data"), "HOST": "127.0.0.1", "ADMIN_TOKEN": ADMIN_TOKEN, **settings}
    return {**kept, **{f"CASEBRIDGE_{name}": value for name, value in ours.items()}}


def is_installed(receiver: Receiver) -> bool:
    """Say whether its program is there."""
    return shutil.which(receiver.program) is not None


def _command(name: str, folder: Path, port: int, associations: int, *, is_tuned: bool) -> list[str]:
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    if name == "casebridge scp":
        return [sys.executable, "-m", "bridge", "scp"]
    if name == "Orthanc":
        config = folder / "orthanc.json"
        config.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(store),
                    "IndexDirectory": str(store),
                    "HttpServerEnabled": False,
                    "DicomAet": CALLED_AE,
                    "DicomPort": port,
                    "DicomCheckCalledAet": False,
                    "MaximumPduLength": int(_MAX_PDU),
                }
            )
        )
        return ["Orthanc", str(config)]
    fork = ["--fork"] if associations > 1 else []
    bits = ["+B"] if name.endswith("+B") else []
    pdu = ["-pdu", _MAX_PDU] if is_tuned else []
    return ["storescp", *fork, *bits, *pdu, "-aet", CALLED_AE, "-od", str(store), str(port)]


@contextlib.contextmanager
def running(receiver: Receiver, folder: Path, associations: int, *, keep: bool = False) -> Iterator[Running]:
    """Run a receiver on a fresh folder, which is removed afterwards unless told otherwise, its bytes brought to rest.

    To `keep` it is for many small files: ext4 passes over inodes that were freed within the last seconds, one by one,
    and the next receiver would pay for that.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    # With Nagle's algorithm Debian's DCMTK, and Orthanc on top of it, wait 40 ms for each object.
    environment = {**bridge_environment(folder, DICOM_PORT=str(port), **dict(receiver.settings)), "TCP_NODELAY": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            _command(receiver.name, folder, port, associations, is_tuned=receiver.is_tuned),
            env=environment,
            cwd=CHECKOUT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for_port(process, port, folder / "log")
        yield Running(pid=process.pid, port=port)
    finally:
        end(process)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        os.sync()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"a receiver ended at its start: {log.read_text(errors='replace')[-500:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if time.monotonic() > deadline:
            raise RuntimeError("a receiver does not listen")
        time.sleep(0.05)
