"""Associations and the peers behind them: what was refused and why, so that "17 of 325 arrived" can be explained."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cases.errors import CaseNotFoundError
from cases.intake import AssociationOutcome, AssociationSummary
from cases.peers import PeerSender, RejectedPeer
from cases.store.association_rows import AssociationRow, DeclinedContextRow, RefusalRow
from cases.store.rows import ReceivedInstanceRow
from cases.store.upsert import insert_or_nothing

_KIND = (
    AssociationRow.calling_ae, AssociationRow.called_ae, AssociationRow.peer_address, AssociationRow.certificate,
    AssociationRow.rule,
)  # fmt: skip
"""What makes rejections one of a kind."""
_ENDED_AT = func.coalesce(AssociationRow.ended_at, AssociationRow.started_at)
_FIRST_AT = func.min(AssociationRow.started_at, type_=AssociationRow.started_at.type).label("first_at")
_LAST_AT = func.max(_ENDED_AT, type_=AssociationRow.started_at.type).label("last_at")


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
            "tls": record.tls,
            "certificate": record.certificate,
        }
        if not insert_or_nothing(self._session, AssociationRow, [values], ["id"]):
            return False
        refusals: Counter[tuple[str, int, str]] = Counter()
        for refusal in record.refusals:
            refusals[refusal.sop_class_uid or "unknown", refusal.status, refusal.reason] += refusal.count
        self._session.add_all(
            RefusalRow(
                association_id=record.association_id, sop_class_uid=uid, status=status, reason=reason, count=count
            )
            for (uid, status, reason), count in refusals.items()
        )
        declined = Counter((context.abstract_syntax, context.reason) for context in record.declined)
        self._session.add_all(
            DeclinedContextRow(association_id=record.association_id, abstract_syntax=syntax, reason=reason, count=count)
            for (syntax, reason), count in declined.items()
        )
        self._session.flush()
        return True

    def rejected(self, since: datetime | None = None, *, limit: int | None = None) -> tuple[RejectedPeer, ...]:
        """Return the peers that were rejected, each with the rule that did it, the latest first."""
        query = (
            select(*_KIND, _total(AssociationRow.count).label("count"), _FIRST_AT, _LAST_AT)
            .where(AssociationRow.outcome == AssociationOutcome.REJECTED)
            .group_by(*_KIND)
            .order_by(_LAST_AT.desc(), *_KIND)
            .limit(limit)
        )
        if since is not None:
            query = query.where(AssociationRow.started_at >= since)
        return tuple(_rejected(row._asdict()) for row in self._session.execute(query))

    def rejected_kinds(self) -> int:
        """Return how many kinds of rejection there are."""
        kinds = select(*_KIND).where(AssociationRow.outcome == AssociationOutcome.REJECTED).distinct().subquery()
        return self._session.scalar(select(func.count()).select_from(kinds)) or 0

    def rejected_peer(self, peer_id: str) -> RejectedPeer:
        """Return one rejected peer by its id.

        Raises
        ------
        CaseNotFoundError
            When there is none: its rejections may have been pruned.
        """
        for peer in self.rejected():
            if peer.id == peer_id:
                return peer
        raise CaseNotFoundError("there is no such rejected peer")

    def senders(self) -> tuple[PeerSender, ...]:
        """Return the peers whose associations were accepted, the latest first."""
        has_stored = AssociationRow.stored > 0
        is_success = or_(AssociationRow.outcome == AssociationOutcome.RELEASED, has_stored)
        group = (
            AssociationRow.calling_ae, AssociationRow.peer_address, AssociationRow.tls, AssociationRow.certificate,
        )  # fmt: skip
        query = (
            select(
                *group,
                _total(AssociationRow.count).label("associations"),
                _total(AssociationRow.stored).label("stored"),
                _FIRST_AT,
                _LAST_AT,
                _latest(has_stored).label("last_stored_at"),
                _latest(is_success).label("last_success_at"),
            )
            .where(AssociationRow.outcome != AssociationOutcome.REJECTED)
            .group_by(*group)
            .order_by(_LAST_AT.desc(), *group)
        )
        return tuple(PeerSender(**row._asdict()) for row in self._session.execute(query))

    def by_outcome(self) -> Mapping[str, int]:
        """Return the number of associations by outcome."""
        query = select(AssociationRow.outcome, func.sum(AssociationRow.count)).group_by(AssociationRow.outcome)
        return {outcome.value: int(count) for outcome, count in self._session.execute(query)}

    def by_rule(self) -> Mapping[str, int]:
        """Return the number of rejected associations by the rule that rejected them."""
        query = (
            select(AssociationRow.rule, _total(AssociationRow.count))
            .where(AssociationRow.outcome == AssociationOutcome.REJECTED)
            .group_by(AssociationRow.rule)
        )
        return {rule: count for rule, count in self._session.execute(query)}  # noqa: C416 - rows are no tuples

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


def _latest(condition: ColumnElement[bool]) -> ColumnElement[datetime | None]:
    return func.max(case((condition, _ENDED_AT), else_=None), type_=AssociationRow.started_at.type)


def _total(column: ColumnElement[int] | InstrumentedAttribute[int]) -> ColumnElement[int]:
    # PostgreSQL sums integers to bigint; both drivers give an int for that.
    return cast(func.sum(column), BigInteger)


def _rejected(kind: dict[str, Any]) -> RejectedPeer:
    spelled = "\0".join(kind[column.key] for column in _KIND)
    return RejectedPeer(id=hashlib.sha256(spelled.encode()).hexdigest()[:32], **kind)
