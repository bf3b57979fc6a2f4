"""Making the images of a case anew under another revision of a profile: what there is to do, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cases.errands import Errand
from cases.intake import InstanceOutcome, ReceivedInstance
from cases.model import CaseStatus
from deidentify.results import DeidentifiedInstance, Dropped, ElementChange, Hold, HoldReason, IdentifierHashes

FOR_A_PERSON = frozenset(
    {
        HoldReason.TWO_PATIENTS.value,
        HoldReason.SAME_UID_DIFFERENT_PIXELS.value,
        # Its study may have failed before it was known whose it is and what else came under its UID.
        HoldReason.INTERNAL_ERROR.value,
    }
)
"""Holds that no profile can answer: whose an instance is, and which of two it is."""
OF_THE_MACHINE = frozenset(
    {HoldReason.PROCESS_DIED, HoldReason.INTERNAL_ERROR, HoldReason.SCREEN_UNAVAILABLE, HoldReason.UNREADABLE}
)
"""What is no answer of a profile but a fault of this run: what the case has stays as it is."""
MOST_ELEMENTS = 300
"""Attributes that a result names."""
ERRAND_DIGITS = 8
GONE = "gone"


def rerun_blob_key(case_id: str, arrival_id: str, errand_id: str) -> str:
    """Return where a re-run puts what it makes of an original: a place that no other run ever used or uses."""
    return f"cases/{case_id}/{arrival_id}-{errand_id[:ERRAND_DIGITS]}.dcm"


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
class Applied:
    """A re-run that was brought into its case, and what follows from that."""

    errand: Errand
    given_up: tuple[Errand, ...] = ()
    """Re-runs of single images under the revision that the case had before: what they made is outdated."""
    again: Errand | None = None
    """The re-run that looks at images again, under the revision that the case has now, after a person decided on them;
    no job works for it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentImage:
    """What a case has of an instance before its re-run."""

    blob_key: str
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
    identifiers: IdentifierHashes | None = None
    crosswalk: tuple[str, bytes] | None = field(repr=False, default=None)
    """Id of the key and the sealed entry."""
    changes: tuple[ElementChange, ...] = ()
    review: int = 0
    """Version of what a person had decided on its pixels when it was made."""

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

    @property
    def keeps_image(self) -> bool:
        """Tell whether its case keeps the image that it has."""
        return self.outcome is None or self.has_failed

    @property
    def has_failed(self) -> bool:
        """Tell whether the machine failed over it."""
        return isinstance(self.outcome, Hold) and self.outcome.reason in OF_THE_MACHINE


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunResult:
    """What changes for a case, in counts of instances and names of attributes."""

    remade: int
    """Images that were images before and are again."""
    changed: int
    """Those of them that are written otherwise."""
    pixels: int
    """Those of them whose pixels are written otherwise."""
    cleared: int
    """Instances that were held or left out and become images."""
    held: Mapping[str, int]
    """Instances that were not held and are now, by reason."""
    dropped: Mapping[str, int]
    """Instances that were not left out and are now, by reason."""
    failed: int
    """Instances that the machine failed over: they stay as they are."""
    gone: int
    """Images that stay as they are, since their originals are gone."""
    decided: int
    elements: tuple[tuple[ElementChange, int], ...]
    """What differs in how many images."""
    expired: int = 0
    """Those of the held ones whose originals were gone when it came into effect: nobody can look at them any more."""
    references: int = 0
    """Images of the case that name others by the UIDs that these have then."""
    texts: int = 0
    """Texts of the sender's that the revision keeps no more, and that nobody had edited."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        told = self.elements[:MOST_ELEMENTS]
        return {
            "remade": self.remade,
            "changed": self.changed,
            "pixels": self.pixels,
            "cleared": self.cleared,
            "held": dict(self.held),
            "dropped": dict(self.dropped),
            "failed": self.failed,
            "gone": self.gone,
            "decided": self.decided,
            "expired": self.expired,
            "references": self.references,
            "texts": self.texts,
            "elements": [[one.place, one.name, one.change.value, count] for one, count in told],
            "more_elements": len(self.elements) - len(told),
        }


def result_of(staged: Iterable[StagedInstance], *, gone: int, decided: int) -> RerunResult:
    """Sum up what a re-run made."""
    counts: Counter[str] = Counter()
    lost: dict[str, Counter[str]] = {"held": Counter(), "dropped": Counter()}
    elements: Counter[ElementChange] = Counter()
    for one in staged:
        if one.has_failed:
            counts["failed"] += 1
            continue
        match one.outcome:
            case DeidentifiedInstance() if one.was is InstanceOutcome.FILED:
                counts["remade"] += 1
                counts["changed"] += bool(one.changes)
                counts["pixels"] += any(change.is_pixels for change in one.changes)
                elements.update(one.changes)
            case DeidentifiedInstance():
                counts["cleared"] += 1
            case Hold(reason=reason) if one.was is not InstanceOutcome.HELD:
                lost["held"][reason.value] += 1
            case Dropped(reason=left_out) if one.was is not InstanceOutcome.DROPPED:
                lost["dropped"][left_out.value] += 1
            case None:
                counts["gone"] += one.was is InstanceOutcome.FILED
    return RerunResult(
        remade=counts["remade"],
        changed=counts["changed"],
        pixels=counts["pixels"],
        cleared=counts["cleared"],
        held=dict(sorted(lost["held"].items())),
        dropped=dict(sorted(lost["dropped"].items())),
        failed=counts["failed"],
        gone=gone + counts["gone"],
        decided=decided,
        elements=tuple(sorted(elements.items(), key=lambda found: (found[0].place, found[0].change))),
    )
