"""``casebridge serve``: receiver, worker and API as child processes that start, stop and die together."""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger("casebridge.supervisor")

STOP_S = 15.0
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 60.0
"""A child that ran this long starts again at once when it dies."""
LATER_S = 10.0
"""When the children that come later start at the latest, whatever keeps the first ones from being ready."""
EXIT_CONFIG = 2
"""A child that ends so before the first announcement has said what an operator must mend: starting it again is idle."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One supervised process and what is known of it."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    ready_fd: int = -1
    is_ready: bool = False
    started_at: float = 0.0
    deaths: int = 0
    due_at: float = field(default=0.0)
    """When to start it (again), on the monotonic clock."""
    is_first: bool = True
    """Whether the announcement waits for it."""
    said: str = field(default="", repr=False)
    """What it has to tell the operator, said with its readiness."""


class Supervisor:
    """Keeps its children running until it is told to stop.

    The announcement comes when all of `children` are ready, with what they had to say by their names. Those of `later`
    start then: they do not take the processor from what an operator waits for.

    Children learn of the supervisor's death by the end of a pipe that it alone holds open, so that kill -9 of the
    supervisor ends them too.
    """

    def __init__(
        self,
        children: Sequence[tuple[str, Sequence[str]]],
        *,
        later: Sequence[tuple[str, Sequence[str]]] = (),
        on_ready: Callable[[dict[str, str]], None],
    ) -> None:
        self._children = [Child(name=name, arguments=arguments) for name, arguments in children]
        due_at = time.monotonic() + LATER_S
        self._children += [Child(name=name, arguments=each, due_at=due_at, is_first=False) for name, each in later]
        self._exit_status = 0
        self._on_ready = on_ready
        self._announced = False
        self._stopping = False
        self._life_read, self._life_write = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def run(self) -> int:
        """Run until SIGINT, SIGTERM or a child's complaint about its settings; return the exit status."""
        previous = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        }
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            while not self._stopping:
                self._start_due()
                self._wait()
                self._notice_deaths()
        finally:
            self._stop()
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._exit_status

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due_at <= now:
                self._start(child)

    def _start(self, child: Child) -> None:
        ready_read, ready_write = os.pipe()
        descriptors = ["--ready-fd", str(ready_write), "--life-fd", str(self._life_read)]
        child.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *child.arguments, *descriptors],
            pass_fds=(ready_write, self._life_read),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
        )
        os.close(ready_write)
        child.ready_fd, child.started_at, child.is_ready = ready_read, time.monotonic(), False
        self._selector.register(ready_read, selectors.EVENT_READ, child)

    def _wait(self) -> None:
        waits = [child.due_at - time.monotonic() for child in self._children if child.process is None]
        for key, _ in self._selector.select(timeout=max(0.0, min(waits)) if waits else None):
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                self._read_ready(key.data)

    def _read_ready(self, child: Child) -> None:
        said = os.read(child.ready_fd, 4096).decode()
        self._forget_ready_fd(child)
        child.is_ready = bool(said)
        child.said = said.partition(" ")[2] or child.said
        if not self._announced and all(each.is_ready for each in self._children if each.is_first):
            self._announced = True
            self._on_ready({each.name: each.said for each in self._children if each.said})
            for each in self._children:
                each.said = ""
                if each.started_at == 0.0:
                    each.due_at = 0.0

    def _forget_ready_fd(self, child: Child) -> None:
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
            os.close(child.ready_fd)
            child.ready_fd = -1

    def _notice_deaths(self) -> None:
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            if child.process.returncode == EXIT_CONFIG and not self._announced:
                self._stopping, self._exit_status = True, EXIT_CONFIG
                continue
            lived_s = time.monotonic() - child.started_at
            child.deaths = 0 if lived_s > STEADY_S else child.deaths + 1
            pause_s = RESTART_S[min(child.deaths, len(RESTART_S)) - 1] if child.deaths else 0.0
            child.due_at = time.monotonic() + pause_s
            log.error(
                "a process ended and is started again",
                extra={"child": child.name, "status": child.process.returncode, "in_s": pause_s},
            )
            self._forget_ready_fd(child)
            child.process = None

    def _stop(self) -> None:
        """Ask every child to end, wait, and end those that do not."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            self._forget_ready_fd(child)
        for descriptor in (self._life_read, self._life_write, self._wake_read, self._wake_write):
            os.close(descriptor)
        self._selector.close()
