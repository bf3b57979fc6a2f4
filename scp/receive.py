"""The receive path: PDUs from the socket, fragments straight into the spool, the answer straight back.

pynetdicom keeps the upper layer's state machine (PS3.8 §9.2). While an association is established, its DUL service
provider is given another way to read P-DATA-TF: one buffer, no primitives, no data set in memory. Everything private
of pynetdicom that this rests on is named in this module and in :mod:`scp.association`; its version is pinned.
"""

import logging
import select
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ

from scp.command import MAX_COMMAND_BYTES, Operation, encode_response, parse_command, pdata
from scp.commitment import CommitmentReception
from scp.errors import ProtocolError
from scp.handlers import Reception, RequestHandler

__all__ = ["MessageAssembler", "ReceivingDUL"]

_log = logging.getLogger("casebridge.scp")

_ESTABLISHED = "Sta6"
_P_DATA = 0x04
_PDU_LIMITS = {0x01: 1 << 20, 0x02: 1 << 20, 0x03: 4, 0x05: 4, 0x06: 4, 0x07: 4}
"""Longest variable field in bytes by PDU type; 128 contexts of 50 transfer syntaxes each fit into 1 MiB."""
_PDU_SLACK = 64
_POLL_S = 0.05

CONNECTION_CLOSED = "Evt17"
INVALID_PDU = "Evt19"


class MessageAssembler:
    """Puts the fragments of one association together: commands here, data sets into the spool.

    Parameters
    ----------
    handler
        Answers the requests.
    max_pdu_bytes
        The longest variable field of a PDU that the peer takes; 0 means any.
    """

    def __init__(self, handler: RequestHandler, max_pdu_bytes: int) -> None:
        self._handler = handler
        self._max_pdu_bytes = max_pdu_bytes
        self._command = bytearray()
        self._context_id = 0
        self._reception: Reception | CommitmentReception | None = None
        self._skipping = False

    def take(self, context_id: int, control: int, fragment: memoryview) -> bytes:
        """Take one presentation data value; return the PDUs to answer with, if it ends a request.

        Parameters
        ----------
        context_id
            Its presentation context.
        control
            The message control header (PS3.8 §E.2).
        fragment
            The bytes after it; not kept.

        Raises
        ------
        ProtocolError
            If no peer that speaks the protocol would send it.
        """
        if not self._handler.knows(context_id):
            raise ProtocolError("a presentation context that was never proposed")
        is_inside = self._reception is not None or self._skipping or bool(self._command)
        if is_inside and context_id != self._context_id:
            raise ProtocolError("the presentation context changed within a message")
        self._context_id = context_id
        is_last = bool(control & 2)
        if control & 1:
            return self._take_command(fragment, is_last=is_last)
        return self._take_data(fragment, is_last=is_last)

    def abandon(self) -> None:
        """Drop an object that has not wholly arrived: the association has ended."""
        if self._reception is not None:
            self._reception.abandon()
            self._reception = None
        self._handler.end()

    def report(self) -> bytes:
        """Return the PDUs of a report that is due, nothing within a message of the peer's."""
        if self._reception is not None or self._skipping or self._command:
            return b""
        return self._handler.report(self._max_pdu_bytes)

    def _take_command(self, fragment: memoryview, *, is_last: bool) -> bytes:
        if self._reception is not None or self._skipping:
            raise ProtocolError("a command within a data set")
        if len(self._command) + len(fragment) > MAX_COMMAND_BYTES:
            raise ProtocolError("an endless command set")
        self._command += fragment
        if not is_last:
            return b""
        command = parse_command(bytes(self._command))
        self._command.clear()
        if command.is_response or command.operation == Operation.C_CANCEL:
            self._skipping = command.has_data_set
            if command.is_response:
                self._handler.take_response(command)
            return b""
        self._reception = self._handler.begin(self._context_id, command)
        return b"" if command.has_data_set else self._finish()

    def _take_data(self, fragment: memoryview, *, is_last: bool) -> bytes:
        if self._skipping:
            self._skipping = not is_last
            return b""
        if self._reception is None:
            raise ProtocolError("a data set without a command")
        self._reception.write(fragment)
        return self._finish() if is_last else b""

    def _finish(self) -> bytes:
        assert self._reception is not None
        reception, self._reception = self._reception, None
        answer = reception.finish()
        response = encode_response(reception.command, answer.status, answer.comment)
        return pdata(self._context_id, response, self._max_pdu_bytes)


