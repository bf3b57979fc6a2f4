"""Storage Commitment Push Model SCP on the association of the requester.

A request (N-ACTION) is answered as soon as it is durable; what becomes of it, a worker decides. As long as the
association is open, the result is reported on it (N-EVENT-REPORT), between two messages of the peer. A report that
the peer does not take there is left to a worker, who reports on a new association.

References
----------
PS3.4 Annex J; PS3.7 §10.1.1 and §10.1.4.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from scp.arrival import new_arrival_id
from scp.command import Command, Operation, encode_event_report, pdata
from scp.commitment_data import (
    MAX_ACTION_BYTES,
    MalformedActionError,
    TooManyReferencesError,
    encode_event,
    read_action,
)
from scp.commitment_files import ClaimedResult, CommitmentFiles, CommitmentRequest
from scp.contexts import STORAGE_COMMITMENT, ContextAnswer
from scp.journal import AssociationFacts
from scp.peers import CommitmentRule
from scp.status import Answer, Status

__all__ = ["COMMITMENT_INSTANCE", "CommitmentProvider", "CommitmentReception"]

_log = logging.getLogger("casebridge.scp")

COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The one SOP Instance of the class (PS3.4 §J.3.5)."""

_TOO_MANY = Answer(status=Status.RESOURCE_LIMITATION, comment="Too many instances; ask for fewer at once")
_REQUEST_COMMITMENT = 1
_LOOK_S = 0.2
_MAX_MESSAGE_ID = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenRequest:
    request_id: str
    context_id: int
    transfer_syntax: str


class CommitmentProvider:
    """Serves the commitment requests of one association; used on the thread that reads its socket.

    Parameters
    ----------
    files
        Where requests go and results come from.
    facts
        Who asks.
    reports_to
        Where reports for this peer go once the association has ended.
    has_room
        Whether the spool's disk has room left.
    """

    def __init__(
        self,
        files: CommitmentFiles,
        facts: AssociationFacts,
        *,
        reports_to: CommitmentRule,
        has_room: Callable[[], bool],
    ) -> None:
        self._files = files
        self._facts = facts
        self._reports_to = reports_to
        self._has_room = has_room
        self._open: list[_OpenRequest] = []
        self._claimed: ClaimedResult | None = None
        self._message_id = 0
        self._look_at = 0.0

    def begin(self, context_id: int, context: ContextAnswer, command: Command) -> "CommitmentReception":
        """Start to serve a request on a commitment context."""
        return CommitmentReception(self, context_id, context, command)

    # -- N-ACTION ----------------------------------------------------------------------------------------------------

    def accept(self, context_id: int, context: ContextAnswer, command: Command, data: bytes | None) -> Answer:
        """Check a request and make it durable; return the answer, Success only after that.

        Parameters
        ----------
        context_id, context
            Its presentation context.
        command
            The N-ACTION request.
        data
            Its Action Information; None where that is longer than is read.
        """
        answer = _fault(command) or self._keep(context_id, context, data)
        if answer.status is not Status.SUCCESS:
            _log.warning(
                "A storage commitment request was refused.",
                extra={"association": self._facts.association_id, "status": f"0x{answer.status:04X}"},
            )
        return answer

    def _keep(self, context_id: int, context: ContextAnswer, data: bytes | None) -> Answer:
        if data is None:
            return _TOO_MANY
        try:
            transaction, references = read_action(data, context.transfer_syntax)
        except TooManyReferencesError:
            return _TOO_MANY
        except MalformedActionError:
            return Answer(status=Status.INVALID_ARGUMENT, comment="Transaction UID or Referenced SOP Sequence is amiss")
        request = CommitmentRequest(
            request_id=new_arrival_id(),
            identified_transaction_uid=transaction,
            references=references,
            calling_ae=self._facts.calling_ae,
            called_ae=self._facts.called_ae,
            peer_address=self._facts.peer_address,
            association_id=self._facts.association_id,
            reports_to=self._reports_to,
            received_at=datetime.now(UTC),
        )
        try:
            if not (self._has_room() and self._files.has_room()):
                return Answer(status=Status.RESOURCE_LIMITATION, comment="No room for the request; ask again later")
            self._files.keep(request)
        except OSError:
            return Answer(status=Status.PROCESSING_FAILURE, comment="The request cannot be kept; ask again later")
        self._open.append(
            _OpenRequest(request_id=request.request_id, context_id=context_id, transfer_syntax=context.transfer_syntax)
        )
        _log.info(
            "Storage commitment was requested.",
            extra={"association": self._facts.association_id, "instances": len(references)},
        )
        return Answer(status=Status.SUCCESS)

    # -- N-EVENT-REPORT ----------------------------------------------------------------------------------------------

    def report(self, max_pdu_bytes: int) -> bytes:
        """Return the PDUs of a report that is due; nothing where none is, or the peer has one to answer.

        Parameters
        ----------
        max_pdu_bytes
            The longest variable field that the peer takes; 0 means any.
        """
        if not self._open or self._claimed is not None or time.monotonic() < self._look_at:
            return b""
        self._look_at = time.monotonic() + _LOOK_S
        for request in self._open:
            try:
                claimed = self._files.claim(request.request_id)
            except OSError as error:
                _log.warning("A result of storage commitment cannot be read now.", extra={"errno": error.errno})
                return b""
            if claimed is not None:
                self._open.remove(request)
                self._claimed = claimed
                return self._encode(request, claimed, max_pdu_bytes)
        return b""

    def _encode(self, request: _OpenRequest, claimed: ClaimedResult, max_pdu_bytes: int) -> bytes:
        self._message_id = self._message_id % _MAX_MESSAGE_ID + 1
        command = encode_event_report(
            STORAGE_COMMITMENT,
            COMMITMENT_INSTANCE,
            message_id=self._message_id,
            event_type=claimed.result.event_type,
        )
        data = encode_event(
            claimed.result.identified_transaction_uid,
            claimed.result.succeeded,
            claimed.result.failed,
            transfer_syntax=request.transfer_syntax,
        )
        return pdata(request.context_id, command, max_pdu_bytes) + pdata(
            request.context_id, data, max_pdu_bytes, is_data=True
        )

    def answered(self, response: Command) -> None:
        """Take the peer's response to a report; whatever else it answers is nothing that we asked."""
        if self._claimed is None or response.message_id != self._message_id:
            return
        claimed, self._claimed = self._claimed, None
        if response.status == Status.SUCCESS:
            claimed.taken()
            return
        _log.warning(
            "A peer did not take a report of storage commitment; it is tried again on a new association.",
            extra={"association": self._facts.association_id, "status": f"0x{response.status or 0:04X}"},
        )
        claimed.give_back()

    def abandon(self) -> None:
        """Leave what is not reported to the workers: the association has ended."""
        self._open.clear()
        claimed, self._claimed = self._claimed, None
        if claimed is not None:
            # What cannot be given back now is found by its lock, which nobody holds any more.
            with suppress(OSError):
                claimed.give_back()


