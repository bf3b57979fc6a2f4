"""The same rules over a pydicom data set, element by element: what the byte-level way has to agree with.

Only the decisions and the handlers of values are shared. The reading is pydicom's; the walk is a plain one that
remembers nothing and copies nothing, so that a mistake in the parser, in the copied runs, in the memory of a case or in
the encoder shows as a difference.
"""

import io
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


class PlainWalk(Walk):
    """The walk without what makes it fast."""

    def elements(self, elements: list[Element], path: Path = ()) -> list[Element]:
        """Return what stays of one level."""
        outer, result = self._charset, []
        elements = self.public_or_safe(elements, path)
        for element in elements:
            if element.tag == CHARSET_TAG:
                self._charset = charset_of(element.value)
            decision = Decisions(self._profile, self._decisions.types).decide(element.tag, path)
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
    identified = identified_tokens(received, profile.keeps)
    walk = PlainWalk(Decisions(profile, iod_types(received.text(0x00080016))), CaseMemory(scope), identified)
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
