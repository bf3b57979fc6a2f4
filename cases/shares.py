"""Links to an unlisted case, for people without an account."""

from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT_DAYS = 30
MAX_DAYS = 365
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLink:
    """A link without its token, which nobody can read again."""

    id: str
    case_id: str
    label: str
    """For whom or what it is, as its owner wrote it; shown to nobody who uses it."""
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    uses: int
    """How often the case was opened by it; its images do not count."""

    def is_note_due(self, now: datetime) -> bool:
        """Return whether its use has to be kept again: images come by the hundred."""
        return self.last_used_at is None or now - self.last_used_at > USE_NOTED_EVERY
