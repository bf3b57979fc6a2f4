"""Accounts and tokens on the wire."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key, Label, Line, Moment, UserName
from cases.passwords import LONGEST, SHORTEST, is_text
from cases.users import InstitutionPolicy, Role, Scope, Usage, User, UserChange, in_order

Limit = Annotated[int, Field(ge=0, le=1000)]


def _of_whole_characters(password: SecretStr) -> SecretStr:
    if not is_text(password.get_secret_value()):
        raise ValueError("A password is made of whole characters.")
    return password


Password = Annotated[SecretStr, Field(max_length=LONGEST), AfterValidator(_of_whole_characters)]
"""Never echoed, and masked wherever the body is shown."""


class UserOut(Answer):
    """An account."""

    id: str = Field(examples=[ID_EXAMPLE])
    name: str = Field(examples=["contributor-1"])
    role: Role
    draft_limit: int = Field(examples=[10])
    unlisted_limit: int = Field(examples=[10])
    pending_limit: int = Field(examples=[3])
    is_trusted: bool
    institution_policy: InstitutionPolicy
    drafts: int = Field(examples=[3])
    unlisted: int = Field(examples=[2])
    pending: int = Field(examples=[1])
    is_disabled: bool
    has_password: bool

    @classmethod
    def of(cls, user: User, usage: Usage) -> Self:
        """Describe an account and what it holds."""
        return cls.model_validate(asdict(user) | asdict(usage))


class Quotas(Answer):
    """How many drafts, unlisted cases and cases in review there are and may be."""

    drafts: int = Field(examples=[3])
    draft_limit: int = Field(examples=[10])
    drafts_free: int = Field(examples=[7])
    unlisted: int = Field(examples=[2])
    unlisted_limit: int = Field(examples=[10])
    unlisted_free: int = Field(examples=[8])
    pending: int = Field(examples=[1])
    pending_limit: int = Field(examples=[3], description="For who is not trusted.")


class Me(Answer):
    """The caller's own account."""

    id: str = Field(examples=[ID_EXAMPLE])
    name: str = Field(examples=["contributor-1"])
    role: Role
    sees_all: bool
    scopes: list[Scope] = Field(examples=[["read", "write"]], description="Those of the token of this call.")
    is_trusted: bool = Field(description="Whether the account's cases are published without review.")
    institution_policy: InstitutionPolicy
    has_password: bool
    quotas: Quotas
    collector: int = Field(examples=[12], description="How many public cases you have.")

    @classmethod
    def of(cls, user: User, usage: Usage, collector: int) -> Self:
        """Describe the caller; ``collector`` counts their public cases."""
        quotas = Quotas(
            drafts=usage.drafts,
            draft_limit=user.draft_limit,
            drafts_free=max(0, user.draft_limit - usage.drafts),
            unlisted=usage.unlisted,
            unlisted_limit=user.unlisted_limit,
            unlisted_free=max(0, user.unlisted_limit - usage.unlisted),
            pending=usage.pending,
            pending_limit=user.pending_limit,
        )
        return cls(
            id=user.id,
            name=user.name,
            role=user.role,
            sees_all=user.sees_all,
            scopes=in_order(user.scopes),
            is_trusted=user.is_trusted,
            institution_policy=user.institution_policy,
            has_password=user.has_password,
            quotas=quotas,
            collector=collector,
        )


class NewUser(Body):
    """An account to be made; it has no token yet."""

    name: UserName = Field(examples=["contributor-1"])
    role: Role = Role.CONTRIBUTOR
    draft_limit: Limit = 10
    unlisted_limit: Limit = 10
    pending_limit: Limit = 3
    is_trusted: bool = False
    institution_policy: InstitutionPolicy = InstitutionPolicy.DEIDENTIFIED_ALLOWED


class UserEdit(Body):
    """What is to be different in an account; a field that is absent or null stays as it is."""

    role: Role | None = Field(None, examples=["editor"])
    draft_limit: Limit | None = Field(None, examples=[20], description="Cases beyond a lower limit stay.")
    unlisted_limit: Limit | None = Field(None, examples=[20])
    pending_limit: Limit | None = Field(None, examples=[5], description="For who is not trusted.")
    is_trusted: bool | None = Field(None, description="Whether the account's cases are published without review.")
    institution_policy: InstitutionPolicy | None = None
    is_disabled: bool | None = Field(None, description="True ends the account's tokens as well.")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.change().named:
            raise ValueError(f"Nothing is changed: give {', '.join(type(self).model_fields)}.")
        return self

    def change(self) -> UserChange:
        """Return the change to the account."""
        return UserChange(**self.model_dump())


class TokenOut(Answer):
    """A token without its secret."""

    id: str = Field(examples=[ID_EXAMPLE])
    label: str = Field(examples=["laptop"])
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    scopes: list[Scope] = Field(examples=[["read", "write"]])
    is_session: bool = Field(description="Whether a password opened it; it ends when the password changes.")

    @field_validator("scopes", mode="before")
    @classmethod
    def _in_order(cls, scopes: frozenset[Scope]) -> list[Scope]:
        return in_order(scopes)


class NewToken(Body):
    """A token to be issued, by default for the caller."""

    label: Label = Field(examples=["laptop"])
    expires_at: Moment | None = Field(
        None, description="With a time zone. Absent: after 90 days. Null: never.", examples=["2026-01-31T12:00:00Z"]
    )
    user: Key | None = Field(None, description="An account's id: administrators issue tokens for others.")
    scopes: list[Scope] | None = Field(
        None,
        min_length=1,
        max_length=len(Scope),
        examples=[["read"]],
        description="What it may be used for, within the account's role and what the token of this call has; "
        "absent or null: all of that.",
    )


class IssuedToken(Answer):
    """A new token; the secret is shown this once and stored as a hash only."""

    token: str = Field(examples=["cb_0123456789abcdef"])
    expires_at: datetime | None
    scopes: list[Scope] = Field(examples=[["read"]])


class NewSession(Body):
    """Who signs in."""

    name: Line = Field(max_length=200, examples=["contributor-1"])
    password: Password


class Session(Answer):
    """A session: its token is shown this once, and works as any other until it expires or the password changes."""

    token: str = Field(examples=["cb_0123456789abcdef"])
    expires_at: datetime
    scopes: list[Scope] = Field(examples=[["read", "write"]], description="All that the account's role has.")


_NEW_PASSWORD = f"{SHORTEST} to {LONGEST} characters of any kind, and not the account's name."


class FirstPassword(Body):
    """A password for somebody else's account."""

    password: Password = Field(description=_NEW_PASSWORD)


class NewPassword(Body):
    """Another password for the caller's own account."""

    password: Password = Field(description=_NEW_PASSWORD)
    old_password: Password | None = Field(
        None, description="The one that there is; it is asked for where there is one."
    )
