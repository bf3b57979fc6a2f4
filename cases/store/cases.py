"""Cases as people use them: list, read, edit, claim, remove. The machine's side is in ``filing``."""

import builtins

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from cases import states
from cases.changes import CaseChanges
from cases.errors import CaseNotFoundError, NotReadyError, VersionConflictError
from cases.model import (
    CaseDetail,
    CaseFilter,
    CaseImage,
    CaseScope,
    CaseStanding,
    CaseStatus,
    CaseSummary,
    Page,
    Visibility,
)
from cases.store import queries, views
from cases.store.account_rows import UserRow
from cases.store.accounts import draft_count, lock_user
from cases.store.clock import now as clock_now
from cases.store.editing import change_case
from cases.store.emptying import Emptying
from cases.store.history import note
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.moderation import faults_of
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import CaseImageRow, CaseRow, CaseStudyRow
from cases.store.shells import lock_case
from cases.text_screen import TextScreen, check_typed
from cases.users import User

_NO_FILTER = CaseFilter()
_OWNER = select(UserRow.name).where(UserRow.id == bindparam("id"))


class Cases(Emptying):
    """Teaching cases."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)

    def list(
        self, viewer: User, *, cursor: str | None = None, limit: int = 50, filters: CaseFilter = _NO_FILTER
    ) -> Page[CaseSummary]:
        """Return the cases that a viewer may see, the newest first; removed ones only when asked for."""
        size = checked_limit(limit)
        named = select(*queries.LISTED, UserRow.name.label("owner_name"))
        query = named.outerjoin(UserRow, UserRow.id == CaseRow.owner_id).where(_in_scope(viewer, filters))
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            query = query.where(or_(CaseRow.created_at < at, and_(CaseRow.created_at == at, CaseRow.id < row_id)))
        rows = self._session.execute(query.order_by(CaseRow.created_at.desc(), CaseRow.id.desc()).limit(size + 1)).all()
        shown = rows[:size]
        return Page(
            items=views.summaries(self._session, shown, {row.owner_id: row.owner_name for row in shown}),
            next_cursor=encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > size else None,
        )

    def get(self, viewer: User, case_id: str) -> CaseDetail:
        """Return a case with its studies, series and images.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        return views.detail(self._session, self._visible(viewer, case_id))

    def get_public(self, viewer: User, case_id: str) -> CaseDetail:
        """Return a case with all that anybody may be shown of it: what is for few is neither read nor told.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        return views.public_detail(self._session, self._visible(viewer, case_id))

    def standing(self, viewer: User, case_id: str) -> CaseStanding:
        """Return what decides who may do what with a case.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        row = self._visible(viewer, case_id)
        owner = self._session.scalar(_OWNER, {"id": row.owner_id}) if row.owner_id else None
        return CaseStanding(status=row.status, visibility=row.visibility, owner=owner, version=row.version)

    def image(self, viewer: User, case_id: str, image_id: str) -> CaseImage:
        """Return one image of a case.

        Raises
        ------
        CaseNotFoundError
            When there is no such image in a case that the viewer may see.
        """
        self._visible(viewer, case_id)
        row = self._session.get(CaseImageRow, image_id)
        if row is None or row.case_id != case_id:
            raise CaseNotFoundError("there is no such image")
        return views.image_value(row)

    def patch(self, viewer: User, case_id: str, changes: CaseChanges, version: int, screen: TextScreen) -> CaseDetail:
        """Change the fields of a draft; this is where typed text enters.

        Parameters
        ----------
        version : int
            The version that the change was made on.
        screen : TextScreen
            Looks through every text of the change.

        Raises
        ------
        CaseNotFoundError
            When there is no case that the viewer may see.
        NotAllowedError
            When the viewer is neither the owner nor an editor.
        InvalidTransitionError
            When the case is not a draft.
        VersionConflictError
            When somebody changed the case since.
        InvalidChangeError
            When a text is too long, or a study is not of this case.
        IdentifyingTextError
            When a text could identify somebody.
        NotReadyError
            When others see the case, and it would lack something that it needs for that.
        """
        case = self._locked(viewer, case_id)
        states.check_editable(viewer, case.owner_id, case.status, case.visibility)
        if case.version != version:
            raise VersionConflictError("the case was changed since it was read: read it again, then repeat the change")
        change_case(self._session, case, changes)
        check_typed(screen, changes, HashesOfIdentifiers(self._session).known(case))
        # Who may edit what is public may also say that it stays so.
        is_approved = case.approved_version == case.version and case.visibility == Visibility.PUBLIC
        case.version += 1
        case.updated_at = clock_now()
        if is_approved:
            case.approved_version = case.version
        self._session.flush()
        detail = views.detail(self._session, case)
        if states.is_shown_to_others(case.status):
            owner = self._session.get(UserRow, case.owner_id) if case.owner_id else None
            if lacks := faults_of(self._session, screen, case, detail, owner, case.visibility):
                raise NotReadyError(lacks)
        return detail

    def claim(self, viewer: User, case_id: str) -> CaseDetail:
        """Give a draft of the inbox to the viewer.

        Raises
        ------
        CaseNotFoundError
            When there is no case that the viewer may see.
        AlreadyClaimedError
            When somebody was faster.
        DraftLimitError
            When the viewer's drafts are full.
        """
        self._visible(viewer, case_id, is_claim=True)
        claimer = lock_user(self._session, viewer.id)
        case = lock_case(self._session, case_id)
        facts = states.Facts(
            has_owner=case.owner_id is not None,
            drafts=draft_count(self._session, claimer.id),
            draft_limit=claimer.draft_limit,
        )
        case.status = states.decide(states.Action.CLAIM, case.status, states.actors_of(viewer, case.owner_id), facts)
        case.owner_id = claimer.id
        note(self._session, case, viewer.name, states.Action.CLAIM, case.status)
        case.version += 1
        case.updated_at = clock_now()
        self._session.flush()
        return views.detail(self._session, case)

    def remove(self, viewer: User, case_id: str) -> builtins.list[str]:
        """Remove a case, whatever its state: its images and holds go, a tombstone stays, its place is free.

        Returns
        -------
        list of str
            Keys of the blobs to delete after the commit; ``condemned_blobs`` lists them until they are forgotten.

        Raises
        ------
        CaseNotFoundError
            When there is no case that the viewer may see.
        InvalidTransitionError
            When the case is removed already.
        """
        case = self._locked(viewer, case_id)
        source = case.status
        case.status = states.decide(
            states.Action.REMOVE, source, states.actors_of(viewer, case.owner_id), states.Facts()
        )
        keys = self._empty(case)
        note(self._session, case, viewer.name, states.Action.REMOVE, source)
        return keys

    def _visible(self, viewer: User, case_id: str, *, is_claim: bool = False) -> CaseRow:
        row = self._session.get(CaseRow, case_id)
        if row is None:
            raise CaseNotFoundError("there is no such case")
        # Whoever lost the race for a draft of the inbox is told so, and learns nothing else.
        lost_race = is_claim and row.status == CaseStatus.DRAFT
        if not states.may_see(viewer, row.owner_id, row.status, row.visibility) and not lost_race:
            raise CaseNotFoundError("there is no such case")
        return row

    def _locked(self, viewer: User, case_id: str) -> CaseRow:
        self._visible(viewer, case_id)
        row = lock_case(self._session, case_id)
        if not states.may_see(viewer, row.owner_id, row.status, row.visibility):
            raise CaseNotFoundError("there is no such case")
        return row


def _in_scope(viewer: User, filters: CaseFilter) -> ColumnElement[bool]:
    mine = CaseRow.owner_id == viewer.id
    inbox = CaseRow.owner_id.is_(None) & (CaseRow.status == CaseStatus.DRAFT)
    public = (CaseRow.status == CaseStatus.PUBLISHED) & (CaseRow.visibility == Visibility.PUBLIC)
    if filters.scope == CaseScope.INBOX:
        wanted: ColumnElement[bool] = inbox
    elif filters.scope == CaseScope.PUBLIC:
        wanted = public
    elif filters.scope == CaseScope.VISIBLE and viewer.sees_all:
        wanted = CaseRow.id != ""
    else:
        wanted = mine
    if filters.status is not None:
        wanted &= CaseRow.status == filters.status
    if filters.status != CaseStatus.REMOVED or not viewer.sees_all:
        wanted &= CaseRow.status != CaseStatus.REMOVED
    if filters.modality is not None:
        wanted &= exists().where(CaseStudyRow.case_id == CaseRow.id, CaseStudyRow.modality == filters.modality)
    if filters.owner is not None:
        wanted &= UserRow.name == filters.owner  # the list has the owners' names beside it
    return wanted
