"""What a sender said on one association, and how many PDUs it was answered after each part: kept, and said again."""

import base64
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

P_DATA = 4


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes of the sender, and the number of PDUs that it waited for afterwards."""

    data: bytes = field(repr=False)
    answers: int


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One association as its requestor saw it."""

    parts: tuple[Part, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an exchange that was kept: a line for each part, the number of answers and the bytes in base64."""
        lines = (line.split() for line in path.read_text().splitlines())
        return cls(parts=tuple(Part(data=base64.b64decode(data), answers=int(count)) for count, data in lines))

    def save(self, path: Path) -> None:
        """Keep it."""
        lines = [f"{part.answers} {base64.b64encode(part.data).decode()}\n" for part in self.parts]
        path.write_text("".join(lines))

    @property
    def contexts(self) -> dict[str, list[str]]:
        """Transfer syntaxes by abstract syntax, in the order in which they were proposed."""
        found: dict[str, list[str]] = {}
        request = self.parts[0].data
        position = 74
        (length,) = struct.unpack_from(">I", request, 2)
        while position < 6 + length:
            kind, _, size = struct.unpack_from(">BBH", request, position)
            if kind == 0x20:
                inner, end, abstract = position + 8, position + 4 + size, ""
                while inner < end:
                    item, _, count = struct.unpack_from(">BBH", request, inner)
                    uid = request[inner + 4 : inner + 4 + count].decode()
                    if item == 0x30:
                        abstract = uid
                    else:
                        known = found.setdefault(abstract, [])
                        known += [uid] if uid not in known else []
                    inner += 4 + count
            position += 4 + size
        return found


@dataclass(kw_only=True)
class Outcome:
    """What an acceptor answered to an exchange."""

    accepted: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Result and transfer syntax of each context."""
    responses: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Context, Command Field, Message ID Being Responded To and Status, in their order."""
    end: str = "open"
    """How the association ended: released, aborted, rejected or closed; silent where nothing came."""


ENDS = {3: "rejected", 6: "released", 7: "aborted"}


def replay(exchange: Exchange, port: int, *, timeout_s: float = 10.0) -> Outcome:
    """Say an exchange again, each part after the answers that its sender waited for."""
    outcome, buffer = Outcome(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in exchange.parts:
            missing = part.answers
            try:
                connection.sendall(part.data)
                while missing > 0 and outcome.end == "open":
                    piece = connection.recv(65536)
                    if not piece:
                        outcome.end = "closed"
                    buffer += piece
                    while len(buffer) >= 6 and len(buffer) >= (size := 6 + int.from_bytes(buffer[2:6], "big")):
                        note_pdu(outcome, buffer[:size])
                        buffer, missing = buffer[size:], missing - 1
            except TimeoutError:
                outcome.end = "silent"
            except ConnectionError:
                outcome.end = "closed" if outcome.end == "open" else outcome.end
            if outcome.end != "open":
                break
    return outcome


def note_pdu(outcome: Outcome, pdu: bytes) -> None:
    """Take what a PDU of the acceptor says."""
    kind = pdu[0]
    outcome.end = ENDS.get(kind, outcome.end)
    if kind == 2:
        outcome.accepted = _contexts(pdu)
    if kind == P_DATA:
        elements, position, command = {}, 0, pdu[12:]
        while position < len(command):
            _, number, size = struct.unpack_from("<HHI", command, position)
            elements[number] = int.from_bytes(command[position + 8 : position + 8 + size][:2], "little")
            position += 8 + size
        outcome.responses.append((pdu[10], elements[0x0100], elements[0x0120], elements[0x0900]))


def _contexts(pdu: bytes) -> dict[int, tuple[int, str]]:
    position, found = 74, {}
    while position < len(pdu):
        kind, _, length = struct.unpack_from(">BBH", pdu, position)
        if kind == 0x21:
            context_id, _, result, _ = struct.unpack_from(">BBBB", pdu, position + 4)
            # Where a context is declined its transfer syntax means nothing (PS3.8 Table 9-18).
            syntax = pdu[position + 12 : position + 4 + length].decode().rstrip("\0") if result == 0 else ""
            found[context_id] = (result, syntax)
        position += 4 + length
    return found
