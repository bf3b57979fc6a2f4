"""What the key says of everything that nobody planted: values that stay, dates, UIDs, pixels."""

import hashlib
import random
import re

from pydicom import DataElement, Dataset
from pydicom.uid import UID_dictionary

from benchmarks.midib.key import Action, Answer, Path, leaves
from benchmarks.midib.planting import value_text
from deidentify.concepts import standard_meaning
from deidentify.tables import attribute_rows, concept_rows, iod_types

__all__ = ["MOST_KEPT", "NOT_IN_TABLE", "answers_of", "pixel_digest"]

NOT_IN_TABLE = "not in Table E.1-1, and says nothing of anybody"

MOST_KEPT = 300
"""Values of one file that are asked for; an enhanced object has thousands of the same kind."""

_NUMERIC = frozenset(("DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"))
_TEXT = frozenset(("LO", "SH", "ST", "LT", "UT", "UC"))
_STRUCTURAL = frozenset((0x00080016, 0x00081150, 0x0008115A, 0x00080062, 0x0008001A, 0x0008001B))
_CONTENT = 0x0040A730
_REWRITTEN = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280302, 0x00280303, 0x00080005))
"""Markers and the character set."""
_CODES = frozenset((0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120))
_CODE_MEANING = 0x00080104
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# What the corpus itself has in text attributes and nobody can call a technical value: contacts, places in the web.
_ODD_TEXT = re.compile(r"@|://|\d{6}|[^\x20-\x7e]")
_PUBLIC = frozenset(("DCM", "SCT", "SRT", "UCUM", "LN", "RADLEX", "FMA", "NCIt", "SNM3", "99SDM"))


def answers_of(data: Dataset, planted: set[Path], rng: random.Random) -> list[Answer]:
    """Return the answers for one generated data set beside those for what was planted."""
    kept: list[Answer] = []
    others: list[Answer] = []
    own = _own_words(data)
    for path, element in leaves(data):
        if path in planted or any(path[: len(other)] == other for other in planted if len(other) < len(path)):
            continue
        tag = path[-1]
        if not isinstance(tag, int) or path[0] in _REWRITTEN or _is_private(path):
            continue
        if tag >> 16 in {0x0002, 0x0004, 0x0400} or _is_repeating(tag):
            continue
        if element.VR in {"DA", "DT"}:
            others += _date(path, element)
        elif element.VR == "UI":
            others += _uids(data, path, element)
        elif (answer := _value(data, path, element, own)) is not None:
            kept.append(answer)
    if len(kept) > MOST_KEPT:
        kept = rng.sample(kept, MOST_KEPT)
    return [*kept, *others, *_whole(data)]


def _is_private(path: Path) -> bool:
    return any(isinstance(step, tuple) for step in path)


def _is_repeating(tag: int) -> bool:
    return tag >> 24 in {0x50, 0x60} or tag in {0xFFFCFFFC, 0xFFFAFFFA} or not tag & 0xFFFF


def _removable(path: Path) -> bool:
    """Tell whether a sequence around an element may be removed by the Basic Profile or an option not executed."""
    for step in path[:-1]:
        if isinstance(step, int) and step > 0xFFFF and step != _CONTENT:
            row = attribute_rows().get(step)
            if row is not None and row.basic not in {"K", "U"}:
                return True
    return False


def _concept_is_listed(data: Dataset, path: Path) -> bool:
    """Tell whether a content item around an element is one that Table E.3.4-1 removes or replaces."""
    at = data
    for step, number in zip(path[::2], path[1::2], strict=False):
        at = at[step].value[number]  # type: ignore[index]
        names = at.get("ConceptNameCodeSequence") if step == _CONTENT else None
        if names and (str(names[0].get("CodingSchemeDesignator")), str(names[0].get("CodeValue"))) in concept_rows():
            return True
    return False


def _value(  # noqa: PLR0911 - a list of cases
    data: Dataset, path: Path, element: DataElement, own: set[str]
) -> Answer | None:
    tag = path[-1]
    if tag in attribute_rows() or _removable(path) or not element.value or _concept_is_listed(data, path):
        return None
    text, words, or_else = value_text(element), (), ()
    if tag in _CODES:
        if not _is_public_code(data, path) or _ODD_TEXT.search(text.replace("\\", "")):
            return None
        or_else = _standard_meanings(data, path) if tag == _CODE_MEANING else ()
    elif element.VR in {"DS", "IS"}:
        if not all(_NUMBER.fullmatch(part) for part in text.split("\\") if part):
            return None
    elif element.VR == "CS":
        if not all(_CODE_STRING.fullmatch(part) for part in text.split("\\") if part):
            return None
    elif element.VR in _TEXT:
        parts = re.findall(r"[^\W_]+", text)
        if _ODD_TEXT.search(text) or own.intersection(part.lower() for part in parts) or _CONTENT in path:
            return None
        words = tuple(parts)
    elif element.VR not in _NUMERIC:
        return None
    return Answer(
        action=Action.TEXT_RETAINED,
        path=path,
        value=text,
        or_else=or_else,
        words=words,
        why=NOT_IN_TABLE,
    )


