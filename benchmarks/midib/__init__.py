"""A scorer of the kind of MIDI-B, closed against its holes, over studies that are generated with an answer key."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.report import Section

__all__ = ["measure"]


def measure(work: Path, *, repeats: int, studies: int, step: Callable[[str], None]) -> "Section":
    """Score every tool; each repeat is another seed."""
    # Late: the peers' environment, which runs a module of this package, has little of what it needs.
    from benchmarks.midib.score import measure as score

    return score(work, seeds=repeats, studies=studies, step=step)
