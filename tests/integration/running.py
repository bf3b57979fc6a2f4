"""A bridge as a user starts it: real processes, real ports on loopback, ended with the test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ADMIN_TOKEN = "an-administrator-s-token-for-tests-only-0123456789"
CHECKOUT = Path(__file__).parents[2]


_given_ports: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on, and none twice: a bridge that has two services on one does not start."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def eventually(look: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Return the first answer that counts as true, or fail."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


@dataclass
class RunningBridge:
    """The bridge's processes and how to talk to them."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("serve",)
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CASEBRIDGE_")}
        return {
            **kept,
            "CASEBRIDGE_DATA_DIR": str(self.data_dir),
            "CASEBRIDGE_HOST": "127.0.0.1",
            "CASEBRIDGE_DICOM_PORT": str(self.dicom_port),
            "CASEBRIDGE_HTTP_PORT": str(self.http_port),
            "CASEBRIDGE_ADMIN_TOKEN": ADMIN_TOKEN,
            "CASEBRIDGE_QUIET_PERIOD_S": "1",
            **self.environment,
        }

    @property
    def log_file(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self, *, wait: bool = True) -> None:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", *self.command],
                env=self.environ,
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            eventually(self.is_ready, within_s=60, what="the bridge answers /readyz")

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(
                f"the bridge ended with {self.process.returncode}: {self.log_file.read_text()[-3000:]}"
            )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=5):
                pass
            with socket.create_connection(("127.0.0.1", self.dicom_port), timeout=5):
                return True
        except OSError:
            return False

    def pids(self) -> list[int]:
        """Every process of this bridge, the supervisor and all below it."""
        marker = f"CASEBRIDGE_DATA_DIR={self.data_dir}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]

    def pids_of(self, words: str) -> list[int]:
        """The processes of this bridge whose command line holds these words, such as ``bridge worker``."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if words in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(pid)
        return found

    def kill_everything(self) -> None:
        """kill -9 of every process at once, as a power cut for the program."""
        pids = self.pids()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if self.process is not None:
            self.process.wait(timeout=10)
        eventually(lambda: not self.pids(), within_s=10, what="all processes are gone")

    def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise

    def get(self, path: str, *, token: str = ADMIN_TOKEN) -> Any:
        return json.loads(self.fetch(path, token=token))

    def fetch(self, path: str, *, method: str = "GET", body: Any = None, token: str = ADMIN_TOKEN) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def all_items(self, path: str) -> list[dict[str, Any]]:
        """Follow a list to its end."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            joint = "&" if "?" in path else "?"
            page = self.get(path + (f"{joint}cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items

    def cli(self, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on the same data; ``says`` is its standard input."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            input=says,
            env=self.environ,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]


@contextlib.contextmanager
def running_bridge(data_dir: Path, **settings: Any) -> Iterator[RunningBridge]:
    bridge = RunningBridge(data_dir=data_dir, **settings)
    bridge.start()
    try:
        yield bridge
    finally:
        try:
            bridge.stop()
        finally:
            for pid in bridge.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
