"""Header actions of a `deid` recipe: what each asks for, as far as it tightens a profile or somebody says why not.

In the package KEEP wins over everything, REMOVE leaves alone what REPLACE or JITTER name, and all else is done in the
order of the file. Here the strictest of what is asked for an attribute becomes its rule, and where the profile is as
strict already, there is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from deidentify.dataset import tag_text
from deidentify.dictionary import vr_table
from deidentify.errors import ProfileError
from deidentify.recipe_base import (
    GONE,
    KEPT,
    NEEDED,
    PATIENT_ID,
    PATIENT_NAME,
    REMOVED,
    SHIFTED_VRS,
    Floor,
    basic_floor,
)
from deidentify.recipe_fields import Fields, PrivateField, fields_of, is_expander
from deidentify.recipe_rules import STRICTNESS, Ruling, keywords_by_tag, rule_of, rules_asked_for
from deidentify.recipe_text import ActionLine, Recipe
from deidentify.rules import Path, Rule
from deidentify.translation import Outcome, one_line

MOST_EXPANDERS = 100
"""Lines that are about as many attributes as fit."""
_IDENTITY_REMOVED = 0x00120062
_ENOUGH = {
    "X": REMOVED,
    "Z": REMOVED | {"Z"},
    "Z/D": REMOVED | {"Z", "Z/D", "D", "U", "X/Z/U*"},
}
"""Wanted action → what the profile may have so that nothing is left to do."""
_PROGRAMS = ("func:", "deid_func:", "var:")
LAST_SEARCH = "the last search holds an instance in which the patient's own identifiers are found"


@dataclass(slots=True, kw_only=True)
class HeaderRules:
    """Collects the rules; ``told`` says of each line what became of it."""

    recipe: Recipe
    allow_loosening: str = ""
    floor: Floor = field(default_factory=basic_floor)
    """What the recipe tightens."""
    chooses_private: bool = True
    """Whether there is no profile yet, so that a line that keeps private elements may choose 'private: safe'."""
    told: dict[int, tuple[Outcome, str]] = field(default_factory=dict)
    rulings: dict[tuple[tuple[int, ...], int], Ruling] = field(default_factory=dict)
    private: dict[PrivateField, Ruling] = field(default_factory=dict)
    loosened: list[int] = field(default_factory=list)
    """Lines that keep what the profile would not."""
    partial: set[int] = field(default_factory=set)
    """Lines that were taken, but not for all that they name."""
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
        self.keeps_private = self.floor.keeps_private
        named = {line.field for line in self.recipe.header}
        found_of = {text: fields_of(text, self.recipe.fields) for text in named}
        lines = [(line, found_of[line.field]) for line in self.recipe.header]
        for line, found in lines:
            self._note(line, found)
        for line, found in lines:
            self.told[line.number] = self._line(line, found)

    def rules(self) -> list[tuple[int, Rule]]:
        """Return the rules in their order, each with the line that asks for it."""
        return list(rules_asked_for(self.rulings, self.private, self.floor, f"{self._reason('{}')}."))

    def _note(self, line: ActionLine, found: Fields) -> None:
        """Note what wins over other lines, wherever it stands; lists do not, in the package as well."""
        if line.field.startswith(("fields", "values")):
            return
        if line.action == "KEEP" and line.field.lower() != "allfields":
            self._kept |= found.tags
            may_choose = self.chooses_private and bool(self.allow_loosening)
            self.keeps_private = self.keeps_private or bool(found.private and may_choose)
        elif line.action == "REPLACE" and not _is_left_to_programs(line, found) and not _is_jitter(line):
            self._changed |= found.tags
        elif _is_jitter(line):
            # A date that the profile does not move is not saved from those who want it out.
            moved = {tag for tag in found.tags if vr_table().get(tag) in SHIFTED_VRS | {"TM"}}
            self._changed |= {tag for tag in moved if not self.floor.codes(tag) & KEPT}

    def _line(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        if line.action == "ADD":
            return _added(found)
        if line.field.startswith("values") or (line.value or "").startswith("values:"):
            return Outcome.NOT_TRANSLATED, f"what a value is found in cannot be a rule; {LAST_SEARCH}"
        if _is_jitter(line):
            return self._jittered(line, found)
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
        said = [_COUNTED.get(kind, kind).format(_listed(tags)) for kind, tags in counts.items() if kind != "rule"]
        if found.private:
            said.append(self._without_private(line, found))
        if found.is_broad and not line.field.lower().startswith("select"):
            others = "numbers, codes and sequences outside Table E.1-1" + " and private elements" * self.keeps_private
            said.append(f"{others} are not meant: the base decides")
        if "rule" in counts:
            said.insert(0, f"{_action_of(counts['rule'], wanted)} for {_listed(counts['rule'])}")
        if line.action == "REMOVE" and value.startswith(_PROGRAMS):
            said.append("in every case: a rule asks no function")
        elif line.action == "REPLACE":
            said.append("the new value is not written, a profile writes none of its own")
        left = set(counts) - _DONE
        if {"rule", "stricter"} & set(counts) or (found.private and self.keeps_private):
            self.partial |= {line.number} if left else set()
            return Outcome.RULE, "; ".join(said)
        is_left = left - {"needed"} or (left and left == set(counts))
        return (Outcome.NOT_TRANSLATED if is_left else Outcome.SAME), "; ".join(said)

    def _without_private(self, line: ActionLine, found: Fields) -> str:
        if not self.keeps_private:
            return "private elements go, whoever named them"
        for one in found.private:
            reason = f"{self._reason(line.number)}: {line.action} {one_line(line.field, most=80)}."
            self.private.setdefault(one, Ruling(action="X", number=line.number, reason=reason))
        return "X for this private element"

    def _ruled(self, line: ActionLine, wanted: str, tag: int, inside: Path, wins: set[int]) -> str:
        """Make the rule for one attribute, if one is needed, and return which case it is, or a sentence about it."""
        base = self.floor.codes(tag, inside)
        action = "X/Z/U*" if vr_table().get(tag) == "UI" and wanted != "Z/D" else wanted
        stricter = _stricter(action, base)
        known = self.rulings.get((inside, tag)) or self.rulings.get(((), tag))
        cases = (
            (tag in {PATIENT_NAME, PATIENT_ID}, "pseudonym"),
            (bool(tag >> 16 & 1) and self.keeps_private, "private"),
            (base == {GONE}, "same"),
            (tag in NEEDED, "needed"),
            (tag in self._kept, "kept"),
            (tag in wins, "changed"),
            (base <= _ENOUGH[wanted] or base == {action}, "same"),
            (known is not None and STRICTNESS.index(known.action) >= STRICTNESS.index(stricter), "again"),
        )
        case = next((case for applies, case in cases if applies), "")
        if case:
            return case
        # Where the profile takes it out of some instances, a rule that empties it would bring it back there.
        reason = f"{self._reason(line.number)}: {line.action} {one_line(line.field, most=80)}."
        ruling = Ruling(action=stricter, number=line.number, reason=reason)
        if sentence := self.floor.refusal(rule_of(ruling, tag=tag, inside=inside)):
            return f"not for {{}}: {sentence}"
        self.rulings[inside, tag] = ruling
        return "rule" if stricter == action else "stricter"

    def _reason(self, number: int | str) -> str:
        # Beside a profile each rule has the recipe and the line for its place.
        return f"Asked for in line {number} of the deid recipe" if self.chooses_private else "Asked for by the recipe"

    def _keep(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        if line.field.startswith("fields") or line.field.lower() == "allfields":
            return Outcome.NOT_TRANSLATED, "the package itself keeps nothing by this, so that nothing is kept here"
        cases: dict[str, list[int]] = {}
        for tag in sorted(found.tags):
            cases.setdefault(self._why_not_kept(line, tag, found.inside), []).append(tag)
        loosening = cases.pop("loosening", [])
        stays = cases.pop("", [])
        said = [f"{_listed(stays)}: stays anyway"] if stays else []
        listed = [one for one in found.private if self.floor.keeps_element(one.creator, one.group, one.element)]
        said += [f"{one}: stays as far as its kind of value can be cleaned" for one in listed]
        is_left = bool(cases)
        said += [f"not applied to {_listed(tags)}: {why}" for why, tags in cases.items()]
        private = [one for one in found.private if one not in listed]
        may_keep = self.keeps_private or (self.chooses_private and self.allow_loosening)
        if private and self.allow_loosening and not may_keep:
            why = "under 'private: remove' all private elements go; choose 'private: safe'"
            said.append(f"not applied to {'; '.join(map(str, private))}: {why}")
            private, is_left = [], True
        if not self.allow_loosening and (loosening or private):
            names = "; ".join([_listed(loosening)] * bool(loosening) + [str(one) for one in private])
            said.append(f"not applied, since it would loosen {self._base_name()}: {names}")
        elif loosening or private:
            said.insert(0, self._loosen(line, found.inside, loosening, private))
            self.partial |= {line.number} if is_left else set()
            return Outcome.RULE, "; ".join(said)
        is_same = bool(stays or listed) and len(said) == bool(stays) + len(listed)
        return (Outcome.SAME if is_same else Outcome.NOT_TRANSLATED), "; ".join(said)

    def _base_name(self) -> str:
        return "the Basic Profile" if self.chooses_private else "the profile"

    def _why_not_kept(self, line: ActionLine, tag: int, inside: Path) -> str:
        why = self.floor.why_not_kept(tag, inside)
        if why == "loosening":
            return self.floor.refusal(rule_of(self._keeping(line, tag, inside), tag=tag, inside=inside)) or why
        return why

    def _keeping(self, line: ActionLine, tag: int | None, inside: Path) -> Ruling:
        codes = self.floor.codes(tag, inside) - KEPT if tag is not None else {GONE}
        return Ruling(
            action="K",
            number=line.number,
            reason=f"LOOSENED by line {line.number} of the deid recipe: {self.allow_loosening}",
            instead_of=", ".join(sorted({"X" if code == GONE else str(code) for code in codes})),
        )

    def _loosen(self, line: ActionLine, inside: Path, tags: list[int], private: list[PrivateField]) -> str:
        for tag in tags:
            self.rulings[inside, tag] = self._keeping(line, tag, inside)
        for one in private:
            self.private[one] = self._keeping(line, None, ())
        self.loosened.append(line.number)
        names = [_listed(tags)] * bool(tags) + [str(one) for one in private]
        if private and self.chooses_private:
            names.append("'private: safe' with it, which keeps what Table E.3.10-1 lists")
        return f"LOOSENED, K for {'; '.join(names)}: {self.allow_loosening}"

    def _jittered(self, line: ActionLine, found: Fields) -> tuple[Outcome, str]:
        dates = [tag for tag in found.tags if vr_table().get(tag) in SHIFTED_VRS]
        moved = sorted(tag for tag in dates if self.floor.codes(tag) == {"C"})
        left = sorted(tag for tag in dates if self.floor.codes(tag) & KEPT)
        stricter = sorted(set(dates) - set(moved) - set(left))
        if not dates:
            why = found.why_none or "no date or date-time is meant, and only these are moved"
            return Outcome.NOT_TRANSLATED, why
        said = []
        if moved:
            days = one_line(line.value or "", most=40)
            said.append(f"'dates: shift' moves {_listed(moved)} by the days of the case, not by {days}")
        if left:
            said.append(f"not applied to {_listed(left)}: 'dates: keep' leaves dates; only 'dates: shift' moves them")
        if stricter:
            said.append(f"the base is stricter and keeps no {_listed(stricter)}")
        outcome = Outcome.POLICY if moved else Outcome.SAME
        return (Outcome.NOT_TRANSLATED if left else outcome), "; ".join(said)


_COUNTED = {
    "pseudonym": "{} always gets the pseudonym of the case",
    "same": "the base does as much already for {}",
    "needed": "{} stays: without it nobody can read or file the object",
    "kept": "not for {}, which a KEEP of the recipe names: the base decides",
    "changed": "not for {}, which a REPLACE or JITTER of the recipe names",
    "again": "another line of the recipe asks for as much for {}",
    "stricter": "for {} as the profile has it in some instances, where it is removed or emptied",
    "private": "not for private elements ({}): 'private: safe' decides on those that are not named by their creator",
}
_DONE = frozenset(("rule", "stricter", "pseudonym", "same", "kept", "changed", "again"))
"""Cases in which nothing is left undone, or another line of the recipe wants it so."""


def _action_of(tags: list[int], wanted: str) -> str:
    uids = sum(vr_table().get(tag) == "UI" for tag in tags)
    if wanted == "Z/D" or not uids:
        return wanted
    uid_action = "X/Z/U* (removed, or a new UID where the object needs one)"
    return uid_action if uids == len(tags) else f"{wanted}, for UIDs {uid_action},"


def _stricter(action: str, base: frozenset[str]) -> str:
    """Return an action that is at least as strict as everything that may become of an attribute."""
    if action == "X/Z/U*" or not base & (REMOVED | {"Z"}):
        return action
    wanted = "X" if base & REMOVED else "Z"
    return max(action, wanted, key=STRICTNESS.index)


def _is_jitter(line: ActionLine) -> bool:
    is_by_function = line.action == "REPLACE" and (line.value or "").startswith("deid_func:jitter")
    return line.action == "JITTER" or is_by_function


def _is_left_to_programs(line: ActionLine, found: Fields) -> bool:
    """Tell whether something else than the recipe decides for each of attributes that nobody has named."""
    value = line.value or ""
    is_asked = line.action == "REMOVE" and ":" in value
    return found.is_broad and line.action in {"REMOVE", "REPLACE"} and (is_asked or value.startswith(_PROGRAMS))


def _listed(tags: Iterable[int], most: int = 3) -> str:
    names = [keywords_by_tag().get(tag) or tag_text(tag) for tag in tags]
    if len(names) <= most:
        return ", ".join(names)
    return f"{len(names)} attributes ({', '.join(names[:most])} …)"


def _added(found: Fields) -> tuple[Outcome, str]:
    if found.tags == {_IDENTITY_REMOVED}:
        return Outcome.NOT_TRANSLATED, "written unasked when the pixels have been screened, and only then"
    if found.tags in ({PATIENT_NAME}, {PATIENT_ID}):
        return Outcome.NOT_TRANSLATED, "a profile adds nothing; the pseudonym of the case is written in any event"
    return Outcome.NOT_TRANSLATED, "a profile adds no attribute and writes no value of its own"
