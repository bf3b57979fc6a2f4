"""Header actions of a `deid` recipe as rules that only tighten the Basic Profile, unless somebody says why not.

In the package KEEP wins over everything, REMOVE leaves alone what REPLACE or JITTER name, and all else is done in the
order of the file. Here the strictest of what is asked for an attribute becomes its rule, and where the Basic Profile is
as strict already, there is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags, vr_table
from deidentify.errors import ProfileError
from deidentify.recipe_base import (
    GONE,
    NEEDED,
    PATIENT_ID,
    PATIENT_NAME,
    REMOVED,
    SHIFTED_VRS,
    base_code,
    why_not_kept,
)
from deidentify.recipe_fields import Fields, PrivateField, fields_of, is_expander
from deidentify.recipe_text import ActionLine, Recipe
from deidentify.translation import Outcome, one_line, yaml_rule

MOST_EXPANDERS = 100
"""Lines that are about as many attributes as fit."""
_IDENTITY_REMOVED = 0x00120062
_ENOUGH = {
    "X": REMOVED,
    "Z": REMOVED | {"Z"},
    "Z/D": REMOVED | {"Z", "Z/D", "D", "U", "X/Z/U*"},
}
"""Wanted action → what the Basic Profile may have so that nothing is left to do."""
_STRICTNESS = ("K", "Z/D", "Z", "X/Z/U*", "X")
_PROGRAMS = ("func:", "deid_func:", "var:")
LAST_SEARCH = "the last search holds an instance in which the patient's own identifiers are found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one attribute gets, and by which line."""

    action: str
    number: int
    reason: str


