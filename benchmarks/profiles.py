"""What a profile costs: once, when its text is read, and then for each header.

``.venv/bin/python -m benchmarks.profiles`` prints medians for the shipped profiles and for one of 2,000 rules.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from benchmarks.headers import enhanced_series
from benchmarks.measure import machine_facts, spread
from benchmarks.report import NOTHING, Section, Table, show
from config import load_settings
from config.profile_files import profile_names, profile_text, with_bases, with_recipe
from config.settings import Settings
from deidentify.deidentifier import Deidentifier
from deidentify.explain import loosened
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.tables import attribute_rows

__all__ = ["measure"]

_RULES = 2000
_HEADERS_EACH = 3
_RECIPE = Path(__file__).parents[1] / "tests" / "data" / "recipes" / "deid.dicom"
_WORK = Path(__file__).parents[1] / "build" / "bench"


def large_profile(rules: int = _RULES) -> str:
    """Return a profile of so many rules: for tags, one in twenty for a group; half of them for some instances only."""
    rows = [tag for tag in sorted(attribute_rows()) if 0x0010 <= tag >> 16 < 0x5000 and tag >> 16 != 0x0400]
    texts: dict[str, str] = {}
    number = 0
    while len(texts) < rules:
        tag = rows[number % len(rows)]
        group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
        where = f"({group},{element[:3]}x)" if number % 20 == 0 else f"({group},{element})"
        limit = ("", ", inside: []", ", only: {modality: [CT, MR]}", f", when: [{{keyword: Rows, is: {number}}}]")
        texts.setdefault(f'tag: "{where}"{limit[number // len(rows) % 4]}', f"Rule {number}.")
        number += 1
    listed = "".join(f"  - {{{where}, action: X, reason: {reason}}}\n" for where, reason in texts.items())
    return f"name: large\nbase: basic\nrules:\n{listed}"


def with_recipe_beside(settings: Settings) -> str:
    """Return a profile on `teaching` with the largest recipe that the deid package ships."""
    named = f"name: beside\nbase: teaching\nrecipe: {_RECIPE.name}\n"
    return with_bases(with_recipe(named, _RECIPE.parent), settings)


def _timed(call: Callable[[], object], repeats: int) -> list[float]:
    """Return the milliseconds of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def _headers(profile: Profile, header: bytes) -> Callable[[], None]:
    """Return a call that plans an instance with an engine that has seen one like it."""
    engine, scope = Deidentifier(profile), PseudonymScope(key=bytes(32), case_key="0" * 32)

    def plan() -> None:
        engine.plan(engine.read(io.BytesIO(header)), scope)

    plan()
    return plan


def measure(work: Path, *, repeats: int) -> Section:
    """Measure reading and using each profile."""
    settings = load_settings({})
    texts = {name: profile_text(name, settings) for name in sorted(profile_names(settings))}
    texts["teaching, deid.dicom beside it"] = with_recipe_beside(settings)
    texts[f"{_RULES:,} rules"] = large_profile()
    header = enhanced_series(work / "enhanced-mr", 1)[0].read_bytes()
    Profile.from_yaml("name: first\nbase: basic\n")
    rows, data = [], {}
    for name, text in texts.items():
        profile = Profile.from_yaml(text)
        read = _timed(lambda text=text: Profile.from_yaml(text), repeats)
        listed = _timed(lambda profile=profile: loosened(profile), repeats)
        used = _timed(_headers(profile, header), _HEADERS_EACH * repeats)
        rows.append(
            [
                name,
                str(len(profile.rules)) if profile.rules else NOTHING,
                spread(read).text(1),
                spread(listed).text(1),
                spread(used).text(1),
            ]
        )
        data[name] = {"read_ms": read, "loosened_ms": listed, "header_ms": used}
    columns = ("profile", "rules", "read, ms", "what it loosens, ms", "header of an enhanced MR, ms")
    return Section(
        name="profiles",
        title="What a profile costs",
        tables=[Table(title=f"Medians (range) of {repeats} repeats", columns=columns, rows=rows)],
        notes=["The header has about 8,000 elements; the engine has seen one like it."],
        data=data,
    )


@click.command()
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(min=1))
@click.option("--work", default=_WORK, type=click.Path(file_okay=False, path_type=Path), help="For the input.")
def main(repeats: int, work: Path) -> None:
    """Measure what profiles cost, and print a table."""
    console = Console(highlight=False)
    show(measure(work, repeats=repeats), console)
    console.print("; ".join(f"{name} {value}" for name, value in machine_facts(work).items()), style="dim")


if __name__ == "__main__":
    main()
