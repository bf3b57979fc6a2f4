"""Dates, numbers and names as people and devices spell them: what the last search understands of a text."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import suppress

__all__ = ["bytes_of", "days_in", "joined_words", "numbers_in"]

_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})\s?([./\- _])\s?(\d{1,2})\s?\2\s?(\d{4})(?!\d)", re.ASCII)
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})\s?([./\- _])\s?(\d{1,2})\s?\2\s?(\d{1,2})(?!\d)", re.ASCII)
_DAY_MONTH = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.)?\s?(?:of |de )?([a-z]{3,10})\.?,?\s?(?:de )?(\d{4})(?!\d)"
)
_MONTH_DAY = re.compile(r"(?<![a-z])([a-z]{3,10})\.?\s?(\d{1,2})(?:st|nd|rd|th)?,?\s(\d{4})(?!\d)")
_PLAIN = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)", re.ASCII)
_MONTHS = {
    **dict.fromkeys(("jan", "ene", "gen", "jän"), 1),
    **dict.fromkeys(("feb", "fev", "fév", "fevr"), 2),
    **dict.fromkeys(("mar", "mär", "mae", "maa", "mrz", "mrt"), 3),
    **dict.fromkeys(("apr", "avr", "abr"), 4),
    **dict.fromkeys(("may", "mai", "mag", "mei", "maj"), 5),
    **dict.fromkeys(("jun", "giu", "juin"), 6),
    **dict.fromkeys(("jul", "lug", "juil"), 7),
    **dict.fromkeys(("aug", "aou", "ago"), 8),
    **dict.fromkeys(("sep", "set"), 9),
    **dict.fromkeys(("oct", "okt", "ott", "out"), 10),
    **dict.fromkeys(("nov",), 11),
    **dict.fromkeys(("dec", "dez", "dic", "déc"), 12),
}
"""The first letters of the months in the languages of the patterns, folded."""
_GROUPED = re.compile(r"(?<![\w.])\+?\(?\d[\d\s()/.\-]{4,30}\d(?!\w)", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_SHORTEST_NUMBER = 6
_SHORTEST_JOINED = 6
_MOST_JOINED = 12
_CODECS = (
    "utf-8",
    "latin-1",
    "euc_kr",
    "iso2022_kr",
    "euc_jp",
    "iso2022_jp",
    "shift_jis",
    "gb18030",
    "big5",
    "utf-16-le",
)
_ESCAPES = re.compile(rb"\x1b[$(][()]?[A-Z@]|[\x0e\x0f]")
_SHORTEST_BYTES = 4
"""Of a word in other than Latin letters: two ideographs."""


def bytes_of(word: str) -> Iterator[bytes]:
    """Yield a word in the encodings that a careless writer may have used; none for one of plain ASCII."""
    if word.isascii():
        return
    for codec in _CODECS:
        with suppress(UnicodeEncodeError):
            encoded = word.encode(codec)
            if len(encoded) >= _SHORTEST_BYTES:
                # The escape sequences around the characters may differ.
                yield _ESCAPES.sub(b"", encoded)


def days_in(plain: str) -> set[str]:
    """Return YYYYMMDD of every date in a folded text whose year has four digits, in whatever order it is meant."""
    found: set[str] = set()
    for match in _PLAIN.finditer(plain):
        found.add(match.group())
    for match in _YEAR_LAST.finditer(plain):
        one, _, other, year = match.groups()
        found |= _day(year, other, one) | _day(year, one, other)
    for match in _YEAR_FIRST.finditer(plain):
        year, _, month, day = match.groups()
        found |= _day(year, month, day)
    for match in _DAY_MONTH.finditer(plain):
        day, month, year = match.groups()
        found |= _day(year, _month(month), day)
    for match in _MONTH_DAY.finditer(plain):
        month, day, year = match.groups()
        found |= _day(year, _month(month), day)
    return found


def _month(name: str) -> str:
    return str(_MONTHS.get(name[:4]) or _MONTHS.get(name[:3]) or 0)


def _day(year: str, month: str, day: str) -> set[str]:
    with suppress(ValueError):
        return {dt.date(int(year), int(month), int(day)).strftime("%Y%m%d").zfill(8)}
    return set()


def numbers_in(plain: str) -> set[str]:
    """Return the numbers of six digits and more in a text, also where they are written in groups; no leading zeros."""
    found = {match.group().lstrip("0") for match in _DIGITS.finditer(plain)}
    found |= {re.sub(r"\D", "", match.group()).lstrip("0") for match in _GROUPED.finditer(plain)}
    return {number for number in found if len(number) >= _SHORTEST_NUMBER}


def joined_words(words: list[str]) -> Iterator[str]:
    """Yield what neighbouring words say when nothing stands between them: "grun-walder", "s m i t h"."""
    for first in range(len(words) - 1):
        joined = words[first]
        for word in words[first + 1 : first + _MOST_JOINED]:
            joined += word
            if len(joined) >= _SHORTEST_JOINED:
                yield joined
