"""The data sets of storage commitment: what is asked for (Action Information) and what is answered (Event Information).

References
----------
PS3.4 §J.3.2 and §J.3.3; PS3.3 §C.14 for the failure reasons.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from scp.contexts import is_uid

__all__ = [
    "MAX_ACTION_BYTES",
    "MAX_REFERENCES",
    "FailedReference",
    "FailureReason",
    "MalformedActionError",
    "Reference",
    "TooManyReferencesError",
    "encode_event",
    "read_action",
]

MAX_ACTION_BYTES = 8 * 1024 * 1024
"""Longest Action Information that is read: a study of 5,000 images has about one tenth of it."""
MAX_REFERENCES = 20_000

_IMPLICIT = "1.2.840.10008.1.2"
_TRANSACTION = 0x00081195
_FAILED_SEQUENCE, _REFERENCED_SEQUENCE = 0x00081198, 0x00081199
_SOP_CLASS, _SOP_INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UIDS = frozenset({_TRANSACTION, _SOP_CLASS, _SOP_INSTANCE})
_MAX_UID_BYTES = 66
_MAX_DEPTH = 16


class MalformedActionError(Exception):
    """The Action Information cannot be read, or lacks what it has to hold."""


class TooManyReferencesError(Exception):
    """More instances are named than are taken at once."""


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance that is not committed."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    DUPLICATE_TRANSACTION_UID = 0x0131


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An instance that a commitment is about, as the requester names it."""

    sop_class_uid: str
    identified_sop_instance_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReference:
    """An instance that is not committed, and why."""

    reference: Reference
    reason: FailureReason


def read_action(data: bytes, transfer_syntax: str) -> tuple[str, tuple[Reference, ...]]:
    """Read Transaction UID (0008,1195) and Referenced SOP Sequence (0008,1199); an instance named twice counts once.

    Parameters
    ----------
    data
        The encoded Action Information, at most `MAX_ACTION_BYTES`.
    transfer_syntax
        Implicit or explicit VR little endian.

    Raises
    ------
    MalformedActionError
        If the data set cannot be parsed, or a UID is missing or malformed.
    TooManyReferencesError
        If it names more than `MAX_REFERENCES` instances.
    """
    try:
        transaction, references = _Reader(data, is_explicit=transfer_syntax != _IMPLICIT).action()
    except (struct.error, IndexError):
        raise MalformedActionError("cut off") from None
    if len(references) > MAX_REFERENCES:
        raise TooManyReferencesError("too many references")
    if not is_uid(transaction) or not references:
        raise MalformedActionError("no transaction, or no instances")
    if not all(is_uid(one.sop_class_uid) and is_uid(one.identified_sop_instance_uid) for one in references):
        raise MalformedActionError("a malformed reference")
    return transaction, tuple(dict.fromkeys(references))


