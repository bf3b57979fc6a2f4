"""``casebridge profile preview``: what a profile makes of given files, element by element, on screen and as files."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bridge.preview import FilePreview, Previewer, as_json, changed, write_identified
from bridge.profile_command import read_profile
from config.settings import Settings
from deidentify.preview import Change, PreviewRow

EXIT_OK, EXIT_HELD, EXIT_USAGE = 0, 1, 2
_STYLES = {
    Change.SAME: "dim",
    Change.CHANGED: "yellow",
    Change.EMPTIED: "magenta",
    Change.REMOVED: "red",
    Change.ADDED: "green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was asked for on the command line."""

    identified_paths: Sequence[Path]
    shows_all: bool
    has_screen: bool
    json_file: Path | None
    image_folder: Path | None


def preview(settings: Settings, source: str, choices: Choices) -> int:
    """Show what a profile makes of files; return the exit status: 1 where one would be held or left out."""
    profile = read_profile(settings, source)
    paths = sorted(path for one in choices.identified_paths for path in _files(one))
    if not paths:
        raise click.UsageError("there is no file to preview")
    _check_targets(choices)
    previewer = Previewer(profile, has_screen=choices.has_screen, has_pictures=choices.image_folder is not None)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        previews = [previewer.file(path) for path in progress.track(paths, description="previewing")]
    console = Console(highlight=False)
    console.print(Text(f"{profile.name}, revision {profile.revision}"), style="bold")
    for number, (path, found) in enumerate(zip(paths, previews, strict=True), 1):
        console.print(Text(f"\n{number} of {len(paths)}  {path}"), style="bold")
        show(found, console, shows_all=choices.shows_all)
    if choices.json_file is not None:
        write_identified(choices.json_file, as_json(previews))
    if choices.image_folder is not None:
        _write_pictures(choices.image_folder, previews)
    console.print("\nThis identifies patients: keep it as you keep the originals.", style="bold")
    return EXIT_OK if all(found.outcome == "delivered" for found in previews) else EXIT_HELD


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]


def _check_targets(choices: Choices) -> None:
    for target in (choices.json_file, choices.image_folder):
        if target is not None and target.exists():
            click.echo(f"{target} is there already; name a new one", err=True)
            sys.exit(EXIT_USAGE)


def _write_pictures(folder: Path, previews: list[FilePreview]) -> None:
    folder.mkdir(mode=0o700, parents=True)
    for number, found in enumerate(previews, 1):
        for frame, picture in enumerate(found.identified_pictures, 1):
            write_identified(folder / f"{number:04}-{frame:03}.png", picture)


def show(found: FilePreview, console: Console, *, shows_all: bool) -> None:
    """Print what becomes of one file."""
    why = f": {found.detail} ({found.reason})" if found.reason else ""
    console.print(Text(f"{found.outcome}{why}"))
    if not found.rows:
        return
    counts = ", ".join(f"{count} {change}" for change, count in sorted(found.counts().items()))
    console.print(Text(f"{len(found.rows)} elements: {counts}. De-identification codes: {', '.join(found.markers)}"))
    if found.screen is not None:
        classes = [finding.text_class.value for finding in found.screen.findings]
        told = ", ".join(f"{classes.count(kind)} {kind}" for kind in sorted(set(classes))) or "no text"
        console.print(Text(f"pixels: {found.screen.verdict.value}, {found.screen.frames} frames, {told}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("element", "before", "after", "which line"):
        table.add_column(name, overflow="fold")
    for row in found.rows if shows_all else changed(found.rows):
        table.add_row(
            Text(f"{row.place} {row.name}".strip(), style=_STYLES[row.change]),
            marked(row),
            Text(_after(row)),
            Text(f"{row.by}: {row.source}"),
        )
    console.print(table)


def marked(row: PreviewRow) -> Text:
    """Return the value before, with the pieces of a text that go struck through."""
    text = Text(row.identified_before)
    for start, end, _reason in row.identified_marks:
        text.stylize("strike red", start, end)
    return text


def _after(row: PreviewRow) -> str:
    if row.change is Change.REMOVED:
        return "–"  # noqa: RUF001 - a dash is meant
    return row.after or "(no value)"
