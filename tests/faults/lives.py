"""Receivers in processes of their own, which may die at any operation of theirs."""

import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scp.server import Receiver
from scp.spool import Spool
from tests.faults.senders import NAME_KEY
from tests.faults.tap import Operation, Rule, Tap, Verdict, dying_at
from tests.scp.conftest import settings

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.lives"])


class Life:
    """One receiver's process: its port, and where it died, if it did by itself."""

    def __init__(self, process: Any, messages: Connection) -> None:
        self._process = process
        self._messages = messages
        self.port = 0
        self.died_at = ""

    @property
    def pid(self) -> int:
        """The process."""
        return int(self._process.pid)

    def listen(self) -> bool:
        """Wait until it receives; False where it died before."""
        try:
            kind, value = self._messages.recv()
        except EOFError:
            return False
        if kind == "died":
            self.died_at = value
            return False
        self.port = value
        return True

    def jump(self, seconds: float) -> None:
        """Set its clock so far off the true time."""
        self._messages.send(seconds)
        assert self._messages.recv() == ("clock", seconds)

    def end(self) -> None:
        """Let it stop in order, if it still can."""
        with suppress(OSError):
            self._messages.send("stop")
        kind, value = self._messages.recv()
        self.died_at = value if kind == "died" else ""
        self._process.join()

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join()


@contextmanager
def life(root: Path, *, die_at: int | None = None, within: bool = False, **changes: object) -> Iterator[Life]:
    """Run a receiver on a spool in a process of its own."""
    here, there = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_live, args=(root, there, die_at, within, changes), daemon=True)
    process.start()
    there.close()
    running = Life(process, here)
    try:
        yield running
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        here.close()


def _live(root: Path, messages: Connection, die_at: int | None, within: bool, changes: dict[str, Any]) -> None:
    def survive(_: Operation) -> Verdict:
        return Verdict.DO

    rule: Rule = survive
    if die_at is not None:
        rule = dying_at(die_at, within=within, tell=lambda step: messages.send(("died", step)))
    if hostname := changes.pop("hostname", None):
        socket.gethostname = lambda: hostname
    for kind, number in changes.pop("limits", {}).items():
        resource.setrlimit(kind, (number, number))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if clock := changes.pop("clock", 0.0):
        _set_clock(clock)
    with Tap(root, rule).laid(answers=True):
        spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
        with Receiver(settings(**changes), spool) as receiver:
            messages.send(("port", receiver.port))
            while (message := messages.recv()) != "stop":
                _set_clock(message)
                messages.send(("clock", message))
        messages.send(("stopped", ""))


def _set_clock(offset_s: float) -> None:
    """Let this process's clock jump, for all of the receiver that asks for the time."""
    real = _CLOCK

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(real["time"]() + offset_s, tz)

    time.time = lambda: real["time"]() + offset_s
    time.time_ns = lambda: real["time_ns"]() + int(offset_s * 1e9)
    for name, module in tuple(sys.modules.items()):
        if name.startswith("scp.") and hasattr(module, "datetime"):
            module.datetime = Jumped


_CLOCK: dict[str, Any] = {"time": time.time, "time_ns": time.time_ns}
