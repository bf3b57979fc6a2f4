"""Images that refer to others of their case."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """An image that refers to others by UIDs that they have no more."""

    case_id: str
    arrival_id: str
    blob_key: str
    uids: Mapping[str, str]
    """The UID that it refers to and the one that the image has now; both are those of the case."""
