"""A DICOM peer that can say anything: PDUs written by hand on a socket."""

import socket
import struct
from dataclasses import dataclass
from typing import Self

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context_item(context_id: int, abstract: str, *transfer: str) -> bytes:
    body = struct.pack(">BBBB", context_id, 0, 0, 0) + _item(0x30, abstract.encode())
    return _item(0x20, body + b"".join(_item(0x40, uid.encode()) for uid in transfer))


def associate_rq(
    *contexts: bytes, calling: bytes = b"TESTSCU", called: bytes = b"CASEBRIDGE", window: int = 1
) -> bytes:
    user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"2.25.1")
    if window != 1:
        user += _item(0x53, struct.pack(">HH", window, 1))
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(contexts) + _item(0x50, user)
    return struct.pack(">BBI", 1, 0, len(body)) + body


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


def padded(uid: str | bytes) -> bytes:
    value = uid.encode() if isinstance(uid, str) else uid
    return value + b"\0" * (len(value) % 2)


def store_rq(sop_class: str | bytes, instance: str | bytes, *, message_id: int = 7, has_data: bool = True) -> bytes:
    return (
        element(0x0002, padded(sop_class))
        + us(0x0100, 0x0001)
        + us(0x0110, message_id)
        + us(0x0700, 0)
        + us(0x0800, 0 if has_data else 0x0101)
        + element(0x1000, padded(instance))
    )


def echo_rq(message_id: int = 3) -> bytes:
    return element(0x0002, padded(VERIFICATION)) + us(0x0100, 0x0030) + us(0x0110, message_id) + us(0x0800, 0x0101)


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(data) + 6, len(data) + 2, context_id, control) + data


@dataclass(frozen=True)
class Response:
    context_id: int
    status: int
    comment: str
    message_id: int
    operation: int


class Peer:
    """One connection."""

    def __init__(self, port: int, *, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_pdu(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; type 0 where the connection is closed."""
        try:
            header = self._read(6)
            kind, _, length = struct.unpack(">BBI", header)
            return kind, self._read(length)
        except (ConnectionError, EOFError):
            return 0, b""

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def associate(self, *contexts: bytes, **titles: bytes) -> tuple[int, bytes]:
        self.send(associate_rq(*contexts, **titles))
        return self.read_pdu()

    def store(self, context_id: int, sop_class: str | bytes, instance: str | bytes, data: bytes) -> Response:
        self.send(pdv(context_id, 3, store_rq(sop_class, instance)) + pdv(context_id, 2, data))
        return self.response()

    def response(self) -> Response:
        kind, body = self.read_pdu()
        assert kind == 4, f"PDU type {kind} instead of a response"
        context_id, position, elements = body[4], 6, {}
        while position < len(body):
            _, number, length = struct.unpack_from("<HHI", body, position)
            elements[number] = body[position + 8 : position + 8 + length]
            position += 8 + length

        def number(key: int) -> int:
            return int.from_bytes(elements[key], "little")

        return Response(
            context_id=context_id,
            status=number(0x0900),
            comment=elements.get(0x0902, b"").decode().strip(),
            message_id=number(0x0120),
            operation=number(0x0100),
        )

    def release(self) -> int:
        self.send(struct.pack(">BBII", 5, 0, 4, 0))
        return self.read_pdu()[0]


def results(body: bytes) -> dict[int, tuple[int, str]]:
    """Return result and transfer syntax by context id, of an A-ASSOCIATE-AC."""
    position, found = 68, {}
    while position < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, position)
        if kind == 0x21:
            context_id, _, result, _ = struct.unpack_from(">BBBB", body, position + 4)
            found[context_id] = (result, body[position + 12 : position + 4 + length].decode())
        position += 4 + length
    return found
