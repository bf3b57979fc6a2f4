"""Making the images of a case anew: what there is to do, what came of it, and bringing it into the case.

What is made lies staged until it is decided. An open draft gets it at once; a case that others may see gets it when an
editor says so. Rows of images stay the rows that they are: marks, texts and order are not touched.
"""

from collections.abc import Sequence

from sqlalchemy import func, select, update

from cases import build
from cases.errands import Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import (
    CaseClosedError,
    CaseNotFoundError,
    InvalidTransitionError,
    OriginalsGoneError,
    RerunInProgressError,
)
from cases.model import OPEN_STATUSES, CaseStatus, HoldState, InstanceOutcome
from cases.profiles import ProfileRevision
from cases.reruns import NOT_TOUCHED, CurrentImage, RerunPlan, RerunResult, StagedInstance, result_of
from cases.store.arrivals import finish_instance, instance_value, lock_study, withdraw_hold
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn
from cases.store.crosswalk import Crosswalk
from cases.store.errand_rows import ErrandRow, StagedInstanceRow
from cases.store.errands import Errands, errand_value
from cases.store.filing import Filing, image_columns
from cases.store.holds import Holds
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.manifests import Manifests
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    HoldRow,
    ReceivedInstanceRow,
    UserRow,
)
from cases.store.shells import lock_case
from cases.store.staged import staged_of, staged_values
from deidentify.results import DeidentifiedInstance, Dropped, DropReason, Hold

_DECIDED = frozenset({HoldState.RELEASED, HoldState.DISCARDED})
_DROPPED_BY_PROFILE = frozenset(reason.value for reason in DropReason)


