"""Images with burned-in text after redaction, by Casebridge and by peers, and what a second engine reads in them."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.burned_in.run import SCORING_SEED
from benchmarks.redaction.run import interpreters, redact_all
from benchmarks.redaction.tables import section
from benchmarks.report import Section

__all__ = ["measure"]


def measure(work: Path, *, repeats: int, images: int, step: Callable[[str], None]) -> Section:
    """Let the tools that are here redact so many images for each repeat, of the seed that is kept for scoring."""
    outcomes, versions = redact_all(
        seed=SCORING_SEED,
        count=repeats * images,
        tools=interpreters({}),
        folder=work / "redaction",
        on_done=lambda done: step(f"redaction: {done} images"),
    )
    return section(outcomes, versions, SCORING_SEED)
