"""From a request to its status: what is stored, what is refused and why.

One :class:`RequestHandler` serves one association, on the thread that reads its socket. It touches nothing but the
spool and the association's journal.
"""

import logging
from collections.abc import Sequence

from scp.arrival import Arrival, ArrivalFacts
from scp.command import Command, Operation
from scp.commitment import CommitmentProvider, CommitmentReception
from scp.contexts import STORAGE_COMMITMENT, VERIFICATION, ContextAnswer, is_uid
from scp.errors import (
    CannotUnderstandError,
    DatasetMismatchError,
    ScpError,
    UnsupportedSOPClassError,
)
from scp.identity import HEAD_LIMITS, DataSetIdentity, HeadTooShortError, read_identity
from scp.incoming import Incoming, commit_all
from scp.journal import AssociationFacts, AssociationJournal
from scp.spool import Spool
from scp.status import Answer, Status, status_of

__all__ = ["Answer", "RequestHandler"]

_log = logging.getLogger("casebridge.scp")

_FIRST_LOOK_BYTES = 16 * 1024
"""Enough for nearly every object, and four times cheaper to read back than the first limit."""


class RequestHandler:
    """Answers the requests of one association.

    Parameters
    ----------
    spool
        Where objects go.
    facts
        Who sends.
    journal
        Where each answer is counted.
    contexts
        The answered presentation contexts, by id.
    commitment
        Serves storage commitment; None where it is off for this peer.
    """

    def __init__(
        self,
        spool: Spool,
        facts: AssociationFacts,
        journal: AssociationJournal,
        contexts: dict[int, ContextAnswer],
        *,
        commitment: CommitmentProvider | None = None,
    ) -> None:
        self._spool = spool
        self._facts = facts
        self._journal = journal
        self._contexts = contexts
        self._commitment = commitment

    def knows(self, context_id: int) -> bool:
        """Tell whether the peer proposed this context; if not, it breaks the protocol."""
        return context_id in self._contexts

    def begin(self, context_id: int, command: Command) -> "Reception | CommitmentReception":
        """Start to serve a request; its data set, if any, goes into the returned reception."""
        context = self._contexts[context_id]
        is_commitment = context.is_accepted and context.proposed.abstract_syntax == STORAGE_COMMITMENT
        if self._commitment is not None and is_commitment:
            return self._commitment.begin(context_id, context, command)
        return Reception(self, context, command)

    def take_response(self, response: Command) -> None:
        """Take the peer's response to a report of ours."""
        if self._commitment is not None:
            self._commitment.answered(response)

    def report(self, max_pdu_bytes: int) -> bytes:
        """Return the PDUs of a commitment report that is due on this association; mostly nothing."""
        return b"" if self._commitment is None else self._commitment.report(max_pdu_bytes)

    def end(self) -> None:
        """Leave what could not be reported to the workers: the association has ended."""
        if self._commitment is not None:
            self._commitment.abandon()

    def open_file(self, context: ContextAnswer, command: Command) -> Incoming:
        """Check an announced object and open its file.

        Raises
        ------
        ScpError
            If the object is refused before its data set arrives.
        """
        if not context.is_accepted or context.proposed.abstract_syntax == VERIFICATION:
            raise UnsupportedSOPClassError("This presentation context was not accepted for storage")
        sop_class, sop_instance = _text(command.sop_class), _text(command.identified_sop_instance)
        if sop_class != context.proposed.abstract_syntax:
            raise DatasetMismatchError(
                "The announced SOP Class is not that of the context", reason="class-not-of-context"
            )
        if not is_uid(sop_instance):
            raise CannotUnderstandError(
                "The announced SOP Instance UID is malformed", reason="malformed-announced-instance"
            )
        if not command.has_data_set:
            raise CannotUnderstandError("No data set was announced; send the object again", reason="no-data-set")
        return self._spool.begin(
            ArrivalFacts(
                sop_class_uid=sop_class,
                identified_sop_instance_uid=sop_instance,
                transfer_syntax_uid=context.transfer_syntax,
                calling_ae=self._facts.calling_ae,
                called_ae=self._facts.called_ae,
                peer_address=self._facts.peer_address,
                association_id=self._facts.association_id,
            )
        )

    def commit(self, receptions: Sequence["Reception"]) -> None:
        """Make durable what has wholly arrived, together; each reception learns what became of its own."""
        ready = [(reception, one) for reception in receptions if (one := reception.ready()) is not None]
        if ready:
            outcomes = commit_all([one for _, one in ready])
            for (reception, _), outcome in zip(ready, outcomes, strict=True):
                reception.committed(outcome)

    def receiving(self, study_key: str) -> None:
        """Say that an object of a study is on its way."""
        self._journal.receiving(study_key)

    def study_key(self, identity: DataSetIdentity) -> str:
        """Return the name of the study that a data set belongs to."""
        return self._spool.study_key(identity.identified_study_uid)

    def stored(self, context: ContextAnswer, size_bytes: int) -> Answer:
        """Count a durable object."""
        self._journal.stored()
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "An object was stored.",
                extra={
                    "association": self._facts.association_id,
                    "sop_class": context.proposed.abstract_syntax,
                    "bytes": size_bytes,
                },
            )
        return Answer(status=Status.SUCCESS)

    def refused(self, context: ContextAnswer, error: ScpError) -> Answer:
        """Count a refused object."""
        status = status_of(error)
        sop_class = context.proposed.abstract_syntax
        self._journal.refused(sop_class_uid=sop_class, status=status, reason=error.reason)
        _log.warning(
            "An object was refused.",
            extra={
                "association": self._facts.association_id,
                "sop_class": sop_class,
                "status": f"0x{status:04X}",
                "reason": error.reason,
            },
        )
        return Answer(status=status, comment=error.comment)

    def echoed(self) -> Answer:
        """Count a verification."""
        self._journal.echoed()
        return Answer(status=Status.SUCCESS)


