"""Specific Character Set (0008,0005): decoding what is to be judged, encoding what is left."""

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Charset:
    """The character sets in force for one item. ``is_known`` is false for terms that the Standard does not define.

    Two are the same only if they are one object: they are keys of what is remembered, and there are few of them.
    """

    encodings: tuple[str, ...]
    is_known: bool = True

    def decode(self, value: bytes) -> str:
        """Return the text; bytes that do not belong become the replacement character."""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        if not self.is_known:
            return value.decode("ascii", "replace")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return decode_bytes(value, list(self.encodings), set())
            except (LookupError, ValueError):
                return value.decode(self.encodings[0], "replace")

    def encode(self, text: str) -> bytes:
        """Return the bytes; characters that the character sets do not have are left out."""
        if text.isascii():
            return text.encode("ascii")
        if not self.is_known:
            return text.encode("ascii", "ignore")
        if len(self.encodings) == 1:
            return text.encode(self.encodings[0], "ignore")
        return b"".join(self._extended(part) for part in _DELIMITERS.split(text))

    def _extended(self, text: str) -> bytes:
        """Return text without delimiters, which end a code extension (PS3.5 §6.1.2.5.3), with its escape sequences.

        Only alphabets of one byte: the words that may stay need no others.
        """
        first, *others = [name if name.startswith(("latin", "iso8859_")) else "ascii" for name in self.encodings]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                return encode_string(text, [first, *(name for name in others if name != "ascii")])
            except (UserWarning, ValueError):
                return text.encode("ascii", "ignore")


_DELIMITERS = re.compile(r"([\\\r\n\f\t])")
_NOT_EXTENDED = frozenset(("ISO_IR 192", "GB18030", "GBK"))

_MISSPELLED = (
    (re.compile(r"ISO[-_ ]?IR[-_ ]?(\d{1,3})", re.IGNORECASE), r"ISO_IR \1"),
    (re.compile(r"ISO[-_ ]?2022[-_ ]?IR[-_ ]?(\d{1,3})", re.IGNORECASE), r"ISO 2022 IR \1"),
    (re.compile(r"UTF[-_ ]?8", re.IGNORECASE), "ISO_IR 192"),
    (re.compile(r"GB[-_ ]?18030", re.IGNORECASE), "GB18030"),
)
"""What writers mean by terms that the Standard does not spell so."""

DEFAULT = Charset(encodings=("iso8859",))


@lru_cache(maxsize=64)
def charset_of(value: bytes) -> Charset:
    """Return the character sets that a value of (0008,0005) names."""
    terms = _terms(value)
    if not any(terms):
        return DEFAULT
    if any(term not in python_encoding for term in terms) or not _may_stand_together(terms):
        return Charset(encodings=("ascii",), is_known=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Charset(encodings=tuple(convert_encodings(terms)))


def _may_stand_together(terms: list[str]) -> bool:
    """Tell whether several terms are a default and its code extensions (PS3.3 C.12.1.1.2)."""
    first, *extensions = terms
    if not extensions:
        return True
    return first not in _NOT_EXTENDED and all(term.startswith("ISO 2022 IR ") for term in extensions)


def _terms(value: bytes) -> list[str]:
    """Return the terms of a value, spelled as the Standard does."""
    return [_spelled(term.strip()) for term in value.decode("latin-1").strip(" \0").split("\\")]


def _spelled(term: str) -> str:
    return next(
        (right for form, meant in _MISSPELLED for right in [form.sub(meant, term)] if form.fullmatch(term)), term
    )


def corrected(value: bytes) -> bytes:
    """Return a value of (0008,0005) as the Standard spells it."""
    return "\\".join(_terms(value)).encode("latin-1")
