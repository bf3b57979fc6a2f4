"""What each decision does to an element's value: one handler a decision, the same for every way through a data set."""

import re
from collections import Counter

from deidentify.actions import Action, dummy_value, resolved
from deidentify.charsets import DEFAULT, Charset, corrected
from deidentify.code_terms import NOTHING_LEFT, cleaned_code_string, legal_code_string
from deidentify.codes import KNOWN_SCHEMES, LOCAL_SCHEME
from deidentify.dataset import EXPLICIT_LITTLE, Element, tag_text
from deidentify.decisions import Decisions
from deidentify.dictionary import TEXT_VRS, registered_uids, vr_table
from deidentify.errors import InvalidResultError
from deidentify.forms import BINARY_OR_BYTES, BINARY_VRS, CODE_STRING, NUMBERS, is_numbers, is_of_vr, vr_to_write
from deidentify.identity import IdentifiedTokens, is_structural
from deidentify.memory import LONGEST, CaseMemory
from deidentify.private import is_private_creator
from deidentify.pseudonyms import age_band, banded_age_string, is_time, shifted_date, shifted_datetime
from deidentify.results import MOST_REMOVED, RemovedText
from deidentify.rules import Path
from deidentify.text import WentWord, clean_text, clean_values
from deidentify.vocabulary import vocabulary, words_of

_TYPED_CODES = frozenset((0x00700080,))
"""Content Label: a code string by its VR, but people type it."""
_TYPED_NAMES = frozenset((0x00700002,))
"""Graphic Layer: typed as well, and others of the instance refer to it."""
# A telephone or record number, or a date, where a term should stand.
_ODD_CODE = re.compile(rb"\d{6}|\d{1,4}[_ ]\d{1,2}[_ ]\d{2,4}")
# No component of theirs has more than four digits: a longer one is a number that somebody put there.
_STANDARD_UID = re.compile(r"1\.2\.840\.10008(?:\.\d{1,4}){1,12}", re.ASCII)
_OFFSET = re.compile(rb"[+-]\d{4} *")


