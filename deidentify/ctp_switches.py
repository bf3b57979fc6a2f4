"""Parameters, groups and switches of a CTP script, which speak of many attributes, and the policies they ask for."""

import re
from collections.abc import Iterable, Mapping

from deidentify.actions import Action
from deidentify.codes import CODE_VALUE, LONG_CODE, MEANING, SCHEME
from deidentify.ctp_elements import Policies, Treatment, keywords, not_translated
from deidentify.ctp_script import Instruction, Kind, PrivateTarget, tag_of
from deidentify.dataset import tag_text
from deidentify.decisions import text_rules
from deidentify.translation import Outcome, yaml_value

_MOVES_DATES = re.compile(r"@\s*(?:incrementdate|hashdate)\s*\(")
_PARAMETERS = re.compile(r"[@$](\w+)")
_IMAGE_GROUP = 0x0028
_PARTS_OF_CODES = frozenset((CODE_VALUE, LONG_CODE, MEANING, SCHEME))
_MOST_SHOWN = 5


class Switches:
    """What a script says of many attributes at once."""

    def __init__(self, found: Iterable[Instruction]) -> None:
        self.parameters: dict[str, str] = {}
        self.counting: dict[int | PrivateTarget, Instruction] = {}
        """Tag or private element → the enabled instruction that counts, which is the last."""
        self.names: dict[str, int] = {}
        """The script's own names of attributes, which are not always the Standard's keywords."""
        self._on: set[tuple[Kind, str]] = set()
        self._users: dict[str, list[int]] = {}
        for one in found:
            self._take(one)
        moves = any(_MOVES_DATES.search(one.text) for one in self.counting.values())
        is_strict = (Kind.REMOVE, "unspecifiedelements") in self._on
        self.policies = Policies(
            dates="shift" if moves else "remove",
            text="remove" if is_strict else "vocabulary",
            private="safe" if (Kind.KEEP, "safeprivateelements") in self._on else "remove",
        )
        self.for_unnamed = tuple(self._rules_for_unnamed()) if is_strict else ()
        """Rules for text that no line names, as YAML; they stand first, so that each other rule wins over them."""

    def _take(self, one: Instruction) -> None:
        if one.kind is Kind.PARAMETER:
            self.parameters[one.target] = one.text
        tag = tag_of(one.target) if one.kind is Kind.ELEMENT else None
        if tag is not None and one.name:
            self.names[one.name] = tag
        if one.kind is Kind.ELEMENT and one.is_enabled:
            for name in dict.fromkeys(_PARAMETERS.findall(one.text)):
                self._users.setdefault(name, []).append(one.number)
            element = PrivateTarget.of(one.target) if tag is None else tag
            if element is not None:
                self.counting[element] = one
        if one.kind in {Kind.KEEP, Kind.REMOVE} and one.is_enabled:
            self._on.add((one.kind, one.target))

    def _rules_for_unnamed(self) -> Iterable[str]:
        """Yield a rule for each text attribute that would stay and is not named, outside groups that are kept."""
        left = {_group(target) for kind, target in self._on if kind is Kind.KEEP} | {_IMAGE_GROUP}
        reason = "The CTP script removes what no line of it names."
        for tag in sorted(text_rules()):
            if tag not in self.counting and tag not in _PARTS_OF_CODES and tag >> 16 not in left:
                rule: Mapping[str, object] = {"tag": tag_text(tag), "action": str(Action.REMOVE), "reason": reason}
                yield f"  - {yaml_value(rule)} # {keywords().get(tag, '')}"

    def treated(self, one: Instruction) -> Treatment:
        """Return what becomes of a parameter, or of a group or switch that is on."""
        by_kind = {Kind.PARAMETER: self._parameter, Kind.KEEP: self._kept_group, Kind.REMOVE: self._removed_kind}
        return by_kind[one.kind](one.target)

    def _parameter(self, name: str) -> Treatment:
        users = [str(number) for number in self._users.get(name, ())]
        shown = ", ".join(users[:_MOST_SHOWN]) + (" …" if len(users) > _MOST_SHOWN else "")
        used = f"used on line{'s' * (len(users) > 1)} {shown}" if users else "used by no enabled line"
        return Treatment(outcome=Outcome.DISABLED, became=f"A parameter, {used}; by itself it does nothing.")

    def _kept_group(self, target: str) -> Treatment:
        if target == "safeprivateelements":
            safe = "'private: safe': private elements that Table E.3.10-1 knows to be safe stay; CTP has its own list."
            return Treatment(outcome=Outcome.POLICY, became=safe)
        group = _group(target)
        if group is None:
            return not_translated("This is no group.")
        if group & 1:
            return not_translated("Private elements are not kept by group; a rule names the creator.")
        if group >> 8 in {0x50, 0x60}:
            return not_translated("Curves and overlays go whatever a profile says.")
        exempt = " The rules for elements that no line names leave it out." if self.for_unnamed else ""
        became = f"Nothing of it goes because no line names it; the Basic Profile decides on each attribute.{exempt}"
        return Treatment(outcome=Outcome.SAME, became=became)

    def _removed_kind(self, target: str) -> Treatment:
        if target == "privategroups":
            safe = "'private: safe', for the script keeps safe ones: all others go."
            became = safe if self.policies.private == "safe" else "'private: remove': all private elements go."
            return Treatment(outcome=Outcome.POLICY, became=became)
        if target in {"curves", "overlays"}:
            return Treatment(outcome=Outcome.SAME, became="They go whatever a profile says.")
        if target != "unspecifiedelements":
            return not_translated("CTP has no such switch.")
        became = (
            f"'text: remove', and {len(self.for_unnamed)} rules with X at the top, for text that no line names and the "
            "Basic Profile would reduce to known words. Numbers, code strings, UIDs and sequences that no line names "
            "stay as the Basic Profile has them: pictures cannot be read without them."
        )
        return Treatment(outcome=Outcome.RULE, became=became)


def _group(target: str) -> int | None:
    return int(target, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,4}", target) else None
