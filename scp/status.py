"""Statuses of the responses, and which error answers with which.

References
----------
PS3.4 §B.2.3 (storage), PS3.7 §10.1.4.1.10 (N-ACTION) and Annex C (general).
"""

from dataclasses import dataclass
from enum import IntEnum

from scp.errors import (
    CannotUnderstandError,
    DatasetMismatchError,
    ScpError,
    SpoolFullError,
    SpoolUnavailableError,
    UnsupportedSOPClassError,
)

__all__ = ["COMMENT_LENGTH", "Answer", "Status", "status_of"]

COMMENT_LENGTH = 64
"""Longest Error Comment (0000,0902) in characters: its VR is LO."""


class Status(IntEnum):
    """A status (0000,0900) that this receiver answers."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    INVALID_ARGUMENT = 0x0115
    NO_SUCH_CLASS = 0x0118
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status and its Error Comment."""

    status: Status
    comment: str = ""


_OF_ERROR: dict[type[ScpError], Status] = {
    SpoolFullError: Status.OUT_OF_RESOURCES,
    SpoolUnavailableError: Status.OUT_OF_RESOURCES,
    DatasetMismatchError: Status.DATA_SET_MISMATCH,
    CannotUnderstandError: Status.CANNOT_UNDERSTAND,
    UnsupportedSOPClassError: Status.SOP_CLASS_NOT_SUPPORTED,
}


def status_of(error: ScpError) -> Status:
    """Return the status that tells a peer about an error.

    Errors that are no answer to an object (a broken protocol) have none.

    Raises
    ------
    LookupError
        If the error has no status.
    """
    return _OF_ERROR[type(error)]
