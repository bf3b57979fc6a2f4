"""``python -m benchmarks.midib``: score the tools here, and list what each missed."""

import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.midib import measure
from benchmarks.report import show


@click.command()
@click.option("--seeds", default=1, show_default=True, help="How many times other people are planted.")
@click.option("--studies", default=40, show_default=True, help="Studies of the corpus to plant in, for each seed.")
@click.option("--misses", default=40, show_default=True, help="How many kinds of misses of each tool to list.")
@click.option("--tool", "tools", multiple=True, help="List the misses of these tools only.")
def main(seeds: int, studies: int, misses: int, tools: tuple[str, ...]) -> None:
    """Score Casebridge, deid, dicognito and dicom-anonymizer on generated studies."""
    console = Console()
    section = measure(Path("build/benchmarks"), repeats=seeds, studies=studies, step=console.print)
    show(section, console)
    for tool, found in section.data.items():
        if tools and tool not in tools:
            continue
        console.print(f"\nMissed by {tool}:", style="bold")
        for what, count in list(found["misses"].items())[:misses]:
            console.print(f"{count:6} {what}", highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
