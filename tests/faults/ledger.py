"""The table that the fault suite prints: what was sent, acknowledged and stored under each fault."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

PROPERTY = "fault"
STEP_PROPERTY = "step taken out"
STEP_HEAD = ("Step", "Acknowledged", "Lost", "Broken", "Test")
HEAD = ("Fault", "Sent", "Acknowledged", "Stored", "Lost", "Doubled", "Broken", "Test")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of objects under one fault."""

    fault: str
    sent: int
    """Objects sent; one sent twice counts twice."""
    acknowledged: int
    stored: int
    lost: int
    """Acknowledged and not stored."""
    doubled: int
    """Stored more often than sent."""
    broken: int = 0
    """Found by the scan, but not what was sent."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, doubled or broken."""
        return not (self.lost or self.doubled or self.broken)

    def __add__(self, other: Self) -> "Row":
        numbers = {name: getattr(self, name) + getattr(other, name) for name in asdict(self) if name != "fault"}
        return Row(fault=self.fault, **numbers)


class Ledger:
    """Takes the rows of one test."""

    def __init__(self, test: str, properties: list[tuple[str, Any]]) -> None:
        self._test = test
        self._properties = properties

    def enter(self, row: Row) -> None:
        """Put a row into the table; it must be clean, and something must have been acknowledged."""
        self._properties.append((PROPERTY, {**asdict(row), "test": self._test}))
        assert row.is_clean, row
        assert row.acknowledged, "a row in which nothing was acknowledged shows nothing"

    def enter_loss(self, step: str, row: Row) -> None:
        """Put a row into the table of steps taken out; something must be lost, or the step is for nothing."""
        self._properties.append((STEP_PROPERTY, {**asdict(row), "step": step, "test": self._test}))
        assert row.lost, f"nothing would be lost without {step}: {row}"


def table(reports: Iterable[Any], name: str = PROPERTY, head: tuple[str, ...] = HEAD) -> list[tuple[str, ...]]:
    """Return the rows in the reports of tests, in the order of the suite."""
    found = [row for report in reports for key, row in getattr(report, "user_properties", ()) if key == name]
    return [tuple(str(row[column.lower()]) for column in head) for row in sorted(found, key=lambda row: row["test"])]
