"""Which decision an attribute meets: by Table E.1-1, its options and rules, then by tag, then by VR (PS3.15 §E.1.1)."""

from enum import IntEnum, auto
from functools import cache
from importlib.resources import files

from deidentify.actions import Action, resolved
from deidentify.codes import CODE_VALUE, LONG_CODE, MEANING, SCHEME
from deidentify.dictionary import TEXT_VRS, vr_table
from deidentify.forms import BINARY_VRS
from deidentify.identity import CHARSET_TAG
from deidentify.profile import Profile
from deidentify.rules import Path, RuleSet
from deidentify.tables import IodTypes


class Decision(IntEnum):
    """What is done with an attribute's values; each has one handler in the walk."""

    GONE = auto()
    """Removed, and nothing has to be said or checked: no IOD needs it there."""
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    KEEP = auto()
    CLEAN = auto()
    UID = auto()
    SAME = auto()
    RECOGNIZABLE = auto()
    CHARSET = auto()
    CODE_PART = auto()
    SCHEME = auto()
    WORDS = auto()
    TECHNICAL = auto()
    LABEL = auto()
    DENY = auto()
    BINARY = auto()
    RECURSE = auto()
    DATES = auto()
    CODE_STRING = auto()
    CODE_TERM = auto()
    """A code string that nothing requires: only words of terms stay."""
    NUMBER = auto()
    PRIVATE = auto()
    """A private element that the walk found to be known and safe."""


MARKERS = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303))
"""Written anew when the pixels have been screened."""
_RECOGNIZABLE = 0x00280302
PRIVATE_CHARACTERISTICS = 0x00080300
"""Private Data Element Characteristics Sequence: a vendor's words on elements that go; written anew for what stays."""
_ALWAYS_GONE = frozenset((0x00080001, 0xFFFCFFFC, 0xFFFAFFFA, 0x4FFE0001, PRIVATE_CHARACTERISTICS))
_GONE_GROUPS = frozenset((0x0000, 0x0002, 0x0004, 0x0400, 0x0006))
_ALLOWED_BYTES = frozenset((0x7FE00010, 0x00282000, 0x54001010, 0x54000110, 0x54000112, 0x5400100A))
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_FREE_TERMS = frozenset((0x00080008, 0x00089007))
"""Image Type and Frame Type: required, but manufacturers put into them what they like."""
_BY_ACTION = {
    Action.REMOVE: Decision.REMOVE,
    Action.EMPTY: Decision.EMPTY,
    Action.DUMMY: Decision.DUMMY,
    Action.KEEP: Decision.KEEP,
    Action.CLEAN: Decision.CLEAN,
    Action.UID: Decision.UID,
}
_BY_TEXT_RULE = {"words": Decision.WORDS, "technical": Decision.TECHNICAL, "label": Decision.LABEL}
_BY_VR = {
    "SQ": Decision.RECURSE,
    "UI": Decision.UID,
    "DA": Decision.DATES,
    "DT": Decision.DATES,
    "TM": Decision.DATES,
    "CS": Decision.CODE_TERM,
    "DS": Decision.NUMBER,
    "IS": Decision.NUMBER,
}


@cache
def text_rules() -> dict[int, str]:
    """Return tag → "words", "technical" or "label" of the text attributes outside Table E.1-1 that may stay."""
    text = files("deidentify.tables").joinpath("text_allowed.txt").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {int(row[0], 16): row[1] for row in rows}


def is_always_gone(tag: int) -> bool:
    """Tell whether an attribute goes whatever the profile says: private, curves, overlays, lengths, markers."""
    group = tag >> 16
    if group & 1 or group in _GONE_GROUPS or not tag & 0xFFFF:
        return True
    if group & 0xFF00 in {0x5000, 0x6000}:
        return True
    return tag in _ALWAYS_GONE or tag in MARKERS or tag == _RECOGNIZABLE


