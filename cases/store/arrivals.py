"""Rows of what arrived: how they are made, locked, finished and turned into values."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError
from cases.holds import HoldState
from cases.intake import Destination, InstanceOutcome, NewArrival, ReceivedInstance, ReceivedStudy, StudyState
from cases.store.clock import now as clock_now
from cases.store.rows import HoldRow, ReceivedInstanceRow, ReceivedStudyRow


def finish_instance(
    session: Session,
    arrival_id: str,
    outcome: InstanceOutcome,
    reason: str = "",
    *,
    detail: str = "",
    duplicate_of: str | None = None,
    case_id: str | None = None,
) -> bool:
    """Give an instance that has no outcome its outcome, and return whether it had none."""
    if outcome == InstanceOutcome.SUPERSEDED:
        withdraw_hold(session, arrival_id)
    values: dict[str, object] = {
        "outcome": outcome,
        "reason": reason,
        "detail": detail,
        "duplicate_of": duplicate_of,
        "finished_at": clock_now(),
    }
    if case_id is not None:
        values["case_id"] = case_id
    done = session.execute(
        update(ReceivedInstanceRow)
        .where(ReceivedInstanceRow.arrival_id == arrival_id, ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED)
        .values(**values)
        .returning(ReceivedInstanceRow.arrival_id)
    ).one_or_none()
    return done is not None


def withdraw_hold(session: Session, arrival_id: str, state: HoldState = HoldState.WITHDRAWN) -> None:
    """Take the open hold of an instance back, or end it otherwise; the instance has no outcome then."""
    withdrawn = session.execute(
        update(HoldRow)
        .where(HoldRow.arrival_id == arrival_id, HoldRow.state == HoldState.OPEN)
        .values(state=state, decided_at=clock_now(), version=HoldRow.version + 1)
        .returning(HoldRow.id)
    ).all()
    if withdrawn:
        session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.arrival_id == arrival_id)
            .values(outcome=InstanceOutcome.RECEIVED)
        )


def lock_study(session: Session, key: str) -> ReceivedStudyRow:
    """Lock a received study's row until the transaction ends.

    Raises
    ------
    CaseNotFoundError
        When there is none.
    """
    row = session.scalar(
        select(ReceivedStudyRow)
        .where(ReceivedStudyRow.key == key)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise CaseNotFoundError("there is no such received study")
    return row


def instance_value(row: ReceivedInstanceRow) -> ReceivedInstance:
    """Return the value of a row."""
    return ReceivedInstance(
        arrival_id=row.arrival_id,
        received_study=row.received_study,
        study_key=row.study_key,
        sop_key=row.sop_key,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        calling_ae=row.calling_ae,
        called_ae=row.called_ae,
        peer_address=row.peer_address,
        association_id=row.association_id,
        received_at=row.received_at,
        size_bytes=row.size_bytes,
        generation=row.generation,
        outcome=row.outcome,
        reason=row.reason,
        detail=row.detail,
        case_id=row.case_id,
        duplicate_of=row.duplicate_of,
        fingerprint_dataset=row.fingerprint_dataset,
        fingerprint_pixels=row.fingerprint_pixels,
        is_purged=row.purged_at is not None,
        born_in=row.born_in,
    )


def study_values(
    key: str,
    arrival: NewArrival,
    destination: Destination,
    first: datetime,
    last: datetime,
    *,
    code: str,
    secret_generation: int,
    now: datetime,
) -> dict[str, object]:
    """Return the columns of a new received study with this receipt code."""
    return {
        "key": key,
        "study_key": arrival.study_key,
        "destination_id": destination.id,
        "calling_ae": arrival.calling_ae,
        "called_ae": arrival.called_ae,
        "owner_name": destination.owner,
        "hospital": destination.hospital,
        "profile": destination.profile,
        "quiet_period_s": destination.quiet_period_s,
        "max_settle_s": destination.max_settle_s,
        "receipt_code": code,
        "first_arrival_at": first,
        "last_arrival_at": last,
        "last_recorded_at": now,
        "unassigned_since": None,
        "generation": 0,
        "patient_key": "",
        "patient_number_key": "",
        "secret_generation": secret_generation,
        "settled_by": "",
    }


def instance_values(key: str, arrival: NewArrival, *, recorded_at: datetime) -> dict[str, object]:
    """Return the columns of a new received instance."""
    return {
        "arrival_id": arrival.arrival_id,
        "received_study": key,
        "study_key": arrival.study_key,
        "sop_key": arrival.sop_key,
        "sop_class_uid": arrival.sop_class_uid,
        "transfer_syntax_uid": arrival.transfer_syntax_uid,
        "calling_ae": arrival.calling_ae,
        "called_ae": arrival.called_ae,
        "peer_address": arrival.peer_address,
        "association_id": arrival.association_id,
        "received_at": arrival.received_at,
        "recorded_at": recorded_at,
        "size_bytes": arrival.size_bytes,
        "outcome": InstanceOutcome.RECEIVED,
        "reason": "",
        "detail": "",
        "fingerprint_dataset": "",
        "fingerprint_pixels": "",
        "series_key": "",
        "layout_key": "",
    }


def arrived_before(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that an instance arrived before a moment, by the receiver's clock and by the database's."""
    recorded_at = func.coalesce(ReceivedInstanceRow.recorded_at, ReceivedInstanceRow.received_at)
    return (ReceivedInstanceRow.received_at <= moment) & (recorded_at <= moment)


def study_value(session: Session, row: ReceivedStudyRow) -> ReceivedStudy:
    """Return the value of a study's row, with what its instances say of its state."""
    unassigned, unfinished = session.execute(
        select(
            func.count().filter(ReceivedInstanceRow.generation.is_(None)),
            func.count().filter(ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED),
        ).where(
            ReceivedInstanceRow.received_study == row.key,
            or_(ReceivedInstanceRow.generation.is_(None), ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED),
        )
    ).one()
    state = StudyState.ARRIVING if unassigned else StudyState.WORKING if unfinished else StudyState.DONE
    return ReceivedStudy(
        key=row.key,
        study_key=row.study_key,
        destination=Destination(
            id=row.destination_id,
            calling_ae=row.calling_ae,
            called_ae=row.called_ae,
            owner=row.owner_name,
            hospital=row.hospital,
            profile=row.profile,
            quiet_period_s=row.quiet_period_s,
            max_settle_s=row.max_settle_s,
        ),
        first_arrival_at=row.first_arrival_at,
        last_arrival_at=row.last_arrival_at,
        generation=row.generation,
        unassigned=unassigned,
        patient_key=row.patient_key,
        state=state,
        secret_generation=row.secret_generation,
    )
