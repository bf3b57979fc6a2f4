"""The bytes of one connection as P-DATA-TF PDUs: read in large pieces, taken apart where they lie.

Any fragmentation is the same to it: a piece may end within a header or a fragment, and hold many PDUs.
"""

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from scp.errors import ProtocolError

__all__ = ["Inlet", "PDataParser"]

_P_DATA = 0x04
_HEADER = struct.Struct(">BBL")
_VALUE = struct.Struct(">LBB")
_HEADER_BYTES = 6
_LEAST_VALUE = 2
"""A presentation data value has a context id and a control header at least (PS3.8 §9.3.5.1)."""
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class Inlet:
    """Reads a connection without waiting, and waits for it without reading.

    Whenever it has read all there is, it lets the system acknowledge at once what has come. A sender with Nagle's
    algorithm on, such as DCMTK as distributions ship it, holds the rest of a PDU back until then; the delayed
    acknowledgement would cost 40 ms for each object.

    Parameters
    ----------
    connection
        The socket, plain or TLS; it is set to not wait.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._has_news = True

    def read_into(self, view: memoryview) -> int | None:
        """Read what is there; return the count of bytes, 0 at the end of the stream, None where nothing is there.

        Raises
        ------
        OSError
            If the connection is broken.
        """
        try:
            count = self._connection.recv_into(view)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if self._has_news:
                self._has_news = False
                self._acknowledge()
            return None
        self._has_news = True
        return count

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read; return whether there is.

        Raises
        ------
        OSError
            If the connection was closed on our side.
        """
        if self._connection.fileno() < 0:
            raise OSError("closed")
        return bool(self._poll.poll(seconds * 1000))

    def send(self, data: bytes, *, timeout_s: float) -> None:
        """Send all of `data`.

        Raises
        ------
        OSError
            If the connection is broken or the peer takes nothing for so long.
        """
        view = memoryview(data)
        deadline = time.monotonic() + timeout_s
        while view:
            try:
                view = view[self._connection.send(view) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                poll = select.poll()
                poll.register(self._connection, select.POLLOUT)
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise TimeoutError from None

    def _acknowledge(self) -> None:
        if _QUICKACK is not None:
            with suppress(OSError):
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


class PDataParser:
    """Takes P-DATA-TF PDUs apart (PS3.8 §9.3.5), piece by piece.

    Parameters
    ----------
    take
        Called with context id, control header, bytes of a fragment, and whether the fragment ends with them.
    max_pdu_bytes
        The longest variable field that a PDU may have.
    """

    def __init__(self, take: Callable[[int, int, memoryview, bool], None], *, max_pdu_bytes: int) -> None:
        self._take = take
        self._limit = max_pdu_bytes
        self._pdu_left = 0
        self._value_left = 0
        self._context_id = 0
        self._control = 0
        self.pdus = 0
        """How many PDUs have begun."""

    @property
    def is_inside(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return self._pdu_left > 0

    def feed(self, view: memoryview) -> int:
        """Take apart what can be; return how many bytes are done with.

        It stops before a header that is not whole, and before a PDU that is no P-DATA-TF.

        Raises
        ------
        ProtocolError
            If a length is wrong.
        """
        position, end = 0, len(view)
        while True:
            if self._value_left:
                piece = view[position : position + self._value_left]
                if not piece:
                    return position
                position += len(piece)
                self._value_left -= len(piece)
                self._pdu_left -= len(piece)
                self._take(self._context_id, self._control, piece, not self._value_left)
            elif end - position < _HEADER_BYTES and not 0 < self._pdu_left < _HEADER_BYTES:
                return position
            elif self._pdu_left:
                self._begin_value(view, position)
                position += _HEADER_BYTES
            elif view[position] != _P_DATA:
                return position
            else:
                self._begin_pdu(view, position)
                position += _HEADER_BYTES

    def _begin_pdu(self, view: memoryview, position: int) -> None:
        _, _, length = _HEADER.unpack_from(view, position)
        if length > self._limit:
            raise ProtocolError("a PDU is longer than was agreed")
        self._pdu_left = length
        self.pdus += 1

    def _begin_value(self, view: memoryview, position: int) -> None:
        if self._pdu_left < _HEADER_BYTES:
            raise ProtocolError("a presentation data value is cut off")
        length, self._context_id, self._control = _VALUE.unpack_from(view, position)
        if length < _LEAST_VALUE or length + 4 > self._pdu_left:
            raise ProtocolError("a presentation data value has a wrong length")
        self._pdu_left -= _HEADER_BYTES
        self._value_left = length - _LEAST_VALUE
        if not self._value_left:
            self._take(self._context_id, self._control, view[:0], True)
