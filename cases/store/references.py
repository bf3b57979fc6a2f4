"""References between the images of a case: where the pixels of one changed, it has another UID, and others follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cases.errands import ErrandState
from cases.model import OPEN_STATUSES
from cases.references import Stale
from cases.reruns import StagedInstance
from cases.store.condemned import condemn, condemn_unused
from cases.store.errand_rows import ErrandRow, StagedInstanceRow, StagedReferenceRow
from cases.store.errands import Errands
from cases.store.rows import CaseImageRow, CaseRow, ReceivedInstanceRow
from cases.store.staged import staged_of
from deidentify.results import DeidentifiedInstance

_FOLLOWED = "followed"
"""Of the report of an image: what it refers to now and the UID that it was written with. An image may be taken out and
come back under a third UID, when nothing else remembers the second."""


class References:
    """What images of the open cases of a study refer to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stale(self, received_study: str) -> Sequence[Stale]:
        """Return images that refer to an image of their case by a UID that it has no more.

        Cases that others may see are left alone: what they hold is changed by an editor only, with a re-run that brings
        its references along.
        """
        cases = self._session.scalars(
            select(CaseRow.id)
            .join(CaseImageRow, CaseImageRow.case_id == CaseRow.id)
            .join(ReceivedInstanceRow, ReceivedInstanceRow.arrival_id == CaseImageRow.arrival_id)
            .where(ReceivedInstanceRow.received_study == received_study, CaseRow.status.in_(OPEN_STATUSES))
            .distinct()
        ).all()
        return [stale for case_id in sorted(cases) for stale in self._of_case(case_id)]

    def _of_case(self, case_id: str) -> list[Stale]:
        return _stale(case_id, [_as_it_is(row) for row in self._rows(case_id)])

    def _rows(self, case_id: str) -> Sequence[CaseImageRow]:
        return self._session.scalars(select(CaseImageRow).where(CaseImageRow.case_id == case_id)).all()

    # -- with a re-run ------------------------------------------------------------------------------------------------

    def stale_with(self, errand_id: str) -> list[Stale]:
        """Return images that will refer to others by UIDs that these have no more, once a re-run is brought in."""
        case_id = self._session.get_one(ErrandRow, errand_id).case_id or ""
        of_errand = select(StagedInstanceRow).where(StagedInstanceRow.errand_id == errand_id)
        staged = {one.arrival_id: one for one in map(staged_of, self._session.scalars(of_errand))}
        images = {row.arrival_id: row for row in self._rows(case_id)}
        # What is held or left out then is none of its images any more.
        stays = [row for key, row in images.items() if key not in staged or staged[key].keeps_image]
        known = [_as_it_is(row) for row in stays]
        known += [
            _as_it_will_be(one, one.outcome, images.get(key))
            for key, one in staged.items()
            if isinstance(one.outcome, DeidentifiedInstance)
        ]
        query = select(StagedReferenceRow.arrival_id).where(StagedReferenceRow.errand_id == errand_id)
        done = set(self._session.scalars(query))
        return [one for one in _stale(case_id, known) if one.arrival_id not in done]

    def stage(self, errand_id: str, stale: Stale, *, blob_key: str, sha256: str, size_bytes: int) -> bool:
        """Keep a blob in which references follow; return False where nobody wants it any more."""
        errand = Errands(self._session).locked(errand_id)
        if errand.state is not ErrandState.RUNNING:
            condemn_unused(self._session, [blob_key], stale.case_id)
            return False
        self._session.add(
            StagedReferenceRow(
                errand_id=errand_id,
                arrival_id=stale.arrival_id,
                before=stale.blob_key,
                blob_key=blob_key,
                sha256=sha256,
                size_bytes=size_bytes,
                uids=dict(stale.uids),
            )
        )
        self._session.flush()
        return True

    def staged(self, errand_id: str) -> int:
        """Return in how many images references follow with a re-run."""
        query = select(func.count()).where(StagedReferenceRow.errand_id == errand_id)
        return self._session.scalar(query) or 0

    def bring_in(self, errand_id: str, case_id: str) -> int:
        """Let references follow with a re-run that was brought into its case just now; return in how many images.

        One whose image, or what that refers to, is another by now stays as it is.
        """
        there = {row.sop_instance_uid for row in self._rows(case_id)}
        blobs = {row.arrival_id: row.blob_key for row in self._rows(case_id)}
        query = select(StagedReferenceRow).where(StagedReferenceRow.errand_id == errand_id)
        followed = 0
        for row in self._session.scalars(query.order_by(StagedReferenceRow.arrival_id)).all():
            if blobs.get(row.arrival_id) != row.before or not there.issuperset(row.uids.values()):
                continue  # its blob goes with what was staged
            stale = Stale(case_id=case_id, arrival_id=row.arrival_id, blob_key=row.before, uids=row.uids)
            self.follow(stale, blob_key=row.blob_key, sha256=row.sha256, size_bytes=row.size_bytes)
            followed += 1
        return followed

    def follow(self, stale: Stale, *, blob_key: str, sha256: str, size_bytes: int) -> None:
        """Let an image be the blob in which its references follow; the blob is condemned where the image changed."""
        image = self._session.scalar(
            select(CaseImageRow)
            .where(CaseImageRow.arrival_id == stale.arrival_id, CaseImageRow.blob_key == stale.blob_key)
            .with_for_update(key_share=True)
        )
        if image is None:
            condemn(self._session, [blob_key], stale.case_id)
            return
        report: dict[str, Any] = dict(image.report)
        first = {uid: report.get(_FOLLOWED, {}).get(uid, uid) for uid in report.get("references", ())}
        moved = {stale.uids.get(uid, uid): before for uid, before in first.items()}
        report[_FOLLOWED] = {uid: before for uid, before in moved.items() if uid != before}
        report["references"] = [stale.uids.get(uid, uid) for uid in report.get("references", ())]
        image.report, image.blob_key, image.sha256, image.size_bytes = report, blob_key, sha256, size_bytes
        self._session.flush()
        condemn(self._session, [stale.blob_key], stale.case_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image of a case, as it is or as it will be."""

    arrival_id: str
    blob_key: str
    uid: str
    earlier: tuple[str, ...]
    """UIDs that it had or would have had."""
    references: tuple[str, ...]
    followed: Mapping[str, str]


def _as_it_is(row: CaseImageRow) -> _Image:
    report = row.report
    return _Image(
        arrival_id=row.arrival_id,
        blob_key=row.blob_key,
        uid=row.sop_instance_uid,
        earlier=(report.get("uid_of_original", ""), *report.get("uids_before", ())),
        references=tuple(report.get("references", ())),
        followed=report.get(_FOLLOWED, {}),
    )


def _as_it_will_be(one: StagedInstance, made: DeidentifiedInstance, image: CaseImageRow | None) -> _Image:
    if image is not None and image.sha256 == made.sha256:
        return _as_it_is(image)
    before = (image.sop_instance_uid, *image.report.get("uids_before", ())) if image is not None else ()
    return _Image(
        arrival_id=one.arrival_id,
        blob_key=one.blob_key,
        uid=made.description.sop_instance_uid,
        earlier=(made.uid_of_original, *before),
        references=made.references,
        followed={},
    )


def _stale(case_id: str, images: Sequence[_Image]) -> list[Stale]:
    names = {uid: image.uid for image in images for uid in image.earlier if uid}
    names |= {image.uid: image.uid for image in images}
    found = []
    for image in images:
        now = {uid: names.get(uid) or names.get(image.followed.get(uid, uid), uid) for uid in image.references}
        uids = {uid: after for uid, after in now.items() if after != uid}
        if uids:
            found.append(Stale(case_id=case_id, arrival_id=image.arrival_id, blob_key=image.blob_key, uids=uids))
    return found
