"""Results as tables: on the terminal, as JSON, and on the documentation page, each between markers of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

__all__ = ["NOTHING", "Section", "Table", "begin", "end", "markdown", "put_between_markers", "show", "write_json"]

NOTHING = "–"  # noqa: RUF001 - a dash is meant
"""Stands where there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table; the first column names the rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one sub-benchmark found."""

    name: str
    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)
    """Every single repeat."""


def show(section: Section, console: Console) -> None:
    """Print the tables of a section."""
    for table in section.tables:
        printed = RichTable(title=table.title, title_justify="left", title_style="bold", pad_edge=False, box=None)
        for index, column in enumerate(table.columns):
            is_figure = index > 0 and all(row[index][:1].isdigit() or row[index] == NOTHING for row in table.rows)
            printed.add_column(column, justify="right" if is_figure else "left", overflow="fold")
        for row in table.rows:
            printed.add_row(*row)
        console.print()
        console.print(printed)
    for note in section.notes:
        console.print(note, style="dim", highlight=False)


def begin(name: str) -> str:
    """Return the marker before a section of the page."""
    return f"<!-- measured: {name}, written by python -m benchmarks.run --write -->"


def end(name: str) -> str:
    """Return the marker behind it."""
    return f"<!-- /measured: {name} -->"


def markdown(section: Section, facts: dict[str, str]) -> str:
    """Return the tables of a section as Markdown, and on which machine they were measured."""
    lines = []
    for table in section.tables:
        lines += [f"{table.title}:", ""]
        lines.append("| " + " | ".join(table.columns) + " |")
        lines.append("|---" * len(table.columns) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        lines.append("")
    for note in section.notes:
        lines += [note, ""]
    lines.append("Machine: " + "; ".join(f"{name} {value}" for name, value in facts.items()) + ".")
    return "\n".join(lines)


def put_between_markers(page: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of a section.

    Raises
    ------
    ValueError
        If the page has no such markers.
    """
    before, first, rest = page.read_text().partition(begin(name))
    _, last, after = rest.partition(end(name))
    if not first or not last:
        raise ValueError(f"{page.name} has no markers for {name}")
    page.write_text(f"{before}{first}\n\n{text.strip()}\n\n{last}{after}")


def write_json(target: Path, section: Section, facts: dict[str, str]) -> None:
    """Write every repeat, for later comparison."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": facts, "section": section.name, "repeats": section.data}
    target.write_text(json.dumps(content, indent=1) + "\n")
