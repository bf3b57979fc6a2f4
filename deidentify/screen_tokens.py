"""What the text screen has to remember of an original: keyed hashes of names, numbers and days, of no more than that.

Every hash is keyed with the case, so that nothing in the database tells that two cases are of one person. What is short
is left out, since it would be found in every text. What has few values is found by trying for whoever has the key, so
the set is kept small.
"""

import hmac
import re
from collections.abc import Iterable, Iterator

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import Element, ReceivedInstance
from deidentify.identity import CHARSET_TAG
from deidentify.results import IdentifierHashes
from deidentify.spellings import IDEOGRAPHS, number_form, shortened, spellings
from deidentify.vocabulary import prose, vocabulary

DIGEST_BYTES = 16
MOST_HASHES = 1_000
"""Of one original; it has a hundred or two."""
MOST_VALUES = 500
LONGEST_VALUE = 512
"""Bytes of a value that is looked at: a name is shorter."""
SHORTEST_NAME = 2
SHORTEST_NEAR = 5
"""Letters of a name that is found with a wrong letter in it, too."""
LONGEST_WORD = 32
SHORTEST_NUMBER, LONGEST_NUMBER = 4, 32
_SHORTEST_PLACE = 4

_OF_NAMES = (
    "van von vom zu zum zur de der den del della di da do dos das du des la le les el al bin bint ibn abu ben ter",
    "ten te y e och und and of the af av",
)
_OF_NOBODY = (
    "anonymous anonymized anonymised unknown unbekannt none nobody test tests patient patients phantom doctor dr",
    "prof md phd mr mrs ms miss jr sr operator technologist technician physician radiologist user admin administrator",
    "service qa qc noname unnamed undefined null nil na",
)
PARTICLES = frozenset(" ".join(_OF_NAMES).split())
"""Parts of names that are words of their own."""
_NOBODY = frozenset(" ".join(_OF_NOBODY).split())
_PERSON_NUMBERS = frozenset(
    (0x00100020, 0x00101000, 0x00101080, 0x00101090, 0x00102154, 0x00120040, 0x00120042, 0x00380010, 0x00380060)
)
_STUDY_NUMBERS = frozenset((0x00080050, 0x00200010, 0x00400009, 0x00400253, 0x00401001, 0x00402016, 0x00402017))
_PERSON_IDS = frozenset((0x00100020, 0x00101000))
"""Where a name stands for a number now and then."""
_NUMBERS = _PERSON_NUMBERS | _STUDY_NUMBERS
_DAYS = frozenset((0x00100030, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A))
_PLACES = frozenset((0x00101040, 0x00080080, 0x00080081, 0x00080092, 0x00401102))
_WANTED = _NUMBERS | _DAYS | _PLACES
_PATIENT_GROUP = 0x0010
_SPLIT = re.compile(r"[\s,;\-\u2010-\u2015_/.()^\\]+")
_PN_WORDS = 3
"""Components of a name before its titles."""

Value = tuple[int, str, bytes, Charset]
"""Tag, VR, the value as it stood and its character set."""


class CaseHash:
    """The keyed hash of one case; ``key`` is that of the screen."""

    def __init__(self, key: bytes, case_id: str) -> None:
        if len(key) < 16:  # noqa: PLR2004 - 128 bits
            raise ValueError("the key of the text screen must have at least 16 bytes")
        self._key = hmac.digest(key, b"case\0" + case_id.encode(), "sha256")

    def __call__(self, kind: str, form: str) -> bytes:
        """Return the hash of one form; kinds never meet."""
        return hmac.digest(self._key, f"{kind}\0{form}".encode("utf-8", "surrogateescape"), "sha256")[:DIGEST_BYTES]


class IdentifierHasher:
    """Hashes the identifiers of one case's originals; slices of a series say the same, so the last is remembered."""

    def __init__(self, key: bytes, case_id: str) -> None:
        self._hash = CaseHash(key, case_id)
        self._identified: list[Value] | None = None
        self._hashes = IdentifierHashes(hashes=frozenset(), is_whole=True)

    def __repr__(self) -> str:
        """Show nothing of what is remembered."""
        return "IdentifierHasher()"

    def of(self, received: ReceivedInstance) -> IdentifierHashes:
        """Return the hashes of an original."""
        identified: list[Value] = []
        _gather(received.identified_elements, DEFAULT, identified)
        if identified != self._identified:
            self._hashes = _hashed(self._hash, identified)
            self._identified = identified
        return self._hashes


