"""Results as tables: on the terminal, as JSON, and between the markers of the documentation page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

__all__ = ["BEGIN", "END", "NOTHING", "Section", "Table", "markdown", "put_between_markers", "show", "write_json"]

BEGIN = "<!-- measured: written by benchmarks/run.py --write -->"
END = "<!-- /measured -->"
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


def markdown(facts: dict[str, str], sections: Sequence[Section]) -> str:
    """Return the tables as Markdown."""
    lines = ["; ".join(f"{name} {value}" for name, value in facts.items()) + ".", ""]
    for section in sections:
        lines += [f"### {section.title}", ""]
        for table in section.tables:
            lines += [f"{table.title}:", ""]
            lines.append("| " + " | ".join(table.columns) + " |")
            lines.append("|---" * len(table.columns) + "|")
            lines += ["| " + " | ".join(row) + " |" for row in table.rows]
            lines.append("")
        for note in section.notes:
            lines += [note, ""]
    return "\n".join(lines)


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page.

    Raises
    ------
    ValueError
        If the page has no markers.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no markers")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")


def write_json(target: Path, facts: dict[str, str], sections: Sequence[Section]) -> None:
    """Write every repeat, for later comparison."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": facts, "sections": {section.name: section.data for section in sections}}
    target.write_text(json.dumps(content, indent=1) + "\n")
