"""The settle scanner: finds what arrived, decides that a study has settled, and hands it to the job engine.

It is a thread of whichever worker holds the ``scanner`` lease. Files in the spool are the truth; this keeps the
database, their index, in step: every file without a row gets one, at the latest with the next full scan.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from bridge.commitments import CommitmentDecisions
from bridge.engine import EngineClient
from bridge.journals import association_summary
from bridge.manifests import manifests_of
from bridge.retention import Retention, keep_books_small
from bridge.settling import SettleRules, Settling
from bridge.worker_leases import LEASE_PREFIX
from cases.errors import StoreUnavailableError
from cases.intake import Destination, NewArrival
from cases.manifests import NewManifest
from cases.receipts import SettledBy
from cases.store import Cases, Database, Intake, Leases, Manifests
from deidentify.manifest import KEY_OBJECT_SELECTION
from scp.spool import Arrival, ScanMark, Spool

log = logging.getLogger("casebridge.scanner")

LEASE = "scanner"
LEASE_TTL_S = 15.0
TICK_S = 0.4
FULL_SCAN_S = 600.0
SLOW_TICK_S = 5.0
"""How often waiting cases, journals and the file of the allowed peers are looked at."""
RETENTION_S = 60.0
BOOKS_S = 3600.0
BATCH = 500
"""Arrivals recorded in one transaction, so that a large spool does not keep the database from others."""


class Scanner:
    """Scans, settles and enqueues while this worker holds the lease."""

    def __init__(
        self,
        *,
        database: Database,
        spool: Spool,
        client: EngineClient,
        worker_id: str,
        holder: str = "",
        rules: SettleRules,
        destination_for: Callable[[str, str], Destination],
        retention: Retention,
        reclaim: Callable[[str], int],
        keep_peers: Callable[[], None],
        commitments: CommitmentDecisions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._spool = spool
        self._client = client
        self._worker_id = worker_id
        self._holder = holder or worker_id
        self._settling = Settling(rules, self._list_of, clock)
        self._destination_for = destination_for
        self._retention = retention
        self._reclaim = reclaim
        self._keep_peers = keep_peers
        self._commitments = commitments
        self._mark: ScanMark | None = None
        self._full_scan_at = 0.0
        self._slow_at = 0.0
        self._retention_at = 0.0
        self._books_at = 0.0
        self._lease_at = 0.0
        self._seen: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="scanner", daemon=True)

    def start(self) -> None:
        """Begin scanning in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop scanning and give the lease back."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.write() as session:
                Leases(session).release(LEASE, self._holder)
        except StoreUnavailableError:
            log.warning("the scanner's lease could not be given back; it runs out by itself")

    def _loop(self) -> None:
        while not self._stopping.wait(TICK_S):
            try:
                if self._has_lease():
                    self.tick()
            except Exception:
                # The database may be away for a while: the spool keeps what arrives, the next tick tries again.
                log.exception("a scan failed and is tried again")
                self._mark = None
                self._stopping.wait(5 * TICK_S)

    def _has_lease(self) -> bool:
        now = time.monotonic()
        if now < self._lease_at:
            return True
        with self._database.write() as session:
            leases = Leases(session)
            held = leases.claim(LEASE, self._holder, LEASE_TTL_S, leases.now())
        if held:
            self._lease_at = now + LEASE_TTL_S / 3
        else:
            self._mark, self._lease_at = None, 0.0
            self._settling.forget()
            self._stopping.wait(LEASE_TTL_S / 5)
        return held

    def tick(self) -> None:
        """Do one round: record arrivals, enqueue settled studies, and now and then the slower duties."""
        now = time.monotonic()
        if now >= self._full_scan_at:
            self._mark, self._full_scan_at = None, now + FULL_SCAN_S
        # In this order: what was acknowledged before a request is seen by the scan after it.
        requests = self._commitments.waiting()
        self._record_arrivals()
        if self._commitments.decide(requests):
            self._full_scan_at = 0.0
        self._enqueue_settled()
        if now >= self._slow_at:
            self._slow_at = now + SLOW_TICK_S
            self._keep_peers()
            self._record_journals()
            self._promote_waiting()
            self._reclaim_dead_workers()
        if now >= self._retention_at:
            self._retention_at = now + RETENTION_S
            self._retention.tick()
        if now >= self._books_at:
            self._books_at = now + BOOKS_S
            if keep_books_small(self._database):
                self._books_at = now + SLOW_TICK_S  # a batch at a time: settling must not wait for long books

    def _record_arrivals(self) -> None:
        arrivals, mark = self._spool.scan(self._mark)
        if self._mark is None:
            self._seen.clear()
        fresh = [arrival for arrival in arrivals if arrival.arrival_id not in self._seen]
        fresh.sort(key=lambda arrival: arrival.arrival_id)
        for start in range(0, len(fresh), BATCH):
            self._record(fresh[start : start + BATCH])
        self._mark = mark

    def _record(self, arrivals: Sequence[Arrival]) -> None:
        by_destination: dict[Destination, list[NewArrival]] = defaultdict(list)
        fresh: dict[Destination, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            destination = self._destination_for(arrival.calling_ae, arrival.called_ae)
            fresh[destination].append(arrival)
            by_destination[destination].append(
                NewArrival(
                    arrival_id=arrival.arrival_id,
                    study_key=arrival.study_key,
                    sop_key=arrival.sop_key,
                    sop_class_uid=arrival.sop_class_uid,
                    transfer_syntax_uid=arrival.transfer_syntax_uid,
                    calling_ae=arrival.calling_ae,
                    called_ae=arrival.called_ae,
                    peer_address=arrival.peer_address,
                    association_id=arrival.association_id,
                    received_at=arrival.received_at,
                    size_bytes=arrival.size_bytes,
                )
            )
        manifests = self._manifests(fresh)
        touched = []
        with self._database.write() as session:
            for destination, batch in by_destination.items():
                touched += Intake(session).record(batch, destination=destination)
                Manifests(session).record(manifests[destination])
        self._settling.note(touched)
        self._seen.update(arrival.arrival_id for arrival in arrivals)

    def _manifests(self, arrivals: Mapping[Destination, Sequence[Arrival]]) -> dict[Destination, list[NewManifest]]:
        """Read what key object selections list that have no row yet: a full scan sees all the others again."""
        selections = {
            destination: [one for one in batch if one.sop_class_uid == KEY_OBJECT_SELECTION]
            for destination, batch in arrivals.items()
        }
        known: set[str] = set()
        if any(selections.values()):
            with self._database.read() as session:
                known = Intake(session).known(one.arrival_id for batch in selections.values() for one in batch)
        return {
            destination: manifests_of(
                self._spool, [one for one in batch if one.arrival_id not in known], destination.id
            )
            for destination, batch in selections.items()
        }

    def _enqueue_settled(self) -> None:
        with self._database.read() as session:
            arriving = Intake(session).arriving()
        settled = self._settling.due(arriving, self._spool.journal.receiving() if arriving else ())
        if not settled:
            return
        with self._database.read() as session:
            waiting = Intake(session).unassigned([key for key, _ in settled])
        # Short studies first, so that a small one does not wait behind a cine.
        for key, why in sorted(settled, key=lambda found: (waiting.get(found[0], 0), found[0])):
            with self._database.write() as session:
                generation, instances = Intake(session).assign_generation(key, why)
                if instances:
                    self._client.enqueue_study(session, key, generation, instances=instances)
            log.info("study settled", extra={"generation": generation, "instances": instances, "settled_by": why.value})

    def _list_of(self, key: str) -> SettledBy | None:
        """Return the sender's list by which a study is complete; ``cases.store.evidence`` names the kinds of lists."""
        with self._database.read() as session:
            return Intake(session).settled_by_list(key)

    def _record_journals(self) -> None:
        for path in self._spool.journals():
            try:
                record = self._spool.read_journal(path)
            except FileNotFoundError:
                continue  # the worker that had the lease before took it over
            except ValueError:
                # Left where it is, it would stand in the way of all that come after; ``status`` counts the quarantine.
                path.rename(self._spool.root / "quarantine" / path.name)
                log.warning("a damaged journal of an association is in quarantine: the sums lack its refusals")
                continue
            with self._database.write() as session:
                Intake(session).record_association(association_summary(record))
            self._spool.remove_journal(path)

    def _promote_waiting(self) -> None:
        with self._database.write() as session:
            promoted = Cases(session).promote_waiting()
        if promoted:
            log.info("waiting studies found a free place", extra={"cases": len(promoted)})

    def _reclaim_dead_workers(self) -> None:
        """Take over the studies of workers whose lease ran out: the claim of the lease decides who does it."""
        with self._database.read() as session:
            leases = Leases(session)
            dead = leases.expired(LEASE_PREFIX, leases.now())
        for name in dead:
            worker_id = name.removeprefix(LEASE_PREFIX)
            if worker_id == self._worker_id:
                continue
            with self._database.write() as session:
                leases = Leases(session)
                if not leases.claim(name, self._holder, LEASE_TTL_S, leases.now()):
                    continue
            taken = self._reclaim(worker_id)
            with self._database.write() as session:
                Leases(session).release(name, self._holder)
            if taken:
                log.warning("studies that a worker left were taken over", extra={"worker": worker_id, "studies": taken})
