"""What goes where when images move between drafts, and what stands against it."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidChangeError, InvalidTransitionError, OtherPatientError
from cases.intake import InstanceOutcome
from cases.model import CaseStatus
from cases.moves import AskedMove, MovePlan, MovingImage
from cases.store.rows import CaseImageRow, CaseRow, CaseSeriesRow, CaseStudyRow, ReceivedInstanceRow

_FOLLOWED = "followed"


class MovePlans:
    """Plans of moves; the caller holds the locks where it matters."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def checked(self, asked: AskedMove) -> MovePlan:
        """Return what there is to write, or refuse what names nothing or everything.

        Raises
        ------
        InvalidChangeError
            When a study or series is none of the case.
        InvalidTransitionError
            When nothing would go, or all that the case holds.
        """
        known = {study.id for study in self._study_rows(asked.from_case)}
        series = {row.id for row in self._series_rows(asked.from_case)}
        if not known.issuperset(asked.studies) or not series.issuperset(asked.series):
            raise InvalidChangeError("a study or series of the request is not one of this case")
        plan = self.plan(asked)
        if not plan.images and not (asked.is_whole and plan.arrivals):
            raise InvalidTransitionError("there is no image that could go: name studies or series that have some")
        images = self._session.scalars(select(CaseImageRow.arrival_id).where(CaseImageRow.case_id == asked.from_case))
        if not asked.is_whole and not {*images} - {image.arrival_id for image in plan.images}:
            raise InvalidTransitionError("this is all that the case holds: merge the cases instead")
        return plan

    def plan(self, asked: AskedMove) -> MovePlan:
        """Return what there is to write.

        Raises
        ------
        CaseNotFoundError
            When a case is not there any more.
        """
        source = self._session.get(CaseRow, asked.from_case, populate_existing=True)
        target = None if asked.is_new else self._session.get(CaseRow, asked.to_case, populate_existing=True)
        if source is None or (target is None and not asked.is_new):
            raise CaseNotFoundError("there is no such case")
        rows = self._moved_images(asked)
        arrived = {row.arrival_id: row for row in self._arrivals(asked.from_case)}
        lacking = {
            arrived[row.arrival_id].received_study for row in rows if arrived[row.arrival_id].purged_at is not None
        }
        lacking |= self._permuted_there(asked.to_case)
        images = select(CaseImageRow)
        there = self._session.scalars(images.where(CaseImageRow.case_id == asked.to_case).limit(1)).first()
        given = target.given_patient_id if target is not None else ""
        if lacking and there is None and not given:
            # All of a new case has one Patient ID, made in one way.
            lacking = {row.received_study for row in arrived.values()}
        return MovePlan(
            from_case=asked.from_case,
            to_case=asked.to_case,
            secret_generation=source.secret_generation,
            given_patient_id=given,
            patient_blob=there.blob_key if there is not None else "",
            images=tuple(_moving(row, arrived[row.arrival_id], lacking) for row in rows),
            arrivals=frozenset(_that_go(asked, rows, arrived)),
        )

    def _permuted_there(self, case_id: str) -> set[str]:
        """Return received studies of which a case has parts that came without originals: the rest has to fit them."""
        query = select(ReceivedInstanceRow.received_study).where(
            ReceivedInstanceRow.case_id == case_id, ReceivedInstanceRow.born_in != ""
        )
        return set(self._session.scalars(query.distinct()))

    def _moved_images(self, asked: AskedMove) -> Sequence[CaseImageRow]:
        query = select(CaseImageRow).where(CaseImageRow.case_id == asked.from_case)
        if not asked.is_whole:
            of_studies = select(CaseSeriesRow.id).where(CaseSeriesRow.case_study_id.in_(asked.studies))
            query = query.where(CaseImageRow.series_id.in_(asked.series) | CaseImageRow.series_id.in_(of_studies))
        return self._session.scalars(
            query.order_by(CaseImageRow.arrival_id).execution_options(populate_existing=True)
        ).all()

    def _arrivals(self, case_id: str) -> Sequence[ReceivedInstanceRow]:
        query = select(ReceivedInstanceRow).where(ReceivedInstanceRow.case_id == case_id)
        return self._session.scalars(
            query.order_by(ReceivedInstanceRow.arrival_id).execution_options(populate_existing=True)
        ).all()

    def _study_rows(self, case_id: str) -> Sequence[CaseStudyRow]:
        return self._session.scalars(select(CaseStudyRow).where(CaseStudyRow.case_id == case_id)).all()

    def _series_rows(self, case_id: str) -> Sequence[CaseSeriesRow]:
        studies = select(CaseStudyRow.id).where(CaseStudyRow.case_id == case_id)
        return self._session.scalars(select(CaseSeriesRow).where(CaseSeriesRow.case_study_id.in_(studies))).all()

    def studies_of(self, *case_ids: str) -> set[str]:
        """Return the received studies that cases hold something of."""
        query = select(ReceivedInstanceRow.received_study).where(ReceivedInstanceRow.case_id.in_(case_ids)).distinct()
        return set(self._session.scalars(query))


