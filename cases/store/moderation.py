"""The ways out of a draft and back: submitting, publishing, accepting, giving back; and their history.

Locks are taken as everywhere (user, case), and the owner's cases are counted under the lock of the owner, so that two
calls at once never make one more than there may be.
"""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from cases import states
from cases.changes import TEXT_MAX, CaseChanges
from cases.errors import CaseNotFoundError, IdentifyingTextError, InvalidChangeError, VersionConflictError
from cases.model import CaseDetail, CaseStatus, CaseSummary, Certainty, Page, Visibility
from cases.publication import CaseEvent, Completeness, Fault, PushBackReason, completeness, faults
from cases.states import Action
from cases.store import views
from cases.store.account_rows import UserRow
from cases.store.accounts import draft_count, lock_user, pending_count, unlisted_count
from cases.store.clock import now as clock_now
from cases.store.collections import Collections
from cases.store.history import events, note
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import CaseRow
from cases.store.shells import lock_case
from cases.text_screen import TextScreen, check_typed, texts_of
from cases.users import InstitutionPolicy, User


class Moderation:
    """Moves cases between their owner, the editors and everybody else."""

    def __init__(self, session: Session, screen: TextScreen) -> None:
        self._session = session
        self._screen = screen

    # -- what people ask for -----------------------------------------------------------------------------------------

    def submit(self, viewer: User, case_id: str, visibility: Visibility, *, version: int | None = None) -> CaseDetail:
        """Let a case out of its draft as far as its owner may: published where no editor has to see it, else in review.

        Raises
        ------
        CaseNotFoundError
            When there is no case that the viewer may see.
        NotAllowedError
            When the viewer does not own it.
        NotReadyError
            When it lacks something, with what to do.
        UnlistedLimitError, PendingLimitError
            When there is no place.
        InvalidTransitionError
            When it is no draft.
        VersionConflictError
            When it was changed since ``version``.
        """
        case, owner = self._locked(viewer, case_id, version)
        facts = self._facts(case, owner, visibility)
        if visibility is Visibility.PUBLIC:
            action = Action.PUBLISH if facts.is_trusted and not _needs_editor(case) else Action.SUBMIT
        else:
            action = Action.UNLIST if facts.is_trusted or facts.is_known else Action.SUBMIT_UNLISTED
        return self._move(viewer, case, action, facts)

    def show(self, viewer: User, case_id: str, visibility: Visibility, *, version: int | None = None) -> CaseDetail:
        """Make a published case unlisted, or an unlisted one public: at once where an editor saw it as it is.

        Raises
        ------
        CaseNotFoundError, NotAllowedError, NotReadyError, UnlistedLimitError, PendingLimitError, VersionConflictError
            As for ``submit``.
        InvalidTransitionError
            When it is not published, or is as visible already.
        """
        case, owner = self._locked(viewer, case_id, version)
        facts = self._facts(case, owner, visibility)
        if visibility is Visibility.UNLISTED:
            action = Action.HIDE
        else:
            is_free = facts.is_approved or (facts.is_trusted and not _needs_editor(case))
            action = Action.SHOW if is_free else Action.RESUBMIT
        return self._move(viewer, case, action, facts)

    def take_back(self, viewer: User, case_id: str) -> CaseDetail:
        """Take a case out of review; it becomes a draft, if there is a place for one.

        Raises
        ------
        CaseNotFoundError, NotAllowedError, DraftLimitError, InvalidTransitionError
            As their names say.
        """
        case, owner = self._locked(viewer, case_id, None)
        return self._move(viewer, case, Action.TAKE_BACK, self._facts(case, owner, None))

    def accept(self, viewer: User, case_id: str, *, accepts_probable: bool = False, message: str = "") -> CaseDetail:
        """Let others see a case in review.

        Raises
        ------
        CaseNotFoundError, InvalidTransitionError
            As their names say.
        NotAllowedError
            When the viewer is no editor, or owns the case.
        NotReadyError
            When the case lacks something by now.
        """
        case, owner = self._locked(viewer, case_id, None)
        facts = self._facts(case, owner, case.visibility, accepts_probable=accepts_probable)
        return self._move(viewer, case, Action.ACCEPT, facts, message=self._clean(case, message))

    def push_back(self, viewer: User, case_id: str, reason: PushBackReason, message: str) -> CaseDetail:
        """Give a case back to its owner as a draft, beyond the owner's limit too.

        Raises
        ------
        CaseNotFoundError, NotAllowedError, InvalidTransitionError
            As their names say.
        InvalidChangeError
            Without a message: the owner has to know what to do.
        IdentifyingTextError
            When the message could identify somebody.
        """
        if not message.strip():
            raise InvalidChangeError("say to the owner what has to be done: give a message")
        case, owner = self._locked(viewer, case_id, None)
        clean = self._clean(case, message)
        return self._move(viewer, case, Action.PUSH_BACK, self._facts(case, owner, None), reason=reason, message=clean)

    # -- what people look at -----------------------------------------------------------------------------------------

    def readiness(self, case: CaseDetail, visibility: Visibility) -> tuple[Fault, ...]:
        """Return what a case that the caller may see lacks on this way out."""
        row = self._session.get_one(CaseRow, case.summary.id)
        owner = self._session.get(UserRow, row.owner_id) if row.owner_id else None
        return self._lacks(row, case, owner, visibility)

    @staticmethod
    def completeness(case: CaseDetail) -> Completeness:
        """Return the score of a case."""
        return completeness(case)

    def history(self, case_id: str) -> tuple[CaseEvent, ...]:
        """Return the steps of a case that the caller may see, the first of them first."""
        return events(self._session, case_id)

    def queue(self, *, cursor: str | None = None, limit: int = 50) -> Page[CaseSummary]:
        """Return the cases in review, the one that waits longest first."""
        size = checked_limit(limit)
        query = select(CaseRow).where(CaseRow.status == CaseStatus.PENDING_REVIEW, CaseRow.submitted_at.is_not(None))
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            query = query.where(
                (CaseRow.submitted_at > at) | ((CaseRow.submitted_at == at) & (CaseRow.id > row_id)),
            )
        rows = self._session.scalars(query.order_by(CaseRow.submitted_at, CaseRow.id).limit(size + 1)).all()
        shown = rows[:size]
        last = shown[-1].submitted_at if len(rows) > size else None
        return Page(
            items=views.summaries(self._session, shown),
            next_cursor=encode_cursor(last, shown[-1].id) if last is not None else None,
        )

    # -- how it is done ----------------------------------------------------------------------------------------------

    def _locked(self, viewer: User, case_id: str, version: int | None) -> tuple[CaseRow, UserRow | None]:
        """Lock owner and case, in this order, and return them.

        A case that is claimed between the look and the lock has another owner than the one that is locked.
        """
        seen = self._session.get(CaseRow, case_id)
        if seen is None or not states.may_see(viewer, seen.owner_id, seen.status, seen.visibility):
            raise CaseNotFoundError("there is no such case")
        owner = lock_user(self._session, seen.owner_id) if seen.owner_id else None
        case = lock_case(self._session, case_id)
        if case.owner_id != (owner.id if owner else None) or version not in {None, case.version}:
            raise VersionConflictError("the case was changed since it was read: read it again, then try again")
        return case, owner

    def _facts(
        self, case: CaseRow, owner: UserRow | None, visibility: Visibility | None, *, accepts_probable: bool = True
    ) -> states.Facts:
        """Return what the guards look at. What goes to an editor may be probable: the editor decides on that."""
        if owner is None:
            return states.Facts()
        lacks: tuple[Fault, ...] = ()
        if visibility is not None:
            detail = views.detail(self._session, case)
            lacks = faults_of(
                self._session, self._screen, case, detail, owner, visibility, accepts_probable=accepts_probable
            )
        is_out = states.is_shown_to_others(case.status)
        return states.Facts(
            has_owner=True,
            drafts=draft_count(self._session, owner.id) - int(case.status == CaseStatus.DRAFT),
            draft_limit=owner.draft_limit,
            unlisted=unlisted_count(self._session, owner.id) - int(is_out and case.visibility == Visibility.UNLISTED),
            unlisted_limit=owner.unlisted_limit,
            pending=pending_count(self._session, owner.id) - int(case.status == CaseStatus.PENDING_REVIEW),
            pending_limit=owner.pending_limit,
            is_trusted=owner.is_trusted,
            is_known=self._was_shown(owner.id),
            is_approved=case.approved_version == case.version,
            faults=lacks,
        )

    def _lacks(
        self,
        case: CaseRow,
        detail: CaseDetail,
        owner: UserRow | None,
        visibility: Visibility,
        *,
        accepts_probable: bool = True,
    ) -> tuple[Fault, ...]:
        return faults_of(
            self._session, self._screen, case, detail, owner, visibility, accepts_probable=accepts_probable
        )

    def _clean(self, case: CaseRow, message: str) -> str:
        """Return a message once the text screen has looked through it."""
        if len(message) > TEXT_MAX:
            raise InvalidChangeError(f"a message has at most {TEXT_MAX} characters")
        check_typed(
            self._screen, CaseChanges(discussion=message.strip()), HashesOfIdentifiers(self._session).known(case)
        )
        return message.strip()

    def _was_shown(self, owner_id: str) -> bool:
        """Tell whether any case of an owner was let out before."""
        shown = exists().where(CaseRow.owner_id == owner_id, CaseRow.first_published_at.is_not(None))
        return bool(self._session.scalar(select(shown)))

    def _move(
        self,
        viewer: User,
        case: CaseRow,
        action: Action,
        facts: states.Facts,
        *,
        reason: PushBackReason | None = None,
        message: str = "",
    ) -> CaseDetail:
        """Ask the table, then write the new state, its moment and its place in the history."""
        actors = states.actors_of(viewer, case.owner_id)
        source, row = case.status, states.row_of(action, case.status, actors, case.visibility)
        case.status = states.decide(action, source, actors, facts, case.visibility)
        was_approved, now = facts.is_approved, clock_now()
        if row.becomes is not None:
            case.visibility = row.becomes
        case.version += 1
        case.updated_at = now
        if case.status == CaseStatus.PENDING_REVIEW:
            case.submitted_at = now
        if case.status == CaseStatus.PUBLISHED:
            case.first_published_at = case.first_published_at or now
            if case.visibility == Visibility.PUBLIC:
                case.approved_at, was_approved = now, True
        if was_approved and case.status == CaseStatus.PUBLISHED:
            case.approved_version = case.version
        note(self._session, case, viewer.name, action, source, reason, message)
        self._follow(case)
        self._session.flush()
        return views.detail(self._session, case)

    def _follow(self, case: CaseRow) -> None:
        """Keep what is made of public cases true to what the case is now."""
        collections = Collections(self._session)
        if states.is_public(case.status, case.visibility):
            collections.enter_public(case.id)
        collections.leave_public(case.id)


def _needs_editor(case: CaseRow) -> bool:
    """Tell whether an editor has to see a case whoever owns it."""
    return case.certainty == Certainty.PROBABLE


def faults_of(  # noqa: PLR0917 - the case as it is stored and as it is seen, whose it is, and where it shall go
    session: Session,
    screen: TextScreen,
    case: CaseRow,
    detail: CaseDetail,
    owner: UserRow | None,
    visibility: Visibility,
    *,
    accepts_probable: bool = True,
) -> tuple[Fault, ...]:
    """Return what a case lacks for others to see it; the text screen is asked again of every text.

    Images that came after a text was typed bring identifiers of their own.
    """
    is_text_clean = True
    try:
        check_typed(screen, texts_of(detail), HashesOfIdentifiers(session).known(case))
    except IdentifyingTextError:
        is_text_clean = False
    return faults(
        detail,
        visibility,
        policy=owner.institution_policy if owner else InstitutionPolicy.DEIDENTIFIED_ALLOWED,
        is_text_clean=is_text_clean,
        accepts_probable=accepts_probable,
    )
