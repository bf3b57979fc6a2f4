"""What the commands that measure on images of their own share: their options, a bar, and where the figures go."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.burned_in.run import SCORING_SEED, TUNING_SEED
from benchmarks.measure import load, machine_facts
from benchmarks.receivers import CHECKOUT
from benchmarks.report import Section, markdown, put_between_markers, show, write_json

__all__ = ["Measuring", "common_options"]

_PAGE = CHECKOUT / "docs" / "performance.md"
_Command = TypeVar("_Command", bound=Callable[..., object])


def common_options(what: str) -> Callable[[_Command], _Command]:
    """Give a command ``--seed``, ``--corpus`` and ``--write``; ``what`` is chosen by the seed."""
    options = (
        click.option(
            "--seed",
            default=TUNING_SEED,
            show_default=True,
            help=f"Which {what}. Tune on any; {SCORING_SEED} is kept for the figures of the page.",
        ),
        click.option(
            "--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of real files."
        ),
        click.option("--write", is_flag=True, help="Put the tables into docs/performance.md."),
    )

    def with_options(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


@dataclass(slots=True, kw_only=True)
class Measuring:
    """One measurement, from the facts of the machine before it to the tables after it."""

    work: Path
    facts: dict[str, str]
    console: Console = field(default_factory=Console)

    @classmethod
    def begin(cls, corpus: Path | None) -> "Measuring":
        """Note when and where it begins; the corpus is where the children of the pool look, too."""
        if corpus is not None:
            os.environ["CASEBRIDGE_CORPUS"] = str(corpus.resolve())
        work = CHECKOUT / "build" / "benchmarks"
        work.mkdir(parents=True, exist_ok=True)
        return cls(work=work, facts={"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine_facts(work)})

    @contextmanager
    def counted(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar; give what moves it."""
        columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)

    def publish(self, found: Section, *, write: bool) -> None:
        """Show the tables, keep every repeat, and put the tables into the page where that is asked for."""
        self.facts["load after"] = f"{load():.2f}"
        show(found, self.console)
        write_json(self.work / "results" / f"{found.name}.json", found, self.facts)
        if write:
            put_between_markers(_PAGE, found.name, markdown(found, self.facts))
