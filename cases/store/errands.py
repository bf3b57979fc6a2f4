"""Errands: asked for, worked on, ended; and what a re-run has staged until it is decided."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from cases.errands import AT_WORK, UNFINISHED, Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import CaseNotFoundError
from cases.store.arrivals import lock_study
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn_unused
from cases.store.errand_rows import ErrandRow, StagedInstanceRow, StagedMoveRow, StagedReferenceRow

_MOST_REASON = 200


class Errands:
    """What somebody asked to be done with originals; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, study_key: str, new: NewErrand) -> Errand:
        """Make an errand the next generation of its study.

        Parameters
        ----------
        study_key
            Row key of the received study.
        new
            What is asked for.

        Raises
        ------
        CaseNotFoundError
            When there is no such study.
        """
        study = lock_study(self._session, study_key)
        study.generation += 1
        row = ErrandRow(
            kind=new.kind,
            received_study=study.key,
            study_key=study.study_key,
            generation=study.generation,
            case_id=new.case_id,
            other_case_id=new.other_case_id,
            profile=new.profile,
            revision=new.revision,
            base_revision=new.base_revision,
            state=ErrandState.QUEUED,
            requested_by=new.requested_by,
            requested_at=clock_now(),
            group_id=new.group_id or None,
            asked=dict(new.asked),
            is_review=new.is_review,
        )
        self._session.add(row)
        self._session.flush()
        return errand_value(row)

    def get(self, errand_id: str) -> Errand:
        """Return an errand.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        row = self._session.get(ErrandRow, errand_id)
        if row is None:
            raise CaseNotFoundError("there is no such errand")
        return errand_value(row)

    def of_generation(self, study_key: str, generation: int) -> Errand | None:
        """Return the errand that a generation of a study is; None where it is one of arrivals."""
        row = self._session.scalar(
            select(ErrandRow).where(ErrandRow.received_study == study_key, ErrandRow.generation == generation)
        )
        return errand_value(row) if row is not None else None

    def list(
        self,
        kind: ErrandKind,
        *,
        case_id: str | None = None,
        state: ErrandState | None = None,
        is_whole: bool = False,
        limit: int = 100,
    ) -> list[Errand]:
        """Return errands of a kind, the latest first; those about a whole case alone where that is asked for."""
        query = select(ErrandRow).where(ErrandRow.kind == kind)
        if is_whole:
            query = query.where(ErrandRow.is_review.is_(False))
        if case_id is not None:
            query = query.where(ErrandRow.case_id == case_id)
        if state is not None:
            query = query.where(ErrandRow.state == state)
        query = query.order_by(ErrandRow.requested_at.desc(), ErrandRow.generation.desc(), ErrandRow.id)
        return [errand_value(row) for row in self._session.scalars(query.limit(limit))]

    def of_group(self, group_id: str) -> Sequence[Errand]:
        """Return the errands that were asked for at once, in the order of their studies."""
        query = select(ErrandRow).where(ErrandRow.group_id == group_id).order_by(ErrandRow.received_study)
        return [errand_value(row) for row in self._session.scalars(query)]

    def unfinished_of(self, case_id: str) -> Sequence[Errand]:
        """Return the errands of a case that are queued, running or in review, the oldest first."""
        of_case = or_(ErrandRow.case_id == case_id, ErrandRow.other_case_id == case_id)
        query = select(ErrandRow).where(of_case, ErrandRow.state.in_(UNFINISHED))
        rows = self._session.scalars(query.order_by(ErrandRow.generation).execution_options(populate_existing=True))
        return [errand_value(row) for row in rows]

    # -- working ------------------------------------------------------------------------------------------------------

    def begin(self, errand_id: str, total: int) -> bool:
        """Say that work on an errand begins, or begins again; return whether there is anything to do."""
        row = self.locked(errand_id)
        if row.state not in AT_WORK:
            return False
        row.state, row.total = ErrandState.RUNNING, total
        row.done = min(row.done, total)
        self._session.flush()
        return True

    def note(self, errand_id: str, done: int, result: Mapping[str, Any]) -> bool:
        """Keep how far an errand is; return False where nobody wants it any more."""
        row = self.locked(errand_id)
        if row.state is not ErrandState.RUNNING:
            return False
        row.done, row.result = done, dict(result)
        self._session.flush()
        return True

    def end(self, errand_id: str, state: ErrandState, result: Mapping[str, Any], *, decided_by: str = "") -> None:
        """Say how an errand ended, or that it waits to be decided."""
        row = self.locked(errand_id)
        row.state, row.result = state, dict(result)
        row.decided_by = decided_by or row.decided_by
        row.finished_at = row.finished_at or clock_now()
        self._session.flush()

    def call_off(self, errand_id: str, state: ErrandState, reason: str, *, decided_by: str = "") -> bool:
        """End an errand without its work coming into effect; return whether it was not over already.

        What it staged goes: blobs are condemned, rows deleted.
        """
        row = self.locked(errand_id)
        if row.state not in UNFINISHED:
            return False
        row.state, row.reason, row.decided_by = state, reason[:_MOST_REASON], decided_by
        row.finished_at = clock_now()
        self.drop_staged(errand_id)
        self._session.flush()
        return True

    def leave_case(self, case_id: str) -> None:
        """Call off what is asked for a case that goes."""
        of_case = or_(ErrandRow.case_id == case_id, ErrandRow.other_case_id == case_id)
        rows = self._session.scalars(select(ErrandRow.id).where(of_case)).all()
        for errand_id in rows:
            self.call_off(errand_id, ErrandState.DISCARDED, "its case was removed")

    def drop_staged(self, errand_id: str) -> None:
        """Delete what was staged; blobs that no image got are condemned."""
        row = self._session.get(ErrandRow, errand_id)
        keys = list[str]()
        for table in (StagedInstanceRow, StagedReferenceRow, StagedMoveRow):
            keys += self._session.scalars(select(table.blob_key).where(table.errand_id == errand_id))
            self._session.execute(delete(table).where(table.errand_id == errand_id))
        condemn_unused(self._session, keys, row.case_id if row is not None else None)

    def locked(self, errand_id: str) -> ErrandRow:
        """Lock the row of an errand until the transaction ends.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        row = self._session.scalar(
            select(ErrandRow)
            .where(ErrandRow.id == errand_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise CaseNotFoundError("there is no such errand")
        return row


def moves_of(session: Session, case_id: str, *, limit: int = 100) -> Sequence[Errand]:
    """Return the errands that take images out of a case or into it, the latest first."""
    query = (
        select(ErrandRow)
        .where(ErrandRow.kind == ErrandKind.MOVE, or_(ErrandRow.case_id == case_id, ErrandRow.other_case_id == case_id))
        .order_by(ErrandRow.requested_at.desc(), ErrandRow.generation.desc(), ErrandRow.id)
    )
    return [errand_value(row) for row in session.scalars(query.limit(limit))]


def errand_value(row: ErrandRow) -> Errand:
    """Return the value of a row."""
    return Errand(
        id=row.id,
        kind=row.kind,
        received_study=row.received_study,
        study_key=row.study_key,
        generation=row.generation,
        case_id=row.case_id,
        profile=row.profile,
        revision=row.revision,
        base_revision=row.base_revision,
        state=row.state,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        finished_at=row.finished_at,
        decided_by=row.decided_by,
        total=row.total,
        done=row.done,
        reason=row.reason,
        result=dict(row.result),
        group_id=row.group_id or "",
        asked=dict(row.asked),
        is_review=row.is_review,
        other_case_id=row.other_case_id,
    )