def _hashed(hashed: CaseHash, identified: list[Value]) -> IdentifierHashes:
    is_whole = len(identified) <= MOST_VALUES
    # The patient comes first: should there be too much, it is the hospital that is left out.
    ordered = sorted(
        identified[:MOST_VALUES], key=lambda value: (value[0] >> 16 != _PATIENT_GROUP, value[0] in _PLACES)
    )
    found: dict[bytes, None] = {}
    for tag, vr, content, charset in ordered:
        is_whole &= len(content) <= LONGEST_VALUE
        text = charset.decode(content[:LONGEST_VALUE]).strip(" \0")
        for kind, form in dict.fromkeys(_forms(tag, vr, text)):
            found.setdefault(hashed(kind, form))
    return IdentifierHashes(
        hashes=frozenset(list(found)[:MOST_HASHES]), is_whole=is_whole and len(found) <= MOST_HASHES
    )


def _gather(elements: list[Element], charset: Charset, found: list[Value]) -> None:
    for element in elements:
        tag = element.tag
        if tag == CHARSET_TAG:
            charset = charset_of(element.value)
        if element.items is not None:
            for item in element.items:
                _gather(item, charset, found)
        elif (element.vr == "PN" or tag in _WANTED) and element.value:
            found.append((tag, element.vr, element.value, charset))


def _forms(tag: int, vr: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield what is remembered of a value: kind and form."""
    if tag in _DAYS:
        digits = text.replace(".", "", 2)[:8]
        if len(digits) == 8 and digits.isdigit():  # noqa: PLR2004 - YYYYMMDD
            yield "day", digits
    elif vr == "PN":
        for name in text.split("\\"):
            yield from _name_forms(name, has_near=tag >> 16 == _PATIENT_GROUP)
    elif tag in _NUMBERS:
        for number in text.split("\\"):
            yield from _number_forms(number)
            if tag in _PERSON_IDS:
                yield from _place_forms(number)
    else:
        yield from _place_forms(text)


def _name_forms(name: str, *, has_near: bool) -> Iterator[tuple[str, str]]:
    for group in name.split("="):
        components = [_words(part) for part in group.split("^")[:_PN_WORDS]]
        words = [word for component in components for word in component]
        for word in words:
            for form in spellings(word):
                yield from word_forms(form, has_near=has_near)
        joined = {"".join(component) for component in components}
        joined |= {"".join(words), "".join(word for part in reversed(components) for word in part)}
        if len(components) > 1:
            joined |= {"".join(components[0] + components[1][:1]), "".join(components[1][:1] + components[0])}
        for text in joined:
            for form in spellings(text):
                if SHORTEST_NAME < len(form) <= LONGEST_WORD or IDEOGRAPHS.fullmatch(form):
                    yield from word_forms(form, has_near=False)


def _words(text: str) -> list[str]:
    return [word for word in _SPLIT.split(text) if word]


def word_forms(form: str, *, has_near: bool) -> Iterator[tuple[str, str]]:
    """Yield a word, and what it has in common with those one letter away from it."""
    if not SHORTEST_NAME <= len(form) <= LONGEST_WORD or form in PARTICLES or form in _NOBODY:
        return
    yield "word", form
    if has_near and len(form) >= SHORTEST_NEAR and form.isalpha() and not IDEOGRAPHS.search(form):
        for place, rest in shortened(form):
            yield "less", rest
            yield f"at {place}", rest


def near_forms(form: str) -> Iterator[tuple[str, str]]:
    """Yield what a typed word has in common with a remembered one that has a letter more, less, changed or swapped."""
    if not SHORTEST_NEAR - 1 <= len(form) <= LONGEST_WORD:
        return
    yield "less", form
    for place, rest in shortened(form):
        if len(rest) >= SHORTEST_NEAR:
            yield "word", rest
        if len(form) >= SHORTEST_NEAR:
            yield f"at {place}", rest
            yield f"at {place + 1}", rest


def is_number(form: str) -> bool:
    """Tell whether a form is long enough to be somebody's number, and no year."""
    if not SHORTEST_NUMBER <= len(form) <= LONGEST_NUMBER:
        return False
    if form.isdigit():
        return len(form) > SHORTEST_NUMBER or not "1900" <= form <= "2099"
    return len(form) > SHORTEST_NUMBER and sum(map(str.isdigit, form)) > 2  # noqa: PLR2004 - "t1w2" is none


def _number_forms(text: str) -> Iterator[tuple[str, str]]:
    whole = number_form(text)
    longest = max(re.findall(r"\d+", text), key=len, default="").lstrip("0")
    forms: Iterable[str] = (whole, longest) if len(longest) > SHORTEST_NUMBER else (whole,)
    yield from (("number", form) for form in forms if is_number(form))


def _place_forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield the words of a place that are no plain words."""
    for word in _words(text):
        if any(map(str.isdigit, word)):
            form = number_form(word)
            if form.isdigit() and is_number(form):
                yield "number", form
            continue
        for form in spellings(word):
            if len(form) >= _SHORTEST_PLACE and form not in vocabulary() and form not in prose():
                yield from word_forms(form, has_near=False)
