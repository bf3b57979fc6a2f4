"""References between the images of a case: where the pixels of one changed, it has another UID, and others follow."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.model import OPEN_STATUSES
from cases.references import Stale
from cases.store.condemned import condemn
from cases.store.rows import CaseImageRow, CaseRow, ReceivedInstanceRow
from deidentify.results import PixelVerdict

_FOLLOWED = "followed"
"""Of the report of an image: what it refers to now and the UID that it was written with. An image may be taken out and
come back under a third UID, when nothing else remembers the second."""


class References:
    """What images of the open cases of a study refer to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stale(self, received_study: str) -> Sequence[Stale]:
        """Return images that refer to an image of their case by a UID that it has no more.

        Cases that others may see are left alone: what they hold is changed by an editor only.
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
        rows = self._session.execute(
            select(
                CaseImageRow.arrival_id,
                CaseImageRow.blob_key,
                CaseImageRow.sop_instance_uid,
                CaseImageRow.verdict,
                CaseImageRow.report,
            ).where(CaseImageRow.case_id == case_id)
        ).all()
        if not any(
            row.verdict is PixelVerdict.REDACT or row.report.get("uids_before") or row.report.get(_FOLLOWED)
            for row in rows
        ):
            return []
        names: dict[str, str] = {}
        for row in rows:
            earlier = [row.report.get("uid_of_original", ""), *row.report.get("uids_before", ())]
            names |= {uid: row.sop_instance_uid for uid in earlier if uid}
        names |= {row.sop_instance_uid: row.sop_instance_uid for row in rows}
        found = []
        for row in rows:
            uids = _stale_uids(row.report, names)
            if uids:
                found.append(Stale(case_id=case_id, arrival_id=row.arrival_id, blob_key=row.blob_key, uids=uids))
        return found

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


def _stale_uids(report: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return what an image refers to by a UID of before, with the one of now; ``names`` has the UIDs of its case."""
    followed = report.get(_FOLLOWED, {})
    now = {uid: names.get(uid) or names.get(followed.get(uid, uid), uid) for uid in report.get("references", ())}
    return {uid: after for uid, after in now.items() if after != uid}
