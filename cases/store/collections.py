"""What follows when a case enters the public or leaves it: one place that every transition calls."""

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from cases.model import CaseStatus, Visibility
from cases.states import is_public
from cases.store.clock import now as clock_now
from cases.store.collection_rows import FeaturedCaseRow, PlaylistEntryRow, PlaylistRow, ShareLinkRow
from cases.store.rows import CaseRow


class Collections:
    """Keeps playlists, featured cases and links true to who may see a case. Every call may be repeated.

    Locks are taken behind that of the case: whoever puts a case somewhere locks the case first.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def enter_public(self, case_id: str) -> None:
        """Keep when a case became public for the first time; call it when it has.

        The case of a month is picked by that.
        """
        self._session.flush()
        first = (CaseRow.id == case_id) & CaseRow.first_public_at.is_(None)
        self._session.execute(update(CaseRow).where(first).values(first_public_at=clock_now()))

    def leave_public(self, case_id: str) -> None:
        """Take a case out of everything that it may no longer be in; call it when its state has changed.

        - No longer public: it leaves the featured cases, public playlists, and playlists of others.
        - No longer published: it leaves its owner's unlisted playlists too, and its links end.
        - Removed: its links are deleted, since their labels may tell of it.

        A case that is public is left where it is.
        """
        self._session.flush()
        case = self._session.get(CaseRow, case_id, populate_existing=True)
        if case is None or is_public(case.status, case.visibility):
            return
        self._session.execute(delete(FeaturedCaseRow).where(FeaturedCaseRow.case_id == case_id))
        self._leave_playlists(case)
        if case.status == CaseStatus.REMOVED:
            self._session.execute(delete(ShareLinkRow).where(ShareLinkRow.case_id == case_id))
        elif case.status != CaseStatus.PUBLISHED:
            end_links(self._session, case_id)
        self._session.flush()

    def _leave_playlists(self, case: CaseRow) -> None:
        query = (
            select(PlaylistRow)
            .join(PlaylistEntryRow, PlaylistEntryRow.playlist_id == PlaylistRow.id)
            .where(PlaylistEntryRow.case_id == case.id)
        )
        if case.status == CaseStatus.PUBLISHED:
            of_owner = (PlaylistRow.owner_id == case.owner_id) & (PlaylistRow.visibility == Visibility.UNLISTED)
            query = query.where(~of_owner)
        left = self._session.scalars(query.order_by(PlaylistRow.id).with_for_update(of=PlaylistRow)).all()
        for playlist in left:
            playlist.version += 1
            playlist.updated_at = clock_now()
        self._session.execute(
            delete(PlaylistEntryRow).where(
                PlaylistEntryRow.case_id == case.id, PlaylistEntryRow.playlist_id.in_([one.id for one in left])
            )
        )


def end_links(session: Session, case_id: str) -> int:
    """End the links of a case that count still; return how many did."""
    now = clock_now()
    ended = session.scalars(
        update(ShareLinkRow)
        .where(ShareLinkRow.case_id == case_id, ShareLinkRow.revoked_at.is_(None), ShareLinkRow.expires_at > now)
        .values(revoked_at=now)
        .returning(ShareLinkRow.id)
    ).all()
    return len(ended)
