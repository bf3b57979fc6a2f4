"""Reads scripts of the RSNA CTP DICOM anonymizer: which instructions there are, on which lines, and what they call.

Both forms that CTP reads are read: XML, and the older properties ("set.[0010,0010]PatientName=@remove()").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from xml.parsers import expat

from deidentify.errors import ProfileError
from deidentify.translation import one_line

MOST_BYTES = 1_000_000
_MOST_INSTRUCTIONS = 20_000
_PROPERTY = re.compile(r"(#?)(param|set|keep|remove)\.((?:\[[^\]]*\]|[^=:\\\s]|\\.)*)\s*[=:]?\s*(.*)", re.DOTALL)
_GROUP = re.compile(r"group([0-9A-Fa-f]{1,4})")
_TAG = re.compile(r"[\[(]?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})[\])]?")
_PRIVATE = re.compile(r"[\[(]?([0-9A-Fa-f]{1,4}),?\[([^\[\]]+)\]([0-9A-Fa-f]{2})[\])]?")
_CREATOR = re.compile(r"[\[(]?([0-9A-Fa-f]{1,4}),?00\[([^\[\]]+)\][\])]?")
_NAME = re.compile(r"\s*(\w+)\s*\(")


class Kind(Enum):
    """What one instruction of a script is about."""

    PARAMETER = auto()
    ELEMENT = auto()
    KEEP = auto()
    REMOVE = auto()
    COMMENT = auto()
    OTHER = auto()
    """Something that CTP does not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction. ``target`` is a parameter, a tag, a group or a switch, as it stands there."""

    kind: Kind
    number: int
    source: str
    target: str = ""
    name: str = ""
    text: str = ""
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a function with its arguments and the clauses in braces that belong to it."""

    name: str
    arguments: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()


def tag_of(target: str) -> int | None:
    """Return the tag that stands there in one of the forms that CTP reads; None for a private block or none at all."""
    match = _TAG.fullmatch("".join(target.split()))
    return int(match[1] + match[2], 16) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateTarget:
    """A private element by its creator, or (``element`` is None) the element that names the creator."""

    group: int
    creator: str
    element: int | None

    @classmethod
    def of(cls, target: str) -> "PrivateTarget | None":
        """Read gggg[CREATOR]ee or gggg00[CREATOR]; None where it is neither."""
        match = _PRIVATE.fullmatch(target) or _CREATOR.fullmatch(target)
        if match is None:
            return None
        element = int(match[3], 16) if match.re is _PRIVATE else None
        return cls(group=int(match[1], 16), creator=match[2].strip(), element=element)


class MalformedCallError(ValueError):
    """A call has no end, or one of its clauses has none."""


def instructions(script: str) -> list[Instruction]:
    """Return all instructions of a script, disabled ones, comments and unknown ones too, in their order.

    Raises
    ------
    ProfileError
        For a text that is too large, no XML, or XML with a document type or entities.
    """
    text = script.removeprefix("\ufeff")
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise ProfileError(f"line 1: the script has more than {MOST_BYTES:,} bytes")
    if not text.strip():
        raise ProfileError("line 1: the script is empty")
    found = _XmlScript(text).found if text.lstrip().startswith("<") else list(_properties(text))
    if len(found) > _MOST_INSTRUCTIONS:
        raise ProfileError(f"line {found[_MOST_INSTRUCTIONS].number}: more than {_MOST_INSTRUCTIONS:,} instructions")
    return sorted(found, key=lambda one: one.number)


