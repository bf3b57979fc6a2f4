"""Cases as people use them: list, read, edit, claim, remove. The machine's side is in ``filing``."""

import builtins
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from cases import states
from cases.errors import CaseNotFoundError, InvalidChangeError, VersionConflictError
from cases.model import (
    PRESENTATION_MAX,
    TAG_MAX,
    TAGS_MAX,
    TEXT_MAX,
    TITLE_MAX,
    CaseChanges,
    CaseDetail,
    CaseFilter,
    CaseImage,
    CaseScope,
    CaseStatus,
    CaseSummary,
    Page,
    StudyChange,
    Visibility,
)
from cases.store import views
from cases.store.accounts import draft_count, lock_user
from cases.store.clock import now as clock_now
from cases.store.emptying import Emptying
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseStudyRow,
    UserRow,
)
from cases.store.shells import lock_case
from cases.text_screen import TextScreen, check_typed
from cases.users import User

_NO_FILTER = CaseFilter()


class Cases(Emptying):
    """Teaching cases."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)

    def list(
        self, viewer: User, *, cursor: str | None = None, limit: int = 50, filters: CaseFilter = _NO_FILTER
    ) -> Page[CaseSummary]:
        """Return the cases that a viewer may see, the newest first; removed ones only when asked for."""
        size = checked_limit(limit)
        query = select(CaseRow).where(_in_scope(viewer, filters))
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            query = query.where(or_(CaseRow.created_at < at, and_(CaseRow.created_at == at, CaseRow.id < row_id)))
        rows = self._session.scalars(query.order_by(CaseRow.created_at.desc(), CaseRow.id.desc()).limit(size + 1)).all()
        shown = rows[:size]
        return Page(
            items=views.summaries(self._session, shown),
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

    def summary(self, viewer: User, case_id: str) -> CaseSummary:
        """Return a case as a list shows it.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        [summary] = views.summaries(self._session, [self._visible(viewer, case_id)])
        return summary

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
        """
        case = self._locked(viewer, case_id)
        states.check_editable(viewer, case.owner_id, case.status)
        if case.version != version:
            raise VersionConflictError("the case was changed since it was read: read it again, then repeat the change")
        case.title = _checked("title", changes.title, case.title, TITLE_MAX)
        case.presentation = _checked("presentation", changes.presentation, case.presentation, PRESENTATION_MAX)
        case.discussion = _checked("discussion", changes.discussion, case.discussion, TEXT_MAX)
        if changes.tags is not None:
            case.tags = _checked_tags(changes.tags)
        if changes.systems is not None:
            case.systems = [system.value for system in dict.fromkeys(changes.systems)]
        if changes.level is not None or changes.clears_level:
            case.level = changes.level.value if changes.level else ""
        if changes.clears_hold:
            case.hold_reason = ""
        if changes.acknowledges_faces:
            case.faces_acknowledged = sum(views.faces(self._session, case.id).values())
        for change in changes.studies:
            self._change_study(case.id, change)
        check_typed(screen, changes, HashesOfIdentifiers(self._session).known(case))
        case.version += 1
        case.updated_at = clock_now()
        self._session.flush()
        return views.detail(self._session, case)

    def _change_study(self, case_id: str, change: StudyChange) -> None:
        row = self._session.get(CaseStudyRow, change.id)
        if row is None or row.case_id != case_id:
            raise InvalidChangeError("a study of the change is not a study of this case")
        row.findings = _checked("findings", change.findings, row.findings, TEXT_MAX)
        row.caption = _checked("caption", change.caption, row.caption, TEXT_MAX)

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
        case.version += 1
        case.updated_at = clock_now()
        self._session.flush()
        return views.detail(self._session, case)

    def remove(self, viewer: User, case_id: str) -> builtins.list[str]:
        """Remove a draft or waiting case: its images and holds go, a tombstone stays, its place is free.

        Returns
        -------
        list of str
            Keys of the blobs to delete after the commit; ``condemned_blobs`` lists them until they are forgotten.

        Raises
        ------
        CaseNotFoundError
            When there is no case that the viewer may see.
        InvalidTransitionError
            When the case is neither a draft nor waiting.
        """
        case = self._locked(viewer, case_id)
        case.status = states.decide(
            states.Action.REMOVE, case.status, states.actors_of(viewer, case.owner_id), states.Facts()
        )
        return self._empty(case)

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
        wanted &= exists().where(UserRow.id == CaseRow.owner_id, UserRow.name == filters.owner)
    return wanted


def _checked_tags(tags: Sequence[str]) -> builtins.list[str]:
    kept = builtins.list(dict.fromkeys(" ".join(tag.split()) for tag in tags))
    if len(kept) > TAGS_MAX or any(not 0 < len(tag) <= TAG_MAX for tag in kept):
        raise InvalidChangeError(f"at most {TAGS_MAX} tags of 1 to {TAG_MAX} characters are allowed")
    return kept


def _checked(name: str, new: str | None, old: str, longest: int) -> str:
    if new is None:
        return old
    if len(new) > longest:
        raise InvalidChangeError(f"{name} is {len(new)} characters long; at most {longest} are allowed")
    return new
