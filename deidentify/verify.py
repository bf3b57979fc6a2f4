"""The last check: the written bytes are parsed again and searched for every identifier of the original.

Text is searched as text, word by word, so that a short name is found as a word and not inside another; bytes that are
no text (preamble, file meta, binary values, the comment segments of compressed frames) are searched as bytes for words
of five characters or more, whole values as they were spelled, and UIDs. Words that name nobody (the vocabulary that
descriptions may keep, and the words this engine writes itself) are no evidence: a patient called Head must not hold
every study. Elements whose very bytes were searched before in the case, and which no other date, UID or character set
makes telling, are known by these bytes.
"""

import re
import struct
from functools import cache
from typing import BinaryIO

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.codestream_comments import comments_of, is_known_comment, may_hold_picture
from deidentify.dataset import ENCODINGS, EXPLICIT_LITTLE, PIXEL_TAGS, Element, Encoding, Source, tag_text
from deidentify.dictionary import CHARSET_VRS
from deidentify.errors import InvalidResultError, ResidualIdentifierError, UnreadableInstanceError
from deidentify.identity import CHARSET_TAG, IdentifiedTokens, is_structural
from deidentify.memory import LONGEST, Bounded, CaseMemory
from deidentify.parser import LONGEST_KNOWN, read_instance
from deidentify.search_terms import bytes_of, days_in, joined_words, numbers_in
from deidentify.tables import method_codes
from deidentify.vocabulary import folded, is_known_word, phrase_words, vocabulary, words_of

_LONG = 5
_LONG_NUMBER = re.compile(rb"[0-9]{7}")
_NUMBERS = re.compile(r"\d{4}|\d+(?:\.\d+){3}")
"""What a text with a date or a UID has."""
_UID = re.compile(r"\d+(?:\.\d+){3,}")
_RAW_UID = re.compile(rb"\d+(?:\.\d+){3,}")
_RAW_DATE = re.compile(rb"(?<!\d)\d{8}(?!\d)")
_DOT = re.compile(r"\.")
_SHORTEST_UID = 16
"""Characters of a UID that is somebody's; shorter ones are roots, which many share."""
_SHORTEST_NUMBER = 7
_DATE_DIGITS = 8
_SHORTEST_BYTES = 4
_MOST_NUMBERS = 16
"""Values of an element that may be a record's number or a date; more are a table."""
_MOST_NUMBER = 10**15
_BINARY_NUMBERS = {"UL": ("I", 4), "SL": ("i", 4), "UV": ("Q", 8), "SV": ("q", 8), "FD": ("d", 8)}
_ENCODINGS = ("utf-8", "utf-16-le")
_OWN_WORDS = "anonymous removed unknown casebridge yes no modified remapped basic profile teaching strict about blank"
_DUMMY_WORDS = frozenset(("anonymous", "removed", "unknown", "casebridge"))
"""Of the values that stand in for others: who de-identified a file before wrote such words where names stood."""
_MARKERS = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303))
_PSEUDONYMS = frozenset((0x00100010, 0x00100020))
_PSEUDONYM = re.compile(rb"CB-[A-Z2-7]{8}(?:\^Anonymous)? ?")
_SEARCHED_AS_TEXT = CHARSET_VRS | {"CS", "AE", "UR"}
_NUMERIC_TEXT = frozenset(("DS", "IS", "AS", "TM"))


@cache
def _harmless() -> frozenset[str]:
    """Return the words that are no evidence."""
    written = [meaning for _, meaning in method_codes().values()]
    return vocabulary() | {word for text in (_OWN_WORDS, *written) for word in words_of(text)}


