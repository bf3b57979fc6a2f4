"""Letting references follow where the pixels of an image changed, and with them its SOP Instance UID."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge import pipeline
from bridge.children import Children
from cases.errands import Errand
from cases.errors import BlobNotFoundError, StoreUnavailableError
from cases.references import Stale
from cases.store import Database, References
from deidentify.references import follow

log = logging.getLogger("casebridge.references")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowTask:
    """One image whose references have to follow."""

    study_key: str
    stale: Stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Where the image lies whose references follow."""

    blob_key: str
    sha256: str
    size_bytes: int


def follow_in_child(task: FollowTask) -> Followed | None:
    """Write an image anew with its references exchanged; None where its blob is gone; in a child process."""
    try:
        with pipeline.blobs().open(task.stale.blob_key) as source, pipeline.unfinished_output() as target:
            sha256, size = follow(source, task.stale.uids, target)
            target.seek(0)
            blob_key = _blob_key(task.stale)
            pipeline.blobs().put(blob_key, target)
    except (MemoryError, StoreUnavailableError):
        raise
    except Exception as error:
        # One reference that leads nowhere must not stop the study that it is of.
        if not isinstance(error, BlobNotFoundError):
            log.exception("references of an image could not follow after an error of ours")
        return None
    return Followed(blob_key=blob_key, sha256=sha256, size_bytes=size)


def _blob_key(stale: Stale) -> str:
    """Return a place that nothing else ever uses, and that a second try after a crash finds again."""
    changes = ",".join(f"{old}={new}" for old, new in sorted(stale.uids.items()))
    digest = hashlib.sha256(f"{stale.blob_key}\0{changes}".encode()).hexdigest()
    return f"cases/{stale.case_id}/{stale.arrival_id}-{digest[:24]}.dcm"


def let_references_follow(database: Database, children: Children, received_study: str, study_key: str) -> None:
    """Write anew what refers to images of a study's open cases by UIDs that they have no more; may be repeated."""
    with database.read() as session:
        found = References(session).stale(received_study)
    if not found:
        return
    for stale, followed in _followed(children, study_key, found):
        with database.write() as session:
            References(session).follow(
                stale, blob_key=followed.blob_key, sha256=followed.sha256, size_bytes=followed.size_bytes
            )
    log.info("references followed", extra={"instances": len(found)})


def stage_references(database: Database, children: Children, errand: Errand) -> bool:
    """Write anew what will refer to images by UIDs that they have no more once a re-run is brought in.

    Return False where nobody wants the re-run any more. May be repeated after a crash.
    """
    with database.read() as session:
        found = References(session).stale_with(errand.id)
    for stale, followed in _followed(children, errand.study_key, found):
        with database.write() as session:
            is_wanted = References(session).stage(
                errand.id, stale, blob_key=followed.blob_key, sha256=followed.sha256, size_bytes=followed.size_bytes
            )
        if not is_wanted:
            return False
    return True


def _followed(children: Children, study_key: str, found: Sequence[Stale]) -> Iterator[tuple[Stale, Followed]]:
    tasks = [FollowTask(study_key=study_key, stale=stale) for stale in found]
    results = children.each(tasks, follow_in_child, lambda _task: None)
    try:
        for task, followed in results:
            if followed is None:
                log.warning("references of an image could not follow", extra={"case": task.stale.case_id})
            else:
                yield task.stale, followed
    finally:
        results.close()
