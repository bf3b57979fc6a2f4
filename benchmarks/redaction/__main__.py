"""``python -m benchmarks.redaction``: let Casebridge and its peers redact the same images, and read them again."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.burned_in.run import SCORING_SEED, TUNING_SEED
from benchmarks.measure import load, machine_facts
from benchmarks.receivers import CHECKOUT
from benchmarks.redaction.run import interpreters, redact_all
from benchmarks.redaction.tables import section
from benchmarks.redactors import TOOLS
from benchmarks.report import markdown, put_between_markers, show, write_json


@click.command()
@click.option("--images", default=100, show_default=True, help="How many; half of them name somebody.")
@click.option(
    "--seed",
    default=TUNING_SEED,
    show_default=True,
    help=f"Which images. Tune on any; {SCORING_SEED} is kept for the figures of the page.",
)
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of real files.")
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="NAME=PATH",
    help=f"Interpreter that has a tool, of {', '.join(TOOLS)}; repeatable. Without one, what is not here is left out.",
)
@click.option("--processes", default=1, show_default=True, help="Images worked on at a time.")
@click.option("--minutes", type=float, help="Begin no image after so many minutes.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
def main(
    *,
    images: int,
    seed: int,
    corpus: Path | None,
    pythons: tuple[str, ...],
    processes: int,
    minutes: float | None,
    write: bool,
) -> None:
    """Redact burned-in text with Casebridge and its peers, and look for what is left with a second engine."""
    if corpus is not None:
        os.environ["CASEBRIDGE_CORPUS"] = str(corpus.resolve())
    given = {name: Path(path) for name, _, path in (one.partition("=") for one in pythons)}
    unknown = set(given) - set(TOOLS)
    if unknown:
        raise click.BadParameter(f"no such tool: {', '.join(sorted(unknown))}", param_hint="--python")
    work = CHECKOUT / "build" / "benchmarks"
    work.mkdir(parents=True, exist_ok=True)
    facts = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)}
    console = Console()
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("images redacted", total=images)
        outcomes, versions = redact_all(
            seed=seed,
            count=images,
            tools=interpreters(given),
            folder=work / "redaction",
            processes=processes,
            minutes=minutes,
            on_done=lambda done: progress.update(task, completed=done),
        )
    if not outcomes:
        raise click.ClickException("No image was redacted: the minutes were over before the first.")
    facts["load after"] = f"{load():.2f}"
    found = section(outcomes, versions, seed)
    show(found, console)
    write_json(work / "results" / f"{found.name}.json", found, facts)
    if write:
        put_between_markers(CHECKOUT / "docs" / "performance.md", found.name, markdown(found, facts))


if __name__ == "__main__":
    sys.exit(main())
