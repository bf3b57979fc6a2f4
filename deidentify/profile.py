"""A de-identification profile: the Basic Profile of PS3.15 Annex E with options, rules and policies."""

import hashlib
from dataclasses import dataclass, field

from deidentify.actions import Action
from deidentify.results import DropReason
from deidentify.tables import ActionRow, attribute_rows

FULL_DATES, MODIFIED_DATES = "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One attribute that the profile treats in its own way, and why."""

    tag: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How instances are de-identified. ``revision`` is the hash of its text, 16 hexadecimal digits."""

    name: str
    revision: str
    description: str = ""
    options: frozenset[str] = frozenset()
    """Options of PS3.15 Annex E by their names in the tables."""
    rules: tuple[Rule, ...] = ()
    dates: str = "shift"
    text: str = "vocabulary"
    age: str = "remove"
    drop: frozenset[DropReason] = frozenset()
    _codes: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_yaml(cls, text: str) -> "Profile":
        """Read a profile.

        Raises
        ------
        ProfileError
            Naming the line, what is wrong there and what could stand there.
        """
        from deidentify.profile_text import ProfileText  # noqa: PLC0415 - it reads what is defined here

        read = ProfileText(text)
        return cls(
            name=read.name(),
            revision=hashlib.sha256(text.encode()).hexdigest()[:16],
            description=read.description(),
            options=read.options(),
            rules=read.rules(),
            dates=read.dates(),
            text=read.text(),
            age=read.age(),
            drop=read.drop(),
        )

    def code(self, tag: int) -> str | None:
        """Return the action code of an attribute, options and rules applied; None outside Table E.1-1."""
        return self._codes.get(tag)

    def keeps(self, tag: int, vr: str) -> bool:
        """Tell whether values of this attribute stay as they are, on purpose."""
        code = self._codes.get(tag)
        return code == Action.KEEP or (code is None and self.keeps_vr(vr))

    def keeps_vr(self, vr: str) -> bool:
        """Tell whether values of this VR stay as they are where Table E.1-1 does not name the attribute."""
        return (vr in {"DA", "DT"} and self.dates == "keep") or (vr == "UI" and "retain_uids" in self.options)

    def row_code(self, row: ActionRow) -> str:
        """Return the code of a table row under this profile's options.

        Where several options name one attribute: dates that are moved are moved, whatever else would keep them, for one
        date that stands beside moved ones gives the number of days away; else keeping wins over cleaning. An option
        always wins over the Basic Profile.
        """
        chosen = {name: code for name, code in row.options.items() if name in self.options}
        if MODIFIED_DATES in chosen:
            return chosen[MODIFIED_DATES]
        codes = set(chosen.values())
        return next((code for code in (Action.KEEP, Action.CLEAN) if code in codes), row.basic)

    def __post_init__(self) -> None:
        """Resolve the options and rules once."""
        for tag, row in attribute_rows().items():
            self._codes[tag] = self.row_code(row)
        for rule in self.rules:
            self._codes[rule.tag] = rule.action
