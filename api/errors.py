"""Errors of the room.

ApiError
├─ UnauthenticatedError          → 401
├─ ForbiddenError                → 403
├─ PartNotFoundError             → 404
├─ GoneError                     → 410
├─ PreconditionFailedError       → 412
├─ UnsupportedMediaTypeError     → 415
├─ RangeNotSatisfiableError      → 416
├─ InvalidRequestError           → 422
├─ NotRenderableError            → 422
├─ TooManyRequestsError          → 429
└─ ArchiveNotReadyError          → 503
"""

from collections.abc import Mapping


class ApiError(Exception):
    """A request that cannot be answered. The text is shown to the caller and never holds a value of the request."""


class UnauthenticatedError(ApiError):
    """There is no token, or it is unknown, expired or revoked."""


class ForbiddenError(ApiError):
    """The caller's role does not include this call."""


class PartNotFoundError(ApiError):
    """A thing does not exist, or not for this caller."""


class GoneError(ApiError):
    """A thing was there, and went with the original that it was made from."""


class PreconditionFailedError(ApiError):
    """The thing has changed since the version that the caller holds."""


class UnsupportedMediaTypeError(ApiError):
    """The body is not of the kind that the call takes."""


class RangeNotSatisfiableError(ApiError):
    """The part that is asked for begins behind the end."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__("The part that is asked for begins behind the end of the archive.")
        self.headers = headers


class InvalidRequestError(ApiError):
    """The request is well-formed, but its parts do not fit together."""


class NotRenderableError(ApiError):
    """The object has no pixels, or they cannot be decoded."""


class TooManyRequestsError(ApiError):
    """The caller, or the caller's address, has made all the calls that it may make for now."""

    def __init__(self, headers: Mapping[str, str], *, retry_after_s: int) -> None:
        super().__init__("Too many calls: wait for as many seconds as Retry-After says.")
        self.headers = headers
        self.retry_after_s = retry_after_s


class ArchiveNotReadyError(ApiError):
    """The images of a case are being read for the first time, or those of others are; the same call works soon."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
