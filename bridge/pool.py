"""A pool of child processes for CPU-heavy steps, in which the death of one child fails one task only.

Each child hangs on a pipe of its own and is driven by the thread that called :meth:`Pool.run`. Children die with
their parent, on kill -9 too. ``docs/decisions/0002-process-pool.md`` says why no library does this for us.
"""

import contextlib
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from bridge.pool_child import PoolError, TaskFailedError, send_progress

__all__ = [
    "ChildDiedError",
    "Pool",
    "PoolClosedError",
    "PoolError",
    "PoolStartError",
    "TaskFailedError",
    "TaskTimeoutError",
    "send_progress",
]

Result = TypeVar("Result")

_TRIES_TO_BEGIN = 3
"""Children that may die before they take a task; more, and something kills them all."""

_START_TIMEOUT_S = 120.0
"""For the interpreter, the imports and the initializer of a child; models are loaded there."""


class ChildDiedError(PoolError):
    """The child that ran the task died, often because the system ran out of memory; the pool goes on."""


class TaskTimeoutError(PoolError):
    """The task took too long; its child was killed and replaced."""


class PoolStartError(PoolError):
    """A child's initializer failed; the text names type and place, no value."""


class PoolClosedError(PoolError):
    """The pool was closed before the task was done."""


class Pool:
    """Run functions in child processes, a bounded number at once, shared fairly between callers.

    Children are spawned, so functions are importable by name, and arguments and results are pickled: keep them
    small, and leave bulk data in files.

    Parameters
    ----------
    size
        Number of children.
    initializer
        Called once in each child before its first task.
    timeout_s
        Longest run of a task, for `run` without a limit of its own; None waits for ever.
    """

    def __init__(
        self,
        size: int,
        *,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        timeout_s: float | None = None,
    ) -> None:
        if size < 1:
            raise ValueError("a pool has at least one child")
        self._size = size
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._free: deque[_Child] = deque()
        self._waiting: OrderedDict[str, deque[_Ticket]] = OrderedDict()
        self._children: set[_Child] = set()
        self._closed = False
        self._nursery = _Nursery(initializer, initargs, self._welcome)
        for _ in range(size):
            self._nursery.order()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        function: Callable[..., Result],
        *args: Any,
        key: str | None = None,
        timeout_s: float | None = None,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Result:
        """Run ``function(*args)`` in a child and return its result; blocks.

        Parameters
        ----------
        key
            Whose task this is. Free children go round the waiting keys, so that a study with a thousand tasks
            waiting does not hold up a study with one. Defaults to the calling thread.
        timeout_s
            Overrides the pool's limit.
        on_progress
            Called in this thread with whatever the function passes to `send_progress`.

        Raises
        ------
        ChildDiedError
            When the child died while the task ran; another has taken its place.
        TaskTimeoutError
            When the limit passed; likewise.
        TaskFailedError
            When the function's exception or result cannot be pickled. Others come back as themselves.
        PoolStartError
            When the initializer failed in the child.
        PoolClosedError
            When the pool is or gets closed.
        """
        task = pickle.dumps((function, args))
        key = key if key is not None else f"thread {threading.get_ident()}"
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        for _ in range(_TRIES_TO_BEGIN - 1):
            with contextlib.suppress(_NeverBeganError):
                return cast("Result", self._run_once(key, task, limit_s, on_progress or _ignore))
        return cast("Result", self._run_once(key, task, limit_s, on_progress or _ignore))

    def _run_once(self, key: str, task: bytes, limit_s: float | None, on_progress: Callable[[Any], None]) -> Any:
        child = self._acquire(key)
        try:
            result = child.run(task, limit_s, on_progress)
        except _TaskRaisedError as raised:
            self._release(child)
            raise raised.error from None
        except BaseException as error:
            # Whatever it is, the child's state is unknown: a fresh one is cheaper than a wrong answer.
            self._replace(child)
            if self._closed and isinstance(error, ChildDiedError):
                raise PoolClosedError("the pool was closed while the task ran") from None
            raise
        self._release(child)
        return result

    def wait_until_ready(self) -> None:
        """Wait until every child has run its initializer, so that a broken one is seen before work arrives.

        Raises
        ------
        PoolStartError
            When an initializer fails or takes more than two minutes.
        """
        held: list[_Child] = []
        try:
            while len(held) < self._size:
                child = self._acquire("start")
                try:
                    child.wait_until_ready()
                except BaseException:
                    self._replace(child)
                    raise
                held.append(child)
        finally:
            for child in held:
                self._release(child)

    def close(self) -> None:
        """Kill what runs, end the children and wake every waiting caller with `PoolClosedError`; idempotent."""
        with self._lock:
            self._closed = True
            tickets = [ticket for line in self._waiting.values() for ticket in line]
            idle, busy = set(self._free), self._children - set(self._free)
            self._waiting.clear()
            self._free.clear()
            self._children.clear()
        for ticket in tickets:
            ticket.ready.set()
        for child in busy:
            child.kill()  # the pipe is its caller's, who wakes up, sees the death and ends it
        for child in idle:
            child.end()
        self._nursery.close()

    def _acquire(self, key: str) -> "_Child":
        ticket = _Ticket()
        with self._lock:
            if self._closed:
                raise PoolClosedError("the pool is closed")
            self._waiting.setdefault(key, deque()).append(ticket)
            self._hand_out()
        ticket.ready.wait()
        if ticket.child is None:
            raise PoolClosedError("the pool was closed while the task waited")
        return ticket.child

    def _hand_out(self) -> None:
        """Give free children to the waiting keys in turn; the lock is held."""
        while self._free and self._waiting:
            key, line = self._waiting.popitem(last=False)
            ticket = line.popleft()
            if line:
                self._waiting[key] = line
            ticket.child = self._free.popleft()
            ticket.ready.set()

    def _release(self, child: "_Child") -> None:
        with self._lock:
            if not self._closed:
                self._free.append(child)
                self._hand_out()
                return
        child.end()

    def _replace(self, child: "_Child") -> None:
        child.end()
        with self._lock:
            self._children.discard(child)
            if not self._closed:
                self._nursery.order()

    def _welcome(self, child: "_Child") -> None:
        with self._lock:
            if not self._closed:
                self._children.add(child)
                self._free.append(child)
                self._hand_out()
                return
        child.end()


