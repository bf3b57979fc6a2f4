"""Senders that keep book: what they sent, and what was acknowledged at any moment."""

import hashlib
import itertools
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from scp.spool import Spool
from tests.faults.ledger import Row
from tests.scp.objects import CT, data_set, encoded
from tests.scp.wire import EXPLICIT, associate_rq, context_item, pdv, store_rq

NAME_KEY = b"f" * 32
P_DATA, RELEASE = 4, 5
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object to send."""

    instance: str
    data: bytes = field(repr=False)

    @property
    def mark(self) -> str:
        """What it is known by when it is found again: the digest of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


def things(count: int, *, study: str = "2.25.77", size: int = 3000) -> list[Thing]:
    """Return objects that nobody has sent yet, no two alike."""
    made = []
    for number in itertools.islice(_numbers, count):
        instance = f"2.25.4{number:09}"
        pixels = (f"{number:010}".encode() * (size // 10 + 1))[:size]
        made.append(Thing(instance=instance, data=encoded(data_set(instance=instance, study=study, pixels=pixels))))
    return made


class Sender:
    """One association; its answers are read by whoever looks first."""

    def __init__(self, port: int, *, timeout_s: float = 30.0, window: int = 1) -> None:
        self.sent: list[Thing] = []
        self.statuses: dict[int, int] = {}
        self.is_closed = False
        self.timeout_s = timeout_s
        self._window = window
        self._pdus: list[int] = []
        self._buffer = b""
        self._lock = threading.Lock()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With a timeout of Python's, a look that shall not wait would wait; the kernel's bounds the sending alone.
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(timeout_s), 0))
        self._send(associate_rq(context_item(1, CT, EXPLICIT), calling=b"FAULTS", window=window))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def acknowledged(self) -> frozenset[str]:
        """The marks of the objects that were answered with Success, as of this very moment."""
        self.look()
        return frozenset(self.sent[number].mark for number, status in tuple(self.statuses.items()) if status == 0)

    def look(self) -> None:
        """Read what has been answered, without waiting."""
        with self._lock:
            while not self.is_closed:
                try:
                    piece = self.socket.recv(65536, socket.MSG_DONTWAIT)
                except (BlockingIOError, TimeoutError):
                    break
                except OSError:
                    piece = b""
                self.is_closed = not piece
                self._buffer += piece
            while len(self._buffer) >= 6:
                kind, _, length = struct.unpack_from(">BBI", self._buffer)
                if len(self._buffer) < 6 + length:
                    return
                if kind == P_DATA:
                    self._note(self._buffer[12 : 6 + length])
                self._pdus.append(kind)
                self._buffer = self._buffer[6 + length :]

    def _note(self, command: bytes) -> None:
        position, elements = 0, {}
        while position < len(command):
            _, number, length = struct.unpack_from("<HHI", command, position)
            elements[number] = int.from_bytes(command[position + 8 : position + 8 + length][:2], "little")
            position += 8 + length
        self.statuses[elements[0x0120]] = elements[0x0900]

    def wait(self, *, pdu: int | None = None, answers: int = 0) -> bool:
        """Wait for a PDU or a number of answers; False where the connection ended before."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            self.look()
            if (pdu in self._pdus) if pdu is not None else (len(self.statuses) >= answers):
                return True
            if self.is_closed:
                return False
            assert time.monotonic() < deadline, "no answer in time"
            time.sleep(0.0005)

    def _send(self, data: bytes) -> bool:
        try:
            self.socket.sendall(data)
        except OSError:
            self.is_closed = True
            return False
        return True

    def open(self) -> bool:
        """Wait for the answer to the request; tell whether it is accepted."""
        deadline = time.monotonic() + self.timeout_s
        while not (self._pdus or self.is_closed):
            assert time.monotonic() < deadline, "no answer in time"
            time.sleep(0.0005)
            self.look()
        return self._pdus[:1] == [2]

    def store(self, thing: Thing, *, pieces: int = 3, wait: bool = True) -> bool:
        """Send an object in a few fragments; tell whether it was answered."""
        self.sent.append(thing)
        number = len(self.sent) - 1
        self._send(b"".join(self.fragments(thing, number, pieces)))
        return self.wait(answers=len(self.sent)) if wait else True

    def store_all(self, objects: Iterable[Thing]) -> bool:
        """Send objects, as many before an answer as the window has room for; tell whether all were answered."""
        for thing in objects:
            if not self.wait(answers=len(self.sent) + 1 - self._window):
                return False
            self.store(thing, wait=False)
        return self.wait(answers=len(self.sent))

    @staticmethod
    def fragments(thing: Thing, number: int, pieces: int = 3) -> list[bytes]:
        """Return the PDUs of an object; its message id is its number."""
        step = max(1, -(-len(thing.data) // pieces))
        cut = [thing.data[start : start + step] for start in range(0, len(thing.data), step)]
        pdus = [pdv(1, 3, store_rq(CT, thing.instance, message_id=number))]
        return pdus + [pdv(1, 2 if index == len(cut) - 1 else 0, piece) for index, piece in enumerate(cut)]

    def release(self) -> bool:
        """Release the association; tell whether it was answered."""
        self._send(struct.pack(">BBII", RELEASE, 0, 4, 0))
        return self.wait(pdu=6)


def send_all(port: int, objects: Sequence[Thing], *, window: int = 1) -> Sender:
    """Send objects as far as that goes; return the sender, closed.

    The first is sent alone; of the others `window` are sent before an answer is awaited.
    """
    with Sender(port, window=window) as sender:
        if sender.open() and sender.store_all(objects[:1]) and sender.store_all(objects[1:]):
            sender.release()
    return sender


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a scan finds in a spool, by mark; what is not wholly one of our objects is broken."""

    marks: Counter[str]
    broken: int

    @classmethod
    def among(cls, sent: Iterable[Thing], root: Path) -> Self:
        """Scan a spool as the worker does, after a receiver's start has cleared it."""
        spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
        spool.prepare()
        known = {thing.mark: len(thing.data) for thing in sent}
        sizes = set(known.values())
        marks: Counter[str] = Counter()
        broken = 0
        for arrival in spool.scan()[0]:
            with spool.open_original(arrival.study_key, arrival.sop_key, arrival.arrival_id) as file:
                content = file.read()
            digests = (hashlib.sha256(content[-size:]).hexdigest() for size in sizes)
            mark = next((digest for digest in digests if digest in known), None)
            if mark is None:
                broken += 1
            else:
                marks[mark] += 1
        return cls(marks=marks, broken=broken)


def row(
    fault: str,
    *,
    sent: Sequence[Thing],
    acknowledged: Iterable[str],
    root: Path | None = None,
    found: Found | None = None,
) -> Row:
    """Hold what was sent and acknowledged against what is found in a spool, or was found there among others.

    `sent` names an object as often as it was sent, `acknowledged` as often as it was acknowledged.
    """
    is_all = root is not None
    found = Found.among(sent, root) if root is not None else found
    assert found is not None
    times = Counter(thing.mark for thing in sent)
    told = Counter(acknowledged)
    marks = Counter({mark: found.marks[mark] for mark in times})
    return Row(
        fault=fault,
        sent=times.total(),
        acknowledged=told.total(),
        stored=marks.total() + found.broken * is_all,
        lost=(told - marks).total(),
        doubled=(marks - times).total(),
        broken=found.broken * is_all,
    )