def verify_written(
    target: BinaryIO,
    identified: IdentifiedTokens,
    written_dates: frozenset[str],
    memory: CaseMemory | None = None,
) -> None:
    """Raise unless the written file can be parsed and holds no identifier of the original.

    ``memory`` is that of the case: what was searched in one instance is not searched again in the next.

    Raises
    ------
    ResidualIdentifierError
        Naming the place, never the value.
    InvalidResultError
        If the written bytes are no complete instance.
    """
    search = Search(identified, written_dates, memory)
    try:
        written = read_instance(target, settled=search.settled)
    except UnreadableInstanceError:
        raise InvalidResultError("the written instance cannot be parsed again") from None
    source = Source(target)
    try:
        if any(source.buffer[slice(0, 128)]):
            raise ResidualIdentifierError("the preamble is not empty")
        for element in written.identified_meta:
            search.raw(element.value, f"file meta {tag_text(element.tag)}")
        search.encoding = written.encoding
        foreign = [element for element in written.identified_elements if not _is_ours(element)]
        _search_level(foreign, DEFAULT, source, search)
    finally:
        source.close()


def _search_level(elements: list[Element], charset: Charset, source: Source, search: "Search") -> bool:
    """Search one level; tell whether its bytes need no search in the case's next instance."""
    find, is_settled = search.element, True
    for element in elements:
        settles = True
        if element.tag == CHARSET_TAG:
            charset = charset_of(element.value)
        if element.items is not None:
            for item in element.items:
                settles &= _search_level(item, charset, source, search)
        elif element.span is not None:
            _search_span(element, source, search)
            settles = False
        elif element.value:
            settles = find(element, charset)
        if not settles:
            is_settled = False
        # The character set alone is no less to be seen for having been searched: others are read by it.
        elif element.run is not None and element.tag != CHARSET_TAG:
            search.settle(source.buffer[slice(*element.run)])
    return is_settled


def _is_ours(element: Element) -> bool:
    """Tell whether this engine wrote the whole value by itself: patients are called Pixel and Modified, too."""
    return element.tag in _MARKERS or (element.tag in _PSEUDONYMS and _PSEUDONYM.fullmatch(element.value) is not None)


def _search_span(element: Element, source: Source, search: "Search") -> None:
    assert element.span is not None
    if element.encapsulated and element.tag in PIXEL_TAGS:
        place = f"a comment inside the frames of {tag_text(element.tag)}"
        for comment in comments_of(source.buffer, element.span):
            search.raw(comment, place)
            if not is_known_comment(comment):
                raise ResidualIdentifierError(f"there is text that nobody knows in {place}")
            if may_hold_picture(comment):
                raise ResidualIdentifierError(f"there may be a picture in {place}")
    elif element.tag not in PIXEL_TAGS:
        tail = b""
        for chunk in source.chunks(element.span):
            search.raw(tail + chunk, tag_text(element.tag))
            tail = chunk[-256:]


class Patterns:
    """What names, numbers and places of one original look like in text and in bytes."""

    def __init__(self, identified: IdentifiedTokens) -> None:
        harmless = _harmless()
        telling = {word for word in identified.own_words if word not in harmless}
        long = frozenset(word for word in telling if len(word) >= _LONG)
        self.short = frozenset(telling - long)
        self.known_names = frozenset((identified.own_words & vocabulary()) - _DUMMY_WORDS)
        self.long = _alternation(long)
        self._words = long
        self.numbers = frozenset(number for value in identified.values for number in numbers_in(folded(value)))
        """Of six digits and more, without leading zeros."""
        spellings = {spelling for spelling in identified.spellings if self._is_telling(spelling)}
        for value in identified.values:
            for word in re.split(r"[\^=\\\s,;]+", value):
                if len(word) >= _LONG - 1 or (len(word) > 1 and not folded(word).isascii()):
                    spellings.update(spelling for spelling in bytes_of(word) if folded(word) not in harmless)
        self.raw = _raw_alternation(long, sorted(spellings))
        self.judged: Bounded[tuple[bytes, Charset, bool], tuple[bool, bool]] = Bounded()
        """Value, character set, free text → whether it has an identifier, whether it has long numbers."""
        self.settled: dict[Encoding, Bounded[bytes, None]] = {encoding: Bounded() for encoding in ENCODINGS}
        """Whole elements, as they were written, that name nobody whatever UIDs, dates and character set there are."""

    @staticmethod
    def _is_telling(spelling: bytes) -> bool:
        if len(spelling) < _LONG or spelling.isdigit():
            return False
        words = words_of(spelling.decode("latin-1"))
        return not spelling.isascii() or any(len(word) > 1 and word not in _harmless() for word in words)

    def has_identifier(self, plain: str, *, free: bool) -> bool:
        """Tell whether a folded text names what these are the patterns of."""
        words = words_of(plain)
        if not self.short.isdisjoint(words) or (free and not self.known_names.isdisjoint(words)):
            return True
        if self.numbers and not self.numbers.isdisjoint(numbers_in(plain)):
            return True
        if self.long is None:
            return False
        if any(not _inside_harmless(plain, match) for match in self.long.finditer(plain)):
            return True
        return not self._words.isdisjoint(joined_words(words))


