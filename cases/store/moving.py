"""Bringing into another draft what was written for it; rows of images, series and studies stay the rows they are."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from cases import build, states
from cases.changes import PRESENTATION_MAX, TAGS_MAX, TEXT_MAX
from cases.consents import DocumentFate
from cases.errors import InvalidTransitionError
from cases.intake import InstanceOutcome
from cases.moves import MovePlan, MoveResult, joined, union
from cases.store import views
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn
from cases.store.consents import has_document
from cases.store.crosswalk import Crosswalk
from cases.store.emptying import Emptying
from cases.store.errand_rows import StagedMoveRow
from cases.store.history import SYSTEM, note
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.rows import CaseImageRow, CaseRow, CaseSeriesRow, CaseStudyRow, HoldRow, ReceivedInstanceRow, new_id

_ACTORS = frozenset({states.Actor.OWNER})
_AT_ONCE = 500


class Moving(Emptying):
    """One move, under the locks of both cases."""

    def __init__(self, session: Session, source: CaseRow, target: CaseRow) -> None:
        super().__init__(session)
        self._source, self._target = source, target
        self._studies: dict[str, CaseStudyRow] = {}
        """Study of the case that is left → the one that its series go to."""
        self._series_there: dict[str, str] = {}
        self._whole: set[str] = set()
        """Studies all of whose images go: their rows go as well."""
        self._duplicates = 0

    @staticmethod
    def new_draft(session: Session, case_id: str, source: CaseRow, received_study: str) -> CaseRow:
        """Make the draft that a part of a case goes to; the owner's place for it is locked and free."""
        moment = clock_now()
        facts = states.Facts(has_owner=source.owner_id is not None, draft_limit=1)
        row = CaseRow(
            id=case_id,
            owner_id=source.owner_id,
            status=states.decide(states.Action.OPEN, None, frozenset({states.Actor.SYSTEM}), facts),
            received_study=received_study,
            split_from=source.id,
            sender=source.sender,
            arrived_at=source.arrived_at,
            profile=source.profile,
            profile_revision=source.profile_revision,
            patient_key=source.patient_key,
            patient_number_key=source.patient_number_key,
            secret_generation=source.secret_generation,
            age_band=source.age_band,
            sex=source.sex,
            consent_kind=source.consent_kind,
            consent_reference=source.consent_reference,
            is_rare=source.is_rare,
            is_small_community=source.is_small_community,
            created_at=moment,
            updated_at=moment,
        )
        session.add(row)
        session.flush()
        note(session, row, SYSTEM, states.Action.OPEN, None)
        session.flush()
        return row

    def bring(self, plan: MovePlan, staged: Mapping[str, StagedMoveRow], *, is_whole: bool) -> MoveResult:
        """Bring all of it there, with holds, resends and what is known of its patient."""
        knows_all = HashesOfIdentifiers(self._session).copy(self._source.id, self._target.id)
        Crosswalk(self._session).copy(self._source.id, self._target.id)
        rows, acknowledged = (
            self._rows(plan),
            [self._has_thought_of_faces(case) for case in (self._source, self._target)],
        )
        self._whole = self._studies_that_go(rows)
        old_blobs, left = [row.blob_key for row in rows], {row.series_id for row in rows}
        for row in rows:
            self._image(row, staged[row.arrival_id], knows_all=knows_all)
        held = self._instances(plan)
        for series_id in sorted(left - set(self._series_there.values())):
            self._remove_if_empty(series_id)
        self._fold_texts()
        self._think_of_faces(acknowledged)
        condemn(self._session, old_blobs, self._source.id)
        given = next((one.patient_id for one in staged.values() if one.patient_id and not one.has_original), "")
        self._target.given_patient_id = self._target.given_patient_id or given
        moment = clock_now()
        for case in (self._source, self._target):
            case.version += 1
            case.updated_at = moment
        self._session.flush()
        return MoveResult(
            images=len(rows) - self._duplicates,
            studies=len(self._studies),
            held=held,
            duplicates=self._duplicates,
            with_originals=sum(image.has_original for image in plan.images),
            consent_document=self._fate_of_document(is_whole=is_whole),
        )

    def _fate_of_document(self, *, is_whole: bool) -> DocumentFate:
        if not has_document(self._session, self._source.id):
            return DocumentFate.NONE
        return DocumentFate.GONE if is_whole else DocumentFate.STAYS

    def _rows(self, plan: MovePlan) -> list[CaseImageRow]:
        keys = [image.arrival_id for image in plan.images]
        rows: list[CaseImageRow] = []
        for start in range(0, len(keys), _AT_ONCE):
            some = CaseImageRow.arrival_id.in_(keys[start : start + _AT_ONCE])
            rows += self._session.scalars(select(CaseImageRow).where(some).order_by(CaseImageRow.arrival_id))
        return rows

    def _studies_that_go(self, rows: list[CaseImageRow]) -> set[str]:
        moved = {row.id for row in rows}
        query = (
            select(CaseSeriesRow.case_study_id, CaseImageRow.id)
            .join(CaseImageRow, CaseImageRow.series_id == CaseSeriesRow.id)
            .where(CaseImageRow.case_id == self._source.id)
        )
        found = self._session.execute(query).all()
        return {study_id for study_id, _ in found} - {study_id for study_id, image in found if image not in moved}

    def _has_thought_of_faces(self, case: CaseRow) -> bool:
        return sum(views.faces(self._session, case.id).values()) <= case.faces_acknowledged

    def _think_of_faces(self, acknowledged: list[bool]) -> None:
        """Let both cases be thought of where they were; nobody has thought of what came beside what they knew."""
        both = all(acknowledged)
        for case, is_known in ((self._source, acknowledged[0]), (self._target, both)):
            case.faces_acknowledged = sum(views.faces(self._session, case.id).values()) if is_known else 0

    def _image(self, row: CaseImageRow, one: StagedMoveRow, *, knows_all: bool) -> None:
        uid = one.uids.get(row.sop_instance_uid, row.sop_instance_uid)
        rival = self._session.scalar(
            select(CaseImageRow.arrival_id).where(
                CaseImageRow.case_id == self._target.id, CaseImageRow.sop_instance_uid == uid
            )
        )
        if rival is not None:
            # Texts and marks of the other case are about the image that it has.
            self._duplicates += 1
            condemn(self._session, [one.blob_key], self._target.id)
            self._session.delete(row)
            self._session.flush()
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id == row.arrival_id)
                .values(outcome=InstanceOutcome.SUPERSEDED, duplicate_of=rival)
            )
            return
        row.series_id = self._series_of(row.series_id, one)
        row.case_id, row.sop_instance_uid = self._target.id, uid
        row.blob_key, row.sha256, row.size_bytes = one.blob_key, one.sha256, one.size_bytes
        row.identifiers_kept = row.identifiers_kept and knows_all
        row.report = _report_there(row.report, one.uids)
        self._session.flush()

    # -- where it goes ------------------------------------------------------------------------------------------------

    def _series_of(self, series_id: str, one: StagedMoveRow) -> str:
        """Return the series that an image goes to; the row itself where the other case has none of that UID."""
        known = self._series_there.get(series_id)
        if known is not None:
            return known
        series = self._session.get_one(CaseSeriesRow, series_id)
        study = self._study_of(series.case_study_id, one)
        uid = one.uids.get(series.series_instance_uid, series.series_instance_uid)
        there = self._session.scalar(
            select(CaseSeriesRow).where(
                CaseSeriesRow.case_study_id == study.id, CaseSeriesRow.series_instance_uid == uid
            )
        )
        if there is None:
            series.case_study_id, series.series_instance_uid = study.id, uid
            there = series
            self._session.flush()
        self._series_there[series_id] = there.id
        return there.id

    def _study_of(self, study_id: str, one: StagedMoveRow) -> CaseStudyRow:
        known = self._studies.get(study_id)
        if known is not None:
            return known
        study = self._session.get_one(CaseStudyRow, study_id)
        uid = one.uids.get(study.study_instance_uid, study.study_instance_uid)
        there = self._session.scalar(
            select(CaseStudyRow).where(
                CaseStudyRow.case_id == self._target.id,
                CaseStudyRow.study_instance_uid == uid,
                CaseStudyRow.modality == study.modality,
            )
        )
        if there is None and study_id in self._whole:
            study.case_id, study.study_instance_uid, study.position = self._target.id, uid, self._next_position()
            study.study_day = _earlier(study.study_day, one.days)
            there = study
            self._session.flush()
        elif there is None:
            there = CaseStudyRow(
                id=new_id(),
                case_id=self._target.id,
                study_instance_uid=uid,
                modality=study.modality,
                position=self._next_position(),
                study_day=_earlier(study.study_day, one.days),
                description=study.description,
            )
            self._session.add(there)
            self._session.flush()
        self._studies[study_id] = there
        return there

    def _next_position(self) -> int:
        of_case = CaseStudyRow.case_id == self._target.id
        highest = self._session.scalar(select(func.max(CaseStudyRow.position)).where(of_case))
        return build.FIRST_POSITION if highest is None else highest + 1

    def _fold_texts(self) -> None:
        """Join the texts of a study with those of the one that took all of its images."""
        for study_id, there in self._studies.items():
            if there.id == study_id:
                continue
            study = self._session.get(CaseStudyRow, study_id, populate_existing=True)
            has_series = exists().where(CaseSeriesRow.case_study_id == study_id)
            if study is None or self._session.scalar(select(has_series)):
                continue
            there.findings = _fitting("findings", joined(there.findings, study.findings), TEXT_MAX)
            there.caption = _fitting("caption", joined(there.caption, study.caption), TEXT_MAX)
            self._session.delete(study)
        self._session.flush()

    # -- what goes with it --------------------------------------------------------------------------------------------

    def _instances(self, plan: MovePlan) -> int:
        """Let instances and holds be the other case's, with whose pseudonyms they had first; count held ones."""
        first = {
            image.arrival_id: "" if image.has_original else image.born_in or plan.from_case for image in plan.images
        }
        # What is held has no pseudonyms yet: it gets those that fit the images of its study.
        of_study = {image.received_study: first[image.arrival_id] for image in plan.images}
        keys = sorted(plan.arrivals)
        held = 0
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            query = select(ReceivedInstanceRow).where(ReceivedInstanceRow.arrival_id.in_(some))
            for row in self._session.scalars(query.execution_options(populate_existing=True)):
                born = first.get(row.arrival_id, of_study.get(row.received_study, ""))
                row.case_id, row.born_in = plan.to_case, "" if born == plan.to_case else born
                held += row.outcome is InstanceOutcome.HELD
            self._session.flush()
            self._session.execute(
                update(HoldRow)
                .where(HoldRow.arrival_id.in_(some), HoldRow.case_id == plan.from_case)
                .values(case_id=plan.to_case)
            )
        return held

    # -- all of it ----------------------------------------------------------------------------------------------------

    def leave_tombstone(self) -> None:
        """Join the texts of the cases, and let the one that was left be a tombstone; its place is free."""
        source, target = self._source, self._target
        self._join_texts()
        self._session.execute(
            update(CaseRow).where(CaseRow.previous_case_id == source.id).values(previous_case_id=target.id)
        )
        self._session.flush()
        self._session.refresh(target)
        if target.previous_case_id == target.id:
            target.previous_case_id = source.previous_case_id
        before = source.status
        source.status = states.decide(states.Action.MERGE, before, _ACTORS, states.Facts())
        source.withheld_words, source.prefilled, source.manifest_group = 0, {}, ""
        self._empty(source)
        note(self._session, source, SYSTEM, states.Action.MERGE, before)

    def _join_texts(self) -> None:
        """Keep what people wrote into either case: nothing is lost, and nothing is said twice."""
        source, target = self._source, self._target
        target.title = target.title or source.title
        target.presentation = _fitting(
            "presentation", joined(target.presentation, source.presentation), PRESENTATION_MAX
        )
        target.discussion = _fitting("discussion", joined(target.discussion, source.discussion), TEXT_MAX)
        if source.title and source.title != target.title:
            target.discussion = _fitting("discussion", joined(target.discussion, source.title), TEXT_MAX)
        target.systems, target.tags = union(target.systems, source.systems), union(target.tags, source.tags)
        if len(target.tags) > TAGS_MAX:
            raise InvalidTransitionError(
                f"the cases have more than {TAGS_MAX} tags together: take some out, then merge"
            )
        self._join_terms()
        target.level, target.hold_reason = target.level or source.level, target.hold_reason or source.hold_reason
        target.age_band, target.sex = target.age_band or source.age_band, target.sex or source.sex
        target.withheld_words += source.withheld_words
        target.manifest_group = target.manifest_group or source.manifest_group
        self._session.flush()

    def _join_terms(self) -> None:
        """Join what was decided on either case; a doubt about one of them is one about both."""
        source, target = self._source, self._target
        for name in ("differential", "certainty_evidence"):
            setattr(target, name, _fitting(name, joined(getattr(target, name), getattr(source, name)), TEXT_MAX))
        for name in ("certainty", "key_image_id"):
            setattr(target, name, getattr(target, name) or getattr(source, name))
        if not target.consent_kind:
            target.consent_kind, target.consent_reference = source.consent_kind, source.consent_reference
        target.is_rare |= source.is_rare
        target.is_small_community |= source.is_small_community
        if source.licence_accepted_at is None:
            target.licence_accepted_at = None


def _report_there(report: Mapping[str, Any], uids: Mapping[str, str]) -> dict[str, Any]:
    """Return what is remembered of an image with the UIDs of the other case."""
    there = dict(report)
    if there.get("uid_of_original"):
        there["uid_of_original"] = uids.get(there["uid_of_original"], there["uid_of_original"])
    for name in ("references", "uids_before"):
        if name in there:
            there[name] = [uids.get(uid, uid) for uid in there[name]]
    if "followed" in there:
        there["followed"] = {uids.get(uid, uid): uids.get(old, old) for uid, old in there["followed"].items()}
    return there


def _earlier(study_day: str, days: int) -> str:
    """Return a shifted day, YYYYMMDD, moved back."""
    if not study_day:
        return ""
    moved = date(int(study_day[:4]), int(study_day[4:6]), int(study_day[6:8])) - timedelta(days=days)
    return moved.strftime("%Y%m%d").zfill(8)


def _fitting(name: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise InvalidTransitionError(
            f"{name} of the two would be {len(text)} characters long together, and {longest} are allowed: shorten one, "
            "then ask again"
        )
    return text
