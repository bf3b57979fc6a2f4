"""What can go wrong while receiving.

::

    ScpError
    ├─ SpoolFullError           → 0xA700 Out of Resources
    ├─ SpoolUnavailableError    → 0xA700 Out of Resources
    ├─ DatasetMismatchError     → 0xA900 Data Set does not match SOP Class
    ├─ CannotUnderstandError    → 0xC000 Cannot Understand
    ├─ UnsupportedSOPClassError → 0x0122 SOP Class not supported
    ├─ ProtocolError            → the association is aborted
    ├─ PeerRulesError           → the last good rules stay in force
    ├─ SealBrokenError          → quarantine when the spool is scanned, a hold when it is worked on
    ├─ SpoolKeyMissingError     → no start; a file whose key is missing stays where it is
    └─ TlsFilesError            → no start; later the last good files stay in force

The text of an error that has a status is what the peer reads as its Error Comment (0000,0902): at most 64
characters, a sentence about what to do, and never a value of a data set.
"""

import errno

__all__ = [
    "CannotUnderstandError",
    "DatasetMismatchError",
    "PeerRulesError",
    "ProtocolError",
    "ScpError",
    "SealBrokenError",
    "SpoolFullError",
    "SpoolKeyMissingError",
    "SpoolUnavailableError",
    "TlsFilesError",
    "UnsupportedSOPClassError",
]


class ScpError(Exception):
    """Root of everything that this room raises.

    Parameters
    ----------
    comment
        What the peer or the operator is told.
    reason
        A short stable code for journals and logs.
    """

    default_reason = "error"

    def __init__(self, comment: str, *, reason: str = "") -> None:
        super().__init__(comment)
        self.comment = comment
        self.reason = reason or self.default_reason


class SpoolFullError(ScpError):
    """The disk reserve would be touched, or the disk is full."""

    default_reason = "disk-reserve"


class SpoolUnavailableError(ScpError):
    """The spool cannot be written at the moment for another reason than room."""

    default_reason = "spool-unavailable"


class DatasetMismatchError(ScpError):
    """The data set is another object than the command announced."""

    default_reason = "data-set-mismatch"


class CannotUnderstandError(ScpError):
    """The data set, or what identifies it, cannot be read."""

    default_reason = "unreadable"


class UnsupportedSOPClassError(ScpError):
    """The object came on a presentation context that was declined."""

    default_reason = "declined-context"


class ProtocolError(ScpError):
    """The peer does not speak the upper layer or the message protocol (PS3.8, PS3.7)."""

    default_reason = "protocol"


class PeerRulesError(ScpError):
    """The peer rules file cannot be understood."""

    default_reason = "peer-rules"


class SealBrokenError(ScpError, OSError):
    """A sealed file is not what was written: damaged, cut off, or put under another name.

    To whoever reads it, it is what a disk error is.
    """

    default_reason = "seal-broken"

    def __init__(self, comment: str, *, reason: str = "") -> None:
        super().__init__(comment, reason=reason)
        self.errno = errno.EIO


class SpoolKeyMissingError(ScpError):
    """A sealed file needs a spool key that is not configured here; the file itself may be sound."""

    default_reason = "spool-key-missing"


class TlsFilesError(ScpError):
    """Certificate, key or client CA file cannot be used; the comment names the file and the mend."""

    default_reason = "tls-files"
