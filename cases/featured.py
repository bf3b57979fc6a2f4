"""Featured cases, and the case of the month: one for each month, of those first published in the month before."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cases.errors import InvalidTransitionError
from cases.model import CaseSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturedCase:
    """A public case that editors point out."""

    case: CaseSummary
    featured_at: datetime
    month: str | None = None
    """YYYY-MM where it is the case of that month."""


def month_of(moment: datetime) -> str:
    """Return the month of a moment, YYYY-MM in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def month_before(month: str) -> str:
    """Return the month before one, both YYYY-MM."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year - 1:04d}-12" if number == 1 else f"{year:04d}-{number - 1:02d}"


def check_month(month: str, first_published_at: datetime | None, now: datetime) -> None:
    """Refuse a case for a month that does not follow the one in which it was first published, or has not begun.

    Raises
    ------
    InvalidTransitionError
        With what would be right.
    """
    if month > month_of(now):
        raise InvalidTransitionError(f"the month {month} has not begun: pick its case when the one before is over")
    if first_published_at is None or month_of(first_published_at) != month_before(month):
        raise InvalidTransitionError(
            f"the case of {month} is picked from those first published in {month_before(month)}: choose one of them"
        )
