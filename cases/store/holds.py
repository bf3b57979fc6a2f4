"""Instances that wait for a person, with their reason and where the text is; never what it says."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError
from cases.model import HoldState, HoldSummary, InstanceOutcome, Page, User
from cases.store.arrivals import arrived_before, finish_instance
from cases.store.clock import now as clock_now
from cases.store.intake import HOLD_RETENTION_DAYS
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import CaseRow, HoldRow, ReceivedInstanceRow
from cases.store.staged import finding_of
from deidentify.results import Hold, HoldReason

REMIND_AFTER_DAYS = 14.0


class Holds:
    """Held instances; ``retention_days`` is how long an original waits for a decision, from its arrival."""

    def __init__(self, session: Session, *, retention_days: float = HOLD_RETENTION_DAYS) -> None:
        self._session = session
        self._retention = timedelta(days=retention_days)

    def hold(self, case_id: str | None, arrival_id: str, hold: Hold) -> str:
        """Hold a received instance and return the id of the hold; a second reason replaces the first one.

        Parameters
        ----------
        case_id : str or None
            The case that shows it; None leaves it with the case that was opened for it, if any.

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
            row = HoldRow(arrival_id=arrival_id, findings=[], held_at=clock_now())
            self._session.add(row)
        if row.state not in {None, HoldState.OPEN}:  # it was over, and begins anew
            row.held_at, row.reminded_at, row.findings = clock_now(), None, []
        row.case_id = case_id or instance.case_id
        if hold.findings or row.findings is None:
            row.findings = [asdict(finding) for finding in hold.findings]
        row.reason, row.detail, row.state = hold.reason.value, hold.detail, HoldState.OPEN
        row.decided_at = None
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
        case_id: str | None = None,
        reason: HoldReason | None = None,
        state: HoldState | None = HoldState.OPEN,
    ) -> Page[HoldSummary]:
        """Return holds, the oldest first: all for those who see all, else those of one's own cases."""
        size = checked_limit(limit)
        query = self._visible(viewer)
        if case_id is not None:
            query = query.where(HoldRow.case_id == case_id)
        if reason is not None:
            query = query.where(HoldRow.reason == reason.value)
        if state is not None:
            query = query.where(HoldRow.state == state)
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            query = query.where(_behind(at, row_id))
        rows = self._session.execute(query.order_by(HoldRow.held_at, HoldRow.id).limit(size + 1)).all()
        shown = rows[:size]
        return Page(
            items=tuple(self._value(hold, instance) for hold, instance in shown),
            next_cursor=encode_cursor(shown[-1][0].held_at, shown[-1][0].id) if len(rows) > size else None,
        )

    def get(self, viewer: User, hold_id: str) -> HoldSummary:
        """Return one hold.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        found = self._session.execute(self._visible(viewer).where(HoldRow.id == hold_id)).one_or_none()
        if found is None:
            raise CaseNotFoundError("there is no such held instance")
        return self._value(*found)

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

    def _visible(self, viewer: User) -> Select[HoldRow, ReceivedInstanceRow]:
        query = select(HoldRow, ReceivedInstanceRow).join(
            ReceivedInstanceRow, ReceivedInstanceRow.arrival_id == HoldRow.arrival_id
        )
        if viewer.sees_all:
            return query
        return query.join(CaseRow, CaseRow.id == HoldRow.case_id).where(CaseRow.owner_id == viewer.id)

    def _value(self, row: HoldRow, instance: ReceivedInstanceRow) -> HoldSummary:
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
            findings=tuple(finding_of(found) for found in row.findings),
            state=row.state,
            arrived_at=instance.received_at,
            held_at=row.held_at,
            reminded_at=row.reminded_at,
            decided_at=row.decided_at,
            expires_at=max(instance.received_at, instance.recorded_at or instance.received_at) + self._retention,
        )


def _behind(at: datetime, row_id: str) -> ColumnElement[bool]:
    return or_(HoldRow.held_at > at, (HoldRow.held_at == at) & (HoldRow.id > row_id))