@dataclass(slots=True, kw_only=True)
class HeaderRules:
    """Collects the rules; ``told`` says of each line what became of it."""

    recipe: Recipe
    allow_loosening: str = ""
    told: dict[int, tuple[Outcome, str]] = field(default_factory=dict)
    rulings: dict[tuple[tuple[int, ...], int], Ruling] = field(default_factory=dict)
    private: dict[PrivateField, Ruling] = field(default_factory=dict)
    loosened: list[int] = field(default_factory=list)
    """Lines that keep what the Basic Profile would not."""
    lists_used: set[str] = field(default_factory=set)
    keeps_private: bool = False
    """Whether private elements are kept, on purpose."""
    _kept: set[int] = field(default_factory=set)
    _changed: set[int] = field(default_factory=set)

    def collect(self) -> None:
        """Translate all lines of the header.

        Raises
        ------
        ProfileError
            If more of them are expanders than anybody writes.
        """
        listed = [line for lines in self.recipe.fields.values() for line in lines]
        expanders = [line.number for line in (*self.recipe.header, *listed) if is_expander(line.field)]
        if len(expanders) > MOST_EXPANDERS:
            number = expanders[MOST_EXPANDERS]
            raise ProfileError(f"line {number}: more than {MOST_EXPANDERS} fields are expanders; name attributes")
        named = {line.field for line in self.recipe.header}
        found_of = {text: fields_of(text, self.recipe.fields) for text in named}
        lines = [(line, found_of[line.field]) for line in self.recipe.header]
        for line, found in lines:
            self._note(line, found)
        for line, found in lines:
            self.told[line.number] = self._line(line, found)

    def _note(self, line: ActionLine, found: Fields) -> None:
        """Note what wins over other lines, wherever it stands; lists do not, in the package as well."""
        if line.field.startswith(("fields", "values")):
            return
        if line.action == "KEEP" and line.field.lower() != "allfields":
            self._kept |= found.tags
            self.keeps_private = self.keeps_private or bool(found.private and self.allow_loosening)
        elif line.action == "REPLACE" and not _is_left_to_programs(line, found):
            self._changed |= found.tags
        elif line.action == "JITTER":
            self._changed |= {tag for tag in found.tags if vr_table().get(tag) in SHIFTED_VRS | {"TM"}}

    def to_yaml(self) -> list[str]:
        """Return the rules in the order of the lines that ask for them, kinds of values first."""
        folded, rest = self._folded()
        rules = [
            yaml_rule({"vr": sorted(vrs)}, "X", f"{self._reason(number)}.") for number, vrs in sorted(folded.items())
        ]
        if folded:
            pseudonym = "Whoever takes all values of a kind still gets the pseudonym of the case here."
            rules += [yaml_rule({"tag": tag_text(tag)}, "Z", pseudonym) for tag in (PATIENT_NAME, PATIENT_ID)]
        keywords = _keywords()
        for (inside, tag), ruling in sorted(rest.items(), key=lambda one: (one[1].number, one[0])):
            where = {"keyword": keywords[tag]} if tag in keywords else {"tag": tag_text(tag)}
            path = [keywords.get(step) or tag_text(step) for step in inside]
            rules.append(yaml_rule(where, ruling.action, ruling.reason, inside=path))
        for one, ruling in self.private.items():
            element: dict[str, object] = {
                "private": {"creator": one.creator, "element": f"({one.group:04X},xx{one.element:02X})"}
            }
            rules.append(yaml_rule(element, ruling.action, ruling.reason))
        return rules

    def _folded(self) -> tuple[dict[int, set[str]], dict[tuple[tuple[int, ...], int], Ruling]]:
        """Return line → VRs of which it removes all there are, and the rules that are left."""
        by_vr: dict[str, set[int]] = {}
        for tag, vr in vr_table().items():
            is_special = vr == "UI" or tag in NEEDED or tag in {PATIENT_NAME, PATIENT_ID}
            if not is_special and base_code(tag) not in REMOVED:
                by_vr.setdefault(vr, set()).add(tag)
        folded: dict[int, set[str]] = {}
        rest = dict(self.rulings)
        for vr, tags in by_vr.items():
            mine = [self.rulings.get(((), tag)) for tag in tags]
            if len(tags) > 1 and all(ruling is not None and ruling.action == "X" for ruling in mine):
                number = max(ruling.number for ruling in mine if ruling is not None)
                folded.setdefault(number, set()).add(vr)
                for tag in tags:
                    del rest[(), tag]
        return folded, rest

    def _line(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        if line.action == "ADD":
            return _added(found)
        if line.field.startswith("values") or (line.value or "").startswith("values:"):
            return Outcome.NOT_TRANSLATED, f"what a value is found in cannot be a rule; {LAST_SEARCH}"
        if line.action == "JITTER" or (line.action == "REPLACE" and (line.value or "").startswith("deid_func:jitter")):
            return _jittered(line, found)
        if found.why_none:
            return Outcome.NOT_TRANSLATED, found.why_none
        if line.action == "KEEP":
            return self._keep(line, found)
        return self._tighten(line, found)

    def _tighten(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        value = line.value or ""
        if _is_left_to_programs(line, found):
            sentence = "a program, or the value itself, would decide for each attribute; the base treats each anyway"
            return Outcome.NOT_TRANSLATED, sentence
        wanted = {"REMOVE": "X", "BLANK": "Z", "REPLACE": "Z/D"}[line.action]
        wins = self._changed if line.action == "REMOVE" else set()
        counts: dict[str, list[int]] = {}
        for tag in sorted(found.tags):
            counts.setdefault(self._ruled(line, wanted, tag, found.inside, wins), []).append(tag)
        said = [_COUNTED[kind].format(_listed(tags)) for kind, tags in counts.items() if kind != "rule"]
        if found.private:
            said.append(self._without_private(line, found))
        if found.is_broad and not line.field.lower().startswith("select"):
            said.append("numbers, codes and sequences outside Table E.1-1 are not meant: the base decides")
        if "rule" in counts:
            said.insert(0, f"{_action_of(counts['rule'], wanted)} for {_listed(counts['rule'])}")
        if line.action == "REMOVE" and value.startswith(_PROGRAMS):
            said.append("in every case: a rule asks no function")
        elif line.action == "REPLACE":
            said.append("the new value is not written, a profile writes none of its own")
        outcome = Outcome.RULE if "rule" in counts or (found.private and self.keeps_private) else Outcome.SAME
        if set(counts) == {"needed"}:
            outcome = Outcome.NOT_TRANSLATED
        return outcome, "; ".join(said)

    def _without_private(self, line: ActionLine, found: Fields) -> str:
        if not self.keeps_private:
            return "private elements go, whoever named them"
        for one in found.private:
            reason = f"{self._reason(line.number)}: {line.action} {one_line(line.field, most=80)}."
            self.private.setdefault(one, Ruling(action="X", number=line.number, reason=reason))
        return "X for this private element"

    def _ruled(self, line: ActionLine, wanted: str, tag: int, inside: tuple[int, ...], wins: set[int]) -> str:
        """Make the rule for one attribute, if one is needed, and return which case it is."""
        base = base_code(tag)
        action = "X/Z/U*" if vr_table().get(tag) == "UI" and wanted != "Z/D" else wanted
        known = self.rulings.get((inside, tag)) or self.rulings.get(((), tag))
        cases = (
            (tag in {PATIENT_NAME, PATIENT_ID}, "pseudonym"),
            (base == GONE, "same"),
            (tag in NEEDED, "needed"),
            (tag in self._kept, "kept"),
            (tag in wins, "changed"),
            (base in _ENOUGH[wanted] or base == action, "same"),
            (known is not None and _STRICTNESS.index(known.action) >= _STRICTNESS.index(action), "again"),
        )
        case = next((case for applies, case in cases if applies), "rule")
        if case == "rule":
            reason = f"{self._reason(line.number)}: {line.action} {one_line(line.field, most=80)}."
            self.rulings[inside, tag] = Ruling(action=action, number=line.number, reason=reason)
        return case

    @staticmethod
    def _reason(number: int) -> str:
        return f"Asked for in line {number} of the deid recipe"

    def _keep(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        if line.field.startswith("fields") or line.field.lower() == "allfields":
            return Outcome.NOT_TRANSLATED, "the package itself keeps nothing by this, so that nothing is kept here"
        cases: dict[str, list[int]] = {}
        for tag in sorted(found.tags):
            cases.setdefault(why_not_kept(tag), []).append(tag)
        loosening = cases.pop("loosening", [])
        stays = cases.pop("", [])
        said = [f"{_listed(stays)}: stays anyway"] if stays else []
        said += [f"not applied to {_listed(tags)}: {why}" for why, tags in cases.items()]
        if not self.allow_loosening and (loosening or found.private):
            names = "; ".join([_listed(loosening)] * bool(loosening) + [str(one) for one in found.private])
            said.append(f"not applied, since it would loosen the Basic Profile: {names}")
        elif loosening or found.private:
            said.insert(0, self._loosen(line, found, loosening))
            return Outcome.RULE, "; ".join(said)
        return (Outcome.SAME if stays and len(said) == 1 else Outcome.NOT_TRANSLATED), "; ".join(said)

    def _loosen(self, line: ActionLine, found: Fields, tags: list[int]) -> str:
        reason = f"LOOSENED by line {line.number} of the deid recipe: {self.allow_loosening}"
        ruling = Ruling(action="K", number=line.number, reason=reason)
        for tag in tags:
            self.rulings[found.inside, tag] = ruling
        for one in found.private:
            self.private[one] = ruling
        self.loosened.append(line.number)
        names = [_listed(tags)] * bool(tags) + [str(one) for one in found.private]
        if found.private:
            names.append("'private: safe' with it, which keeps what Table E.3.10-1 lists")
        return f"LOOSENED, K for {'; '.join(names)}: {self.allow_loosening}"


_COUNTED = {
    "pseudonym": "{} always gets the pseudonym of the case",
    "same": "the base does as much already for {}",
    "needed": "{} stays: without it nobody can read or file the object",
    "kept": "not for {}, which a KEEP of the recipe names: the base decides",
    "changed": "not for {}, which a REPLACE or JITTER of the recipe names",
    "again": "another line of the recipe asks for as much for {}",
}


def _action_of(tags: list[int], wanted: str) -> str:
    uids = sum(vr_table().get(tag) == "UI" for tag in tags)
    if wanted == "Z/D" or not uids:
        return wanted
    uid_action = "X/Z/U* (removed, or a new UID where the object needs one)"
    return uid_action if uids == len(tags) else f"{wanted}, for UIDs {uid_action},"


@cache
def _keywords() -> dict[int, str]:
    return {tag: keyword for keyword, tag in keyword_tags().items()}


def _is_left_to_programs(line: ActionLine, found: Fields) -> bool:
    """Tell whether something else than the recipe decides for each of attributes that nobody has named."""
    value = line.value or ""
    is_asked = line.action == "REMOVE" and ":" in value
    return found.is_broad and line.action in {"REMOVE", "REPLACE"} and (is_asked or value.startswith(_PROGRAMS))


def _listed(tags: Iterable[int], most: int = 3) -> str:
    names = [_keywords().get(tag) or tag_text(tag) for tag in tags]
    if len(names) <= most:
        return ", ".join(names)
    return f"{len(names)} attributes ({', '.join(names[:most])} …)"


def _added(found: Fields) -> tuple[Outcome, str]:
    if found.tags == {_IDENTITY_REMOVED}:
        return Outcome.NOT_TRANSLATED, "written unasked when the pixels have been screened, and only then"
    if found.tags in ({PATIENT_NAME}, {PATIENT_ID}):
        return Outcome.NOT_TRANSLATED, "a profile adds nothing; the pseudonym of the case is written in any event"
    return Outcome.NOT_TRANSLATED, "a profile adds no attribute and writes no value of its own"


def _jittered(line: ActionLine, found: Fields) -> tuple[Outcome, str]:
    dates = [tag for tag in found.tags if vr_table().get(tag) in SHIFTED_VRS]
    moved = sorted(tag for tag in dates if base_code(tag) == "C")
    stricter = sorted(set(dates) - set(moved))
    if not dates:
        why = found.why_none or "no date or date-time is meant, and only these are moved"
        return Outcome.NOT_TRANSLATED, why
    said = []
    if moved:
        days = one_line(line.value or "", most=40)
        said.append(f"'dates: shift' moves {_listed(moved)} by the days of the case, not by {days}")
    if stricter:
        said.append(f"the base is stricter and keeps no {_listed(stricter)}")
    return (Outcome.POLICY if moved else Outcome.SAME), "; ".join(said)