class _Reader:
    """One pass over an Action Information; it follows no length out of its bytes and keeps nothing but UIDs."""

    def __init__(self, data: bytes, *, is_explicit: bool) -> None:
        self._data = data
        self._is_explicit = is_explicit
        self._position = 0

    def action(self) -> tuple[str, list[Reference]]:
        """Return the transaction's UID and the instances; an empty text and none where they are missing."""
        found, references = self._data_set(len(self._data), depth=0)
        return found.get(_TRANSACTION, ""), references

    def _data_set(self, end: int | None, *, depth: int) -> tuple[dict[int, str], list[Reference]]:
        """Read elements up to `end`, or up to the end of an item of undefined length."""
        if depth > _MAX_DEPTH:
            raise MalformedActionError("nested too deeply")
        found: dict[int, str] = {}
        references: list[Reference] = []
        while end is None or self._position < end:
            tag, vr, length = self._header()
            if tag == _ITEM_END and end is None:
                return found, references
            if tag >> 16 == 0xFFFE:  # noqa: PLR2004 - the delimitation group
                raise MalformedActionError("an item outside of a sequence")
            if tag == _REFERENCED_SEQUENCE and depth == 0:
                references += self._sequence(length, depth=depth)
            elif length == _UNDEFINED:
                # PS3.5 §6.2.2: what is inside of UN is implicit VR.
                self._within_un(depth) if vr == b"UN" else self._sequence(length, depth=depth)
            elif tag in _UIDS:
                if length > _MAX_UID_BYTES:
                    raise MalformedActionError("an overlong UID")
                found[tag] = self._take(length).decode("latin-1").strip(" \0")
            else:
                self._take(length)
        if self._position != end:
            raise MalformedActionError("an element beyond its item")
        return found, references

    def _within_un(self, depth: int) -> None:
        outside, self._is_explicit = self._is_explicit, False
        self._sequence(_UNDEFINED, depth=depth)
        self._is_explicit = outside

    def _sequence(self, length: int, *, depth: int) -> list[Reference]:
        end = None if length == _UNDEFINED else self._position + length
        references: list[Reference] = []
        while end is None or self._position < end:
            tag, _, item_length = self._header()
            if tag == _SEQUENCE_END and end is None:
                return references
            if tag != _ITEM:
                raise MalformedActionError("something else than an item in a sequence")
            item_end = None if item_length == _UNDEFINED else self._position + item_length
            if item_end is not None and item_end > (len(self._data) if end is None else end):
                raise MalformedActionError("an item beyond its sequence")
            found, _ = self._data_set(item_end, depth=depth + 1)
            references.append(
                Reference(
                    sop_class_uid=found.get(_SOP_CLASS, ""), identified_sop_instance_uid=found.get(_SOP_INSTANCE, "")
                )
            )
        return references

    def _header(self) -> tuple[int, bytes, int]:
        group, number = struct.unpack("<HH", self._take(4))
        tag = group << 16 | number
        if not self._is_explicit or group == 0xFFFE:  # noqa: PLR2004 - the delimitation group
            return tag, b"", self._number("<I", 4)
        vr = self._take(2)
        if vr in _LONG_VRS:
            self._take(2)
            return tag, vr, self._number("<I", 4)
        if not (vr.isalpha() and vr.isupper()):
            raise MalformedActionError("no VR where one has to be")
        return tag, vr, self._number("<H", 2)

    def _number(self, form: str, size: int) -> int:
        (number,) = struct.unpack(form, self._take(size))
        return int(number)

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise MalformedActionError("cut off")
        taken = self._data[self._position : end]
        self._position = end
        return taken


def encode_event(
    transaction_uid: str,
    succeeded: tuple[Reference, ...],
    failed: tuple[FailedReference, ...],
    *,
    transfer_syntax: str,
) -> bytes:
    """Return the Event Information of a report; a sequence without items is left out.

    Parameters
    ----------
    transaction_uid
        The UID of the request.
    succeeded, failed
        The instances that are committed, and those that are not.
    transfer_syntax
        Implicit or explicit VR little endian.
    """
    write = _Writer(is_explicit=transfer_syntax != _IMPLICIT)
    parts = [write.uid(_TRANSACTION, transaction_uid)]
    if failed:
        items = (write.reference(one.reference) + write.number(_REASON, one.reason) for one in failed)
        parts.append(write.sequence(_FAILED_SEQUENCE, items))
    if succeeded:
        parts.append(write.sequence(_REFERENCED_SEQUENCE, (write.reference(one) for one in succeeded)))
    return b"".join(parts)


class _Writer:
    """Encodes the few elements of an Event Information."""

    def __init__(self, *, is_explicit: bool) -> None:
        self._is_explicit = is_explicit

    def uid(self, tag: int, uid: str) -> bytes:
        value = uid.encode("ascii")
        return self._element(tag, b"UI", value + b"\0" * (len(value) % 2))

    def number(self, tag: int, value: int) -> bytes:
        return self._element(tag, b"US", struct.pack("<H", value))

    def reference(self, reference: Reference) -> bytes:
        return self.uid(_SOP_CLASS, reference.sop_class_uid) + self.uid(
            _SOP_INSTANCE, reference.identified_sop_instance_uid
        )

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        return self._element(
            tag, b"SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        )

    def _element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        number = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self._is_explicit:
            return number + struct.pack("<I", len(value)) + value
        if vr in _LONG_VRS:
            return number + struct.pack("<2sHI", vr, 0, len(value)) + value
        return number + struct.pack("<2sH", vr, len(value)) + value
