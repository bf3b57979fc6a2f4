"""Measure Casebridge beside its peers, in one run, on the same input.

``.venv/bin/python -m benchmarks.run`` prints tables; ``--write`` puts them into ``docs/performance.md`` as well.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.measure import load, machine_facts
from benchmarks.receivers import CHECKOUT
from benchmarks.report import Section, markdown, put_between_markers, show, write_json

PAGE = CHECKOUT / "docs" / "performance.md"
NAMES = ("receive", "deidentify", "screen", "draft")

SIZES = {
    # name: (steps, options, options with --quick); steps are those of one repeat, for the progress bar
    "receive": (9, {"objects": 300}, {"objects": 60}),
    "deidentify": (6, {"objects": 60}, {"objects": 10}),
    "screen": (2, {"frames": 30}, {"frames": 6}),
    "draft": (60, {"slices": 300, "whole": 1}, {"slices": 24, "whole": 1}),
}


def _sub_benchmark(name: str, work: Path, *, quick: bool, repeats: int) -> tuple[int, Callable[..., Section]]:
    """Return how many steps it reports, about, and the call that measures."""
    each, options, quick_options = SIZES[name]
    n = 1 if quick else min(repeats, 3) if name == "draft" else repeats
    measure = import_module(f"benchmarks.{name}").measure
    return n * each, partial(measure, work, repeats=n, **(quick_options if quick else options))


def _measure(console: Console, names: list[str], work: Path, *, quick: bool, repeats: int) -> list[Section]:
    plan = [_sub_benchmark(name, work, quick=quick, repeats=repeats) for name in names]
    sections = []
    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=sum(steps for steps, _ in plan))
        done = 0
        for steps, run in plan:
            sections.append(run(step=_Reporter(progress, task, done, steps)))
            done += steps
            progress.update(task, completed=done)
            show(sections[-1], progress.console)
    return sections


class _Reporter:
    """Moves the bar on for each step of one sub-benchmark, as far as its share goes."""

    def __init__(self, progress: Progress, task: TaskID, done: int, steps: int) -> None:
        self._progress, self._task, self._done, self._left = progress, task, done, steps

    def __call__(self, text: str) -> None:
        self._progress.update(self._task, description=text, completed=self._done)
        if self._left > 1:
            self._left -= 1
            self._done += 1


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Small inputs, once: to see that it works, not to quote.")
@click.option("--repeats", default=5, show_default=True, help="Interleaved repeats; drafts are timed three times.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=CHECKOUT / "build" / "benchmarks",
    help="Folder, on the disk to be measured, for inputs, what is received, and results.json; else build/benchmarks.",
)
def main(names: tuple[str, ...], *, quick: bool, repeats: int, write: bool, work: Path) -> None:
    """Measure Casebridge beside its peers on this machine: all of it, or what is named.

    Everything talks over loopback. Leave the machine alone meanwhile: the load is printed with the figures.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    console = Console()
    facts = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)}
    console.print("\n".join(f"{name:>14}  {value}" for name, value in facts.items()), highlight=False)
    sections = _measure(console, list(dict.fromkeys(names)) or list(NAMES), work, quick=quick, repeats=repeats)
    facts["load after"] = f"{load():.2f}"
    write_json(work / "results.json", facts, sections)
    console.print(f"\nEvery repeat: {work / 'results.json'}", highlight=False)
    if write:
        put_between_markers(PAGE, markdown(facts, sections))
        console.print("The tables stand in docs/performance.md.")


if __name__ == "__main__":
    sys.exit(main())
