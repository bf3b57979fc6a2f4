"""What MIDI-B's scorer does not see: other places in the file, intervals, references, types, what the markers say."""

import datetime as dt
import re
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom import config as pydicom_config
from pydicom.valuerep import validate_value

from benchmarks.midib.checks import Uids
from benchmarks.midib.key import Action, Instance, Path, found, leaves
from benchmarks.midib.people import Kind, Secret
from deidentify.tables import iod_types

__all__ = ["Marks", "Pairs", "days_of", "found_secrets", "lost_types", "marks_of", "references", "uids_of"]

_UID = re.compile(rb"\d+(?:\.\d+){5,}")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_SHORTEST = 5


def _inflated(content: bytes, data: Dataset) -> bytes:
    if data.file_meta.get("TransferSyntaxUID") != _DEFLATED:
        return content
    # The data set begins where the meta group ends; what does not inflate there is searched as it is.
    length = int(data.file_meta.get("FileMetaInformationGroupLength", 0)) + 144
    try:
        return content[:length] + zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[length:])
    except zlib.error:
        return content


def _forms(text: str) -> set[bytes]:
    forms = set()
    for spelled in {text, text.upper(), text.lower(), text.title()}:
        for codec in ("utf-8", "latin-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-9"):
            forms.add(spelled.encode(codec, "ignore") if spelled.isascii() else _encoded(spelled, codec))
        forms |= {_encoded(spelled, codec) for codec in ("utf-16-le", "utf-16-be", "gb18030", "iso2022_jp", "euc_kr")}
    return {form for form in forms if len(form) >= _SHORTEST}


