"""Received studies and instances: the index of the spool, and what became of each file. Keys only, never a UID."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError
from cases.holds import HoldState
from cases.intake import (
    NO_FACTS,
    ArrivingStudy,
    AssociationSummary,
    Destination,
    InstanceFacts,
    InstanceOutcome,
    IntakeFigures,
    IntakeSummary,
    NewArrival,
    ReceivedInstance,
    ReceivedStudy,
)
from cases.model import CaseStatus
from cases.receipts import SettledBy, new_code
from cases.store import summary
from cases.store.arrivals import (
    arrived_before,
    finish_instance,
    instance_value,
    instance_values,
    lock_study,
    study_value,
    study_values,
)
from cases.store.clock import database_now
from cases.store.evidence import settled_by_list
from cases.store.generations import newest_generation
from cases.store.peers import Peers
from cases.store.rows import CaseRow, HoldRow, ReceivedInstanceRow, ReceivedStudyRow
from cases.store.upsert import insert_or_nothing

_AT_ONCE = 500
RETENTION_DAYS = 7.0
HOLD_RETENTION_DAYS = 30.0
_OPEN_OUTCOMES = (InstanceOutcome.RECEIVED, InstanceOutcome.HELD)
"""The original is still needed."""


class Intake:
    """What arrived."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- arriving ----------------------------------------------------------------------------------------------------

    def record(
        self, arrivals: Sequence[NewArrival], *, destination: Destination, now: datetime | None = None
    ) -> list[str]:
        """Give every arrival that has no row one, and return the row keys of the studies that got any.

        A study starts anew to wait for its quiet period with each new instance. Safe to repeat with the same arrivals.

        Parameters
        ----------
        now : datetime, optional
            By default the moment by the clock of the database.
        """
        moment = database_now(self._session) if now is None else now
        by_study: dict[str, list[NewArrival]] = {}
        for arrival in arrivals:
            by_study.setdefault(arrival.study_key, []).append(arrival)
        touched = []
        # In the order of the keys, so that two recorders lock the studies in the same order.
        for study_key in sorted(by_study):
            key = f"{study_key}-{destination.id}"
            if self._record_study(key, by_study[study_key], destination, moment):
                touched.append(key)
        return touched

    def _record_study(self, key: str, arrivals: Sequence[NewArrival], destination: Destination, now: datetime) -> bool:
        known = self.known(arrival.arrival_id for arrival in arrivals)
        fresh = [arrival for arrival in arrivals if arrival.arrival_id not in known]
        if not fresh:
            return False
        first = min(arrival.received_at for arrival in fresh)
        last = max(arrival.received_at for arrival in fresh)
        if self._session.scalar(select(ReceivedStudyRow.key).where(ReceivedStudyRow.key == key)) is None:
            newest = newest_generation(self._session)
            code = self._free_code()
            values = study_values(key, fresh[0], destination, first, last, code=code, secret_generation=newest, now=now)
            insert_or_nothing(self._session, ReceivedStudyRow, [values], ["key"])
        study = lock_study(self._session, key)
        rows = [instance_values(key, arrival, recorded_at=now) for arrival in fresh]
        if not insert_or_nothing(self._session, ReceivedInstanceRow, rows, ["arrival_id"]):
            return False
        study.first_arrival_at = min(study.first_arrival_at, first)
        study.last_arrival_at = max(study.last_arrival_at, last)
        study.last_recorded_at, study.unassigned_since = now, study.unassigned_since or now
        # The settings may have changed since the first instance: the route of the latest one counts.
        study.owner_name, study.hospital = destination.owner, destination.hospital
        study.profile, study.quiet_period_s = destination.profile, destination.quiet_period_s
        study.max_settle_s = destination.max_settle_s
        self._session.flush()
        return True

    def _free_code(self) -> str:
        while True:
            code = new_code()
            if self._session.scalar(select(exists().where(ReceivedStudyRow.receipt_code == code))) is not True:
                return code

    def known(self, arrival_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that have a row."""
        todo, found = list(arrival_ids), set[str]()
        for start in range(0, len(todo), _AT_ONCE):
            query = select(ReceivedInstanceRow.arrival_id).where(
                ReceivedInstanceRow.arrival_id.in_(todo[start : start + _AT_ONCE])
            )
            found.update(self._session.scalars(query))
        return found

    def record_association(self, record: AssociationSummary) -> bool:
        """Keep the books of an association once; return whether they were new."""
        return Peers(self._session).record(record)

    # -- settling ----------------------------------------------------------------------------------------------------

    def arriving(self, now: datetime | None = None) -> list[ArrivingStudy]:
        """Return the studies with unassigned arrivals; ages at ``now``, by default by the clock of the database."""
        rows = self._session.scalars(
            select(ReceivedStudyRow)
            .where(ReceivedStudyRow.unassigned_since.is_not(None))
            .order_by(ReceivedStudyRow.key)
        ).all()
        if not rows:
            return []
        moment = database_now(self._session) if now is None else now
        return [
            ArrivingStudy(
                key=row.key,
                study_key=row.study_key,
                quiet_for_s=(moment - row.last_recorded_at).total_seconds(),
                waiting_for_s=(moment - (row.unassigned_since or moment)).total_seconds(),
                quiet_period_s=row.quiet_period_s,
                max_settle_s=row.max_settle_s,
            )
            for row in rows
        ]

    def unassigned(self, study_keys: Collection[str]) -> dict[str, int]:
        """Return how many instances of each of these studies wait for it to settle."""
        query = (
            select(ReceivedInstanceRow.received_study, func.count())
            .where(ReceivedInstanceRow.received_study.in_(study_keys), ReceivedInstanceRow.generation.is_(None))
            .group_by(ReceivedInstanceRow.received_study)
        )
        return {key: count for key, count in self._session.execute(query)}  # noqa: C416 - rows are no tuples

    def settled_by_list(self, study_key: str) -> SettledBy | None:
        """Return the list of the sender's by which everything is there; None where there is none, or it is not."""
        return settled_by_list(self._session, study_key)

    def assign_generation(self, study_key: str, settled_by: SettledBy = SettledBy.QUIET) -> tuple[int, int]:
        """Assign the unassigned instances to the study's next generation, and return it with their number.

        With nothing to assign, the current generation and 0.
        """
        study = lock_study(self._session, study_key)
        changed = self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.generation.is_(None))
            .values(generation=study.generation + 1)
            .returning(ReceivedInstanceRow.arrival_id)
        ).all()
        study.unassigned_since = None
        if changed:
            study.generation += 1
            study.settled_at, study.settled_by = database_now(self._session), settled_by.value
        self._session.flush()
        return study.generation, len(changed)

    def study(self, study_key: str) -> ReceivedStudy:
        """Return a received study by its row key.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        row = self._session.get(ReceivedStudyRow, study_key)
        if row is None:
            raise CaseNotFoundError("there is no such received study")
        return study_value(self._session, row)

    def pending(self, study_key: str, generation: int) -> list[ReceivedInstance]:
        """Return the instances of a generation that are not worked through, in the order of their arrival."""
        return self._instances(
            ReceivedInstanceRow.received_study == study_key,
            ReceivedInstanceRow.generation == generation,
            ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED,
        )

    def is_first(self, study_key: str, generation: int) -> bool:
        """Tell whether no instance of a study settled before this generation: earlier ones may be errands."""
        row = ReceivedInstanceRow
        earlier = exists().where(row.received_study == study_key, row.generation < generation)
        return self._session.scalar(select(earlier)) is not True

    def instances(self, study_key: str) -> list[ReceivedInstance]:
        """Return every instance of a received study, in the order of arrival."""
        return self._instances(ReceivedInstanceRow.received_study == study_key)

    def standing(self, study_key: str, sop_keys: Collection[str]) -> list[ReceivedInstance]:
        """Return what resends under these SOP Instance UIDs are compared with, in the order of arrival.

        Instances whose case was removed do not count: whoever removed a draft and sends its study again wants it back,
        in a new draft.
        """
        removed = select(CaseRow.id).where(CaseRow.status == CaseStatus.REMOVED)
        todo, found = sorted(sop_keys), list[ReceivedInstance]()
        for start in range(0, len(todo), _AT_ONCE):
            found += self._instances(
                ReceivedInstanceRow.received_study == study_key,
                ReceivedInstanceRow.sop_key.in_(todo[start : start + _AT_ONCE]),
                or_(ReceivedInstanceRow.case_id.is_(None), ReceivedInstanceRow.case_id.not_in(removed)),
            )
        return sorted(found, key=lambda instance: instance.arrival_id)

    def instance(self, arrival_id: str) -> ReceivedInstance:
        """Return one received instance.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        found = self._instances(ReceivedInstanceRow.arrival_id == arrival_id)
        if not found:
            raise CaseNotFoundError("there is no such received instance")
        return found[0]

    # -- working through ---------------------------------------------------------------------------------------------

    def finish(
        self,
        arrival_id: str,
        outcome: InstanceOutcome,
        reason: str = "",
        *,
        detail: str = "",
        duplicate_of: str | None = None,
    ) -> bool:
        """Say what became of an instance; only the first answer counts. Return whether this was it.

        A held instance may still be superseded: its hold is withdrawn then.
        """
        return finish_instance(self._session, arrival_id, outcome, reason, detail=detail, duplicate_of=duplicate_of)

    def set_fingerprint(self, arrival_id: str, dataset: str, pixels: str, facts: InstanceFacts = NO_FACTS) -> None:
        """Keep the keyed digests that tell a resend from a change, and what the header says for the receipt."""
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.arrival_id == arrival_id)
            .values(fingerprint_dataset=dataset, fingerprint_pixels=pixels, **asdict(facts))
        )

    def set_patient_key(self, study_key: str, patient_key: str, patient_number_key: str = "") -> str:
        """Keep the internal patient keys that the first instance of a study named; return the one that is kept."""
        study = lock_study(self._session, study_key)
        if not study.patient_key:
            study.patient_key, study.patient_number_key = patient_key, patient_number_key
            self._session.flush()
            self._session.execute(
                update(CaseRow)
                .where(CaseRow.received_study == study_key, CaseRow.patient_key == "")
                .values(patient_key=patient_key, patient_number_key=patient_number_key)
            )
        return study.patient_key

    # -- keeping -----------------------------------------------------------------------------------------------------

    def purgeable(
        self,
        now: datetime,
        *,
        retention_days: float = RETENTION_DAYS,
        hold_retention_days: float = HOLD_RETENTION_DAYS,
        limit: int = 1000,
        locked: Collection[str] | None = None,
    ) -> list[ReceivedInstance]:
        """Return instances whose original is to be deleted, by the days since their arrival.

        The days are over when they are over by both clocks, the receiver's and the database's. Those that are worked
        through go after the retention, undecided holds after theirs; what waits to be worked on never goes, nor what
        storage commitment was promised for. Whoever deletes on the strength of the answer has to ask again for what is
        ``locked``: only these, and nobody can promise them until the transaction ends.
        """
        worked_through = ReceivedInstanceRow.outcome.not_in(_OPEN_OUTCOMES) & arrived_before(
            now - timedelta(days=retention_days)
        )
        undecided = (ReceivedInstanceRow.outcome == InstanceOutcome.HELD) & arrived_before(
            now - timedelta(days=hold_retention_days)
        )
        promised = ReceivedInstanceRow.committed_until > now
        return self._instances(
            ReceivedInstanceRow.purged_at.is_(None),
            worked_through | undecided,
            ReceivedInstanceRow.committed_until.is_(None) | ~promised,
            *([] if locked is None else [ReceivedInstanceRow.arrival_id.in_(locked)]),
            limit=limit,
            lock=locked is not None,
        )

    def mark_purged(self, arrival_ids: Iterable[str], now: datetime) -> None:
        """Keep that originals are gone. What is known of them stays; an undecided hold becomes a tombstone."""
        todo = list(arrival_ids)
        for start in range(0, len(todo), _AT_ONCE):
            ids = todo[start : start + _AT_ONCE]
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id.in_(ids), ReceivedInstanceRow.purged_at.is_(None))
                .values(purged_at=now)
            )
            self._session.execute(
                update(HoldRow)
                .where(HoldRow.arrival_id.in_(ids), HoldRow.state == HoldState.OPEN)
                .values(state=HoldState.EXPIRED, decided_at=now)
            )
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id.in_(ids), ReceivedInstanceRow.outcome == InstanceOutcome.HELD)
                .values(outcome=InstanceOutcome.EXPIRED)
            )

    def summary(self, *, since: datetime | None = None) -> IntakeSummary:
        """Return the sum that adds up, over everything or over what arrived since a moment."""
        return summary.summarize(self._session, since)

    def figures(self) -> IntakeFigures:
        """Return the totals that are watched from outside."""
        return summary.figures(self._session)

    # -- rows to values ----------------------------------------------------------------------------------------------

    def _instances(self, *conditions: object, limit: int | None = None, lock: bool = False) -> list[ReceivedInstance]:
        query = select(ReceivedInstanceRow).where(*conditions).order_by(ReceivedInstanceRow.arrival_id)  # type: ignore[arg-type]
        if lock:  # SQLite has no word for it, and needs none: its writers take turns
            query = query.with_for_update()
        return [instance_value(row) for row in self._session.scalars(query.limit(limit))]
