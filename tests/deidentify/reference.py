"""The same rules over a pydicom data set, element by element: what the byte-level way has to agree with.

Only the decisions and the handlers of values are shared. The reading is pydicom's; the walk is a plain one that
remembers nothing and copies nothing, so that a mistake in the parser, in the copied runs, in the memory of a case or in
the encoder shows as a difference.
"""

import io
import re
import unicodedata
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from deidentify.charsets import charset_of
from deidentify.codes import TRIPLET, cleaned_code_item, is_code_item
from deidentify.dataset import UNDEFINED, Element, Encoding, ReceivedInstance
from deidentify.decisions import MARKERS, PRIVATE_CHARACTERISTICS, Decision, Decisions, Path
from deidentify.dictionary import vr_table
from deidentify.identity import CHARSET_TAG, identified_tokens
from deidentify.memory import CaseMemory
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.rules import NEEDED_TO_READ, Condition, Rule
from deidentify.structured import content_action
from deidentify.tables import iod_types
from deidentify.walk import CONTENT_SEQUENCE, Walk

_BY_REFERENCE = 0x0040DB73
_HANDLERS = {decision: decision.name.lower() for decision in Decision}
_HANDLERS |= {Decision.GONE: "remove", Decision.CHARSET: "specific_character_set"}

Tree = list[tuple[int, str, Any]]


def elements_of(data: Dataset, *, is_little: bool = True) -> list[Element]:
    """Return a pydicom data set as elements with the bytes that pydicom read; UN gets the VR of the dictionary."""
    result = []
    for tag in sorted(data.keys()):
        raw = data.get_item(tag)
        vr = str(raw.VR or "UN")
        if vr == "UN" and not tag >> 16 & 1:
            vr = vr_table().get(tag, "UN")
        if vr == "SQ":
            result.append(Element(tag, vr, items=[elements_of(item, is_little=is_little) for item in data[tag].value]))
        elif isinstance(raw, RawDataElement):
            # Encapsulated pixel data is OB, whatever it calls itself (PS3.5 §A.4).
            result.append(Element(tag, "OB" if raw.length == UNDEFINED else vr, raw.value or b""))
        else:
            result.append(Element(tag, vr, _encoded(raw, is_little=is_little)))
    return result


