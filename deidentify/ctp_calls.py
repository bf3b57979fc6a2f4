"""What the text of a CTP instruction wants done, function by function, and its conditions in our language."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deidentify.ctp_elements import PATIENT_AGE, Wish, keywords
from deidentify.ctp_script import Call, MalformedCallError, calls, tag_of, unquoted
from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags, vr_table

Condition = dict[str, object]
"""One entry of ``when``."""
_NOT_LINEAR = re.compile(r"\(\?[=!<>]|\\[1-9]|\\[QEGZzpP]|[*+?}]\+|\{\d{4,}|&&")
_FLAGS = re.compile(r"\(\?([ims]+)\)")
_LONGEST_PATTERN = 200
_NO_VALUE = "No value is computed"
_HOLDING = "No rule holds or skips an instance for its header; 'sop_classes: hold:' does it for kinds of objects."
_SIMPLE: dict[str, tuple[Wish, str]] = {
    "keep": (Wish.KEEP, ""),
    "require": (Wish.KEEP, "No attribute is added where it is missing."),
    "remove": (Wish.REMOVE, ""),
    "empty": (Wish.EMPTY, ""),
    "blank": (Wish.EMPTY, "Empty, without blanks."),
    "process": (Wish.PROCESS, ""),
    "hashuid": (Wish.UID, ""),
    "incrementdate": (Wish.SHIFT, ""),
    "hashdate": (Wish.SHIFT, ""),
    "hash": (Wish.REPLACE, "No hash is written."),
    "hashname": (Wish.REPLACE, "No hash is written."),
    "hashptid": (Wish.REPLACE, "No hash is written."),
    "integer": (Wish.REPLACE, "No number is given out."),
    "encrypt": (Wish.REPLACE, "Nothing is encrypted into a header."),
    "decrypt": (Wish.REPLACE, "Nothing is decrypted."),
    "lookup": (Wish.REPLACE, "No table is read."),
    "initials": (Wish.REPLACE, f"{_NO_VALUE}: initials are part of a name."),
    "truncate": (Wish.REPLACE, f"{_NO_VALUE}: part of a value is not written."),
    "pathelement": (Wish.REPLACE, f"{_NO_VALUE}: part of a value is not written."),
    "round": (Wish.REPLACE, f"{_NO_VALUE}: nothing is rounded."),
    "date": (Wish.REPLACE, "The day on which a file was treated is not written."),
    "time": (Wish.REPLACE, "The time at which a file was treated is not written."),
    "modifydate": (Wish.NOTHING, "No rule sets parts of a date."),
    "dateinterval": (Wish.NOTHING, "No rule counts the days since a date in a table."),
    "append": (Wish.NOTHING, "No value is added to others."),
    "call": (Wish.NOTHING, "An extension of CTP: what it does is not known here."),
    "quarantine": (Wish.NOTHING, _HOLDING),
    "skip": (Wish.NOTHING, _HOLDING),
    "param": (Wish.REPLACE, ""),
}
_COPYING = frozenset(("contents", "value", "uppercase", "lowercase"))
_ON_DATES = frozenset(("modifydate", "dateinterval"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one text wants. ``remark`` is a sentence or empty."""

    wish: Wish
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A choice between two texts. ``holds`` is None where the condition cannot be said, and ``remark`` says why."""

    first: Asked
    second: Asked
    holds: Condition | None
    fails: Condition | None
    remark: str = ""


class Reader:
    """Reads texts with the parameters and names of one script."""

    def __init__(self, parameters: Mapping[str, str], names: Mapping[str, int]) -> None:
        self._parameters, self._names = parameters, names

    def asked(self, text: str, tag: int) -> Asked | Branch:
        """Return what a text wants for an attribute."""
        try:
            parts = calls(text)
        except MalformedCallError:
            return Asked(wish=Wish.NOTHING, remark="A call in it has no end, so CTP itself would not do what it says.")
        is_forced = bool(parts) and isinstance(parts[0], Call) and parts[0].name == "always"
        rest = parts[1:] if is_forced else parts
        only = rest[0] if len(rest) == 1 else None
        if isinstance(only, Call) and only.name in {"if", "select"}:
            return self._branch(only, tag)
        found = self._plain(rest, tag)
        added = "No attribute is added where it is missing." if is_forced else ""
        return Asked(wish=found.wish, remark=_joined(found.remark, added))

    def _clause(self, text: str, tag: int) -> Asked:
        try:
            parts = calls(text)
        except MalformedCallError:
            return Asked(wish=Wish.NOTHING, remark="A call in it has no end.")
        if any(isinstance(part, Call) and part.name in {"if", "select"} for part in parts):
            return Asked(wish=Wish.NOTHING, remark="CTP knows no @if and no @select inside another.")
        return self._plain(parts, tag)

    def _plain(self, parts: list[str | Call], tag: int) -> Asked:
        found = [self._called(part, tag) for part in parts if isinstance(part, Call)]
        removing = next((one for one in found if one.wish is Wish.REMOVE), None)
        unknown = next((one for one in found if one.wish is Wish.NOTHING), None)
        if removing or unknown:
            return removing or unknown or found[0]
        if not parts:
            return Asked(wish=Wish.EMPTY, remark="An instruction without a text empties the attribute.")
        if len(parts) == 1 and found:
            return found[0]
        return Asked(wish=Wish.REPLACE, remark=_joined(*dict.fromkeys(one.remark for one in found)))

    def _called(self, call: Call, tag: int) -> Asked:
        if call.name in _COPYING:
            return self._copied(call, tag)
        if call.name not in _SIMPLE:
            if call.name in {"if", "select", "always"}:
                return Asked(wish=Wish.REPLACE)
            return Asked(wish=Wish.NOTHING, remark=f"@{call.name} is no function that is known here.")
        wish, remark = _SIMPLE[call.name]
        if call.name in _ON_DATES and vr_table().get(tag) not in {"DA", "DT"}:
            wish = Wish.REPLACE
        if call.name == "round" and tag == PATIENT_AGE:
            remark = "'age: band' writes ages in bands; it needs the option retain-patient-characteristics."
        return Asked(wish=wish, remark=_joined(remark, *self._missing(call)))

    def _copied(self, call: Call, tag: int) -> Asked:
        """Return what functions want that hand on a value: one's own is kept, another attribute's is not copied."""
        is_own = bool(call.arguments) and self.tag(call.arguments[0], tag) == tag
        if not is_own:
            return Asked(wish=Wish.REPLACE, remark="No other attribute's value is copied.")
        if call.name == "contents" and len(call.arguments) > 1:
            return Asked(wish=Wish.REPLACE, remark=f"{_NO_VALUE}: nothing is cut out of a text.")
        changed = "Letters are not changed." if call.name.endswith("case") else ""
        return Asked(wish=Wish.KEEP, remark=changed)

    def _missing(self, call: Call) -> list[str]:
        names = [one[1:] for one in call.arguments if one[:1] in {"@", "$"}]
        return [f"The parameter {name} is not set." for name in names if name not in self._parameters]

    def tag(self, name: str, own: int) -> int | None:
        """Return the tag of an element as arguments name it; None where it is not one of the top level, or unknown."""
        name = name.strip().removeprefix("root:")
        if name in {"", "this"}:
            return own
        tag = tag_of(name)
        return tag if tag is not None else keyword_tags().get(name, self._names.get(name))

    def _branch(self, call: Call, tag: int) -> Branch:
        first, second = (self._clause(clause, tag) for clause in call.clauses)
        if call.name == "select":
            remark = "A rule fits an attribute on the top level and in sequences alike, so @select has one for both."
            return Branch(first=first, second=second, holds=None, fails=None, remark=remark)
        condition, remark = self._condition(call, tag)
        if condition is None:
            return Branch(first=first, second=second, holds=None, fails=None, remark=remark)
        turned = {**condition}
        if "present" in turned:
            turned["present"] = not turned["present"]
        elif turned.pop("not", False) is False:
            turned["not"] = True
        return Branch(first=first, second=second, holds=condition, fails=turned)

    def _condition(self, call: Call, tag: int) -> tuple[Condition | None, str]:
        """Return the condition of @if, or None and why it cannot be said."""
        element, kind, argument = (*call.arguments, "", "", "")[:3]
        of = self.tag(element, tag)
        if of is None or of >> 16 & 1 or of not in vr_table():
            return None, "The condition's element is none of the public ones on the top level."
        where: Condition = {"keyword": keywords()[of]} if of in keywords() else {"tag": tag_text(of)}
        value = self._value(argument)
        if kind == "exists":
            return {**where, "present": True}, ""
        if kind == "isblank":
            return {**where, "present": False}, ""
        saying = _SAYING.get(kind)
        if saying is None:
            return None, f"There is no condition '{kind}' in a profile."
        if not value.strip():
            return None, f"'{kind}' has nothing to compare with."
        return saying(where, value)

    def _value(self, argument: str) -> str:
        argument = unquoted(argument)
        return self._parameters.get(argument[1:], argument) if argument[:1] in {"@", "$"} else argument


def _is(where: Condition, value: str) -> tuple[Condition | None, str]:
    return {**where, "is": value}, ""


def _contains(where: Condition, value: str) -> tuple[Condition | None, str]:
    return {**where, "contains": value}, ""


def _matches(where: Condition, value: str) -> tuple[Condition | None, str]:
    pattern = value.strip().replace("\\\\", "\\")
    if len(pattern) > _LONGEST_PATTERN or _NOT_LINEAR.search(pattern):
        return None, "The regular expression is not one that can be tried in linear time."
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None, "The regular expression cannot be read."
    # Profiles compare letters of any case, and somewhere in the value; CTP the whole value, and case counts.
    flags = _FLAGS.match(pattern)
    chosen, rest = (flags[1], pattern[flags.end() :]) if flags else ("", pattern)
    if "i" not in chosen:
        chosen += "-i"
    return {**where, "matches": f"^(?{chosen}:{rest})$"}, ""


_SAYING: dict[str, Callable[[Condition, str], tuple[Condition | None, str]]] = {
    "equals": _is,
    "contains": _contains,
    "matches": _matches,
}


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