class _Ticket:
    """A caller's place in the queue."""

    __slots__ = ("child", "ready")

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.child: _Child | None = None


class _TaskRaisedError(Exception):
    """Carries the task's own exception past the handling of broken children."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _NeverBeganError(ChildDiedError):
    """The child was dead before it took the task, so another may have it."""


class _Child:
    """One child process, driven by one thread at a time."""

    def __init__(self, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
        ours, theirs = socket.socketpair()
        # The child notices the end of this pipe when we die, while a task keeps it from looking at the other.
        life_read, self._life = os.pipe()
        fds = (theirs.fileno(), life_read)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from bridge.pool_child import child_main; child_main({os.getpid()}, {fds[0]}, {fds[1]})"
        )
        try:
            self._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=fds, stdin=subprocess.DEVNULL)
        except BaseException:
            ours.close()
            os.close(self._life)
            raise
        finally:
            theirs.close()
            os.close(life_read)
        self._pipe = Connection(ours.detach())
        self._ready = False
        with contextlib.suppress(OSError):  # a child that is dead by now is found out by its first task
            self._pipe.send_bytes(pickle.dumps((initializer, initargs)))

    def run(self, task: bytes, timeout_s: float | None, on_progress: Callable[[Any], None]) -> Any:
        try:
            self.wait_until_ready()
            with contextlib.suppress(OSError):  # then the answer is the end of the pipe
                self._pipe.send_bytes(task)
            self._receive(time.monotonic() + _START_TIMEOUT_S)  # "began"
        except ChildDiedError as error:
            raise _NeverBeganError(*error.args) from None
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            kind, value = self._receive(deadline)
            if kind == "result":
                return value
            if kind == "error":
                raise _TaskRaisedError(value)
            on_progress(value)

    def wait_until_ready(self) -> None:
        if self._ready:
            return
        try:
            kind, value = self._receive(time.monotonic() + _START_TIMEOUT_S)
        except TaskTimeoutError:
            raise PoolStartError("a child process did not get ready in time") from None
        if kind == "broken":
            raise PoolStartError(value)
        self._ready = True

    def kill(self) -> None:
        """Kill the process; from any thread."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process and let go of it; from the thread that drives it, or when none does."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        os.close(self._life)

    def _receive(self, deadline: float | None) -> tuple[str, Any]:
        wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            if not self._pipe.poll(wait_s):
                raise TaskTimeoutError("the task took longer than its limit")
            message = self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise self._death() from None
        kind, value = pickle.loads(message)  # noqa: S301  # from our own child
        return kind, value

    def _death(self) -> ChildDiedError:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ChildDiedError("the child process closed its pipe")
        if code < 0:
            return ChildDiedError(f"the child process was killed by signal {-code}")
        return ChildDiedError(f"the child process ended with exit code {code}")


class _Nursery:
    """Start children from one thread that lives as long as the pool.

    Linux kills a child when the *thread* that started it ends, so callers must not start any.
    """

    def __init__(
        self,
        initializer: Callable[..., None] | None,
        initargs: tuple[Any, ...],
        welcome: Callable[[_Child], None],
    ) -> None:
        self._initializer = initializer
        self._initargs = initargs
        self._welcome = welcome
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pool-nursery", daemon=True)
        self._thread.start()

    def order(self) -> None:
        self._orders.put(True)

    def close(self) -> None:
        self._closed.set()
        self._orders.put(False)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        while self._orders.get():
            child = self._start()
            if child is not None:
                self._welcome(child)

    def _start(self) -> _Child | None:
        while not self._closed.is_set():
            try:
                return _Child(self._initializer, self._initargs)
            except OSError:
                # No process or memory to be had just now. The pool is smaller until there is.
                self._closed.wait(1.0)
        return None


def _ignore(_message: Any) -> None:
    pass
