"""How the books of associations stay small: what nothing was stored on is kept by peer and day, and for a time.

A monitor that verifies the connection every minute, and a stranger who knocks on the port, would otherwise leave a row
each time, for ever. Associations on which something was stored or refused are evidence and stay as they are.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, select
from sqlalchemy.orm import Session

from cases.intake import AssociationOutcome
from cases.store.association_rows import AssociationRow, DeclinedContextRow, RefusalRow
from cases.store.audit import Audit
from cases.store.upsert import dialect_insert

BOOKS_DAYS = 90
"""Days after which rejections, and associations on which nothing was stored, leave the books."""
SINGLE_DAYS = 2
"""Days for which each of them has a row of its own: a journal that is read twice is known by it."""
KINDS_A_DAY = 500
"""Kinds of rejection that are told apart in one day; a flood of made-up AE titles counts as one more."""
VARIOUS = "(various)"
ACTOR = "retention"
_DAY = "day-"
_AT_ONCE = 5000


class PeerBooks:
    """Folds and prunes the books."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def fold(self, now: datetime) -> int:
        """Fold a batch of rows on which nothing was stored into one for each peer and day; return how many went.

        The sums stay what they were.
        """
        query = (
            select(AssociationRow)
            .where(
                _is_empty(),
                AssociationRow.id.not_like(f"{_DAY}%"),
                AssociationRow.started_at < now - timedelta(days=SINGLE_DAYS),
            )
            .order_by(AssociationRow.started_at, AssociationRow.id)
            .limit(_AT_ONCE)
            # Two scanners may overlap while the lease goes over: the second waits, and finds these rows gone.
            .with_for_update(of=AssociationRow)
        )
        days: defaultdict[tuple[str, ...], list[AssociationRow]] = defaultdict(list)
        for row in self._session.scalars(query):
            days[_kind(row)].append(row)
        known: defaultdict[str, set[str]] = defaultdict(set)
        for kind, rows in days.items():
            self._fold_day(self._told_apart(kind, known), rows)
        return sum(map(len, days.values()))

    def prune(self, now: datetime) -> int:
        """Let go of what is older than the books reach; return how many associations that were."""
        old = (
            AssociationRow.started_at < now - timedelta(days=BOOKS_DAYS),
            AssociationRow.id.like(f"{_DAY}%"),
        )
        ids = select(AssociationRow.id).where(*old)
        self._session.execute(delete(DeclinedContextRow).where(DeclinedContextRow.association_id.in_(ids)))
        gone = self._session.execute(
            delete(AssociationRow).where(*old).returning(AssociationRow.outcome, AssociationRow.count)
        )
        sums: Counter[str] = Counter()
        for outcome, count in gone:
            sums[outcome.value] += count
        if not sums:
            return 0
        Audit(self._session).append(ACTOR, "associations.prune", f"{sums.total()} association(s)", sums)
        return sums.total()

    def _told_apart(self, kind: tuple[str, ...], known: defaultdict[str, set[str]]) -> tuple[str, ...]:
        """Return the kind, or the one for all others where its day has too many."""
        day, outcome, rule = kind[0], kind[1], kind[2]
        if outcome != AssociationOutcome.REJECTED:
            return kind
        if day not in known:
            start = datetime.fromisoformat(day).replace(tzinfo=UTC)
            ids = select(AssociationRow.id).where(
                AssociationRow.id.like(f"{_DAY}%"),
                AssociationRow.outcome == AssociationOutcome.REJECTED,
                AssociationRow.started_at >= start,
                AssociationRow.started_at < start + timedelta(days=1),
            )
            known[day].update(self._session.scalars(ids))
        if len(known[day]) >= KINDS_A_DAY and _id(kind) not in known[day]:
            return day, outcome, rule, VARIOUS, VARIOUS, VARIOUS, "", ""
        known[day].add(_id(kind))
        return kind

    def _fold_day(self, kind: tuple[str, ...], rows: list[AssociationRow]) -> None:
        _, outcome, rule, calling_ae, called_ae, peer_address, tls, certificate = kind
        ended = [row.ended_at or row.started_at for row in rows]
        values = {
            "id": _id(kind),
            "calling_ae": calling_ae,
            "called_ae": called_ae,
            "peer_address": peer_address,
            "started_at": min(row.started_at for row in rows),
            "ended_at": max(ended),
            "outcome": outcome,
            "rule": rule,
            "count": sum(row.count for row in rows),
            "stored": 0,
            "tls": tls,
            "certificate": certificate,
        }
        insert = dialect_insert(self._session)(AssociationRow).values(**values)
        self._session.execute(
            insert.on_conflict_do_update(
                index_elements=["id"],
                set_={
                    "count": AssociationRow.count + insert.excluded.count,
                    "started_at": case(
                        (insert.excluded.started_at < AssociationRow.started_at, insert.excluded.started_at),
                        else_=AssociationRow.started_at,
                    ),
                    "ended_at": case(
                        (insert.excluded.ended_at > AssociationRow.ended_at, insert.excluded.ended_at),
                        else_=AssociationRow.ended_at,
                    ),
                },
            )
        )
        self._fold_declined(_id(kind), [row.id for row in rows])
        self._delete(row.id for row in rows)

    def _fold_declined(self, day_id: str, ids: list[str]) -> None:
        query = (
            select(DeclinedContextRow.abstract_syntax, DeclinedContextRow.reason, func.sum(DeclinedContextRow.count))
            .where(DeclinedContextRow.association_id.in_(ids))
            .group_by(DeclinedContextRow.abstract_syntax, DeclinedContextRow.reason)
        )
        for abstract_syntax, reason, count in self._session.execute(query).all():
            insert = dialect_insert(self._session)(DeclinedContextRow).values(
                association_id=day_id, abstract_syntax=abstract_syntax, reason=reason, count=int(count)
            )
            self._session.execute(
                insert.on_conflict_do_update(
                    index_elements=["association_id", "abstract_syntax", "reason"],
                    set_={"count": DeclinedContextRow.count + insert.excluded.count},
                )
            )

    def _delete(self, ids: Iterable[str]) -> None:
        gone = list(ids)
        self._session.execute(delete(DeclinedContextRow).where(DeclinedContextRow.association_id.in_(gone)))
        self._session.execute(delete(AssociationRow).where(AssociationRow.id.in_(gone)))


def _is_empty() -> ColumnElement[bool]:
    has_refusals = exists().where(RefusalRow.association_id == AssociationRow.id)
    return and_(AssociationRow.stored == 0, ~has_refusals)


def _kind(row: AssociationRow) -> tuple[str, ...]:
    return (
        row.started_at.astimezone(UTC).date().isoformat(), row.outcome, row.rule, row.calling_ae, row.called_ae,
        row.peer_address, row.tls, row.certificate,
    )  # fmt: skip


def _id(kind: tuple[str, ...]) -> str:
    return _DAY + hashlib.sha256("\0".join(kind).encode()).hexdigest()[:32]
