"""``python -m benchmarks.redaction``: let Casebridge and its peers redact the same images, and read them again."""

import sys
from pathlib import Path

import click

from benchmarks.measuring import Measuring, common_options
from benchmarks.redaction.run import interpreters, redact_all
from benchmarks.redaction.tables import section
from benchmarks.redactors import TOOLS


@click.command()
@click.option("--images", default=100, show_default=True, help="How many; half of them name somebody.")
@common_options("images")
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="NAME=PATH",
    help=f"Interpreter that has a tool, of {', '.join(TOOLS)}; repeatable. Without one, what is not here is left out.",
)
@click.option("--processes", default=1, show_default=True, help="Images worked on at a time.")
@click.option("--minutes", type=float, help="Begin no image after so many minutes.")
def main(
    *,
    images: int,
    seed: int,
    corpus: Path | None,
    pythons: tuple[str, ...],
    processes: int,
    minutes: float | None,
    write: bool,
) -> None:
    """Redact burned-in text with Casebridge and its peers, and look for what is left with a second engine."""
    measuring = Measuring.begin(corpus)
    given = {name: Path(path) for name, _, path in (one.partition("=") for one in pythons)}
    unknown = set(given) - set(TOOLS)
    if unknown:
        raise click.BadParameter(f"no such tool: {', '.join(sorted(unknown))}", param_hint="--python")
    with measuring.counted("images redacted", images) as on_done:
        outcomes, versions = redact_all(
            seed=seed,
            count=images,
            tools=interpreters(given),
            folder=measuring.work / "redaction",
            processes=processes,
            minutes=minutes,
            on_done=on_done,
        )
    if not outcomes:
        raise click.ClickException("No image was redacted: the minutes were over before the first.")
    measuring.publish(section(outcomes, versions, seed), write=write)


if __name__ == "__main__":
    sys.exit(main())
