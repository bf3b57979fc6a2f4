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
NAMES = (
    "receive",
    "sizes",
    "untuned",
    "seal",
    "deidentify",
    "midib",
    "screen",
    "burned_in",
    "clean_studies",
    "redaction",
    "draft",
)

SIZES = {
    # name: (steps, options, options with --quick); steps are those of one repeat, for the progress bar
    "receive": (9, {"objects": 300}, {"objects": 60}),
    "sizes": (14, {"megabytes": 200, "large": 3, "small": 2000}, {"megabytes": 20, "large": 2, "small": 100}),
    "untuned": (4, {"objects": 100}, {"objects": 20}),
    "seal": (5, {"objects": 300}, {"objects": 60}),
    "deidentify": (24, {"objects": 60}, {"objects": 10}),
    "midib": (5, {"studies": 60}, {"studies": 8}),
    "screen": (2, {"frames": 30}, {"frames": 6}),
    "burned_in": (20, {"images": 200}, {"images": 12}),
    "clean_studies": (4, {"studies": 4, "slices": 300, "chunks": 1}, {"studies": 2, "slices": 6, "chunks": 1}),
    "redaction": (20, {"images": 20}, {"images": 4}),
    "draft": (60, {"slices": 300, "whole": 1}, {"slices": 24, "whole": 1}),
}


def _sub_benchmark(name: str, work: Path, *, quick: bool, repeats: int) -> tuple[int, Callable[..., Section]]:
    """Return how many steps it reports, about, and the call that measures."""
    each, options, quick_options = SIZES[name]
    n = 1 if quick else min(repeats, 3) if name == "draft" else repeats
    measure = import_module(f"benchmarks.{name}").measure
    return n * each, partial(measure, work, repeats=n, **(quick_options if quick else options))


def _measure(console: Console, names: list[str], work: Path, *, quick: bool, repeats: int, write: bool) -> None:
    plan = [_sub_benchmark(name, work, quick=quick, repeats=repeats) for name in names]
    percent, what = TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.description}")
    columns = (BarColumn(24), percent, TimeElapsedColumn(), what)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=sum(steps for steps, _ in plan))
        done = 0
        for steps, run in plan:
            facts = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)}
            section = run(step=_Reporter(progress, task, done, steps))
            facts["load after"] = f"{load():.2f}"
            done += steps
            progress.update(task, completed=done)
            show(section, progress.console)
            write_json(work / "results" / f"{section.name}.json", section, facts)
            if write:
                put_between_markers(PAGE, section.name, markdown(section, facts))


class _Reporter:
    """Moves the bar on for each step of one sub-benchmark, as far as its share goes."""

    def __init__(self, progress: Progress, task: TaskID, done: int, steps: int) -> None:
        self._progress, self._task, self._done, self._left = progress, task, done, steps

    def __call__(self, text: str) -> None:
        self._progress.update(self._task, description=text, completed=self._done)
        if self._left > 1:
            self._left -= 1
            self._done += 1


@click.command(epilog=f"NAME is one of: {', '.join(NAMES)}.")
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Small inputs, once: to see that it works, not to quote.")
@click.option("--repeats", default=5, show_default=True, help="Interleaved repeats; drafts are timed three times.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=CHECKOUT / "build" / "benchmarks",
    help="Folder, on the disk to be measured, for inputs, what is received, and every repeat; else build/benchmarks.",
)
def main(names: tuple[str, ...], *, quick: bool, repeats: int, write: bool, work: Path) -> None:
    """Measure Casebridge beside its peers on this machine: all of it, or what is named.

    Everything talks over loopback. Leave the machine alone meanwhile: the load is printed with the figures.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    console = Console()
    console.print("\n".join(f"{name:>14}  {value}" for name, value in machine_facts(work).items()), highlight=False)
    chosen = list(dict.fromkeys(names)) or list(NAMES)
    _measure(console, chosen, work, quick=quick, repeats=repeats, write=write)
    console.print(f"\nEvery repeat: {work / 'results'}", highlight=False)
    if write:
        console.print("The tables stand in docs/performance.md.")


if __name__ == "__main__":
    sys.exit(main())
