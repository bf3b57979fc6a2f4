"""Senders as distributions ship them: DCMTK's storescu and Orthanc with Nagle's algorithm on, to us and to storescp."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.blast import CALLED_AE
from benchmarks.inputs import ct_series
from benchmarks.measure import free_port, ratio, spread
from benchmarks.receive import OURS
from benchmarks.receivers import Receiver, end, is_installed, running
from benchmarks.report import NOTHING, Section, Table

__all__ = ["measure"]

_START_S = 60.0
_TIMEOUT_S = 300.0
_PEERS = (
    Receiver(name=OURS, program="python", promise="synced"),
    Receiver(name="storescp, as shipped", program="storescp", promise="not synced", is_tuned=False),
    Receiver(name="storescp with TCP_NODELAY", program="storescp", promise="not synced"),
)
"""Ours, and what the same sender delivers to DCMTK."""

_CONDITIONS = (
    "The senders run without `TCP_NODELAY`, as Debian ships them. The rate is what the sender reaches in all: it "
    "parses its files, and storescu starts up, within the time."
)


def _untuned() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}


def _storescu(port: int, files: list[Path]) -> float:
    """Send the files over one association; return the seconds that the sender took, its start included."""
    command = ["storescu", "-aec", CALLED_AE, "-aet", "UNTUNED", "127.0.0.1", str(port), *map(str, files)]
    begin = time.perf_counter()
    subprocess.run(command, env=_untuned(), check=True, capture_output=True, timeout=_TIMEOUT_S)
    return time.perf_counter() - begin


@contextlib.contextmanager
def _orthanc_with(files: list[Path], folder: Path) -> Iterator[str]:
    """Run an Orthanc that holds the files; yield the address of its HTTP interface."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    http, dicom = free_port(), free_port()
    config = folder / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "store"),
                "IndexDirectory": str(folder / "store"),
                "HttpPort": http,
                "DicomPort": dicom,
                "DicomAet": "UNTUNED",
                "AuthenticationEnabled": False,
                "RemoteAccessAllowed": False,
                "Plugins": [],
            }
        )
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(config)], env=_untuned(), stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{http}"
    try:
        _wait_for(address, process)
        for file in files:
            _post(f"{address}/instances", file.read_bytes())
        yield address
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/system", timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Orthanc does not answer")
        time.sleep(0.1)


def _post(address: str, body: bytes) -> bytes:
    request = urllib.request.Request(address, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        return bytes(answer.read())


def _orthanc_send(address: str, port: int, objects: int) -> float:
    """Let Orthanc send all it has; return the seconds that it took."""
    modality = json.dumps({"AET": CALLED_AE, "Host": "127.0.0.1", "Port": port}).encode()
    request = urllib.request.Request(f"{address}/modalities/target", data=modality, method="PUT")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
        pass
    with urllib.request.urlopen(f"{address}/studies", timeout=_TIMEOUT_S) as answer:
        studies = json.loads(answer.read())
    begin = time.perf_counter()
    done = json.loads(
        _post(f"{address}/modalities/target/store", json.dumps({"Resources": studies, "Synchronous": True}).encode())
    )
    wall_s = time.perf_counter() - begin
    if done["FailedInstancesCount"] or done["InstancesCount"] != objects:
        raise RuntimeError(f"Orthanc sent {done['InstancesCount']} objects, {done['FailedInstancesCount']} failed")
    return wall_s


def measure(work: Path, *, repeats: int, objects: int, step: Callable[[str], None]) -> Section:
    """Time what untuned senders deliver to each receiver, in turns."""
    files = ct_series(work / f"ct-{objects}", objects)
    receivers = [one for one in _PEERS if one.name == OURS or is_installed(one)]
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    senders = [name for name in ("storescu", "Orthanc") if shutil.which(name)]
    with contextlib.ExitStack() as stack:
        orthanc = stack.enter_context(_orthanc_with(files, work / "untuned")) if "Orthanc" in senders else ""
        for repeat in range(repeats):
            for sender in senders:
                for receiver in receivers:
                    step(f"untuned {repeat + 1}/{repeats}: {sender} to {receiver.name}")
                    with running(receiver, work / "receive", 1) as target:
                        _storescu(target.port, files[:2])
                        if sender == "storescu":
                            wall_s = _storescu(target.port, files)
                        else:
                            wall_s = _orthanc_send(orthanc, target.port, objects)
                    rates[sender, receiver.name].append(objects / wall_s)
    return Section(
        name="untuned",
        title="Receiving from untuned senders",
        tables=[
            _table(
                rates, senders, receivers, f"CT of {files[0].stat().st_size / 1e6:.2f} MB × {objects}, n = {repeats}"
            )
        ],
        notes=[_CONDITIONS],
        data={f"{sender} to {receiver}": runs for (sender, receiver), runs in rates.items()},
    )


def _table(
    rates: dict[tuple[str, str], list[float]], senders: list[str], receivers: list[Receiver], title: str
) -> Table:
    rows = []
    for sender in senders:
        for receiver in receivers:
            runs = rates[sender, receiver.name]
            quotient = ratio(rates[sender, OURS], runs)
            rows.append(
                [
                    sender,
                    f"{receiver.name}, {receiver.promise}",
                    NOTHING if receiver.name == OURS else quotient.text(2),
                    spread(runs).text(1),
                    spread([1000 / rate for rate in runs]).text(1),
                ]
            )
    columns = ("sender", "receiver", "our rate ÷ its", "objects/s", "ms/object")
    return Table(title=title, columns=columns, rows=rows)
