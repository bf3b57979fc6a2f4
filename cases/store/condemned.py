"""Blobs that no image refers to any more: kept on a list until somebody deleted them."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from cases.store.clock import now as clock_now
from cases.store.rows import CondemnedBlobRow
from cases.store.upsert import insert_or_nothing


def condemn(session: Session, blob_keys: Iterable[str], case_id: str | None) -> None:
    """Keep that blobs have to be deleted."""
    at = clock_now()
    values = [{"blob_key": key, "case_id": case_id, "condemned_at": at} for key in blob_keys]
    insert_or_nothing(session, CondemnedBlobRow, values, ["blob_key"])
