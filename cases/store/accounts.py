"""Users and their tokens. A token is random, shown once and kept as its SHA-256 only."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidChangeError
from cases.model import CaseStatus
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.rows import CaseRow, TokenRow, UserRow, new_id
from cases.store.upsert import insert_or_nothing
from cases.users import Role, TokenSummary, User

DRAFT_LIMIT = 10
TOKEN_BYTES = 32
ADMIN_NAME = "admin"
CONFIGURED = "configured"
"""Label of the administrator token that the settings name."""
STARTED = "start"
"""Who made what is there once the program started, for the audit log."""
USE_NOTED_EVERY = timedelta(minutes=1)


class Accounts:
    """Users and tokens."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create_user(self, name: str, role: Role, draft_limit: int = DRAFT_LIMIT) -> User:
        """Create a user without a token.

        Raises
        ------
        InvalidChangeError
            When the name is empty or taken, or the limit negative.
        """
        if not name.strip() or draft_limit < 0:
            raise InvalidChangeError("a user needs a name and a draft limit of 0 or more")
        row_id = new_id()
        values = {"id": row_id, "name": name, "role": role, "draft_limit": draft_limit, "created_at": clock_now()}
        # Not by looking first: two administrators may make the same user at once.
        if not insert_or_nothing(self._session, UserRow, [values], ["name"]):
            raise InvalidChangeError("there is a user of this name")
        return self.user(row_id)

    def user(self, user_id: str) -> User:
        """Return a user by id.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        row = self._session.get(UserRow, user_id)
        if row is None:
            raise CaseNotFoundError("there is no such user")
        return self._value(row)

    def user_named(self, name: str) -> User | None:
        """Return a user by name."""
        row = self._session.scalar(select(UserRow).where(UserRow.name == name))
        return None if row is None else self._value(row)

    def users(self) -> tuple[User, ...]:
        """Return all users by name."""
        return tuple(self._value(row) for row in self._session.scalars(select(UserRow).order_by(UserRow.name)))

    def disable(self, user_id: str) -> None:
        """Shut a user out; cases and name stay."""
        self._session.execute(
            update(UserRow).where(UserRow.id == user_id, UserRow.disabled_at.is_(None)).values(disabled_at=clock_now())
        )

    def set_draft_limit(self, user_id: str, draft_limit: int) -> None:
        """Change how many drafts a user may have; drafts beyond a lower limit stay."""
        if draft_limit < 0:
            raise InvalidChangeError("a draft limit is 0 or more")
        self._session.execute(update(UserRow).where(UserRow.id == user_id).values(draft_limit=draft_limit))

    def issue_token(self, user_id: str, label: str, expires_at: datetime | None = None) -> str:
        """Make a token and return its text: the only time that it can be seen."""
        self.user(user_id)
        text = "cb_" + secrets.token_urlsafe(TOKEN_BYTES)
        self._keep_token(user_id, label, text, expires_at)
        return text

    def tokens(self, user_id: str) -> tuple[TokenSummary, ...]:
        """Return a user's tokens, newest first, without their secrets."""
        query = select(TokenRow).where(TokenRow.user_id == user_id).order_by(TokenRow.created_at.desc(), TokenRow.id)
        return tuple(
            TokenSummary(
                id=row.id,
                label=row.label,
                created_at=row.created_at,
                expires_at=row.expires_at,
                revoked_at=row.revoked_at,
                last_used_at=row.last_used_at,
            )
            for row in self._session.scalars(query)
        )

    def revoke_token(self, token_id: str) -> None:
        """End a token at once."""
        self._session.execute(
            update(TokenRow)
            .where(TokenRow.id == token_id, TokenRow.revoked_at.is_(None))
            .values(revoked_at=clock_now())
        )

    def authenticate(self, token: str, now: datetime | None = None) -> User | None:
        """Return the user of a valid token; reads only.

        None for an unknown, expired or revoked token and for a disabled user alike. When ``token_use_is_due`` is set,
        call ``note_use`` in a writing session: once a minute at most, so that reading stays reading.
        """
        moment = now or clock_now()
        found = self._session.execute(
            select(TokenRow, UserRow)
            .join(UserRow, UserRow.id == TokenRow.user_id)
            .where(
                TokenRow.sha256 == _digest(token),
                TokenRow.revoked_at.is_(None),
                or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > moment),
                UserRow.disabled_at.is_(None),
            )
        ).one_or_none()
        if found is None:
            return None
        token_row, user_row = found
        is_due = token_row.last_used_at is None or moment - token_row.last_used_at > USE_NOTED_EVERY
        return self._value(user_row, token_id=token_row.id, token_use_is_due=is_due)

    def note_use(self, token_id: str, now: datetime | None = None) -> None:
        """Keep when a token was last used."""
        self._session.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=now or clock_now()))

    def ensure_admin(self, token: str | None = None) -> str | None:
        """Make sure that somebody can administer.

        Parameters
        ----------
        token : str or None
            The token that the settings name. It is made valid, and one named before that is revoked.

        Returns
        -------
        str or None
            The text of a fresh token, only when the settings name none and there was no administrator: show it once.
        """
        admin = self._first_admin()
        is_first = admin is None
        if admin is None:
            admin = self._make_admin()
        if token is not None:
            self._configure_token(admin.id, token)
            return None
        if not is_first:
            return None
        Audit(self._session).append(STARTED, "token.issue", admin.id)
        return self.issue_token(admin.id, "first start")

    def _first_admin(self) -> UserRow | None:
        active = select(UserRow).where(UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None))
        return self._session.scalar(active.order_by(UserRow.created_at, UserRow.id).limit(1))

    def _make_admin(self) -> UserRow:
        taken = self._session.scalar(select(UserRow.id).where(UserRow.name == ADMIN_NAME)) is not None
        name = f"{ADMIN_NAME}-{new_id()[:8]}" if taken else ADMIN_NAME
        row = UserRow(name=name, role=Role.ADMIN, draft_limit=DRAFT_LIMIT, created_at=clock_now())
        self._session.add(row)
        self._session.flush()
        Audit(self._session).append(STARTED, "user.create", row.id, {"role": row.role.value})
        return row

    def _configure_token(self, admin_id: str, token: str) -> None:
        digest = _digest(token)
        self._session.execute(
            update(TokenRow)
            .where(TokenRow.label == CONFIGURED, TokenRow.revoked_at.is_(None), TokenRow.sha256 != digest)
            .values(revoked_at=clock_now())
        )
        known = self._session.scalar(select(TokenRow).where(TokenRow.sha256 == digest))
        if known is not None and known.user_id == admin_id and known.revoked_at is None and known.expires_at is None:
            return
        if known is None:
            self._keep_token(admin_id, CONFIGURED, token, None)
        elif known.user_id == admin_id:
            known.revoked_at = None
            known.expires_at = None
        else:
            raise InvalidChangeError("the configured administrator token belongs to another user: choose another one")
        Audit(self._session).append(STARTED, "token.configure", admin_id)

    def _keep_token(self, user_id: str, label: str, text: str, expires_at: datetime | None) -> None:
        self._session.add(
            TokenRow(user_id=user_id, label=label, sha256=_digest(text), created_at=clock_now(), expires_at=expires_at)
        )
        self._session.flush()

    def _value(self, row: UserRow, *, token_id: str = "", token_use_is_due: bool = False) -> User:
        return User(
            id=row.id,
            name=row.name,
            role=row.role,
            draft_limit=row.draft_limit,
            drafts=draft_count(self._session, row.id),
            is_disabled=row.disabled_at is not None,
            token_id=token_id,
            token_use_is_due=token_use_is_due,
        )