def _encoded(element: DataElement, *, is_little: bool) -> bytes:
    """Return the value of an element that pydicom has decoded while reading, as it stood."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = is_little, True
    write_data_element(buffer, element, ["iso8859"])
    return buffer.getvalue()[8:]


def as_tree(elements: list[Element]) -> Tree:
    """Return elements as they are compared: markers left out, padding stripped."""
    return [
        (element.tag, element.vr, [as_tree(item) for item in element.items])
        if element.items is not None
        else (element.tag, element.vr, element.value.rstrip(b" \0"))
        for element in elements
        if element.tag not in MARKERS and element.tag != PRIVATE_CHARACTERISTICS
    ]


class PlainRules:
    """The rules of a profile that are about one data set, asked one after the other each time."""

    def __init__(self, profile: Profile, data: Dataset) -> None:
        self._rules = [rule for rule in profile.rules if _is_about(rule, data)]

    def of(self, tag: int, vr: str | None, path: Path) -> Rule | None:
        """Return the last rule that is about a public attribute."""
        found = None
        for rule in self._rules:
            if rule.private is not None or not _is_at(rule, path):
                continue
            exact = rule.tags is not None and "x" not in str(rule.tags)
            if tag in NEEDED_TO_READ and not exact:
                continue
            if vr in rule.vrs if rule.tags is None else _has_pattern(tag, str(rule.tags)):
                found = rule
        return found

    def of_private(self, creator: str, group: int, element: int, path: Path) -> Rule | None:
        """Return the last rule that is about a private element."""
        found = None
        for rule in self._rules:
            which = rule.private
            if which is None or which.creator != creator or not _is_at(rule, path):
                continue
            if which.group in {None, group} and which.element in {None, element}:
                found = rule
        return found

    @property
    def creators(self) -> frozenset[str]:
        """Private Creators that a rule names."""
        return frozenset(rule.private.creator for rule in self._rules if rule.private is not None)


def _has_pattern(tag: int, pattern: str) -> bool:
    text = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return all(one in {"x", digit} for one, digit in zip(pattern, text, strict=True))


def _is_at(rule: Rule, path: Path) -> bool:
    if rule.inside is None:
        return True
    return list(path)[-len(rule.inside) :] == list(rule.inside) if rule.inside else not path


def _is_about(rule: Rule, data: Dataset) -> bool:
    if rule.modalities and str(data.get("Modality", "")).upper() not in rule.modalities:
        return False
    if rule.sop_classes and str(data.get("SOPClassUID", "")) not in rule.sop_classes:
        return False
    return all(_holds(condition, data) for condition in rule.conditions)


def _plain(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(one))


def _holds(condition: Condition, data: Dataset) -> bool:
    """Tell whether a condition holds, by what pydicom makes of the attribute and Python of the expression."""
    element = data.get(condition.tag)
    value = element.value if element is not None else None
    if condition.kind == "present":
        is_there = element is not None and not element.is_empty and value != ""
        return (is_there is (condition.values == ("true",))) is not condition.is_negated
    listed = [] if value is None else list(value) if element.VM > 1 else [value]
    values = [str(getattr(one, "original_string", one)) for one in listed if str(one)]
    if condition.kind == "matches":
        found = any(re.search(pattern, one, re.IGNORECASE) for pattern in condition.values for one in values)
    elif condition.kind == "is":
        found = any(_plain(one) in condition.values for one in values)
    else:
        found = any(part in _plain(one) for part in condition.values for one in values)
    return found is not condition.is_negated


class PlainWalk(Walk):
    """The walk without what makes it fast."""

    def elements(self, elements: list[Element], path: Path = ()) -> list[Element]:
        """Return what stays of one level."""
        outer, result = self._charset, []
        elements = self.public_or_safe(elements, path)
        for element in elements:
            if element.tag == CHARSET_TAG:
                self._charset = charset_of(element.value)
            made_anew = Decisions(self._profile, self._decisions.types, self._decisions.rules)
            decision = made_anew.decide(element.tag, path)
            written = getattr(self, _HANDLERS[decision])(element, path)
            self._check_required(element, written, path)
            if written is not None:
                result.append(Element(written.tag, written.vr, written.value, items=written.items))
        self._charset = outer
        return result

    def recurse(self, element: Element, path: Path) -> Element | None:
        """Walk every item."""
        if element.items is None:
            return self.deny(element, path)
        inner, items = (*path, element.tag), []
        for item in element.items:
            if element.tag == CONTENT_SEQUENCE:
                action = content_action(item, self._profile)
                if action == "X" and not self.has_by_reference:
                    continue
                bare = [part for part in item if part.tag not in TRIPLET]
                items.append(self._content_item(bare, inner, action))
            elif is_code_item(item):
                items.append(self.elements(cleaned_code_item(item, self._charset, self._judged.own), inner))
            else:
                items.append(self.elements(item, inner))
        if not items and element.items and self._type(element.tag, path) not in {"1", "2"}:
            return None
        return Element(element.tag, "SQ", items=items)


def _has_by_reference(elements: list[Element]) -> bool:
    return any(
        element.tag == _BY_REFERENCE or any(_has_by_reference(item) for item in element.items or ())
        for element in elements
    )


def planned(part10: bytes, profile: Profile, scope: PseudonymScope) -> Tree:
    """Return what the rules make of a file, as a tree."""
    elements, is_little = _read(part10)
    received = ReceivedInstance(
        transfer_syntax_uid="", encoding=Encoding(explicit=True, little=is_little), identified_meta=[],
        identified_elements=elements,
    )  # fmt: skip
    rules: Any = PlainRules(profile, dcmread(io.BytesIO(part10), force=True))
    decisions = Decisions(profile, iod_types(received.text(0x00080016)), rules)
    identified = identified_tokens(received, decisions.keeps)
    walk = PlainWalk(decisions, CaseMemory(scope), identified)
    walk.encoding = received.encoding
    walk.identified_patient_id = received.text(0x00100020) or received.text(0x0020000D)
    walk.identified_ages = (received.text(0x00101010), received.text(0x00100030), received.text(0x00080020))
    walk.has_by_reference = _has_by_reference(elements)
    return as_tree(walk.elements(elements))


def written_tree(written: bytes) -> Tree:
    """Return a written file as a tree, as pydicom reads it."""
    return as_tree(_read(written)[0])


def _read(part10: bytes) -> tuple[list[Element], bool]:
    data = dcmread(io.BytesIO(part10), force=True)
    is_little = data.original_encoding[1] is not False
    return elements_of(data, is_little=is_little), is_little
