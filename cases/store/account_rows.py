"""Tables of accounts and of what they sign in with."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, false
from sqlalchemy.orm import Mapped, mapped_column

from cases.store.rows import ALL_SCOPES, ID, Base, new_id
from cases.users import InstitutionPolicy, Role


class UserRow(Base):
    """An account."""

    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[Role]
    draft_limit: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    unlisted_limit: Mapped[int] = mapped_column(Integer, default=10, server_default="10")
    pending_limit: Mapped[int] = mapped_column(Integer, default=3, server_default="3")
    is_trusted: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    institution_policy: Mapped[InstitutionPolicy] = mapped_column(
        default=InstitutionPolicy.DEIDENTIFIED_ALLOWED, server_default=InstitutionPolicy.DEIDENTIFIED_ALLOWED.value
    )
    password_hash: Mapped[str] = mapped_column(String(255), default="", server_default="")
    """As Argon2 writes it, its parameters within; empty: nobody signs in with a password."""


class TokenRow(Base):
    """A token, as the SHA-256 of its text."""

    __tablename__ = "access_token"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), index=True)
    label: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    scopes: Mapped[str] = mapped_column(String(100), default=ALL_SCOPES, server_default=ALL_SCOPES)
    """With spaces between them."""
    is_session: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Whether a password opened it; it ends when the password changes."""


class SignInFailuresRow(Base):
    """Attempts to sign in under one name since the last that succeeded. There need be no such account."""

    __tablename__ = "sign_in_failures"

    name_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256: what stands in the name's place may be a password typed into the wrong field."""
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(index=True)
    paused_until: Mapped[datetime | None]