class _XmlScript:
    """Walks the XML, which expat reads without knowing entities; nesting is counted, never followed."""

    _KINDS = {"p": Kind.PARAMETER, "e": Kind.ELEMENT, "k": Kind.KEEP, "r": Kind.REMOVE}  # noqa: RUF012 - never changed

    def __init__(self, text: str) -> None:
        self.found: list[Instruction] = []
        self._depth = 0
        self._open: tuple[str, dict[str, str], int] = ("", {}, 0)
        self._text: list[str] = []
        # A declaration must be the first thing in XML, but not in a file that somebody has edited.
        stripped = text.lstrip()
        self._before = text[: len(text) - len(stripped)].count("\n")
        self._parser = parser = expat.ParserCreate(encoding="utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = self._comment
        parser.ProcessingInstructionHandler = lambda target, _: self._other(f"<?{target} … ?>")
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(stripped.encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            line = error.lineno + self._before
            raise ProfileError(f"line {line}: this is not XML: {expat.ErrorString(error.code)}") from None

    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._before

    def _doctype(self, *_: object) -> None:
        raise ProfileError(f"line {self._line()}: a script has no document type and no entities; remove them")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            if name != "script":
                raise ProfileError(f"line {self._line()}: the first element of a CTP script is <script>")
        elif self._depth == 2:  # noqa: PLR2004 - the instructions
            self._open, self._text = (name, attributes, self._line()), []
        else:
            self._other(f"<{name}> inside <{self._open[0]}>")

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._depth != 1:
            return
        name, attributes, number = self._open
        text = "".join(self._text)
        inner = "".join(f' {key}="{value}"' for key, value in attributes.items())
        kind = self._KINDS.get(name, Kind.OTHER)
        self.found.append(
            Instruction(
                kind=kind,
                number=number,
                source=one_line(f"<{name}{inner}>{text}</{name}>"),
                target=attributes.get("t", "").strip(),
                name=attributes.get("n", "").strip(),
                text=text.strip(),
                is_enabled=kind is Kind.PARAMETER or attributes.get("en") == "T",
            )
        )

    def _characters(self, text: str) -> None:
        if self._depth > 1:
            self._text.append(text)
        elif text.strip():
            # Text is handed over when the next thing begins, so it began as many lines before as it has.
            self._other(text, self._line() - text.lstrip().count("\n"))

    def _comment(self, text: str) -> None:
        number = self._line()
        self.found.append(Instruction(kind=Kind.COMMENT, number=number, source=one_line(f"<!--{text}-->")))

    def _other(self, source: str, number: int | None = None) -> None:
        self.found.append(Instruction(kind=Kind.OTHER, number=number or self._line(), source=one_line(source)))


def _properties(text: str) -> Iterator[Instruction]:
    """Yield the instructions of the older form."""
    kinds = {"param": Kind.PARAMETER, "set": Kind.ELEMENT, "keep": Kind.KEEP, "remove": Kind.REMOVE}
    for number, line in _logical_lines(text):
        match = _PROPERTY.fullmatch(line)
        if match is None:
            kind = Kind.COMMENT if line[0] in "#!" else Kind.OTHER
            yield Instruction(kind=kind, number=number, source=one_line(line))
            continue
        kind, target, name = kinds[match[2]], _unescaped(match[3]), ""
        if kind is Kind.ELEMENT:
            target, name = _split_tag(target)
        elif kind is Kind.KEEP and (group := _GROUP.fullmatch(target)):
            target = group[1]
        yield Instruction(
            kind=kind,
            number=number,
            source=one_line(line),
            target=target,
            name=name,
            text=_unescaped(match[4]).strip(),
            is_enabled=not match[1],
        )


def _split_tag(target: str) -> tuple[str, str]:
    """Return what stands in the outer brackets, and the name behind them."""
    depth = 0
    for place, one in enumerate(target):
        depth += (one == "[") - (one == "]")
        if depth == 0:
            return (target[1:place], target[place + 1 :].strip()) if place else ("", target)
    return "", target


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines that are not blank; one that ends with a backslash goes on in the next."""
    begun, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.lstrip()
        start = start or number
        is_comment = not begun and line[:1] in {"#", "!"}
        if not is_comment and (len(line) - len(line.rstrip("\\"))) % 2:
            begun += line[:-1]
            continue
        line, begun = begun + line, ""
        if line.strip():
            yield start, line
        start = 0
    if begun.strip():
        yield start, begun


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\(.)", lambda match: {"t": "\t", "n": " ", "r": " "}.get(match[1], match[1]), text, flags=re.DOTALL
    )


def calls(text: str) -> list[str | Call]:
    """Return the parts of an instruction's text in order: literal texts and calls.

    Raises
    ------
    MalformedCallError
        Where a call has no end.
    """
    parts: list[str | Call] = []
    literal, place = "", 0
    while place < len(text):
        one = text[place]
        if one == "\\":
            literal += text[place + 1 : place + 2]
            place += 2
        elif one == "@":
            call, place = _call(text, place + 1)
            parts += [literal, call] if literal.strip() else [call]
            literal = ""
        else:
            literal += one
            place += 1
    return [*parts, literal] if literal.strip() else parts


def _call(text: str, place: int) -> tuple[Call, int]:
    match = _NAME.match(text, place)
    if match is None:
        raise MalformedCallError
    arguments, place = [], match.end()
    while True:
        end = _delimiter(text, place, ",)", "()")
        arguments.append(text[place:end].strip())
        place = end + 1
        if text[end] == ")":
            break
    clauses = []
    for _ in range({"if": 2, "select": 2, "append": 1}.get(match[1], 0)):
        begin = text.find("{", place)
        if begin < 0 or text[place:begin].strip():
            raise MalformedCallError
        end = _delimiter(text, begin + 1, "}", "{}")
        clauses.append(text[begin + 1 : end])
        place = end + 1
    found = () if arguments == [""] else tuple(arguments)
    return Call(name=match[1], arguments=found, clauses=tuple(clauses)), place


def _delimiter(text: str, place: int, delimiters: str, pair: str) -> int:
    """Return the place of the next delimiter that is not quoted, escaped, or inside brackets or another pair."""
    opened = brackets = 0
    is_quoted = is_escaped = False
    for at in range(place, len(text)):
        one = text[at]
        if is_escaped or one == "\\":
            is_escaped = not is_escaped
        elif one == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif one in "[]":
            brackets += 1 if one == "[" else -1
        elif one in delimiters and not opened and brackets <= 0:
            return at
        elif one in pair:
            opened += 1 if one == pair[0] else -1
    raise MalformedCallError


def unquoted(argument: str) -> str:
    """Return an argument without the quotation marks around it."""
    is_quoted = len(argument) > 1 and argument[0] == argument[-1] == '"'
    return argument[1:-1] if is_quoted else argument
