"""Which attributes a field of a `deid` recipe is about: names, tags, expanders, lists, private elements."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from deidentify.dictionary import vr_table
from deidentify.recipe_text import ActionLine
from deidentify.tables import attribute_rows

NAMING_VRS = frozenset(("AE", "AS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"))
"""VRs of values that can say who somebody is, or when; what "all fields" is taken to mean outside Table E.1-1."""
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?|([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})")
_PRIVATE = re.compile(r'\(?([0-9A-Fa-f]{3}[13579bdfBDF]),"([^"]+)",([0-9A-Fa-f]{2})\)?')
_EXPANDER = re.compile(r'([^:"]*):(.*)', re.DOTALL)
# An expression is a regular one in the package; of these only words and the bar between them are understood here.
_LITERALS = re.compile(r"[\w ',-]+(?:\|[\w ',-]+)*", re.ASCII)
_EXPRESSIONS = {"contains": "(?:{})", "except": "(?:{})", "startswith": "^(?:{})", "endswith": "(?:{})$"}
_DEEPEST_LIST = 1
EXPANDERS = "all, contains, endswith, except, select, startswith"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateField:
    """One private element, by its creator."""

    group: int
    creator: str
    element: int

    def __str__(self) -> str:
        """Write it as recipes do."""
        return f'({self.group:04X},"{self.creator}",{self.element:02X})'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The attributes that a field stands for."""

    tags: frozenset[int] = frozenset()
    inside: tuple[int, ...] = ()
    """The sequences around the attribute, where the field names them."""
    private: tuple[PrivateField, ...] = ()
    is_broad: bool = False
    """All fields, or all but some: nobody has thought of each of them."""
    why_none: str = ""
    """Why it cannot be told which attributes these are."""


@cache
def _names() -> dict[int, tuple[str, ...]]:
    """Return tag → what expanders look at: keyword, name, and the tag in two spellings; all in small letters."""
    return {
        tag: (entry[4].lower(), entry[2].lower(), f"({tag >> 16:04x},{tag & 0xFFFF:04x})", f"{tag:08x}")
        for tag, entry in DicomDictionary.items()
        if not tag >> 16 & 1
    }


@cache
def _lines_of_names() -> dict[int, str]:
    return {tag: "\n".join(names) for tag, names in _names().items()}


@cache
def _tags_by_name() -> dict[str, int]:
    found: dict[str, int] = {}
    for tag, (keyword, name, _, _) in _names().items():
        for spelling in (keyword, name):
            if spelling:
                found.setdefault(spelling, tag)
    return found


@cache
def _repeating_keywords() -> frozenset[str]:
    return frozenset(entry[4].lower() for entry in RepeatersDictionary.values())


def is_expander(text: str) -> bool:
    """Tell whether a field stands for as many attributes as fit it."""
    return text.lower() in {"all", "allfields"} or _EXPANDER.fullmatch(text) is not None


def fields_of(text: str, lists: Mapping[str, list[ActionLine]], depth: int = 0) -> Fields:
    """Return what a field stands for.

    Parameters
    ----------
    text
        As in the recipe: a keyword, a tag, a private element, an expander, or a list by its name.
    lists
        The sections %fields, by name.
    depth
        How many lists the field stands in.
    """
    if text.startswith("values"):
        return Fields(why_none="which attributes these are depends on the values of others")
    if text.startswith("fields"):
        return _listed(text.removeprefix("fields:"), lists, depth)
    if text.lower() in {"all", "allfields"}:
        return _all_but(frozenset())
    if private := _PRIVATE.fullmatch(text):
        return _private_of(private)
    if match := _EXPANDER.fullmatch(text):
        return _expanded(match[1].lower(), match[2])
    return _named(text)


def _all_but(tags: frozenset[int]) -> Fields:
    """Return what may say who somebody is; numbers and codes that only describe the image are not meant by "all"."""
    vrs, rows = vr_table(), attribute_rows()
    known = (set(_names()) | set(rows)) - tags
    return Fields(tags=frozenset(tag for tag in known if vrs.get(tag) in NAMING_VRS or tag in rows), is_broad=True)