class Values:
    """The handlers of one instance. Each returns the element itself where nothing changes, a new one, or None.

    Afterwards ``counts``, ``notes`` and ``written_dates`` say what was done.
    """

    def __init__(self, decisions: Decisions, memory: CaseMemory, identified: IdentifiedTokens) -> None:
        self.counts: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.written_dates: set[str] = set()
        self.removed_text: list[RemovedText] = []
        self.identified_patient_id = ""
        self.identified_ages = ("", "", "")
        self.has_by_reference = False
        self.encoding = EXPLICIT_LITTLE
        self.private_blocks: set[tuple[int, str]] = set()
        """Group and Private Creator of the private elements that stay."""
        self._decisions, self._profile = decisions, decisions.profile
        self._keeps_private = "retain_safe_private" in decisions.profile.options
        self._memory, self._scope = memory, memory.scope
        self._own_unknown = identified.own_words - vocabulary()
        self._judged = memory.judged(identified.own_words)
        self._own = identified.own_words
        self._days = memory.scope.shift_days
        self._items: list[int] = []
        self._charset = DEFAULT
        self._vrs = vr_table()

    def _type(self, tag: int, path: Path) -> str | None:
        return self._decisions.type_of(tag, path)

    def _check_required(self, element: Element, written: Element | None, path: Path) -> None:
        is_emptied = (written is None or written.is_empty) and not element.is_empty
        if is_emptied and self._decisions.is_required(element.tag, path):
            raise InvalidResultError(f"our change would empty {tag_text(element.tag)}, which is required there")

    def recurse(self, element: Element, path: Path) -> Element | None:
        """Walk the items of a sequence."""
        raise NotImplementedError

    def _dummy_sequence(self, element: Element, path: Path) -> Element:
        raise NotImplementedError

    def remove(self, _element: Element, _path: Path) -> Element | None:
        """Take the element out."""
        self.counts["X"] += 1
        return None

    def recognizable(self, element: Element, _path: Path) -> Element:
        """Say YES where an answer is required: nobody has looked at the faces (PS3.15 §E.3.2)."""
        return Element(element.tag, "CS", b"YES")

    def same(self, element: Element, path: Path) -> Element | None:
        """Leave pixel data as they are; a sequence is none, and what is in it would meet no rule."""
        return element if element.items is None else self.remove(element, path)

    def code_part(self, element: Element, path: Path) -> Element | None:
        """Keep what ``cleaned_code_item`` let pass: every item goes through it before its elements are walked."""
        return element if element.items is None and element.span is None else self.deny(element, path)

    def scheme(self, element: Element, path: Path) -> Element | None:
        """Keep the designator of a known coding scheme."""
        designator = element.value.strip(b" \0")
        if designator == LOCAL_SCHEME or designator.decode("latin-1") in KNOWN_SCHEMES:
            return element
        return self.deny(element, path)

    def empty(self, element: Element, path: Path) -> Element | None:
        """Leave no value; the patient gets a pseudonym."""
        self.counts["Z"] += 1
        if element.tag == 0x00100010:  # noqa: PLR2004 - Patient's Name
            return Element(element.tag, "PN", self._scope.patient_name(self.identified_patient_id).encode())
        if element.tag == 0x00100020:  # noqa: PLR2004 - Patient ID
            return self.dummy(element, path)
        vr = vr_to_write(element, self._vrs.get(element.tag, element.vr))
        return Element(element.tag, vr, items=[] if vr == "SQ" else None)

    def dummy(self, element: Element, path: Path) -> Element | None:
        """Replace the value by one that is valid for the VR and says nothing."""
        self.counts["D"] += 1
        if element.tag == 0x00100020:  # noqa: PLR2004
            return Element(element.tag, "LO", self._scope.patient_id(self.identified_patient_id).encode())
        if element.is_empty:
            return element
        vr = vr_to_write(element, self._vrs.get(element.tag, element.vr))
        if vr == "SQ":
            return self._dummy_sequence(element, path)
        if vr == "UI":
            return self.uid(element, path)
        return Element(element.tag, vr, dummy_value(vr, element.tag))

    def deny(self, element: Element, path: Path) -> Element | None:
        """Take out, empty or replace what nothing allows, by the Type of the attribute."""
        kind = self._type(element.tag, path)
        action = resolved("X/Z/D", kind)
        if action is Action.REMOVE or (element.is_empty and kind not in {"2", "2C"}):
            return self.remove(element, path)
        return self.empty(element, path) if action is Action.EMPTY else self.dummy(element, path)

    def keep(self, element: Element, path: Path) -> Element | None:
        """Keep what an option or a rule retains; sequences are walked all the same."""
        self.counts["K"] += 1
        if element.items is not None or self._vrs.get(element.tag) == "SQ":
            return self.recurse(element, path)
        vr = self._vrs.get(element.tag, element.vr)
        is_number = vr not in BINARY_VRS or is_numbers(element, little=self.encoding.little)
        if not is_number or not is_of_vr(element, vr):
            return self.deny(element, path)
        if element.vr == "AS":
            return self._age(element)
        return element

    def clean(self, element: Element, path: Path) -> Element | None:
        """Clean by VR: words, dates, code strings; what cannot be cleaned is denied."""
        self.counts["C"] += 1
        if element.items is not None:
            return self.recurse(element, path)
        if element.tag == 0x00080201:  # noqa: PLR2004 - Timezone Offset From UTC; whole-day shifts keep it right
            return element if _OFFSET.fullmatch(element.value) else self.deny(element, path)
        vr = self._vrs.get(element.tag, element.vr)
        if vr in TEXT_VRS:
            return self.words(element, path)
        if vr in {"DA", "DT", "TM"}:
            return self.dates(element, path)
        if vr == "AE":
            return self._alias(element, path)
        return self.code_term(element, path) if vr == "CS" else self.deny(element, path)

    def _alias(self, element: Element, path: Path) -> Element | None:
        """Replace an application entity title by one that is the same throughout the case."""
        if element.is_empty or element.span is not None:
            return self.deny(element, path)
        titles = [title.strip(" \0") for title in element.value.decode("latin-1").split("\\")]
        written = "\\".join(self._scope.label(title) if title else "" for title in titles)
        return Element(element.tag, "AE", written.encode())

    def _age(self, element: Element) -> Element | None:
        if self._profile.age != "band":
            self.counts["X"] += 1
            return None
        value = banded_age_string(age_band(*self.identified_ages))
        return Element(element.tag, "AS", value.encode()) if value else None

    def specific_character_set(self, element: Element, _path: Path) -> Element | None:
        """Keep the character set unless nobody knows it."""
        if self._charset.is_known:
            spelled = corrected(element.value)
            return element if spelled == element.value.strip(b" \0") else Element(element.tag, "CS", spelled)
        self.notes["(0008,0005): unknown character set removed"] += 1
        return None

    def uid(self, element: Element, path: Path) -> Element | None:
        """Replace the UIDs that the Standard has not registered."""
        if element.items is not None or element.span is not None:
            return self.recurse(element, path) if element.items is not None else self.deny(element, path)
        value, structural = element.value, is_structural(element.tag)
        known = self._memory.uids.get((value, structural))
        written, replaced = known if known is not None else self._written_uids(value, structural=structural)
        if replaced:
            self.counts["U"] += replaced
        elif element.vr == "UI" and value in {written, written + b"\0"}:
            return element
        return Element(element.tag, "UI", written)

    def _written_uids(self, value: bytes, *, structural: bool) -> tuple[bytes, int]:
        registered, written, replaced = registered_uids(), [], 0
        for part in value.decode("latin-1").split("\\"):
            uid = part.strip(" \0")
            if not uid or uid in registered or (structural and _STANDARD_UID.fullmatch(uid)):
                written.append(uid)
            else:
                replaced += 1
                written.append(self._scope.uid(uid))
        return self._memory.uids.keep((value, structural), ("\\".join(written).encode(), replaced))

    def dates(self, element: Element, path: Path) -> Element | None:
        """Move dates back by the days of the case; what names no day is denied."""
        vr = self._vrs.get(element.tag, element.vr)
        if element.is_empty:
            return element
        if self._profile.dates == "remove" or element.items is not None or element.span is not None:
            return self.deny(element, path)
        if vr == "TM":
            values = [value.strip(" \0") for value in element.value.decode("latin-1").split("\\")]
            return element if all(not value or is_time(value) for value in values) else self.deny(element, path)
        days = 0 if self._profile.dates == "keep" else self._days
        key = (element.value, vr, days)
        known = self._memory.dates.get(key)
        written, dates = known if known is not None else self._memory.dates.keep(key, _shifted(*key))
        if not dates:
            self.notes[f"{tag_text(element.tag)}: not a complete date, removed"] += 1
            return self.deny(element, path)
        if not days:
            return element
        self.counts["C"] += 1
        self.written_dates.update(dates)
        return Element(element.tag, vr, written)

    def code_string(self, element: Element, path: Path) -> Element | None:
        """Keep a code string that looks like one and is nobody's name; others are judged as words."""
        if element.tag in _TYPED_CODES:
            return self.technical(element, path)
        if element.tag in _TYPED_NAMES:
            return self.label(element, path)
        if element.items is None and element.span is None:
            value = element.value
            may_stay = self._judged.strings.get(value)
            if may_stay is None:
                may_stay = self._judged.strings.keep(value, self._is_code_string(value))
            if may_stay:
                return element if element.vr == "CS" else Element(element.tag, "CS", value)
        written = self.words(element, path)
        if written is not None and written is not element and written.vr == "CS":
            written.value = legal_code_string(written.value)
        return written

    def code_term(self, element: Element, path: Path) -> Element | None:
        """Keep the words of defined terms in a code string."""
        written = self.code_string(element, path)
        if written is None or written.vr != "CS" or element.items is not None or element.tag in _TYPED_NAMES:
            return written
        terms, value = self._judged.terms, written.value
        known = terms.get(value)
        kept, removed = known if known is not None else terms.keep(value, self._judge_terms(value))
        if not removed:
            return written
        self.notes[f"{tag_text(element.tag)}: words removed"] += removed
        if not kept.replace(NOTHING_LEFT.encode(), b"").strip(b"\\ "):
            return self.deny(element, path)
        return Element(element.tag, "CS", kept)

    def _judge_terms(self, value: bytes) -> tuple[bytes, int]:
        """Judge a code string; what is none, and has been judged as text, is left as that judgement left it."""
        return cleaned_code_string(value, self._own) if CODE_STRING.fullmatch(value) else (value, 0)

    def _is_code_string(self, value: bytes) -> bool:
        if not CODE_STRING.fullmatch(value) or _ODD_CODE.search(value):
            return False
        words = value.decode("ascii").casefold().replace("\\", " ").replace("_", " ").strip(" \0").split()
        return self._own_unknown.isdisjoint(words)

    def number(self, element: Element, path: Path) -> Element | None:
        """Keep decimal and integer strings that are numbers."""
        if element.items is None and element.span is None and NUMBERS.fullmatch(element.value):
            return element if element.vr in {"DS", "IS"} else self._rewritten(element, element.value)
        return self.deny(element, path)

    def binary(self, element: Element, path: Path) -> Element | None:
        """Keep numbers in binary, and ICC profiles that are some."""
        if element.items is not None or element.vr not in BINARY_OR_BYTES:
            return self.deny(element, path)
        if not is_numbers(element, little=self.encoding.little):
            return self.deny(element, path)
        if element.tag == 0x00282000 and element.span is None and element.value[36:40] != b"acsp":  # noqa: PLR2004
            return self.deny(element, path)
        return element

    def private(self, element: Element, path: Path) -> Element | None:
        """Clean a safe private element by its VR: numbers stay, text and codes keep what public ones would."""
        if is_private_creator(element.tag):
            self.private_blocks.add((element.tag >> 16, element.value.decode("ascii")))
            return element
        vr = element.vr
        if vr == "SQ":
            return self.recurse(element, path)
        if vr in TEXT_VRS:
            return self.technical(element, path)
        if vr in BINARY_VRS:
            return self.binary(element, path)
        handlers = {"DS": self.number, "IS": self.number, "CS": self.code_term, "UI": self.uid}
        return handlers.get(vr, self.remove)(element, path)

    def words(self, element: Element, path: Path) -> Element | None:
        """Keep known words."""
        return self._text(element, path, technical=False)

    def technical(self, element: Element, path: Path) -> Element | None:
        """Keep known words and short technical codes."""
        return self._text(element, path, technical=True)

    def label(self, element: Element, path: Path) -> Element | None:
        """Keep a label of known words; replace others by one that stays the same in the case."""
        if element.items is not None or element.span is not None:
            return self.deny(element, path)
        key = (element.value, self._charset)
        label = self._judged.labels.get(key)
        if label is None:
            label = self._judge_label(*key)
        if not label:
            return element
        self.counts["D"] += 1
        written = self._rewritten(element, label.encode())
        if written.vr == "CS":
            written.value = label.replace("-", "_").encode()
        return written

    def _judge_label(self, value: bytes, charset: Charset) -> str:
        text = charset.decode(value).strip(" \0")
        went = clean_text(text, self._judged.own, technical=True, site=self._profile.vocabulary)[1]
        label = self._scope.label(text) if went else ""
        return self._judged.labels.keep((value, charset), label) if len(value) <= LONGEST else label

    def _rewritten(self, element: Element, value: bytes) -> Element:
        """Return the element with another value, under the VR that it should have had."""
        return Element(element.tag, vr_to_write(element, self._vrs.get(element.tag, element.vr)), value)

    def _text(self, element: Element, path: Path, *, technical: bool) -> Element | None:
        if element.items is not None or element.span is not None:
            return self.deny(element, path)
        key = (element.value, self._charset, technical)
        judged = self._judged.texts.get(key)
        written, removed, has_words = judged if judged is not None else self._judge(key)
        if not removed:
            return element if element.vr in TEXT_VRS else self._rewritten(element, element.value)
        self.notes[f"{tag_text(element.tag)}: words removed"] += len(removed)
        self._note_removed(element.tag, path, removed)
        return self._rewritten(element, written) if has_words else self.deny(element, path)

    def _note_removed(self, tag: int, path: Path, removed: tuple[WentWord, ...]) -> None:
        """Remember where words went, for the reviewer; the first of very many."""
        room = MOST_REMOVED - len(self.removed_text)
        if room <= 0:
            return
        place = "".join(
            f"{tag_text(outer)}[{item}]." for outer, item in zip(path, self._items, strict=False)
        ) + tag_text(tag)
        self.removed_text += [RemovedText(place=place, word=word, reason=reason) for word, reason in removed[:room]]

    def _judge(self, key: tuple[bytes, Charset, bool]) -> tuple[bytes, tuple[WentWord, ...], bool]:
        value, charset, technical = key
        written, removed = clean_values(
            charset.decode(value).rstrip(" \0"), self._judged.own, technical=technical, site=self._profile.vocabulary
        )
        judged = charset.encode(written), removed, bool(words_of(written))
        return self._judged.texts.keep(key, judged) if len(value) <= LONGEST else judged


def _shifted(value: bytes, vr: str, days: int) -> tuple[bytes, tuple[str, ...]]:
    """Return the value with its days moved and the dates in it, YYYYMMDD; none where one of them is incomplete."""
    values = [part.strip(" \0") for part in value.decode("latin-1").split("\\")]
    if days:
        shift = shifted_date if vr == "DA" else shifted_datetime
        moved = [shift(part, days) if part else "" for part in values]
    else:
        moved = [shifted_date(part, 0) or shifted_datetime(part, 0) if part else "" for part in values]
    if None in moved:
        return b"", ()
    written = [part or "" for part in moved]
    return "\\".join(written).encode(), tuple(part[:8] for part in written if part)
