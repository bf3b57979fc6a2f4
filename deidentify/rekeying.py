"""A de-identified instance of one case written anew as one of another: other pseudonyms and days, all else the same.

What is written is searched for every pseudonym that was exchanged, as what is de-identified is searched for identifiers
of its original. Markers stay: nothing is done to the identity of anybody.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import BinaryIO

from deidentify.actions import dummy_value
from deidentify.dataset import PIXEL_TAGS, Element, ReceivedInstance, Source, tag_text
from deidentify.dictionary import registered_uids
from deidentify.errors import DeidentificationError, InvalidResultError, RekeyingError, ResidualIdentifierError
from deidentify.parser import read_instance
from deidentify.pseudonyms import PseudonymScope, shifted_date, shifted_datetime
from deidentify.transfer import Transfer, is_label, is_patient
from deidentify.writing import Writer, file_meta

_TEMPORAL, _MODIFIED = 0x00280303, "MODIFIED"
"""Longitudinal Temporal Information Modified."""
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_LABEL_VRS = frozenset(("AE", "CS", "LO", "SH", "UT", "ST", "LT", "UC"))
_NO_DAY = frozenset((dummy_value("DA"), dummy_value("DT")))
"""What stands where a required date was none."""
_PSEUDONYM = re.compile(rb"2\.25\.\d+|CB-[A-Z2-7]{8}|ID[-_][A-Z2-7]{8}")
_LONGEST_PSEUDONYM = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What was written."""

    sha256: str
    size_bytes: int
    uids: Mapping[str, str]
    """Each UID that was exchanged, and the one that stands in its place; both are pseudonyms."""
    patient_id: str
    """Patient ID (0010,0020) that was written; empty where there is none that is a pseudonym."""
    days: int
    """By how many days its dates are earlier than they were; less than none where they are later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeys:
    """What stands for the old pseudonyms in the other case."""

    transfer: Transfer
    days: int
    """By how many days the dates of the other case are earlier; less than none where they are later."""
    known: Mapping[str, str] = field(default_factory=dict)
    """UIDs whose originals are known, and what these are in the other case: they go before the transfer."""
    patient_id: str = ""
    """That the other case has already."""

    @classmethod
    def between(
        cls, old: PseudonymScope, new: PseudonymScope, *, original: ReceivedInstance | None = None, patient_id: str = ""
    ) -> "NewKeys":
        """Return what leads from one case to another.

        Parameters
        ----------
        old
            The case that it leaves, with the case that its pseudonyms were made as first.
        new
            The case that it comes to.
        original
            The original, where it is there: its UIDs become what they would be had it come to that case at once.
        patient_id
            That the files of the other case have.
        """
        known: dict[str, str] = {}
        if original is not None:
            known = {old.uid(uid): new.uid(uid) for uid in _uids_of(original.identified_elements)}
            patient_id = patient_id or new.patient_id(original.text(_PATIENT_ID) or original.text(0x0020000D))
        return cls(
            transfer=_way(old.key, old.case_key, new.case_key),
            days=new.shift_days - old.shift_days,
            known=known,
            patient_id=patient_id,
        )

    def uid(self, pseudonym: str) -> str:
        """Return what stands for a UID."""
        return self.known.get(pseudonym) or self.transfer.uid(pseudonym)


def rekeyed(source: BinaryIO, keys: NewKeys, target: BinaryIO) -> Rekeyed:
    """Write a de-identified instance of one case as one of another; pixel bytes are copied.

    Dates move on where the instance says that they were moved: a profile that moves dates keeps none as it was.

    Parameters
    ----------
    source
        What was filed.
    keys
        What stands for what.
    target
        Where it is written; worth nothing after an error.

    Raises
    ------
    UnreadableInstanceError
        If it cannot be parsed.
    RekeyingError
        If a date cannot be moved on.
    ResidualIdentifierError
        If a pseudonym of the old case is left; the text says where.
    InvalidResultError
        If what was written cannot be parsed.
    """
    written = read_instance(source)
    walk = _Walk(keys, moves_dates=written.text(_TEMPORAL) == _MODIFIED)
    elements = walk.level(written.identified_elements)
    uid = written.text(_SOP_INSTANCE_UID)
    writer = Writer(target, written.encoding)
    writer.raw(file_meta(written.text(_SOP_CLASS_UID), walk.uids.get(uid, uid), written.transfer_syntax_uid))
    content = Source(source, deflated_at=written.deflated_at)
    try:
        writer.elements(elements, content)
    finally:
        content.close()
    sha256, size = writer.finish()
    target.seek(0)
    _search(target, walk.old)
    target.seek(0)
    return Rekeyed(sha256=sha256, size_bytes=size, uids=walk.uids, patient_id=walk.patient_id, days=walk.days)


@lru_cache(maxsize=8)
def _way(key: bytes, from_case: str, to_case: str) -> Transfer:
    """Return the way between two cases, which remembers what went it: slices name one study and series."""
    return Transfer(key=key, from_case=from_case, to_case=to_case)


class _Walk:
    """One pass over one instance; afterwards it says what was exchanged."""

    def __init__(self, keys: NewKeys, *, moves_dates: bool) -> None:
        self._keys = keys
        self.days = keys.days if moves_dates else 0
        self.uids: dict[str, str] = {}
        self.old: set[str] = set()
        """Every pseudonym that was exchanged."""
        self.patient_id = ""

    def level(self, elements: list[Element]) -> list[Element]:
        """Return one level with its pseudonyms exchanged; the list itself where there are none."""
        changed = [self._element(element) for element in elements]
        return elements if all(new is old for new, old in zip(changed, elements, strict=True)) else changed

    def _element(self, element: Element) -> Element:
        if element.items is not None:
            items = [self.level(item) for item in element.items]
            if all(new is old for new, old in zip(items, element.items, strict=True)):
                return element
            return Element(element.tag, "SQ", items=items)
        if element.span is not None or not element.value:
            return element
        exchange = self._exchange_of(element)
        if exchange is None:
            return element
        parts = element.value.decode("latin-1").split("\\")
        made = []
        for part in parts:
            value = part.strip(" \0")
            exchanged = exchange(value) if value else value
            made.append(part if exchanged == value else exchanged)
        return element if made == parts else Element(element.tag, element.vr, "\\".join(made).encode("latin-1"))

    def _exchange_of(self, element: Element) -> Callable[[str], str] | None:
        """Return what has to be done with each value of an element; None for what stays."""
        vr = element.vr
        if vr == "UI":
            return self._uid
        if element.tag in {_PATIENT_NAME, _PATIENT_ID}:
            return self._patient
        if vr in _LABEL_VRS:
            return self._label
        if vr in {"DA", "DT"} and self.days and element.value.strip(b" \0") not in _NO_DAY:
            return partial(self._day, element.tag, shifted_date if vr == "DA" else shifted_datetime)
        return None

    def _uid(self, value: str) -> str:
        made = self._keys.uid(value)
        if made != value:
            self.uids[value] = made
            self.old.add(value)
        return made

    def _patient(self, value: str) -> str:
        if not is_patient(value):
            return value
        pseudonym, _, anonymous = value.partition("^")
        made = self._keys.patient_id or self._keys.transfer.patient_id(pseudonym)
        self.patient_id = made
        if made != pseudonym:
            self.old.add(pseudonym)
        return f"{made}^{anonymous}" if anonymous else made

    def _label(self, value: str) -> str:
        if not is_label(value):
            return value
        made = self._keys.transfer.label(value)
        if made != value:
            self.old.add(value)
        return made

    def _day(self, tag: int, shift: Callable[[str, int], str | None], value: str) -> str:
        moved = shift(value, self.days)
        if moved is None:
            raise RekeyingError(f"a date cannot be moved to the days of the other case: {tag_text(tag)}")
        return moved


def _uids_of(elements: list[Element]) -> Iterator[str]:
    """Yield every UID of an original that de-identification replaces."""
    registered = registered_uids()
    for element in elements:
        if element.items is not None:
            for item in element.items:
                yield from _uids_of(item)
        elif element.vr == "UI" and element.span is None:
            for part in element.value.decode("latin-1").split("\\"):
                uid = part.strip(" \0")
                if uid and uid not in registered:
                    yield uid


def _search(target: BinaryIO, old: set[str]) -> None:
    """Raise where a pseudonym of the old case is left in the written bytes, those of the pixels apart."""
    try:
        written = read_instance(target)
    except DeidentificationError:
        raise InvalidResultError("the instance written for the other case cannot be parsed again") from None
    source = Source(target)
    try:
        for element in written.identified_meta:
            _search_value(element.value, old, f"file meta {tag_text(element.tag)}")
        _search_level(written.identified_elements, old, source)
    finally:
        source.close()


def _search_level(elements: list[Element], old: set[str], source: Source) -> None:
    for element in elements:
        if element.items is not None:
            for item in element.items:
                _search_level(item, old, source)
        elif element.span is None:
            _search_value(element.value, old, tag_text(element.tag))
        elif element.tag not in PIXEL_TAGS:
            tail = b""
            for chunk in source.chunks(element.span):
                _search_value(tail + chunk, old, tag_text(element.tag))
                tail = chunk[-_LONGEST_PSEUDONYM:]


def _search_value(value: bytes, old: set[str], place: str) -> None:
    if any(found.decode() in old for found in _PSEUDONYM.findall(value)):
        raise ResidualIdentifierError(f"a pseudonym of the case that it left was found in {place}")