class Decisions:
    """The decisions of one profile for one IOD: made once for each path and tag, whatever the values are.

    ``rules`` are those that are about the instance; without them those that are about every instance.
    """

    MOST = 100_000

    def __init__(self, profile: Profile, types: IodTypes | None, rules: RuleSet | None = None) -> None:
        self.profile, self.types = profile, types
        self.rules = profile.always if rules is None else rules
        self._vrs = vr_table()
        self._keeps_private = "retain_safe_private" in profile.options
        self._made = 0
        self._by_path: dict[Path, dict[int, Decision]] = {}
        self._kept: dict[tuple[int, str, Path], bool] = {}

    def at(self, path: Path) -> dict[int, Decision]:
        """Return what was decided on this path so far; ask `decide` for a tag that is not there."""
        known = self._by_path.get(path)
        if known is None:
            if self._made > self.MOST:
                # Only files made to fill the memory have so many different attributes.
                self._by_path.clear()
                self._made = 0
            self._made += 1
            known = self._by_path[path] = {}
        return known

    def decide(self, tag: int, path: Path) -> Decision:
        """Return the decision for an attribute and remember it."""
        self._made += 1
        decision = self._decided(tag, path)
        if decision is Decision.REMOVE and not self.is_required(tag, path):
            decision = Decision.GONE
        self.at(path)[tag] = decision
        return decision

    def keeps(self, tag: int, vr: str, path: Path) -> bool:
        """Tell whether values of an attribute stay as they are, on purpose."""
        key = (tag, vr, path)
        known = self._kept.get(key)
        if known is None:
            if len(self._kept) > self.MOST:
                self._kept.clear()
            known = self._kept[key] = self.profile.keeps(tag, vr, path, self.rules)
        return known

    def is_private(self, tag: int) -> bool:
        """Tell whether a private element is decided by its creator."""
        return bool(tag >> 16 & 1) and self._keeps_private

    def is_required(self, tag: int, path: Path) -> bool:
        """Tell whether the IOD is known and needs a value of this attribute there."""
        return self.types is not None and tag not in MARKERS and self.types.type_of(path, tag) == "1"

    def type_of(self, tag: int, path: Path) -> str | None:
        """Return the Type of an attribute; "1" where PS3.3 does not tell, so that nothing required is lost."""
        if tag >> 16 & 1:
            return None
        return "1" if self.types is None else self.types.type_of(path, tag)

    def _decided(self, tag: int, path: Path) -> Decision:
        if tag == _RECOGNIZABLE and self.type_of(tag, path) == "1":
            return Decision.RECOGNIZABLE
        if self.is_private(tag):
            return Decision.PRIVATE
        if is_always_gone(tag):
            return Decision.REMOVE
        if tag == CHARSET_TAG:
            return Decision.CHARSET
        rule = self.rules.of(tag, self._vrs.get(tag), path)
        code = self.profile.base_code(tag) if rule is None else rule.action
        if code is None:
            return self._by_tag(tag, path) or self._by_vr(tag, path)
        return _BY_ACTION[self._resolved(code, tag, path)]

    def _resolved(self, code: str, tag: int, path: Path) -> Action:
        kind = self.type_of(tag, path)
        if self._vrs.get(tag) == "SQ":
            if code == Action.REMOVE:
                return Action.REMOVE
            # A dummy sequence belongs to the IODs that require it; in others the attribute is simply removed.
            if code == Action.DUMMY and kind in {None, "3"}:
                return Action.REMOVE
        return resolved(code, kind)

    def _by_tag(self, tag: int, path: Path) -> Decision | None:
        if tag in _PIXELS:
            return Decision.SAME if not path else Decision.REMOVE
        if tag in {CODE_VALUE, LONG_CODE, MEANING} and path:
            return Decision.CODE_PART
        return Decision.SCHEME if tag == SCHEME and path else None

    def _by_vr(self, tag: int, path: Path) -> Decision:
        vr = self._vrs.get(tag)
        if vr is None:
            return Decision.REMOVE
        if vr == "CS" and tag not in _FREE_TERMS and self.type_of(tag, path) in {"1", "1C"}:
            # What an object cannot do without is chosen by a machine, and without it the object means nothing.
            return Decision.CODE_STRING
        if vr in TEXT_VRS:
            return _BY_TEXT_RULE.get(text_rules().get(tag, ""), Decision.DENY)
        if self.profile.keeps_vr(vr):
            return Decision.KEEP
        if vr in BINARY_VRS or (vr == "OB" and tag in _ALLOWED_BYTES):
            return Decision.BINARY
        return _BY_VR.get(vr, Decision.DENY)