def _encoded(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return b""


def found_secrets(content: bytes, data: Dataset, secrets: Iterable[Secret], shifted: frozenset[str]) -> set[Secret]:
    """Return what of the planted identifiers stands anywhere in the file, in whichever encoding.

    Bytes are searched for what has five characters or more; shorter names are searched as words of the text values.
    ``shifted`` are the dates that the tool wrote on purpose: one of them may be another day of the patient's.
    """
    whole = _inflated(content, data)
    lowered = whole.lower()
    uids = {uid.decode() for uid in _UID.findall(whole)}
    hits = set()
    words: set[str] | None = None
    for secret in secrets:
        if secret.kind is Kind.UID:
            is_found = secret.text in uids
        elif secret.kind is Kind.DATE and secret.text in shifted:
            is_found = False
        elif len(secret.text) < _SHORTEST and secret.text.isascii():
            words = _text_words(data) if words is None else words
            is_found = secret.text.casefold() in words
        else:
            is_found = any(form in whole or form.lower() in lowered for form in _forms(secret.text))
        if is_found:
            hits.add(secret)
    return hits


def _text_words(data: Dataset) -> set[str]:
    words: set[str] = set()
    for _, element in leaves(data):
        if element.VR in {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS"} and element.value:
            words.update(re.findall(r"[^\W_]+", str(element.value).casefold()))
    return words


def uids_of(before: list[tuple[Instance, Dataset]]) -> Uids:
    """Return what became of every UID and patient of the answers, in all delivered files of one case."""
    uids = Uids()
    for instance, after in before:
        for answer in instance.answers:
            if answer.action not in {Action.UID_CONSISTENT, Action.PATID_CONSISTENT}:
                continue
            elements = found(after, answer.path)
            if 0x0040A730 in answer.path:
                # Which of the content items this was cannot be told once others went.
                continue
            for element in elements:
                many = [element.value] if isinstance(element.value, str) else list(element.value or [])
                old = answer.value.split("\\")
                if answer.action is Action.PATID_CONSISTENT:
                    uids.patients.setdefault(answer.value, set()).add(str(element.value or ""))
                elif len(old) == len(many):
                    for one, other in zip(old, many, strict=True):
                        uids.replaced.setdefault(one, set()).add(str(other))
    return uids


@dataclass(slots=True)
class Pairs:
    """Days before and after, over all delivered files of one case."""

    moves: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By how many days → in how many values."""
    lost: int = 0

    def score(self) -> tuple[int, int]:
        """Return how many dates keep their distance to the others, of how many: the most common move is the move."""
        kept = max(self.moves.values(), default=0)
        return kept, sum(self.moves.values()) + self.lost


def days_of(delivered: list[tuple[Instance, Dataset]]) -> Pairs:
    """Compare the dates of a case that an option retains with what became of them; a lost one has no distance."""
    pairs = Pairs()
    for instance, after in delivered:
        for answer in instance.answers:
            if answer.action is not Action.DATE_SHIFTED or not answer.is_required:
                continue
            new = [str(element.value) for element in found(after, answer.path) if element.value]
            old_day, new_day = _day(answer.value), _day(new[0]) if new else None
            if old_day is None:
                continue
            if new_day is None or answer.value[8:].rstrip(".0") != new[0][8:].rstrip(".0"):
                pairs.lost += 1
            else:
                pairs.moves[(old_day - new_day).days] += 1
    return pairs


def _day(text: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return None


def references(delivered: list[tuple[Instance, Dataset]]) -> tuple[int, int]:
    """Return how many references between delivered files of a case still lead to the same file, of how many.

    A reference is any UID that named another instance, its series, its study or its frame of reference.
    """
    named: dict[str, tuple[int, Path]] = {}
    own = (0x00080018, 0x0020000E, 0x0020000D, 0x00200052)
    for index, (instance, _) in enumerate(delivered):
        for answer in instance.answers:
            if answer.action is Action.UID_CHANGED and answer.path in {(tag,) for tag in own}:
                named.setdefault(answer.value, (index, answer.path))
    kept = asked = 0
    for index, (instance, after) in enumerate(delivered):
        for answer in instance.answers:
            target = named.get(answer.value)
            if answer.action is not Action.UID_CHANGED or target is None or target == (index, answer.path):
                continue
            there = found(delivered[target[0]][1], target[1])
            here = found(after, answer.path)
            if not here and not answer.is_required:
                continue
            is_kept = bool(there) and any(str(one.value) == str(there[0].value) for one in here)
            if not is_kept and not answer.is_required and 0x0040A730 in answer.path:
                # The content item went, by Table E.3.4-1; another stands at its place.
                continue
            asked += 1
            kept += is_kept
    return kept, asked


def lost_types(before: Dataset, after: Dataset) -> tuple[int, int, list[Path]]:
    """Return how many required attributes (Type 1 and 2) of the original are still valid, of how many, and which not.

    Type 1 needs a value, Type 2 has to be there; everything there has to be valid for its VR, unless it was not before.
    """
    types = iod_types(str(before.SOPClassUID))
    kept = asked = 0
    lost: list[Path] = []
    for element in before:
        tag = int(element.tag)
        kind = types.type_of((), tag) if types is not None else None
        if kind not in {"1", "2"}:
            continue
        there = after.get(tag)
        asked += 1
        is_filled = there is not None and there.value is not None and str(there.value) != ""
        if (there is not None and kind == "2") or is_filled or (there is not None and not element.value):
            kept += 1
        else:
            lost.append((tag,))
    for path, element in leaves(after):
        if element.VR not in {"DA", "DT", "TM", "CS", "AS", "DS", "IS", "UI", "LO", "SH"} or not element.value:
            continue
        asked += 1
        if _is_valid(element.VR, element.value) or any(not _is_valid(one.VR, one.value) for one in found(before, path)):
            kept += 1
        else:
            lost.append(path)
    return kept, asked, lost


def _is_valid(vr: str, value: object) -> bool:
    many = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            for one in many:
                if one not in ("", None):
                    text = getattr(one, "original_string", one)
                    validate_value(vr, text if isinstance(text, str) else str(text), pydicom_config.RAISE)
        except (ValueError, UserWarning):
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a file says of its own de-identification, sentence by sentence: is it there, is it true."""

    true: int
    asked: int
    false: tuple[str, ...]


def marks_of(before: Dataset, after: Dataset, *, leaks: int, moves: set[int], has_dates: bool, drawn: bool) -> Marks:
    """Judge the markers (PS3.15 §E.1.1, CID 7050).

    ``leaks`` is how many identifiers the file still has; ``moves`` by how many days its dates went back; ``drawn``
    whether identifying text stands in its pixels.
    """
    false: list[str] = []
    asked = 0

    def say(sentence: str, *, holds: bool) -> None:
        nonlocal asked
        asked += 1
        if not holds:
            false.append(sentence)

    removed = str(after.get("PatientIdentityRemoved") or "")
    codes = {str(one.get("CodeValue")) for one in after.get("DeidentificationMethodCodeSequence") or []}
    # It speaks of attributes and pixels (PS3.3 C.7.1.1): NO is true of pixels that nobody claims to have looked at.
    is_cautious = removed == "NO" and "113101" not in codes and "Rows" in after
    say("Patient Identity Removed is YES, and it is", holds=is_cautious or (removed == "YES" and not leaks))
    say("the method is named", holds=bool(codes or after.get("DeidentificationMethod")))
    temporal = str(after.get("LongitudinalTemporalInformationModified") or "")
    state = "REMOVED" if not has_dates else "UNMODIFIED" if moves <= {0} else "MODIFIED"
    say("Longitudinal Temporal Information Modified says what happened", holds=temporal == state)
    modified, full = "113107" in codes, "113106" in codes
    if modified or full:
        say("the option on dates was executed", holds=state == ("MODIFIED" if modified else "UNMODIFIED"))
    if "113110" in codes:
        say("UIDs were retained", holds=after.get("SOPInstanceUID") == before.get("SOPInstanceUID"))
    if "113105" in codes:
        say("descriptors were cleaned", holds=not leaks)
    if "113104" in codes:
        say("structured content was cleaned", holds=bool(after.get("ContentSequence")))
    if "113111" in codes:
        has_private = any(element.tag.is_private for element in before)
        say("safe private elements were retained", holds=not has_private or any(e.tag.is_private for e in after))
    burned = str(after.get("BurnedInAnnotation") or "")
    if burned == "NO" or "113101" in codes:
        say("no text is burned in", holds=not drawn)
    return Marks(true=asked - len(false), asked=asked, false=tuple(false))