class ReceivingDUL(DULServiceProvider):  # type: ignore[misc] # pynetdicom has no types
    """The upper layer service provider of one association that we accepted."""

    def __init__(self, assoc: Any, *, max_pdu_bytes: int, pdu_timeout_s: float) -> None:
        super().__init__(assoc)
        self.daemon = True
        self.messages: MessageAssembler | None = None
        self.is_busy = False
        self.has_received = False
        self._limit = max_pdu_bytes + _PDU_SLACK
        self._pdu_timeout_s = pdu_timeout_s
        self._buffer = bytearray()

    def run_reactor(self) -> None:
        """Run until the connection is closed; whatever goes wrong ends this association only."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - the text of pynetdicom's errors can hold what was sent
            _log.warning("An association broke off.", extra={"error": type(error).__name__})
            self._hang_up()
        finally:
            if self.messages is not None:
                self.messages.abandon()

    def _hang_up(self) -> None:
        """Abort outside of the state machine, which is of no use any more."""
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = 0x02, 0x00
        with suppress(Exception):
            self.socket.socket.sendall(abort.encode())
        with suppress(Exception):
            self.socket._shutdown_socket()  # noqa: SLF001
        self.assoc.is_aborted = True
        self.assoc.is_established = False
        self._kill_thread = True
        self.state_machine.current_state = "Sta1"

    def _is_transport_event(self) -> bool:
        """Read PDUs while they come; the wait for the next is a wait on the socket, not a sleep."""
        if self.state_machine.current_state != _ESTABLISHED or self.messages is None:
            return bool(super()._is_transport_event())
        has_read = False
        while self.event_queue.empty() and self.to_provider_queue.empty() and not self._kill_thread:
            if not self._is_readable():
                self._report()
                break
            self._read_pdu_data()
            self._idle_timer.restart()
            has_read = True
        return has_read

    def _report(self) -> None:
        """Send a commitment report that is due, while the peer is silent."""
        if self.messages is not None and self.event_queue.empty():
            pdus = self.messages.report()
            if pdus:
                self.socket.send(pdus)

    def _is_readable(self) -> bool:
        sock = self.socket.socket if self.socket else None
        if sock is None:
            return False
        pending = getattr(sock, "pending", None)
        if pending is not None and pending():
            return True
        try:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(_POLL_S * 1000))
        except (OSError, ValueError):
            self.event_queue.put(CONNECTION_CLOSED)
            return False

    def _read_pdu_data(self) -> None:
        """Read one PDU, of bounded length and within a bounded time, and put its event into the queue."""
        deadline = time.monotonic() + self._pdu_timeout_s
        header = bytearray(6)
        if not self._read_into(memoryview(header), deadline):
            self.event_queue.put(CONNECTION_CLOSED)
            return
        self.has_received = True
        pdu_type, _, length = struct.unpack(">BBL", header)
        limit = self._limit if pdu_type == _P_DATA else _PDU_LIMITS.get(pdu_type, -1)
        if length > limit:
            self.event_queue.put(INVALID_PDU)
            return
        if len(self._buffer) < length:
            self._buffer = bytearray(max(length, self._limit))
        body = memoryview(self._buffer)[:length]
        if not self._read_into(body, deadline):
            self.event_queue.put(CONNECTION_CLOSED)
            return
        if pdu_type == _P_DATA and self.messages is not None and self.state_machine.current_state == _ESTABLISHED:
            self._take_pdata(body)
            return
        try:
            pdu, event = self._decode_pdu(header + body)
        except Exception:  # noqa: BLE001 - any garbage may follow a good header
            self.event_queue.put(INVALID_PDU)
            return
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def _read_into(self, view: memoryview, deadline: float) -> bool:
        sock = self.socket.socket
        while view:
            try:
                count = sock.recv_into(view)
            except OSError:
                return False
            if not count or time.monotonic() > deadline:
                return False
            view = view[count:]
        return True

    def _take_pdata(self, body: memoryview) -> None:
        assert self.messages is not None
        self.is_busy = True
        try:
            for context_id, control, fragment in _values(body):
                answer = self.messages.take(context_id, control, fragment)
                if answer:
                    self.socket.send(answer)
        except ProtocolError as error:
            _log.warning(
                "A peer broke the protocol; the association is aborted.",
                extra={"association": self.assoc.association_id, "reason": error.comment},
            )
            self.assoc.abort_reason = error.comment
            self.event_queue.put(INVALID_PDU)
        finally:
            self._idle_timer.restart()
            self.is_busy = False


def _values(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield context id, control header and bytes of each presentation data value of a P-DATA-TF (PS3.8 §9.3.5)."""
    position = 0
    while position < len(body):
        if position + 6 > len(body):
            raise ProtocolError("a presentation data value is cut off")
        length, context_id, control = struct.unpack_from(">IBB", body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):  # noqa: PLR2004 - context id and control header
            raise ProtocolError("a presentation data value has a wrong length")
        yield context_id, control, body[position + 6 : end]
        position = end
