"""Clean studies of hundreds of slices made here: how many are held, and what of them becomes black for nothing."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.burned_in.run import SCORING_SEED
from benchmarks.clean_studies.run import Plan, read_studies
from benchmarks.clean_studies.tables import section
from benchmarks.report import Section

__all__ = ["measure"]


def measure(
    work: Path, *, repeats: int, studies: int, slices: int, chunks: int, step: Callable[[str], None]
) -> Section:
    """Read some slices of so many studies for each repeat; the command of this module reads them whole."""
    plan = Plan(seed=SCORING_SEED, studies=repeats * studies, slices=slices, is_spread=True, most_chunks=chunks)
    folder = work / "clean-studies"
    outcomes = read_studies(
        plan,
        kept=folder / "slices.jsonl",
        pictures=folder / "pictures",
        on_done=lambda done: step(f"clean studies: {done} slices"),
    )
    return section(outcomes, plan.seed, plan.slices)
