"""Recipes of the package `deid` as files beside profiles: found by what the profile names, sent along as a document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a profile may name: a file of its own folder."""
MOST_BYTES = 1_000_000
"""Of a recipe, and of a text that is looked through; nobody reads a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What one document of a profile's text names; empty where it names nothing."""

    name: str = ""
    base: str = ""
    recipe: str = ""
    line: int = 0
    """Of the recipe's name."""
    is_recipe: bool = False
    """Whether the document is the text of a recipe."""


def named_in(text: str) -> list[Named]:
    """Return what each document of a text names, as far as it can be read; faults are left to who reads the profile."""
    import yaml  # noqa: PLC0415 - reading settings alone does not need it

    found: list[dict[tuple[str, ...], tuple[str, int]]] = []
    try:
        for path, value, line in _scalars(text if len(text) <= MOST_BYTES else ""):
            if path is None:
                found.append({})
            else:
                found[-1].setdefault(path, (value, line))
    except (yaml.YAMLError, UnicodeError):
        pass
    return [_named(one) for one in found if one]


def _named(values: dict[tuple[str, ...], tuple[str, int]]) -> Named:
    nothing = ("", 0)
    recipe, line = values.get(("recipe",)) or values.get(("recipe", "file")) or nothing
    return Named(
        name=values.get(("name",), nothing)[0],
        base=values.get(("base",), nothing)[0],
        recipe=recipe,
        line=line,
        is_recipe=("recipe_text",) in values,
    )


def _scalars(text: str) -> Iterator[tuple[tuple[str, ...] | None, str, int]]:
    """Yield the values of a text with the keys that lead to them and their line; None where a document begins.

    Events need no memory for what is nested or meant often. Values in lists are left out.
    """
    import yaml  # noqa: PLC0415 - reading settings alone does not need it

    keys: list[str | None] = []
    is_list: list[bool] = []
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.DocumentStartEvent):
            keys, is_list = [], []
            yield None, "", 0
        elif isinstance(event, yaml.CollectionStartEvent):
            keys.append(None)
            is_list.append(isinstance(event, yaml.SequenceStartEvent))
        elif isinstance(event, yaml.CollectionEndEvent):
            keys.pop()
            is_list.pop()
            if keys:
                keys[-1] = None
        elif isinstance(event, yaml.ScalarEvent) and keys and not any(is_list):
            if keys[-1] is None:
                keys[-1] = event.value
            else:
                line = event.start_mark.line + 1 if event.start_mark else 1
                yield tuple(key or "" for key in keys), event.value, line
                keys[-1] = None


def recipe_document(folder: Path, named: Named) -> str | None:
    """Return the recipe that a profile of this folder names as a YAML document; None where there is no such file.

    Raises
    ------
    ConfigError
        When it is there and cannot be read.
    """
    path = folder / named.recipe
    if not FILE_NAME.fullmatch(named.recipe) or not path.is_file():
        return None
    return as_document(named.recipe, _read(path, named.line))


def _read(path: Path, line: int) -> str:
    where = f"Recipe {path}, which line {line} of the profile names"
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError([f"{where}: has more than {MOST_BYTES:,} bytes; a recipe has some thousand."])
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"{where}: cannot be read ({type(error).__name__}); make it a readable UTF-8 text."
        raise ConfigError([fault]) from None
    # As in the profile's own file, whose lines end in one way whatever the editor wrote.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def as_document(file: str, text: str) -> str:
    """Return a recipe as a YAML document, in lines as it stands where YAML allows that, else in quotes."""
    head = f"recipe_file: {file}\n"
    is_plain = text.strip() and all(one.isprintable() or one in "\n\t" for one in text)
    if is_plain and text.endswith("\n") and text.rstrip("\n").splitlines()[-1].strip() and not text.endswith("\n\n"):
        lines = "".join(f"  {line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))
        return f"{head}recipe_text: |2\n{lines}"
    import yaml  # noqa: PLC0415 - reading settings alone does not need it

    quoted = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=True)
    return f"{head}recipe_text: {quoted}"
