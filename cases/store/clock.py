"""The one place of the store that looks at a clock: this host's, or the one that all hosts share."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)


def database_now(session: Session) -> datetime:
    """Return this moment by the clock of the database: the same for every host, whose own clocks may differ."""
    if session.get_bind().dialect.name != "postgresql":
        return now()
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)
