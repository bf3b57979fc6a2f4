"""System calls of real processes, as strace writes them down, read as operations on the files below a folder."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.tap import P_DATA, Kind, Operation

CALLS = (
    "openat,open,creat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,sendto,sendmsg,splice,copy_file_range,sendfile,ftruncate"
)
STRACE = ("strace", "-f", "-qq", "-yy", "-xx", "-s", "200000", "-e", f"trace={CALLS}", "-e", "signal=none")

_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")
_VECTOR = re.compile(r'iov_base="((?:\\x[0-9a-f]{2})*)"')


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), escaped)


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: str
    result: int
    rest: str


def _calls(trace: str) -> Iterator[_Call]:
    """Yield the calls that worked: what is sent when it began, all else when it was over."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        process, text = found.groups()
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            if begun[process].startswith("send"):
                text = begun.pop(process).rstrip(", ") + ") = 0"
            else:
                continue
        elif text.startswith("<... ") and process in begun:
            text = begun.pop(process) + text.partition(" resumed>")[2]
        call = _CALL.fullmatch(text)
        if call is not None and int(call[3]) >= 0:
            yield _Call(call[1], call[2], int(call[3]), call[4])


@dataclass
class Trace:
    """What a trace says of the files below a folder, and which objects were acknowledged when."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    """SOP Instance UIDs."""
    _files: dict[str, int] = field(default_factory=dict)
    _ends: dict[int, int] = field(default_factory=dict)

    def read(self, trace: str) -> None:
        """Take over a whole trace."""
        for call in _calls(trace):
            self._take(call)

    def _take(self, call: _Call) -> None:
        if call.name in {"sendto", "sendmsg"}:
            self._take_answer(call)
            return
        descriptor = _DESCRIPTOR.match(call.arguments)
        inside = self._inside(_text(descriptor[2])) if descriptor else None
        if call.name in {"write", "writev", "pwrite64"} and inside in self._files:
            self._take_write(call, str(inside))
        elif call.name in {"fsync", "fdatasync"} and inside is not None:
            self._note(Kind.SYNC, inside, file=self._files.get(inside, 0))
        elif call.name in {"splice", "copy_file_range", "sendfile", "ftruncate"}:
            assert inside is None, f"the trace reader does not know {call.name}: teach it"
        else:
            self._take_names(call, [self._inside(_text(one)) for one in _STRING.findall(call.arguments)])

    def _take_write(self, call: _Call, path: str) -> None:
        file = self._files[path]
        data = b"".join(_bytes(one) for one in (_VECTOR if call.name == "writev" else _STRING).findall(call.arguments))
        offset = self._ends.get(file, 0)
        if call.name == "pwrite64":
            offset = int(call.arguments.rpartition(", ")[2])
        self._note(Kind.WRITE, path, file=file, data=data[: call.result], offset=offset)
        self._ends[file] = max(self._ends.get(file, 0), offset + call.result)

    def _take_names(self, call: _Call, names: list[str | None]) -> None:
        if not names or names[0] is None:
            return
        name = names[0]
        if call.name in {"open", "openat", "creat"}:
            if ("O_CREAT" in call.arguments or call.name == "creat") and name not in self._files:
                self._files[name] = len(self._files) + 1
                self._note(Kind.CREATE, name, file=self._files[name])
        elif call.name in {"mkdir", "mkdirat"}:
            self._note(Kind.MAKE_FOLDER, name)
        elif call.name in {"unlink", "unlinkat", "rmdir"}:
            self._files.pop(name, None)
            self._note(Kind.UNLINK, name)
        else:
            assert names[1] is not None
            is_link = call.name.startswith("link")
            if name in self._files:
                self._files[names[1]] = self._files[name] if is_link else self._files.pop(name)
            self._note(Kind.LINK if is_link else Kind.RENAME, name, target=names[1])

    def _take_answer(self, call: _Call) -> None:
        data = b"".join(_bytes(one) for one in _STRING.findall(call.arguments))
        while len(data) > 12 and data[0] == P_DATA:
            (length,) = struct.unpack_from(">I", data, 2)
            elements, position, command = {}, 0, data[12 : 6 + length]
            while position < len(command):
                _, number, size = struct.unpack_from("<HHI", command, position)
                elements[number] = command[position + 8 : position + 8 + size]
                position += 8 + size
            if elements[0x0100] == b"\x01\x80" and elements[0x0900] == b"\0\0":
                self.acknowledged.add(elements[0x1000].decode().rstrip("\0"))
            data = data[6 + length :]

    def _inside(self, path: str) -> str | None:
        if path == str(self.root):
            return "."
        return path[len(str(self.root)) + 1 :] if path.startswith(f"{self.root}/") else None

    def _note(self, kind: Kind, path: str, **facts: object) -> None:
        operation = Operation(kind=kind, path=path, **facts)  # type: ignore[arg-type]
        self.operations.append(replace(operation, acknowledged=frozenset(self.acknowledged)))
