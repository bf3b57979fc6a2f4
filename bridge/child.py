"""What each process of the bridge does at its own start and end."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType


class Stop:
    """Set by SIGTERM or SIGINT; the main thread waits on it.

    A pipe, not an event: the system may hand a signal to any thread, which does not wake the main thread from a lock.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._is_set = True

    def wait(self) -> None:
        """Wait until this process is asked to end."""
        while not self._is_set:
            os.read(self._read, 1)


def follow_supervisor(life_fd: int | None, die: Callable[[int], None] = os._exit) -> None:
    """End this process at once when its supervisor ends, however that happens; without a descriptor, do nothing."""
    if life_fd is None:
        return

    def watch() -> None:
        os.read(life_fd, 1)
        die(1)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


def say_ready(ready_fd: int | None, for_operator: str = "") -> None:
    """Tell the supervisor that this process does its work now, and what the operator must hear; else do nothing."""
    if ready_fd is None:
        return
    os.write(ready_fd, f"ready {for_operator}".encode())
    os.close(ready_fd)
