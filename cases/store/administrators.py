"""Somebody who can administer is there after every start; what the settings name is their token."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cases.errors import InvalidChangeError
from cases.store.account_rows import TokenRow, UserRow
from cases.store.accounts import DRAFT_LIMIT, Accounts, digest_of, keep_token
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.rows import new_id
from cases.users import Role

ADMIN_NAME = "admin"
CONFIGURED = "configured"
"""Label of the administrator token that the settings name."""
STARTED = "start"
"""Who made what is there once the program started, for the audit log."""


class Administrators:
    """The administrator that a start needs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ensure(self, token: str | None = None) -> str | None:
        """Make sure that somebody can administer.

        Parameters
        ----------
        token : str or None
            The token that the settings name. It is made valid, and one named before that is revoked.

        Returns
        -------
        str or None
            The text of a fresh token, only when the settings name none and there was no administrator: show it once.

        Raises
        ------
        InvalidChangeError
            When the token that the settings name was issued to somebody else.
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
        return Accounts(self._session).issue_token(admin.id, "first start")

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
        digest = digest_of(token)
        self._session.execute(
            update(TokenRow)
            .where(TokenRow.label == CONFIGURED, TokenRow.revoked_at.is_(None), TokenRow.sha256 != digest)
            .values(revoked_at=clock_now())
        )
        known = self._session.scalar(select(TokenRow).where(TokenRow.sha256 == digest))
        if known is not None and known.user_id == admin_id and known.revoked_at is None and known.expires_at is None:
            return
        if known is None:
            keep_token(self._session, admin_id, CONFIGURED, token, expires_at=None)
        elif known.user_id == admin_id or known.label == CONFIGURED:
            # Who held it may be disabled or in another role by now: a start must not fail by that.
            known.user_id = admin_id
            known.revoked_at = None
            known.expires_at = None
        else:
            raise InvalidChangeError("the configured administrator token belongs to another user: choose another one")
        Audit(self._session).append(STARTED, "token.configure", admin_id)
