"""What people decided on a picture that comes in again under another header: it counts for the newer one as well.

Only where the picture is the same to the last bit, and says the same of itself; else nothing is carried, and a person
decides again.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge import pipeline
from bridge.children import Children
from bridge.pipeline import Task, task_of
from cases.intake import InstanceOutcome, ReceivedInstance, ReceivedStudy
from cases.model import CaseShell
from cases.store import Audit, CarriedReviews, Database, Intake
from cases.store.carried import Decided

log = logging.getLogger("casebridge.carried")

ACTOR = "casebridge"
_Superseded = Mapping[str, tuple[ReceivedInstance, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What was carried to instances that are to be worked on."""

    left_out: frozenset[str] = frozenset()
    """Arrivals that have their outcome: a person had left the same picture out."""
    known: Mapping[str, Decided] = field(default_factory=dict)
    """What was decided, at that moment, on those whose place an arrival takes."""


def carry(
    database: Database,
    children: Children,
    study: ReceivedStudy,
    shell: CaseShell,
    *,
    fresh: Sequence[ReceivedInstance],
    superseded: _Superseded,
) -> Carried:
    """Carry decisions to instances from what they take the place of; may be repeated."""
    older = {one.arrival_id: comparable(superseded, one.arrival_id) for one in fresh}
    with database.read() as session:
        decided = CarriedReviews(session).decided({old.arrival_id for olds in older.values() for old in olds})
    known = {
        new: {old.arrival_id: decided[old.arrival_id] for old in olds if old.arrival_id in decided}
        for new, olds in older.items()
    }
    pairs = [(new, old) for new in fresh if (old := _newest(older[new.arrival_id], decided)) is not None]
    digests = _pictures(children, study, [one for pair in pairs for one in pair])
    left_out = set()
    for new, old in pairs:
        mine, other = digests.get(new.arrival_id, ""), digests.get(old.arrival_id, "")
        if not mine or mine != other:
            continue
        with database.write() as session:
            found = CarriedReviews(session).carry(old.arrival_id, new.arrival_id, case_id=shell.case_id)
            if found is None:
                continue
            detail: dict[str, str | int | bool | None] = {
                "from": f"hold {found.from_hold}",
                "decisions": found.decisions,
                "left_out": found.is_left_out,
            }
            if found.is_left_out:
                _supersede(Intake(session), new, superseded)
            Audit(session).append(ACTOR, "hold.carry", f"hold {found.hold_id}", detail)
        if found.is_left_out:
            left_out.add(new.arrival_id)
    if pairs:
        log.info("decisions on pictures that came again", extra={"instances": len(pairs)})
    return Carried(left_out=frozenset(left_out), known=known)


def _supersede(intake: Intake, new: ReceivedInstance, superseded: _Superseded) -> None:
    """Close the books on what else an instance takes the place of, where nothing of it is in a case."""
    for old in superseded.get(new.arrival_id, ()):
        if old.outcome in {InstanceOutcome.RECEIVED, InstanceOutcome.HELD}:
            intake.finish(old.arrival_id, InstanceOutcome.SUPERSEDED, duplicate_of=new.arrival_id)


def comparable(superseded: _Superseded, arrival_id: str) -> tuple[ReceivedInstance, ...]:
    """Return the older arrivals whose place one takes and with which it was compared."""
    return tuple(old for old in superseded.get(arrival_id, ()) if old.fingerprint_dataset)


def _newest(olds: Sequence[ReceivedInstance], decided: Decided) -> ReceivedInstance | None:
    found = [old for old in olds if old.arrival_id in decided]
    return max(found, key=lambda old: old.arrival_id, default=None)


def _pictures(children: Children, study: ReceivedStudy, instances: Sequence[ReceivedInstance]) -> dict[str, str]:
    tasks = [task_of(study, one) for one in instances]
    return {task.arrival_id: digest for task, digest in children.each(tasks, pipeline.picture, _killed)}


def _killed(_task: Task) -> str:
    return ""
