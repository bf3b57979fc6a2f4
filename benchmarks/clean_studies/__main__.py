"""``python -m benchmarks.clean_studies``: read clean studies, and say how many a person would have to look at.

What was read is kept in ``build/benchmarks/clean-studies``, and a further run goes on from there; what another version
of the screen read is left aside.
"""

import os
import sys
from pathlib import Path

import click

from benchmarks.clean_studies.run import SLICES, Plan, read_studies
from benchmarks.clean_studies.tables import section
from benchmarks.measuring import Measuring, common_options


@click.command()
@click.option("--studies", default=20, show_default=True, help="How many; every second one from a real volume.")
@click.option("--slices", default=SLICES, show_default=True, help="Of each study.")
@click.option("--chunks", type=int, help="Read so many tens of slices of each study, spread over it; else all.")
@click.option("--spread", is_flag=True, help="Some slices of every study first; else study after study.")
@common_options("studies")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True, help="Chunks read at a time.")
@click.option("--minutes", type=float, help="Begin no chunk after so many minutes.")
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
    measuring = Measuring.begin(corpus)
    plan = Plan(seed=seed, studies=studies, slices=slices, is_spread=spread, most_chunks=chunks)
    with measuring.counted("slices read", len(list(plan.chunks())) * slices // plan.all_chunks) as on_done:
        outcomes = read_studies(
            plan,
            kept=measuring.work / "clean-studies" / "slices.jsonl",
            pictures=measuring.work / "clean-studies" / "pictures",
            processes=processes,
            minutes=minutes,
            on_done=on_done,
        )
    if not outcomes:
        raise click.ClickException("No slice was read: the minutes were over before the first.")
    measuring.publish(section(outcomes, seed, slices), write=write)


if __name__ == "__main__":
    sys.exit(main())
