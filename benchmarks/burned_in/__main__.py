"""``python -m benchmarks.burned_in``: draw text into images, screen them, and say what was missed."""

import os
import sys
from pathlib import Path

import click

from benchmarks.burned_in.run import screen_all
from benchmarks.burned_in.styles import Contrasts
from benchmarks.burned_in.tables import section
from benchmarks.measuring import Measuring, common_options


@click.command()
@click.option("--images", default=300, show_default=True, help="How many images; half of them name somebody.")
@common_options("images")
@click.option(
    "--contrasts",
    type=click.Choice(list(Contrasts)),
    default=Contrasts.USUAL,
    show_default=True,
    help="As faint as text usually is, which the goals are for; or each contrast as often as any other.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True, help="Images screened at a time.")
@click.option("--minutes", type=float, help="Begin no image after so many minutes.")
@click.option("--misses", type=click.Path(file_okay=False, path_type=Path), help="Folder for pictures of what failed.")
def main(
    *,
    images: int,
    seed: int,
    corpus: Path | None,
    contrasts: str,
    processes: int,
    minutes: float | None,
    misses: Path | None,
    write: bool,
) -> None:
    """Measure the pixel screen on burned-in text made here, on real frames and on phantoms."""
    measuring = Measuring.begin(corpus)
    pictures = misses or measuring.work / "burned-in"
    with measuring.counted("images screened", images) as on_done:
        outcomes = screen_all(
            seed=seed,
            count=images,
            contrasts=Contrasts(contrasts),
            pictures=pictures,
            processes=processes,
            minutes=minutes,
            on_done=on_done,
        )
    if not outcomes:
        raise click.ClickException("No image was screened: the minutes were over before the first.")
    measuring.publish(section(outcomes, seed=seed, contrasts=Contrasts(contrasts), pictures=pictures), write=write)


if __name__ == "__main__":
    sys.exit(main())
