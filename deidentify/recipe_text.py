"""The text of a `deid` recipe as lines that know their numbers.

It is read as the parser of the package `deid` 0.4.13 reads it, its oddities included, so that nothing is taken for
something else than what the package would do. Where that parser ends the program or loses a line, the line is noted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from deidentify.errors import ProfileError

MOST_CHARACTERS = 500_000
MOST_LINES = 5_000
MOST_IN_A_LINE = 1_000

ACTIONS = ("ADD", "BLANK", "JITTER", "KEEP", "REPLACE", "REMOVE", "LABEL")
_WITH_VALUE = frozenset(("ADD", "REPLACE", "JITTER"))
_LISTING = ("FIELD", "SPLIT")
SECTIONS = ("header", "labels", "filter", "values", "fields")
_NAMED = frozenset(("filter", "values", "fields"))
CRITERIA = ("contains", "notcontains", "equals", "notequals", "missing", "present", "empty")
_COMPARING = frozenset(("contains", "notcontains", "equals", "notequals"))
_COORDINATES = ("ctpcoordinates", "ctpkeepcoordinates", "coordinates", "keepcoordinates")
# Words, in which quoted parts may hold blanks: a private creator often does.
_WORDS = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|"[^"]*"|'(?:[^'\\]|\\.)*'|'[^']*'|[^\s"'])+""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLine:
    """One action on a field, or one entry of a list of fields or values."""

    number: int
    action: str
    field: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What one attribute of an image has to say."""

    kind: str
    field: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriteriaLine:
    """Criteria on one line, which belong together as if in brackets."""

    number: int
    operator: str
    """``and``, ``or``, or nothing: how the line goes on from those before it."""
    criteria: tuple[Criterion, ...]
    between: tuple[str, ...] = ()
    """``and`` or ``or`` between the criteria, one less than they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatesLine:
    """A region to blank, or to leave; as written."""

    number: int
    kind: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A named set of criteria with regions."""

    number: int
    name: str
    criteria: tuple[CriteriaLine, ...]
    coordinates: tuple[CoordinatesLine, ...]


@dataclass(slots=True, kw_only=True)
class Recipe:
    """What stands in a recipe. ``faults``: line number → why nobody can carry out this line."""

    lines: tuple[str, ...]
    header: list[ActionLine] = field(default_factory=list)
    labels: list[ActionLine] = field(default_factory=list)
    fields: dict[str, list[ActionLine]] = field(default_factory=dict)
    values: dict[str, list[ActionLine]] = field(default_factory=dict)
    filters: dict[str, list[Label]] = field(default_factory=dict)
    headings: set[int] = field(default_factory=set)
    """Lines that say what the following ones are: the format, and the sections."""
    faults: dict[int, str] = field(default_factory=dict)


