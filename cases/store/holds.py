"""Instances that wait for a person, with their reason and where the text is; never what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError
from cases.holds import HoldFilter, HoldOrder, HoldQueue, HoldState, HoldSummary
from cases.intake import InstanceOutcome
from cases.model import Page
from cases.store.account_rows import UserRow
from cases.store.arrivals import arrived_before, finish_instance
from cases.store.clock import now as clock_now
from cases.store.hold_order import behind, cursor_of, in_order
from cases.store.intake import HOLD_RETENTION_DAYS
from cases.store.paging import checked_limit
from cases.store.review_rows import PixelDecisionRow
from cases.store.rows import CaseRow, HoldRow, ReceivedInstanceRow
from cases.users import User
from deidentify.results import Hold, HoldReason, PixelFinding, RegionFate, TextClass

REMIND_AFTER_DAYS = 14.0
NO_FILTER = HoldFilter()


class Holds:
    """Held instances; ``retention_days`` is how long an original waits for a decision, from its arrival."""

    def __init__(self, session: Session, *, retention_days: float = HOLD_RETENTION_DAYS) -> None:
        self._session = session
        self._retention = timedelta(days=retention_days)

    def hold(self, case_id: str | None, arrival_id: str, hold: Hold, *, errand_id: str = "") -> str:
        """Hold a received instance and return the id of the hold; a second reason replaces the first one.

        Parameters
        ----------
        case_id : str or None
            The case that shows it; None leaves it with the case that was opened for it, if any.
        arrival_id : str
            The instance.
        hold : Hold
            Why, and what was found where.
        errand_id : str
            Of the re-run that found it: what it read lies under that name beside the original.

        Raises
        ------
        CaseNotFoundError
            When there is no such instance.
        """
        instance = self._session.get(ReceivedInstanceRow, arrival_id, with_for_update={"key_share": True})
        if instance is None:
            raise CaseNotFoundError("there is no such received instance")
        row = self._session.scalar(select(HoldRow).where(HoldRow.arrival_id == arrival_id))
        if instance.outcome not in {InstanceOutcome.RECEIVED, InstanceOutcome.HELD}:
            # A replay after a crash: what became of the instance is settled.
            return row.id if row is not None else ""
        if row is None:
            row = HoldRow(arrival_id=arrival_id, findings=[], held_at=clock_now(), version=0, errand_id="")
            self._session.add(row)
        if row.state not in {None, HoldState.OPEN}:  # it was over, and begins anew
            row.held_at, row.reminded_at, row.findings = clock_now(), None, []
        row.case_id = case_id or instance.case_id
        if hold.findings or row.findings is None:
            row.findings, row.errand_id = [asdict(finding) for finding in hold.findings], errand_id
        row.reason, row.detail, row.state = hold.reason.value, hold.detail, HoldState.OPEN
        row.decided_at, row.version = None, row.version + 1
        self._session.flush()
        finish_instance(
            self._session,
            arrival_id,
            InstanceOutcome.HELD,
            hold.reason.value,
            detail=hold.detail,
            case_id=row.case_id,
        )
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.arrival_id == arrival_id)
            .values(reason=hold.reason.value, detail=hold.detail)
        )
        return row.id

    def list(
        self,
        viewer: User,
        *,
        cursor: str | None = None,
        limit: int = 50,
        order: HoldOrder = HoldOrder.WORST,
        filters: HoldFilter = NO_FILTER,
    ) -> Page[HoldSummary]:
        """Return holds in an order: all for those who see all, else those of one's own cases."""
        size = checked_limit(limit)
        query = _filtered(_visible(viewer, _whole()), filters)
        if cursor is not None:
            query = query.where(behind(order, cursor))
        rows = self._session.execute(query.order_by(*in_order(order)).limit(size + 1)).all()
        shown = rows[:size]
        counts = self._decisions([hold.arrival_id for hold, *_ in shown])
        return Page(
            items=tuple(self._value(found, counts) for found in shown),
            next_cursor=cursor_of(order, shown[-1][0]) if len(rows) > size else None,
        )

    def queue(self, viewer: User, filters: HoldFilter = NO_FILTER) -> HoldQueue:
        """Return how many holds there are that the viewer sees, and when the oldest of them arrived."""
        figures = select(func.count(), func.min(ReceivedInstanceRow.received_at)).select_from(HoldRow)
        count, oldest = self._session.execute(_filtered(_visible(viewer, _joined(figures)), filters)).one()
        return HoldQueue(count=count, oldest_arrived_at=oldest)

    def get(self, viewer: User, hold_id: str) -> HoldSummary:
        """Return one hold.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        query = _visible(viewer, _whole()).where(HoldRow.id == hold_id)
        found = self._session.execute(query.execution_options(populate_existing=True)).one_or_none()
        if found is None:
            raise CaseNotFoundError("there is no such held instance")
        return self._value(found, self._decisions([found[0].arrival_id]))

    def remind(self, now: datetime, *, after_days: float = REMIND_AFTER_DAYS) -> int:
        """Mark the open holds that are due for a reminder, counted from arrival, and return how many became so."""
        old = select(ReceivedInstanceRow.arrival_id).where(
            ReceivedInstanceRow.outcome == InstanceOutcome.HELD, arrived_before(now - timedelta(days=after_days))
        )
        reminded = self._session.execute(
            update(HoldRow)
            .where(HoldRow.state == HoldState.OPEN, HoldRow.reminded_at.is_(None), HoldRow.arrival_id.in_(old))
            .values(reminded_at=now)
            .returning(HoldRow.id)
        ).all()
        return len(reminded)

    # -- rows to values ----------------------------------------------------------------------------------------------

    def _decisions(self, arrival_ids: Sequence[str]) -> dict[str, int]:
        """Return how many decisions on each of them were not taken back."""
        query = (
            select(PixelDecisionRow.arrival_id, func.count())
            .where(PixelDecisionRow.arrival_id.in_(arrival_ids), PixelDecisionRow.undone_at.is_(None))
            .group_by(PixelDecisionRow.arrival_id)
        )
        return {arrival_id: count for arrival_id, count in self._session.execute(query)}  # noqa: C416 - rows are no pairs

    def _value(self, found: Any, decisions: Mapping[str, int]) -> HoldSummary:
        row, instance, case, owner = found
        return HoldSummary(
            id=row.id,
            arrival_id=row.arrival_id,
            case_id=row.case_id,
            received_study=instance.received_study,
            study_key=instance.study_key,
            sop_key=instance.sop_key,
            sender=instance.calling_ae,
            reason=HoldReason(row.reason),
            detail=row.detail,
            findings=findings_of(row.findings),
            state=row.state,
            arrived_at=instance.received_at,
            held_at=row.held_at,
            reminded_at=row.reminded_at,
            decided_at=row.decided_at,
            expires_at=max(instance.received_at, instance.recorded_at or instance.received_at) + self._retention,
            owner=owner,
            case_status=case.status if case is not None else None,
            series_key=instance.series_key,
            layout_key=instance.layout_key,
            rows=instance.rows,
            columns=instance.columns,
            frames=instance.frames,
            version=row.version,
            reviews=decisions.get(row.arrival_id, 0),
            errand_id=row.errand_id,
        )


def findings_of(values: Sequence[Any]) -> tuple[PixelFinding, ...]:
    """Return the findings that the database kept."""
    return tuple(_finding(found) for found in values)


def _whole() -> Any:
    return _joined(select(HoldRow, ReceivedInstanceRow, CaseRow, UserRow.name).select_from(HoldRow))


def _joined(query: Any) -> Any:
    return (
        query.join(ReceivedInstanceRow, ReceivedInstanceRow.arrival_id == HoldRow.arrival_id)
        .outerjoin(CaseRow, CaseRow.id == HoldRow.case_id)
        .outerjoin(UserRow, UserRow.id == CaseRow.owner_id)
    )


def _visible(viewer: User, query: Any) -> Any:
    return query if viewer.sees_all else query.where(CaseRow.owner_id == viewer.id)


def _filtered(query: Any, filters: HoldFilter) -> Any:
    wanted = {
        HoldRow.case_id: filters.case_id,
        HoldRow.reason: filters.reason.value if filters.reason is not None else None,
        HoldRow.state: filters.state,
        ReceivedInstanceRow.series_key: filters.series_key,
        ReceivedInstanceRow.layout_key: filters.layout_key,
    }
    return query.where(*(column == value for column, value in wanted.items() if value is not None))


def _finding(found: dict[str, object]) -> PixelFinding:
    known = {
        "text_class": TextClass(str(found["text_class"])),
        "fate": RegionFate(str(found.get("fate", RegionFate.HELD))),
    }
    return PixelFinding(**{**found, **known})  # type: ignore[arg-type]
