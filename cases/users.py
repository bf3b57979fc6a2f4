"""Who has an account, and what role it gives."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user may do."""

    READER = "reader"
    """Reads what is public, and owns nothing."""
    CONTRIBUTOR = "contributor"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    PRIVACY_OFFICER = "privacy_officer"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or program with an account."""

    id: str
    name: str
    role: Role
    draft_limit: int
    drafts: int = 0
    """How many drafts the user has now."""
    is_disabled: bool = False
    token_id: str = ""
    """The token that this user was authenticated with."""
    token_use_is_due: bool = False
    """Whether ``Accounts.note_use`` should be called for that token."""

    @property
    def sees_all(self) -> bool:
        """Return whether the user's lists show everybody's cases."""
        return self.role in {Role.ADMIN, Role.EDITOR, Role.REVIEWER, Role.PRIVACY_OFFICER}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSummary:
    """A token without its secret."""

    id: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
