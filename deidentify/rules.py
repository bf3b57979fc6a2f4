"""The rules of a profile: which elements of which instances they are about, and what happens to these.

Rules are read from top to bottom, and the last one that fits an element wins. What depends on the instance (modality,
SOP Class, conditions) is decided once for each instance, what depends on the element once for each attribute and path.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import re2

from deidentify.charsets import charset_of
from deidentify.dataset import ReceivedInstance, find, tag_text
from deidentify.forms import BINARY_OR_BYTES
from deidentify.vocabulary import folded

Path = tuple[int, ...]
"""Tags of the sequences around an attribute, the outermost first."""

_SOP_CLASS, _MODALITY, _CHARSET = 0x00080016, 0x00080060, 0x00080005
NEEDED_TO_READ = frozenset(
    (
        *(_CHARSET, _SOP_CLASS, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011),
        *(0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00281101, 0x00281102, 0x00281103),
        *(0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010),
    )
)
"""Without these nobody can read the rest of an object; no rule touches them."""
_NUMBERS = {"US": ("H", 2), "SS": ("h", 2), "UL": ("I", 4), "SL": ("i", 4), "FL": ("f", 4), "FD": ("d", 8)}
_NUMBERS |= {"UV": ("Q", 8), "SV": ("q", 8)}
"""VR → code and bytes of one number."""
_DIGITS = {"FL": 7, "FD": 15}
"""Decimal digits that a binary fraction is sure of."""
MOST_OF_A_PATTERN = 500
"""Characters of a regular expression."""
_MEMORY_OF_A_PATTERN = 1 << 17
"""Bytes; what needs more is refused: linear time says nothing of how much is done at each character."""
_LOOKED_AT = 10_240
"""Characters of a value that a regular expression sees, as many as Long Text (LT) may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """One tag, or those of a repeating group: digits that are not under the mask may be any."""

    value: int
    mask: int = 0xFFFFFFFF

    @classmethod
    def of(cls, text: str) -> "Tags | None":
        """Read "(gggg,eeee)", in which an x stands for any hexadecimal digit; None where it is none."""
        digits = text[1:5] + text[6:10]
        if len(text) != len("(gggg,eeee)") or (text[0], text[5], text[10]) != ("(", ",", ")"):
            return None
        value = mask = 0
        for digit in digits:
            if digit in "xX":
                value, mask = value << 4, mask << 4
            elif digit in "0123456789abcdefABCDEF":
                value, mask = value << 4 | int(digit, 16), mask << 4 | 0xF
            else:
                return None
        return cls(value=value, mask=mask)

    @property
    def is_exact(self) -> bool:
        """Whether it is one tag."""
        return self.mask == 0xFFFFFFFF  # noqa: PLR2004 - all digits

    def fits(self, tag: int) -> bool:
        """Tell whether it is the tag, or one of the group."""
        return tag & self.mask == self.value

    def __str__(self) -> str:
        """Write it as it is read."""
        digits = "".join(
            f"{self.value >> shift & 0xF:X}" if self.mask >> shift & 0xF else "x" for shift in range(28, -4, -4)
        )
        return f"({digits[:4]},{digits[4:]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateElements:
    """Private elements by their creator; of any group, element and VR where these are not told."""

    creator: str
    group: int | None = None
    element: int | None = None
    """The last two digits of the tag, in whatever block the creator stands."""
    vr: str = ""

    def fits(self, creator: str, group: int, element: int) -> bool:
        """Tell whether an element is one of them."""
        return (
            creator == self.creator
            and (self.group is None or group == self.group)
            and (self.element is None or element == self.element)
        )

    def __str__(self) -> str:
        """Write creator and element."""
        if self.group is None or self.element is None:
            return f'"{self.creator}"'
        return f'({self.group:04X},"{self.creator}",{self.element:02X})'


class _Compiled(Protocol):
    def search(self, text: str) -> object | None: ...


@cache
def compiled(pattern: str) -> _Compiled:
    """Return a regular expression that takes linear time whatever it is and looks at (RE2); letters of any case.

    Raises
    ------
    ValueError
        If it is no such expression.
    """
    options = re2.Options()
    options.log_errors, options.case_sensitive, options.max_mem = False, False, _MEMORY_OF_A_PATTERN
    try:
        made: _Compiled = re2.compile(pattern, options)
    except re2.error:
        raise ValueError("this is no regular expression (RE2)") from None
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What an attribute on the original's top level has to say."""

    tag: int
    kind: str
    """``is``, ``contains``, ``matches`` or ``present``."""
    values: tuple[str, ...] = ()
    """Folded, but for ``matches``; "true" or "false" for ``present``."""
    is_negated: bool = False

    def fits(self, received: ReceivedInstance) -> bool:
        """Tell whether the original says so; any value of several counts."""
        if self.kind == "present":
            return (_is_there(received, self.tag) is (self.values == ("true",))) is not self.is_negated
        return self._fits(_values(received, self.tag)) is not self.is_negated

    def _fits(self, values: list[str]) -> bool:
        if self.kind == "matches":
            seen = [value[:_LOOKED_AT] for value in values]
            return any(compiled(pattern).search(value) is not None for pattern in self.values for value in seen)
        plain = [folded(value) for value in values]
        if self.kind == "is":
            return any(value in self.values for value in plain)
        return any(part in value for part in self.values for value in plain)

    def __str__(self) -> str:
        """Write the condition without what it compares with: a site may have put a name there."""
        return f"{'not ' if self.is_negated else ''}{tag_text(self.tag)} {self.kind} …"