def check_drafts(source: CaseRow, target: CaseRow | None, *, is_whole: bool) -> None:
    """Refuse cases that are not drafts of one owner and one patient.

    Raises
    ------
    InvalidTransitionError
        When one is no draft, they are one case, or have two owners. A case that waits for a place may be merged.
    OtherPatientError
        When they are not known to be of one patient.
    """
    may_go = {CaseStatus.DRAFT, CaseStatus.WAITING} if is_whole else {CaseStatus.DRAFT}
    if source.status not in may_go or (target is not None and target.status is not CaseStatus.DRAFT):
        raise InvalidTransitionError(
            "images move between drafts only: withdraw a case that others may see, and finish or remove a draft "
            "first where one waits for a place"
        )
    if target is None:
        return
    if source.id == target.id:
        raise InvalidTransitionError("this is one case: name another one")
    if source.owner_id != target.owner_id:
        raise InvalidTransitionError("the cases have different owners: images move between drafts of one owner")
    is_same = source.secret_generation == target.secret_generation and (
        (source.patient_key and source.patient_key == target.patient_key)
        or (source.received_study and source.received_study == target.received_study)
    )
    if not is_same:
        raise OtherPatientError(
            "the cases are not known to be of one patient: their patients differ, are not named, or came under two "
            "generations of the secret; a case is of one patient, so nothing can be moved"
        )


def _moving(row: CaseImageRow, arrived: ReceivedInstanceRow, lacking: Collection[str]) -> MovingImage:
    report = row.report
    remembered = (
        report.get("uid_of_original", ""),
        *report.get("references", ()),
        *report.get("uids_before", ()),
        *report.get(_FOLLOWED, {}),
        *report.get(_FOLLOWED, {}).values(),
    )
    return MovingImage(
        arrival_id=row.arrival_id,
        received_study=arrived.received_study,
        study_key=arrived.study_key,
        sop_key=arrived.sop_key,
        blob_key=row.blob_key,
        born_in=arrived.born_in,
        has_original=arrived.received_study not in lacking,
        more_uids=tuple(dict.fromkeys(uid for uid in remembered if uid)),
    )


def _that_go(
    asked: AskedMove, images: Sequence[CaseImageRow], arrived: dict[str, ReceivedInstanceRow]
) -> Collection[str]:
    """Return the instances that go: with their images, or with the series or study that they came in."""
    if asked.is_whole:
        return arrived
    moved = {image.arrival_id for image in images}
    stays = {key for key, row in arrived.items() if row.outcome is InstanceOutcome.FILED and key not in moved}
    series = {(arrived[key].received_study, arrived[key].series_key) for key in moved}
    series -= {(arrived[key].received_study, arrived[key].series_key) for key in stays}
    studies = {arrived[key].received_study for key in moved} - {arrived[key].received_study for key in stays}
    beside = {
        key
        for key, row in arrived.items()
        if row.outcome is not InstanceOutcome.FILED
        and (row.received_study in studies or (row.series_key and (row.received_study, row.series_key) in series))
    }
    return moved | beside
