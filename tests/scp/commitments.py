"""A requester of storage commitment, and a worker that decides, for the tests of what lies between them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from scp.commitment_data import FailedReference, FailureReason, Reference
from scp.commitment_files import CommitmentResult
from scp.peers import CommitmentRule, PeerRule, PeerRules, write_peer_rules
from scp.spool import Spool
from tests.scp.objects import CT

PUSH = "1.2.840.10008.1.20.1"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
TRANSACTION = "2.25.7001"
REPORTS_TO = CommitmentRule(host="127.0.0.1", port=11999)


def allow(spool: Spool, commitment: CommitmentRule | None = REPORTS_TO, *, calling: str = "TESTSCU") -> None:
    """Write the peer rules: one peer, with storage commitment or without."""
    spool.root.mkdir(mode=0o700, exist_ok=True)
    rule = PeerRule(calling_ae=calling, addresses=("127.0.0.1",), commitment=commitment)
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=(rule,)))


def action_information(*instances: str, transaction: str | None = TRANSACTION, sop_class: str = CT) -> Dataset:
    data = Dataset()
    if transaction is not None:
        data.TransactionUID = transaction
    items = []
    for instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = instance
        items.append(item)
    data.ReferencedSOPSequence = items
    return data


def events(received: list[tuple[int, Dataset]], status: int = 0x0000) -> list[tuple[Any, Callable[[Any], Any]]]:
    """Return handlers that keep what is reported and answer with a status."""

    def keep(event: Any) -> tuple[int, None]:
        received.append((event.event_type, event.event_information))
        return status, None

    return [(evt.EVT_N_EVENT_REPORT, keep)]


def associate(port: int, received: list[tuple[int, Dataset]], *, status: int = 0, role: bool = False) -> Association:
    """Open an association for storage commitment, as a modality does."""
    entity = AE(ae_title="TESTSCU")
    entity.add_requested_context(PUSH)
    return entity.associate(
        "127.0.0.1",
        port,
        ae_title="CASEBRIDGE",
        evt_handlers=events(received, status),
        ext_neg=[build_role(PUSH, scu_role=True)] if role else [],
    )


def ask(association: Association, information: Dataset) -> int:
    """Send an N-ACTION and return the status of its response."""
    response, _ = association.send_n_action(information, 1, PUSH, WELL_KNOWN)
    return int(response.Status)


def decide(spool: Spool, *, failing: tuple[str, ...] = ()) -> str:
    """Decide the oldest request as a worker does; return its id."""
    request_id = spool.commitments.requests()[0]
    request = spool.commitments.read_request(request_id)
    failed = tuple(
        FailedReference(reference=one, reason=FailureReason.NO_SUCH_OBJECT_INSTANCE)
        for one in request.references
        if one.identified_sop_instance_uid in failing
    )
    spool.commitments.decide(
        CommitmentResult(
            request_id=request_id,
            identified_transaction_uid=request.identified_transaction_uid,
            succeeded=tuple(one for one in request.references if one not in {fail.reference for fail in failed}),
            failed=failed,
            calling_ae=request.calling_ae,
            called_ae=request.called_ae,
            peer_address=request.peer_address,
            association_id=request.association_id,
            reports_to=request.reports_to,
            decided_at=datetime.now(UTC),
        )
    )
    return request_id


def reference(instance: str, sop_class: str = CT) -> Reference:
    return Reference(sop_class_uid=sop_class, identified_sop_instance_uid=instance)


def references_in(sequence: Any) -> list[tuple[str, str]]:
    return [(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in sequence]
