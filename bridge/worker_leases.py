"""The leases under which workers are known to each other, and the heartbeat that keeps one."""

import logging
import threading
import time
from collections.abc import Callable

from cases.errors import StoreUnavailableError
from cases.store import Database, Leases

log = logging.getLogger("casebridge.worker")

LEASE_PREFIX = "worker:"


class Heartbeat:
    """Renews the lease of a worker, and says when it is lost.

    Two threads: a renewal can hang for as long as TCP is patient, and by then others have taken over.

    Parameters
    ----------
    holder
        Who holds the lease of this id; the same after a restart, and another on another host.
    lost
        Called from a thread of the heartbeat when the lease is somebody else's, or will be before it can be renewed.
    ttl_s
        How long a lease lives that is not renewed; it counts as lost here when five sixths of that are over.
    beat_s
        How often it is renewed.
    """

    def __init__(
        self,
        *,
        database: Database,
        worker_id: str,
        holder: str,
        lost: Callable[[], None],
        ttl_s: float = 60.0,
        beat_s: float = 10.0,
    ) -> None:
        self._database = database
        self._name = LEASE_PREFIX + worker_id
        self._holder = holder
        self._lost = lost
        self._ttl_s = ttl_s
        self._beat_s = beat_s
        self._renewed_at = 0.0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"heartbeat-{target.__name__.strip('_')}", daemon=True)
            for target in (self._beat, self._watch)
        ]

    def claim(self) -> bool:
        """Take the lease and return whether it is held now."""
        began = time.monotonic()
        with self._database.write() as session:
            leases = Leases(session)
            held = leases.claim(self._name, self._holder, self._ttl_s, leases.now())
        if held:
            self._renewed_at = began
        return held

    def start(self) -> None:
        """Begin to renew the lease, which is held."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the lease run out: what this worker leaves unfinished is taken over by whichever worker is there next."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        try:
            with self._database.write() as session:
                leases = Leases(session)
                leases.expire(self._name, self._holder, leases.now())
        except StoreUnavailableError:
            log.warning("the lease could not be given back; it runs out by itself")

    def _beat(self) -> None:
        while not self._stopping.wait(self._beat_s):
            began = time.monotonic()
            try:
                with self._database.write() as session:
                    leases = Leases(session)
                    held = leases.renew(self._name, self._holder, self._ttl_s, leases.now())
            except Exception:
                log.exception("the heartbeat could not be written")
                continue
            if not held:
                self._lost()
                return
            self._renewed_at = began

    def _watch(self) -> None:
        while not self._stopping.wait(self._beat_s / 10):
            if time.monotonic() - self._renewed_at > self._ttl_s * 5 / 6:
                self._lost()
                return
