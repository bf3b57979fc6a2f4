"""The receive path: PDUs from the socket, fragments straight into the spool, the answer straight back.

A peer that agreed on a window of several operations (PS3.7 §D.3.3.3) sends the next object before the last one is
answered; what has come meanwhile is made durable together, and then answered in its order.

pynetdicom keeps the upper layer's state machine (PS3.8 §9.2). While an association is established, its DUL service
provider is given another way to read P-DATA-TF: one buffer, no primitives, no data set in memory. Everything private
of pynetdicom that this rests on is named in this module and in :mod:`scp.association`; its version is pinned.
"""

import logging
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ

from scp.command import MAX_COMMAND_BYTES, Operation, encode_response, parse_command, pdata
from scp.commitment import CommitmentReception
from scp.errors import ProtocolError
from scp.handlers import Reception, RequestHandler
from scp.inlet import Inlet, PDataParser

__all__ = ["MessageAssembler", "ReceivingDUL"]

_log = logging.getLogger("casebridge.scp")

_ESTABLISHED = "Sta6"
_P_DATA = 0x04
_PDU_LIMITS = {0x01: 1 << 20, 0x02: 1 << 20, 0x03: 4, 0x05: 4, 0x06: 4, 0x07: 4}
"""Longest variable field in bytes by PDU type; 128 contexts of 50 transfer syntaxes each fit into 1 MiB."""
_SHORT_PDUS = {kind: limit for kind, limit in _PDU_LIMITS.items() if limit == 4}  # noqa: PLR2004
"""What may come within an association besides P-DATA-TF: release and abort."""
_RELEASE_REQUEST = 0x05
_HEADER = struct.Struct(">BBL")
_HEADER_BYTES = 6
_PDU_SLACK = 64
_POLL_S = 0.05
_BUFFER_BYTES = 256 * 1024
_LINGER_S = 0.001
"""How long a batch waits for the next bytes of a peer that may send more before it reads an answer; one that sent a
single request last time is not waited for."""
_MAX_LINGER_S = 0.01
"""How long a whole object waits for its batch at most, where nothing comes."""
_MAX_HELD_S = 0.5
"""How long it waits at most while bytes of the next ones come."""

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
    window
        How many requests the peer may send before it reads an answer.
    """

    def __init__(self, handler: RequestHandler, max_pdu_bytes: int, *, window: int = 1) -> None:
        self._handler = handler
        self._max_pdu_bytes = max_pdu_bytes
        self._window = window
        self._command = bytearray()
        self._context_id = 0
        self._reception: Reception | CommitmentReception | None = None
        self._pieces: list[memoryview] = []
        self._waiting: list[tuple[int, Reception | CommitmentReception]] = []
        self._skipping = False
        self._waiting_since = 0.0

    @property
    def is_inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._reception is not None or self._skipping or bool(self._command)

    @property
    def waiting(self) -> int:
        """How many requests have wholly arrived that are not answered yet."""
        return len(self._waiting)

    @property
    def is_window_full(self) -> bool:
        """Whether the peer must read an answer before it may send another request."""
        return len(self._waiting) >= self._window

    @property
    def waited_s(self) -> float:
        """How long the first of the requests that are not answered waits."""
        return time.monotonic() - self._waiting_since

    def take(self, context_id: int, control: int, fragment: memoryview, *, is_end: bool) -> None:
        """Take bytes of one presentation data value; with the last of them, a request may be whole.

        Parameters
        ----------
        context_id
            Its presentation context.
        control
            The message control header (PS3.8 §E.2).
        fragment
            The bytes; kept until :meth:`write_out`.
        is_end
            Whether the presentation data value ends with these bytes.

        Raises
        ------
        ProtocolError
            If no peer that speaks the protocol would send it.
        """
        if not self._handler.knows(context_id):
            raise ProtocolError("a presentation context that was never proposed")
        if context_id != self._context_id and self.is_inside:
            raise ProtocolError("the presentation context changed within a message")
        self._context_id = context_id
        is_last = is_end and bool(control & 2)
        if control & 1:
            self._take_command(fragment, is_last=is_last)
        else:
            self._take_data(fragment, is_last=is_last)

    def write_out(self) -> None:
        """Write what was taken of a data set; its memory is free then."""
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            if self._reception is not None:
                self._reception.write(pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces)))

    def settle(self) -> bytes:
        """Make durable what has wholly arrived, and return the PDUs that answer it, in the order of the requests."""
        self._handler.commit([reception for _, reception in self._waiting if isinstance(reception, Reception)])
        answers = []
        for context_id, reception in self._waiting:
            answer = reception.finish()
            response = encode_response(reception.command, answer.status, answer.comment)
            answers.append(pdata(context_id, response, self._max_pdu_bytes))
        self._waiting.clear()
        return b"".join(answers)

    def abandon(self) -> None:
        """Drop what has not been answered: the association has ended."""
        self._pieces.clear()
        unanswered = [reception for _, reception in self._waiting]
        self._waiting.clear()
        if self._reception is not None:
            unanswered.append(self._reception)
            self._reception = None
        for reception in unanswered:
            reception.abandon()
        self._handler.end()

    def report(self) -> bytes:
        """Return the PDUs of a report that is due, nothing within a message of the peer's."""
        if self.is_inside or self._waiting:
            return b""
        return self._handler.report(self._max_pdu_bytes)

    def _take_command(self, fragment: memoryview, *, is_last: bool) -> None:
        if self._reception is not None or self._skipping:
            raise ProtocolError("a command within a data set")
        if len(self._command) + len(fragment) > MAX_COMMAND_BYTES:
            raise ProtocolError("an endless command set")
        self._command += fragment
        if not is_last:
            return
        command = parse_command(bytes(self._command))
        self._command.clear()
        if command.is_response or command.operation == Operation.C_CANCEL:
            self._skipping = command.has_data_set
            if command.is_response:
                self._handler.take_response(command)
            return
        self._reception = self._handler.begin(self._context_id, command)
        if not command.has_data_set:
            self._close()

    def _take_data(self, fragment: memoryview, *, is_last: bool) -> None:
        if self._skipping:
            self._skipping = not is_last
            return
        if self._reception is None:
            raise ProtocolError("a data set without a command")
        self._pieces.append(fragment)
        if is_last:
            self.write_out()
            self._close()

    def _close(self) -> None:
        assert self._reception is not None
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append((self._context_id, self._reception))
        self._reception = None


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
        self._inlet: Inlet | None = None
        self._parser: PDataParser | None = None
        self._buffer = memoryview(b"")
        self._held = 0
        self._pdus_seen = 0
        self._pdu_deadline = 0.0
        self._is_lingering = True

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
            if self._inlet is not None:
                # What reads and sends from now on waits.
                self._inlet = None
                self.socket.socket.settimeout(self._pdu_timeout_s)
            return bool(super()._is_transport_event())
        has_read = False
        while self.event_queue.empty() and self.to_provider_queue.empty() and not self._kill_thread:
            try:
                if not self._receive():
                    break
            except OSError:
                self.event_queue.put(CONNECTION_CLOSED)
            except ProtocolError as error:
                _log.warning(
                    "A peer broke the protocol; the association is aborted.",
                    extra={"association": self.assoc.association_id, "reason": error.comment},
                )
                self.assoc.abort_reason = error.comment
                self.event_queue.put(INVALID_PDU)
            has_read = True
        return has_read

    def _receive(self) -> bool:
        """Take what has come, answer what is whole; return whether anything came."""
        if self._inlet is None:
            self._open_inlet()
        assert self._inlet is not None
        count = self._inlet.read_into(self._buffer[self._held :])
        if count:
            self._busy(self._take, self._held + count)
            self._require_progress()
            return True
        if count == 0:
            raise ConnectionError
        assert self.messages is not None
        if self.messages.waiting and not self._comes_soon():
            self._busy(self._settle)
        elif not self._inlet.wait(_POLL_S):
            self._require_progress()
            self._report()
            return False
        return True

    def _open_inlet(self) -> None:
        assert self.messages is not None
        self._inlet = Inlet(self.socket.socket)
        self._pdu_deadline = time.monotonic() + self._pdu_timeout_s
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._parser = PDataParser(self._take_value, max_pdu_bytes=self._limit)

    def _comes_soon(self) -> bool:
        """Tell whether more comes within a moment, where the peer may send more."""
        assert self.messages is not None
        assert self._inlet is not None
        if not self._is_lingering or self.messages.is_window_full or self.messages.waited_s > _MAX_LINGER_S:
            return False
        return self._inlet.wait(_LINGER_S)

    def _take(self, end: int) -> None:
        """Take the first `end` bytes of the buffer."""
        assert self._parser is not None
        assert self.messages is not None
        done = self._parser.feed(self._buffer[:end])
        self.messages.write_out()
        if self.messages.waiting and self.messages.waited_s > _MAX_HELD_S:
            self._settle()
        rest = end - done
        if rest and not self._parser.is_inside and self._buffer[done] != _P_DATA:
            done += self._take_other(self._buffer[done:end])
            rest = end - done
        if rest and done:
            self._buffer[:rest] = bytes(self._buffer[done:end])
        self._held = rest

    def _take_value(self, context_id: int, control: int, fragment: memoryview, is_end: bool) -> None:
        assert self.messages is not None
        self.messages.take(context_id, control, fragment, is_end=is_end)
        if self.messages.is_window_full:
            self._settle()

    def _settle(self) -> None:
        assert self.messages is not None
        assert self._inlet is not None
        self._is_lingering = self.messages.waiting > 1 or self.messages.is_window_full
        self._inlet.send(self.messages.settle(), timeout_s=self._pdu_timeout_s)

    def _busy(self, act: Callable[..., None], *arguments: int) -> None:
        """Do something of our own, for whose time the peer is not to blame."""
        began = time.monotonic()
        self.is_busy = True
        try:
            act(*arguments)
        finally:
            self._pdu_deadline += time.monotonic() - began
            self._idle_timer.restart()
            self.is_busy = False

    def _take_other(self, view: memoryview) -> int:
        """Take a PDU that is no P-DATA-TF, if it is whole; return how many bytes are done with."""
        if len(view) < _HEADER_BYTES:
            return 0
        pdu_type, _, length = _HEADER.unpack_from(view)
        if length > _SHORT_PDUS.get(pdu_type, -1):
            self.event_queue.put(INVALID_PDU)
            return len(view)
        if len(view) < _HEADER_BYTES + length:
            return 0
        if pdu_type == _RELEASE_REQUEST and self.messages is not None and self.messages.waiting:
            self._settle()
        self._decode(bytearray(view[: _HEADER_BYTES + length]))
        return int(_HEADER_BYTES + length)

    def _require_progress(self) -> None:
        """Give each PDU a bounded time.

        Raises
        ------
        TimeoutError
            If one takes too long.
        """
        assert self._parser is not None
        if self._parser.pdus != self._pdus_seen or not (self._parser.is_inside or self._held):
            self._pdus_seen = self._parser.pdus
            self._pdu_deadline = time.monotonic() + self._pdu_timeout_s
        elif time.monotonic() > self._pdu_deadline:
            raise TimeoutError

    def _report(self) -> None:
        """Send a commitment report that is due, while the peer is silent."""
        assert self.messages is not None
        assert self._inlet is not None
        pdus = self.messages.report()
        if pdus:
            self._inlet.send(pdus, timeout_s=self._pdu_timeout_s)

    def _read_pdu_data(self) -> None:
        """Read one PDU outside of an established association, of bounded length and within a bounded time."""
        deadline = time.monotonic() + self._pdu_timeout_s
        header = bytearray(_HEADER_BYTES)
        if not self._read_into(memoryview(header), deadline):
            self.event_queue.put(CONNECTION_CLOSED)
            return
        self.has_received = True
        pdu_type, _, length = _HEADER.unpack(header)
        limit = self._limit if pdu_type == _P_DATA else _PDU_LIMITS.get(pdu_type, -1)
        if length > limit:
            self.event_queue.put(INVALID_PDU)
            return
        body = bytearray(length)
        if not self._read_into(memoryview(body), deadline):
            self.event_queue.put(CONNECTION_CLOSED)
            return
        self._decode(header + body)

    def _decode(self, pdu: bytearray) -> None:
        try:
            decoded, event = self._decode_pdu(pdu)
        except Exception:  # noqa: BLE001 - any garbage may follow a good header
            self.event_queue.put(INVALID_PDU)
            return
        self._recv_pdu.put(decoded)
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
