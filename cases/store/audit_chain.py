"""Chaining: what a transaction appended to the audit log gets its places just before the transaction ends.

Entries cannot be chained where they are appended. That is in the middle of transactions that hold locks on rows and may
still want others, so a lock on the chain taken there would deadlock; and a place that was given to a transaction
that rolls back would leave a gap. So a session keeps what it appended, and ``Database.write`` chains it last: all other
changes are sent, then the lock on the chain is taken, and nothing is locked after it. Whoever waits for it waits for
nobody who could wait for them.
"""

from typing import Any, cast

from sqlalchemy import Table, insert, select, text
from sqlalchemy.orm import Session

from cases.audit import AuditEntry, AuditHead, chained
from cases.store.rows import AuditRow

PENDING = "audit_pending"
"""Where a writing session keeps its entries, in ``Session.info``; a session without it can append none."""
_TABLE = cast("Table", AuditRow.__table__)
_COLUMNS = tuple(column.name for column in _TABLE.columns)
_LOCK = 0x41554449  # "AUDI": any constant of our own, for the advisory lock of PostgreSQL
_TAKE_LOCK = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=_LOCK)
_HEAD = select(_TABLE.c.place, _TABLE.c.digest).order_by(_TABLE.c.place.desc()).limit(1)
_INSERT = insert(_TABLE)


def head_of(session: Session) -> AuditHead:
    """Return the newest entry by place and digest."""
    # On the connection: what the session adds for rows that are objects costs more than the query.
    found = session.connection().execute(_HEAD).one_or_none()
    return AuditHead() if found is None else AuditHead(place=found.place, digest=found.digest)


def chain_pending(session: Session) -> AuditHead | None:
    """Write what the session appended, behind the newest entry; return the new head, None where nothing was appended.

    It has to be the last thing that the transaction does: other writers of the log wait from here until it ends.
    """
    pending: list[dict[str, Any]] = session.info[PENDING]
    if not pending:
        return None
    # What this sends may wait for locks of others, who may wait for the chain: so it goes first.
    session.flush()
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_LOCK)
    head = head_of(session)
    entries = []
    for told in pending:
        entry = chained(head, **told)
        entries.append({name: getattr(entry, name) for name in _COLUMNS})
        head = entry.head
    connection.execute(_INSERT, entries if len(entries) > 1 else entries[0])
    pending.clear()
    return head


def entry_of_row(row: AuditRow) -> AuditEntry:
    """Return the value of a row."""
    return AuditEntry(
        place=row.place,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=dict(row.detail),
        previous=row.previous,
        digest=row.digest,
        form=row.form,
    )