class Reruns(Filing):
    """Re-runs of cases; every call may be repeated after a crash."""

    # -- asking -------------------------------------------------------------------------------------------------------

    def plan(self, case_id: str) -> RerunPlan:
        """Return what a re-run of a case would work on.

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
        ).all()
        decided = set(
            self._session.scalars(
                select(HoldRow.arrival_id).where(HoldRow.case_id == case_id, HoldRow.state.in_(_DECIDED))
            )
        )
        todo = [row for row in arrived if row.arrival_id not in decided and _can_be_made_anew(row)]
        there = [row for row in todo if row.purged_at is None]
        is_only_decided = [row for row in arrived if row.arrival_id in decided or _waits_for_a_person(row)]
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
        """Return the ids of the cases that have a revision and were not removed, the oldest first."""
        query = select(CaseRow.id).where(CaseRow.profile_revision == revision, CaseRow.status != CaseStatus.REMOVED)
        return list(self._session.scalars(query.order_by(CaseRow.created_at, CaseRow.id)))

    def request(self, case_id: str, profile: ProfileRevision, *, actor: str) -> tuple[Errand, RerunPlan]:
        """Ask for a case to be made anew; one that was in review is given up for it.

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
        if before is not None and before.state is not ErrandState.IN_REVIEW:
            raise RerunInProgressError(f"a re-run of the case is {before.state} already: wait until it is done")
        if before is not None:
            reason = "another re-run took its place"
            errands.call_off(before.id, ErrandState.DISCARDED, reason, decided_by=actor)
        new = NewErrand(
            kind=ErrandKind.RERUN,
            profile=profile.name,
            revision=profile.revision,
            base_revision=plan.revision,
            case_id=case_id,
            requested_by=actor,
        )
        return errands.open(plan.received_study, new), plan

    # -- working ------------------------------------------------------------------------------------------------------

    def images(self, case_id: str) -> dict[str, CurrentImage]:
        """Return the images that a case has, by arrival."""
        return {
            row.arrival_id: CurrentImage(blob_key=row.blob_key, sha256=row.sha256, has_identifiers=row.identifiers_kept)
            for row in self._session.scalars(select(CaseImageRow).where(CaseImageRow.case_id == case_id))
        }

    def secret_generation(self, case_id: str) -> int:
        """Return the generation of the secret that the pseudonyms of a case are made under."""
        return self._session.get_one(CaseRow, case_id).secret_generation

    def staged_arrivals(self, errand_id: str) -> set[str]:
        """Return the arrivals that are done."""
        query = select(StagedInstanceRow.arrival_id).where(StagedInstanceRow.errand_id == errand_id)
        return set(self._session.scalars(query))

    def stage(self, errand_id: str, one: StagedInstance) -> bool:
        """Keep what was made of one original; return False where nobody wants it any more."""
        errand = Errands(self._session).locked(errand_id)
        there = self._session.get(StagedInstanceRow, (errand_id, one.arrival_id))
        if errand.state is not ErrandState.RUNNING or there is not None:
            if one.blob_key and (there is None or there.blob_key != one.blob_key):
                condemn(self._session, [one.blob_key], errand.case_id)
            return there is not None
        values = staged_values(errand_id, one)
        if one.is_same:
            condemn(self._session, [one.blob_key], errand.case_id)
            values["blob_key"] = ""
        self._session.add(StagedInstanceRow(**values))
        errand.done += 1
        self._session.flush()
        return True

    def staged(self, errand_id: str) -> list[StagedInstance]:
        """Return what was made, in the order of arrival."""
        query = select(StagedInstanceRow).where(StagedInstanceRow.errand_id == errand_id)
        return [staged_of(row) for row in self._session.scalars(query.order_by(StagedInstanceRow.arrival_id))]

    # -- deciding -----------------------------------------------------------------------------------------------------

    def conclude(self, errand_id: str) -> Errand:
        """Bring into an open draft what was made; of a case that others may see, let it wait for an editor."""
        case, errand = self._locked_case(errand_id)
        if errand.state is not ErrandState.RUNNING:
            return errand_value(errand)
        if case.status in OPEN_STATUSES:
            return self._apply(case, errand, decided_by="")
        result = self._result(case, self.staged(errand_id))
        Errands(self._session).end(errand_id, ErrandState.IN_REVIEW, result.to_json())
        return errand_value(errand)

    def apply(self, errand_id: str, *, actor: str) -> Errand:
        """Bring into the case what was made and reviewed.

        Raises
        ------
        CaseNotFoundError
            When there is no such re-run.
        InvalidTransitionError
            When it is not in review.
        """
        case, errand = self._locked_case(errand_id)
        _check_in_review(errand)
        return self._apply(case, errand, decided_by=actor)

    def discard(self, errand_id: str, *, actor: str) -> Errand:
        """Leave the case as it is.

        Raises
        ------
        CaseNotFoundError
            When there is no such re-run.
        InvalidTransitionError
            When it is not in review.
        """
        _, errand = self._locked_case(errand_id)
        _check_in_review(errand)
        Errands(self._session).call_off(errand_id, ErrandState.DISCARDED, "an editor left it", decided_by=actor)
        return errand_value(errand)

    def _locked_case(self, errand_id: str) -> tuple[CaseRow, ErrandRow]:
        found = Errands(self._session).get(errand_id)
        if found.kind is not ErrandKind.RERUN or found.case_id is None:
            raise CaseNotFoundError("there is no such re-run")
        case = lock_case(self._session, found.case_id)
        return case, Errands(self._session).locked(errand_id)

    def _result(self, case: CaseRow, staged: Sequence[StagedInstance]) -> RerunResult:
        plan = self.plan(case.id)
        made = {one.arrival_id for one in staged}
        images = self.images(case.id).keys() - made
        return result_of(staged, gone=min(len(images), plan.gone), decided=plan.decided)

    def _apply(self, case: CaseRow, errand: ErrandRow, *, decided_by: str) -> Errand:
        staged = self.staged(errand.id)
        result = self._result(case, staged)
        placing = _Placing()
        kept = [one.blob_key for one in staged if self._bring_in(case, one, placing)]
        for series_id in placing.left:
            self._remove_if_empty(series_id)
        if result.cleared:
            Manifests(self._session).mark_case(errand.received_study, case.id)
        self._name_case(case, errand, staged, is_whole=not result.gone)
        Errands(self._session).drop_staged(errand.id, kept=kept)
        Errands(self._session).end(errand.id, ErrandState.DONE, result.to_json(), decided_by=decided_by)
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

    # -- one instance -------------------------------------------------------------------------------------------------

    def _bring_in(self, case: CaseRow, one: StagedInstance, placing: "_Placing") -> bool:
        """Bring one result into the case, and return whether its blob is the case's now."""
        arrived = self._session.get(
            ReceivedInstanceRow, one.arrival_id, with_for_update={"key_share": True}, populate_existing=True
        )
        if arrived is None or arrived.case_id != case.id or arrived.outcome is not one.was:
            return False  # something became of it since: that is newer
        match one.outcome:
            case DeidentifiedInstance() if one.was is InstanceOutcome.FILED:
                return self._replace(case, one, one.outcome, placing)
            case DeidentifiedInstance():
                self._begin_again(arrived)
                self._file_into(case, one.arrival_id, one.outcome, one.blob_key, one.identifiers)
                if one.crosswalk is not None:
                    Crosswalk(self._session).keep(case.id, one.arrival_id, *one.crosswalk)
                return True
            case Hold():
                if one.was is not InstanceOutcome.HELD:
                    self._begin_again(arrived)
                Holds(self._session).hold(case.id, one.arrival_id, one.outcome)
            case Dropped(reason=reason, detail=detail):
                self._begin_again(arrived)
                finish_instance(
                    self._session, one.arrival_id, InstanceOutcome.DROPPED, reason.value, detail=detail, case_id=case.id
                )
            case None:
                pass
        return False

    def _begin_again(self, arrived: ReceivedInstanceRow) -> None:
        """Let an instance have no outcome."""
        match arrived.outcome:
            case InstanceOutcome.FILED:
                self.withdraw_image(arrived.arrival_id)
            case InstanceOutcome.HELD:
                withdraw_hold(self._session, arrived.arrival_id)
            case _:
                self._session.execute(
                    update(ReceivedInstanceRow)
                    .where(ReceivedInstanceRow.arrival_id == arrived.arrival_id)
                    .values(outcome=InstanceOutcome.RECEIVED, finished_at=None)
                )

    def _replace(self, case: CaseRow, one: StagedInstance, instance: DeidentifiedInstance, placing: "_Placing") -> bool:
        image = self._session.scalar(select(CaseImageRow).where(CaseImageRow.arrival_id == one.arrival_id))
        if image is None:
            return False
        series_id = self._series_of(case, image, build.place(instance), placing)
        if series_id != image.series_id:
            placing.left.add(image.series_id)
            image.series_id = series_id
        for column, value in image_columns(instance).items():
            setattr(image, column, value)
        if one.identifiers is not None and not image.identifiers_kept:
            image.identifiers_kept = HashesOfIdentifiers(self._session).add(case.id, one.identifiers)
        if not one.is_same:
            condemn(self._session, [image.blob_key], case.id)
            image.blob_key = one.blob_key
        self._session.flush()
        return not one.is_same

    def _series_of(self, case: CaseRow, image: CaseImageRow, placement: build.Placement, placing: "_Placing") -> str:
        """Return the series of an image that is made anew; its row, and its study's, stay the ones that they are.

        Where UIDs are others under this revision, rows get them: texts and marks hang on the rows.
        """
        series = self._session.get_one(CaseSeriesRow, image.series_id)
        study = self._session.get_one(CaseStudyRow, series.case_study_id)
        is_its_study = (study.study_instance_uid, study.modality) == (placement.study_instance_uid, placement.modality)
        if not is_its_study and (study.id in placing.named or self._has_study(case, placement)):
            study = self._session.get_one(CaseStudyRow, self._study(case, placement))
        placing.name_study(study, placement)
        is_its_series = series.series_instance_uid == placement.series_instance_uid
        if series.case_study_id != study.id or not is_its_series:
            if series.id in placing.named or self._has_series(study.id, placement):
                series = self._session.get_one(CaseSeriesRow, self._series(study.id, placement))
            else:
                series.case_study_id = study.id
        placing.name_series(series, placement)
        self._session.flush()
        return series.id

    def _has_study(self, case: CaseRow, placement: build.Placement) -> bool:
        query = select(func.count()).where(
            CaseStudyRow.case_id == case.id,
            CaseStudyRow.study_instance_uid == placement.study_instance_uid,
            CaseStudyRow.modality == placement.modality,
        )
        return bool(self._session.scalar(query))

    def _has_series(self, case_study_id: str, placement: build.Placement) -> bool:
        query = select(func.count()).where(
            CaseSeriesRow.case_study_id == case_study_id,
            CaseSeriesRow.series_instance_uid == placement.series_instance_uid,
        )
        return bool(self._session.scalar(query))


