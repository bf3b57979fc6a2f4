"""``casebridge profile preview``: what a profile makes of given files, element by element, on screen and as files."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bridge.impact import Impact
from bridge.keys import SecretError
from bridge.pictures import write_identified
from bridge.preview import FilePreview, Previewer, as_json, beside, changed, forgotten_scope
from bridge.preview_sources import Source, of_files, of_last_studies, of_study
from bridge.profile_command import read_profile, show_table, tag_of
from cases.errors import CaseError
from config.settings import Settings
from deidentify.dataset import tag_text
from deidentify.deidentifier import Deidentifier
from deidentify.pixels.screen import PixelScreener
from deidentify.preview import Change, PreviewRow
from deidentify.profile import Profile
from scp.errors import ScpError

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
    study: str | None
    most: int
    shows_all: bool
    only: Sequence[str]
    """Tags or keywords of the attributes that are shown; none for all."""
    has_screen: bool
    json_file: Path | None
    image_folder: Path | None


def preview(settings: Settings, source: str, choices: Choices) -> int:
    """Show what a profile makes of instances; return the exit status: 1 where one would be held or left out."""
    profile = read_profile(settings, source)
    if bool(choices.identified_paths) == (choices.study is not None):
        raise click.UsageError("name either files, or a study with --study")
    _check_targets(choices)
    only = frozenset(tag_text(tag_of(one)) for one in choices.only)
    previewer = Previewer(
        Deidentifier(profile),
        screener=PixelScreener() if choices.has_screen else None,
        most_pictures=None if choices.image_folder is not None else 0,
    )
    if choices.study is None:
        sources = of_files(choices.identified_paths)
        previews = _looked_at(previewer, sources, profile.revision)
    else:
        with _reading(), of_study(settings, choices.study, most=choices.most, revision=profile.revision) as sources:
            previews = _looked_at(previewer, sources, profile.revision)
    if not sources:
        raise click.UsageError("there is nothing to preview; casebridge originals lists the studies that are there")
    console = Console(highlight=False)
    console.print(Text(f"{profile.name}, revision {profile.revision}"), style="bold")
    for number, (one, found) in enumerate(zip(sources, previews, strict=True), 1):
        console.print(Text(f"\n{number} of {len(sources)}  {one.label}"), style="bold")
        show(found, console, shows_all=choices.shows_all, only=only)
    if choices.json_file is not None:
        write_identified(choices.json_file, as_json(previews))
    if choices.image_folder is not None:
        _write_pictures(choices.image_folder, previews)
    console.print("\nThis identifies patients: keep it as you keep the originals.", style="bold")
    return EXIT_OK if all(found.outcome == "delivered" for found in previews) else EXIT_HELD


def impact(
    settings: Settings,
    sources: tuple[str, str],
    *,
    identified_paths: Sequence[Path],
    last: int,
    most: int,
    as_json: bool,
) -> int:
    """Count what would change from one profile to another, over files or the studies that arrived last."""
    first, second = (read_profile(settings, source) for source in sources)
    scope = forgotten_scope()
    both = [Previewer(Deidentifier(one), screener=None, most_pictures=0, scope=scope) for one in (first, second)]
    if identified_paths:
        found = _compared(both, of_files(identified_paths))
    else:
        revisions = f"{first.revision} {second.revision}"
        with _reading(), of_last_studies(settings, last, most=most, revisions=revisions) as originals:
            found = _compared(both, originals)
    if as_json:
        print(json.dumps(found.values(), indent=2))  # noqa: T201 - a program reads this
    else:
        _show_impact(found, first, second, Console(highlight=False))
    return EXIT_OK


def _compared(both: list[Previewer], sources: Sequence[Source]) -> Impact:
    found = Impact()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for source in progress.track(sources, description="comparing"):
            first, second = (previewer.of(source.read) for previewer in both)
            found.add(first, second)
    return found


def _show_impact(found: Impact, first: Profile, second: Profile, console: Console) -> None:
    names = [f"{one.name} {one.revision}" for one in (first, second)]
    console.print(Text(f"{found.touched} of {found.instances} instances would be written otherwise."), style="bold")
    console.print("Pixels were not read: what the pixel screen holds it holds under both.")
    outcomes = [(*told, str(count)) for told, count in sorted(found.outcomes.items())]
    show_table((*names, "instances"), outcomes, console)
    if found.attributes:
        console.print()
        rows = [
            (f"{place} {name}".strip(), *fates, str(n)) for (place, name, *fates), n in sorted(found.attributes.items())
        ]
        show_table(("element", *names, "instances"), rows, console)


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what keeps originals from being read into one line and exit status 2."""
    try:
        yield
    except (CaseError, SecretError, ScpError) as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_USAGE)


def _looked_at(previewer: Previewer, sources: Sequence[Source], revision: str) -> list[FilePreview]:
    """Look at each instance; what is derived from an original is kept beside it, and goes with it."""
    previews = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for source in progress.track(sources, description="previewing"):
            found = previewer.of(source.read)
            if source.keep is not None:
                with suppress(FileNotFoundError):  # purged meanwhile: nothing outlives the original
                    for suffix, identified_content in beside(found, revision):
                        source.keep(suffix, identified_content)
            previews.append(found)
    return previews


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


def show(found: FilePreview, console: Console, *, shows_all: bool, only: frozenset[str] = frozenset()) -> None:
    """Print what becomes of one file, of all its elements or of those with certain tags."""
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
    rows = found.rows if shows_all or only else changed(found.rows)
    for row in (row for row in rows if not only or row.place.rpartition(".")[2] in only):
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
