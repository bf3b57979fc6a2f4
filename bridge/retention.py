"""What goes when: originals after their days, undecided holds after theirs, each with a line in the audit log."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.leftovers import clear_leftovers
from bridge.purges import record_purges
from cases.blobs import BlobStore
from cases.errors import StoreUnavailableError
from cases.intake import ReceivedInstance
from cases.store import Audit, Cases, Database, Holds, Intake, Leases, PeerBooks, Repeats
from config.settings import Settings
from scp.spool import Spool

log = logging.getLogger("casebridge.retention")

PURGED_IN_ONE = 100
"""Originals deleted in one transaction: other writers wait for it."""
LEFTOVERS_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Retention:
    """Deletes originals whose time is over, counted from their arrival, and what belongs to no arrival."""

    database: Database
    spool: Spool
    blobs: BlobStore
    settings: Settings
    _leftovers_at: float = 0.0

    def tick(self) -> None:
        """Purge what is due; files go first, so that a row never says "purged" of a file that is still there."""
        if not self.spool.is_there():
            # A volume that is not mounted has no files, and rows would say that they are gone.
            log.error("the spool is not there; nothing is purged")
            return
        with self.database.read() as session:
            now = Leases(session).now()
            due = [instance.arrival_id for instance in self._purgeable(Intake(session), now)]
        purged = kept = 0
        for start in range(0, len(due), PURGED_IN_ONE):
            deleted, failed = self._purge(due[start : start + PURGED_IN_ONE], now)
            purged, kept = purged + deleted, kept + failed
        with self.database.write() as session:
            reminded = Holds(session).remind(now, after_days=self.settings.hold_reminder_days)
        delete_condemned(self.database, self.blobs)
        if time.monotonic() >= self._leftovers_at:
            self._leftovers_at = time.monotonic() + LEFTOVERS_S
            # A damaged file may be all that is left of what was promised.
            days = max(self.settings.hold_retention_days, self.settings.commitment_keep_days)
            clear_leftovers(self.database, self.spool, self.blobs, quarantine_days=days)
        if kept:
            log.error("originals could not be deleted and stay", extra={"originals": kept})
        if purged or reminded:
            log.info("retention", extra={"purged": purged, "holds_to_remind": reminded})

    def _purge(self, arrival_ids: Collection[str], now: datetime) -> tuple[int, int]:
        """Delete originals that are still due; return how many were deleted, and how many could not be.

        Within one transaction, so that nobody promises storage commitment for a file that is about to go.
        """
        with self.database.write() as session:
            due = self._purgeable(Intake(session), now, arrival_ids)
            removed = [(instance, self._remove(instance)) for instance in due]
            purged = [(instance, was_there) for instance, was_there in removed if was_there is not None]
            if purged:
                Intake(session).mark_purged([instance.arrival_id for instance, _ in purged], now)
                record_purges(Audit(session), purged, self.settings)
        return len(purged), len(due) - len(purged)

    def _purgeable(
        self, intake: Intake, now: datetime, locked: Collection[str] | None = None
    ) -> list[ReceivedInstance]:
        return intake.purgeable(
            now,
            retention_days=self.settings.retention_days,
            hold_retention_days=self.settings.hold_retention_days,
            locked=locked,
        )

    def _remove(self, instance: ReceivedInstance) -> bool | None:
        """Return whether the original was still there, or None where it could not be deleted."""
        # One that cannot be deleted must not keep the others beyond their time.
        try:
            return self.spool.remove(instance.study_key, instance.sop_key, instance.arrival_id)
        except OSError:
            return None


def keep_books_small(database: Database) -> bool:
    """Fold a batch of the books of associations on which nothing was stored; return whether there is more.

    Without anything to fold, let go of what is older than the books reach. Requests under keys go after their day.
    """
    now = datetime.now(UTC)
    with database.write() as session:
        if Repeats(session).sweep():
            return True
    with database.write() as session:
        if PeerBooks(session).fold(now):
            return True
    with database.write() as session:
        pruned = PeerBooks(session).prune(now)
    if pruned:
        log.info("old associations left the books", extra={"associations": pruned})
    return False


def delete_condemned(database: Database, blobs: BlobStore) -> None:
    """Delete blobs that no image refers to any more; the list of them survives a crash."""
    with database.read() as session:
        keys = Cases(session).condemned_blobs()
    for key in keys:
        try:
            blobs.delete(key)
        except StoreUnavailableError:
            log.warning("images that nobody refers to could not be deleted; they stay on the list")
            return
        with database.write() as session:
            Cases(session).forget_blob(key)
