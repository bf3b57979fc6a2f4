"""What can go wrong with a case.

::

    CaseError
    ├─ CaseNotFoundError        → 404
    ├─ BlobNotFoundError        → 404
    ├─ ProfileNotKnownError     → 404
    ├─ NotAllowedError          → 403
    ├─ InvalidChangeError       → 422
    ├─ IdentifyingTextError     → 422
    ├─ InvalidTransitionError   → 409
    │  ├─ AlreadyClaimedError
    │  ├─ CaseClosedError
    │  ├─ CaseOnHoldError
    │  ├─ DraftLimitError
    │  ├─ OriginalsGoneError
    │  ├─ MoveInProgressError
    │  ├─ OtherPatientError
    │  └─ RerunInProgressError
    ├─ VersionConflictError     → 412
    └─ StoreUnavailableError    → 503
       └─ SchemaMismatchError
"""

from dataclasses import dataclass

from deidentify.results import TextFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedPlace:
    """The field of a change that a text was typed into."""

    field: str
    index: int | None = None
    """Place among the tags."""
    study: int | None = None
    """Place among the studies of the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedFinding:
    """What the text screen found, and in which field."""

    place: TypedPlace
    finding: TextFinding


class CaseError(Exception):
    """Root of everything that ``cases`` raises; the message is a sentence without case text."""


class CaseNotFoundError(CaseError):
    """There is no such case, hold or user, or the viewer may not know of it."""


class BlobNotFoundError(CaseError):
    """There is no blob under this key."""


class ProfileNotKnownError(CaseError):
    """There is no such profile, or no such revision of one."""


class NotAllowedError(CaseError):
    """The viewer sees the case but may not do this to it."""


class InvalidChangeError(CaseError):
    """A change names an unknown study or a value that does not fit its field."""


class IdentifyingTextError(CaseError):
    """What was typed could identify somebody; ``findings`` says where and why."""

    def __init__(self, findings: tuple[TypedFinding, ...]) -> None:
        super().__init__(
            "what was typed could identify somebody: take out what errors names, then send the text again; "
            "nothing was changed"
        )
        self.findings = findings


class InvalidTransitionError(CaseError):
    """The state of the case does not allow this."""


class AlreadyClaimedError(InvalidTransitionError):
    """Somebody else owns the case by now."""


class CaseClosedError(InvalidTransitionError):
    """The case takes no more images: it was submitted, published or removed; a linked new draft has to be opened."""


class CaseOnHoldError(InvalidTransitionError):
    """The sender asked to wait for something, and the owner has not said that it happened."""


class DraftLimitError(InvalidTransitionError):
    """The owner has as many drafts as the owner may have."""


class OriginalsGoneError(InvalidTransitionError):
    """No original of what is asked for is there any more; the images of a case stay as they are."""


class MoveInProgressError(InvalidTransitionError):
    """Something else is being done with the images of one of the cases."""


class OtherPatientError(InvalidTransitionError):
    """The cases are not known to be of one patient."""


class RerunInProgressError(InvalidTransitionError):
    """Another re-run of the case is not finished."""


class VersionConflictError(CaseError):
    """Somebody else changed the case, or what a profile's name or a route means, since it was read."""


class StoreUnavailableError(CaseError):
    """The database or the blob store is out of reach; the same call may work later."""


class SchemaMismatchError(StoreUnavailableError):
    """The database was written by a newer version of this program."""