def _item_of(data: Dataset, path: Path) -> Dataset:
    at = data
    for step, number in zip(path[:-1:2], path[1::2], strict=False):
        at = at[step].value[number]  # type: ignore[index]
    return at


def _is_public_code(data: Dataset, path: Path) -> bool:
    return str(_item_of(data, path).get("CodingSchemeDesignator")) in _PUBLIC


def _standard_meanings(data: Dataset, path: Path) -> tuple[str, ...]:
    code = _item_of(data, path)
    meaning = standard_meaning(str(code.get("CodingSchemeDesignator")), str(code.get("CodeValue")))
    return (meaning,) if meaning else ()


def _own_words(data: Dataset) -> set[str]:
    """Return the words of the persons, places and numbers in the header, of whom no text is held to be useful."""
    words: set[str] = set()
    for tag, row in attribute_rows().items():
        if tag in data and row.vr in {"PN", "LO", "SH"} and not row.options.get("clean_descriptors"):
            words.update(word.lower() for word in re.findall(r"[^\W_]+", str(data[tag].value)))
    return words


def _date(path: Path, element: DataElement) -> list[Answer]:
    tag = path[-1]
    row = attribute_rows().get(tag) if isinstance(tag, int) else None
    if not element.value or element.VM > 1 or not re.match(r"\d{8}", str(element.value)):
        return []
    stays = row is None or row.options.get("retain_longitudinal_modified_dates") == "C"
    return [
        Answer(
            action=Action.DATE_SHIFTED,
            path=path,
            value=str(element.value),
            why="§E.3.6 Retain Longitudinal Temporal Information, modified dates" if stays else "Table E.1-1",
            is_required=stays and not _removable(path),
        )
    ]


def _uids(data: Dataset, path: Path, element: DataElement) -> list[Answer]:
    tag = path[-1]
    row = attribute_rows().get(tag) if isinstance(tag, int) else None
    many = [element.value] if isinstance(element.value, str) else list(element.value or [])
    if (
        tag in _STRUCTURAL
        or not many
        or any(not one or one in UID_dictionary or one.startswith("1.2.840.10008.") for one in many)
    ):
        return []
    value = "\\".join(str(one) for one in many)
    required = row is not None and row.basic == "U" and not _removable(path) and not _concept_is_listed(data, path)
    return [
        Answer(action=action, path=path, value=value, why="Table E.1-1, U; §E.3.9", is_required=required)
        for action in (Action.UID_CHANGED, Action.UID_CONSISTENT)
    ]


def _whole(data: Dataset) -> list[Answer]:
    """Return the answers about an instance as a whole: patient, required attributes, pixels."""
    why = "§E.1.1: consistent within the set"
    made = [Answer(action=Action.PATID_CONSISTENT, path=(0x00100020,), value=str(data.PatientID), why=why)]
    types = iod_types(str(data.SOPClassUID))
    for element in data:
        tag = int(element.tag)
        kind = types.type_of((), tag) if types is not None else None
        if kind in {"1", "2"} and tag not in _REWRITTEN and tag not in {0x7FE00010, 0x7FE00008, 0x7FE00009}:
            action = Action.TEXT_NOTNULL if kind == "1" and not _is_empty(element) else Action.TAG_RETAINED
            made.append(Answer(action=action, path=(tag,), why=f"PS3.3: Type {kind} in this IOD"))
    digest = pixel_digest(data)
    if digest:
        made.append(
            Answer(action=Action.PIXELS_RETAINED, path=(0x7FE00010,), value=digest, why="nothing is drawn there")
        )
    return made


def _is_empty(element: DataElement) -> bool:
    return element.value is None or (hasattr(element.value, "__len__") and not len(element.value))


def pixel_digest(data: Dataset) -> str:
    """Return a digest of the pixel data as it is encoded, without the padding byte; empty without pixels."""
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        value = data.get(keyword)
        if value:
            return hashlib.sha256(bytes(value).rstrip(b"\0")).hexdigest()
    return ""