class Search:
    """The identifiers of one original, made ready to be looked for."""

    def __init__(
        self, identified: IdentifiedTokens, written_dates: frozenset[str], memory: CaseMemory | None = None
    ) -> None:
        self._uids = identified.uids
        self._dates = identified.dates - written_dates
        self._patterns = _patterns_of(identified, memory)
        self.settled = self._patterns.settled
        self.encoding = EXPLICIT_LITTLE

    def settle(self, element: bytes) -> None:
        """Remember the bytes of an element that need no search again."""
        if len(element) <= LONGEST_KNOWN:
            self.settled[self.encoding].keep(element, None)

    def element(self, element: Element, charset: Charset) -> bool:
        """Search one element; ``ResidualIdentifierError`` says that something was found.

        Return whether the same bytes would pass under other dates, UIDs and character sets, too.
        """
        value, vr = element.value, element.vr
        if not value:
            return True
        if vr in _SEARCHED_AS_TEXT:
            return self._text(element, charset, free=vr in CHARSET_VRS)
        if vr in _NUMERIC_TEXT:
            return _LONG_NUMBER.search(value) is None or self._number(element)
        if vr == "UI":
            return is_structural(element.tag) or self._uid(element)
        if vr in {"DA", "DT"}:
            return self._date(element)
        return len(value) < _SHORTEST_BYTES or self._bytes(element)

    def _uid(self, element: Element) -> bool:
        if self._has_uid(element.value.decode("latin-1")):
            self._hit(tag_text(element.tag))
        return False

    def _date(self, element: Element) -> bool:
        if any(part.strip()[:8] in self._dates for part in element.value.decode("latin-1").split("\\")):
            self._hit(tag_text(element.tag))
        return False

    def _bytes(self, element: Element) -> bool:
        settles = self.raw(element.value, tag_text(element.tag))
        return (element.vr not in _BINARY_NUMBERS or self._binary(element)) and settles

    def _has_uid(self, value: str) -> bool:
        for part in value.split("\\"):
            uid = part.strip(" \0")
            if uid in self._uids:
                return True
            # One below an identifier of the original says that identifier too.
            if not uid.startswith("2.25.") and any(
                uid[: dot.start()] in self._uids for dot in _DOT.finditer(uid, _SHORTEST_UID)
            ):
                return True
        return False

    def _number(self, element: Element) -> bool:
        """Look for record numbers and dates among decimal and integer strings: many digits are no measurement."""
        settles = True
        for part in element.value.decode("latin-1").split("\\"):
            number = part.strip(" \0").partition(".")[0].lstrip("+-0")
            if len(number) >= _SHORTEST_NUMBER:
                settles = settles and len(number) != _DATE_DIGITS
                if number in self._patterns.numbers or number in self._dates:
                    self._hit(tag_text(element.tag))
        return settles

    def _binary(self, element: Element) -> bool:
        """Look for them among a few binary numbers, in both byte orders; many are a table."""
        value, settles = element.value, True
        code, size = _BINARY_NUMBERS[element.vr]
        if len(value) > _MOST_NUMBERS * size or len(value) % size:
            return True
        for order in "<>":
            for number in struct.unpack(f"{order}{len(value) // size}{code}", value):
                text = str(int(number)) if number == number and abs(number) < _MOST_NUMBER else ""  # noqa: PLR0124
                if len(text) >= _SHORTEST_NUMBER:
                    settles = settles and len(text) != _DATE_DIGITS
                    if text in self._patterns.numbers or text in self._dates:
                        self._hit(tag_text(element.tag))
        return settles

    def _text(self, element: Element, charset: Charset, *, free: bool) -> bool:
        value, judged = element.value, self._patterns.judged
        key = (value, charset, free)
        known = judged.get(key)
        if known is None:
            plain = folded(charset.decode(value))
            known = self._patterns.has_identifier(plain, free=free), _NUMBERS.search(plain) is not None
            if not known[0] and not value.isascii() and self._patterns.raw is not None:
                # Bytes of another character set than the one that is named.
                known = self._patterns.raw.search(value.lower()) is not None, known[1]
            if len(value) <= LONGEST:
                judged.keep(key, known)
        hit, has_numbers = known
        if has_numbers and not hit:
            plain = folded(charset.decode(value))
            hit = any(self._has_uid(uid) for uid in _UID.findall(plain)) or not self._dates.isdisjoint(days_in(plain))
        if hit:
            self._hit(tag_text(element.tag))
        # Other bytes may say something else in another character set.
        return not has_numbers and value.isascii() and b"\x1b" not in value

    def raw(self, value: bytes, place: str) -> bool:
        """Search bytes that are no text; return whether they have neither UIDs nor dates."""
        pattern = self._patterns.raw
        if pattern is not None and pattern.search(value.lower()):
            self._hit(place)
        uids, dates = _RAW_UID.findall(value), _RAW_DATE.findall(value)
        if any(self._has_uid(uid.decode()) for uid in uids) or any(date.decode() in self._dates for date in dates):
            self._hit(place)
        return not uids and not dates

    @staticmethod
    def _hit(place: str) -> None:
        raise ResidualIdentifierError(f"an identifier of the original was found in {place}")


