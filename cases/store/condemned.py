"""Blobs that no image refers to any more: kept on a list until somebody deleted them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from cases.store.clock import now as clock_now
from cases.store.errand_rows import StagedInstanceRow, StagedMoveRow, StagedReferenceRow
from cases.store.rows import CaseImageRow, CondemnedBlobRow
from cases.store.upsert import insert_or_nothing

_AT_ONCE = 500


def condemn(session: Session, blob_keys: Iterable[str], case_id: str | None) -> None:
    """Keep that blobs have to be deleted."""
    at = clock_now()
    values = [{"blob_key": key, "case_id": case_id, "condemned_at": at} for key in blob_keys]
    insert_or_nothing(session, CondemnedBlobRow, values, ["blob_key"])


def condemn_unused(session: Session, blob_keys: Iterable[str], case_id: str | None) -> None:
    """Keep that blobs have to be deleted, unless an image or something staged is in them after all."""
    todo = sorted(set(blob_keys) - {""})
    for start in range(0, len(todo), _AT_ONCE):
        keys = todo[start : start + _AT_ONCE]
        used: set[str] = set()
        for table in (CaseImageRow, StagedInstanceRow, StagedReferenceRow, StagedMoveRow):
            used |= set(session.scalars(select(table.blob_key).where(table.blob_key.in_(keys))))
        condemn(session, (key for key in keys if key not in used), case_id)


def condemned_blobs(session: Session, limit: int) -> Sequence[str]:
    """Return keys on the list, the oldest first; one that something refers to again is not among them."""
    query = (
        select(CondemnedBlobRow.blob_key)
        .where(
            ~exists().where(CaseImageRow.blob_key == CondemnedBlobRow.blob_key),
            ~exists().where(StagedInstanceRow.blob_key == CondemnedBlobRow.blob_key),
            ~exists().where(StagedReferenceRow.blob_key == CondemnedBlobRow.blob_key),
            ~exists().where(StagedMoveRow.blob_key == CondemnedBlobRow.blob_key),
        )
        .order_by(CondemnedBlobRow.condemned_at, CondemnedBlobRow.blob_key)
    )
    return session.scalars(query.limit(limit)).all()


def forget_blob(session: Session, blob_key: str) -> None:
    """Take a blob off the list."""
    session.execute(delete(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key))
