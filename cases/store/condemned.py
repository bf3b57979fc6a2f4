"""Blobs that nothing refers to any more: kept on a list until somebody deleted them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, literal, or_, select, update
from sqlalchemy.orm import Session

from cases.store.clock import now as clock_now
from cases.store.consent_rows import ConsentDocumentRow
from cases.store.errand_rows import StagedInstanceRow, StagedMoveRow, StagedReferenceRow
from cases.store.rows import CaseImageRow, CondemnedBlobRow
from cases.store.upsert import insert_or_nothing

_AT_ONCE = 500
_REFERRING = (CaseImageRow, StagedInstanceRow, StagedReferenceRow, StagedMoveRow, ConsentDocumentRow)
"""Tables with what blobs are there for."""


def condemn(session: Session, blob_keys: Iterable[str], case_id: str | None) -> None:
    """Keep that blobs have to be deleted."""
    at = clock_now()
    values = [{"blob_key": key, "case_id": case_id, "condemned_at": at} for key in blob_keys]
    insert_or_nothing(session, CondemnedBlobRow, values, ["blob_key"])


def condemn_later(session: Session, blob_key: str, case_id: str, spared_until: datetime) -> None:
    """Keep that a blob which is about to be written has to be deleted, unless ``spare`` comes before that moment."""
    session.add(
        CondemnedBlobRow(blob_key=blob_key, case_id=case_id, condemned_at=clock_now(), spared_until=spared_until)
    )
    session.flush()


def spare(session: Session, blob_key: str) -> bool:
    """Take a blob off the list that something refers to now; return False where it may have been deleted."""
    query = delete(CondemnedBlobRow).where(
        CondemnedBlobRow.blob_key == blob_key, CondemnedBlobRow.spared_until > clock_now()
    )
    return session.scalar(query.returning(CondemnedBlobRow.blob_key)) is not None


def spare_no_longer(session: Session, blob_key: str) -> bool:
    """Let a blob go at once that is on the list for later; return False where it is not on it any more."""
    query = update(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key).values(spared_until=None)
    return session.scalar(query.returning(CondemnedBlobRow.blob_key)) is not None


def condemn_unused(session: Session, blob_keys: Iterable[str], case_id: str | None) -> None:
    """Keep that blobs have to be deleted, unless something refers to them after all."""
    todo = sorted(set(blob_keys) - {""})
    for start in range(0, len(todo), _AT_ONCE):
        keys = todo[start : start + _AT_ONCE]
        used: set[str] = set()
        for table in _REFERRING:
            used |= set(session.scalars(select(table.blob_key).where(table.blob_key.in_(keys))))
        condemn(session, (key for key in keys if key not in used), case_id)


def condemned_blobs(session: Session, limit: int, *, has_spared: bool = False) -> Sequence[str]:
    """Return keys on the list, the oldest first; what something refers to again is not among them.

    ``has_spared``: whether those are among them that somebody may still come back for.
    """
    query = (
        select(CondemnedBlobRow.blob_key)
        .where(
            or_(
                literal(has_spared),
                CondemnedBlobRow.spared_until.is_(None),
                CondemnedBlobRow.spared_until <= clock_now(),
            ),
            *(~exists().where(table.blob_key == CondemnedBlobRow.blob_key) for table in _REFERRING),
        )
        .order_by(CondemnedBlobRow.condemned_at, CondemnedBlobRow.blob_key)
    )
    return session.scalars(query.limit(limit)).all()


def forget_blob(session: Session, blob_key: str) -> None:
    """Take a blob off the list."""
    session.execute(delete(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key))
