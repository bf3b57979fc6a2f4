"""Translates scripts of the RSNA CTP DICOM anonymizer into profiles (docs/ctp-scripts.md has their semantics).

The result is a text for the administrator to read and edit. CTP keeps what no line names; a profile begins with the
Basic Profile, so nothing is kept because a script is silent about it. Every line of the script is accounted for.
"""

import re
from collections.abc import Mapping, Sequence

from deidentify.ctp_calls import Asked, Branch, Condition, Reader
from deidentify.ctp_elements import Treatment, Wish, keywords, not_translated, treated
from deidentify.ctp_script import Instruction, Kind, PrivateTarget, instructions, tag_of
from deidentify.ctp_switches import Switches
from deidentify.dataset import tag_text
from deidentify.errors import ProfileError
from deidentify.translation import (
    Outcome,
    TranslatedLine,
    Translation,
    yaml_comment,
    yaml_profile,
    yaml_rule,
)

_MOST_RULES = 2_000
_MOST_REMARKS = 100
_LONGEST_CREATOR = 64
_STRICTNESS = {"K": 0, "": 1, "Z/D": 2, "Z": 3, "X/Z/U*": 4, "X": 5}
"""Actions by what is left afterwards, the most first; nothing written is the Basic Profile."""


def translate_script(script: str) -> Translation:
    """Translate a CTP anonymizer script, XML or properties.

    Parameters
    ----------
    script
        The script's text.

    Returns
    -------
    Translation
        The profile text, and what became of each line in the order of the script.

    Raises
    ------
    ProfileError
        For a text that is no such script, is too large, or has a document type; the message names the line.
    """
    return _Translator(instructions(script)).translation()


