"""What the audit log says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing, when."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, str | int | bool | None]
