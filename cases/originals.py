"""The originals that are there, as an administrator sees them: by keys and counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOriginals:
    """The originals of one study that are not purged."""

    study_key: str
    calling_ae: str
    called_ae: str
    first_arrival_at: datetime
    last_arrival_at: datetime
    originals: int
    size_bytes: int
    by_outcome: Mapping[str, int]
    kept_until: datetime | None
    """When the last of them goes; None while one of them waits to be worked on, which keeps it."""
    committed_until: datetime | None
    """Until when storage commitment keeps any of them; None where nothing was promised."""
