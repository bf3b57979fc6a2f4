"""What goes when a case goes: images, texts, holds, the consent's document and what knows its patient again."""

from sqlalchemy import delete, select, update

from cases import states
from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.store.clock import now as clock_now
from cases.store.collections import Collections
from cases.store.condemned import condemn
from cases.store.consents import Consents
from cases.store.errands import Errands
from cases.store.event_rows import CaseEventRow
from cases.store.filing import Filing
from cases.store.history import PRIVACY_OFFICER, note
from cases.store.prefilled import WRITTEN
from cases.store.repeats import forget_answers_of
from cases.store.rows import CaseImageRow, CaseRow, CaseSeriesRow, CaseStudyRow, HoldRow, ReceivedInstanceRow
from cases.store.shells import lock_case

_ACTORS = frozenset({states.Actor.PRIVACY_OFFICER})


class Emptying(Filing):
    """Takes out of a case what it holds."""

    def withdraw(self, case_id: str) -> bool:
        """Make a case that others may see a draft again, and return whether it was such a one.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        """
        case = lock_case(self._session, case_id)
        if not states.is_shown_to_others(case.status):
            return False
        source = case.status
        case.status = states.decide(states.Action.WITHDRAW, source, _ACTORS, states.Facts())
        case.version += 1
        note(self._session, case, PRIVACY_OFFICER, states.Action.WITHDRAW, source)
        case.updated_at = clock_now()
        Collections(self._session).leave_public(case.id)
        return True

    def erase(self, case_id: str) -> int:
        """Erase a case for its patient, in whatever state; an empty tombstone stays, which no patient's key leads to.

        Returns
        -------
        int
            How many images it had; their blobs wait among ``condemned_blobs``.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        """
        case = lock_case(self._session, case_id)
        source = case.status
        case.status = states.decide(states.Action.ERASE, source, _ACTORS, states.Facts())
        case.age_band = case.sex = case.patient_key = case.patient_number_key = case.manifest_group = ""
        case.prefilled, case.withheld_words = {}, 0
        keys = self._empty(case)
        note(self._session, case, PRIVACY_OFFICER, states.Action.ERASE, source)
        return len(keys)

    def _empty(self, case: CaseRow) -> list[str]:
        """Empty a case that has become a tombstone, and return the keys of its images' condemned blobs."""
        case.title = case.presentation = case.discussion = case.level = case.hold_reason = ""
        case.tags, case.systems = [], []
        for name in WRITTEN:
            setattr(case, name, "")
        self._session.execute(update(CaseEventRow).where(CaseEventRow.case_id == case.id).values(message=""))
        case.version += 1
        case.updated_at = clock_now()
        keys = self._remove_images(case.id)
        self._withdraw_holds(case.id)
        self._drop_unfinished(case.id)
        forget_answers_of(self._session, case.id)
        Errands(self._session).leave_case(case.id)
        self._forget_patient(case.id)
        Consents(self._session).forget(case.id)
        Collections(self._session).leave_public(case.id)
        self._session.flush()
        return keys

    def _remove_images(self, case_id: str) -> list[str]:
        keys = [*self._session.scalars(select(CaseImageRow.blob_key).where(CaseImageRow.case_id == case_id))]
        condemn(self._session, keys, case_id)
        self._session.execute(delete(CaseImageRow).where(CaseImageRow.case_id == case_id))
        studies = select(CaseStudyRow.id).where(CaseStudyRow.case_id == case_id)
        self._session.execute(delete(CaseSeriesRow).where(CaseSeriesRow.case_study_id.in_(studies)))
        self._session.execute(delete(CaseStudyRow).where(CaseStudyRow.case_id == case_id))
        return keys

    def _withdraw_holds(self, case_id: str) -> None:
        held = self._session.scalars(
            update(HoldRow)
            .where(HoldRow.case_id == case_id, HoldRow.state == HoldState.OPEN)
            .values(state=HoldState.WITHDRAWN, decided_at=clock_now())
            .returning(HoldRow.arrival_id)
        ).all()
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.arrival_id.in_(held), ReceivedInstanceRow.outcome == InstanceOutcome.HELD)
            .values(
                outcome=InstanceOutcome.DROPPED, reason="case-removed", detail="its case was removed while it was held"
            )
        )

    def _drop_unfinished(self, case_id: str) -> None:
        # Whoever removes a case while its images still appear does not want the rest of them in another draft.
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.case_id == case_id, ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED)
            .values(
                outcome=InstanceOutcome.DROPPED,
                reason="case-removed",
                detail="its case was removed while it was worked on",
                finished_at=clock_now(),
            )
        )
