"""The bounded parser: three UIDs from the beginning of a data set, and nothing else.

It reads no value but SOP Class (0008,0016), SOP Instance (0008,0018) and Study Instance UID (0020,000D), follows no
length out of the bytes it is given, and decodes no text.
"""

import struct
import zlib
from dataclasses import dataclass, field

from scp.contexts import is_uid
from scp.errors import CannotUnderstandError

__all__ = ["HEAD_LIMITS", "DataSetIdentity", "HeadTooShortError", "read_identity"]

HEAD_LIMITS = (64 * 1024, 4 * 1024 * 1024)
"""Bytes looked at, first and at most.

The first 64 kB hold the three UIDs of nearly every object. A segmentation that refers to 500 slices has more than
that before its Study Instance UID; it is well formed and must not be refused, hence the second look.
"""

_SOP_CLASS, _SOP_INSTANCE, _STUDY = 0x00080016, 0x00080018, 0x0020000D
_FIRST = 0x00030000
_WANTED = frozenset({_SOP_CLASS, _SOP_INSTANCE, _STUDY})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_HEADER_BYTES = 8
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT_VRS = frozenset(
    text.encode()
    for text in [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
_MAX_DEPTH = 32
_MAX_ELEMENTS = 100_000
_SHORTEST_UID_BYTES = 256

_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"


class HeadTooShortError(Exception):
    """The bytes end before the parser could tell; more of them may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetIdentity:
    """The three UIDs of a data set."""

    sop_class_uid: str
    identified_sop_instance_uid: str = field(repr=False)
    identified_study_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Encoding:
    is_explicit: bool
    order: str = "<"


_EXPLICIT_LITTLE = _Encoding(is_explicit=True)
_IMPLICIT_LITTLE = _Encoding(is_explicit=False)
_EXPLICIT_BIG = _Encoding(is_explicit=True, order=">")


def read_identity(head: bytes | bytearray, transfer_syntax: str, *, is_whole: bool) -> DataSetIdentity:
    """Read the three UIDs from the first bytes of a data set.

    Where the negotiated transfer syntax does not fit the bytes, the other encodings are tried: such an object is
    stored as it came and is for the pipeline to judge, because one failure makes many a sender give up its job.

    Parameters
    ----------
    head
        The first bytes of the encoded data set.
    transfer_syntax
        The negotiated transfer syntax UID; unknown ones are tried as explicit, then implicit little endian.
    is_whole
        Whether `head` is the whole data set.

    Raises
    ------
    HeadTooShortError
        If the UIDs may stand behind `head`.
    CannotUnderstandError
        If a UID is missing or malformed, or the bytes are no data set.
    """
    data = bytes(head)
    if transfer_syntax == _DEFLATED:
        data, is_whole = _inflate(data, is_whole=is_whole)
    if not data and is_whole:
        raise CannotUnderstandError("The data set is empty; export the object again", reason="empty-data-set")
    failure: Exception | None = None
    for encoding in _candidates(transfer_syntax):
        try:
            found = _Walk(data, encoding, is_whole=is_whole).run()
            return _identity(found)
        except (CannotUnderstandError, HeadTooShortError) as error:
            # What the negotiated encoding says counts; the others only get a chance to do better.
            failure = failure or error
    assert failure is not None
    raise failure


def _candidates(transfer_syntax: str) -> tuple[_Encoding, ...]:
    if transfer_syntax == _IMPLICIT:
        return _IMPLICIT_LITTLE, _EXPLICIT_LITTLE
    if transfer_syntax == _BIG_ENDIAN:
        return _EXPLICIT_BIG, _EXPLICIT_LITTLE, _IMPLICIT_LITTLE
    return _EXPLICIT_LITTLE, _IMPLICIT_LITTLE


def _inflate(data: bytes, *, is_whole: bool) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, HEAD_LIMITS[-1])
    except zlib.error:
        raise CannotUnderstandError(
            "The deflated data set cannot be inflated; send it again", reason="bad-deflate"
        ) from None
    return inflated, is_whole and inflater.eof and not inflater.unconsumed_tail


def _identity(found: dict[int, bytes]) -> DataSetIdentity:
    texts = {}
    for tag, name in ((_SOP_CLASS, "SOP Class"), (_SOP_INSTANCE, "SOP Instance"), (_STUDY, "Study Instance")):
        text = found.get(tag, b"").decode("latin-1").strip(" \0")
        code = name.lower().replace(" ", "-")
        if not text:
            raise CannotUnderstandError(
                f"The data set has no {name} UID; export it again", reason=f"missing-{code}-uid"
            )
        if not is_uid(text):
            raise CannotUnderstandError(f"The {name} UID of the data set is malformed", reason=f"malformed-{code}-uid")
        texts[tag] = text
    return DataSetIdentity(
        sop_class_uid=texts[_SOP_CLASS],
        identified_sop_instance_uid=texts[_SOP_INSTANCE],
        identified_study_uid=texts[_STUDY],
    )


def _malformed() -> CannotUnderstandError:
    return CannotUnderstandError("The data set cannot be parsed; export the object again", reason="unparsable")


class _Walk:
    """One pass over the elements of a data set in one encoding."""

    def __init__(self, data: bytes, encoding: _Encoding, *, is_whole: bool) -> None:
        self._data = data
        self._is_explicit = encoding.is_explicit
        self._unpack = struct.Struct(encoding.order + "HH2sH").unpack_from
        self._unpack_long = struct.Struct(encoding.order + "I").unpack_from
        self._is_whole = is_whole
        self._position = 0
        self._elements = 0

    def run(self) -> dict[int, bytes]:
        """Return the values of the wanted elements up to Study Instance UID."""
        found: dict[int, bytes] = {}
        while len(found) < len(_WANTED):
            if self._position == len(self._data) and self._is_whole:
                break
            if self._is_explicit:
                self._pass_short()
            tag, length = self._header(is_explicit=self._is_explicit)
            if not _FIRST <= tag < _ITEM:
                # Group 0002 means a whole file was sent, group 0000 zeros; neither is a data set. Odd groups below
                # 0008, which PS3.5 §7.1 forbids, are passed by.
                raise _malformed()
            if tag > _STUDY:
                break
            if length == _UNDEFINED:
                self._skip_sequence(depth=0, is_explicit=self._is_explicit)
            elif tag in _WANTED:
                if length > _SHORTEST_UID_BYTES:
                    raise _malformed()
                found[tag] = self._take(length)
            else:
                self._skip(length)
        return found

    def _take(self, count: int) -> bytes:
        start = self._position
        self._skip(count)
        return self._data[start : self._position]

    def _skip(self, count: int) -> None:
        end = self._position + count
        if end > len(self._data):
            if self._is_whole:
                raise CannotUnderstandError(
                    "The data set is cut off before its UIDs; send it again", reason="truncated"
                )
            raise HeadTooShortError
        self._position = end

    def _pass_short(self) -> None:
        """Pass by plain elements that nobody asks for: most of them, so in one loop."""
        data, unpack, position, end = self._data, self._unpack, self._position, len(self._data)
        while position + _HEADER_BYTES <= end:
            group, element, vr, length = unpack(data, position)
            tag = group << 16 | element
            if vr not in _SHORT_VRS or tag in _WANTED or not _FIRST <= tag < _STUDY:
                break
            following = position + _HEADER_BYTES + length
            if following > end:
                break
            position = following
        self._position = position

    def _header(self, *, is_explicit: bool) -> tuple[int, int]:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _malformed()
        data, start = self._data, self._position
        self._skip(_HEADER_BYTES)
        group, element, vr, length = self._unpack(data, start)
        tag = group << 16 | element
        if not is_explicit or group == 0xFFFE:  # noqa: PLR2004 - the delimitation group
            return tag, self._unpack_long(data, start + 4)[0]
        if vr in _LONG_VRS:
            self._skip(4)
            (length,) = self._unpack_long(data, start + _HEADER_BYTES)
            if length == _UNDEFINED and vr == b"UN":
                # PS3.5 §6.2.2: what is inside is implicit VR little endian.
                self._skip_sequence(depth=0, is_explicit=False)
                length = 0
        elif vr not in _SHORT_VRS and not (vr.isalpha() and vr.isupper()):
            raise _malformed()
        return tag, length

    def _skip_sequence(self, *, depth: int, is_explicit: bool) -> None:
        if depth > _MAX_DEPTH:
            raise _malformed()
        while True:
            tag, length = self._header(is_explicit=is_explicit)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise _malformed()
            if length != _UNDEFINED:
                self._skip(length)
                continue
            self._skip_item(depth=depth, is_explicit=is_explicit)

    def _skip_item(self, *, depth: int, is_explicit: bool) -> None:
        while True:
            tag, length = self._header(is_explicit=is_explicit)
            if tag == _ITEM_END:
                return
            if length == _UNDEFINED:
                self._skip_sequence(depth=depth + 1, is_explicit=is_explicit)
            else:
                self._skip(length)
