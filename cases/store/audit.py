"""Who did what to which thing, when. Rows are only ever added; triggers of the database refuse anything else."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cases.audit import AuditEntry, AuditFilter, AuditHead
from cases.store.audit_chain import PENDING, chain_pending, entry_of_row, head_of
from cases.store.clock import now as clock_now
from cases.store.paging import checked_limit
from cases.store.rows import AuditRow

_NO_FILTER = AuditFilter()
_COLUMNS = (
    AuditRow.place,
    AuditRow.at,
    AuditRow.actor,
    AuditRow.action,
    AuditRow.subject,
    AuditRow.detail,
    AuditRow.previous,
    AuditRow.digest,
    AuditRow.form,
)


class Audit:
    """The append-only log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(
        self, actor: str, action: str, subject: str, detail: Mapping[str, str | int | bool | None] | None = None
    ) -> None:
        """Add an entry. ``detail`` holds keys, counts and names of fields, never text of a case.

        It is chained and can be read once the transaction ends, and is gone where that rolls back.

        Raises
        ------
        RuntimeError
            When the session is none of ``Database.write``, or a savepoint is open: nobody would chain the entry, or
            take it back.
        """
        pending: list[dict[str, Any]] | None = self._session.info.get(PENDING)
        if pending is None:
            raise RuntimeError("audit entries are appended in sessions of Database.write")
        if self._session.in_nested_transaction():
            raise RuntimeError("audit entries are of whole transactions: append outside of the savepoint")
        told = {"at": clock_now(), "actor": actor, "action": action, "subject": subject, "detail": dict(detail or {})}
        pending.append(told)

    def chain(self) -> AuditHead | None:
        """Chain what was appended now, and return the new head; see ``audit_chain.chain_pending``."""
        return chain_pending(self._session)

    def head(self) -> AuditHead:
        """Return the newest entry by place and digest."""
        return head_of(self._session)

    def entries(
        self,
        *,
        subject: str | None = None,
        actions: Collection[str] = (),
        since: datetime | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """Return entries in the order of their places, those with a place above ``after``."""
        query = _filtered(select(AuditRow), AuditFilter(subject=subject, since=since)).where(AuditRow.place > after)
        if actions:
            query = query.where(AuditRow.action.in_(actions))
        rows = self._session.scalars(query.order_by(AuditRow.place).limit(checked_limit(limit)))
        return tuple(entry_of_row(row) for row in rows)

    def entry(self, place: int) -> AuditEntry | None:
        """Return the entry at a place, None where there is none."""
        row = self._session.get(AuditRow, place)
        return None if row is None else entry_of_row(row)

    def between(
        self,
        first: int,
        last: int,
        *,
        filters: AuditFilter = _NO_FILTER,
        newest_first: bool = False,
        limit: int,
    ) -> list[AuditEntry]:
        """Return the entries from place ``first`` to place ``last``, both among them."""
        query = _filtered(select(*_COLUMNS), filters).where(AuditRow.place >= first, AuditRow.place <= last)
        order = AuditRow.place.desc() if newest_first else AuditRow.place
        return [AuditEntry(**row._mapping) for row in self._session.execute(query.order_by(order).limit(limit))]  # noqa: SLF001 - a public name of SQLAlchemy

    def latest(self, filters: AuditFilter, limit: int = 20) -> tuple[AuditEntry, ...]:
        """Return the newest entries that the filters leave in."""
        rows = self._session.scalars(_filtered(select(AuditRow), filters).order_by(AuditRow.place.desc()).limit(limit))
        return tuple(entry_of_row(row) for row in rows)

    def count(self, last: int, filters: AuditFilter = _NO_FILTER) -> int:
        """Return how many entries there are up to a place."""
        query = _filtered(select(func.count()).select_from(AuditRow), filters).where(AuditRow.place <= last)
        return self._session.scalar(query) or 0

    def through(self, last: int, *, filters: AuditFilter = _NO_FILTER, batch: int = 1000) -> Iterator[AuditEntry]:
        """Yield the entries up to a place from the first on, a batch in memory at a time."""
        after = 0
        while found := self.between(after + 1, last, filters=filters, limit=batch):
            yield from found
            after = found[-1].place


def _filtered(query: Any, filters: AuditFilter) -> Any:
    if filters.actor is not None:
        query = query.where(AuditRow.actor == filters.actor)
    if filters.action is not None:
        query = query.where(AuditRow.action.startswith(filters.action, autoescape=True))
    if filters.subject is not None:
        query = query.where(AuditRow.subject == filters.subject)
    if filters.since is not None:
        query = query.where(AuditRow.at >= filters.since)
    if filters.until is not None:
        query = query.where(AuditRow.at < filters.until)
    return query
