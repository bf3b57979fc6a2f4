"""Users and their tokens. A token is random, shown once and kept as its SHA-256 only."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidChangeError, LastAdministratorError
from cases.model import CaseStatus, Visibility
from cases.store.account_rows import TokenRow, UserRow
from cases.store.clock import now as clock_now
from cases.store.rows import CaseRow, new_id
from cases.store.upsert import insert_or_nothing
from cases.users import ALL_SCOPES, InstitutionPolicy, Role, Scope, TokenSummary, Usage, User, UserChange, in_order

DRAFT_LIMIT = 10
UNLISTED_LIMIT = 10
PENDING_LIMIT = 3
TOKEN_BYTES = 32
SESSION = "session"
"""Label of a token that a password opened."""
USE_NOTED_EVERY = timedelta(minutes=1)
_OF_TOKEN = (
    select(TokenRow, UserRow)
    .join(UserRow, UserRow.id == TokenRow.user_id)
    .where(
        TokenRow.sha256 == bindparam("sha256"),
        TokenRow.revoked_at.is_(None),
        or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > bindparam("moment")),
        UserRow.disabled_at.is_(None),
    )
)
"""Every call asks this."""


class Accounts:
    """Users and tokens."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create_user(
        self,
        name: str,
        role: Role,
        draft_limit: int = DRAFT_LIMIT,
        *,
        unlisted_limit: int = UNLISTED_LIMIT,
        pending_limit: int = PENDING_LIMIT,
        is_trusted: bool = False,
        institution_policy: InstitutionPolicy = InstitutionPolicy.DEIDENTIFIED_ALLOWED,
    ) -> User:
        """Create a user without a token.

        Raises
        ------
        InvalidChangeError
            When the name is empty or taken, or a limit negative.
        """
        if not name.strip() or min(draft_limit, unlisted_limit, pending_limit) < 0:
            raise InvalidChangeError("a user needs a name and limits of 0 or more")
        row_id = new_id()
        values = {
            "id": row_id,
            "name": name,
            "role": role,
            "draft_limit": draft_limit,
            "unlisted_limit": unlisted_limit,
            "pending_limit": pending_limit,
            "is_trusted": is_trusted,
            "institution_policy": institution_policy,
            "created_at": clock_now(),
        }
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
        return _value(row)

    def user_named(self, name: str) -> User | None:
        """Return a user by name."""
        row = self._session.scalar(select(UserRow).where(UserRow.name == name))
        return None if row is None else _value(row)

    def users(self) -> tuple[User, ...]:
        """Return all users by name."""
        return tuple(_value(row) for row in self._session.scalars(select(UserRow).order_by(UserRow.name)))

    def usage(self, user_id: str) -> Usage:
        """Return how many of a user's cases count toward the limits; not asked at each call, since it counts rows."""
        return self._usages(CaseRow.owner_id == user_id).get(user_id, Usage())

    def usages(self) -> Mapping[str, Usage]:
        """Return the same for every user that owns something, by id."""
        return self._usages(CaseRow.owner_id.is_not(None))

    def _usages(self, wanted: ColumnElement[bool]) -> dict[str, Usage]:
        counts = {name: func.count().filter(condition) for name, condition in _COUNTED.items()}
        query = (
            select(CaseRow.owner_id, *(count.label(name) for name, count in counts.items()))
            .where(wanted, CaseRow.status.in_([CaseStatus.DRAFT, CaseStatus.PUBLISHED, CaseStatus.PENDING_REVIEW]))
            .group_by(CaseRow.owner_id)
        )
        return {
            row["owner_id"]: Usage(drafts=row["drafts"], unlisted=row["unlisted"], pending=row["pending"])
            for row in self._session.execute(query).mappings()
        }

    def edit(self, user_id: str, change: UserChange) -> User:
        """Change an account. Disabling it ends its tokens at once; its cases and its name stay.

        Raises
        ------
        CaseNotFoundError
            When there is no such user.
        InvalidChangeError
            When a limit is negative.
        LastAdministratorError
            When nobody could administer any more.
        """
        named = dict(change.named)
        if any(value < 0 for name, value in named.items() if name.endswith("_limit")):
            raise InvalidChangeError("a limit is 0 or more")
        # Before the user's own row: two administrators who shut each other out lock in the same order.
        administrators = self._lock_administrators()
        row = lock_user(self._session, user_id)
        goes = named.get("is_disabled") or named.get("role", Role.ADMIN) is not Role.ADMIN
        if goes and administrators == {user_id}:
            raise LastAdministratorError("this is the last administrator: make another one first")
        if (is_disabled := named.pop("is_disabled", None)) is not None:
            row.disabled_at = (row.disabled_at or clock_now()) if is_disabled else None
        for name, value in named.items():
            setattr(row, name, value)
        if is_disabled:
            self._end_tokens(user_id)
        self._session.flush()
        return _value(row)

    def _lock_administrators(self) -> set[str]:
        active = select(UserRow.id).where(UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None))
        return set(self._session.scalars(active.order_by(UserRow.id).with_for_update(key_share=True)))

    def _end_tokens(self, user_id: str) -> None:
        self._session.execute(
            update(TokenRow)
            .where(TokenRow.user_id == user_id, TokenRow.revoked_at.is_(None))
            .values(revoked_at=clock_now())
        )

    def issue_token(
        self,
        user_id: str,
        label: str,
        expires_at: datetime | None = None,
        scopes: frozenset[Scope] = ALL_SCOPES,
    ) -> str:
        """Make a token and return its text: the only time that it can be seen."""
        self.user(user_id)
        text = new_token_text()
        keep_token(self._session, user_id, label, text, expires_at=expires_at, scopes=scopes)
        return text

    def open_session(self, user_id: str, expires_at: datetime, scopes: frozenset[Scope] = ALL_SCOPES) -> str:
        """Make a token for somebody who signed in, and return its text; see ``Passwords.confirm``."""
        text = new_token_text()
        keep_token(self._session, user_id, SESSION, text, expires_at=expires_at, scopes=scopes, is_session=True)
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
                scopes=_scopes(row),
                is_session=row.is_session,
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
        found = self._session.execute(_OF_TOKEN, {"sha256": digest_of(token), "moment": moment}).one_or_none()
        if found is None:
            return None
        token_row, user_row = found
        is_due = token_row.last_used_at is None or moment - token_row.last_used_at > USE_NOTED_EVERY
        user = _value(user_row)
        return replace(user, scopes=_scopes(token_row), token_id=token_row.id, token_use_is_due=is_due)

    def note_use(self, token_id: str, now: datetime | None = None) -> None:
        """Keep when a token was last used."""
        self._session.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=now or clock_now()))


