"""Many images screened by several processes, each made where it is screened."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.burned_in.score import Outcome, screened, start
from benchmarks.burned_in.styles import Contrasts
from bridge.pool import Pool

__all__ = ["SCORING_SEED", "TUNING_SEED", "screen_all"]

TUNING_SEED = 1
"""For whoever changes the screen: look at its misses as much as you like."""

SCORING_SEED = 20261204
"""For the figures of the page alone. Once its misses have led to a change of the screen, take another."""


def screen_all(
    *,
    seed: int,
    count: int,
    contrasts: Contrasts,
    pictures: Path,
    processes: int = 2,
    minutes: float | None = None,
    on_done: Callable[[int], None] = lambda _done: None,
) -> list[Outcome]:
    """Return what became of images 0 to ``count``; of fewer where the minutes are over, told by how many there are."""
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    outcomes: list[Outcome] = []
    with Pool(processes, initializer=start) as pool, ThreadPoolExecutor(processes) as threads:

        def one(number: int) -> Outcome | None:
            # Which images are left out depends on their numbers alone, never on what is in them.
            return None if time.monotonic() > end else pool.run(screened, seed, number, pictures, contrasts)

        for future in as_completed([threads.submit(one, number) for number in range(count)]):
            outcome = future.result()
            if outcome is not None:
                outcomes.append(outcome)
                on_done(len(outcomes))
    return sorted(outcomes, key=lambda outcome: outcome.number)
