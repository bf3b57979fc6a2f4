"""The sum that adds up: what was sent, and where every object of it is now."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from cases.intake import InstanceOutcome, IntakeFigures, IntakeSummary, Refusal, SenderTally, Tally
from cases.model import CaseStatus
from cases.store.association_rows import AssociationRow, RefusalRow
from cases.store.peers import Peers
from cases.store.rows import CaseRow, ReceivedInstanceRow, ReceivedStudyRow

Row = TypeVarTuple("Row")

REJECTED_LISTED = 200
"""Kinds of rejection in the sum, the latest: a flood of made-up AE titles must not fill every answer."""
_PLACES: Mapping[InstanceOutcome, str] = {
    InstanceOutcome.RECEIVED: "in_progress",
    InstanceOutcome.DROPPED: "dropped",
    InstanceOutcome.HELD: "held",
    InstanceOutcome.DUPLICATE: "duplicate",
    InstanceOutcome.SUPERSEDED: "superseded",
    InstanceOutcome.EXPIRED: "expired",
}
_FILED_PLACES: Mapping[CaseStatus, str] = {
    CaseStatus.DRAFT: "in_draft",
    CaseStatus.WAITING: "waiting",
    CaseStatus.PENDING_REVIEW: "submitted",
    CaseStatus.PUBLISHED: "submitted",
    CaseStatus.REMOVED: "removed",
}


def summarize(session: Session, since: datetime | None) -> IntakeSummary:
    """Return where everything is that arrived since a moment, or ever."""
    counts = _places(session, since)
    for sender, stored in _stored(session, since).items():
        counts[sender]["stored"] = stored
    refusals = _refusals(session, since)
    for sender, refused in refusals.items():
        counts[sender]["refused"] = sum(refused.values())
    last, receipts = _last_arrivals(session, since), _last_receipts(session)
    by_sender = tuple(
        SenderTally(
            calling_ae=sender,
            tally=Tally(**counts[sender]),
            last_arrival_at=last.get(sender),
            last_receipt=receipts.get(sender),
        )
        for sender in sorted(counts)
    )
    peers = Peers(session)
    return IntakeSummary(
        total=_total(counts),
        by_sender=by_sender,
        held_by_reason=_by_reason(session, InstanceOutcome.HELD, since),
        dropped_by_reason=_by_reason(session, InstanceOutcome.DROPPED, since),
        refusals=_all_refusals(refusals),
        associations=peers.by_outcome(),
        rejected_peers=peers.rejected(since, limit=REJECTED_LISTED),
        declined=peers.declined(),
        unrecorded=peers.unrecorded(),
        studies=session.scalar(select(func.count()).select_from(ReceivedStudyRow)) or 0,
        arriving=session.scalar(
            select(func.count()).select_from(ReceivedStudyRow).where(ReceivedStudyRow.unassigned_since.is_not(None))
        )
        or 0,
    )


def figures(session: Session) -> IntakeFigures:
    """Return the totals that are watched from outside, in as few queries as they take."""
    counts = _places(session, None)
    for sender, stored in _stored(session, None).items():
        counts[sender]["stored"] = stored
    for sender, refused in _refusals(session, None).items():
        counts[sender]["refused"] = sum(refused.values())
    peers = Peers(session)
    return IntakeFigures(
        total=_total(counts),
        held_by_reason=_by_reason(session, InstanceOutcome.HELD, None),
        associations=peers.by_outcome(),
        rejections=peers.by_rule(),
    )


def _since(query: Select[*Row], since: datetime | None) -> Select[*Row]:
    return query if since is None else query.where(ReceivedInstanceRow.received_at >= since)


def _places(session: Session, since: datetime | None) -> defaultdict[str, dict[str, int]]:
    is_inbox = case((CaseRow.owner_id.is_(None), 1), else_=0).label("is_inbox")
    query = (
        select(ReceivedInstanceRow.calling_ae, ReceivedInstanceRow.outcome, CaseRow.status, is_inbox, func.count())
        .join(CaseRow, CaseRow.id == ReceivedInstanceRow.case_id, isouter=True)
        .group_by(ReceivedInstanceRow.calling_ae, ReceivedInstanceRow.outcome, CaseRow.status, is_inbox)
    )
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for sender, outcome, status, inbox, count in session.execute(_since(query, since)):
        place = _PLACES.get(outcome)
        if place is None and status is not None:
            place = "inbox" if status == CaseStatus.DRAFT and inbox else _FILED_PLACES[status]
        if place is not None:
            counts[sender][place] += count
    return counts


def _stored(session: Session, since: datetime | None) -> dict[str, int]:
    # Counted by itself, not as the sum of the places: that is what makes the sum a check.
    query = select(ReceivedInstanceRow.calling_ae, func.count()).group_by(ReceivedInstanceRow.calling_ae)
    return {sender: count for sender, count in session.execute(_since(query, since))}  # noqa: C416 - rows are no tuples


def _last_arrivals(session: Session, since: datetime | None) -> dict[str, datetime]:
    latest = func.max(ReceivedInstanceRow.received_at, type_=ReceivedInstanceRow.received_at.type)
    query = select(ReceivedInstanceRow.calling_ae, latest).group_by(ReceivedInstanceRow.calling_ae)
    return {sender: at for sender, at in session.execute(_since(query, since))}  # noqa: C416 - rows are no tuples


def _last_receipts(session: Session) -> dict[str, str]:
    sender = ReceivedStudyRow.calling_ae
    latest = select(sender, func.max(ReceivedStudyRow.last_arrival_at).label("at")).group_by(sender).subquery()
    query = (
        select(sender, func.max(ReceivedStudyRow.receipt_code))
        .join(latest, (latest.c.calling_ae == sender) & (latest.c.at == ReceivedStudyRow.last_arrival_at))
        .group_by(sender)
    )
    return {calling_ae: code for calling_ae, code in session.execute(query)}  # noqa: C416 - rows are no tuples


def _refusals(session: Session, since: datetime | None) -> dict[str, dict[tuple[int, str], int]]:
    query = (
        select(AssociationRow.calling_ae, RefusalRow.status, RefusalRow.reason, func.sum(RefusalRow.count))
        .join(AssociationRow, AssociationRow.id == RefusalRow.association_id)
        .group_by(AssociationRow.calling_ae, RefusalRow.status, RefusalRow.reason)
    )
    if since is not None:
        query = query.where(AssociationRow.started_at >= since)
    found: dict[str, dict[tuple[int, str], int]] = {}
    for sender, status, reason, count in session.execute(query):
        found.setdefault(sender, {})[status, reason] = int(count)
    return found


def _all_refusals(by_sender: Mapping[str, Mapping[tuple[int, str], int]]) -> tuple[Refusal, ...]:
    total: defaultdict[tuple[int, str], int] = defaultdict(int)
    for refusals in by_sender.values():
        for key, count in refusals.items():
            total[key] += count
    return tuple(
        Refusal(status=status, reason=reason, count=count) for (status, reason), count in sorted(total.items())
    )


def _by_reason(session: Session, outcome: InstanceOutcome, since: datetime | None) -> dict[str, int]:
    query = (
        select(ReceivedInstanceRow.reason, func.count())
        .where(ReceivedInstanceRow.outcome == outcome)
        .group_by(ReceivedInstanceRow.reason)
        .order_by(ReceivedInstanceRow.reason)
    )
    return {reason: count for reason, count in session.execute(_since(query, since))}  # noqa: C416 - rows are no tuples


def _total(counts: Mapping[str, Mapping[str, int]]) -> Tally:
    total: defaultdict[str, int] = defaultdict(int)
    for tally in counts.values():
        for place, count in tally.items():
            total[place] += count
    return Tally(**total)