def _private_of(match: re.Match[str]) -> Fields:
    return Fields(private=(PrivateField(group=int(match[1], 16), creator=match[2], element=int(match[3], 16)),))


def _listed(name: str, lists: Mapping[str, list[ActionLine]], depth: int) -> Fields:
    if name not in lists or depth >= _DEEPEST_LIST:
        return Fields(why_none=f"there is no section '%fields {name}'" if depth == 0 else "a list cannot name a list")
    parts = [fields_of(line.field, lists, depth + 1) for line in lists[name]]
    known = [part for part in parts if not part.why_none]
    if not known:
        return Fields(why_none=f"no entry of '%fields {name}' is an attribute")
    return Fields(
        tags=frozenset[int]().union(*(part.tags for part in known)),
        private=tuple(one for part in known for one in part.private),
        is_broad=any(part.is_broad for part in known),
    )


def _named(text: str) -> Fields:
    *around, name = text.split("__")
    path = [_tag_of(step) for step in around]
    tag = _tag_of(name)
    if tag is not None and None not in path:
        return Fields(tags=frozenset((tag,)), inside=tuple(step for step in path if step is not None))
    if name.lower() in _repeating_keywords() and not around:
        # Drawings and retired groups: no profile keeps them, so that no tag of theirs has to be told.
        return Fields(tags=frozenset((0x60000000,)))
    return Fields(why_none="no attribute of the Standard has this keyword")


def _tag_of(text: str) -> int | None:
    if match := _TAG.fullmatch(text):
        return int((match[1] or match[3]) + (match[2] or match[4]), 16)
    return _tags_by_name().get(text.lower())


def _expanded(expander: str, expression: str) -> Fields:
    if expander == "select":
        return _selected(expression)
    if expander not in _EXPRESSIONS:
        return Fields(why_none=f"there is no such expander; there are: {EXPANDERS}")
    if private := _PRIVATE.fullmatch(expression):
        named = Fields(why_none="a private element is named by itself")
        return _private_of(private) if expander == "contains" else named
    literal = re.sub(r"\A\(([0-9A-Fa-f]{4},[0-9A-Fa-f]{4})\)\Z", r"\1", expression).lower()
    if not _LITERALS.fullmatch(literal):
        return Fields(why_none="the expression is more than words with | between them; name the attributes instead")
    parts = literal.split("|")
    # Of many attributes with several names each: one look at all names of one, a name a line.
    fits = re.compile(_EXPRESSIONS[expander].format("|".join(map(re.escape, parts))), re.MULTILINE).search
    tags = frozenset(tag for tag, names in _lines_of_names().items() if fits(names))
    if expander == "except":
        return _all_but(tags)
    return Fields(tags=tags) if tags else _unless_private(parts)


def _unless_private(parts: list[str]) -> Fields:
    """Return nothing, but private groups where their number is meant: they go without anybody naming them."""
    groups = [int(part, 16) for part in parts if re.fullmatch(r"[0-9a-f]{3}[13579bdf]", part)]
    if len(groups) == len(parts):
        return Fields(tags=frozenset(group << 16 | 0x1000 for group in groups))
    return Fields(why_none="no attribute of the Standard fits")


def _selected(expression: str) -> Fields:
    kind, _, value = expression.partition(":")
    if kind.upper() == "VR":
        vr = value[:2].upper()
        tags = frozenset(tag for tag in _names() if vr_table().get(tag) == vr)
        return Fields(tags=tags, is_broad=True) if tags else Fields(why_none="there is no attribute of this VR")
    if kind.upper() == "GROUP" and re.fullmatch(r"[0-9A-Fa-f]{1,4}", value):
        group = int(value, 16)
        if group & 1:
            return Fields(tags=frozenset((group << 16 | 0x1000,)))
        tags = frozenset(tag for tag in _names() if tag >> 16 == group)
        return Fields(tags=tags, is_broad=True) if tags else Fields(why_none="there is no attribute of this group")
    return Fields(why_none="select takes VR or group: 'select:VR:TM', 'select:group:0018'")
