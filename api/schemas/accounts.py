"""Accounts and tokens on the wire."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key, Label, Moment, UserName
from cases.users import Role, User


class UserOut(Answer):
    """An account."""

    id: str = Field(examples=[ID_EXAMPLE])
    name: str = Field(examples=["contributor-1"])
    role: Role
    draft_limit: int = Field(examples=[10])
    drafts: int = Field(examples=[3])
    is_disabled: bool


class Quotas(Answer):
    """How many drafts there are and may be."""

    drafts: int = Field(examples=[3])
    draft_limit: int = Field(examples=[10])
    drafts_free: int = Field(examples=[7])


class Me(Answer):
    """The caller's own account."""

    id: str = Field(examples=[ID_EXAMPLE])
    name: str = Field(examples=["contributor-1"])
    role: Role
    sees_all: bool
    quotas: Quotas

    @classmethod
    def of(cls, user: User) -> Self:
        """Describe the caller."""
        free = max(0, user.draft_limit - user.drafts)
        quotas = Quotas(drafts=user.drafts, draft_limit=user.draft_limit, drafts_free=free)
        return cls(id=user.id, name=user.name, role=user.role, sees_all=user.sees_all, quotas=quotas)


class NewUser(Body):
    """An account to be made; it has no token yet."""

    name: UserName = Field(examples=["contributor-1"])
    role: Role = Role.CONTRIBUTOR
    draft_limit: int = Field(10, ge=0, le=1000)


class TokenOut(Answer):
    """A token without its secret."""

    id: str = Field(examples=[ID_EXAMPLE])
    label: str = Field(examples=["laptop"])
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewToken(Body):
    """A token to be issued, by default for the caller."""

    label: Label = Field(examples=["laptop"])
    expires_at: Moment | None = Field(None, description="With a time zone; null never expires.")
    user: Key | None = Field(None, description="An account's id: administrators issue tokens for others.")


class IssuedToken(Answer):
    """A new token; the secret is shown this once and stored as a hash only."""

    token: str = Field(examples=["cb_0123456789abcdef"])
