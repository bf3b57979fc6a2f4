"""What a newly arrived instance is to those that came before it under the same SOP Instance UID. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cases.intake import InstanceOutcome, ReceivedInstance
from deidentify.compare import Fingerprint

GONE = frozenset({InstanceOutcome.DUPLICATE, InstanceOutcome.SUPERSEDED})
"""Outcomes of instances that something else stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resends:
    """The decision for one generation of a study."""

    fresh: tuple[ReceivedInstance, ...]
    """To be worked on, in order of arrival."""
    duplicates: tuple[tuple[ReceivedInstance, ReceivedInstance], ...]
    """(newly arrived, what it equals): nothing changes, nothing dropped comes back."""
    superseded: dict[str, tuple[ReceivedInstance, ...]] = field(default_factory=dict)
    """Arrival id of a fresh instance → the older ones whose place it takes."""
    conflicts: tuple[ReceivedInstance, ...] = ()
    """Different pixels under one UID, new and old alike: a person decides."""


def encoded_differently(instances: Iterable[ReceivedInstance], fingerprints: Mapping[str, Fingerprint]) -> set[str]:
    """Return arrival ids of instances that share a UID and differ in their pixel bytes.

    Only decoding tells whether the pixels themselves differ: transfer syntax and planar configuration may.
    """
    groups: dict[str, list[ReceivedInstance]] = {}
    for instance in instances:
        if instance.arrival_id in fingerprints and instance.outcome not in GONE:
            groups.setdefault(instance.sop_key, []).append(instance)
    return {
        instance.arrival_id
        for group in groups.values()
        if len({fingerprints[instance.arrival_id].pixels for instance in group}) > 1
        for instance in group
    }


def decide(
    pending: Sequence[ReceivedInstance],
    earlier: Iterable[ReceivedInstance],
    fingerprints: Mapping[str, Fingerprint],
) -> Resends:
    """Compare each pending instance with the newest one before it under its SOP Instance UID.

    ``fingerprints`` maps arrival ids to what is known of their content; an instance without one could not be parsed,
    and gives way to whatever comes after it.
    """
    standing: dict[str, list[ReceivedInstance]] = {}
    for old in sorted(earlier, key=lambda instance: instance.arrival_id):
        if old.outcome not in GONE:
            standing.setdefault(old.sop_key, []).append(old)
    fresh: dict[str, ReceivedInstance] = {}
    duplicates: list[tuple[ReceivedInstance, ReceivedInstance]] = []
    superseded: dict[str, tuple[ReceivedInstance, ...]] = {}
    conflicts: dict[str, ReceivedInstance] = {}
    for new in sorted(pending, key=lambda instance: instance.arrival_id):
        # After a crash some of this generation are done already; those that came later do not count as earlier.
        later = [old for old in standing.get(new.sop_key, ()) if _came_later(old, new)]
        rivals = [old for old in standing.get(new.sop_key, ()) if old not in later]
        mine = fingerprints.get(new.arrival_id)
        equal = next((old for old in rivals if mine and fingerprints.get(old.arrival_id) == mine), None)
        if equal is not None:
            duplicates.append((new, equal))
            continue
        readable = [old for old in rivals if old.arrival_id in fingerprints]
        if mine and any(fingerprints[old.arrival_id].pixels != mine.pixels for old in readable):
            # What a rival was to replace stands again, in the draft perhaps: it is doubtful like the rival.
            replaced = [older for old in readable for older in superseded.pop(old.arrival_id, ())]
            for rival in (*replaced, *readable, new):
                conflicts[rival.arrival_id] = rival
                fresh.pop(rival.arrival_id, None)
            standing[new.sop_key] = [*replaced, *rivals, new, *later]
            continue
        if mine or not rivals:
            replaced = [older for old in rivals for older in superseded.pop(old.arrival_id, ())]
            superseded[new.arrival_id] = (*replaced, *rivals)
            for old in rivals:
                fresh.pop(old.arrival_id, None)
            standing[new.sop_key] = [new, *later]
            fresh[new.arrival_id] = new
        else:
            # A resend that cannot be parsed says nothing against the one that could: it is held by itself.
            fresh[new.arrival_id] = new
    return Resends(
        fresh=tuple(fresh.values()),
        duplicates=tuple(duplicates),
        superseded={key: old for key, old in superseded.items() if old},
        conflicts=tuple(conflicts.values()),
    )


def _came_later(old: ReceivedInstance, new: ReceivedInstance) -> bool:
    return old.generation == new.generation and old.arrival_id > new.arrival_id
