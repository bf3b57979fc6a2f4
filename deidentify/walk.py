"""The walk over one data set: every element at every depth meets exactly one decision (PS3.15 §E.1.1, Table E.1-1)."""

from collections.abc import Callable

from deidentify.actions import Action, dummy_value
from deidentify.charsets import charset_of
from deidentify.codes import TRIPLET, cleaned_code_item, is_code_item
from deidentify.dataset import Element, find, tag_text
from deidentify.decisions import Decision
from deidentify.errors import UnreadableInstanceError
from deidentify.identity import CHARSET_TAG
from deidentify.private import safe_private_only
from deidentify.rules import Path
from deidentify.structured import TEXT_VALUE, content_action
from deidentify.values import Values

CONTENT_SEQUENCE = 0x0040A730
CONCEPT_CODE_SEQUENCE, MEASURED_VALUE_SEQUENCE = 0x0040A168, 0x0040A300
_MOST_OF_A_CODE = 12
"""Elements of a code item that is worth remembering."""


class Walk(Values):
    """One pass over one instance."""

    def elements(self, elements: list[Element], path: Path = ()) -> list[Element]:
        """Return what stays of one level, in order; the list itself where nothing changed."""
        elements = self.public_or_safe(elements, path)
        outer = self._charset
        decided = self._decisions.at(path)
        result: list[Element] = []
        keep, last, is_same, is_sorted = result.append, -1, True, True
        gone, removed = Decision.GONE, 0
        for element in elements:
            tag = element.tag
            if tag == CHARSET_TAG:
                self._charset = charset_of(element.value)
            decision = decided.get(tag)
            if decision is None:
                decision = self._decisions.decide(tag, path)
            if decision is gone:
                removed += 1
                continue
            written = _HANDLERS[decision](self, element, path)
            if written is not element:
                is_same = False
                self._check_required(element, written, path)
                if written is None:
                    continue
            if tag <= last:
                is_sorted = False
            last = tag
            keep(written)
        self._charset = outer
        if removed:
            is_same = False
            self.counts["X"] += removed
        if path and not is_sorted and len({element.tag for element in result}) != len(result):
            raise UnreadableInstanceError("an attribute stands twice in an item")
        return elements if is_same else result

    def public_or_safe(self, elements: list[Element], path: Path) -> list[Element]:
        """Return one level without private elements that are not known to be safe, where the profile keeps safe ones.

        Where it does not, they all go one by one.
        """
        if not self._keeps_private:
            return elements
        safe = safe_private_only(elements, self.encoding, path, self._decisions.rules)
        self.counts["X"] += len(elements) - len(safe)
        return safe

    def _dummy_sequence(self, element: Element, path: Path) -> Element:
        """Keep the items for their form; each of their values meets its own decision, codes become the dummy code."""
        inner = (*path, element.tag)
        items = [
            self.elements(
                cleaned_code_item(item, self._charset, self._judged.own, force=True) if is_code_item(item) else item,
                inner,
            )
            for item in element.items or ()
        ]
        return Element(element.tag, "SQ", items=items)

    def recurse(self, element: Element, path: Path) -> Element | None:
        """Walk the items; a sequence in which nothing changes is returned itself."""
        if element.items is None:
            return self.deny(element, path)
        inner = (*path, element.tag)
        items: list[list[Element]] = []
        is_same = True
        self._items.append(0)
        for item in element.items:
            written = self._item(item, element.tag, inner)
            self._items[-1] += 1
            if written is not item:
                is_same = False
            if written is not None:
                items.append(written)
        self._items.pop()
        if is_same:
            return element
        if not items and element.items and self._type(element.tag, path) not in {"1", "2"}:
            return None
        return Element(element.tag, "SQ", items=items)

    def _item(self, item: list[Element], sequence: int, path: Path) -> list[Element] | None:
        """Return what stays of an item, the item itself where nothing changes; None for one that goes."""
        if sequence != CONTENT_SEQUENCE:
            return self._code_item(item, sequence, path) if is_code_item(item) else self.elements(item, path)
        action = content_action(item, self._profile)
        if action == "X" and not self.has_by_reference:
            self.counts["X"] += 1
            self.notes["a content item was removed"] += 1
            return None
        # A content item is no code itself: what poses as one has met no check of codes.
        if not TRIPLET.isdisjoint([part.tag for part in item]):
            item = [part for part in item if part.tag not in TRIPLET]
        return self._content_item(item, path, action)

    def _code_item(self, item: list[Element], sequence: int, path: Path) -> list[Element]:
        cleaned = self._cleaned_code_item(item)
        if cleaned is not item:
            self.notes[f"{tag_text(sequence)}: local code replaced"] += 1
        return self.elements(cleaned, path)

    def _cleaned_code_item(self, item: list[Element]) -> list[Element]:
        if len(item) > _MOST_OF_A_CODE or any(part.items is not None or part.span for part in item):
            return cleaned_code_item(item, self._charset, self._judged.own)
        key = (self._charset, *[(part.tag, part.vr, part.value) for part in item])
        codes = self._judged.codes
        if key not in codes:
            cleaned = cleaned_code_item(item, self._charset, self._judged.own)
            # Made anew: what is remembered must not point into the file it was found in.
            made = [Element(part.tag, part.vr, part.value) for part in cleaned]
            codes.keep(key, None if cleaned is item else made)
        return codes[key] or item

    def _content_item(self, item: list[Element], path: Path, action: str) -> list[Element]:
        kept = self.elements(item, path)
        if action == Action.KEEP:
            # The text that an option retains, a serial number for instance; codes, UIDs and dates have their own rules.
            said = find(item, TEXT_VALUE)
            self.counts["K"] += 1
            if said is not None and said.vr == "UT" and said.span is None:
                others = [element for element in kept if element.tag != TEXT_VALUE]
                return sorted([*others, said], key=lambda element: element.tag)
        if action not in {Action.REMOVE, Action.DUMMY}:
            return kept
        self.counts["D"] += 1
        # The concept says that this value identifies: text, codes and numbers go, UIDs and dates are replaced already.
        return [self._dummy_content(element) for element in kept]

    def _dummy_content(self, element: Element) -> Element:
        if element.tag == MEASURED_VALUE_SEQUENCE:
            return Element(element.tag, "SQ", items=[])
        if element.tag == CONCEPT_CODE_SEQUENCE:
            items = [
                cleaned_code_item(item, self._charset, self._judged.own, force=True) for item in element.items or ()
            ]
            return Element(element.tag, "SQ", items=items)
        if element.items is None and element.vr in {"UT", "PN", "LT", "ST"} and not element.is_empty:
            return Element(element.tag, element.vr, dummy_value(element.vr))
        return element


_HANDLERS: dict[Decision, Callable[[Walk, Element, Path], Element | None]] = {
    Decision.GONE: Walk.remove,
    Decision.REMOVE: Walk.remove,
    Decision.EMPTY: Walk.empty,
    Decision.DUMMY: Walk.dummy,
    Decision.KEEP: Walk.keep,
    Decision.CLEAN: Walk.clean,
    Decision.UID: Walk.uid,
    Decision.SAME: Walk.same,
    Decision.RECOGNIZABLE: Walk.recognizable,
    Decision.CHARSET: Walk.specific_character_set,
    Decision.CODE_PART: Walk.code_part,
    Decision.SCHEME: Walk.scheme,
    Decision.WORDS: Walk.words,
    Decision.TECHNICAL: Walk.technical,
    Decision.LABEL: Walk.label,
    Decision.DENY: Walk.deny,
    Decision.BINARY: Walk.binary,
    Decision.RECURSE: Walk.recurse,
    Decision.DATES: Walk.dates,
    Decision.CODE_STRING: Walk.code_string,
    Decision.CODE_TERM: Walk.code_term,
    Decision.NUMBER: Walk.number,
    Decision.PRIVATE: Walk.private,
}
