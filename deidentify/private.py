"""Private elements that Table E.3.10-1 names as safe (PS3.15 §E.3.10, Retain Safe Private Option).

An element is known by its creator, its group and the last two digits of its tag, in whatever block the creator stands,
and by its VR. All others go. Bytes that nobody here can read (OB, OW, and rows without a VR) go too, although they are
listed: some hold whole images, which no pixel screen has seen.
"""

from functools import cache

from deidentify.actions import Action
from deidentify.dataset import Element, Encoding
from deidentify.parser import DEEPEST, hidden_items
from deidentify.rules import Path, RuleSet
from deidentify.tables import safe_private_rows

_BLOCKS = range(0x10, 0x100)
_FORBIDDEN_GROUPS = frozenset((0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF))
_UNREADABLE_VRS = frozenset(("", "OB", "OW", "OW/OB"))
_RULED_VRS = frozenset(
    ("US", "SS", "UL", "SL", "FL", "FD", "AT", "DS", "IS", "CS", "LO", "SH", "ST", "LT", "UT", "UC", "UI", "SQ")
)
_WORD_SIZES = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8}


@cache
def _readable_rows() -> dict[tuple[str, int, int], str]:
    return {key: vr for key, vr in safe_private_rows().items() if vr not in _UNREADABLE_VRS}


@cache
def _creators() -> frozenset[str]:
    return frozenset(creator for creator, _, _ in _readable_rows())


def is_private_creator(tag: int) -> bool:
    """Tell whether a tag is that of a Private Creator (gggg,00bb)."""
    return tag & 0xFFFF in _BLOCKS


def safe_private_only(elements: list[Element], encoding: Encoding, path: Path, rules: RuleSet) -> list[Element]:
    """Return one level without the private elements that are not known to be safe; the list itself if there are none.

    Known are those of the table and those that a rule keeps, unless a rule removes them. What stays has the VR of the
    table or rule; a sequence that was hidden in UN has become one. Creators stay with what they name, never alone.
    """
    private = [element for element in elements if element.tag >> 16 & 1]
    if not private:
        return elements
    names = _names_of_blocks(private, _creators() | rules.creators)
    safe: dict[int, Element] = {}
    used: set[int] = set()
    for element in private:
        block = element.tag & 0xFFFF0000 | (element.tag & 0xFFFF) >> 8
        vr = _vr_of(element, names.get(block, ""), rules, path)
        known = _as_table_says(element, vr, encoding, len(path)) if vr is not None else None
        if known is not None:
            safe[id(element)] = known
            used.add(block)
    for element in private:
        if element.tag in used and element.tag in names:
            safe[id(element)] = Element(element.tag, "LO", names[element.tag].encode())
    return [safe.get(id(element), element) for element in elements if not element.tag >> 16 & 1 or id(element) in safe]


def _vr_of(element: Element, creator: str, rules: RuleSet, path: Path) -> str | None:
    """Return the VR of a private element that is known to be safe; None for one that is not."""
    group, offset = element.tag >> 16, element.tag & 0xFF
    rule = rules.of_private(creator, group, offset, path) if creator else None
    listed = _readable_rows().get((creator, group, offset))
    if rule is None or rule.private is None:
        return listed
    if rule.action != Action.KEEP:
        return None
    # What a rule keeps without saying its VR has that of the table, else its own, where somebody can read that.
    vr = rule.private.vr or listed or ("SQ" if element.items is not None else element.vr)
    return vr if vr in _RULED_VRS else None


def _names_of_blocks(private: list[Element], creators: frozenset[str]) -> dict[int, str]:
    """Return tag of the creator → known creator; a block that two claim is nobody's."""
    names: dict[int, str] = {}
    claimed: set[int] = set()
    for element in private:
        if not is_private_creator(element.tag) or element.tag >> 16 in _FORBIDDEN_GROUPS:
            continue
        name = element.value.decode("latin-1").strip(" \0")
        if element.tag in claimed:
            names.pop(element.tag, None)
        elif name in creators and element.vr in {"LO", "UN"}:
            names[element.tag] = name
        claimed.add(element.tag)
    return names


def _as_table_says(element: Element, vr: str, encoding: Encoding, depth: int) -> Element | None:
    """Return the element under the table's VR; None for one of another VR, or in which something else is hidden."""
    if element.span is not None or (element.vr not in {vr, "UN"} and element.items is None):
        return None
    if vr == "SQ":
        if element.items is not None:
            return element
        items = hidden_items(element.value, encoding) if depth < DEEPEST else None
        return None if items is None else Element(element.tag, "SQ", items=items)
    size = _WORD_SIZES.get(vr, 1)
    # Words in UN are little endian (PS3.5 §6.2.2); in a big endian file they would have to be turned.
    is_turned = element.vr != vr and size > 1 and not encoding.little
    if element.items is not None or is_turned or len(element.value) % size:
        return None
    return element if element.vr == vr else Element(element.tag, vr, element.value)
