"""Making the images of a case anew: what there is to do, what came of it, and bringing it into the case.

What is made lies staged until it is decided. An open draft gets it at once; a case that others may see gets it when an
editor says so. Rows of images stay the rows that they are: marks, texts and order are not touched.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import or_, select

from cases import build
from cases.errands import ARRIVALS, AT_WORK, Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import (
    CaseClosedError,
    CaseNotFoundError,
    InvalidTransitionError,
    OriginalsGoneError,
    RerunInProgressError,
)
from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.model import OPEN_STATUSES, CaseStatus
from cases.profiles import ProfileRevision
from cases.reruns import (
    Applied,
    CurrentImage,
    RerunPlan,
    RerunResult,
    StagedInstance,
    rerun_blob_key,
    result_of,
)
from cases.store.account_rows import UserRow
from cases.store.arrivals import instance_value, lock_study
from cases.store.bringing_in import BringingIn
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn_unused
from cases.store.errand_rows import ErrandRow, StagedInstanceRow
from cases.store.errands import Errands, errand_value
from cases.store.filing import Filing
from cases.store.manifests import Manifests
from cases.store.profiles import has_revision
from cases.store.references import References
from cases.store.remakable import can_be_made_anew, waits_for_a_person
from cases.store.review_errands import OUTDATED, ReviewErrands, is_outdated
from cases.store.rows import CaseImageRow, CaseRow, HoldRow, ReceivedInstanceRow
from cases.store.shells import lock_case
from cases.store.staged import staged_of, staged_values
from deidentify.results import DeidentifiedInstance

KEEPS_TEXT = "keeps_text"


class Reruns(Filing):
    """Re-runs of cases; every call may be repeated after a crash."""

    # -- asking -------------------------------------------------------------------------------------------------------

    def plan(self, case_id: str, only: Collection[str] | None = None) -> RerunPlan:
        """Return what a re-run of a case would work on, or of these instances of it alone.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        """
        case = self._session.get(CaseRow, case_id)
        if case is None:
            raise CaseNotFoundError("there is no such case")
        arrived = self._session.scalars(
            select(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.case_id == case_id)
            .order_by(ReceivedInstanceRow.arrival_id)
            .execution_options(populate_existing=True)
        ).all()
        arrived = [row for row in arrived if only is None or row.arrival_id in only]
        left_out = set(
            self._session.scalars(
                select(HoldRow.arrival_id).where(HoldRow.case_id == case_id, HoldRow.state == HoldState.DISCARDED)
            )
        )
        todo = [row for row in arrived if row.arrival_id not in left_out and can_be_made_anew(row)]
        there = [row for row in todo if row.purged_at is None]
        is_only_decided = [row for row in arrived if row.arrival_id in left_out or waits_for_a_person(row)]
        owner = self._session.get(UserRow, case.owner_id) if case.owner_id else None
        return RerunPlan(
            case_id=case.id,
            status=case.status,
            owner=owner.name if owner else None,
            received_study=case.received_study or "",
            profile=case.profile,
            revision=case.profile_revision,
            instances=tuple(instance_value(row) for row in there),
            images=sum(row.outcome is InstanceOutcome.FILED for row in there),
            gone=sum(row.outcome is InstanceOutcome.FILED for row in todo if row.purged_at is not None),
            decided=len(is_only_decided),
        )

    def under(self, revision: str) -> list[str]:
        """Return the ids of the cases that have a revision or an image of it, the oldest first; not of removed ones."""
        query = select(CaseRow.id).where(has_revision(revision), CaseRow.status != CaseStatus.REMOVED)
        return list(self._session.scalars(query.order_by(CaseRow.created_at, CaseRow.id)))

    def request(
        self, case_id: str, profile: ProfileRevision, *, actor: str, keeps_text: bool = True
    ) -> tuple[Errand, RerunPlan, tuple[Errand, ...]]:
        """Ask for a case to be made anew.

        Returns
        -------
        tuple
            What was asked for, what it will find, and those that were in review and are given up for it.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        CaseClosedError
            When it was removed.
        OriginalsGoneError
            When no original of it is there any more.
        RerunInProgressError
            When another one is queued or runs.
        """
        received_study = self.plan(case_id).received_study
        if received_study:
            lock_study(self._session, received_study)
        lock_case(self._session, case_id)
        plan = self.plan(case_id)
        if plan.status is CaseStatus.REMOVED:
            raise CaseClosedError("the case was removed: there is nothing to make anew")
        if not plan.instances or not plan.received_study:
            raise OriginalsGoneError("no original of the case is there any more: its images stay as they are")
        errands = Errands(self._session)
        before = errands.unfinished_of(case_id)
        at_work = [one for one in before if one.state is not ErrandState.IN_REVIEW]
        if at_work:
            what = "a move of its images" if at_work[0].kind is ErrandKind.MOVE else "a re-run of the case"
            raise RerunInProgressError(f"{what} is {at_work[0].state} already: wait until it is done")
        for one in before:
            errands.call_off(one.id, ErrandState.DISCARDED, "another re-run took its place", decided_by=actor)
        new = NewErrand(
            kind=ErrandKind.RERUN,
            profile=profile.name,
            revision=profile.revision,
            base_revision=plan.revision,
            case_id=case_id,
            requested_by=actor,
            asked={KEEPS_TEXT: keeps_text},
        )
        displaced = tuple(errands.get(one.id) for one in before)
        return errands.open(plan.received_study, new), plan, displaced

    # -- working ------------------------------------------------------------------------------------------------------

    def begin(self, errand: Errand) -> tuple[RerunPlan, str] | None:
        """Return what there is to do and under which revision, as work begins; None where nobody wants it any more.

        What is only looked at again, after a person decided on it, gets the revision that its case has by now.
        """
        errands = Errands(self._session)
        row = errands.locked(errand.id)
        if row.state not in AT_WORK or row.case_id is None:
            return None  # its case may be gone with it
        plan = self.plan(row.case_id, _only(row))
        if _only(row) is not None and row.state is ErrandState.QUEUED:
            row.profile, row.revision, row.base_revision = plan.profile, plan.revision, plan.revision
        errands.begin(row.id, len(plan.instances))
        return plan, row.revision

    def images(self, case_id: str) -> dict[str, CurrentImage]:
        """Return the images that a case has, by arrival."""
        return {
            row.arrival_id: CurrentImage(blob_key=row.blob_key, has_identifiers=row.identifiers_kept)
            for row in self._session.scalars(select(CaseImageRow).where(CaseImageRow.case_id == case_id))
        }

    def secret_generation(self, case_id: str) -> int:
        """Return the generation of the secret that the pseudonyms of a case are made under."""
        return self._session.get_one(CaseRow, case_id).secret_generation

    def given_patient_id(self, case_id: str) -> str:
        """Return the Patient ID of a case's files, where it is not made of the originals'; see ``CaseShell``."""
        return self._session.get_one(CaseRow, case_id).given_patient_id

    def staged_arrivals(self, errand_id: str) -> set[str]:
        """Return the arrivals that are done."""
        query = select(StagedInstanceRow.arrival_id).where(StagedInstanceRow.errand_id == errand_id)
        return set(self._session.scalars(query))

    def stage(self, errand_id: str, one: StagedInstance) -> bool:
        """Keep what was made of one original; return False where nobody wants it any more."""
        errand = Errands(self._session).locked(errand_id)
        there = self._session.get(StagedInstanceRow, (errand_id, one.arrival_id))
        if errand.state is not ErrandState.RUNNING or there is not None:
            condemn_unused(self._session, [one.blob_key], errand.case_id)
            return there is not None
        self._session.add(StagedInstanceRow(**staged_values(errand_id, one)))
        errand.done += 1
        self._session.flush()
        return True

    def staged(self, errand_id: str) -> list[StagedInstance]:
        """Return what was made, in the order of arrival."""
        query = select(StagedInstanceRow).where(StagedInstanceRow.errand_id == errand_id)
        return [staged_of(row) for row in self._session.scalars(query.order_by(StagedInstanceRow.arrival_id))]

    # -- deciding -----------------------------------------------------------------------------------------------------

    def conclude(self, errand_id: str) -> Errand | None:
        """Bring into an open draft what was made; of a case that others may see, let it wait for an editor.

        Returns
        -------
        Errand or None
            None where it was over already.
        """
        if Errands(self._session).get(errand_id).state is not ErrandState.RUNNING:
            return None
        case, errand = self._locked_case(errand_id)
        if errand.state is not ErrandState.RUNNING:
            return None
        if is_outdated(errand, case):
            Errands(self._session).call_off(errand_id, ErrandState.DISCARDED, OUTDATED)
            return errand_value(errand)
        if case.status in OPEN_STATUSES:
            return self._apply(case, errand, decided_by="")
        result = self._result(case, errand, self.staged(errand_id))
        result = replace(result, references=References(self._session).staged(errand_id))
        Errands(self._session).end(errand_id, ErrandState.IN_REVIEW, result.to_json())
        return errand_value(errand)

    def apply(self, errand_id: str, *, actor: str) -> Applied:
        """Bring into the case what was made and reviewed.

        Where the case gets another revision by it, images that a person decided on meanwhile are looked at again.

        Raises
        ------
        CaseNotFoundError
            When there is no such re-run.
        InvalidTransitionError
            When it is not in review, or looked at single images under a revision that its case has no more.
        """
        lock_study(self._session, Errands(self._session).get(errand_id).received_study)
        case, errand = self._locked_case(errand_id)
        _check_in_review(errand)
        if is_outdated(errand, case):
            raise InvalidTransitionError(OUTDATED)
        ended = self._apply(case, errand, decided_by=actor)
        if errand.is_review:
            return Applied(errand=ended)
        asking = ReviewErrands(self._session)
        given_up, wanted = asking.give_up_older(case, actor=actor)
        there = {one.arrival_id for one in self.plan(case.id, wanted).instances}
        again, is_new = asking.ask(case.id, there, actor=actor) if there else (None, False)
        return Applied(errand=ended, given_up=tuple(given_up), again=again if is_new else None)

    def discard(self, errand_id: str, *, actor: str) -> Errand:
        """Leave the case as it is; one that is queued or runs is called off.

        Raises
        ------
        CaseNotFoundError
            When there is no such re-run.
        InvalidTransitionError
            When it is over.
        """
        _, errand = self._locked_case(errand_id)
        if not Errands(self._session).call_off(errand_id, ErrandState.DISCARDED, "called off", decided_by=actor):
            raise InvalidTransitionError(f"this re-run is {errand.state} already")
        return errand_value(errand)

    def sweep(self, errand: Errand) -> None:
        """Condemn whatever a re-run that is over may have left in the blob store and nobody refers to."""
        if errand.case_id is None:
            return
        arrivals = self._session.scalars(
            select(ReceivedInstanceRow.arrival_id).where(
                or_(
                    ReceivedInstanceRow.received_study == errand.received_study,
                    ReceivedInstanceRow.case_id == errand.case_id,
                )
            )
        )
        keys = [rerun_blob_key(errand.case_id, arrival_id, errand.id) for arrival_id in arrivals]
        condemn_unused(self._session, keys, errand.case_id)

    def _locked_case(self, errand_id: str) -> tuple[CaseRow, ErrandRow]:
        found = Errands(self._session).get(errand_id)
        if found.kind is not ErrandKind.RERUN or found.case_id is None:
            raise CaseNotFoundError("there is no such re-run")
        case = lock_case(self._session, found.case_id)
        return case, Errands(self._session).locked(errand_id)

    def _result(self, case: CaseRow, errand: ErrandRow, staged: Sequence[StagedInstance]) -> RerunResult:
        plan = self.plan(case.id, _only(errand))
        images = self.images(case.id).keys() - {one.arrival_id for one in staged}
        return result_of(staged, gone=min(len(images), plan.gone), decided=plan.decided)

    def _apply(self, case: CaseRow, errand: ErrandRow, *, decided_by: str) -> Errand:
        staged = self.staged(errand.id)
        bringing = BringingIn(self._session, case, errand_id=errand.id)
        took = bringing.bring_in(staged)
        followed = References(self._session).bring_in(errand.id, case.id)
        result = replace(self._result(case, errand, took), expired=bringing.expired, references=followed)
        if result.cleared:
            Manifests(self._session).mark_case(errand.received_study, case.id)
        if not errand.asked.get(KEEPS_TEXT, True):
            result = replace(result, texts=Manifests(self._session).unfill(case))
        if _only(errand) is None:
            self._name_case(case, errand, took, is_whole=not (result.gone or result.failed))
        errands = Errands(self._session)
        errands.drop_staged(errand.id)
        errands.end(errand.id, ErrandState.DONE, result.to_json(), decided_by=decided_by)
        return errand_value(errand)

    def _name_case(self, case: CaseRow, errand: ErrandRow, staged: Sequence[StagedInstance], *, is_whole: bool) -> None:
        case.profile, case.profile_revision = errand.profile, errand.revision
        placed = [build.place(one.outcome) for one in staged if isinstance(one.outcome, DeidentifiedInstance)]
        age_band = next((one.age_band for one in placed if one.age_band), "")
        sex = next((one.sex for one in placed if one.sex), "")
        # What the revision does not tell any more goes, unless images that could not be made anew tell it still.
        case.age_band = age_band or ("" if is_whole else case.age_band)
        case.sex = sex or ("" if is_whole else case.sex)
        case.updated_at = clock_now()
        self._session.flush()


def _only(errand: ErrandRow) -> frozenset[str] | None:
    """Return the instances that an errand is about; None where it is about all of its case."""
    return frozenset(errand.asked[ARRIVALS]) if errand.is_review else None


def _check_in_review(errand: ErrandRow) -> None:
    if errand.state is not ErrandState.IN_REVIEW:
        raise InvalidTransitionError(f"this re-run is {errand.state}: only one that is in review can be decided")
