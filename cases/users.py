"""Who has an account, and what role it gives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

USER_NAME = r"^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$"
"""A name stands in settings files and in the audit log, so it is one plain word."""


def is_user_name(text: str) -> bool:
    """Return whether an account may be made under this name."""
    return re.fullmatch(USER_NAME, text) is not None


class Role(StrEnum):
    """What a user may do."""

    READER = "reader"
    """Reads what is public, and owns nothing."""
    CONTRIBUTOR = "contributor"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    PRIVACY_OFFICER = "privacy_officer"


class InstitutionPolicy(StrEnum):
    """What a user's institution says of publishing cases."""

    DEIDENTIFIED_ALLOWED = "deidentified-allowed"
    """De-identified images may be published."""
    CONSENT_REQUIRED = "consent-required"
    """Only with the patient's consent."""
    FORBIDDEN = "forbidden"


class Scope(StrEnum):
    """What a token may be used for, within its user's role. No scope includes another."""

    READ = "read"
    """To look at cases, pictures, receipts and one's own account."""
    WRITE = "write"
    """To change one's own cases and one's own account."""
    MODERATE = "moderate"
    """To look at held images and decide on them, and to work on the cases of others."""
    ADMINISTER = "administer"
    """Accounts, peers, profiles, status."""


ALL_SCOPES = frozenset(Scope)


def in_order(scopes: frozenset[Scope]) -> list[Scope]:
    """Return scopes in the order in which they are always named."""
    return [scope for scope in Scope if scope in scopes]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or program with an account."""

    id: str
    name: str
    role: Role
    draft_limit: int
    unlisted_limit: int = 10
    pending_limit: int = 3
    """How many cases may be in review at once, where the user is not trusted."""
    is_trusted: bool = False
    """Whether the user's cases are published without review."""
    institution_policy: InstitutionPolicy = InstitutionPolicy.DEIDENTIFIED_ALLOWED
    is_disabled: bool = False
    has_password: bool = False
    scopes: frozenset[Scope] = frozenset()
    """What the token that this user was authenticated with may be used for."""
    token_id: str = ""
    """The token that this user was authenticated with."""
    token_use_is_due: bool = False
    """Whether ``Accounts.note_use`` should be called for that token."""

    @property
    def sees_all(self) -> bool:
        """Return whether the user's lists show everybody's cases."""
        return self.role in {Role.ADMIN, Role.EDITOR, Role.REVIEWER, Role.PRIVACY_OFFICER}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What is to be different in an account; None stays as it is."""

    role: Role | None = None
    draft_limit: int | None = None
    """Cases beyond a lower limit stay, for each limit."""
    unlisted_limit: int | None = None
    pending_limit: int | None = None
    is_trusted: bool | None = None
    institution_policy: InstitutionPolicy | None = None
    is_disabled: bool | None = None
    """True ends the account's tokens as well."""

    @property
    def named(self) -> Mapping[str, Any]:
        """Return what is given, by name."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How many of a user's own cases count toward the user's limits."""

    drafts: int = 0
    unlisted: int = 0
    """Published and unlisted, or in review to become so."""
    pending: int = 0
    """In review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSummary:
    """A token without its secret."""

    id: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    scopes: frozenset[Scope] = frozenset()
    is_session: bool = False
    """Whether a password opened it."""
