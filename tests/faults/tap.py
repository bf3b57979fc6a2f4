"""A tap on the file operations below one folder, laid where Python calls the kernel, whatever code runs above it.

Each operation is shown to a rule before it happens. The rule may note it, let the process die there, fail it, or
leave it out. Reads are not looked at.
"""

import itertools
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

BLIND_SPOTS = ("splice", "sendfile", "copy_file_range", "pwritev", "symlink", "truncate")
"""Ways to change files that the receiver does not use: should it begin to, the tap says so, not to overlook it."""

P_DATA = 0x04


class Kind(StrEnum):
    CREATE = "create"
    WRITE = "write"
    SYNC = "sync"
    RENAME = "rename"
    LINK = "link"
    UNLINK = "unlink"
    MAKE_FOLDER = "make folder"
    REMOVE_FOLDER = "remove folder"
    ANSWER = "answer"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One file operation; paths are relative to the watched folder."""

    kind: Kind
    path: str
    target: str = ""
    file: int = 0
    """Which file is written or synced, whatever its name is by now; 0 for a folder."""
    data: bytes = field(default=b"", repr=False)
    offset: int = 0
    acknowledged: frozenset[str] = frozenset()
    """What had been acknowledged when the operation began."""

    @property
    def step(self) -> str:
        """The step of the spool's protocol that this is."""
        folder, _, rest = self.path.rpartition("spool/")[2].partition("/")
        if self.kind is Kind.ANSWER:
            return "answer"
        if folder == "incoming" and rest:
            return "sync file" if self.kind is Kind.SYNC else self.kind.value
        if folder == "studies":
            if self.kind is Kind.SYNC:
                return "sync study folder" if rest else "sync studies"
            return "make study folder" if rest and self.kind is Kind.MAKE_FOLDER else f"{self.kind.value} in studies"
        return "journal" if folder == "journal" else "start"


class Verdict(StrEnum):
    DO = "do"
    LEAVE_OUT = "leave out"
    DIE = "die"
    DIE_WITHIN = "die within"
    """Write half of it, then die."""


Rule = Callable[[Operation], Verdict]
"""What shall become of an operation; it may raise OSError in the kernel's place."""


@dataclass(slots=True)
class _Handle:
    path: str
    file: int
    position: int = 0


