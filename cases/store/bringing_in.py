"""Bringing into a case what a re-run made of its originals; rows of images, series and studies stay rows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cases import build
from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.reruns import StagedInstance
from cases.reviews import NOBODY_DECIDED, HoldEvent, hold_after
from cases.store.arrivals import finish_instance, withdraw_hold
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn
from cases.store.crosswalk import Crosswalk
from cases.store.filing import Filing, image_columns
from cases.store.holds import Holds
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.intake import Intake
from cases.store.review_rows import reviews_of
from cases.store.rows import CaseImageRow, CaseRow, CaseSeriesRow, CaseStudyRow, ReceivedInstanceRow
from deidentify.results import DeidentifiedInstance, Dropped, Hold
from deidentify.review import NO_REVIEW

_AT_ONCE = 500


class BringingIn(Filing):
    """One application of a re-run to its case, under the lock of the case."""

    def __init__(self, session: Session, case: CaseRow, *, errand_id: str = "") -> None:
        super().__init__(session)
        self._case = case
        self._errand_id = errand_id
        self._named: set[str] = set()
        """Studies and series that have their labels from this re-run: the first image of each gives them."""
        self._left: set[str] = set()
        """Series that images went out of."""
        self._old_blobs: list[str] = []
        self._decided: set[str] = set()
        """Instances on whose pixels a person decided."""
        self.expired = 0
        """Images that would be held, and whose originals are gone: they are tombstones."""

    def bring_in(self, staged: Sequence[StagedInstance]) -> list[StagedInstance]:
        """Bring in all of it, and return what took effect: not what something else became of since."""
        arrived = self._locked(one.arrival_id for one in staged)
        images = self._images()
        reviews = reviews_of(self._session, arrived)
        self._decided = {key for key, kept in reviews.items() if kept.review != NO_REVIEW}
        # What was made before somebody decided on its pixels is older than the decision, which has its own re-run.
        newest = [one for one in staged if reviews.get(one.arrival_id, NOBODY_DECIDED).version == one.review]
        took = []
        for one in newest:
            image = images.get(one.arrival_id)
            is_as_it_was = image is not None and _is_written_as(image, one)
            if self._one(one, arrived.get(one.arrival_id), image):
                # What it was compared with may have been another image than the one that the case has by now.
                took.append(replace(one, changes=()) if is_as_it_was else one)
        self._session.flush()
        condemn(self._session, self._old_blobs, self._case.id)
        for series_id in sorted(self._left):
            self._remove_if_empty(series_id)
        self._blank_what_has_no_images()
        return took

    def _locked(self, arrival_ids: Iterable[str]) -> dict[str, ReceivedInstanceRow]:
        todo, found = sorted(arrival_ids), dict[str, ReceivedInstanceRow]()
        for start in range(0, len(todo), _AT_ONCE):
            query = (
                select(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id.in_(todo[start : start + _AT_ONCE]))
                .order_by(ReceivedInstanceRow.arrival_id)
                .with_for_update(key_share=True)
                .execution_options(populate_existing=True)
            )
            found |= {row.arrival_id: row for row in self._session.scalars(query)}
        return found

    def _images(self) -> dict[str, CaseImageRow]:
        query = select(CaseImageRow).where(CaseImageRow.case_id == self._case.id)
        return {row.arrival_id: row for row in self._session.scalars(query)}

    def _one(self, one: StagedInstance, arrived: ReceivedInstanceRow | None, image: CaseImageRow | None) -> bool:
        if arrived is None or arrived.case_id != self._case.id or arrived.outcome is not one.was:
            return False  # something became of it since: that is newer
        if one.has_failed:
            return True
        match one.outcome:
            case DeidentifiedInstance() if one.was is InstanceOutcome.FILED:
                if image is None or not (one.blob_key or _is_written_as(image, one)):
                    return False
                self._replace(image, one, one.outcome)
            case DeidentifiedInstance():
                self._clear(arrived, one, one.outcome)
            case Hold():
                self._hold(arrived, one.outcome)
            case Dropped(reason=reason, detail=detail):
                self._begin_again(arrived)
                finish_instance(
                    self._session,
                    one.arrival_id,
                    InstanceOutcome.DROPPED,
                    reason.value,
                    detail=detail,
                    case_id=self._case.id,
                )
            case None:
                pass
        return True

    # -- what becomes of one ------------------------------------------------------------------------------------------

    def _replace(self, image: CaseImageRow, one: StagedInstance, instance: DeidentifiedInstance) -> None:
        is_as_it_was = _is_written_as(image, one)
        series_id = self._series_of(image, build.place(instance))
        if series_id != image.series_id:
            self._left.add(image.series_id)
            image.series_id = series_id
        earlier, before = image.report.get("uids_before", []), image.sop_instance_uid
        for column, value in image_columns(instance).items():
            setattr(image, column, value)
        if earlier or before != image.sop_instance_uid:
            uids = dict.fromkeys([*earlier, before])
            image.report = {**image.report, "uids_before": [uid for uid in uids if uid != image.sop_instance_uid]}
        if one.identifiers is not None and not image.identifiers_kept:
            image.identifiers_kept = HashesOfIdentifiers(self._session).add(self._case.id, one.identifiers)
        if not is_as_it_was:  # else its staged blob goes with what was staged
            self._old_blobs.append(image.blob_key)
            image.blob_key = one.blob_key

    def _clear(self, arrived: ReceivedInstanceRow, one: StagedInstance, instance: DeidentifiedInstance) -> None:
        """File what was held or left out; of several with one SOP Instance UID the newest counts."""
        rivals = self._session.scalars(
            select(ReceivedInstanceRow.arrival_id)
            .where(
                ReceivedInstanceRow.case_id == self._case.id,
                ReceivedInstanceRow.sop_key == arrived.sop_key,
                ReceivedInstanceRow.outcome == InstanceOutcome.FILED,
            )
            .order_by(ReceivedInstanceRow.arrival_id)
        ).all()
        is_superseded = bool(rivals) and rivals[-1] > one.arrival_id
        self._begin_again(arrived, is_passed=one.arrival_id in self._decided and not is_superseded)
        if is_superseded:
            condemn(self._session, [one.blob_key], self._case.id)
            finish_instance(
                self._session,
                one.arrival_id,
                InstanceOutcome.SUPERSEDED,
                case_id=self._case.id,
                duplicate_of=rivals[-1],
            )
            return
        for older in rivals:
            self.withdraw_image(older)
            finish_instance(self._session, older, InstanceOutcome.SUPERSEDED, duplicate_of=one.arrival_id)
        self._file_into(self._case, one.arrival_id, instance, one.blob_key, one.identifiers)
        filed = self._session.scalar(select(CaseImageRow).where(CaseImageRow.arrival_id == one.arrival_id))
        if filed is not None:
            self._series_of(filed, build.place(instance))
        if one.crosswalk is not None:
            Crosswalk(self._session).keep(self._case.id, one.arrival_id, *one.crosswalk)

    def _hold(self, arrived: ReceivedInstanceRow, hold: Hold) -> None:
        if arrived.outcome is not InstanceOutcome.HELD:
            self._begin_again(arrived)
        Holds(self._session).hold(self._case.id, arrived.arrival_id, hold, errand_id=self._errand_id)
        if arrived.purged_at is not None:
            # Nobody can look at it any more: held for ever it would keep its case from everybody.
            Intake(self._session).mark_purged([arrived.arrival_id], clock_now())
            self.expired += 1

    def _begin_again(self, arrived: ReceivedInstanceRow, *, is_passed: bool = False) -> None:
        """Let an instance have no outcome; its hold ends, released where a person had decided on its pixels."""
        match arrived.outcome:
            case InstanceOutcome.FILED:
                self.withdraw_image(arrived.arrival_id)
            case InstanceOutcome.HELD:
                state = hold_after(HoldState.OPEN, HoldEvent.PASSED) if is_passed else HoldState.WITHDRAWN
                withdraw_hold(self._session, arrived.arrival_id, state)
            case _:
                self._session.execute(
                    update(ReceivedInstanceRow)
                    .where(ReceivedInstanceRow.arrival_id == arrived.arrival_id)
                    .values(outcome=InstanceOutcome.RECEIVED, finished_at=None)
                )

    # -- where it goes ------------------------------------------------------------------------------------------------

    def _series_of(self, image: CaseImageRow, placement: build.Placement) -> str:
        """Return the series of an image that is made anew; its row, and its study's, stay the ones that they are.

        Where UIDs are others under this revision, rows get them: texts and marks hang on the rows.
        """
        series = self._session.get_one(CaseSeriesRow, image.series_id)
        study = self._session.get_one(CaseStudyRow, series.case_study_id)
        is_its_study = (study.study_instance_uid, study.modality) == (placement.study_instance_uid, placement.modality)
        if not is_its_study and (study.id in self._named or self._has_study(placement)):
            study = self._session.get_one(CaseStudyRow, self._study(self._case, placement))
        self._name_study(study, placement)
        is_its_series = series.series_instance_uid == placement.series_instance_uid
        if series.case_study_id != study.id or not is_its_series:
            if series.id in self._named or self._has_series(study.id, placement):
                series = self._session.get_one(CaseSeriesRow, self._series(study.id, placement))
            else:
                series.case_study_id = study.id
        self._name_series(series, placement)
        return series.id

    def _has_study(self, placement: build.Placement) -> bool:
        query = select(func.count()).where(
            CaseStudyRow.case_id == self._case.id,
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

    def _name_study(self, study: CaseStudyRow, placement: build.Placement) -> None:
        is_first = study.id not in self._named
        self._named.add(study.id)
        study.study_instance_uid, study.modality = placement.study_instance_uid, placement.modality
        study.study_day = placement.study_day if is_first else study.study_day or placement.study_day
        study.description = (
            placement.study_description if is_first else study.description or placement.study_description
        )

    def _name_series(self, series: CaseSeriesRow, placement: build.Placement) -> None:
        if series.id in self._named:
            return
        self._named.add(series.id)
        series.series_instance_uid, series.number = placement.series_instance_uid, placement.series_number
        if not series.is_labelled:
            series.perspective, series.specifics = placement.perspective, placement.specifics
        series.body_part, series.laterality = placement.body_part, placement.laterality

    def _blank_what_has_no_images(self) -> None:
        """Take its labels, day and UID from a study that only somebody's text keeps: an older revision told them."""
        studies = self._session.scalars(select(CaseStudyRow).where(CaseStudyRow.case_id == self._case.id)).all()
        with_series = set(
            self._session.scalars(
                select(CaseSeriesRow.case_study_id).where(CaseSeriesRow.case_study_id.in_([one.id for one in studies]))
            )
        )
        for study in studies:
            if study.id not in with_series:
                study.description = study.study_day = ""
                study.study_instance_uid = f"2.25.{int(study.id, 16)}"
        self._session.flush()


def _is_written_as(image: CaseImageRow, one: StagedInstance) -> bool:
    """Tell whether what was made is bit by bit the image that its case has now."""
    return isinstance(one.outcome, DeidentifiedInstance) and one.outcome.sha256 == image.sha256
