"""Names that one holder has for a while: the scanner's, and one for each worker that lives."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from cases.store.clock import database_now
from cases.store.rows import LeaseRow
from cases.store.upsert import dialect_insert


class Leases:
    """Claim, renew and release, each in one statement, so that two claimers never both succeed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def now(self) -> datetime:
        """Return this moment by the one clock that all holders share: with PostgreSQL, that of its server.

        A host whose own clock runs ahead would find every lease of the others expired.
        """
        return database_now(self._session)

    def claim(self, name: str, owner: str, ttl_s: float, now: datetime) -> bool:
        """Take the lease when it is free, expired or one's own, and return whether it is held now."""
        values: dict[str, Any] = {
            "name": name,
            "holder": owner,
            "acquired_at": now,
            "expires_at": now + timedelta(seconds=ttl_s),
        }
        insert = dialect_insert(self._session)(LeaseRow).values(**values)
        statement = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": owner, "acquired_at": now, "expires_at": values["expires_at"]},
            where=(LeaseRow.holder == owner) | (LeaseRow.expires_at <= now),
        ).returning(LeaseRow.name)
        return self._session.execute(statement).one_or_none() is not None

    def renew(self, name: str, owner: str, ttl_s: float, now: datetime) -> bool:
        """Extend a lease that is still one's own; False means that it is lost."""
        statement = (
            update(LeaseRow)
            .where(LeaseRow.name == name, LeaseRow.holder == owner, LeaseRow.expires_at > now)
            .values(expires_at=now + timedelta(seconds=ttl_s))
            .returning(LeaseRow.name)
        )
        return self._session.execute(statement).one_or_none() is not None

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; nothing when it is somebody else's."""
        self._session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == owner))

    def expire(self, name: str, owner: str, now: datetime) -> None:
        """Let one's lease run out at once: unlike a released one it is found by those who take over what is left."""
        self._session.execute(
            update(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == owner).values(expires_at=now)
        )

    def expired(self, prefix: str, now: datetime) -> tuple[str, ...]:
        """Return the names under the prefix whose holder has not renewed them in time."""
        query = select(LeaseRow.name).where(
            LeaseRow.name.startswith(prefix, autoescape=True), LeaseRow.expires_at <= now
        )
        return tuple(self._session.scalars(query.order_by(LeaseRow.name)))

    def live(self, prefix: str, now: datetime) -> tuple[tuple[str, str], ...]:
        """Return (name, holder) of the leases under the prefix that are held."""
        query = select(LeaseRow.name, LeaseRow.holder).where(
            LeaseRow.name.startswith(prefix, autoescape=True), LeaseRow.expires_at > now
        )
        return tuple((name, holder) for name, holder in self._session.execute(query.order_by(LeaseRow.name)))

    def forget(self, name: str, now: datetime) -> None:
        """Remove a lease that expired, once the work of its holder was taken over."""
        self._session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.expires_at <= now))
