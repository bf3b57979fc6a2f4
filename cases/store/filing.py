"""The machine's side of a case: file images into it and withdraw them; ``shells`` has the locks and the drafts."""

from typing import Any

from sqlalchemy import delete, exists, func, select, update

from cases import build, states
from cases.intake import InstanceOutcome
from cases.store.arrivals import finish_instance
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn, condemn_unused, condemned_blobs, forget_blob, spare_no_longer
from cases.store.crosswalk import Crosswalk
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.manifests import Manifests
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    CondemnedBlobRow,
    ReceivedInstanceRow,
    new_id,
)
from cases.store.shells import Shells, lock_case
from deidentify.results import DeidentifiedInstance, IdentifierHashes


class Filing(Shells):
    """What the pipeline does to cases; every call may be repeated after a crash."""

    def file(
        self,
        case_id: str,
        arrival_id: str,
        instance: DeidentifiedInstance,
        blob_key: str,
        identifiers: IdentifierHashes | None = None,
    ) -> None:
        """File a de-identified instance as an image of a case, and close the books on its arrival.

        Doing it again changes nothing, and what was dropped meanwhile stays out. Where two arrivals give the same SOP
        Instance, the newer one wins.

        Parameters
        ----------
        case_id
            The case.
        arrival_id
            The arrival.
        instance
            What de-identification made of it.
        blob_key
            Where that lies.
        identifiers
            Hashes of what its original said of whom, for the text screen; None where nobody made them.

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
                condemn(self._session, [blob_key], case_id)
            finish_instance(self._session, arrival_id, InstanceOutcome.FILED, case_id=filed.case_id)
            return
        states.check_open(case.status)
        if self._is_dropped(arrival_id):
            condemn(self._session, [blob_key], case_id)
            return
        self._file_into(case, arrival_id, instance, blob_key, identifiers)

    def _file_into(
        self,
        case: CaseRow,
        arrival_id: str,
        instance: DeidentifiedInstance,
        blob_key: str,
        identifiers: IdentifierHashes | None,
    ) -> None:
        case_id = case.id
        rival = self._rival(case_id, arrival_id, instance)
        if rival is not None and rival.arrival_id > arrival_id:
            condemn(self._session, [blob_key], case_id)
            finish_instance(
                self._session, arrival_id, InstanceOutcome.SUPERSEDED, case_id=case_id, duplicate_of=rival.arrival_id
            )
            return
        if rival is not None:
            older = rival.arrival_id
            self.withdraw_image(older)
            finish_instance(self._session, older, InstanceOutcome.SUPERSEDED, duplicate_of=arrival_id)
        is_kept = identifiers is not None and HashesOfIdentifiers(self._session).add(case_id, identifiers)
        self._add_image(case, arrival_id, instance, blob_key, identifiers_kept=is_kept)
        finish_instance(self._session, arrival_id, InstanceOutcome.FILED, case_id=case_id)

    def _rival(self, case_id: str, arrival_id: str, instance: DeidentifiedInstance) -> CaseImageRow | None:
        """Return the image that stands for the same original; under another change of the pixels its UID is another."""
        same_uid = {instance.description.sop_instance_uid, instance.uid_of_original} - {""}
        arrived = self._session.get(ReceivedInstanceRow, arrival_id)
        query = select(CaseImageRow).where(CaseImageRow.case_id == case_id)
        rival = self._session.scalar(query.where(CaseImageRow.sop_instance_uid.in_(same_uid)))
        if rival is not None or arrived is None:
            return rival
        return self._session.scalar(
            query.join(ReceivedInstanceRow, ReceivedInstanceRow.arrival_id == CaseImageRow.arrival_id).where(
                ReceivedInstanceRow.received_study == arrived.received_study,
                ReceivedInstanceRow.sop_key == arrived.sop_key,
            )
        )

    def _is_dropped(self, arrival_id: str) -> bool:
        """Say whether an instance was dropped while it was worked on: its patient was erased."""
        arrived = self._session.get(
            ReceivedInstanceRow, arrival_id, with_for_update={"key_share": True}, populate_existing=True
        )
        return arrived is not None and arrived.outcome is InstanceOutcome.DROPPED

    def _add_image(
        self,
        case: CaseRow,
        arrival_id: str,
        instance: DeidentifiedInstance,
        blob_key: str,
        *,
        identifiers_kept: bool,
    ) -> None:
        placement = build.place(instance)
        series_id = self._series(self._study(case, placement), placement)
        moment = clock_now()
        self._session.execute(delete(CondemnedBlobRow).where(CondemnedBlobRow.blob_key == blob_key))
        row = CaseImageRow(
            case_id=case.id,
            series_id=series_id,
            arrival_id=arrival_id,
            blob_key=blob_key,
            identifiers_kept=identifiers_kept,
            filed_at=moment,
            **image_columns(instance),
        )
        Manifests(self._session).mark_image(row, arrival_id)
        self._session.add(row)
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
        HashesOfIdentifiers(self._session).forget_without_images(case_id)
        Crosswalk(self._session).forget_without_images(case_id)
        condemn(self._session, keys, case_id)
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

    # -- blobs that have to go ----------------------------------------------------------------------------------------

    def condemned_blobs(self, limit: int = 1000, *, has_spared: bool = False) -> list[str]:
        """Return keys of blobs that nothing refers to any more, the oldest first.

        ``has_spared``: whether those are among them that somebody may still come back for.
        """
        return list(condemned_blobs(self._session, limit, has_spared=has_spared))

    def condemn_blob(self, blob_key: str, case_id: str | None = None) -> None:
        """Keep that a blob has to be deleted which no image got to refer to: its case was closed meanwhile.

        Nothing when an image refers to it after all.
        """
        condemn_unused(self._session, [blob_key], case_id)

    def give_up_blob(self, blob_key: str) -> bool:
        """Keep that a blob which was condemned for later may be deleted at once: nobody will refer to it.

        Returns
        -------
        bool
            False where something refers to it after all.
        """
        return spare_no_longer(self._session, blob_key)

    def forget_blob(self, blob_key: str) -> None:
        """Keep no longer that a blob has to be deleted: it is."""
        forget_blob(self._session, blob_key)


def image_columns(instance: DeidentifiedInstance) -> dict[str, Any]:
    """Return the columns of an image that say what de-identification made of it."""
    described, report = build.storable(instance.description), instance.report
    return {
        "sop_instance_uid": described.sop_instance_uid,
        "sop_class_uid": described.sop_class_uid,
        "transfer_syntax_uid": described.transfer_syntax_uid,
        "instance_number": described.instance_number,
        "position": list(described.position) if described.position else None,
        "orientation": list(described.orientation) if described.orientation else None,
        "frames": described.frames,
        "rows": described.rows,
        "columns": described.columns,
        "has_pixels": described.has_pixels,
        "verdict": instance.screen.verdict,
        "detector": instance.screen.detector,
        "profile": report.profile,
        "profile_revision": report.profile_revision,
        "report": {
            "actions": [list(action) for action in report.actions],
            "options": list(report.options),
            "notes": list(report.notes),
            "removed_text": [[one.place, one.word, one.reason] for one in report.removed_text],
            "redacted": [[box.frame, box.x, box.y, box.width, box.height] for box in instance.screen.boxes],
            "uid_of_original": instance.uid_of_original,
            "face": instance.face,
            "references": list(instance.references),
        },
        "sha256": instance.sha256,
        "size_bytes": instance.size_bytes,
    }