class Tap:
    """Stands between this process and the files below a folder while it is :meth:`laid`.

    Parameters
    ----------
    root
        The folder.
    rule
        Decides over each operation. It runs under a lock: operations come one after another.
    acknowledged
        Tells what the peers have been told Success for.
    """

    def __init__(self, root: Path, rule: Rule, *, acknowledged: Callable[[], frozenset[str]] = frozenset) -> None:
        self._root = str(root)
        self._rule = rule
        self._acknowledged = acknowledged
        self._lock = threading.RLock()
        self._handles: dict[int, _Handle] = {}
        self._real: dict[str, Callable[..., Any]] = {}

    @contextmanager
    def laid(self, *, answers: bool = False) -> Iterator["Tap"]:
        """Watch the process's file operations; with `answers` its P-DATA on sockets too."""
        ours = {name.removeprefix("_os_"): getattr(self, name) for name in dir(self) if name.startswith("_os_")}
        self._real = {name: getattr(os, name) for name in (*ours, *BLIND_SPOTS) if hasattr(os, name)}
        sends = {name: getattr(socket.socket, name) for name in ("send", "sendall")} if answers else {}
        for name in self._real:
            setattr(os, name, ours.get(name) or self._blind(name))
        for name, send in sends.items():
            setattr(socket.socket, name, self._sender(send))
        try:
            yield self
        finally:
            for name, function in self._real.items():
                setattr(os, name, function)
            for name, send in sends.items():
                setattr(socket.socket, name, send)

    def _inside(self, path: Any) -> str | None:
        """Return a path relative to the root; None where it is elsewhere."""
        if isinstance(path, int):
            return handle.path if (handle := self._handles.get(path)) else None
        text = os.fsdecode(os.fspath(path))
        if text.startswith("/proc/self/fd/"):
            return self._inside(int(text.rpartition("/")[2]))
        if text == self._root:
            return "."
        return text[len(self._root) + 1 :] if text.startswith(f"{self._root}/") else None

    def _meet(self, kind: Kind, path: str, do: Callable[[], Any], half: Callable[[], Any] | None = None, **facts: Any):
        """Ask the rule, and do what it says."""
        operation = Operation(kind=kind, path=path, acknowledged=self._acknowledged(), **facts)
        verdict = self._rule(operation)
        if verdict is Verdict.LEAVE_OUT:
            return None
        if verdict is Verdict.DIE_WITHIN and half is not None:
            half()
        if verdict is not Verdict.DO:
            os.kill(os.getpid(), signal.SIGKILL)
        result = do()
        self.done(operation, result)
        return result

    def done(self, operation: Operation, result: Any) -> None:
        """Take note of an operation that worked; for those who keep a model of the disk."""

    def _blind(self, name: str) -> Callable[..., Any]:
        def function(*arguments: Any, **keywords: Any) -> Any:
            if any(isinstance(one, int) and one in self._handles for one in arguments):
                raise AssertionError(f"the tap does not know os.{name}: teach it")
            return self._real[name](*arguments, **keywords)

        return function

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        inside = self._inside(path) if dir_fd is None else None
        if inside is None:
            return int(self._real["open"](path, flags, mode, dir_fd=dir_fd))
        with self._lock:
            do = lambda: self._real["open"](path, flags, mode)  # noqa: E731
            is_new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
            descriptor: int = self._meet(Kind.CREATE, inside, do) if is_new else do()
            self._handles[descriptor] = _Handle(inside, os.fstat(descriptor).st_ino)
            return descriptor

    def _os_close(self, descriptor: int) -> None:
        with self._lock:
            self._handles.pop(descriptor, None)
            self._real["close"](descriptor)

    def _os_write(self, descriptor: int, data: Any) -> int:
        if descriptor not in self._handles:
            return int(self._real["write"](descriptor, data))
        with self._lock:
            handle, content = self._handles[descriptor], bytes(data)
            count: int | None = self._meet(
                Kind.WRITE,
                handle.path,
                lambda: self._real["write"](descriptor, content),
                lambda: self._real["write"](descriptor, content[: len(content) // 2]),
                file=handle.file,
                data=content,
                offset=handle.position,
            )
            handle.position += len(content) if count is None else count
            return len(content) if count is None else count

    def _os_writev(self, descriptor: int, buffers: Any) -> int:
        return self._os_write(descriptor, b"".join(bytes(one) for one in buffers))

    def _os_pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        if descriptor not in self._handles:
            return int(self._real["pwrite"](descriptor, data, offset))
        with self._lock:
            handle, content = self._handles[descriptor], bytes(data)
            do = lambda: self._real["pwrite"](descriptor, content, offset)  # noqa: E731
            count = self._meet(Kind.WRITE, handle.path, do, file=handle.file, data=content, offset=offset)
            return len(content) if count is None else int(count)

    def _os_fsync(self, descriptor: int) -> None:
        self._sync("fsync", descriptor)

    def _os_fdatasync(self, descriptor: int) -> None:
        self._sync("fdatasync", descriptor)

    def _sync(self, name: str, descriptor: int) -> None:
        handle = self._handles.get(descriptor)
        if handle is None:
            self._real[name](descriptor)
            return
        with self._lock:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            do = lambda: self._real[name](descriptor)  # noqa: E731
            self._meet(Kind.SYNC, handle.path, do, file=0 if is_folder else handle.file)

    def _os_rename(self, source: Any, target: Any, **keywords: Any) -> None:
        self._move(Kind.RENAME, "rename", source, target, keywords)

    def _os_replace(self, source: Any, target: Any, **keywords: Any) -> None:
        self._move(Kind.RENAME, "replace", source, target, keywords)

    def _os_link(self, source: Any, target: Any, **keywords: Any) -> None:
        self._move(Kind.LINK, "link", source, target, keywords)

    def _move(self, kind: Kind, name: str, source: Any, target: Any, keywords: dict[str, Any]) -> None:
        inside = self._inside(source)
        do = lambda: self._real[name](source, target, **keywords)  # noqa: E731
        if inside is None:
            do()
            return
        with self._lock:
            self._meet(kind, inside, do, target=self._inside(target) or "")

    def _os_unlink(self, path: Any, **keywords: Any) -> None:
        self._single(Kind.UNLINK, "unlink", path, keywords)

    def _os_remove(self, path: Any, **keywords: Any) -> None:
        self._single(Kind.UNLINK, "remove", path, keywords)

    def _os_rmdir(self, path: Any, **keywords: Any) -> None:
        self._single(Kind.REMOVE_FOLDER, "rmdir", path, keywords)

    def _os_mkdir(self, path: Any, mode: int = 0o777, **keywords: Any) -> None:
        if not os.path.lexists(path):
            self._single(Kind.MAKE_FOLDER, "mkdir", path, {"mode": mode, **keywords})
        else:
            self._real["mkdir"](path, mode, **keywords)

    def _single(self, kind: Kind, name: str, path: Any, keywords: dict[str, Any]) -> None:
        inside = self._inside(path) if keywords.get("dir_fd") is None else None
        do = lambda: self._real[name](path, **keywords)  # noqa: E731
        if inside is None:
            do()
            return
        with self._lock:
            self._meet(kind, inside, do)

    def _sender(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def watched(sock: socket.socket, data: Any, *flags: int) -> Any:
            if bytes(data[:1]) != bytes([P_DATA]):
                return send(sock, data, *flags)
            with self._lock:
                half = lambda: send(sock, data[: len(data) // 2])  # noqa: E731
                return self._meet(Kind.ANSWER, "", lambda: send(sock, data, *flags), half)

        return watched


class Recorder(Tap):
    """A tap that writes down what happens, and leaves out what `without` says."""

    def __init__(
        self,
        root: Path,
        *,
        without: Callable[[Operation], bool] = lambda _: False,
        acknowledged: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        super().__init__(root, self._judge, acknowledged=acknowledged)
        self.operations: list[Operation] = []
        self.left_out: list[Operation] = []
        self._without = without

    def _judge(self, operation: Operation) -> Verdict:
        if not self._without(operation):
            return Verdict.DO
        self.left_out.append(operation)
        return Verdict.LEAVE_OUT

    def done(self, operation: Operation, result: Any) -> None:
        """Write it down, with the file that a creation made."""
        if operation.kind is Kind.CREATE:
            operation = replace(operation, file=os.fstat(result).st_ino)
        self.operations.append(operation)


def dying_at(number: int, *, within: bool, tell: Callable[[str], None]) -> Rule:
    """Return a rule by which the process dies at its operation of this number, counted from 0."""
    counter = itertools.count()

    def rule(operation: Operation) -> Verdict:
        if next(counter) < number:
            return Verdict.DO
        tell(operation.step)
        return Verdict.DIE_WITHIN if within else Verdict.DIE

    return rule