class _Translator:
    """One script while it is translated; rules are collected as YAML in the order of the lines."""

    def __init__(self, found: list[Instruction]) -> None:
        self._found = found
        self._switches = Switches(found)
        self._policies = self._switches.policies
        self._reader = Reader(self._switches.parameters, self._switches.names)
        self._rules: list[str] = []

    def translation(self) -> Translation:
        """Return the profile text and what became of each line."""
        lines = []
        for one in self._found:
            done = self._treated(one)
            if len(self._rules) + len(self._switches.for_unnamed) > _MOST_RULES:
                raise ProfileError(f"line {one.number}: the script needs more than {_MOST_RULES:,} rules")
            lines.append(TranslatedLine(number=one.number, source=one.source, outcome=done.outcome, became=done.became))
        return Translation(profile_yaml=self._yaml(lines), lines=tuple(lines))

    def _treated(self, one: Instruction) -> Treatment:
        if one.kind is Kind.COMMENT:
            return Treatment(outcome=Outcome.DISABLED, became="A comment.")
        if one.kind is Kind.OTHER:
            return not_translated("CTP does not read this.")
        if not one.is_enabled:
            return Treatment(outcome=Outcome.DISABLED, became="Switched off in the script; the Basic Profile decides.")
        return self._element(one) if one.kind is Kind.ELEMENT else self._switches.treated(one)

    def _element(self, one: Instruction) -> Treatment:
        tag = tag_of(one.target)
        element = PrivateTarget.of(one.target) if tag is None else tag
        if element is None:
            return not_translated("The tag is not one.")
        counting = self._switches.counting[element]
        if counting is not one:
            became = f"Line {counting.number} says what becomes of this element; the last one counts."
            return Treatment(outcome=Outcome.DISABLED, became=became)
        if isinstance(element, PrivateTarget) or element >> 16 & 1:
            return self._private(one, element if isinstance(element, PrivateTarget) else None)
        asked = self._reader.asked(one.text, element)
        if isinstance(asked, Branch):
            return self._chosen(one, element, asked)
        done = _with(treated(element, asked.wish, self._policies), asked)
        self._write(one, {"tag": tag_text(element)}, done.action)
        return done

    def _chosen(self, one: Instruction, tag: int, branch: Branch) -> Treatment:
        """Return what becomes of a choice: rules with conditions, or the stricter text in all cases."""
        first, second = (
            _with(treated(tag, asked.wish, self._policies), asked) for asked in (branch.first, branch.second)
        )
        where = {"tag": tag_text(tag)}
        words = f"If so: {first.became} If not: {second.became}"
        is_whole = Outcome.NOT_TRANSLATED not in {first.outcome, second.outcome}
        if branch.holds is None or branch.fails is None:
            stricter = max(first.action, second.action, key=_STRICTNESS.__getitem__)
            is_written = _STRICTNESS[stricter] > _STRICTNESS[""]
            if is_written:
                self._write(one, where, stricter)
            always = f"{stricter}, the stricter of the two, in all cases." if is_written else "No rule is written."
            outcome = Outcome.RULE if is_written and is_whole else Outcome.NOT_TRANSLATED
            return Treatment(outcome=outcome, became=f"{branch.remark} {always} {words}")
        self._write(one, where, first.action, (branch.holds,))
        self._write(one, where, second.action, (branch.fails,))
        if not is_whole:
            return not_translated(words)
        found = {first.outcome, second.outcome}
        outcome = next(one for one in (Outcome.RULE, Outcome.POLICY, Outcome.SAME) if one in found)
        return Treatment(outcome=outcome, became=words)

    def _private(self, one: Instruction, element: PrivateTarget | None) -> Treatment:
        """Return what becomes of an instruction for a private element; None is one without its creator."""
        asked = self._reader.asked(one.text, 0)
        wish = asked.wish if isinstance(asked, Asked) else Wish.NOTHING
        goes = self._policies.private == "remove"
        refused = self._private_refused(element, wish)
        if refused:
            return not_translated(refused)
        if goes:
            return Treatment(outcome=Outcome.SAME, became="Private elements go, and none is added.")
        assert element is not None
        assert element.element is not None
        place = f"({element.group:04X},xx{element.element:02X})"
        action, became = "X", "X: removed, though it may be known to be safe."
        if wish in {Wish.KEEP, Wish.PROCESS}:
            action = "K"
            became = (
                "K: kept though it may be no safe one. The creator must be spelled as in the files; CTP takes any case."
            )
        self._write(one, {"private": {"creator": element.creator, "element": place}}, action)
        return Treatment(outcome=Outcome.RULE, became=became, action=action)

    def _private_refused(self, element: PrivateTarget | None, wish: Wish) -> str:
        """Return why a wish for a private element cannot be said in a profile; empty where nothing hinders it."""
        policy = f"'private: {self._policies.private}' decides."
        goes, is_kept = self._policies.private == "remove", wish in {Wish.KEEP, Wish.PROCESS}
        creator = element.creator if element is not None else ""
        reasons = (
            (element is not None and not element.group & 1, "A creator stands there, but the group is not private."),
            (wish is Wish.NOTHING, f"For a private element this cannot be said; {policy}"),
            (
                goes and is_kept,
                "All private elements go; with 'private: safe' a rule with their creator keeps single ones.",
            ),
            (goes, ""),
            (element is None or element.element is None, f"A rule names the creator and the element; {policy}"),
            (
                not creator.isascii() or len(creator) > _LONGEST_CREATOR,
                f"A creator has at most {_LONGEST_CREATOR} characters of ASCII; {policy}",
            ),
        )
        return next((sentence for applies, sentence in reasons if applies), "")

    def _write(
        self, one: Instruction, where: Mapping[str, object], action: str, when: Sequence[Condition] = ()
    ) -> None:
        """Add a rule, if there is an action."""
        if action:
            tag = tag_of(one.target)
            name = keywords().get(tag, one.name) if tag is not None else one.name
            reason = f"Line {one.number} of the CTP script says: {one.text or 'nothing'}"
            comment = yaml_comment(f"line {one.number}: {name or one.target}", indent=2)
            self._rules.append(f"{comment}\n{yaml_rule(where, action, reason, when=when)}")

    def _yaml(self, lines: Sequence[TranslatedLine]) -> str:
        """Return the profile text: what to know first, the policies, then the rules."""
        left = [line for line in lines if line.outcome is Outcome.NOT_TRANSLATED]
        remarks = [
            "Translated from a script of the RSNA CTP DICOM anonymizer. Read it, edit it and preview it before use.",
            "CTP keeps what no line names; here the Basic Profile decides on it.",
            *(f"line {line.number}, not translated: {line.source} {line.became}" for line in left[:_MOST_REMARKS]),
        ]
        if len(left) > _MOST_REMARKS:
            remarks.append(f"and {len(left) - _MOST_REMARKS} more that were not translated")
        name = re.sub(r"[^a-z0-9]+", "-", self._switches.parameters.get("PROFILENAME", "").lower())[:40].strip("-")
        policies = self._policies
        settings = {"private": policies.private, "dates": policies.dates, "text": policies.text, "pixels": "screen"}
        rules = [*self._switches.for_unnamed, *self._rules]
        return yaml_profile(name or "ctp-script", "Translated from a CTP anonymizer script.", settings, rules, remarks)


def _with(treatment: Treatment, asked: Asked) -> Treatment:
    """Return a treatment with what has to be said about the wording."""
    if not asked.remark:
        return treatment
    became = f"{treatment.became} {asked.remark}"
    return Treatment(outcome=treatment.outcome, became=became, action=treatment.action)
