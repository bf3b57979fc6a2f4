"""Storage commitment on the worker's side: a request is decided and promised, then its result is reported.

Deciding is the scanner's: only after a scan that has seen everything acknowledged before a request is known what is
here. Reporting is a thread of its own, since it waits for peers; results are claimed, so any worker may report.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cases.commitments import CommitmentRecord, CommitmentState, KeyedReference, NewCommitment
from cases.errors import StoreUnavailableError
from cases.intake import ReceivedInstance
from cases.store import Commitments, Database, Leases
from scp.commitment_data import FailedReference, FailureReason, Reference
from scp.commitment_files import ClaimedResult, CommitmentRequest, CommitmentResult
from scp.errors import ScpError, SpoolKeyMissingError
from scp.peers import ANY_CALLING_AE, CommitmentRule, PeerRulesFile
from scp.reporting import UNREACHABLE, report_commitment
from scp.spool import Spool

log = logging.getLogger("casebridge.commitments")

TICK_S = 1.0
DECIDING_S = 5.0
"""Longest that deciding keeps the scanner from its other work; what is left waits for the next round."""
GRACE_S = 60.0
"""How long a result is left to the association that asked for it, while that is open."""
FIRST_RETRY_S = 30.0
LAST_RETRY_S = 1800.0
GIVE_UP_H = 48
OFF = "commitment-off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentDecisions:
    """Decides requests: what is here is promised, in one transaction, before anybody hears of it."""

    database: Database
    spool: Spool
    keep_days: int
    _looked_twice: set[str] = field(default_factory=set, repr=False)
    """Requests that name files without a row, which a full scan has been asked for."""

    def waiting(self) -> list[str]:
        """Return the requests that wait; to be asked before the scan whose outcome decides them."""
        return self.spool.commitments.requests()

    def decide(self, request_ids: Sequence[str]) -> bool:
        """Decide requests that came before the last scan; return whether one of them needs a full scan first."""
        deadline = time.monotonic() + DECIDING_S
        needs_full_scan = False
        for request_id in request_ids:
            if time.monotonic() > deadline:
                break
            try:
                request = self.spool.commitments.read_request(request_id)
                needs_full_scan |= not self._decide(request)
            except FileNotFoundError:
                continue  # the worker that had the lease before decided it
            except ValueError:
                self.spool.commitments.set_aside(request_id)
            except SpoolKeyMissingError:
                log.warning("a commitment request is sealed with a spool key that is not configured here; it waits")
            except OSError as error:
                log.warning("a commitment result cannot be kept; it is tried again", extra={"errno": error.errno})
        return needs_full_scan

    def _decide(self, request: CommitmentRequest) -> bool:
        keyed = {
            reference: KeyedReference(
                sop_key=self.spool.sop_key(reference.identified_sop_instance_uid),
                sop_class_uid=reference.sop_class_uid,
            )
            for reference in request.references
        }
        sop_keys = {one.sop_key for one in keyed.values()}
        with self.database.read() as session:
            unknown = sop_keys - Commitments(session).known(sop_keys)
            originals = Commitments(session).originals(sop_keys)
        unreadable = self.spool.files_named(unknown) if unknown else set()
        if unreadable and request.request_id not in self._looked_twice:
            # Perhaps only not seen yet, on a spool that other hosts write: a full scan reads every file.
            self._looked_twice.add(request.request_id)
            return False
        self._looked_twice.discard(request.request_id)
        readable = self._readable(originals)
        with self.database.write() as session:
            # By the clock that the originals are purged by, which is not that of this host.
            now = Leases(session).now()
            answer = Commitments(session).decide(
                _new_commitment(request, self.spool.transaction_key, keyed.values()),
                now=now,
                until=now + timedelta(days=self.keep_days),
                is_there=lambda one: one.arrival_id in readable and self._is_there(one),
                unreadable=unreadable,
            )
        self.spool.commitments.decide(_result(request, {one: answer[keyed[one]] for one in request.references}, now))
        failures = Counter(f"0x{reason:04X}" for reason in answer.values() if reason is not None)
        log.info(
            "a storage commitment request was decided",
            extra={
                "calling_ae": request.calling_ae,
                "committed": sum(reason is None for reason in answer.values()),
                "failed": dict(failures),
            },
        )
        return True

    def _readable(self, originals: Sequence[ReceivedInstance]) -> set[str]:
        """Return the arrivals whose files are whole and durable.

        What the scan found was perhaps never acknowledged: a kill comes between the name and its sync, too.
        """
        durable = {key for key in {one.study_key for one in originals} if self._is_synced(key)}
        return {one.arrival_id for one in originals if one.study_key in durable and self._can_be_read(one)}

    def _is_synced(self, study_key: str) -> bool:
        try:
            self.spool.sync_study(study_key)
        except OSError:
            return False
        return True

    def _can_be_read(self, original: ReceivedInstance) -> bool:
        keys = (original.study_key, original.sop_key, original.arrival_id)
        try:
            self.spool.sync_original(*keys)
            with self.spool.open_original(*keys) as file:
                return file.seek(0, os.SEEK_END) == original.size_bytes
        except (OSError, ScpError):
            return False

    def _is_there(self, original: ReceivedInstance) -> bool:
        return self.spool.path(original.study_key, original.sop_key, original.arrival_id).is_file()


def _new_commitment(
    request: CommitmentRequest, transaction_key: Callable[[str], str], references: Iterable[KeyedReference]
) -> NewCommitment:
    return NewCommitment(
        request_id=request.request_id,
        transaction_key=transaction_key(request.identified_transaction_uid),
        references=tuple(references),
        calling_ae=request.calling_ae,
        called_ae=request.called_ae,
        peer_address=request.peer_address,
        association_id=request.association_id,
        requested_at=request.received_at,
    )


def _result(
    request: CommitmentRequest, reasons: Mapping[Reference, int | None], decided_at: datetime
) -> CommitmentResult:
    return CommitmentResult(
        request_id=request.request_id,
        identified_transaction_uid=request.identified_transaction_uid,
        succeeded=tuple(reference for reference, reason in reasons.items() if reason is None),
        failed=tuple(
            FailedReference(reference=reference, reason=FailureReason(reason))
            for reference, reason in reasons.items()
            if reason is not None
        ),
        calling_ae=request.calling_ae,
        called_ae=request.called_ae,
        peer_address=request.peer_address,
        association_id=request.association_id,
        reports_to=request.reports_to,
        decided_at=decided_at,
    )


class CommitmentReports:
    """Reports results that no association has reported, again and again until the peer takes them.

    Parameters
    ----------
    database, spool
        Where promises and results are.
    report
        Reports one result; returns why it was not taken, nothing where it was.
    clock
        Tells the present moment.
    """

    def __init__(
        self,
        *,
        database: Database,
        spool: Spool,
        report: Callable[[CommitmentResult, CommitmentRule], str] = report_commitment,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._spool = spool
        self._report = report
        self._clock = clock
        self._peers = PeerRulesFile(spool.peer_rules_path)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="commitment-reports", daemon=True)

    def start(self) -> None:
        """Begin reporting in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reporting; a report that is under way is tried again at the next start."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _loop(self) -> None:
        while not self._stopping.wait(TICK_S):
            try:
                self.tick()
            except StoreUnavailableError:
                log.warning("the database is away; reports of storage commitment wait")
                self._stopping.wait(5 * TICK_S)
            except Exception:
                log.exception("a round of commitment reports failed and is tried again")
                self._stopping.wait(5 * TICK_S)

    def tick(self) -> None:
        """Do one round: book what was taken, report what is due, give up what nobody took for too long."""
        files = self._spool.commitments
        for request_id in files.reported():
            with self._database.write() as session:
                Commitments(session).reported(request_id, self._clock())
            files.forget(request_id)
        results = files.results()
        files.give_back_abandoned()
        unreachable: set[CommitmentRule] = set()
        for request_id in results:
            if self._stopping.is_set():
                return
            self._consider(request_id, unreachable)
        self._give_up()

    def _consider(self, request_id: str, unreachable: set[CommitmentRule]) -> None:
        if not self._is_due(self._find(request_id)):
            return
        claimed = self._spool.commitments.claim(request_id)
        if claimed is None:
            return
        # Another worker may have tried it in the meantime.
        record = self._find(request_id)
        if record is None or record.state != CommitmentState.DECIDED:
            claimed.give_back()
            self._spool.commitments.forget(request_id)
            log.warning("a commitment result that nobody waits for any more was deleted")
        elif self._is_due(record):
            self._try(claimed, record, unreachable)
        else:
            claimed.give_back()

    def _find(self, request_id: str) -> CommitmentRecord | None:
        with self._database.read() as session:
            return Commitments(session).find(request_id)

    def _is_due(self, record: CommitmentRecord | None) -> bool:
        """Tell whether something is to be done about a result now."""
        if record is None or record.state != CommitmentState.DECIDED:
            return True
        now = self._clock()
        if record.next_attempt_at > now:
            return False
        is_left_to_the_association = (
            record.attempts == 0
            and now < record.decided_at + timedelta(seconds=GRACE_S)
            and self._spool.journal.is_running(record.association_id)
        )
        return not is_left_to_the_association

    def _try(self, claimed: ClaimedResult, record: CommitmentRecord, unreachable: set[CommitmentRule]) -> None:
        failure = OFF
        try:
            destination = self._destination(claimed.result)
            if destination is not None:
                failure = UNREACHABLE if destination in unreachable else self._report(claimed.result, destination)
            if destination is not None and failure == UNREACHABLE:
                unreachable.add(destination)
        except Exception as error:  # noqa: BLE001 - the text of pynetdicom's errors can hold what was sent
            failure = f"failed-{type(error).__name__}"[:64]
        try:
            with self._database.write() as session:
                if failure:
                    wait_s = min(FIRST_RETRY_S * 2**record.attempts, LAST_RETRY_S)
                    Commitments(session).failed(record.request_id, failure, self._clock() + timedelta(seconds=wait_s))
                else:
                    Commitments(session).reported(record.request_id, self._clock())
        finally:
            claimed.give_back() if failure else claimed.taken()
        if failure:
            log.warning(
                "a report of storage commitment was not taken and is tried again",
                extra={"calling_ae": record.calling_ae, "failure": failure, "attempts": record.attempts + 1},
            )
        else:
            self._spool.commitments.forget(record.request_id)
            log.info("storage commitment was reported", extra={"calling_ae": record.calling_ae})

    def _destination(self, result: CommitmentResult) -> CommitmentRule | None:
        """Return where the peer takes reports now: the settings may have changed since it asked."""
        rules = self._peers.rules().rules
        of_peer = [rule.commitment for rule in rules if rule.calling_ae == result.calling_ae]
        of_any = [rule.commitment for rule in rules if rule.calling_ae == ANY_CALLING_AE]
        found = [commitment for commitment in (*of_peer, *of_any) if commitment is not None]
        if result.reports_to in found:
            return result.reports_to
        return found[0] if found else None

    def _give_up(self) -> None:
        with self._database.read() as session:
            given_up = Commitments(session).overdue(self._clock() - timedelta(hours=GIVE_UP_H))
        for request_id in given_up:
            with self._database.write() as session:
                Commitments(session).give_up(request_id)
            self._spool.commitments.forget(request_id)
        if given_up:
            log.error(
                "reports of storage commitment were given up; what was promised stays all the same",
                extra={"requests": len(given_up)},
            )
