"""Reports of storage commitment on an association of our own (PS3.4 §J.3.3): we ask for it, and for the role of SCP."""

import socket
from io import BytesIO

from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from scp.commitment import COMMITMENT_INSTANCE
from scp.commitment_data import encode_event
from scp.commitment_files import CommitmentResult
from scp.contexts import STORAGE_COMMITMENT
from scp.peers import CommitmentRule
from scp.requestor import HANDLERS, exchange, is_listening, keep_socket, new_entity
from scp.server import silence_libraries
from scp.status import Status

__all__ = ["UNANSWERED", "UNREACHABLE", "report_commitment"]

UNREACHABLE = "nothing-listens"
NO_ASSOCIATION = "no-association"
UNANSWERED = "no-answer"
DECLINED = "context-declined"
_TIMEOUT_S = 60.0
_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


def report_commitment(result: CommitmentResult, destination: CommitmentRule, *, timeout_s: float = _TIMEOUT_S) -> str:
    """Report a result to the peer that asked; return why it was not taken as a short code, nothing where it was.

    Parameters
    ----------
    result
        What is reported. We call with the AE title that the peer called us by.
    destination
        Where the peer takes reports.
    timeout_s
        How long the peer may be silent.
    """
    silence_libraries()
    if not is_listening(destination.host, destination.port):
        return UNREACHABLE
    sockets: list[socket.socket] = []
    association = new_entity(result.called_ae, timeout_s=timeout_s).associate(
        destination.host,
        destination.port,
        contexts=[build_context(STORAGE_COMMITMENT, _SYNTAXES)],
        ae_title=destination.ae_title or result.calling_ae,
        ext_neg=[build_role(STORAGE_COMMITMENT, scp_role=True)],
        evt_handlers=[*HANDLERS, (evt.EVT_CONN_OPEN, keep_socket, [sockets])],
    )
    try:
        return _report(association, result, timeout_s)
    finally:
        if association.is_established:
            association.release()
        for one in sockets:
            one.close()


def _report(association: Association, result: CommitmentResult, timeout_s: float) -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"rejected-{answer.result}-{answer.result_source}-{answer.diagnostic}"
    if not association.is_established:
        # pynetdicom gives an association up whose every context was declined.
        return DECLINED if association.rejected_contexts else NO_ASSOCIATION
    context = association.accepted_contexts[0]
    request = N_EVENT_REPORT()
    request.MessageID = 1
    request.AffectedSOPClassUID = STORAGE_COMMITMENT
    request.AffectedSOPInstanceUID = COMMITMENT_INSTANCE
    request.EventTypeID = result.event_type
    request.EventInformation = BytesIO(
        encode_event(
            result.identified_transaction_uid,
            result.succeeded,
            result.failed,
            transfer_syntax=str(context.transfer_syntax[0]),
        )
    )
    response = exchange(association, request, context.context_id, timeout_s=timeout_s)
    status = getattr(response, "Status", None)
    if status is None:
        return UNANSWERED
    return "" if status == Status.SUCCESS else f"answered-0x{status:04X}"
