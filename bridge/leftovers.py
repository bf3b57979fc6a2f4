"""Now and then, away with what nobody will come back for: quarantine after its days, files of dead processes."""

import logging
from collections.abc import Callable

from bridge.purges import ACTOR, LEFTOVERS, record_quarantine
from cases.blobs import BlobStore
from cases.errors import StoreUnavailableError
from cases.store import Audit, Commitments, Database, Leases
from scp.spool import Spool

log = logging.getLogger("casebridge.retention")

BLOB_SILENT_S = 86_400.0
"""A draft of a blob that nobody has written to for a day has no writer."""


def clear_leftovers(
    database: Database, spool: Spool, blobs: BlobStore, *, quarantine_days: int, now: float | None = None
) -> None:
    """Clear spool and blob store of what belongs to nothing, and say so in the audit log.

    Parameters
    ----------
    database
        Has the audit log.
    spool
        Where processes may have died while they received.
    blobs
        Where they may have died while they filed.
    quarantine_days
        How long a file stays in quarantine.
    now
        The moment to which its days are counted, in s since 1970; this one, if not given.
    """
    # Damaged or not, what was promised stays for its time: perhaps it can be mended.
    arrivals = spool.leftovers.quarantined_arrivals()
    with database.read() as session:
        promised = Commitments(session).promised(arrivals, Leases(session).now())
    kept = {arrivals[arrival_id] for arrival_id in promised}
    names = spool.leftovers.purge_quarantine(days=quarantine_days, now=now, promised=kept)
    cleared = {
        "unfinished": _count(spool.leftovers.clear_unfinished),
        "orphans": _count(spool.leftovers.clear_orphans),
        "blobs": _count(lambda: blobs.clear_unfinished(older_than_s=BLOB_SILENT_S)),
    }
    if not names and not any(cleared.values()):
        return
    with database.write() as session:
        record_quarantine(Audit(session), names, quarantine_days)
        if any(cleared.values()):
            Audit(session).append(ACTOR, LEFTOVERS, "leftovers", dict(cleared))
    log.info("leftovers", extra={"quarantine": len(names), **cleared})


def _count(clear: Callable[[], int]) -> int:
    try:
        return clear()
    except (OSError, StoreUnavailableError):
        log.warning("what was left over could not be cleared; it is tried again")
        return 0
