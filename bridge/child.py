"""What each process of the bridge does at its own start and end."""

import os
import signal
import threading
from collections.abc import Callable


class Stop:
    """Set by SIGTERM or SIGINT; the main thread waits on it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def set(self) -> None:
        """Ask this process to end."""
        self._event.set()

    def wait(self) -> None:
        """Wait until this process is asked to end."""
        # A bare wait() would keep a signal from being handled until something else wakes the thread.
        while not self._event.wait(timeout=3600):
            pass


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