def numbers_of(value: bytes, vr: str, *, little: bool) -> list[str]:
    """Return binary numbers as text."""
    code, size = _NUMBERS.get(vr, ("", 0))
    if not size or len(value) % size:
        return []
    return [
        f"{number:.{_DIGITS[vr]}g}" if isinstance(number, float) else str(number)
        for number in struct.unpack(f"{'<' if little else '>'}{len(value) // size}{code}", value)
    ]


def _is_there(received: ReceivedInstance, tag: int) -> bool:
    """Tell whether a top level attribute has a value: an item, bytes in the file, or what is more than padding."""
    element = find(received.identified_elements, tag)
    if element is None:
        return False
    if element.items is not None or element.span is not None:
        return bool(element.items or element.span)
    is_binary = element.vr in BINARY_OR_BYTES or element.vr == "UN"
    return bool(element.value) if is_binary else bool(_values(received, tag))


def _values(received: ReceivedInstance, tag: int) -> list[str]:
    """Return the values of a top level attribute that say something (identified)."""
    element = find(received.identified_elements, tag)
    if element is None or element.span is not None or element.items is not None:
        return []
    if element.vr in _NUMBERS:
        return numbers_of(element.value, element.vr, little=received.encoding.little)
    charset = find(received.identified_elements, _CHARSET)
    text = charset_of(charset.value if charset else b"").decode(element.value)
    return [value for value in (part.strip(" \0") for part in text.split("\\")) if value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of some elements, and why. Exactly one of ``tags``, ``vrs`` and ``private`` says of which."""

    action: str
    reason: str
    tags: Tags | None = None
    vrs: frozenset[str] = frozenset()
    private: PrivateElements | None = None
    inside: Path | None = None
    """The sequences that have to be around it, the outermost first; none of them: top level; None: anywhere."""
    modalities: frozenset[str] = frozenset()
    sop_classes: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()
    place: str = field(default="", compare=False)
    """Where it stands, for people: "line 12", or "teaching, line 9" for one of the base."""
    instead_of: str = field(default="", compare=False)
    """What a line of a recipe that keeps stands in place of; empty for all other rules."""

    @property
    def is_conditional(self) -> bool:
        """Whether it is about some instances only."""
        return bool(self.modalities or self.sop_classes or self.conditions)

    def fits_instance(self, received: ReceivedInstance) -> bool:
        """Tell whether it is about this instance."""
        if self.modalities and received.text(_MODALITY).upper() not in self.modalities:
            return False
        if self.sop_classes and received.text(_SOP_CLASS) not in self.sop_classes:
            return False
        return all(condition.fits(received) for condition in self.conditions)

    def fits(self, tag: int, vr: str | None, path: Path) -> bool:
        """Tell whether it is about a public attribute on this path."""
        if self.tags is not None:
            if not self.tags.fits(tag):
                return False
        elif vr is None or vr not in self.vrs:
            return False
        # Who writes a group or a kind does not mean what holds the object together.
        if tag in NEEDED_TO_READ and (self.tags is None or not self.tags.is_exact):
            return False
        return self.inside is None or is_inside(path, self.inside)

    @property
    def subject(self) -> str:
        """What it is about, as it is written."""
        if self.private is not None:
            return str(self.private)
        return str(self.tags) if self.tags is not None else ", ".join(sorted(self.vrs))


def is_inside(path: Path, inside: Path) -> bool:
    """Tell whether the innermost sequences of a path are these; none at all means the top level."""
    return path[len(path) - len(inside) :] == inside and len(path) >= len(inside) if inside else not path


class RuleSet:
    """Rules that fit an instance, made ready to be asked for one attribute after the other."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self._exact: dict[int, list[int]] = {}
        self._others: list[int] = []
        self._private: list[Rule] = []
        for number, rule in enumerate(self.rules):
            if rule.private is not None:
                self._private.append(rule)
            elif rule.tags is not None and rule.tags.is_exact:
                self._exact.setdefault(rule.tags.value, []).append(number)
            else:
                self._others.append(number)

    def of(self, tag: int, vr: str | None, path: Path) -> Rule | None:
        """Return the last rule that is about an attribute on this path."""
        numbers = [*self._exact.get(tag, ()), *self._others]
        rules = (self.rules[number] for number in sorted(numbers, reverse=True))
        return next((rule for rule in rules if rule.fits(tag, vr, path)), None)

    def of_private(self, creator: str, group: int, element: int, path: Path) -> Rule | None:
        """Return the last rule that is about a private element on this path."""
        for rule in reversed(self._private):
            if rule.private is None or not rule.private.fits(creator, group, element):
                continue
            if rule.inside is None or is_inside(path, rule.inside):
                return rule
        return None

    @property
    def creators(self) -> frozenset[str]:
        """Private Creators that a rule names."""
        return frozenset(rule.private.creator for rule in self._private if rule.private is not None)