class _Placing:
    """Which studies and series have their labels from this re-run: the first image of each gives them."""

    def __init__(self) -> None:
        self.named: set[str] = set()
        self.left: set[str] = set()
        """Series that images went out of."""

    def name_study(self, study: CaseStudyRow, placement: build.Placement) -> None:
        """Give a study the labels of an image."""
        is_first = study.id not in self.named
        self.named.add(study.id)
        study.study_instance_uid, study.modality = placement.study_instance_uid, placement.modality
        study.study_day = placement.study_day if is_first else study.study_day or placement.study_day
        study.description = (
            placement.study_description if is_first else study.description or placement.study_description
        )

    def name_series(self, series: CaseSeriesRow, placement: build.Placement) -> None:
        """Give a series the labels of an image."""
        if series.id in self.named:
            return
        self.named.add(series.id)
        series.series_instance_uid, series.number = placement.series_instance_uid, placement.series_number
        series.perspective, series.specifics = placement.perspective, placement.specifics
        series.body_part, series.laterality = placement.body_part, placement.laterality


def _can_be_made_anew(row: ReceivedInstanceRow) -> bool:
    """Tell whether a profile decides what becomes of an instance."""
    if row.outcome is InstanceOutcome.FILED:
        return True
    if row.outcome is InstanceOutcome.HELD:
        return not _waits_for_a_person(row)
    return row.outcome is InstanceOutcome.DROPPED and row.reason in _DROPPED_BY_PROFILE


def _waits_for_a_person(row: ReceivedInstanceRow) -> bool:
    # One without digests was never compared with what else came under its UIDs.
    return row.outcome is InstanceOutcome.HELD and (row.reason in NOT_TOUCHED or not row.fingerprint_dataset)


def _check_in_review(errand: ErrandRow) -> None:
    if errand.state is not ErrandState.IN_REVIEW:
        raise InvalidTransitionError(f"this re-run is {errand.state}: only one that is in review can be decided")