def read_recipe(text: str) -> Recipe:
    """Read a recipe.

    Raises
    ------
    ProfileError
        If it is larger than any recipe, or made for something else than DICOM.
    """
    if len(text) > MOST_CHARACTERS:
        raise ProfileError(f"line 1: the text has more than {MOST_CHARACTERS:,} characters; a recipe has some thousand")
    # Not splitlines(): a form feed is no end of a line for whoever numbers them in an editor.
    lines = tuple(line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    if len(lines) > MOST_LINES:
        raise ProfileError(f"line {MOST_LINES + 1}: a recipe has at most {MOST_LINES:,} lines")
    recipe = Recipe(lines=lines)
    _Reader(recipe).read()
    if not any(line.startswith("%") for line in lines):
        raise ProfileError("line 1: no line begins a section (%header, %filter …): this is no deid recipe")
    return recipe


class _Reader:
    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._section, self._name = "", ""
        self._left = list(reversed([(number, line) for number, line in enumerate(recipe.lines, 1) if line]))

    def read(self) -> None:
        while self._left:
            number, line = self._left.pop()
            if len(line) > MOST_IN_A_LINE:
                self._fault(number, f"the line has more than {MOST_IN_A_LINE:,} characters; nobody wrote it")
            elif line.startswith("#"):
                continue
            elif line[:6].upper() == "FORMAT":
                self._format(number, line)
            elif line.startswith("%"):
                self._heading(number, line)
            elif self._section in {"values", "fields"}:
                self._listed(number, line)
            elif line.upper().startswith(ACTIONS):
                self._acted(number, line)
            else:
                self._fault(number, "this is no action of a recipe; the package skips the line as well")

    def _fault(self, number: int, sentence: str) -> None:
        self._recipe.faults[number] = sentence

    def _format(self, number: int, line: str) -> None:
        if re.sub(r"FORMAT|\s+", "", line).lower() != "dicom":
            raise ProfileError(f"line {number}: the format of the recipe is not 'FORMAT dicom'; only such can be read")
        self._recipe.headings.add(number)

    def _heading(self, number: int, line: str) -> None:
        first, *rest = line.split("#", 1)[0].strip().split(" ")
        self._section, self._name = first.replace("%", "").strip().lower(), " ".join(rest)
        if self._section not in SECTIONS:
            self._section = "?"
            known = ", ".join("%" + name for name in SECTIONS)
            self._fault(number, f"there is no such section, and the package ends here; there are: {known}")
        elif self._section in _NAMED and not self._name:
            self._section = "?"
            self._fault(number, "this section needs a name behind it; the package ends here")
        else:
            self._recipe.headings.add(number)
            if self._section == "filter":
                self._recipe.filters.setdefault(self._name, [])
            elif self._section in _NAMED:
                self._list().setdefault(self._name, [])

    def _list(self) -> dict[str, list[ActionLine]]:
        return self._recipe.fields if self._section == "fields" else self._recipe.values

    def _listed(self, number: int, line: str) -> None:
        words = _words(line)
        is_split = line.upper().startswith("SPLIT")
        if not line.upper().startswith(_LISTING) or (is_split and self._section == "fields"):
            allowed = "FIELD" if self._section == "fields" else "FIELD and SPLIT"
            self._fault(number, f"a section %{self._section} has only {allowed}; the package does not read this line")
        elif len(words) < 2:  # noqa: PLR2004 - action and field
            self._fault(number, "the line names no field; the package ends here")
        else:
            value = _uncommented(words[2:]) if self._section == "values" and len(words) > 2 else None  # noqa: PLR2004
            entry = ActionLine(number=number, action=words[0], field=words[1], value=value)
            self._list()[self._name].append(entry)

    def _acted(self, number: int, line: str) -> None:
        if self._section == "filter" and line.upper().startswith("LABEL"):
            self._recipe.filters[self._name].append(self._label(number, line))
            return
        if self._section not in {"header", "labels"}:
            where = {"filter": "before the first LABEL of its filter", "": "before any section"}
            place = where.get(self._section, "in a section that there is not")
            self._fault(number, f"the action stands {place}; the package ends here")
            return
        words = _words(line)
        action = words[0] if words else ""
        if action == "LABEL":
            self._fault(number, "a LABEL belongs to a filter; the package does nothing with it here")
        elif action not in ACTIONS:
            self._fault(number, "there is no such action; actions are written in capitals, and the package skips this")
        elif len(words) < 2 or (action in _WITH_VALUE and len(words) < 3):  # noqa: PLR2004 - action, field, value
            what = "field" if len(words) < 2 else "value"  # noqa: PLR2004
            self._fault(number, f"{action} needs a {what}, and there is none; the package ends here")
        else:
            takes_value = action in _WITH_VALUE or action == "REMOVE"
            value = _uncommented(words[2:]) if takes_value and len(words) > 2 else None  # noqa: PLR2004
            target = self._recipe.header if self._section == "header" else self._recipe.labels
            target.append(ActionLine(number=number, action=action, field=words[1], value=value))

    def _label(self, number: int, line: str) -> Label:
        criteria: list[CriteriaLine] = []
        coordinates: list[CoordinatesLine] = []
        while self._left and not self._left[-1][1].upper().startswith(("LABEL", "%")):
            place, member = self._left.pop()
            kind = next((name for name in _COORDINATES if member.lower().startswith(name)), "")
            if kind:
                region = member[len(kind) :].strip()
                coordinates.append(CoordinatesLine(number=place, kind=kind, region=region))
            elif read := self._criteria(place, member):
                criteria.append(read)
        # The package takes away the word in small letters only; a name has it or not, nobody sees it.
        name = line.replace("label", "", 1).split("#")[0].strip()
        return Label(number=number, name=name, criteria=tuple(criteria), coordinates=tuple(coordinates))

    def _criteria(self, number: int, member: str) -> CriteriaLine | None:
        operator = "and" if member.startswith("+") else "or" if member.startswith("||") else ""
        member = member.removeprefix("+" if operator == "and" else "||").strip() if operator else member
        if member.startswith("#"):
            return None
        if len(member) > MOST_IN_A_LINE:
            self._fault(number, f"the line has more than {MOST_IN_A_LINE:,} characters; nobody wrote it")
            return None
        if not member.lower().startswith(CRITERIA):
            self._fault(number, f"this is no criterion, and the package skips it; there are: {', '.join(CRITERIA)}")
            return None
        criteria: list[Criterion] = []
        between: list[str] = []
        for part, joined in _parts(member):
            criterion = _criterion(part)
            if criterion is None:
                self._fault(number, "a criterion is a word, a field, and mostly a value; the package ends here")
                return None
            criteria.append(criterion)
            between += [joined] if joined else []
        return CriteriaLine(number=number, operator=operator, criteria=tuple(criteria), between=tuple(between))


def _words(line: str) -> list[str]:
    return _WORDS.findall(line)


def _uncommented(words: list[str]) -> str:
    return " ".join(words).split("#")[0]


def _parts(member: str) -> Iterator[tuple[str, str]]:
    """Yield the criteria of one line, each with what joins it to the next.

    A plus sign or two bars belong to the value where no criterion follows them: "AS+" is the name of a scanner.
    """
    while True:
        found = re.search(r"\|\||\+", member)
        if found is None or not any(word in member[found.end() :] for word in CRITERIA):
            yield member, ""
            return
        yield member[: found.start()].strip(), "or" if found[0] == "||" else "and"
        member = member[found.end() :].strip()


def _criterion(text: str) -> Criterion | None:
    kind, _, rest = text.partition(" ")
    kind, rest = kind.lower(), rest.strip() if kind.lower() not in _COMPARING else rest
    if kind not in CRITERIA or not rest.strip():
        return None
    if kind not in _COMPARING:
        return Criterion(kind=kind, field=rest)
    name, has_value, value = rest.partition(" ")
    return Criterion(kind=kind, field=name.strip(), value=value.strip()) if has_value else None
