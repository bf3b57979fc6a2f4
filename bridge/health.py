"""What the API tells of the installation's health: readiness and figures, without paths or identifiers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api.ports import Measurement
from bridge.engine import EngineClient
from bridge.peers import BridgePeers
from bridge.worker_leases import LEASE_PREFIX
from cases.blobs import BlobStore
from cases.errors import CaseError
from cases.store import Database, Intake, Leases
from scp.spool import Spool

OPEN_TO_ALL = "any sender is let in, whatever its AE title and address: for trials only"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeReadiness:
    """Says what keeps this installation from doing its work."""

    database: Database
    blobs: BlobStore
    spool: Spool
    peers: BridgePeers

    def faults(self) -> Sequence[str]:
        """Return a sentence for each fault; none when all is well."""
        faults = []
        try:
            with self.database.read() as session:
                has_worker = bool(Leases(session).live(LEASE_PREFIX, datetime.now(UTC)))
        except CaseError:
            return ("the database does not answer",)
        if not has_worker:
            faults.append("no worker runs: studies are received and wait")
        try:
            self.blobs.check()
        except CaseError:
            faults.append("the image store does not answer")
        try:
            if not self.spool.has_room():
                faults.append("the spool's disk is full up to the reserve: senders hear Out of Resources")
        except OSError:
            faults.append("the spool's folder is not there")
        return tuple(faults)

    def warnings(self) -> Sequence[str]:
        """Return a sentence for each thing that works and should not stay so."""
        return (OPEN_TO_ALL,) if self.peers.is_open() else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeMetrics:
    """The figures of intake, work and disk."""

    database: Database
    spool: Spool
    client: EngineClient

    def measurements(self) -> Iterable[Measurement]:
        """Return the present figures."""
        with self.database.read() as session:
            summary = Intake(session).summary()
        total = summary.total
        for state in (
            "stored", "refused", "in_progress", "in_draft", "waiting", "inbox", "submitted", "removed", "dropped",
            "held", "expired", "duplicate", "superseded",
        ):  # fmt: skip
            yield Measurement(
                name="casebridge_objects",
                help="Objects by where they are now.",
                value=getattr(total, state),
                labels={"state": state},
            )
        for reason, count in summary.held_by_reason.items():
            yield Measurement(
                name="casebridge_objects_held",
                help="Objects that wait for a person, by reason.",
                value=count,
                labels={"reason": reason},
            )
        for outcome, count in summary.associations.items():
            yield Measurement(
                name="casebridge_associations",
                help="Associations by how they ended.",
                value=count,
                labels={"outcome": outcome},
            )
        for state, count in self.client.counts().items():
            yield Measurement(
                name="casebridge_studies", help="Settled studies by state.", value=count, labels={"state": state}
            )
        yield Measurement(
            name="casebridge_spool_free_bytes", help="Free bytes on the spool's disk.", value=self.spool.free_bytes()
        )
