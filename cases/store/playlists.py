"""Playlists as people use them. What a case does to them when it leaves the public is in ``collections``."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from cases.changes import PRESENTATION_MAX, TITLE_MAX
from cases.errors import (
    CaseNotFoundError,
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    VersionConflictError,
)
from cases.model import CaseStatus, Page, Visibility
from cases.playlists import (
    ENTRIES_MAX,
    NOTE_MAX,
    NewEntry,
    Playlist,
    PlaylistChanges,
    PlaylistEntry,
    PlaylistScope,
    PlaylistSummary,
    may_hold,
)
from cases.store import views
from cases.store.account_rows import UserRow
from cases.store.clock import now as clock_now
from cases.store.collection_rows import PlaylistEntryRow, PlaylistRow
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import CaseRow
from cases.text_screen import OF_NO_CASE, TextScreen, check_texts
from cases.users import Role, User

_RULE = "a public playlist holds public cases, an unlisted one also unlisted cases of your own"


class Playlists:
    """Cases in an order that somebody chose.

    Locks are taken in one order: cases, then the playlist. A case that leaves the public takes them so as well.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(
        self,
        viewer: User,
        *,
        scope: PlaylistScope = PlaylistScope.VISIBLE,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[PlaylistSummary]:
        """Return the viewer's own playlists and public ones, the newest first."""
        size = checked_limit(limit)
        mine, public = PlaylistRow.owner_id == viewer.id, PlaylistRow.visibility == Visibility.PUBLIC
        wanted = {PlaylistScope.MINE: mine, PlaylistScope.PUBLIC: public}.get(scope, or_(mine, public))
        query = select(PlaylistRow).where(wanted)
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            before = and_(PlaylistRow.created_at == at, PlaylistRow.id < row_id)
            query = query.where(or_(PlaylistRow.created_at < at, before))
        newest = query.order_by(PlaylistRow.created_at.desc(), PlaylistRow.id.desc())
        rows = self._session.scalars(newest.limit(size + 1)).all()
        shown = rows[:size]
        return Page(
            items=self._summaries(viewer, shown),
            next_cursor=encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > size else None,
        )

    def get(self, viewer: User, playlist_id: str) -> Playlist:
        """Return a playlist with those of its cases that the viewer may see.

        An unlisted one is read by whoever knows its id, which nobody guesses.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        row = self._session.get(PlaylistRow, playlist_id)
        if row is None:
            raise CaseNotFoundError("there is no such playlist")
        return self._whole(viewer, row)

    def holds(self, viewer: User, playlist_id: str, case_id: str) -> bool:
        """Return whether a playlist shows this case to the viewer; false where there is no such playlist."""
        query = select(PlaylistEntryRow.case_id).join(PlaylistRow).join(CaseRow)
        wanted = (PlaylistRow.id == playlist_id) & (CaseRow.id == case_id) & _shown_to(viewer)
        return self._session.scalar(query.where(wanted)) is not None

    def make(self, viewer: User, new: PlaylistChanges, screen: TextScreen) -> Playlist:
        """Make a playlist of the viewer's: unlisted and no quiz where the change does not say otherwise.

        Raises
        ------
        InvalidChangeError
            When it has no title, or a text or case does not fit.
        IdentifyingTextError
            When a text could identify somebody.
        """
        if not new.title:
            raise InvalidChangeError("a playlist needs a title")
        check_texts(screen, new.typed(), OF_NO_CASE)
        now = clock_now()
        row = PlaylistRow(owner_id=viewer.id, title="", description="", visibility=Visibility.UNLISTED, is_quiz=False)
        row.created_at, row.updated_at, row.version = now, now, 0
        cases = self._lock_cases(entry.case_id for entry in new.entries or ())
        self._session.add(row)
        self._session.flush()
        return self._changed(viewer, row, new, cases)

    def edit(
        self, viewer: User, playlist_id: str, changes: PlaylistChanges, version: int | None, screen: TextScreen
    ) -> Playlist:
        """Change a playlist; entries that are given replace all that there were.

        Parameters
        ----------
        version : int or None
            The version that the change was made on, None where its author does not mind.
        screen : TextScreen
            Looks through every text of the change.

        Raises
        ------
        CaseNotFoundError
            When there is no such playlist.
        NotAllowedError
            When it is somebody else's.
        VersionConflictError
            When somebody changed it since.
        InvalidChangeError
            When a text is too long, or a case cannot be held.
        InvalidTransitionError
            When it would become public with cases that are not.
        IdentifyingTextError
            When a text could identify somebody.
        """
        wanted = [entry.case_id for entry in changes.entries or ()]
        cases = self._lock_cases([*wanted, *(entry.case_id for entry in self._entries(playlist_id))])
        row = self._locked(playlist_id)
        if row.owner_id != viewer.id:
            raise NotAllowedError("only its owner may change a playlist")
        check_texts(screen, changes.typed(), OF_NO_CASE)
        is_stale = version is not None and row.version != version
        if is_stale or any(entry.case_id not in cases for entry in self._entries(playlist_id)):
            raise VersionConflictError("the playlist was changed since it was read: read it again, then repeat")
        return self._changed(viewer, row, changes, cases)

    def delete(self, viewer: User, playlist_id: str) -> None:
        """Delete a playlist; its cases stay.

        Raises
        ------
        CaseNotFoundError
            When there is no such playlist.
        NotAllowedError
            When it is somebody else's, and the viewer no editor.
        """
        row = self._locked(playlist_id)
        if row.owner_id != viewer.id and viewer.role not in {Role.EDITOR, Role.ADMIN}:
            raise NotAllowedError("only its owner or an editor may delete a playlist")
        self._session.execute(delete(PlaylistEntryRow).where(PlaylistEntryRow.playlist_id == playlist_id))
        self._session.delete(row)
        self._session.flush()

    def _changed(
        self,
        viewer: User,
        row: PlaylistRow,
        changes: PlaylistChanges,
        cases: Mapping[str, CaseRow],
    ) -> Playlist:
        row.title = _checked("title", changes.title, row.title, TITLE_MAX)
        row.description = _checked("description", changes.description, row.description, PRESENTATION_MAX)
        row.visibility = changes.visibility or row.visibility
        row.is_quiz = row.is_quiz if changes.is_quiz is None else changes.is_quiz
        if changes.entries is not None:
            self._replace(row, changes.entries, cases)
        elif odd := sum(not _holds(row, cases[entry.case_id]) for entry in self._entries(row.id)):
            raise InvalidTransitionError(f"{_RULE}: take {odd} case(s) out of it first, then make it public")
        row.version += 1
        row.updated_at = clock_now()
        self._session.flush()
        return self._whole(viewer, row)

    def _replace(self, row: PlaylistRow, entries: Sequence[NewEntry], cases: Mapping[str, CaseRow]) -> None:
        if len(entries) > ENTRIES_MAX or len({entry.case_id for entry in entries}) < len(entries):
            raise InvalidChangeError(f"a playlist holds at most {ENTRIES_MAX} cases, each of them once")
        for number, entry in enumerate(entries, 1):
            case = cases.get(entry.case_id)
            # One sentence for what is not there and what may not be told of.
            if case is None or not _holds(row, case):
                raise InvalidChangeError(f"case {number} of the list cannot be held: {_RULE}")
            _checked("note", entry.note, "", NOTE_MAX)
        self._session.execute(delete(PlaylistEntryRow).where(PlaylistEntryRow.playlist_id == row.id))
        self._session.add_all(
            PlaylistEntryRow(playlist_id=row.id, case_id=entry.case_id, position=position, note=entry.note)
            for position, entry in enumerate(entries)
        )

    def _lock_cases(self, ids: Iterable[str]) -> dict[str, CaseRow]:
        """Lock cases against leaving the public, until the transaction ends; those that are not there are left out."""
        query = select(CaseRow).where(CaseRow.id.in_(sorted(set(ids)))).order_by(CaseRow.id)
        locked = query.with_for_update(read=True).execution_options(populate_existing=True)
        return {row.id: row for row in self._session.scalars(locked)}

    def _locked(self, playlist_id: str) -> PlaylistRow:
        row = self._session.get(PlaylistRow, playlist_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise CaseNotFoundError("there is no such playlist")
        return row

    def _entries(self, playlist_id: str) -> Sequence[PlaylistEntryRow]:
        query = select(PlaylistEntryRow).where(PlaylistEntryRow.playlist_id == playlist_id)
        return self._session.scalars(query.order_by(PlaylistEntryRow.position, PlaylistEntryRow.case_id)).all()

    def _whole(self, viewer: User, row: PlaylistRow) -> Playlist:
        query = select(CaseRow, PlaylistEntryRow.note).join(PlaylistEntryRow).join(PlaylistRow)
        shown = query.where(PlaylistRow.id == row.id, _shown_to(viewer))
        found = self._session.execute(shown.order_by(PlaylistEntryRow.position, CaseRow.id)).all()
        cases = views.summaries(self._session, [case for case, _ in found])
        [summary] = self._summaries(viewer, [row])
        entries = (PlaylistEntry(case=case, note=note) for case, (_, note) in zip(cases, found, strict=True))
        return Playlist(summary=summary, entries=tuple(entries))

    def _summaries(self, viewer: User, rows: Sequence[PlaylistRow]) -> tuple[PlaylistSummary, ...]:
        ids = [row.id for row in rows]
        owner_ids = {row.owner_id for row in rows}
        owners = {
            user.id: user.name for user in self._session.scalars(select(UserRow).where(UserRow.id.in_(owner_ids)))
        }
        query = select(PlaylistRow.id, func.count()).join(PlaylistEntryRow).join(CaseRow)
        counted = query.where(PlaylistRow.id.in_(ids), _shown_to(viewer)).group_by(PlaylistRow.id)
        counts = {playlist_id: count for playlist_id, count in self._session.execute(counted)}  # noqa: C416 - rows
        return tuple(
            PlaylistSummary(
                id=row.id,
                owner=owners[row.owner_id],
                title=row.title,
                description=row.description,
                visibility=row.visibility,
                is_quiz=row.is_quiz,
                entries=counts.get(row.id, 0),
                created_at=row.created_at,
                updated_at=row.updated_at,
                version=row.version,
            )
            for row in rows
        )


def _shown_to(viewer: User) -> ColumnElement[bool]:
    """Return which cases of a playlist a viewer is shown: what it may hold, as far as the viewer may see that.

    The first half says again what ``Collections`` keeps true: a case that left the public is not shown, even where
    somebody forgot to take it out.
    """
    unlisted = (PlaylistRow.visibility == Visibility.UNLISTED) & (CaseRow.owner_id == PlaylistRow.owner_id)
    if not viewer.sees_all:
        unlisted &= CaseRow.owner_id == viewer.id
    return (CaseRow.status == CaseStatus.PUBLISHED) & ((CaseRow.visibility == Visibility.PUBLIC) | unlisted)


def _holds(row: PlaylistRow, case: CaseRow) -> bool:
    return may_hold(
        row.visibility,
        row.owner_id,
        case_owner_id=case.owner_id,
        status=case.status,
        case_visibility=case.visibility,
    )


def _checked(name: str, new: str | None, old: str, longest: int) -> str:
    if new is None:
        return old
    if len(new) > longest:
        raise InvalidChangeError(f"{name} is {len(new)} characters long; at most {longest} are allowed")
    return new
