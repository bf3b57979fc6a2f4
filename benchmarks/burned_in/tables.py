"""The outcomes as tables: beside the goals, and by style."""

# ruff: noqa: RUF001 - the tables are for people: ranges with a dash, signs of comparison

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.burned_in.backgrounds import real_files
from benchmarks.burned_in.fonts import families
from benchmarks.burned_in.generate import Kind
from benchmarks.burned_in.score import Outcome, RegionOutcome
from benchmarks.burned_in.styles import Contrasts
from benchmarks.report import NOTHING, Section, Table
from deidentify.results import PixelVerdict

__all__ = ["Goal", "goals", "interval", "section"]

_Z = 1.959964
_CLEAR_FROM = 0.3
_CONTRASTS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75)
_SIZES = (0, 11, 15, 20, 30, 45)
_MOST_MISSES = 40
_MOST_OF_THE_INK = 0.99
_NAMES = {Contrasts.USUAL: "burned_in", Contrasts.EVEN: "burned_in_even"}
_SAID = {Contrasts.USUAL: "as faint as text usually is", Contrasts.EVEN: "each contrast as often as any other"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One measure of the screen: how many of how many, and the share that is asked for at least, or at most."""

    what: str
    count: int
    of: int
    goal: float
    is_least: bool

    @property
    def is_reached(self) -> bool:
        """Say whether the share found reaches the goal; where nothing was asked nothing is reached."""
        share = self.count / self.of if self.of else math.nan
        return share >= self.goal if self.is_least else share <= self.goal


def interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, by Wilson's score."""
    if not of:
        return 0.0, 1.0
    share, z2 = count / of, _Z**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else NOTHING


def goals(outcomes: Sequence[Outcome]) -> list[Goal]:
    """Return the measures, each beside what it should be."""
    by_kind: dict[Kind, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.kind].append(outcome)
    named = by_kind[Kind.IDENTITY]
    strong = [one for one in named if max(region.planted.contrast for region in one.regions) >= _CLEAR_FROM]
    regions = [region for one in named for region in one.regions]
    sides = [region for one in by_kind[Kind.SIDE] for region in one.regions]

    covered = sum(region.is_found and region.ink_covered >= _MOST_OF_THE_INK for region in regions)

    def held(of: list[Outcome]) -> int:
        return sum(one.is_held for one in of)

    rows = (
        ("images that name somebody: held", held(named), len(named), 0.997, True),
        (f"– of these with contrast of {_CLEAR_FROM} or more", held(strong), len(strong), 1.0, True),
        ("regions that name somebody: found", sum(one.is_found for one in regions), len(regions), 0.995, True),
        ("– of all: found with 99 % of their ink", covered, len(regions), 0.99, True),
        ("images without text: held", held(by_kind[Kind.NOTHING]), len(by_kind[Kind.NOTHING]), 0.03, False),
        ("images with safe text: held", held(by_kind[Kind.SAFE]), len(by_kind[Kind.SAFE]), 0.05, False),
        ("images with a single L or R: held", held(by_kind[Kind.SIDE]), len(by_kind[Kind.SIDE]), 0.05, False),
        ("– the L or R itself taken for more", sum(one.is_touched for one in sides), len(sides), 0.0, False),
    )
    return [Goal(what=what, count=count, of=of, goal=goal, is_least=least) for what, count, of, goal, least in rows]


def _goal_row(goal: Goal) -> list[str]:
    low, high = interval(goal.count, goal.of)
    sign = ("≥" if goal.is_least else "≤") if 0 < goal.goal < 1 else ""
    return [
        goal.what,
        f"{goal.count} of {goal.of}",
        _share(goal.count, goal.of),
        f"{100 * low:.1f}–{100 * high:.1f} %" if goal.of else NOTHING,
        f"{sign} {100 * goal.goal:.4g} %".strip(),
        ("reached" if goal.is_reached else "**missed**") if goal.of else NOTHING,
    ]


def _band(value: float, starts: Sequence[float]) -> str:
    index = max(position for position, start in enumerate(starts) if value >= start or position == 0)
    end = f"–{starts[index + 1]:g}" if index + 1 < len(starts) else " and more"
    return f"{starts[index]:g}{end}"


_CHOICES: Mapping[str, Callable[[Outcome, RegionOutcome], str]] = {
    "contrast": lambda _one, region: _band(region.planted.contrast, _CONTRASTS),
    "height of the line, px": lambda _one, region: _band(region.planted.thickness, _SIZES),
    "image": lambda one, _region: one.form.value,
    "runs": lambda _one, region: region.planted.style.turn.value,
    "letters": lambda _one, region: region.planted.style.look.value,
    "place": lambda _one, region: region.planted.style.place.value,
    "ink": lambda _one, region: "coloured" if region.planted.style.colour else "black or white",
    "font": lambda _one, region: region.planted.style.font,
    "script": lambda _one, region: region.planted.line.script,
    "what it says": lambda _one, region: region.planted.line.what,
    "header": lambda one, _region: "names who is drawn" if one.is_named else "names somebody else",
    "background": lambda one, _region: one.origin,
}
"""What a line is told by: each choice of its style, and what it stands on."""
_CHOICES_OF_SAFE = ("contrast", "height of the line, px", "image", "runs", "letters", "font", "background")


def _by_style(named: Sequence[Outcome]) -> list[list[str]]:
    """Return one row for each value of each choice: images held, regions found."""
    rows = []
    for name, choose in _CHOICES.items():
        groups: dict[str, list[tuple[Outcome, RegionOutcome]]] = defaultdict(list)
        for one in named:
            for region in one.regions:
                groups[choose(one, region)].append((one, region))
        for value in sorted(groups, key=_numeric_first):
            pairs = groups[value]
            images = {one.number: one.is_held for one, _ in pairs}
            found = sum(region.is_found for _, region in pairs)
            rows.append(
                [
                    f"{name}: {value}",
                    f"{sum(images.values())} of {len(images)}",
                    f"{found} of {len(pairs)}",
                    _share(found, len(pairs)),
                ]
            )
    return rows


def _safe_by_style(safe: Sequence[Outcome]) -> list[list[str]]:
    """Return one row for each value of what decides whether harmless text is read: images held.

    An image counts with its faintest line; all of its lines are of one style otherwise.
    """
    rows = []
    for name in _CHOICES_OF_SAFE:
        groups: dict[str, list[bool]] = defaultdict(list)
        for one in safe:
            if one.regions:
                faintest = min(one.regions, key=lambda region: region.planted.contrast)
                groups[_CHOICES[name](one, faintest)].append(one.is_held)
        for value in sorted(groups, key=_numeric_first):
            held = groups[value]
            rows.append([f"{name}: {value}", f"{sum(held)} of {len(held)}", _share(sum(held), len(held))])
    return rows


def _numeric_first(value: str) -> tuple[float, str]:
    first = value.partition("–")[0].partition(" ")[0]
    return (float(first) if first.replace(".", "", 1).isdigit() else math.inf, value)


def _missed(outcomes: Iterable[Outcome]) -> list[list[str]]:
    rows = []
    for one in outcomes:
        for region in one.regions:
            if one.kind is Kind.IDENTITY and not region.is_found:
                planted = region.planted
                words = [planted.style.turn, planted.style.look, planted.style.font, one.form, one.origin]
                rows.append(
                    [
                        str(one.number),
                        planted.line.what,
                        f"{planted.contrast:.2f}",
                        str(planted.thickness),
                        ", ".join(words),
                        "held" if one.is_held else "**passed**",
                    ]
                )
    return sorted(rows, key=lambda row: (row[-1] == "held", int(row[0])))


def _notes(outcomes: Sequence[Outcome], seed: int, missed: int) -> list[str]:
    unread = sum(one.verdict is PixelVerdict.NOT_EVALUATED for one in outcomes)
    real = real_files()
    grounds = (
        f"Real backgrounds: {sum(len(files) for files in real.values())} files of the corpus without text, cut to 512 "
        f"pixels a side ({', '.join(f'{modality} {len(files)}' for modality, files in real.items())}); the rest are "
        "phantoms."
        if real
        else "The corpus is not here (set CASEBRIDGE_CORPUS), so that every background is a phantom."
    )
    left_out = sum(one.left_out for one in outcomes)
    at_text = [any(region.is_found for region in one.regions) for one in outcomes if one.kind is Kind.IDENTITY]
    scored = (
        "A region is found when findings that are no safe text, and at most three times as high as the line and 8 px, "
        "cover half of it. What is held by a finding elsewhere counts as held: "
        f"{sum(at_text)} of the {len(at_text)} images that name somebody were held by a finding at the text itself."
    )
    fonts = (
        f"Fonts that were there: {'; '.join(families())}. {left_out} lines were left out: no font here writes them, or "
        f"they found no room. {unread} images were not read to their end, and count as held."
    )
    faintest = [min(region.planted.contrast for region in one.regions) for one in outcomes if one.regions]
    bands = Counter(_band(contrast, _CONTRASTS) for contrast in faintest)
    drawn = "Contrast reached by the faintest line of an image: " + ", ".join(
        f"{band} {_share(bands[band], len(faintest))}" for band in sorted(bands, key=_numeric_first)
    )
    listed = f"Regions listed as missed: {min(missed, _MOST_MISSES)} of {missed}, those in images that passed first."
    return [f"{len(outcomes)} images, seed {seed}. {grounds}", f"{drawn}.", scored, fonts, listed]


def section(outcomes: Sequence[Outcome], *, seed: int, contrasts: Contrasts, pictures: Path) -> Section:
    """Return all tables; ``pictures`` is where what went wrong was drawn.

    What is told by style needs faint lines in numbers, and is told of those that are drawn evenly.
    """
    missed = _missed(outcomes)
    tables = [
        Table(
            title=f"{len(outcomes)} images made here, seed {seed}, {_SAID[contrasts]}",
            columns=("what", "count", "share", "95 % interval", "goal", ""),
            rows=[_goal_row(goal) for goal in goals(outcomes)],
        ),
        Table(
            title="Regions missed",
            columns=("image", "what", "contrast", "height px", "style", "its image"),
            rows=missed[:_MOST_MISSES],
        ),
    ]
    if contrasts is Contrasts.EVEN:
        tables += _told_by_style(outcomes)
    return Section(
        name=_NAMES[contrasts],
        title="Burned-in text",
        tables=tables,
        notes=_notes(outcomes, seed, len(missed)),
        data={"pictures": [str(pictures)], "outcomes": [asdict(one) for one in outcomes]},
    )


def _told_by_style(outcomes: Sequence[Outcome]) -> list[Table]:
    return [
        Table(
            title="Images and regions that name somebody, by style",
            columns=("style", "images held", "regions found", "share of regions"),
            rows=_by_style([one for one in outcomes if one.kind is Kind.IDENTITY]),
        ),
        Table(
            title="Images with safe text held, by style of the faintest line",
            columns=("style", "images held", "share"),
            rows=_safe_by_style([one for one in outcomes if one.kind is Kind.SAFE]),
        ),
    ]
