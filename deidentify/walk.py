"""The walk over one data set: every element at every depth meets exactly one decision (PS3.15 §E.1.1, Table E.1-1)."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from deidentify.actions import Action, dummy_value, resolved
from deidentify.charsets import DEFAULT, charset_of
from deidentify.codes import (
    CODE_VALUE,
    KNOWN_SCHEMES,
    LOCAL_SCHEME,
    LONG_CODE,
    MEANING,
    SCHEME,
    TRIPLET,
    cleaned_code_item,
    is_code_item,
)
from deidentify.dataset import Element, tag_text
from deidentify.dictionary import TEXT_VRS, registered_uids, vr_table
from deidentify.errors import InvalidResultError, UnreadableInstanceError
from deidentify.identity import CHARSET_TAG, IdentifiedTokens, is_structural
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope, age_band, banded_age_string, is_time, shifted_date, shifted_datetime
from deidentify.structured import content_action
from deidentify.tables import IodTypes
from deidentify.text import clean_text, vocabulary, words_of

Handler = Callable[[Element, tuple[int, ...]], Element | None]

CONTENT_SEQUENCE = 0x0040A730
CONCEPT_CODE_SEQUENCE, MEASURED_VALUE_SEQUENCE = 0x0040A168, 0x0040A300
_TYPED_CODES = frozenset((0x00700080,))
"""Content Label: a code string by its VR, but people type it."""
_ALWAYS_GONE = frozenset((0x00080001, 0xFFFCFFFC, 0xFFFAFFFA, 0x4FFE0001))
# Written anew when the pixels have been screened.
_MARKERS = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303))
_RECOGNIZABLE = 0x00280302
_GONE_GROUPS = frozenset((0x0000, 0x0002, 0x0004, 0x0400, 0x0006))
_BINARY = frozenset(("AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "OW", "OF", "OD", "OL", "OV"))
_ALLOWED_BYTES = frozenset((0x7FE00010, 0x00282000, 0x54001010, 0x54000110, 0x54000112, 0x5400100A))
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_NUMBER = rb"[ ]*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?[ \0]*"
_NUMBERS = re.compile(_NUMBER + rb"(?:\\" + _NUMBER + rb")*")
_CODE_STRING = re.compile(rb"[A-Z0-9_ \\\0]*")
# A telephone or record number, or a date, where a term should stand.
_ODD_CODE = re.compile(rb"\d{6}|\d{1,4}[_ ]\d{1,2}[_ ]\d{2,4}")
_STANDARD_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,50}", re.ASCII)
_OFFSET = re.compile(rb"[+-]\d{4} *")


@cache
def text_rules() -> dict[int, str]:
    """Return tag → "words", "technical" or "label" of the text attributes outside Table E.1-1 that may stay."""
    text = files("deidentify.tables").joinpath("text_allowed.txt").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {int(row[0], 16): row[1] for row in rows}


def _is_always_gone(tag: int) -> bool:
    """Tell whether an attribute goes whatever the profile says: private, curves, overlays, lengths, markers."""
    group = tag >> 16
    if group & 1 or group in _GONE_GROUPS or not tag & 0xFFFF:
        return True
    if group & 0xFF00 in {0x5000, 0x6000}:
        return True
    return tag in _ALWAYS_GONE or tag in _MARKERS or tag == _RECOGNIZABLE


class Walk:
    """One pass over one instance. Afterwards ``counts``, ``notes`` and ``written_dates`` say what was done."""

    def __init__(
        self, profile: Profile, types: IodTypes | None, scope: PseudonymScope, identified: IdentifiedTokens
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.written_dates: set[str] = set()
        self.identified_patient_id = ""
        self.identified_ages = ("", "", "")
        self.has_by_reference = False
        self._profile, self._types, self._scope = profile, types, scope
        self._own = identified.own_words
        self._own_unknown = identified.own_words - vocabulary()
        self._days = scope.shift_days
        self._charset = DEFAULT
        self._decided: dict[tuple[int, ...], dict[int, Handler]] = {}
        self._vrs = vr_table()

    def elements(self, elements: list[Element], path: tuple[int, ...] = ()) -> list[Element]:
        """Return what stays of one level, in order."""
        outer = self._charset
        decided = self._decided.setdefault(path, {})
        result: list[Element] = []
        for element in elements:
            if element.tag == CHARSET_TAG:
                self._charset = charset_of(element.value)
            handler = decided.get(element.tag)
            if handler is None:
                handler = decided[element.tag] = self._decide(element.tag, path)
            written = handler(element, path)
            if written is not element and (written is None or written.is_empty) and not element.is_empty:
                self._check_required(element, path)
            if written is not None:
                result.append(written)
        self._charset = outer
        if path and len({element.tag for element in result}) != len(result):
            raise UnreadableInstanceError("an attribute stands twice in an item")
        return result

    def _type(self, tag: int, path: tuple[int, ...]) -> str | None:
        if self._types is None:
            return "1"
        return self._types.type_of(path, tag)

    def _check_required(self, element: Element, path: tuple[int, ...]) -> None:
        if self._types is not None and element.tag not in _MARKERS and self._type(element.tag, path) == "1":
            raise InvalidResultError(f"our change would empty {tag_text(element.tag)}, which is required there")

    # Decisions: made once for each (path, tag).

    def _decide(self, tag: int, path: tuple[int, ...]) -> Handler:
        if tag == _RECOGNIZABLE and self._type(tag, path) == "1":
            return self._recognizable
        if _is_always_gone(tag):
            return self._remove
        if tag == CHARSET_TAG:
            return self._specific_character_set
        code = self._profile.code(tag)
        if code is None:
            return self._by_tag(tag, path) or self._by_vr(tag)
        return {
            Action.REMOVE: self._remove,
            Action.EMPTY: self._empty,
            Action.DUMMY: self._dummy,
            Action.KEEP: self._keep,
            Action.CLEAN: self._clean,
            Action.UID: self._uid,
        }[self._resolved(code, tag, path)]

    def _resolved(self, code: str, tag: int, path: tuple[int, ...]) -> Action:
        kind = self._type(tag, path)
        if self._vrs.get(tag) == "SQ":
            if code == Action.REMOVE:
                return Action.REMOVE
            # A dummy sequence belongs to the IODs that require it; in others the attribute is simply removed.
            if code == Action.DUMMY and kind in {None, "3"}:
                return Action.REMOVE
        return resolved(code, kind)

    def _by_tag(self, tag: int, path: tuple[int, ...]) -> Handler | None:
        if tag in _PIXELS:
            return self._same if not path else self._remove
        if tag in {CODE_VALUE, LONG_CODE, MEANING} and path:
            return self._code_part
        return self._scheme if tag == SCHEME and path else None

    def _by_vr(self, tag: int) -> Handler:
        vr = self._vrs.get(tag)
        if vr is None:
            return self._remove
        if vr in TEXT_VRS:
            rules: dict[str, Handler] = {"words": self._words, "technical": self._technical, "label": self._label}
            return rules.get(text_rules().get(tag, ""), self._deny)
        if vr in _BINARY or (vr == "OB" and tag in _ALLOWED_BYTES):
            return self._binary
        handlers: dict[str, Handler] = {
            "SQ": self._recurse,
            "UI": self._uid,
            "DA": self._dates,
            "DT": self._dates,
            "TM": self._dates,
            "CS": self._code_string,
            "DS": self._number,
            "IS": self._number,
        }
        return handlers.get(vr, self._deny)

    # Handlers: return the element itself, a new one, or None.

    def _remove(self, _element: Element, _path: tuple[int, ...]) -> Element | None:
        self.counts["X"] += 1
        return None

    def _recognizable(self, element: Element, _path: tuple[int, ...]) -> Element:
        """Say YES where an answer is required: nobody has looked at the faces (PS3.15 §E.3.2)."""
        return Element(element.tag, "CS", b"YES")

    def _same(self, element: Element, _path: tuple[int, ...]) -> Element:
        return element

    def _code_part(self, element: Element, path: tuple[int, ...]) -> Element | None:
        """Keep what ``cleaned_code_item`` let pass: every item goes through it before its elements are walked."""
        return element if element.items is None and element.span is None else self._deny(element, path)

    def _scheme(self, element: Element, path: tuple[int, ...]) -> Element | None:
        designator = element.value.strip(b" \0")
        if designator == LOCAL_SCHEME or designator.decode("latin-1") in KNOWN_SCHEMES:
            return element
        return self._deny(element, path)

    def _empty(self, element: Element, path: tuple[int, ...]) -> Element | None:
        self.counts["Z"] += 1
        if element.tag == 0x00100010:  # noqa: PLR2004 - Patient's Name
            return Element(element.tag, "PN", self._scope.patient_name(self.identified_patient_id).encode())
        if element.tag == 0x00100020:  # noqa: PLR2004 - Patient ID
            return self._dummy(element, path)
        return Element(element.tag, element.vr, items=[] if element.items is not None else None)

    def _dummy(self, element: Element, path: tuple[int, ...]) -> Element | None:
        self.counts["D"] += 1
        if element.tag == 0x00100020:  # noqa: PLR2004
            return Element(element.tag, "LO", self._scope.patient_id(self.identified_patient_id).encode())
        if element.is_empty:
            return element
        if element.items is not None:
            return self._dummy_sequence(element, path)
        vr = self._vrs.get(element.tag, element.vr)
        if vr == "UI":
            return self._uid(element, path)
        if element.span is not None or vr not in {element.vr, "UN"}:
            vr = element.vr
        return Element(element.tag, vr, dummy_value(vr, element.tag))

    def _dummy_sequence(self, element: Element, path: tuple[int, ...]) -> Element:
        """Keep the items for their form; each of their values meets its own decision, codes become the dummy code."""
        inner = (*path, element.tag)
        items = [
            self.elements(
                cleaned_code_item(item, self._charset, self._own, force=True) if is_code_item(item) else item, inner
            )
            for item in element.items or ()
        ]
        return Element(element.tag, "SQ", items=items)

    def _deny(self, element: Element, path: tuple[int, ...]) -> Element | None:
        kind = self._type(element.tag, path)
        action = resolved("X/Z/D", kind)
        if action is Action.REMOVE or (element.is_empty and kind not in {"2", "2C"}):
            return self._remove(element, path)
        return self._empty(element, path) if action is Action.EMPTY else self._dummy(element, path)

    def _keep(self, element: Element, path: tuple[int, ...]) -> Element | None:
        self.counts["K"] += 1
        if element.items is not None or self._vrs.get(element.tag) == "SQ":
            return self._recurse(element, path)
        if element.vr == "AS":
            return self._age(element)
        return element

    def _clean(self, element: Element, path: tuple[int, ...]) -> Element | None:
        self.counts["C"] += 1
        if element.items is not None:
            return self._recurse(element, path)
        if element.tag == 0x00080201:  # noqa: PLR2004 - Timezone Offset From UTC; whole-day shifts keep it right
            return element if _OFFSET.fullmatch(element.value) else self._deny(element, path)
        vr = self._vrs.get(element.tag, element.vr)
        if vr in TEXT_VRS:
            return self._words(element, path)
        if vr in {"DA", "DT", "TM"}:
            return self._dates(element, path)
        return self._code_string(element, path) if vr == "CS" else self._deny(element, path)

    def _age(self, element: Element) -> Element | None:
        if self._profile.age != "band":
            self.counts["X"] += 1
            return None
        value = banded_age_string(age_band(*self.identified_ages))
        return Element(element.tag, "AS", value.encode()) if value else None

    def _recurse(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.items is None:
            return self._deny(element, path)
        inner = (*path, element.tag)
        items: list[list[Element]] = []
        for item in element.items:
            if element.tag == CONTENT_SEQUENCE:
                action = content_action(item, self._profile)
                if action == "X" and not self.has_by_reference:
                    self.counts["X"] += 1
                    self.notes["a content item was removed"] += 1
                    continue
                # A content item is no code itself: what poses as one has met no check of codes.
                item = [part for part in item if part.tag not in TRIPLET]  # noqa: PLW2901
                items.append(self._content_item(item, inner, dummy=action in {"X", "D"}))
            elif is_code_item(item):
                items.append(self._code_item(item, element.tag, inner))
            else:
                items.append(self.elements(item, inner))
        if not items and element.items and self._type(element.tag, path) not in {"1", "2"}:
            return None
        return Element(element.tag, "SQ", items=items)

    def _code_item(self, item: list[Element], sequence: int, path: tuple[int, ...]) -> list[Element]:
        cleaned = cleaned_code_item(item, self._charset, self._own)
        if cleaned is not item:
            self.notes[f"{tag_text(sequence)}: local code replaced"] += 1
        return self.elements(cleaned, path)

    def _content_item(self, item: list[Element], path: tuple[int, ...], *, dummy: bool) -> list[Element]:
        kept = self.elements(item, path)
        if not dummy:
            return kept
        self.counts["D"] += 1
        # The concept says that this value identifies: text, codes and numbers go, UIDs and dates are replaced already.
        return [self._dummy_content(element) for element in kept]

    def _dummy_content(self, element: Element) -> Element:
        if element.tag == MEASURED_VALUE_SEQUENCE:
            return Element(element.tag, "SQ", items=[])
        if element.tag == CONCEPT_CODE_SEQUENCE:
            items = [cleaned_code_item(item, self._charset, self._own, force=True) for item in element.items or ()]
            return Element(element.tag, "SQ", items=items)
        if element.items is None and element.vr in {"UT", "PN", "LT", "ST"} and not element.is_empty:
            return Element(element.tag, element.vr, dummy_value(element.vr))
        return element

    def _specific_character_set(self, element: Element, _path: tuple[int, ...]) -> Element | None:
        if self._charset.is_known:
            return element
        self.notes["(0008,0005): unknown character set removed"] += 1
        return None

    def _uid(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.items is not None or element.span is not None:
            return self._recurse(element, path) if element.items is not None else self._deny(element, path)
        registered, structural = registered_uids(), is_structural(element.tag)
        written = []
        for value in element.value.decode("latin-1").split("\\"):
            uid = value.strip(" \0")
            if not uid or uid in registered or (structural and _STANDARD_UID.fullmatch(uid)):
                written.append(uid)
            else:
                self.counts["U"] += 1
                written.append(self._scope.uid(uid))
        return Element(element.tag, "UI", "\\".join(written).encode())

    def _dates(self, element: Element, path: tuple[int, ...]) -> Element | None:
        vr = self._vrs.get(element.tag, element.vr)
        if element.is_empty:
            return element
        if self._profile.dates == "remove" or element.items is not None or element.span is not None:
            return self._deny(element, path)
        values = [value.strip(" \0") for value in element.value.decode("latin-1").split("\\")]
        if vr == "TM":
            return element if all(not value or is_time(value) for value in values) else self._deny(element, path)
        if self._profile.dates == "keep":
            shifted = [shifted_date(value, 0) or shifted_datetime(value, 0) if value else "" for value in values]
            return element if None not in shifted else self._deny(element, path)
        shift = shifted_date if vr == "DA" else shifted_datetime
        written = [shift(value, self._days) if value else "" for value in values]
        if None in written:
            self.notes[f"{tag_text(element.tag)}: not a complete date, removed"] += 1
            return self._deny(element, path)
        self.counts["C"] += 1
        self.written_dates.update(value[:8] for value in written if value)
        return Element(element.tag, vr, "\\".join(value or "" for value in written).encode())

    def _code_string(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.tag in _TYPED_CODES:
            return self._words(element, path)
        if (
            element.items is None
            and element.span is None
            and _CODE_STRING.fullmatch(element.value)
            and not _ODD_CODE.search(element.value)
        ):
            value = element.value.decode("ascii")
            if self._own_unknown.isdisjoint(value.casefold().replace("\\", " ").replace("_", " ").strip(" \0").split()):
                return element
        return self._words(element, path)

    def _number(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.items is None and element.span is None and _NUMBERS.fullmatch(element.value):
            return element
        return self._deny(element, path)

    def _binary(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.items is not None or element.vr not in _BINARY | {"OB"}:
            return self._deny(element, path)
        if element.tag == 0x00282000 and element.span is None and element.value[36:40] != b"acsp":  # noqa: PLR2004
            return self._deny(element, path)
        return element

    def _words(self, element: Element, path: tuple[int, ...]) -> Element | None:
        return self._text(element, path, technical=False)

    def _technical(self, element: Element, path: tuple[int, ...]) -> Element | None:
        return self._text(element, path, technical=True)

    def _label(self, element: Element, path: tuple[int, ...]) -> Element | None:
        if element.items is not None or element.span is not None:
            return self._deny(element, path)
        text = self._charset.decode(element.value).strip(" \0")
        if not clean_text(text, self._own, technical=True)[1]:
            return element
        self.counts["D"] += 1
        return Element(element.tag, element.vr, self._scope.label(text).encode())

    def _text(self, element: Element, path: tuple[int, ...], *, technical: bool) -> Element | None:
        if element.items is not None or element.span is not None:
            return self._deny(element, path)
        text = self._charset.decode(element.value).rstrip(" \0")
        if not text:
            return element
        pieces = [clean_text(piece, self._own, technical=technical) for piece in text.split("\\")]
        removed = sum(count for _, count in pieces)
        if not removed:
            return element
        self.notes[f"{tag_text(element.tag)}: words removed"] += removed
        written = "\\".join(piece for piece, _ in pieces)
        if not words_of(written):
            return self._deny(element, path)
        return Element(element.tag, element.vr, self._charset.encode(written))
