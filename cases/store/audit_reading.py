"""Readings of the audit log over HTTP: recorded before anything is shown, once for all of their pages.

A page goes on under the entry that recorded the reading: the cursor names that entry, and without it nothing is shown.
So nobody reads on unrecorded with a cursor of their own making, and the log does not grow with every page.
"""

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from cases.audit import AuditEntry, AuditFilter, AuditHead
from cases.errors import InvalidChangeError
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.paging import checked_limit

READ = "audit.read"
SUBJECT = "audit"
LASTS = timedelta(days=1)
"""For how long the pages of a reading go on; then it is a new one, and recorded."""
_CURSOR = re.compile(r"([0-9]{1,18})\|([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A page of a reading."""

    items: tuple[AuditEntry, ...]
    next_cursor: str | None
    reading: AuditHead
    """The entry that recorded the reading; it shows those before it."""


class AuditReadings:
    """Who reads the log, and how far."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, actor: str, terms: Collection[str]) -> AuditHead:
        """Put down that somebody reads; it is the last thing that the transaction does.

        Parameters
        ----------
        actor
            Who reads.
        terms
            Names of what narrows the reading.

        Returns
        -------
        AuditHead
            The entry that says so.
        """
        audit = Audit(self._session)
        audit.append(actor, READ, SUBJECT, {"filters": " ".join(terms)})
        head = audit.chain()
        assert head is not None
        return head

    def resume(self, actor: str, terms: Collection[str], cursor: str) -> tuple[AuditHead, int]:
        """Return the reading that a cursor goes on with, and at which place.

        Raises
        ------
        InvalidChangeError
            When the cursor is none of a reading of this actor, by these terms, of the last day.
        """
        try:
            found = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
        except (ValueError, binascii.Error):
            found = None
        entry = Audit(self._session).entry(int(found[1])) if found is not None else None
        if (
            found is None
            or entry is None
            or (entry.actor, entry.action) != (actor, READ)
            or entry.detail.get("filters") != " ".join(terms)
            or entry.at < clock_now() - LASTS
        ):
            raise InvalidChangeError("the cursor is not one of this list, or older than a day: begin again without it")
        return entry.head, int(found[2])

    def page(
        self, reading: AuditHead, start: int | None, *, filters: AuditFilter, newest_first: bool, limit: int
    ) -> AuditPage:
        """Return a page of a reading; without ``start`` the first one of the newest entries."""
        size, last = checked_limit(limit), reading.place - 1
        first, last = (1, min(start or last, last)) if newest_first else (start or 1, last)
        found = Audit(self._session).between(first, last, filters=filters, newest_first=newest_first, limit=size + 1)
        shown = tuple(found[:size])
        following = (shown[-1].place + (-1 if newest_first else 1)) if len(found) > size else None
        return AuditPage(
            items=shown,
            next_cursor=None if following is None else _encoded(reading.place, following),
            reading=reading,
        )


def _encoded(reading: int, start: int) -> str:
    return base64.urlsafe_b64encode(f"{reading}|{start}".encode()).decode().rstrip("=")