class Reception:
    """One request, its data set, and its answer."""

    def __init__(self, handler: RequestHandler, context: ContextAnswer, command: Command) -> None:
        self._handler = handler
        self._context = context
        self._command = command
        self._incoming: Incoming | None = None
        self._error: ScpError | None = None
        self._outcome: Arrival | ScpError | None = None
        self._identity: DataSetIdentity | None = None
        self._study_key = ""
        self._looks = [_FIRST_LOOK_BYTES, *HEAD_LIMITS]
        if command.operation == Operation.C_STORE:
            try:
                self._incoming = handler.open_file(context, command)
            except ScpError as error:
                self._error = error

    @property
    def command(self) -> Command:
        """The request."""
        return self._command

    def write(self, data: memoryview) -> None:
        """Take bytes of the data set; those of a refused object are read and dropped."""
        if self._incoming is None:
            return
        try:
            self._incoming.write(data)
            if self._looks and self._incoming.data_bytes >= self._looks[0]:
                self._look(is_whole=False)
                if self._identity is not None:
                    self._study_key = self._handler.study_key(self._identity)
            if self._study_key:
                self._handler.receiving(self._study_key)
        except ScpError as error:
            self._refuse(error)

    def ready(self) -> tuple[Incoming, str] | None:
        """Return what has wholly arrived and is to be made durable, with its Study Instance UID; None where nothing."""
        if self._incoming is None or self._outcome is not None:
            return None
        try:
            while self._identity is None:
                self._look(is_whole=True)
        except ScpError as error:
            self._refuse(error)
            return None
        return self._incoming, self._identity.identified_study_uid

    def committed(self, outcome: Arrival | ScpError) -> None:
        """Take what became of the object: durable now, or refused."""
        self._outcome = outcome
        if isinstance(outcome, ScpError):
            self._refuse(outcome)

    def finish(self) -> Answer:
        """Return the answer: Success only for an object that is durable."""
        if self._command.operation == Operation.C_ECHO:
            return self._handler.echoed()
        if self._command.operation != Operation.C_STORE:
            return Answer(status=Status.UNRECOGNIZED_OPERATION, comment="Only C-STORE and C-ECHO are served here")
        if isinstance(self._outcome, Arrival):
            return self._handler.stored(self._context, self._outcome.size_bytes)
        assert self._error is not None
        return self._handler.refused(self._context, self._error)

    def abandon(self) -> None:
        """Drop what has arrived: the association ended in the middle of it."""
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None

    def _refuse(self, error: ScpError) -> None:
        self._error = error
        self.abandon()

    def _look(self, *, is_whole: bool) -> None:
        assert self._incoming is not None
        limit = self._looks.pop(0)
        head = self._incoming.read_head(limit)
        is_all = is_whole and self._incoming.data_bytes <= limit
        try:
            identity = read_identity(head, self._context.transfer_syntax, is_whole=is_all)
        except HeadTooShortError:
            if is_all or not self._looks:
                raise CannotUnderstandError(
                    "The data set does not show its UIDs at its beginning", reason="uids-not-at-beginning"
                ) from None
            return
        if identity.sop_class_uid != _text(self._command.sop_class):
            raise DatasetMismatchError("The data set is of another SOP Class than announced", reason="other-class")
        if identity.identified_sop_instance_uid != _text(self._command.identified_sop_instance):
            raise DatasetMismatchError("The data set is another SOP Instance than announced", reason="other-instance")
        self._identity = identity
        self._looks.clear()
        self._incoming.require_study_room(identity.identified_study_uid)


def _text(uid: bytes) -> str:
    return uid.decode("latin-1").strip(" \0")
