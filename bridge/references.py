"""Letting references follow where the pixels of an image changed, and with them its SOP Instance UID."""

import logging
import secrets
from dataclasses import dataclass

from bridge import pipeline
from bridge.children import Children
from cases.errors import BlobNotFoundError
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
    stale = task.stale
    try:
        source = pipeline.blobs().open(stale.blob_key)
    except BlobNotFoundError:
        return None
    with source, pipeline.unfinished_output() as target:
        sha256, size = follow(source, stale.uids, target)
        target.seek(0)
        # A place that nothing else ever used: a blob that was condemned there would take this one with it.
        blob_key = f"cases/{stale.case_id}/{stale.arrival_id}-{secrets.token_hex(8)}.dcm"
        pipeline.blobs().put(blob_key, target)
    return Followed(blob_key=blob_key, sha256=sha256, size_bytes=size)


def let_references_follow(database: Database, children: Children, received_study: str, study_key: str) -> None:
    """Write anew what refers to images of a study's open cases by UIDs that they have no more; may be repeated."""
    with database.read() as session:
        found = References(session).stale(received_study)
    if not found:
        return
    tasks = [FollowTask(study_key=study_key, stale=stale) for stale in found]
    results = children.each(tasks, follow_in_child, lambda _task: None)
    try:
        for task, followed in results:
            if followed is None:
                log.warning("references of an image could not follow", extra={"case": task.stale.case_id})
                continue
            with database.write() as session:
                References(session).follow(
                    task.stale, blob_key=followed.blob_key, sha256=followed.sha256, size_bytes=followed.size_bytes
                )
    finally:
        results.close()
    log.info("references followed", extra={"instances": len(found)})
