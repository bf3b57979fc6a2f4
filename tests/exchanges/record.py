"""Keep what real senders say: ``python -m tests.exchanges.record`` writes tests/data/exchanges anew.

Each sender stores the same few synthetic objects of tests/builders.py through a proxy that writes down what passes.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context

from scp.server import Receiver
from scp.spool import Spool
from tests.builders import ct_instance, mr_instance, write_part10
from tests.exchanges.exchange import Exchange, Part
from tests.integration.running import eventually, free_port
from tests.scp.conftest import settings
from tests.tools import CHECKOUT

FOLDER = CHECKOUT / "tests" / "data" / "exchanges"
JAVA = "/usr/share/java/*"


class Proxy:
    """Passes connections on to a port, one after another, and writes down what is said."""

    def __init__(self, port: int) -> None:
        self.exchanges: list[Exchange] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                self.exchanges.append(self._pass(client, server))

    @staticmethod
    def _pass(client: socket.socket, server: socket.socket) -> Exchange:
        said: list[tuple[bool, bytes]] = []
        lock = threading.Lock()

        def copy(source: socket.socket, target: socket.socket, is_client: bool) -> None:
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    with lock:
                        said.append((is_client, piece))
                    target.sendall(piece)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(server, client, False))
        back.start()
        copy(client, server, True)
        back.join()
        parts: list[Part] = []
        data, answers = b"", b""
        for is_client, piece in [*said, (True, b"")]:
            if is_client and answers:
                parts.append(Part(data=data, answers=_pdus(answers)))
                data, answers = b"", b""
            data, answers = (data + piece, answers) if is_client else (data, answers + piece)
        return Exchange(parts=(*parts, Part(data=data, answers=_pdus(answers))) if data else tuple(parts))


def _pdus(data: bytes) -> int:
    count = 0
    while data:
        count, data = count + 1, data[6 + int.from_bytes(data[2:6], "big") :]
    return count


def _run(*arguments: object) -> None:
    subprocess.run([str(one) for one in arguments], check=True, env=os.environ | {"TCP_NODELAY": "1"}, timeout=120)


def storescu(port: int, files: list[Path]) -> None:
    _run("storescu", "-aec", "CASEBRIDGE", "127.0.0.1", port, *files)


def storescu_small_pdus(port: int, files: list[Path]) -> None:
    _run("storescu", "--max-send-pdu", "4096", "-xi", "-aec", "CASEBRIDGE", "127.0.0.1", port, *files)


def dcmsend(port: int, files: list[Path]) -> None:
    _run("dcmsend", "-aec", "CASEBRIDGE", "127.0.0.1", port, *files)


def echoscu(port: int, _files: list[Path]) -> None:
    _run("echoscu", "-aec", "CASEBRIDGE", "--repeat", "2", "127.0.0.1", port)


def pixelmed(port: int, files: list[Path]) -> None:
    program = "com.pixelmed.network.StorageSOPClassSCU"
    _run("java", "-cp", JAVA, program, "127.0.0.1", port, "CASEBRIDGE", "PIXELMED", files[0])


def pynetdicom(port: int, files: list[Path]) -> None:
    entity = AE(ae_title="PYNETDICOM")
    contexts = [
        build_context("1.2.840.10008.1.1"),
        build_context("1.2.840.10008.5.1.4.1.1.2", [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        build_context("1.2.840.10008.5.1.4.1.1.4", ExplicitVRLittleEndian),
    ]
    association = entity.associate("127.0.0.1", port, contexts, ae_title="CASEBRIDGE")
    association.send_c_echo()
    for file in files:
        association.send_c_store(file)
    association.release()


def orthanc(port: int, files: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        http = free_port()
        config = Path(folder) / "orthanc.json"
        config.write_text(
            json.dumps(
                {
                    "StorageDirectory": folder,
                    "IndexDirectory": folder,
                    "HttpPort": http,
                    "DicomServerEnabled": False,
                    "DicomModalities": {"bridge": ["CASEBRIDGE", "127.0.0.1", port]},
                }
            )
        )
        process = subprocess.Popen(["Orthanc", str(config)], stderr=subprocess.DEVNULL)
        try:
            call = _caller(http)
            eventually(lambda: call("GET", "/system", b""), within_s=30, what="Orthanc answers")
            ids = [json.loads(call("POST", "/instances", file.read_bytes()))["ID"] for file in files]
            call("POST", "/modalities/bridge/store", json.dumps(ids).encode())
        finally:
            process.terminate()
            process.wait()


def _caller(port: int) -> Callable[[str, str, bytes], bytes]:
    def call(method: str, path: str, data: bytes) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=data or None)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.URLError:
            return b""

    return call


SENDERS = (storescu, storescu_small_pdus, dcmsend, echoscu, pixelmed, pynetdicom, orthanc)


@contextlib.contextmanager
def _proxy(folder: Path) -> Iterator[Proxy]:
    spool = Spool(folder / "spool", name_key=b"r" * 32, reserve_bytes=0)
    with Receiver(settings(), spool) as receiver:
        yield Proxy(receiver.port)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        files = []
        for number, instance in enumerate((ct_instance(number=1), ct_instance(number=2), mr_instance(number=3))):
            files.append(Path(name) / f"{number}.dcm")
            files[-1].write_bytes(write_part10(instance))
        for sender in SENDERS:
            with _proxy(Path(name) / sender.__name__) as proxy:
                sender(proxy.port, files)
                eventually(lambda proxy=proxy: proxy.exchanges, within_s=10, what="the association is over")
            proxy.exchanges[0].save(FOLDER / f"{sender.__name__}.txt")
            sys.stdout.write(f"{sender.__name__}: {len(proxy.exchanges[0].parts)} parts\n")


if __name__ == "__main__":
    main()
