"""What can go wrong with a case.

::

    CaseError
    ├─ CaseNotFoundError        → 404
    ├─ BlobNotFoundError        → 404
    ├─ DamagedBlobError         → 500
    ├─ ProfileNotKnownError     → 404
    ├─ NotListableError         → 422
    ├─ NotAllowedError          → 403
    ├─ InvalidChangeError       → 422
    ├─ IdentifyingTextError     → 422
    ├─ InvalidTransitionError   → 409
    │  ├─ AlreadyClaimedError
    │  ├─ CaseClosedError
    │  ├─ DocumentsNotKeptError
    │  ├─ DraftLimitError
    │  ├─ NotReadyError
    │  ├─ OriginalsGoneError
    │  ├─ MoveInProgressError
    │  ├─ OtherPatientError
    │  ├─ PendingLimitError
    │  ├─ RerunInProgressError
    │  └─ UnlistedLimitError
    ├─ LastAdministratorError   → 409
    ├─ RepeatedRequestError     → 409
    │  ├─ AnswerNotKeptError
    │  ├─ AttemptOverError
    │  └─ RequestRunningError
    ├─ KeyReusedError           → 422
    ├─ SignInRefusedError       → 401
    ├─ SignInPausedError        → 429
    ├─ VersionConflictError     → 412
    └─ StoreUnavailableError    → 503
       └─ SchemaMismatchError
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidentify.results import TextFinding

if TYPE_CHECKING:
    from cases.publication import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedPlace:
    """The field of a change that a text was typed into."""

    field: str
    index: int | None = None
    """Place among the tags."""
    study: int | None = None
    """Place among the studies of the change."""
    series: int | None = None
    """Place among the series of the change."""


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


class DamagedBlobError(CaseError):
    """A stored file is not the one that was filed: nobody is given it."""


class NotListableError(CaseError):
    """An object of a case cannot stand in a DICOM directory."""


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


class DocumentsNotKeptError(InvalidTransitionError):
    """No documents of consents are kept here: there is no key to seal them to."""


class DraftLimitError(InvalidTransitionError):
    """The owner has as many drafts as the owner may have."""


class UnlistedLimitError(InvalidTransitionError):
    """The owner has as many unlisted cases as the owner may have."""


class PendingLimitError(InvalidTransitionError):
    """The owner has as many cases in review as somebody may have who is not trusted yet."""


class NotReadyError(InvalidTransitionError):
    """The case lacks something that others may expect, or privacy demands; ``faults`` says what to do."""

    def __init__(self, faults: "tuple[Fault, ...]") -> None:
        super().__init__("the case is not ready: do what errors names, then try again; nothing was changed")
        self.faults = faults


class OriginalsGoneError(InvalidTransitionError):
    """No original of what is asked for is there any more; the images of a case stay as they are."""


class MoveInProgressError(InvalidTransitionError):
    """Something else is being done with the images of one of the cases."""


class OtherPatientError(InvalidTransitionError):
    """The cases are not known to be of one patient."""


class RerunInProgressError(InvalidTransitionError):
    """Another re-run of the case is not finished."""


class LastAdministratorError(CaseError):
    """Nobody could administer any more."""


class SignInRefusedError(CaseError):
    """Name and password are not those of an account that may sign in; which of them is wrong is not said."""


class SignInPausedError(CaseError):
    """Too many attempts failed, or are being made: none is looked at for a while.

    Parameters
    ----------
    message : str
        A sentence.
    retry_after_s : int
        Seconds until another attempt is looked at.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RepeatedRequestError(CaseError):
    """A request came under the key of an earlier one, and cannot be answered like that one."""


class AnswerNotKeptError(RepeatedRequestError):
    """The earlier request was done; its answer is not there."""


class AttemptOverError(RepeatedRequestError):
    """The request took so long that a later one under its key was begun; nothing of it is kept."""


class RequestRunningError(RepeatedRequestError):
    """The earlier request is not answered yet."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("a request under this key is not answered yet: send it again in a moment")
        self.retry_after_s = retry_after_s


class KeyReusedError(CaseError):
    """The key belongs to another request."""


class VersionConflictError(CaseError):
    """Somebody else changed the case, or what a profile's name or a route means, since it was read."""


class StoreUnavailableError(CaseError):
    """The database or the blob store is out of reach; the same call may work later."""


class SchemaMismatchError(StoreUnavailableError):
    """The database was written by a newer version of this program."""
