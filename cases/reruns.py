"""Making the images of a case anew under another revision of a profile: what there is to do, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cases.errands import Errand
from cases.model import CaseStatus, InstanceOutcome, ReceivedInstance
from deidentify.results import DeidentifiedInstance, Dropped, ElementChange, Hold, HoldReason, IdentifierHashes

NOT_TOUCHED = frozenset({HoldReason.TWO_PATIENTS.value, HoldReason.SAME_UID_DIFFERENT_PIXELS.value})
"""Holds that no profile can answer: whose an instance is, and which of two it is."""
MOST_ELEMENTS = 300
"""Attributes that a result names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunPlan:
    """What a re-run of a case would work on."""

    case_id: str
    status: CaseStatus
    owner: str | None
    received_study: str
    profile: str
    revision: str
    """That the case has."""
    instances: tuple[ReceivedInstance, ...]
    """Whose originals are there."""
    images: int
    """How many of them are images of the case now."""
    gone: int
    """Images whose originals are gone: they stay as they are."""
    decided: int
    """Instances that a person decided on, or that only a person can decide on: they stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunCandidate:
    """A case with what its re-run would find, and what came of asking for one."""

    plan: RerunPlan
    errand: Errand | None = None
    refusal: str = ""
    """Why it was not asked for, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentImage:
    """What a case has of an instance before its re-run."""

    blob_key: str
    sha256: str
    has_identifiers: bool
    """Whether the hashes of what its original said of whom are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedInstance:
    """What a re-run made of one original."""

    arrival_id: str
    was: InstanceOutcome
    outcome: DeidentifiedInstance | Hold | Dropped | None
    """None where the original was gone by then."""
    blob_key: str = ""
    is_same: bool = False
    """Whether it was written bit by bit as it is."""
    identifiers: IdentifierHashes | None = None
    crosswalk: tuple[str, bytes] | None = field(repr=False, default=None)
    """Id of the key and the sealed entry."""
    changes: tuple[ElementChange, ...] = ()

    @property
    def becomes(self) -> str:
        """Return what it becomes, by the words of ``InstanceOutcome``, or ``gone``."""
        match self.outcome:
            case DeidentifiedInstance():
                return InstanceOutcome.FILED.value
            case Hold():
                return InstanceOutcome.HELD.value
            case Dropped():
                return InstanceOutcome.DROPPED.value
            case _:
                return GONE


GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunResult:
    """What changes for a case, in counts of images and names of attributes."""

    remade: int
    """Images that were images before and are again."""
    changed: int
    """Those of them that are written otherwise."""
    pixels: int
    """Those of them whose pixels are written otherwise."""
    cleared: int
    """Instances that were held or left out and become images."""
    held: Mapping[str, int]
    """Images that are held now, by reason."""
    dropped: Mapping[str, int]
    """Images that are left out now, by reason."""
    gone: int
    """Images that stay as they are, since their originals are gone."""
    decided: int
    elements: tuple[tuple[ElementChange, int], ...]
    """What differs in how many images."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "remade": self.remade,
            "changed": self.changed,
            "pixels": self.pixels,
            "cleared": self.cleared,
            "held": dict(self.held),
            "dropped": dict(self.dropped),
            "gone": self.gone,
            "decided": self.decided,
            "elements": [[one.place, one.name, one.change.value, count] for one, count in self.elements],
        }


def result_of(staged: Iterable[StagedInstance], *, gone: int, decided: int) -> RerunResult:
    """Sum up what a re-run made."""
    remade = changed = pixels = cleared = 0
    lost: dict[str, Counter[str]] = {"held": Counter(), "dropped": Counter()}
    elements: Counter[ElementChange] = Counter()
    for one in staged:
        was_image = one.was is InstanceOutcome.FILED
        match one.outcome:
            case DeidentifiedInstance() if was_image:
                remade += 1
                changed += bool(one.changes)
                pixels += any(change.is_pixels for change in one.changes)
                elements.update(one.changes)
            case DeidentifiedInstance():
                cleared += 1
            case Hold(reason=reason) if was_image:
                lost["held"][reason.value] += 1
            case Dropped(reason=left_out) if was_image:
                lost["dropped"][left_out.value] += 1
            case None:
                gone += was_image
    return RerunResult(
        remade=remade,
        changed=changed,
        pixels=pixels,
        cleared=cleared,
        held=dict(sorted(lost["held"].items())),
        dropped=dict(sorted(lost["dropped"].items())),
        gone=gone,
        decided=decided,
        elements=tuple(sorted(elements.items(), key=lambda found: (found[0].place, found[0].change))[:MOST_ELEMENTS]),
    )
