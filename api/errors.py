"""Errors of the room.

ApiError
├─ UnauthenticatedError          → 401
├─ ForbiddenError                → 403
├─ PartNotFoundError             → 404
├─ GoneError                     → 410
├─ PreconditionFailedError       → 412
├─ UnsupportedMediaTypeError     → 415
├─ InvalidRequestError           → 422
└─ NotRenderableError            → 422
"""


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


class InvalidRequestError(ApiError):
    """The request is well-formed, but its parts do not fit together."""


class NotRenderableError(ApiError):
    """The object has no pixels, or they cannot be decoded."""
