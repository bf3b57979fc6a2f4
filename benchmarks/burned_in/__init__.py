"""Burned-in text made here, and how the pixel screen does on it: what it finds, misses and holds for nothing."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.burned_in.run import SCORING_SEED, screen_all
from benchmarks.burned_in.styles import Contrasts
from benchmarks.burned_in.tables import section
from benchmarks.report import Section

__all__ = ["measure"]

_TOLD_EVERY = 10


def measure(work: Path, *, repeats: int, images: int, step: Callable[[str], None]) -> Section:
    """Screen so many images for each repeat, all of the seed that is kept for scoring."""
    pictures = work / "burned-in"
    count = repeats * images

    def told(done: int) -> None:
        if done % _TOLD_EVERY == 0:
            step(f"burned in: {done}/{count}")

    outcomes = screen_all(seed=SCORING_SEED, count=count, contrasts=Contrasts.USUAL, pictures=pictures, on_done=told)
    return section(outcomes, seed=SCORING_SEED, contrasts=Contrasts.USUAL, pictures=pictures)
