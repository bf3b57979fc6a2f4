"""What became of clean slices, as tables: by study, by origin and by volume."""

# ruff: noqa: RUF001 - the tables are for people: ranges with a dash, signs of comparison

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.burned_in.tables import interval
from benchmarks.report import NOTHING, Section, Table
from deidentify.results import PixelVerdict

__all__ = ["SliceOutcome", "Tally", "section", "tally"]

_GOAL = 0.05
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceOutcome:
    """One clean slice, and what became of it."""

    study: int
    place: int
    volume: str
    origin: str
    """Modality, and whether the volume is real."""
    verdict: str
    boxes: int
    cpu_s: float

    @property
    def is_held(self) -> bool:
        """Say whether a person has to look at it."""
        return self.verdict not in {PixelVerdict.CLEAR, PixelVerdict.REDACT}

    @property
    def is_blackened(self) -> bool:
        """Say whether something of it becomes black for nothing."""
        return self.verdict == PixelVerdict.REDACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts over some slices; a study is whole when all its slices were read."""

    studies: int
    held: int
    blackened: int
    whole: int
    whole_held: int
    whole_blackened: int
    slices: int
    slices_held: int
    slices_blackened: int


def tally(outcomes: Iterable[SliceOutcome], slices: int) -> Tally:
    """Count studies and slices; ``slices`` are those of a whole study."""
    studies: dict[int, list[SliceOutcome]] = defaultdict(list)
    for one in outcomes:
        studies[one.study].append(one)
    whole = [found for found in studies.values() if len(found) == slices]
    every = [one for found in studies.values() for one in found]

    def with_one(groups: Iterable[list[SliceOutcome]], is_so: Callable[[SliceOutcome], bool]) -> int:
        return sum(any(is_so(one) for one in found) for found in groups)

    return Tally(
        studies=len(studies),
        held=with_one(studies.values(), lambda one: one.is_held),
        blackened=with_one(studies.values(), lambda one: one.is_blackened),
        whole=len(whole),
        whole_held=with_one(whole, lambda one: one.is_held),
        whole_blackened=with_one(whole, lambda one: one.is_blackened),
        slices=len(every),
        slices_held=sum(one.is_held for one in every),
        slices_blackened=sum(one.is_blackened for one in every),
    )


def _row(what: str, count: int, of: int, goal: float | None = None) -> list[str]:
    low, high = interval(count, of)
    percent = f"{100 * count / of:.2f} %" if of else NOTHING
    verdict = _verdict(count, of, goal) if goal and of else NOTHING
    return [
        what,
        f"{count} of {of}",
        percent,
        f"{100 * low:.2f}–{100 * high:.2f} %" if of else NOTHING,
        f"≤ {100 * goal:.4g} %" if goal else NOTHING,
        verdict,
    ]


def _verdict(count: int, of: int, goal: float) -> str:
    """Say that a goal is reached only where so many studies can show it."""
    if count > goal * of:
        return "**missed**"
    return "reached" if interval(count, of)[1] <= goal else "too few to tell"


def _overall(outcomes: Sequence[SliceOutcome], slices: int) -> list[list[str]]:
    all_of_it = tally(outcomes, slices)
    return [
        _row(f"studies of {slices} slices, all read: with a hold", all_of_it.whole_held, all_of_it.whole, _GOAL),
        _row("– with a slice made black for nothing", all_of_it.whole_blackened, all_of_it.whole),
        _row("all studies, those read in part too: with a hold", all_of_it.held, all_of_it.studies),
        _row("– with a slice made black for nothing", all_of_it.blackened, all_of_it.studies),
        _row("slices: held", all_of_it.slices_held, all_of_it.slices),
        _row("slices: made black for nothing", all_of_it.slices_blackened, all_of_it.slices),
    ]


def _groups(outcomes: Sequence[SliceOutcome], slices: int, name: Callable[[SliceOutcome], str]) -> list[list[str]]:
    groups: dict[str, list[SliceOutcome]] = defaultdict(list)
    for one in outcomes:
        groups[name(one)].append(one)
    counted = [(value, tally(found, slices)) for value, found in sorted(groups.items())]
    return [
        [
            value,
            f"{one.whole_held} of {one.whole}",
            f"{one.held} of {one.studies}",
            f"{one.slices_held} of {one.slices}",
            f"{one.slices_blackened} of {one.slices}",
        ]
        for value, one in counted
    ]


def _notes(outcomes: Sequence[SliceOutcome], seed: int, slices: int) -> list[str]:
    counted = tally(outcomes, slices)
    real = {one.volume for one in outcomes if one.origin.endswith("real")}
    made = (
        f"Seed {seed}. Every second study comes from a real volume of the corpus, in turns ({len(real)} volumes: a "
        "series of one maker in one size, files without text only), the others each from phantoms of their own. "
        f"{slices} slices are mixtures of neighbouring pictures of the volume, at most 512 pixels a side, turned up "
        "to 17 degrees, scaled by 0.75 to 1.25, shifted by up to 11 %, changing slowly over the study, half of them "
        "mirrored, with noise of their own of 0.2 to 2 % of the range."
    )
    cpu = statistics.median([one.cpu_s for one in outcomes])
    ends = [counted.slices_held / counted.slices, interval(counted.slices_held, counted.slices)[1]]
    found, most = (f"{100 * (1 - (1 - chance) ** slices):.1f} %" for chance in ends)
    implied = (
        f"{counted.whole} studies were read whole, {counted.studies - counted.whole} in part; of these the share with "
        f"a hold is a lower bound. If slices were held independently of each other, {found} of studies would have a "
        f"hold, {most} at the upper end of the interval; neighbours are alike, so that it is less. CPU: "
        f"{1000 * cpu:.0f} ms a slice (median; the machine may have been busy)."
    )
    return [made, implied]


def section(outcomes: Sequence[SliceOutcome], seed: int, slices: int) -> Section:
    """Return all tables."""
    columns = ("", "whole studies with a hold", "all studies", "slices held", "slices made black")
    return Section(
        name="clean_studies",
        title="Clean studies",
        tables=[
            Table(
                title="Clean CT and MR studies",
                columns=("what", "count", "share", "95 % interval", "goal", ""),
                rows=_overall(outcomes, slices),
            ),
            Table(
                title="By origin",
                columns=("origin", *columns[1:]),
                rows=_groups(outcomes, slices, lambda one: one.origin),
            ),
            Table(
                title="By volume",
                columns=("volume", *columns[1:]),
                rows=_groups(outcomes, slices, lambda one: one.volume)[:_MOST_ROWS],
            ),
        ],
        notes=_notes(outcomes, seed, slices),
        data={"slices": slices, "seed": seed, "outcomes": [asdict(one) for one in outcomes]},
    )
