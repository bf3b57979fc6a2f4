"""What a rule file of another program became: a profile text, and what each of its lines turned into."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import yaml


class Outcome(StrEnum):
    """What became of one line."""

    RULE = "rule"
    """One rule or several stand in the profile for it."""
    POLICY = "policy"
    """An option or a key of the profile does it."""
    SAME = "same"
    """The Basic Profile does it anyway, or does more; nothing had to be written."""
    NOT_TRANSLATED = "not-translated"
    """Nothing stands in the profile for it, and why."""
    DISABLED = "disabled"
    """It is switched off in the original, or says nothing that a program would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedLine:
    """One line of the original. ``number`` begins with 1; ``became`` is a sentence for the administrator."""

    number: int
    source: str
    outcome: Outcome
    became: str
    is_whole: bool = True
    """False where a rule does a part of what the line asks for; ``became`` says what is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A profile text to be read and edited, and all lines of the original in their order."""

    profile_yaml: str
    lines: tuple[TranslatedLine, ...]


def one_line(text: str, most: int = 200) -> str:
    """Return a text without line breaks and control characters, shortened to be read in a list."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def yaml_value(value: object) -> str:
    """Return a value in the flow style of YAML, on one line, quoted where it would be read as something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {yaml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value) and isinstance(yaml.safe_load(value), str):
            return value
        return yaml.safe_dump(value, default_style='"', width=float("inf"), allow_unicode=True).rstrip("\n")
    if isinstance(value, Iterable):
        return "[" + ", ".join(yaml_value(inner) for inner in value) + "]"
    return str(value)


def yaml_rule(
    where: Mapping[str, object],
    action: str,
    reason: str,
    *,
    inside: Sequence[str] = (),
    only: Mapping[str, object] | None = None,
    when: Sequence[Mapping[str, object]] = (),
) -> str:
    """Return one rule as an entry of the list ``rules``, indented, without a line break at its end.

    Parameters
    ----------
    where
        One key of ``tag``, ``keyword``, ``vr`` or ``private``, and its value.
    action
        An action code of the profile language.
    reason
        One sentence.
    inside
        The sequences around the element, the outermost first.
    only
        ``modality`` or ``sop_class`` with lists.
    when
        Conditions, all of which must hold.
    """
    fields: dict[str, object] = {**where, "action": action}
    fields |= {key: value for key, value in (("inside", inside), ("only", only), ("when", when)) if value}
    fields["reason"] = one_line(reason)
    lines = [f"{key}: {yaml_value(value)}" for key, value in fields.items()]
    return "  - " + "\n    ".join(lines)


def yaml_comment(text: str, indent: int = 0) -> str:
    """Return a text as one comment line."""
    return " " * indent + "# " + one_line(text, most=1000)


def yaml_profile(
    name: str, description: str, settings: Mapping[str, object], rules: Sequence[str], remarks: Sequence[str] = ()
) -> str:
    """Return a whole profile text.

    Parameters
    ----------
    name
        Lower case letters, digits and dashes.
    description
        One sentence.
    settings
        Policies and options by their keys (``options``, ``private``, ``dates`` …), written in this order.
    rules
        What `yaml_rule` and `yaml_comment` returned, in order; the last rule that fits an element wins.
    remarks
        Comment lines for the top of the file.
    """
    parts = [yaml_comment(remark) for remark in remarks]
    parts += [f"name: {yaml_value(name)}", f"description: {yaml_value(one_line(description))}", "base: basic"]
    parts += [f"{key}: {yaml_value(value)}" for key, value in settings.items()]
    if rules:
        parts += ["rules:", *rules]
    return "\n".join(parts) + "\n"
