"""What runs inside a child of the process pool: takes tasks from the pipe until the parent is gone."""

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


class PoolError(Exception):
    """Root of the process pool's errors."""


class TaskFailedError(PoolError):
    """The task raised or returned something that cannot be sent; the text names type and place, no value."""


_to_parent: Connection | None = None


def send_progress(message: Any) -> None:
    """Send something small to the `on_progress` of this task's caller; does nothing outside a pool's child."""
    if _to_parent is not None:
        _to_parent.send_bytes(pickle.dumps(("progress", message)))


def place_of(error: BaseException) -> str:
    """Return file, line and function where an error arose, in a child too; never its text, which may quote a value."""
    place = getattr(error, "place_in_child", None)
    if isinstance(place, str):
        return place
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"


def relax_collector() -> None:
    """Let the cycle collector look less often at what has no cycles.

    A data set is thousands of small objects that are freed as soon as they are done with; looking for cycles among them
    took longer than reading them. What was loaded by now stays for the life of the process and is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def child_main(parent_pid: int, pipe_fd: int, life_fd: int) -> None:
    """Serve tasks until the parent closes the pipe or dies."""
    global _to_parent  # noqa: PLW0603  # one process, one pipe
    _die_with(parent_pid, life_fd)
    # A terminal or a service manager signals the whole group; only the parent decides about its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe = Connection(pipe_fd)
    try:
        initializer, initargs = pickle.loads(pipe.recv_bytes())  # noqa: S301  # from our own parent
        try:
            if initializer is not None:
                initializer(*initargs)
        except Exception as error:  # noqa: BLE001  # told to the parent
            pipe.send_bytes(pickle.dumps(("broken", _summary(error))))
            return
        _to_parent = pipe
        relax_collector()
        pipe.send_bytes(pickle.dumps(("ready", None)))
        while True:
            task = pipe.recv_bytes()
            pipe.send_bytes(pickle.dumps(("began", None)))
            answer = _answer(task)
            pipe.send_bytes(answer)
            # An error keeps its frames, and they keep the pixels they had, until somebody looks for cycles.
            gc.collect(1)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent closed the pool


def _answer(task: bytes) -> bytes:
    try:
        function, args = pickle.loads(task)  # noqa: S301  # from our own parent
        return pickle.dumps(("result", function(*args)))
    except Exception as error:  # noqa: BLE001  # told to the parent
        with contextlib.suppress(Exception):
            error.place_in_child = place_of(error)  # type: ignore[attr-defined]
        try:
            answer = pickle.dumps(("error", error))
            if type(pickle.loads(answer)[1]) is type(error):  # noqa: S301
                return answer
        except Exception:  # noqa: BLE001, S110  # then the summary must do
            pass
        return pickle.dumps(("error", TaskFailedError(_summary(error))))


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__} at {place_of(error)}"


def _die_with(parent_pid: int, life_fd: int) -> None:
    """End this process as soon as its parent is gone, however busy it is."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)

    def watch() -> None:
        os.read(life_fd, 1)  # nobody writes: returns at the end of the pipe
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
