"""Looks at retained originals under a profile: previews of one study, and what another revision would change.

In here are keys, counts, defined terms and names of attributes. What an original says lies beside it, never here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeVar

from cases.errands import Errand, ErrandState
from cases.impacts import ImpactCounts

T = TypeVar("T")

GONE = "gone"
"""Outcome of an instance whose original went before it was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an errand of these kinds is to look at: fixed when it is asked for, whatever goes since."""

    arrivals: tuple[str, ...]
    """Keys of the instances; the first is number 1."""
    has_pixels: bool = False

    @classmethod
    def of(cls, errand: Errand) -> Self:
        """Return what was asked for with an errand."""
        return cls(arrivals=tuple(errand.asked["arrivals"]), has_pixels=bool(errand.asked["pixels"]))

    def values(self) -> dict[str, Any]:
        """Return what the database keeps."""
        return {"arrivals": list(self.arrivals), "pixels": self.has_pixels}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the preview of one instance came to, in counts."""

    outcome: str
    """``delivered``, ``held`` or ``dropped``, or ``GONE``; empty until it was looked at."""
    reason: str = ""
    """A defined term of ``HoldReason`` or ``DropReason``."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """How many elements become what."""
    pictures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedInstance:
    """One instance of a preview."""

    number: int
    """Counts from 1."""
    arrival_id: str
    looked: Looked


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPreview:
    """How far the preview of a study is, and what it came to."""

    errand: Errand
    has_pixels: bool
    instances: tuple[PreviewedInstance, ...]

    @classmethod
    def of(cls, errand: Errand) -> Self:
        """Return what the errand of a preview says."""
        asked, found = Asked.of(errand), looked_at(errand)
        nothing = Looked(outcome="")
        return cls(
            errand=errand,
            has_pixels=asked.has_pixels,
            instances=tuple(
                PreviewedInstance(number=number, arrival_id=arrival_id, looked=found.get(number, nothing))
                for number, arrival_id in enumerate(asked.arrivals, 1)
            ),
        )

    def outcomes(self) -> dict[str, int]:
        """Return how many instances came to what, with the reason."""
        told = (one.looked for one in self.instances if one.looked.outcome)
        return dict(Counter(f"{one.outcome}: {one.reason}" if one.reason else one.outcome for one in told))

    def changes(self) -> dict[str, int]:
        """Return how many elements become what, over all instances."""
        counts = Counter[str]()
        for one in self.instances:
            counts.update(one.looked.changes)
        return dict(counts)


def looked_at(errand: Errand) -> dict[int, Looked]:
    """Return what a preview came to so far, by the numbers of its instances."""
    return {int(number): Looked(**values) for number, values in errand.result.get("instances", {}).items()}


def looked_values(found: Mapping[int, Looked]) -> dict[str, Any]:
    """Return what the database keeps of a preview."""
    instances = {
        str(number): {
            "outcome": one.outcome,
            "reason": one.reason,
            "changes": dict(one.changes),
            "pictures": one.pictures,
        }
        for number, one in sorted(found.items())
    }
    return {"instances": instances}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionImpact:
    """What another revision would change over some studies, as far as they were looked at."""

    id: str
    first: str
    """``NAME@REVISION``."""
    second: str
    requested_by: str
    requested_at: datetime
    errands: tuple[Errand, ...]
    """One for each study."""

    def counts(self) -> ImpactCounts:
        """Return the sum over all studies that were looked at."""
        whole = ImpactCounts()
        for errand in self.errands:
            if "counts" in errand.result:
                whole.merge(ImpactCounts.of(errand.result["counts"]))
        return whole

    def states(self) -> dict[str, int]:
        """Return how many studies stand where."""
        return dict(Counter(errand.state.value for errand in self.errands))

    @property
    def state(self) -> ErrandState:
        """Where the whole stands: it is done when no study is left, and failed where none could be worked on."""
        states = {errand.state for errand in self.errands}
        if states == {ErrandState.QUEUED}:
            return ErrandState.QUEUED
        if states & {ErrandState.QUEUED, ErrandState.RUNNING}:
            return ErrandState.RUNNING
        return ErrandState.FAILED if states == {ErrandState.FAILED} else ErrandState.DONE

    @property
    def unfinished(self) -> int:
        """How many studies are not done."""
        return sum(errand.state in {ErrandState.QUEUED, ErrandState.RUNNING} for errand in self.errands)

    @property
    def gone(self) -> int:
        """How many instances had lost their originals."""
        return sum(errand.result.get("gone", 0) for errand in self.errands)

    @property
    def studies_gone(self) -> int:
        """How many studies had lost all their originals before they were looked at."""
        done = [errand for errand in self.errands if errand.state is ErrandState.DONE]
        return sum(errand.result.get("gone", 0) == errand.total > 0 for errand in done)

    def faults(self) -> tuple[str, ...]:
        """Return why studies failed, each sentence once."""
        return tuple(dict.fromkeys(errand.reason for errand in self.errands if errand.reason))


def spread(found: Sequence[T], most: int) -> list[T]:
    """Return at most so many of them, the first and the last among them; 0 for all."""
    if not most or len(found) <= most:
        return list(found)
    if most == 1:
        return [found[0]]
    return [found[round(number * (len(found) - 1) / (most - 1))] for number in range(most)]
