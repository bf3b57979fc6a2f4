"""One accepted association: admission, negotiation, and how it ended.

Subclasses of pynetdicom's association and ACSE that decide by our rules instead of its lists.
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    A_RELEASE,
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from scp.arrival import new_arrival_id
from scp.commitment import CommitmentProvider
from scp.connection import Connection, ListenerKind
from scp.contexts import STORAGE_COMMITMENT, ContextAnswer, ProposedContext, answer_contexts
from scp.handlers import RequestHandler
from scp.journal import AssociationFacts, AssociationJournal, ContextRecord, Outcome
from scp.peers import CommitmentRule, PeerRulesFile, Refusal, judge, matching_rule
from scp.receive import MessageAssembler, ReceivingDUL
from scp.rejections import Rejections
from scp.spool import Spool
from scp.tls import TLS_ON_PLAIN_PORT, HandshakeError, ServerCertificate, is_tls_greeting, secure

__all__ = ["Admission", "ReceivingAssociation"]

_log = logging.getLogger("casebridge.scp")

_WAIT_S = 0.25
_END_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What decides over an association request, and where its traces go."""

    spool: Spool
    peers: PeerRulesFile
    rejections: Rejections
    own_ae: str
    max_pdu_bytes: int
    max_operations: int
    pdu_timeout_s: float
    certificate: ServerCertificate | None
    """What encrypted connections are begun with, None where there are none."""
    is_stopping: Callable[[], bool]

    def refusal(self, facts: AssociationFacts) -> Refusal | None:
        """Return why a request is refused, None where it is not."""
        if self.is_stopping():
            return Refusal.STOPPING
        refusal = judge(
            self.peers.rules(),
            calling_ae=facts.calling_ae,
            called_ae=facts.called_ae,
            address=facts.peer_address,
            own_ae=self.own_ae,
            certificate=facts.certificate,
            is_tls=bool(facts.tls),
        )
        if refusal is not None:
            return refusal
        try:
            return None if self.spool.has_room() else Refusal.DISK_RESERVE
        except OSError:
            return Refusal.DISK_RESERVE

    def commitment(self, facts: AssociationFacts) -> CommitmentRule | None:
        """Return where storage commitment reports for a peer go, None where it is off for this peer."""
        rule = matching_rule(
            self.peers.rules(),
            calling_ae=facts.calling_ae,
            address=facts.peer_address,
            certificate=facts.certificate,
        )
        return None if rule is None else rule.commitment


class _Acceptance(ACSE):  # type: ignore[misc] # pynetdicom has no types
    """Answers an A-ASSOCIATE request."""

    def _negotiate_as_acceptor(self) -> None:
        association: ReceivingAssociation = self.assoc
        request = self.requestor.primitive
        self.requestor.ae_title = request.calling_ae_title
        association.facts = replace(
            association.facts,
            calling_ae=request.calling_ae_title.strip(),
            called_ae=request.called_ae_title.strip(),
        )
        commitment = association.admission.commitment(association.facts)
        answers = answer_contexts(_proposed(request), is_commitment_on=commitment is not None)
        association.facts = replace(association.facts, contexts=tuple(_context_record(answer) for answer in answers))
        refusal = association.admission.refusal(association.facts) or association.connection.refusal
        refusal = refusal or association.open_journal()
        if refusal is not None:
            self._reject(association, refusal)
            return
        results = [_negotiated(answer) for answer in answers]
        association.set_contexts(results)
        self._answer_roles()
        association.serve({answer.proposed.context_id: answer for answer in answers}, commitment)
        self.send_accept()
        association.is_established = True

    def _answer_roles(self) -> None:
        """Take the roles that a requester proposes for storage commitment (PS3.7 §D.3.3.4): it asks, we provide."""
        proposed = self.requestor.role_selection.get(STORAGE_COMMITMENT)
        if proposed is not None:
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid = STORAGE_COMMITMENT
            role.scu_role, role.scp_role = proposed.scu_role, False
            self.acceptor.add_negotiation_item(role)

    def _reject(self, association: "ReceivingAssociation", refusal: Refusal) -> None:
        association.connection.ended()
        self.send_reject(*refusal.answer)
        association.admission.rejections.note(association.facts, refusal)
        _log.warning(
            "An association was rejected.",
            extra={
                "rule": refusal.value,
                "calling_ae": association.facts.calling_ae,
                "called_ae": association.facts.called_ae,
                "peer": association.facts.peer_address,
                "certificate": association.facts.certificate.text if association.facts.certificate else "",
            },
        )
        evt.trigger(association, evt.EVT_REJECTED, {})
        association.kill()