def _patterns_of(identified: IdentifiedTokens, memory: CaseMemory | None) -> Patterns:
    if memory is None:
        return Patterns(identified)
    key = (identified.own_words, identified.spellings, identified.values)
    known = memory.patterns.get(key)
    return memory.patterns.keep(key, Patterns(identified)) if known is None else known


def _inside_harmless(plain: str, match: re.Match[str]) -> bool:
    """Tell whether what was found is only a part of a longer word that names nobody."""
    start, stop = match.span()
    while start > 0 and plain[start - 1].isalnum():
        start -= 1
    while stop < len(plain) and plain[stop].isalnum():
        stop += 1
    word = plain[start:stop]
    if match.group().isdigit():
        return word != match.group() and word.isdigit()
    return word in _harmless() or word in phrase_words() or is_known_word(word)


def _alternation(words: frozenset[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True))) if words else None


def _raw_alternation(words: frozenset[str], spellings: list[bytes]) -> re.Pattern[bytes] | None:
    """Return a pattern for lower-cased bytes; numbers only where no digit stands beside them."""
    choices = {re.escape(word.encode(codec)) for word in words if not word.isdigit() for codec in _ENCODINGS}
    choices |= {rb"(?<![\d.])" + word.encode() + rb"(?![\d.])" for word in words if word.isdigit()}
    choices |= {re.escape(spelling.lower()) for spelling in spellings}
    if not choices:
        return None
    ordered: list[bytes] = sorted(choices, key=lambda choice: -len(choice))
    return re.compile(b"|".join(ordered))