def _fault(command: Command) -> Answer | None:
    """Return what is wrong with a command on a commitment context, before its data set is looked at."""
    if command.operation != Operation.N_ACTION:
        return Answer(status=Status.UNRECOGNIZED_OPERATION, comment="Only N-ACTION is served on this context")
    if _uid(command.sop_class) != STORAGE_COMMITMENT:
        return Answer(status=Status.NO_SUCH_CLASS, comment="The SOP Class is not Storage Commitment Push Model")
    if _uid(command.identified_sop_instance) != COMMITMENT_INSTANCE:
        return Answer(status=Status.NO_SUCH_INSTANCE, comment="The SOP Instance is not the well-known one")
    if command.action_type != _REQUEST_COMMITMENT:
        return Answer(status=Status.NO_SUCH_ACTION, comment="Only action type 1 is served: request commitment")
    if not command.has_data_set:
        return Answer(status=Status.INVALID_ARGUMENT, comment="No Action Information was announced; send it")
    return None


def _uid(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


class CommitmentReception:
    """One request on a commitment context, its data set, and its answer."""

    def __init__(self, provider: CommitmentProvider, context_id: int, context: ContextAnswer, command: Command) -> None:
        self._provider = provider
        self._context_id = context_id
        self._context = context
        self._command = command
        self._data: bytearray | None = bytearray()

    @property
    def command(self) -> Command:
        """The request."""
        return self._command

    def write(self, data: memoryview) -> None:
        """Take bytes of the data set; of one that is too long, nothing is kept."""
        if self._data is None:
            return
        if len(self._data) + len(data) > MAX_ACTION_BYTES:
            self._data = None
            return
        self._data += data

    def finish(self) -> Answer:
        """Make the request durable, or say why not."""
        data = None if self._data is None else bytes(self._data)
        self._data = None
        return self._provider.accept(self._context_id, self._context, self._command, data)

    def abandon(self) -> None:
        """Drop what has arrived: the association ended in the middle of it."""
        self._data = None
