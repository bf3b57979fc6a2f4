"""How far a command on files is: a bar on a terminal, and a line for every tenth elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Step", "processors", "progress"]

Step = Callable[[str, int, int], None]
"""Called with what is done, how many files or frames are and how many there are."""


def processors() -> int:
    """Return how many processors this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def progress(console: Console, *, by_frame: str = "") -> Iterator[Step]:
    """Give a bar on a terminal, and a line for every tenth elsewhere.

    Parameters
    ----------
    console
        Where it is shown.
    by_frame
        What counts frames; the rest counts files.
    """
    if not console.is_terminal:
        yield _lines(console, by_frame)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        bars: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = shown.add_task(what, total=total)
            shown.update(bars[what], completed=done)

        yield step


def _lines(console: Console, by_frame: str) -> Step:
    shown: dict[str, int] = {}

    def step(what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if done and tenth > shown.get(what, 0):
            shown[what] = tenth
            unit = "frames" if what == by_frame else "files"
            console.print(f"{what}: {done} of {total} {unit}", highlight=False)

    return step
