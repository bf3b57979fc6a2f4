"""References between the files of one case, in the output: where pixels changed, and with them a SOP Instance UID.

They follow once all is written: which image has another UID is known then.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.offline_child import OutputError, Written, unfinished
from bridge.offline_sources import Source
from deidentify.references import follow
from deidentify.results import Hold

__all__ = ["FollowTask", "Followed", "follow_file", "followed", "part_of", "stale"]

log = logging.getLogger("casebridge.references")

LEFT_BEHIND = "references to images whose pixels changed still name them by the UID that they would have had"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowTask:
    """A written file, and which UIDs in it are others now; those and the place are of the output."""

    target: str
    uids: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The same file with its references exchanged."""

    sha256: str
    size_bytes: int


def stale(sources: Sequence[Source]) -> Iterator[tuple[Source, dict[str, str]]]:
    """Yield the written files that refer to images of their case by UIDs that these have no more, with those UIDs."""
    written = [(source, source.outcome.instance) for source in sources if isinstance(source.outcome, Written)]
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for source, instance in written:
        if instance.uid_of_original:
            # Of copies that were changed otherwise the first one counts.
            names[source.case_key].setdefault(instance.uid_of_original, instance.description.sop_instance_uid)
    for source, instance in written:
        # A copy that was not changed is what its UID stands for.
        if not instance.uid_of_original:
            names[source.case_key].pop(instance.description.sop_instance_uid, None)
    for source, instance in written:
        known = names[source.case_key]
        uids = {uid: known[uid] for uid in instance.references if uid in known}
        if uids:
            yield source, uids


def part_of(place: Path) -> Path:
    """Return where a file of the output lies while its references follow; a killed process may leave it there."""
    return place.with_name(f".{place.name}.follows")


def follow_file(task: FollowTask) -> Followed | None:
    """Write a file of the output anew with its references exchanged, in its place; None where that cannot be done.

    Raises
    ------
    OutputError
        When there is no room, or the folder cannot be written to.
    """
    place = Path(task.target)
    part = part_of(place)
    try:
        with place.open("rb") as source, unfinished(part) as (target, finish):
            sha256, size = follow(source, task.uids, target)
            finish()
        part.replace(place)
    except (MemoryError, OutputError):
        raise
    except Exception:
        # One reference that leads nowhere must not cost the file that has it.
        log.exception("references of a file could not follow after an error of ours")
        return None
    return Followed(sha256=sha256, size_bytes=size)


def followed(written: Written, uids: dict[str, str], found: Followed | Hold | None) -> Written:
    """Return what is told of a file after its references followed, or did not."""
    instance = written.instance
    if not isinstance(found, Followed):
        report = replace(instance.report, notes=(*instance.report.notes, LEFT_BEHIND))
        return replace(written, instance=replace(instance, report=report))
    references = tuple(uids.get(uid, uid) for uid in instance.references)
    return replace(
        written,
        instance=replace(instance, sha256=found.sha256, size_bytes=found.size_bytes, references=references),
        identified_uids=tuple((original, uids.get(made, made)) for original, made in written.identified_uids),
    )
