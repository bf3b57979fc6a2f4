"""Associations and the peers behind them: what was refused and why, so that "17 of 325 arrived" can be explained."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cases.model import AssociationOutcome, AssociationSummary, RejectedPeer
from cases.store.rows import AssociationRow, DeclinedContextRow, ReceivedInstanceRow, RefusalRow
from cases.store.upsert import insert_or_nothing


class Peers:
    """The books of associations."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, record: AssociationSummary) -> bool:
        """Keep the books of an association once; return whether they were new."""
        values = {
            "id": record.association_id,
            "calling_ae": record.calling_ae,
            "called_ae": record.called_ae,
            "peer_address": record.peer_address,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "outcome": record.outcome,
            "rule": record.rule,
            "count": record.count,
            "stored": record.stored,
        }
        if not insert_or_nothing(self._session, AssociationRow, [values], ["id"]):
            return False
        refusals: Counter[tuple[int, str]] = Counter()
        for refusal in record.refusals:
            refusals[refusal.status, refusal.reason] += refusal.count
        self._session.add_all(
            RefusalRow(association_id=record.association_id, status=status, reason=reason, count=count)
            for (status, reason), count in refusals.items()
        )
        declined = Counter((context.abstract_syntax, context.reason) for context in record.declined)
        self._session.add_all(
            DeclinedContextRow(association_id=record.association_id, abstract_syntax=syntax, reason=reason, count=count)
            for (syntax, reason), count in declined.items()
        )
        self._session.flush()
        return True

    def rejected(self, since: datetime | None = None) -> tuple[RejectedPeer, ...]:
        """Return the peers that were rejected, each with the rule that did it, the latest first."""
        last_at = func.max(AssociationRow.started_at, type_=AssociationRow.started_at.type)
        group = (AssociationRow.calling_ae, AssociationRow.called_ae, AssociationRow.peer_address, AssociationRow.rule)
        query = (
            select(*group, func.sum(AssociationRow.count), last_at)
            .where(AssociationRow.outcome == AssociationOutcome.REJECTED)
            .group_by(*group)
            .order_by(last_at.desc(), *group)
        )
        if since is not None:
            query = query.where(AssociationRow.started_at >= since)
        return tuple(
            RejectedPeer(
                calling_ae=calling, called_ae=called, peer_address=peer, rule=rule, count=int(count), last_at=last
            )
            for calling, called, peer, rule, count, last in self._session.execute(query)
        )

    def by_outcome(self) -> Mapping[str, int]:
        """Return the number of associations by outcome."""
        query = select(AssociationRow.outcome, func.sum(AssociationRow.count)).group_by(AssociationRow.outcome)
        return {outcome.value: int(count) for outcome, count in self._session.execute(query)}

    def declined(self) -> Mapping[str, int]:
        """Return the number of declined presentation contexts by abstract syntax."""
        query = select(DeclinedContextRow.abstract_syntax, func.sum(DeclinedContextRow.count)).group_by(
            DeclinedContextRow.abstract_syntax
        )
        return {syntax: int(count) for syntax, count in self._session.execute(query)}

    def unrecorded(self) -> int:
        """Return how many objects were acknowledged on an association whose books are closed and have no row."""
        rows = (
            select(ReceivedInstanceRow.association_id, func.count().label("found"))
            .group_by(ReceivedInstanceRow.association_id)
            .subquery()
        )
        missing = AssociationRow.stored - func.coalesce(rows.c.found, 0)
        query = (
            select(func.sum(missing))
            .select_from(AssociationRow)
            .join(rows, rows.c.association_id == AssociationRow.id, isouter=True)
            .where(missing > 0)
        )
        return int(self._session.scalar(query) or 0)
