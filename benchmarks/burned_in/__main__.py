"""``python -m benchmarks.burned_in``: draw text into images, screen them, and say what was missed."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.burned_in.run import SCORING_SEED, TUNING_SEED, screen_all
from benchmarks.burned_in.tables import section
from benchmarks.measure import load, machine_facts
from benchmarks.receivers import CHECKOUT
from benchmarks.report import markdown, put_between_markers, show, write_json


@click.command()
@click.option("--images", default=300, show_default=True, help="How many images; half of them name somebody.")
@click.option(
    "--seed",
    default=TUNING_SEED,
    show_default=True,
    help=f"Which images. Tune on any; {SCORING_SEED} is kept for the figures of the page.",
)
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of real files.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True, help="Images screened at a time.")
@click.option("--minutes", type=float, help="Begin no image after so many minutes.")
@click.option("--misses", type=click.Path(file_okay=False, path_type=Path), help="Folder for pictures of what failed.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
def main(
    *,
    images: int,
    seed: int,
    corpus: Path | None,
    processes: int,
    minutes: float | None,
    misses: Path | None,
    write: bool,
) -> None:
    """Measure the pixel screen on burned-in text made here, on real frames and on phantoms."""
    if corpus is not None:
        os.environ["CASEBRIDGE_CORPUS"] = str(corpus.resolve())  # the children of the pool look there, too
    work = CHECKOUT / "build" / "benchmarks"
    work.mkdir(parents=True, exist_ok=True)
    pictures = misses or work / "burned-in"
    facts = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)}
    console = Console()
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("images screened", total=images)
        outcomes = screen_all(
            seed=seed,
            count=images,
            pictures=pictures,
            processes=processes,
            minutes=minutes,
            on_done=lambda done: progress.update(task, completed=done),
        )
    if not outcomes:
        raise click.ClickException("No image was screened: the minutes were over before the first.")
    facts["load after"] = f"{load():.2f}"
    found = section(outcomes, seed=seed, pictures=pictures)
    show(found, console)
    write_json(work / "results" / f"{found.name}.json", found, facts)
    if write:
        put_between_markers(CHECKOUT / "docs" / "performance.md", found.name, markdown(found, facts))


if __name__ == "__main__":
    sys.exit(main())