def _scopes(row: TokenRow) -> frozenset[Scope]:
    # A word of a newer version opens nothing here.
    return frozenset(scope for scope in Scope if scope.value in row.scopes.split())


def _value(row: UserRow) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=row.role,
        draft_limit=row.draft_limit,
        unlisted_limit=row.unlisted_limit,
        pending_limit=row.pending_limit,
        is_trusted=row.is_trusted,
        institution_policy=row.institution_policy,
        is_disabled=row.disabled_at is not None,
        has_password=bool(row.password_hash),
    )


_COUNTED: Mapping[str, ColumnElement[bool]] = {
    "drafts": CaseRow.status == CaseStatus.DRAFT,
    # What is in review to become unlisted has its place already, so that an editor's word is never too late.
    "unlisted": and_(
        CaseRow.status.in_([CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED]),
        CaseRow.visibility == Visibility.UNLISTED,
    ),
    "pending": CaseRow.status == CaseStatus.PENDING_REVIEW,
}
"""Which cases count toward which limit."""


def draft_count(session: Session, user_id: str) -> int:
    """Return how many drafts a user has; exact only while the user's row is locked."""
    return _count(session, user_id, "drafts")


def unlisted_count(session: Session, user_id: str) -> int:
    """Return how many unlisted cases a user has; exact only while the user's row is locked."""
    return _count(session, user_id, "unlisted")


def pending_count(session: Session, user_id: str) -> int:
    """Return how many cases of a user are in review; exact only while the user's row is locked."""
    return _count(session, user_id, "pending")


def _count(session: Session, user_id: str, what: str) -> int:
    return session.scalar(select(func.count()).where(CaseRow.owner_id == user_id, _COUNTED[what])) or 0


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


def new_token_text() -> str:
    """Return the text of a token that nobody has."""
    return "cb_" + secrets.token_urlsafe(TOKEN_BYTES)


def keep_token(
    session: Session,
    user_id: str,
    label: str,
    text: str,
    *,
    expires_at: datetime | None,
    scopes: frozenset[Scope] = ALL_SCOPES,
    is_session: bool = False,
) -> None:
    """Make a token of this text valid."""
    session.add(
        TokenRow(
            user_id=user_id,
            label=label,
            sha256=digest_of(text),
            created_at=clock_now(),
            expires_at=expires_at,
            scopes=" ".join(in_order(scopes)),
            is_session=is_session,
        )
    )
    session.flush()


def digest_of(token: str) -> str:
    """Return what is kept of a token. It has 256 random bits: a fast hash keeps it as safe as a slow one would."""
    return hashlib.sha256(token.encode()).hexdigest()
