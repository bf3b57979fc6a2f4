"""A sender that costs next to nothing: objects are encoded before the clock starts, then only sockets are fed.

``python -m benchmarks.blast PORT FOLDER COUNT ASSOCIATIONS [--skip N] [--window N]`` associates, encodes, prints
``ready``, waits for a line on its standard input, sends, and prints one line of JSON.
"""

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Sender", "blast", "encode_object", "split_file"]

CALLING_AE = "BLAST"
CALLED_AE = "CASEBRIDGE"
_CT = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_CONTEXT_ID = 1
_UNLIMITED_PDU = 131072
"""What is sent to a peer that sets no limit."""


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_request(calling_ae: str = CALLING_AE, called_ae: str = CALLED_AE, *, window: int = 1) -> bytes:
    """Return an A-ASSOCIATE-RQ that proposes CT in Explicit VR Little Endian (PS3.8 §9.3.2).

    A window other than 1 is asked for as an Asynchronous Operations Window (PS3.7 §D.3.3.3).
    """
    context = (
        struct.pack(">BBBB", _CONTEXT_ID, 0, 0, 0) + _item(0x30, _CT.encode()) + _item(0x40, _EXPLICIT_LITTLE.encode())
    )
    user = _item(0x51, struct.pack(">I", 65536)) + _item(0x52, b"1.2.826.0.1.3680043.10.1507.9.1")
    if window != 1:
        user += _item(0x53, struct.pack(">HH", window, 1))
    items = _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, user)
    body = struct.pack(">HH", 1, 0) + called_ae.ljust(16).encode() + calling_ae.ljust(16).encode() + bytes(32) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _user_items(accept: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the sub-items of the user information of an A-ASSOCIATE-AC: kind and value."""
    position = 68
    while position < len(accept):
        kind, _, length = struct.unpack_from(">BBH", accept, position)
        if kind == 0x50:
            inner = position + 4
            while inner < position + 4 + length:
                sub, _, size = struct.unpack_from(">BBH", accept, inner)
                yield sub, accept[inner + 4 : inner + 4 + size]
                inner += 4 + size
        position += 4 + length


def max_pdu_of(accept: bytes) -> int:
    """Return the longest PDU that the peer takes, out of the body of its A-ASSOCIATE-AC."""
    for kind, value in _user_items(accept):
        if kind == 0x51:
            (limit,) = struct.unpack(">I", value)
            return int(limit) or _UNLIMITED_PDU
    return 16384


def window_of(accept: bytes, *, asked: int) -> int:
    """Return how many requests may be unanswered at once: 1 where the peer does not say, `asked` where it sets none."""
    for kind, value in _user_items(accept):
        if kind == 0x53:
            invoked, _ = struct.unpack(">HH", value)
            return int(invoked) or asked
    return 1


def split_file(content: bytes) -> tuple[str, bytes]:
    """Return SOP Instance UID and encoded data set of a Part 10 file."""
    (length,) = struct.unpack_from("<I", content, 140)
    position, end = 144, 144 + length
    identified_sop_instance = ""
    while position < end:
        _, number, vr, size = struct.unpack_from("<HH2sH", content, position)
        position += 8
        if vr == b"OB":
            (size,) = struct.unpack_from("<I", content, position)
            position += 4
        if number == 3:
            identified_sop_instance = content[position : position + size].decode().rstrip("\0")
        position += size
    return identified_sop_instance, content[end:]


def _command_element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def _even(uid: str) -> bytes:
    value = uid.encode()
    return value + b"\0" * (len(value) % 2)


def encode_object(identified_sop_instance: str, data_set: bytes, *, message_id: int, max_pdu: int) -> bytes:
    """Return all P-DATA-TF PDUs of one C-STORE request (PS3.7 §9.3.1, PS3.8 §9.3.5)."""
    elements = b"".join(
        (
            _command_element(0x0002, _even(_CT)),
            _command_element(0x0100, struct.pack("<H", 0x0001)),
            _command_element(0x0110, struct.pack("<H", message_id)),
            _command_element(0x0700, struct.pack("<H", 0)),
            _command_element(0x0800, struct.pack("<H", 0x0001)),
            _command_element(0x1000, _even(identified_sop_instance)),
        )
    )
    command = _command_element(0x0000, struct.pack("<I", len(elements))) + elements
    parts = [_pdu(command, 0x03)]
    step = max_pdu - 6
    for start in range(0, len(data_set), step):
        is_last = start + step >= len(data_set)
        parts.append(_pdu(data_set[start : start + step], 0x02 if is_last else 0x00))
    return b"".join(parts)


def _pdu(fragment: bytes, control: int) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(fragment) + 6, len(fragment) + 2, _CONTEXT_ID, control) + fragment


def _read(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            raise ConnectionError("the receiver hung up")
        parts += part
    return bytes(parts)


def _read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    kind, _, length = struct.unpack(">BBI", _read(sock, 6))
    return kind, _read(sock, length)


def status_of(body: bytes) -> int:
    """Return the Status (0000,0900) in the body of a P-DATA-TF PDU."""
    position = 6
    while position < len(body):
        _, number, length = struct.unpack_from("<HHI", body, position)
        if number == 0x0900:
            (status,) = struct.unpack_from("<H", body, position + 8)
            return int(status)
        position += 8 + length
    raise ValueError("an answer without a status")


class Sender:
    """One association that feeds its objects in order, with no more than the window of them unanswered."""

    def __init__(self, port: int, files: Sequence[Path], *, called_ae: str = CALLED_AE, window: int = 1) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(associate_request(called_ae=called_ae, window=window))
        kind, body = _read_pdu(self._socket)
        if kind != 2:
            raise ConnectionError(f"no association: PDU type {kind}")
        max_pdu = max_pdu_of(body)
        self.window = window_of(body, asked=window) if window != 1 else 1
        self._objects = []
        for number, file in enumerate(files, start=1):
            sop_instance, data_set = split_file(file.read_bytes())
            self._objects.append(encode_object(sop_instance, data_set, message_id=number % 65535 + 1, max_pdu=max_pdu))
        self.stored = 0

    def send(self) -> None:
        """Send everything; count the answers with Success."""
        waiting = 0
        for content in self._objects:
            self._socket.sendall(content)
            waiting += 1
            if waiting == self.window:
                self._take_answer()
                waiting -= 1
        for _ in range(waiting):
            self._take_answer()

    def _take_answer(self) -> None:
        kind, body = _read_pdu(self._socket)
        if kind == 4 and status_of(body) == 0:
            self.stored += 1

    def release(self) -> None:
        """End the association in order."""
        self._socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        _read_pdu(self._socket)
        self._socket.close()


def blast(port: int, files: Sequence[Path], associations: int, *, window: int = 1) -> list[Sender]:
    """Open the associations and encode; the caller sends."""
    return [Sender(port, files[index::associations], window=window) for index in range(associations)]


def main() -> None:
    """Serve one measurement; see the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("associations", type=int)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--window", type=int, default=1)
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.dcm"))[options.skip : options.skip + options.count]
    senders = blast(options.port, files, options.associations, window=options.window)
    print("ready", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=sender.send) for sender in senders]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s, last_at = time.perf_counter() - begin, time.time()
    for sender in senders:
        sender.release()
    stored = sum(sender.stored for sender in senders)
    window = min(sender.window for sender in senders)
    result = {"sent": len(files), "stored": stored, "wall_s": wall_s, "last_at": last_at, "window": window}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
