"""The newest entry of the audit log in this process's log: at its start and once a day.

The chain shows what was changed in the middle, but not that its end was cut off, or that all of it was written anew.
Logs go where whoever owns the database does not reach; what stands there is compared.
"""

import logging
import threading

from cases.errors import CaseError
from cases.store import Audit, Database

log = logging.getLogger("casebridge.audit")

EVERY_S = 86_400.0
AGAIN_S = 600.0
"""After the database was out of reach."""
STOP_S = 2.0


class AuditHeadLog:
    """Logs the head, in a thread of its own."""

    def __init__(self, database: Database, *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="audit-head", daemon=True)

    def start(self) -> None:
        """Log it, and go on once a day."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a database that does not answer is not waited for."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _loop(self) -> None:
        while not self._stopping.wait(self._every_s if self.note() else AGAIN_S):
            pass

    def note(self) -> bool:
        """Log the newest entry by place and digest; return whether it could be read."""
        try:
            with self._database.read() as session:
                head = Audit(session).head()
        except CaseError as error:
            log.warning("the head of the audit log cannot be read now", extra={"error": type(error).__name__})
            return False
        log.info("head of the audit log", extra={"place": head.place, "digest": head.digest})
        return True
