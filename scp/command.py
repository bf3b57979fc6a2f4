"""DIMSE command sets as they are on the wire: read with tolerance, written exactly.

A command is implicit VR little endian (PS3.7 §6.3.1). UIDs that are malformed or missing are for the caller to
answer: they are no reason to drop an association with everything that waits behind them.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from scp.errors import ProtocolError
from scp.status import COMMENT_LENGTH

__all__ = [
    "MAX_COMMAND_BYTES",
    "Command",
    "Operation",
    "encode_event_report",
    "encode_response",
    "parse_command",
    "pdata",
]

MAX_COMMAND_BYTES = 64 * 1024
"""Longest command set that is read; real ones have some 200 bytes."""

_NO_DATA_SET = 0x0101
_DATA_SET = 0x0001
_RESPONSE = 0x8000
_MAX_UID_BYTES = 66

_SOP_CLASS, _FIELD, _MESSAGE_ID = 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _COMMENT = 0x0120, 0x0800, 0x0900, 0x0902
_REQUESTED_SOP_CLASS, _SOP_INSTANCE, _REQUESTED_SOP_INSTANCE = 0x0003, 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008


class Operation(IntEnum):
    """Command Field (0000,0100) of the requests that are told apart."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A request or a response from the peer; the UIDs are as it sent them."""

    operation: int
    message_id: int
    """Message ID (0000,0110) of a request; of a response, the one that it answers (0000,0120)."""
    has_data_set: bool
    sop_class: bytes
    identified_sop_instance: bytes = field(repr=False)
    status: int | None = None
    action_type: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether the peer answers something, asked or not."""
        return bool(self.operation & _RESPONSE)


def parse_command(data: bytes) -> Command:
    """Read a command set.

    Raises
    ------
    ProtocolError
        If it is no command set, or does not say what is asked or whether a data set follows.
    """
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ProtocolError("the command set is cut off")
        group, number, length = struct.unpack_from("<HHI", data, position)
        position += 8
        if group != 0 or position + length > len(data):
            raise ProtocolError("the command set is malformed")
        elements[number] = data[position : position + length]
        position += length
    operation = _number(elements, _FIELD)
    data_set_type = _number(elements, _DATA_SET_TYPE)
    if operation is None or data_set_type is None:
        raise ProtocolError("the command set is incomplete")
    sop_instance = elements.get(_SOP_INSTANCE, elements.get(_REQUESTED_SOP_INSTANCE, b""))
    return Command(
        operation=operation,
        message_id=_number(elements, _RESPONDED_TO if operation & _RESPONSE else _MESSAGE_ID) or 0,
        has_data_set=data_set_type != _NO_DATA_SET,
        sop_class=elements.get(_SOP_CLASS, elements.get(_REQUESTED_SOP_CLASS, b"")),
        identified_sop_instance=sop_instance,
        status=_number(elements, _STATUS),
        action_type=_number(elements, _ACTION_TYPE),
    )


def _number(elements: dict[int, bytes], number: int) -> int | None:
    value = elements.get(number, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None  # noqa: PLR2004 - VR US


def encode_response(command: Command, status: int, comment: str = "") -> bytes:
    """Return the command set that answers a request.

    Parameters
    ----------
    command
        The request; its UIDs are given back as they came, unless they cannot be UIDs at all.
    status
        The status.
    comment
        The Error Comment, cut to what its VR allows.
    """
    elements = b"".join(
        (
            _uid(_SOP_CLASS, command.sop_class),
            _us(_FIELD, command.operation | _RESPONSE),
            _us(_RESPONDED_TO, command.message_id),
            _us(_DATA_SET_TYPE, _NO_DATA_SET),
            _us(_STATUS, status),
            _text(_COMMENT, comment[:COMMENT_LENGTH]),
            _uid(_SOP_INSTANCE, command.identified_sop_instance),
            _us(_ACTION_TYPE, command.action_type or 0) if command.operation == Operation.N_ACTION else b"",
        )
    )
    return _command_set(elements)


def encode_event_report(sop_class: str, sop_instance: str, *, message_id: int, event_type: int) -> bytes:
    """Return the command set of an N-EVENT-REPORT request, whose data set follows (PS3.7 §10.3.1)."""
    return _command_set(
        b"".join(
            (
                _uid(_SOP_CLASS, sop_class.encode("ascii")),
                _us(_FIELD, Operation.N_EVENT_REPORT),
                _us(_MESSAGE_ID, message_id),
                _us(_DATA_SET_TYPE, _DATA_SET),
                _uid(_SOP_INSTANCE, sop_instance.encode("ascii")),
                _us(_EVENT_TYPE, event_type),
            )
        )
    )


def _command_set(elements: bytes) -> bytes:
    return struct.pack("<HHII", 0, 0, 4, len(elements)) + elements


def _us(number: int, value: int) -> bytes:
    return struct.pack("<HHIH", 0, number, 2, value)


def _uid(number: int, value: bytes) -> bytes:
    if not 0 < len(value) <= _MAX_UID_BYTES:
        return b""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def _text(number: int, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if not value:
        return b""
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def pdata(context_id: int, message: bytes, max_pdu_bytes: int, *, is_data: bool = False) -> bytes:
    """Return the P-DATA-TF PDUs that carry a command set or a data set (PS3.8 §9.3.5, Annex E).

    Parameters
    ----------
    context_id
        The presentation context.
    message
        The encoded command set or data set.
    max_pdu_bytes
        The longest variable field that the peer takes; 0 means any.
    is_data
        Whether it is a data set.
    """
    room = max(max_pdu_bytes - 6, 16) if max_pdu_bytes else len(message)
    pieces = [message[start : start + room] for start in range(0, len(message), room)]
    pdus = bytearray()
    for index, piece in enumerate(pieces):
        control = (0x02 if index == len(pieces) - 1 else 0x00) | (0x00 if is_data else 0x01)
        header = struct.pack(">BBIIBB", 0x04, 0, len(piece) + 6, len(piece) + 2, context_id, control)
        pdus += header + piece
    return bytes(pdus)
