"""Who did what to which thing, when. Rows are only ever added; triggers of the database refuse anything else."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.audit import AuditEntry
from cases.store.clock import now as clock_now
from cases.store.paging import checked_limit
from cases.store.rows import AuditRow


class Audit:
    """The append-only log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(
        self, actor: str, action: str, subject: str, detail: Mapping[str, str | int | bool | None] | None = None
    ) -> None:
        """Add an entry. ``detail`` holds keys, counts and names of fields, never text of a case."""
        self._session.add(
            AuditRow(at=clock_now(), actor=actor, action=action, subject=subject, detail=dict(detail or {}))
        )
        self._session.flush()

    def entries(
        self,
        *,
        subject: str | None = None,
        actions: Collection[str] = (),
        since: datetime | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """Return entries in the order in which they were added, those with an id above ``after``."""
        query = select(AuditRow).where(AuditRow.id > after)
        if actions:
            query = query.where(AuditRow.action.in_(actions))
        if since is not None:
            query = query.where(AuditRow.at >= since)
        if subject is not None:
            query = query.where(AuditRow.subject == subject)
        return tuple(
            AuditEntry(
                id=row.id, at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail=dict(row.detail)
            )
            for row in self._session.scalars(query.order_by(AuditRow.id).limit(checked_limit(limit)))
        )
