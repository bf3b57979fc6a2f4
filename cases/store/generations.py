"""Generations of the installation's secret: which there are, which is the newest, and what still needs an older one."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from cases.model import CaseStatus, GenerationUse, SecretGeneration
from cases.store.clock import now as clock_now
from cases.store.rows import CaseRow, ReceivedInstanceRow, ReceivedStudyRow, SecretGenerationRow
from cases.store.upsert import insert_or_nothing

FIRST = 1


class Generations:
    """The generations of the secret, known by their check digests; the secret itself is never here."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> tuple[SecretGeneration, ...]:
        """Return every generation that there was, the oldest first."""
        rows = self._session.scalars(select(SecretGenerationRow).order_by(SecretGenerationRow.number))
        return tuple(
            SecretGeneration(
                number=row.number,
                check_digest=row.check_digest,
                created_at=row.created_at,
                retired_at=row.retired_at,
            )
            for row in rows
        )

    def lock(self) -> None:
        """Let nobody else rotate or retire, nor anybody begin a case under a generation, until the transaction ends."""
        self._session.execute(select(SecretGenerationRow.number).with_for_update()).all()

    def register(self, number: int, check_digest: str) -> bool:
        """Make a generation known, and return whether it was new. New cases are made under the newest one."""
        values = {"number": number, "check_digest": check_digest, "created_at": clock_now(), "retired_at": None}
        return insert_or_nothing(self._session, SecretGenerationRow, [values], ["number"]) == 1

    def use(self, number: int) -> GenerationUse:
        """Return what needs a generation."""
        cases = self._session.scalar(
            select(func.count())
            .select_from(CaseRow)
            .where(CaseRow.secret_generation == number, CaseRow.status != CaseStatus.REMOVED)
        )
        # By these keys the next image of a study is held against its patient.
        studies = self._session.scalar(
            select(func.count())
            .select_from(ReceivedStudyRow)
            .where(ReceivedStudyRow.secret_generation == number, _has_case() | _has_original())
        )
        return GenerationUse(cases=cases or 0, studies=studies or 0)

    def retire(self, number: int) -> None:
        """Keep that a generation is needed no more, and let go of patients' keys that nobody can make again.

        The caller holds the lock and has seen that nothing uses it.
        """
        self._session.execute(
            update(SecretGenerationRow).where(SecretGenerationRow.number == number).values(retired_at=clock_now())
        )
        nothing = {"patient_key": "", "patient_number_key": ""}
        studies = self._session.scalars(
            update(ReceivedStudyRow)
            .where(ReceivedStudyRow.secret_generation == number)
            .values(**nothing, secret_generation=newest_generation(self._session))
            .returning(ReceivedStudyRow.key)
        ).all()
        self._clear_cases(studies)

    def _clear_cases(self, studies: Collection[str]) -> None:
        todo = sorted(studies)
        for start in range(0, len(todo), 500):
            self._session.execute(
                update(CaseRow)
                .where(CaseRow.received_study.in_(todo[start : start + 500]))
                .values(patient_key="", patient_number_key="")
            )


def newest_generation(session: Session) -> int:
    """Return the number of the generation that is new cases', kept from being retired until the transaction ends."""
    newest = (
        select(SecretGenerationRow.number)
        .where(SecretGenerationRow.retired_at.is_(None))
        .order_by(SecretGenerationRow.number.desc())
        .limit(1)
        .with_for_update(read=True, key_share=True)
    )
    # PostgreSQL gives nothing when the row that it waited for was retired meanwhile: the next look sees its successor.
    while (number := session.scalar(newest)) is None:
        if not session.scalar(select(exists().where(SecretGenerationRow.number > 0))):
            return FIRST
    return number


def _has_case() -> ColumnElement[bool]:
    return exists().where(CaseRow.received_study == ReceivedStudyRow.key, CaseRow.status != CaseStatus.REMOVED)


def _has_original() -> ColumnElement[bool]:
    return exists().where(
        ReceivedInstanceRow.received_study == ReceivedStudyRow.key, ReceivedInstanceRow.purged_at.is_(None)
    )