def draft_count(session: Session, user_id: str) -> int:
    """Return how many drafts a user has; exact only while the user's row is locked."""
    query = select(func.count()).where(CaseRow.owner_id == user_id, CaseRow.status == CaseStatus.DRAFT)
    return session.scalar(query) or 0


def lock_user(session: Session, user_id: str) -> UserRow:
    """Lock a user's row until the transaction ends, so that nobody else counts its drafts meanwhile.

    Raises
    ------
    CaseNotFoundError
        When there is no such user.
    """
    row = session.scalar(
        select(UserRow)
        .where(UserRow.id == user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise CaseNotFoundError("there is no such user")
    return row


def lock_owner_named(session: Session, name: str) -> UserRow:
    """Lock the user of this name, made as a contributor without a token when there is none.

    A route may name somebody who never logged in: the studies are theirs from the start, and an administrator issues
    the token when it is asked for.
    """
    insert_or_nothing(
        session,
        UserRow,
        [
            {
                "id": new_id(),
                "name": name,
                "role": Role.CONTRIBUTOR,
                "draft_limit": DRAFT_LIMIT,
                "created_at": clock_now(),
                "disabled_at": None,
            }
        ],
        ["name"],
    )
    user_id = session.scalars(select(UserRow.id).where(UserRow.name == name)).one()
    return lock_user(session, user_id)


def _digest(token: str) -> str:
    # A token has 256 random bits: a fast hash keeps it as safe as a slow one would.
    return hashlib.sha256(token.encode()).hexdigest()
