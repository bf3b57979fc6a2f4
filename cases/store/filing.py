"""The machine's side of a case: open a draft for a received study, file images into it, withdraw them, promote.

Locks are always taken in one order (received study, user, case, instance), so that two transactions never wait for
each other. On SQLite the transaction itself is the lock.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from cases import build, states
from cases.errors import CaseNotFoundError
from cases.model import OPEN_STATUSES, CaseShell, CaseStatus, HoldState, InstanceOutcome
from cases.store.accounts import draft_count, lock_owner_named, lock_user
from cases.store.clock import now as clock_now
from cases.store.intake import finish_instance, lock_study
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    CondemnedBlobRow,
    HoldRow,
    ReceivedInstanceRow,
    ReceivedStudyRow,
    UserRow,
    new_id,
)
from cases.store.upsert import insert_or_nothing
from deidentify.results import DeidentifiedInstance


class Filing:
    """What the pipeline does to cases; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- shells ------------------------------------------------------------------------------------------------------

    def open_shell(self, study_key: str) -> CaseShell:
        """Find the open draft of a received study, or make one.

        With an owner: a draft within the owner's limit, else waiting. Without: a draft of the inbox. Where the case of
        this study was submitted, published or removed, a new draft that is linked to it.

        Raises
        ------
        CaseNotFoundError
            When there is no such received study.
        """
        study = lock_study(self._session, study_key)
        cases = self._session.scalars(
            select(CaseRow)
            .where(CaseRow.received_study == study_key)
            .order_by(CaseRow.created_at.desc(), CaseRow.id)
            .execution_options(populate_existing=True)
        ).all()
        row = next((case for case in cases if case.status in OPEN_STATUSES), None)
        is_new = row is None
        if row is None:
            row = self._new_case(study, cases[0] if cases else None)
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(
                ReceivedInstanceRow.received_study == study_key,
                ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED,
                ReceivedInstanceRow.generation.is_not(None),
            )
            .values(case_id=row.id)
        )
        owner = self._session.get(UserRow, row.owner_id) if row.owner_id else None
        return CaseShell(
            case_id=row.id,
            status=row.status,
            owner=owner.name if owner else None,
            previous_case_id=row.previous_case_id,
            is_new=is_new,
        )

    def _new_case(self, study: ReceivedStudyRow, previous: CaseRow | None) -> CaseRow:
        # Late instances go where the earlier case went, also when it was claimed from the inbox.
        if previous is not None and previous.owner_id is not None:
            owner: UserRow | None = lock_user(self._session, previous.owner_id)
        else:
            owner = lock_owner_named(self._session, study.owner_name) if study.owner_name else None
        facts = states.Facts(
            has_owner=owner is not None,
            drafts=draft_count(self._session, owner.id) if owner else 0,
            draft_limit=owner.draft_limit if owner else 0,
        )
        moment = clock_now()
        row = CaseRow(
            id=new_id(),
            owner_id=owner.id if owner else None,
            status=states.entry(facts),
            received_study=study.key,
            previous_case_id=previous.id if previous else None,
            sender=study.calling_ae,
            arrived_at=study.first_arrival_at if previous is None else study.last_arrival_at,
            profile=study.profile,
            patient_key=study.patient_key,
            created_at=moment,
            updated_at=moment,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def promote_waiting(self) -> list[str]:
        """Give free places to waiting cases, the oldest of each owner first, and return their ids."""
        owners = self._session.scalars(
            select(CaseRow.owner_id)
            .where(CaseRow.status == CaseStatus.WAITING, CaseRow.owner_id.is_not(None))
            .distinct()
            .order_by(CaseRow.owner_id)
        ).all()
        promoted = []
        for owner_id in owners:
            if owner_id is not None:
                promoted += self._promote(lock_user(self._session, owner_id))
        return promoted

    def _promote(self, owner: UserRow) -> list[str]:
        free = owner.draft_limit - draft_count(self._session, owner.id)
        if free <= 0:
            return []
        waiting = self._session.scalars(
            select(CaseRow)
            .where(CaseRow.owner_id == owner.id, CaseRow.status == CaseStatus.WAITING)
            .order_by(CaseRow.created_at, CaseRow.id)
            .limit(free)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        for place, row in enumerate(waiting):
            facts = states.Facts(has_owner=True, drafts=owner.draft_limit - free + place, draft_limit=owner.draft_limit)
            row.status = states.decide(states.Action.PROMOTE, row.status, frozenset({states.Actor.SYSTEM}), facts)
            row.updated_at = clock_now()
            row.version += 1
        self._session.flush()
        return [row.id for row in waiting]

    # -- images ------------------------------------------------------------------------------------------------------

    def file(self, case_id: str, arrival_id: str, instance: DeidentifiedInstance, blob_key: str) -> None:
        """File a de-identified instance as an image of a case, and close the books on its arrival.

        Doing it again changes nothing. Where two arrivals give the same SOP Instance, the newer one wins.

        Raises
        ------
        CaseClosedError
            When the case was submitted, published or removed since the draft was opened.
        CaseNotFoundError
            When there is no such case.
        """
        case = lock_case(self._session, case_id)
        filed = self._session.scalar(select(CaseImageRow).where(CaseImageRow.arrival_id == arrival_id))
        if filed is not None:
            if filed.blob_key != blob_key:
                self._condemn([blob_key], case_id)
            finish_instance(self._session, arrival_id, InstanceOutcome.FILED, case_id=filed.case_id)
            return
        states.check_open(case.status)
        rival = self._session.scalar(
            select(CaseImageRow).where(
                CaseImageRow.case_id == case_id,
                CaseImageRow.sop_instance_uid == instance.description.sop_instance_uid,
            )
        )
        if rival is not None and rival.arrival_id > arrival_id:
            self._condemn([blob_key], case_id)
            finish_instance(
                self._session, arrival_id, InstanceOutcome.SUPERSEDED, case_id=case_id, duplicate_of=rival.arrival_id
            )
            return
        if rival is not None:
            older = rival.arrival_id
            self.withdraw_image(older)
            finish_instance(self._session, older, InstanceOutcome.SUPERSEDED, duplicate_of=arrival_id)
        self._add_image(case, arrival_id, instance, blob_key)
        finish_instance(self._session, arrival_id, InstanceOutcome.FILED, case_id=case_id)

    def _add_image(self, case: CaseRow, arrival_id: str, instance: DeidentifiedInstance, blob_key: str) -> None:
        placement = build.place(instance)
        series_id = self._series(self._study(case, placement), placement)
        described, moment = instance.description, clock_now()
        self._session.execute(delete(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key))
        self._session.add(
            CaseImageRow(
                case_id=case.id,
                series_id=series_id,
                arrival_id=arrival_id,
                sop_instance_uid=described.sop_instance_uid,
                sop_class_uid=described.sop_class_uid,
                transfer_syntax_uid=described.transfer_syntax_uid,
                instance_number=described.instance_number,
                position=list(described.position) if described.position else None,
                orientation=list(described.orientation) if described.orientation else None,
                frames=described.frames,
                rows=described.rows,
                columns=described.columns,
                has_pixels=described.has_pixels,
                verdict=instance.screen.verdict,
                detector=instance.screen.detector,
                profile=instance.report.profile,
                profile_revision=instance.report.profile_revision,
                report={
                    "actions": [list(action) for action in instance.report.actions],
                    "options": list(instance.report.options),
                    "notes": list(instance.report.notes),
                },
                blob_key=blob_key,
                sha256=instance.sha256,
                size_bytes=instance.size_bytes,
                filed_at=moment,
            )
        )
        case.age_band = case.age_band or placement.age_band
        case.sex = case.sex or placement.sex
        case.updated_at = moment
        self._session.flush()

    def _study(self, case: CaseRow, placement: build.Placement) -> str:
        key = (
            CaseStudyRow.case_id == case.id,
            CaseStudyRow.study_instance_uid == placement.study_instance_uid,
            CaseStudyRow.modality == placement.modality,
        )
        found = self._session.scalar(select(CaseStudyRow).where(*key))
        if found is not None:
            found.study_day = found.study_day or placement.study_day
            found.description = found.description or placement.study_description
            return found.id
        highest = self._session.scalar(select(func.max(CaseStudyRow.position)).where(CaseStudyRow.case_id == case.id))
        row = CaseStudyRow(
            id=new_id(),
            case_id=case.id,
            study_instance_uid=placement.study_instance_uid,
            modality=placement.modality,
            position=build.FIRST_POSITION if highest is None else highest + 1,
            study_day=placement.study_day,
            description=placement.study_description,
        )
        self._session.add(row)
        self._session.flush()
        return row.id

    def _series(self, case_study_id: str, placement: build.Placement) -> str:
        found = self._session.scalar(
            select(CaseSeriesRow.id).where(
                CaseSeriesRow.case_study_id == case_study_id,
                CaseSeriesRow.series_instance_uid == placement.series_instance_uid,
            )
        )
        if found is not None:
            return found
        row = CaseSeriesRow(
            id=new_id(),
            case_study_id=case_study_id,
            series_instance_uid=placement.series_instance_uid,
            number=placement.series_number,
            perspective=placement.perspective,
            specifics=placement.specifics,
            body_part=placement.body_part,
            laterality=placement.laterality,
        )
        self._session.add(row)
        self._session.flush()
        return row.id

    def withdraw_image(self, arrival_id: str) -> list[str]:
        """Take a filed image out of its case again; its arrival has no outcome then.

        Returns
        -------
        list of str
            Keys of the blobs to delete after the commit. They are listed by ``condemned_blobs`` until forgotten.
        """
        image = self._session.scalar(select(CaseImageRow).where(CaseImageRow.arrival_id == arrival_id))
        if image is None:
            return []
        lock_case(self._session, image.case_id)
        keys, series_id, case_id = [image.blob_key], image.series_id, image.case_id
        self._session.delete(image)
        self._session.flush()
        self._remove_if_empty(series_id)
        self._condemn(keys, case_id)
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.arrival_id == arrival_id, ReceivedInstanceRow.outcome == InstanceOutcome.FILED)
            .values(outcome=InstanceOutcome.RECEIVED, finished_at=None)
        )
        return keys

    def _remove_if_empty(self, series_id: str) -> None:
        # A label or findings that somebody wrote keep their study; a study that never had any goes with its last image.
        study_id = self._session.scalar(
            delete(CaseSeriesRow)
            .where(CaseSeriesRow.id == series_id, ~exists().where(CaseImageRow.series_id == series_id))
            .returning(CaseSeriesRow.case_study_id)
        )
        if study_id is not None:
            self._session.execute(
                delete(CaseStudyRow).where(
                    CaseStudyRow.id == study_id,
                    CaseStudyRow.findings == "",
                    CaseStudyRow.caption == "",
                    ~exists().where(CaseSeriesRow.case_study_id == study_id),
                )
            )

    # -- closing the books -------------------------------------------------------------------------------------------

    def close_books(self, study_key: str) -> list[str]:
        """Remove the open draft of a study that turned out to hold nothing, unless somebody wrote into it.

        Returns
        -------
        list of str
            Keys of blobs of this study's cases that wait to be deleted.
        """
        lock_study(self._session, study_key)
        unfinished = exists().where(
            ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED
        )
        empty = self._session.scalars(
            select(CaseRow.id).where(
                CaseRow.received_study == study_key,
                CaseRow.status.in_(OPEN_STATUSES),
                ~unfinished,
                ~exists().where(CaseImageRow.case_id == CaseRow.id),
                ~exists().where(CaseStudyRow.case_id == CaseRow.id),
                ~exists().where(HoldRow.case_id == CaseRow.id, HoldRow.state == HoldState.OPEN),
                _is_untouched(),
            )
        ).all()
        for case_id in empty:
            self._delete_shell(lock_case(self._session, case_id))
        return list(
            self._session.scalars(
                select(CondemnedBlobRow.blob_key)
                .join(CaseRow, CaseRow.id == CondemnedBlobRow.case_id)
                .where(CaseRow.received_study == study_key)
            )
        )

    def _delete_shell(self, case: CaseRow) -> None:
        for table in (ReceivedInstanceRow, HoldRow):
            self._session.execute(update(table).where(table.case_id == case.id).values(case_id=None))
        self._session.execute(
            update(CaseRow).where(CaseRow.previous_case_id == case.id).values(previous_case_id=case.previous_case_id)
        )
        self._session.delete(case)
        self._session.flush()

    def condemned_blobs(self, limit: int = 1000) -> list[str]:
        """Return keys of blobs that no image refers to any more, the oldest first."""
        query = select(CondemnedBlobRow.blob_key).order_by(CondemnedBlobRow.condemned_at, CondemnedBlobRow.blob_key)
        return list(self._session.scalars(query.limit(limit)))

    def forget_blob(self, blob_key: str) -> None:
        """Keep no longer that a blob has to be deleted: it is."""
        self._session.execute(delete(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key))

    def _condemn(self, blob_keys: Iterable[str], case_id: str | None, moment: datetime | None = None) -> None:
        at = moment or clock_now()
        insert_or_nothing(
            self._session,
            CondemnedBlobRow,
            [{"blob_key": key, "case_id": case_id, "condemned_at": at} for key in blob_keys],
            ["blob_key"],
        )


def lock_case(session: Session, case_id: str) -> CaseRow:
    """Lock a case's row until the transaction ends.

    Raises
    ------
    CaseNotFoundError
        When there is none.
    """
    row = session.scalar(
        select(CaseRow)
        .where(CaseRow.id == case_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise CaseNotFoundError("there is no such case")
    return row


def _is_untouched() -> ColumnElement[bool]:
    return (CaseRow.title == "") & (CaseRow.presentation == "") & (CaseRow.discussion == "")
