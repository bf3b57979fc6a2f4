"""One received instance in the spool: its names, and the file meta that says how it came.

The file meta is built here, never taken from the sender, and holds all that the association knew (PS3.10 §7.1), so
that one file is enough to make its database row again.
"""

import hmac
import json
import re
import struct
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

__all__ = [
    "CREATOR_UID",
    "Arrival",
    "ArrivalFacts",
    "MalformedArrivalError",
    "decode_arrival",
    "encode_file_meta",
    "is_key",
    "keyed_name",
    "new_arrival_id",
]

IMPLEMENTATION_CLASS_UID = "2.25.203446121473364226837193211946209270187"
IMPLEMENTATION_VERSION = "CASEBRIDGE_SCP"
CREATOR_UID = "2.25.73240915786540203988211450921671193522"
"""Private Information Creator UID (0002,0100) of what we say about an arrival."""

_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})\.dcm")
_KEY = re.compile(r"[0-9a-f]{32}")
_PREAMBLE = bytes(128) + b"DICM"
_MAX_META_BYTES = 64 * 1024
_UNSORTED_BITS = 62


class MalformedArrivalError(Exception):
    """A file in the spool is not one that we wrote whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One received instance, as its name and file meta describe it."""

    arrival_id: str
    study_key: str
    sop_key: str
    sop_class_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    received_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalFacts:
    """What is known of an instance before its first byte of data arrives."""

    sop_class_uid: str
    identified_sop_instance_uid: str = field(repr=False)
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str


_last_arrival = 0
_arrival_lock = threading.Lock()


def new_arrival_id() -> str:
    """Return 32 hex digits, unique and sorting by time: a UUID of version 7 (RFC 9562)."""
    global _last_arrival  # noqa: PLW0603 - ids must rise within one process whatever the clock does
    with _arrival_lock:
        # 48 bits of milliseconds and 12 of their fraction.
        moment = max((time.time_ns() << 12) // 1_000_000, _last_arrival + 1)
        _last_arrival = moment
    milliseconds, fraction = moment >> 12, moment & 0xFFF
    random = uuid.uuid4().int & ((1 << _UNSORTED_BITS) - 1)
    return f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random:032x}"


def keyed_name(key: bytes, kind: str, identified_uid: str) -> str:
    """Return the name that stands for a UID in the spool: 32 hex digits of its HMAC-SHA256."""
    message = kind.encode() + b"\0" + identified_uid.encode()
    return hmac.digest(key, message, "sha256").hex()[:32]


def is_key(text: str) -> bool:
    """Tell whether a text is a name of ours, and so safe in a path."""
    return _KEY.fullmatch(text) is not None


def parse_name(name: str) -> tuple[str, str]:
    """Return the keys of the instance and of the arrival in a file name.

    Raises
    ------
    MalformedArrivalError
        If the name is not one of ours.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise MalformedArrivalError("not a name of an arrival")
    return match[1], match[2]


def encode_file_meta(facts: ArrivalFacts, *, arrival_id: str, received_at: datetime) -> bytes:
    """Return preamble, prefix and file meta information of an arrival."""
    note = json.dumps(
        {
            "arrival": arrival_id,
            "association": facts.association_id,
            "peer": facts.peer_address,
            "received_at": received_at.isoformat(),
        },
        separators=(",", ":"),
    ).encode()
    elements = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _uid(0x0002, facts.sop_class_uid),
            _uid(0x0003, facts.identified_sop_instance_uid),
            _uid(0x0010, facts.transfer_syntax_uid),
            _uid(0x0012, IMPLEMENTATION_CLASS_UID),
            _text(0x0013, b"SH", IMPLEMENTATION_VERSION),
            _text(0x0016, b"AE", facts.calling_ae),
            _text(0x0018, b"AE", facts.called_ae),
            _uid(0x0100, CREATOR_UID),
            _element(0x0102, b"OB", note + b" " * (len(note) % 2)),
        )
    )
    return _PREAMBLE + _element(0x0000, b"UL", struct.pack("<I", len(elements))) + elements


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    if vr == b"OB":
        return struct.pack("<HH2sHI", 2, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def _uid(number: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    return _element(number, b"UI", value + b"\0" * (len(value) % 2))


def _text(number: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    return _element(number, vr, value + b" " * (len(value) % 2))


def decode_arrival(file: BinaryIO, *, study_key: str, sop_key: str, arrival_id: str, size_bytes: int) -> Arrival:
    """Read an arrival back from its file, positioned at its start.

    Raises
    ------
    MalformedArrivalError
        If the file is not one that we wrote, or belongs to another name.
    """
    try:
        meta = _decode_file_meta(file)
        note = json.loads(meta[0x0102])
        if note["arrival"] != arrival_id:
            raise MalformedArrivalError("the file belongs to another arrival")
        return Arrival(
            arrival_id=arrival_id,
            study_key=study_key,
            sop_key=sop_key,
            sop_class_uid=meta[0x0002].decode("ascii").rstrip("\0"),
            transfer_syntax_uid=meta[0x0010].decode("ascii").rstrip("\0"),
            calling_ae=meta[0x0016].decode("ascii").strip(),
            called_ae=meta[0x0018].decode("ascii").strip(),
            peer_address=str(note["peer"]),
            association_id=str(note["association"]),
            received_at=datetime.fromisoformat(note["received_at"]).astimezone(UTC),
            size_bytes=size_bytes,
        )
    except (KeyError, TypeError, ValueError, struct.error):
        raise MalformedArrivalError("the file meta is not ours") from None


def _decode_file_meta(file: BinaryIO) -> dict[int, bytes]:
    start = file.read(len(_PREAMBLE) + 12)
    if not start.startswith(_PREAMBLE):
        raise MalformedArrivalError("no preamble of ours")
    group, number, vr, _, length = struct.unpack_from("<HH2sHI", start, len(_PREAMBLE))
    if (group, number, vr) != (2, 0, b"UL") or length > _MAX_META_BYTES:
        raise MalformedArrivalError("no group length of ours")
    data = file.read(length)
    if len(data) != length:
        raise MalformedArrivalError("cut off in the file meta")
    meta, position = {}, 0
    while position < length:
        _, number, vr, size = struct.unpack_from("<HH2sH", data, position)
        position += 8
        if vr == b"OB":
            (size,) = struct.unpack_from("<I", data, position)
            position += 4
        meta[number] = data[position : position + size]
        position += size
    return meta
