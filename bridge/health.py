"""What the API tells of the installation's health: readiness and figures, without paths or identifiers."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.ports import Measurement
from bridge.engine import EngineClient
from bridge.handshakes import certificate_ends_at, certificate_warnings
from bridge.peers import BridgePeers, warnings_of
from bridge.worker_leases import LEASE_PREFIX
from cases.blobs import BlobStore
from cases.commitments import CommitmentSummary
from cases.errors import CaseError
from cases.intake import IntakeFigures
from cases.store import Commitments, Database, Intake, Leases
from scp.spool import Spool

LOW_WATERMARK_RESERVES = 1
"""So many times the reserve must be free above it, or a warning is given."""
FIGURES_KEPT_S = 5.0
"""How long the totals of the intake are good for, at least."""
COST_FACTOR = 20.0
"""They are good for so many times as long as it took to count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeReadiness:
    """Says what keeps this installation from doing its work."""

    database: Database
    blobs: BlobStore
    spool: Spool
    peers: BridgePeers
    tls_certificate_file: Path | None = None

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
        return (
            *self._disk_warnings(),
            *warnings_of(self.peers),
            *certificate_warnings(self.tls_certificate_file),
        )

    def _disk_warnings(self) -> Sequence[str]:
        with suppress(OSError):  # a folder that is not there is a fault, not a warning
            if self.spool.has_room() and not self.spool.has_room(LOW_WATERMARK_RESERVES * self.spool.reserve_bytes):
                return ("the spool's disk is nearly at its reserve: free space before senders hear Out of Resources",)
        return ()


class KeptFigures:
    """The totals of the intake, counted anew when they are older than their cost allows.

    Counting reads every row of the intake. However large that is and however often somebody asks, it takes no more than
    one twentieth of the time, and one caller counts while the others wait for the same answer.
    """

    def __init__(self, count: Callable[[], IntakeFigures], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._figures: IntakeFigures | None = None
        self._counted_at = 0.0
        self._good_for_s = 0.0

    def figures(self) -> tuple[IntakeFigures, float]:
        """Return the totals and their age in seconds."""
        with self._lock:
            now = self._clock()
            if self._figures is None or now - self._counted_at >= self._good_for_s:
                self._figures = self._count()
                self._counted_at = self._clock()
                self._good_for_s = max(FIGURES_KEPT_S, (self._counted_at - now) * COST_FACTOR)
            return self._figures, self._clock() - self._counted_at


class BridgeMetrics:
    """The figures of intake, work and disk."""

    def __init__(
        self,
        *,
        database: Database,
        spool: Spool,
        client: EngineClient,
        peers: BridgePeers,
        tls_certificate_file: Path | None = None,
    ) -> None:
        self._database = database
        self._spool = spool
        self._client = client
        self._peers = peers
        self._tls_certificate_file = tls_certificate_file
        self._kept = KeptFigures(self._count)

    def _count(self) -> IntakeFigures:
        with self._database.read() as session:
            return Intake(session).figures()

    def measurements(self) -> Iterable[Measurement]:
        """Return the present figures."""
        figures, age_s = self._kept.figures()
        yield from _of_intake(figures)
        yield Measurement(
            name="casebridge_figures_age_seconds",
            help="Age of the totals of objects and associations, which are counted anew every few seconds.",
            value=age_s,
        )
        with self._database.read() as session:
            commitments = Commitments(session).summary(datetime.now(UTC))
        yield from _of_commitments(commitments)
        for state, count in self._client.counts().items():
            yield Measurement(
                name="casebridge_studies", help="Settled studies by state.", value=count, labels={"state": state}
            )
        yield Measurement(
            name="casebridge_open_to_all",
            help="1 where any sender is let in, whatever its AE title and address.",
            value=int(self._peers.is_open()),
        )
        yield Measurement(
            name="casebridge_spool_free_bytes", help="Free bytes on the spool's disk.", value=self._spool.free_bytes()
        )
        yield Measurement(
            name="casebridge_spool_reserve_bytes",
            help="Bytes that stay free on the spool's disk: an object that would touch them is refused.",
            value=self._spool.reserve_bytes,
        )
        if (ends_at := certificate_ends_at(self._tls_certificate_file)) is not None:
            yield Measurement(
                name="casebridge_tls_certificate_end_seconds",
                help="When our TLS certificate ends, in seconds since 1970.",
                value=ends_at.timestamp(),
            )


def _of_commitments(summary: CommitmentSummary) -> Iterable[Measurement]:
    for state, count in summary.requests.items():
        yield Measurement(
            name="casebridge_commitments",
            help="Storage commitment requests by state; decided ones wait for their report to be taken.",
            value=count,
            labels={"state": state},
        )
    for failure, count in summary.last_failures.items():
        yield Measurement(
            name="casebridge_commitment_reports_not_taken",
            help="Storage commitment requests whose report was not taken, by the reason of the last failure.",
            value=count,
            labels={"failure": failure},
        )
    yield Measurement(
        name="casebridge_committed_originals",
        help="Originals that are kept because storage commitment was promised.",
        value=summary.committed_originals,
    )


def _of_intake(figures: IntakeFigures) -> Iterable[Measurement]:
    total = figures.total
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
    for reason, count in figures.held_by_reason.items():
        yield Measurement(
            name="casebridge_objects_held",
            help="Objects that wait for a person, by reason.",
            value=count,
            labels={"reason": reason},
        )
    for outcome, count in figures.associations.items():
        yield Measurement(
            name="casebridge_associations",
            help="Associations by how they ended.",
            value=count,
            labels={"outcome": outcome},
        )
    for rule, count in figures.rejections.items():
        yield Measurement(
            name="casebridge_rejections",
            help="Rejected associations, by the rule that rejected them.",
            value=count,
            labels={"rule": rule.replace("tls-handshake-failed:", "tls-")},  # a label is one plain word, and short
        )
