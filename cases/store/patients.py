"""The cases and received studies of one patient, found by keyed hashes and erased on demand."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from cases.holds import HoldState
from cases.intake import InstanceOutcome, ReceivedInstance
from cases.model import CaseStatus
from cases.patients import PatientCase, PatientFindings, PatientKeys, PatientStudy
from cases.store.account_rows import UserRow
from cases.store.arrivals import instance_value, lock_study
from cases.store.clock import now as clock_now
from cases.store.rows import CaseImageRow, CaseRow, HoldRow, ReceivedInstanceRow, ReceivedStudyRow
from cases.store.study_cases import cases_of, holds_study


class Patients:
    """What there is of one patient."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def hospitals(self) -> set[str]:
        """Return the hospitals whose patients' numbers there are."""
        return set(self._session.scalars(select(ReceivedStudyRow.hospital).distinct()))

    def find(self, keys: PatientKeys) -> PatientFindings:
        """Return the cases, removed ones too, and the received studies that any of these keys leads to."""
        studies = self._session.scalars(select(ReceivedStudyRow).where(_matches(ReceivedStudyRow, keys))).all()
        of_studies = CaseRow.id.in_([case_id for _, case_id in cases_of(self._session, [one.key for one in studies])])
        # A case's own keys count as well: they stay when those of its study were made anew.
        wanted = of_studies if keys.study_key else or_(of_studies, _matches(CaseRow, keys))
        rows = self._session.execute(
            select(CaseRow, UserRow.name, ReceivedStudyRow.receipt_code)
            .outerjoin(UserRow, UserRow.id == CaseRow.owner_id)
            .outerjoin(ReceivedStudyRow, ReceivedStudyRow.key == CaseRow.received_study)
            .where(wanted)
            .order_by(CaseRow.created_at, CaseRow.id)
        ).all()
        cases = tuple(self._case(case, owner, code or "") for case, owner, code in rows)
        found = sorted(studies, key=lambda study: (study.first_arrival_at, study.key))
        return PatientFindings(cases=cases, studies=tuple(self._study(study) for study in found))

    def _case(self, row: CaseRow, owner: str | None, receipt_code: str) -> PatientCase:
        images = self._session.scalar(
            select(func.count()).select_from(CaseImageRow).where(CaseImageRow.case_id == row.id)
        )
        return PatientCase(
            case_id=row.id,
            status=row.status,
            secret_generation=row.secret_generation,
            created_at=row.created_at,
            owner=owner,
            images=images or 0,
            receipt_code=receipt_code,
            patient_key=row.patient_key,
        )

    def _study(self, row: ReceivedStudyRow) -> PatientStudy:
        of_study = ReceivedInstanceRow.received_study == row.key
        originals, committed = self._session.execute(
            select(
                func.count(),
                func.count().filter(ReceivedInstanceRow.committed_until > clock_now()),
            ).where(of_study, ReceivedInstanceRow.purged_at.is_(None))
        ).one()
        cases = self._session.scalar(
            select(func.count()).select_from(CaseRow).where(holds_study(row.key), CaseRow.status != CaseStatus.REMOVED)
        )
        return PatientStudy(
            key=row.key,
            receipt_code=row.receipt_code,
            originals=originals,
            committed=committed,
            cases=cases or 0,
            patient_key=row.patient_key,
        )

    def case_ids_of(self, study_key: str) -> list[str]:
        """Return the cases that were made of a received study and hold something."""
        query = select(CaseRow.id).where(holds_study(study_key), CaseRow.status != CaseStatus.REMOVED)
        return list(self._session.scalars(query.order_by(CaseRow.created_at, CaseRow.id)))

    def close_study(self, study_key: str) -> list[ReceivedInstance]:
        """Let nothing more come of a received study; return its instances whose original is there.

        The caller deletes these originals and marks them purged within the same transaction.

        Parameters
        ----------
        study_key
            Row key of the received study.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        lock_study(self._session, study_key).unassigned_since = None
        self._session.flush()
        there = self._session.scalars(
            select(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.purged_at.is_(None))
            .order_by(ReceivedInstanceRow.arrival_id)
            .with_for_update()
        ).all()
        instances = [instance_value(row) for row in there]
        self._close(study_key)
        return instances

    def forget(self, study_key: str) -> None:
        """Forget whose a received study is."""
        study = lock_study(self._session, study_key)
        study.patient_key = study.patient_number_key = ""
        self._session.flush()

    def _close(self, study_key: str) -> None:
        of_study = ReceivedInstanceRow.received_study == study_key
        arrivals = select(ReceivedInstanceRow.arrival_id).where(of_study)
        self._session.execute(
            update(HoldRow)
            .where(HoldRow.arrival_id.in_(arrivals), HoldRow.state == HoldState.OPEN)
            .values(state=HoldState.WITHDRAWN, decided_at=clock_now())
        )
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(of_study, ReceivedInstanceRow.outcome.in_((InstanceOutcome.RECEIVED, InstanceOutcome.HELD)))
            .values(
                outcome=InstanceOutcome.DROPPED,
                reason="patient-erased",
                detail="what was received of its patient was erased",
                finished_at=clock_now(),
                generation=func.coalesce(ReceivedInstanceRow.generation, 0),
            )
        )


def _matches(table: type[CaseRow] | type[ReceivedStudyRow], keys: PatientKeys) -> ColumnElement[bool]:
    if keys.study_key:
        return ReceivedStudyRow.study_key == keys.study_key
    return or_(
        table.patient_key.in_(_listed(keys.patient_keys)), table.patient_number_key.in_(_listed(keys.number_keys))
    )


def _listed(keys: frozenset[str]) -> Sequence[str]:
    # What names no patient has empty keys.
    return sorted(keys - {""})