class ReceivingAssociation(Association):  # type: ignore[misc] # pynetdicom has no types
    """An association that a peer asked us for."""

    def __init__(self, ae: AE, admission: Admission, connection: Connection) -> None:
        super().__init__(ae, "acceptor")
        self.admission = admission
        self.connection = connection
        self.association_id = new_arrival_id()
        self.facts = AssociationFacts(
            association_id=self.association_id,
            calling_ae="",
            called_ae="",
            peer_address=connection.address,
            started_at=datetime.now(UTC),
        )
        self.abort_reason = ""
        self._journal: AssociationJournal | None = None
        self._kill: bool = False
        self.acse = _Acceptance(self)
        self.dul = ReceivingDUL(self, max_pdu_bytes=admission.max_pdu_bytes, pdu_timeout_s=admission.pdu_timeout_s)
        # The timers live in the service provider, which has just been replaced.
        self.acse_timeout = ae.acse_timeout
        self.network_timeout = ae.network_timeout

    def open_journal(self) -> Refusal | None:
        """Start the journal; return why that cannot be."""
        try:
            self._journal = self.admission.spool.journal.open(self.facts)
        except OSError:
            return Refusal.DISK_RESERVE
        return None

    def set_contexts(self, results: list[PresentationContext]) -> None:
        """Set what the A-ASSOCIATE-AC will say."""
        self._accepted_cx = {context.context_id: context for context in results if context.result == 0}
        self._rejected_cx = [context for context in results if context.result != 0]

    def serve(self, contexts: dict[int, ContextAnswer], commitment: CommitmentRule | None) -> None:
        """Let data in as soon as the acceptance is sent."""
        assert self._journal is not None
        spool = self.admission.spool
        provider = None
        if commitment is not None:
            provider = CommitmentProvider(spool.commitments, self.facts, reports_to=commitment, has_room=spool.has_room)
        window = self._window()
        handler = RequestHandler(spool, self.facts, self._journal, contexts, commitment=provider)
        self.dul.messages = MessageAssembler(handler, self.requestor.maximum_length or 0, window=window)

    def _window(self) -> int:
        """Agree on an asynchronous operations window (PS3.7 §D.3.3.3): requests of the peer's, one of ours."""
        asked, _ = self.requestor.asynchronous_operations
        if asked == 1:
            return 1
        most = self.admission.max_operations
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked = min(asked or most, most)  # 0 asks for any number
        item.maximum_number_operations_performed = 1
        self.acceptor.add_negotiation_item(item)
        return int(item.maximum_number_operations_invoked)

    def run_reactor(self) -> None:
        """Serve the association from its request to its end, and leave nothing half done behind."""
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - the text of pynetdicom's errors can hold what was sent
            _log.warning("An association broke off.", extra={"error": type(error).__name__})
        finally:
            self.close_transport(wait_s=_END_S)
            self.connection.ended()
            if self._journal is not None:
                if self.is_released:
                    self._journal.end(Outcome.RELEASED)
                else:
                    self._journal.end(Outcome.ABORTED, self.abort_reason or "connection-lost")

    def _serve(self) -> None:
        if not self._greet():
            return
        self.dul.start()
        self._started_dul = True
        self._dul_ready.wait()
        request = self._wait_for_request()
        if request is None:
            self.connection.ended()
            if self.dul.has_received:
                self.admission.rejections.note(self.facts, Refusal.UNREADABLE_REQUEST)
            self.kill()
            return
        self.requestor.primitive = request
        self.acse.negotiate_association()
        if self.is_established:
            self._run_reactor()

    def _greet(self) -> bool:
        """Do the handshake on a port for TLS, and notice one on any other; return whether to go on."""
        rule = self._secure() if self.connection.kind is ListenerKind.TLS else self._look()
        if rule is None:
            return False
        if rule:
            self.connection.ended()
            self.admission.rejections.note(self.facts, rule)
            _log.warning("A connection came to nothing.", extra={"rule": rule, "peer": self.facts.peer_address})
            return False
        self.dul.socket.socket.settimeout(self.admission.pdu_timeout_s)
        return True

    def _look(self) -> str | None:
        """Return what is wrong with how the peer begins, empty where nothing is, None where it does not begin."""
        is_tls = is_tls_greeting(self.connection.socket, timeout_s=self.acse_timeout)
        if is_tls is None:
            return None
        return TLS_ON_PLAIN_PORT if is_tls else ""

    def _secure(self) -> str | None:
        """Do the handshake; return why it failed, empty where it did not, None where the peer did not begin."""
        assert self.admission.certificate is not None
        try:
            secured = secure(
                self.connection.socket,
                self.admission.certificate.context(),
                timeout_s=self.acse_timeout,
                on_wrapped=self._replace_socket,
            )
        except HandshakeError as error:
            return error.fault.rule if error.fault else None
        self.facts = replace(self.facts, tls=secured.version, certificate=secured.certificate)
        return ""

    def _replace_socket(self, connection: socket.socket) -> None:
        self.dul.socket.socket = connection

    def _wait_for_request(self) -> A_ASSOCIATE | None:
        deadline = time.monotonic() + self.acse_timeout
        while self.dul.is_alive() and time.monotonic() < deadline:
            primitive = self.dul.receive_pdu(wait=True, timeout=_WAIT_S)
            if primitive is not None:
                return primitive if isinstance(primitive, A_ASSOCIATE) else None
        return None

    def _run_reactor(self) -> None:
        """Wait for the end of the association; objects are served by the other thread."""
        self._is_paused = False
        while not self._kill:
            primitive = self.dul.receive_pdu(wait=True, timeout=_WAIT_S)
            if isinstance(primitive, A_RELEASE) and primitive.result is None:
                self.connection.ended()
                self.acse.send_release(is_response=True)
                self.is_released, self.is_established = True, False
                self.kill()
            elif isinstance(primitive, A_ABORT | A_P_ABORT):
                if isinstance(primitive, A_ABORT):
                    self.abort_reason = self.abort_reason or "aborted-by-peer"
                self.connection.ended()
                self.is_aborted, self.is_established = True, False
                self.kill()
            elif not self.dul.is_alive():
                self._kill = True
            elif not self.dul.is_busy and self.dul.idle_timer_expired():  # in this order: what was busy starts it again
                self.abort_reason = "silent-too-long"
                self.abort()

    def kill(self) -> None:
        """End both threads; a service provider that does not end by itself loses its connection."""
        self._reactor_checkpoint.set()
        self._kill = True
        self.is_established = False
        self._is_paused = True
        deadline = time.monotonic() + _END_S
        while self.dul.is_alive() and not self.dul.stop_dul() and time.monotonic() < deadline:
            self.dul.join(timeout=0.01)

    def close_transport(self, *, wait_s: float) -> None:
        """Close the connection and wait for the thread that reads it."""
        sock = self.dul.socket
        # Asked for once: the other thread may let go of it meanwhile.
        connection = None if sock is None else sock.socket
        if self.dul.is_alive():
            self.dul.kill_dul()
            self.dul.join(timeout=0.2)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if self.dul.is_alive():
                # Closed only now: a descriptor that is still read from may not become another connection's.
                self.dul.join(timeout=wait_s)
            with suppress(OSError):
                connection.close()
        elif self.dul.is_alive():
            self.dul.join(timeout=wait_s)


def _proposed(request: A_ASSOCIATE) -> tuple[ProposedContext, ...]:
    return tuple(
        ProposedContext(
            context_id=context.context_id,
            abstract_syntax=str(context.abstract_syntax or ""),
            transfer_syntaxes=tuple(str(uid) for uid in context.transfer_syntax),
        )
        for context in request.presentation_context_definition_list
    )


def _context_record(answer: ContextAnswer) -> ContextRecord:
    return ContextRecord(
        abstract_syntax=answer.proposed.abstract_syntax,
        transfer_syntaxes=answer.proposed.transfer_syntaxes,
        accepted=answer.transfer_syntax if answer.is_accepted else None,
    )


def _negotiated(answer: ContextAnswer) -> Any:
    context = PresentationContext()
    context.context_id = answer.proposed.context_id
    context.abstract_syntax = answer.proposed.abstract_syntax
    # PS3.8 Table 9-18: a transfer syntax is there, but means nothing, where the context is declined.
    first = answer.proposed.transfer_syntaxes[:1]
    context.transfer_syntax = [answer.transfer_syntax or (first[0] if first else "1.2.840.10008.1.2")]
    context.result = answer.result
    context._as_scp, context._as_scu = True, False  # noqa: SLF001
    return context
