"""``python -m benchmarks.clean_studies``: read clean studies, and say how many a person would have to look at.

What was read is kept in ``build/benchmarks/clean-studies``, and a further run goes on from there; what another version
of the screen read is left aside.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.burned_in.run import SCORING_SEED, TUNING_SEED
from benchmarks.clean_studies.run import SLICES, Plan, read_studies
from benchmarks.clean_studies.tables import section
from benchmarks.measure import load, machine_facts
from benchmarks.receivers import CHECKOUT
from benchmarks.report import markdown, put_between_markers, show, write_json


@click.command()
@click.option("--studies", default=20, show_default=True, help="How many; every second one from a real volume.")
@click.option("--slices", default=SLICES, show_default=True, help="Of each study.")
@click.option("--chunks", type=int, help="Read so many tens of slices of each study, spread over it; else all.")
@click.option("--spread", is_flag=True, help="Some slices of every study first; else study after study.")
@click.option(
    "--seed",
    default=TUNING_SEED,
    show_default=True,
    help=f"Which studies. Tune on any; {SCORING_SEED} is kept for the figures of the page.",
)
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of real files.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True, help="Chunks read at a time.")
@click.option("--minutes", type=float, help="Begin no chunk after so many minutes.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
def main(
    *,
    studies: int,
    slices: int,
    chunks: int | None,
    spread: bool,
    seed: int,
    corpus: Path | None,
    processes: int,
    minutes: float | None,
    write: bool,
) -> None:
    """Measure how many clean studies are held, on real volumes and on phantoms."""
    if corpus is not None:
        os.environ["CASEBRIDGE_CORPUS"] = str(corpus.resolve())  # the children of the pool look there, too
    plan = Plan(seed=seed, studies=studies, slices=slices, is_spread=spread, most_chunks=chunks)
    work = CHECKOUT / "build" / "benchmarks"
    work.mkdir(parents=True, exist_ok=True)
    facts = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)}
    console = Console()
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("slices read", total=len(list(plan.chunks())) * slices // plan.all_chunks)
        outcomes = read_studies(
            plan,
            kept=work / "clean-studies" / "slices.jsonl",
            pictures=work / "clean-studies" / "pictures",
            processes=processes,
            minutes=minutes,
            on_done=lambda done: progress.update(task, completed=done),
        )
    if not outcomes:
        raise click.ClickException("No slice was read: the minutes were over before the first.")
    facts["load after"] = f"{load():.2f}"
    found = section(outcomes, seed, slices)
    show(found, console)
    write_json(work / "results" / f"{found.name}.json", found, facts)
    if write:
        put_between_markers(CHECKOUT / "docs" / "performance.md", found.name, markdown(found, facts))


if __name__ == "__main__":
    sys.exit(main())
