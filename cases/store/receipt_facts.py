"""What the database knows of studies, gathered for their receipts: a fixed number of queries for a page of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Subquery, case, func, select
from sqlalchemy.orm import Session

from cases.evidence import AcquisitionFacts, SeriesFacts, StudyFacts
from cases.intake import AssociationOutcome, InstanceOutcome
from cases.model import CaseStatus
from cases.receipts import Place, ReceiptLine, ReceiptRefusal
from cases.store.association_rows import AssociationRow, RefusalRow
from cases.store.evidence import lists_of
from cases.store.rows import CaseRow, ReceivedInstanceRow, ReceivedStudyRow

Value = TypeVar("Value")
BROKEN = frozenset({AssociationOutcome.ABORTED, AssociationOutcome.LOST})
_PLACES = {
    InstanceOutcome.RECEIVED: Place.WAITING,
    InstanceOutcome.FILED: Place.FILED,
    InstanceOutcome.DROPPED: Place.DROPPED,
    InstanceOutcome.HELD: Place.HELD,
    InstanceOutcome.DUPLICATE: Place.DUPLICATE,
    InstanceOutcome.SUPERSEDED: Place.SUPERSEDED,
    InstanceOutcome.EXPIRED: Place.EXPIRED,
}
_OF = ReceivedInstanceRow.received_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Figures over all instances of one study."""

    stored: int
    objects: int
    unread: int
    unassigned: int
    settled: int
    """How often the study settled: its other generations are errands."""
    stated: int | None
    first_filed_at: datetime | None
    last_finished_at: datetime | None


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Everything of one study."""

    totals: Totals
    senders: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    lines: tuple[ReceiptLine, ...] = ()
    series: list[tuple[str, SeriesFacts]] = field(default_factory=list)
    """With their keys, in the order of arrival."""
    acquisitions: tuple[AcquisitionFacts, ...] = ()
    associations: list[AssociationRow] = field(default_factory=list)
    open_associations: int = 0
    refusals: tuple[ReceiptRefusal, ...] = ()
    refused_alone: Counter[str] = field(default_factory=Counter)
    """Refused requests by association, where it brought nothing of any other study."""


def gather(session: Session, rows: Sequence[ReceivedStudyRow]) -> dict[str, Gathered]:
    """Return what is known of each of these studies, by row key."""
    keys = [row.key for row in rows]
    if not keys:
        return {}
    found = {key: Gathered(totals=totals) for key, totals in _totals(session, keys).items()}
    titles = select(_OF, ReceivedInstanceRow.calling_ae, ReceivedInstanceRow.called_ae).where(_OF.in_(keys)).distinct()
    for key, calling, called in session.execute(titles):
        found[key].senders.add(calling)
        found[key].called.add(called)
    for key, lines in _lines(session, keys).items():
        found[key].lines = tuple(lines)
    for key, series in _series(session, keys).items():
        found[key].series = series
    for key, acquisitions in _acquisitions(session, keys).items():
        found[key].acquisitions = tuple(acquisitions)
    pairs = (
        select(_OF.label("study"), ReceivedInstanceRow.association_id.label("association"))
        .where(_OF.in_(keys))
        .distinct()
        .subquery()
    )
    for key, count in session.execute(select(pairs.c.study, func.count()).group_by(pairs.c.study)):
        found[key].open_associations = count
    query = select(pairs.c.study, AssociationRow).join(AssociationRow, AssociationRow.id == pairs.c.association)
    for key, association in session.execute(query.order_by(AssociationRow.started_at, AssociationRow.id)):
        found[key].associations.append(association)
        found[key].open_associations -= 1
    _add_refusals(session, pairs, found, {row.key: row.receipt_code for row in rows})
    return found


def study_facts(session: Session, key: str, known: Gathered) -> StudyFacts:
    """Return what the judgement over a study rests on."""
    last = {row.id for row in known.associations if not known.open_associations and _is_last(row, known.associations)}
    return StudyFacts(
        is_settled=known.totals.unassigned == 0,
        objects=known.totals.objects,
        unread=known.totals.unread,
        stated=known.totals.stated,
        lists=lists_of(session, key),
        series=tuple(facts for _, facts in known.series),
        acquisitions=known.acquisitions,
        refused=sum(count for association, count in known.refused_alone.items() if association in last),
        broken=sum(row.id in last and row.outcome in BROKEN for row in known.associations),
    )


def _is_last(row: AssociationRow, others: Iterable[AssociationRow]) -> bool:
    """Tell whether no association of the study began after this one ended."""
    return not any(row.ended_at is None or other.started_at >= row.ended_at for other in others if other.id != row.id)


def _totals(session: Session, keys: Sequence[str]) -> dict[str, Totals]:
    moment = ReceivedInstanceRow.finished_at.type
    read_sop = case((ReceivedInstanceRow.series_key != "", ReceivedInstanceRow.sop_key))
    filed_at = case((ReceivedInstanceRow.outcome == InstanceOutcome.FILED, ReceivedInstanceRow.finished_at))
    unfinished = case((ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED, 1))
    query = select(
        _OF,
        func.count(),
        func.count(ReceivedInstanceRow.sop_key.distinct()),
        func.count(read_sop.distinct()),
        func.count(case((ReceivedInstanceRow.generation.is_(None), 1))),
        func.count(ReceivedInstanceRow.generation.distinct()),
        func.count(unfinished),
        func.max(ReceivedInstanceRow.stated_study),
        func.min(filed_at, type_=moment),
        func.max(ReceivedInstanceRow.finished_at, type_=moment),
    )
    found = {}
    for key, stored, objects, read, unassigned, settled, working, stated, filed, finished in session.execute(
        query.where(_OF.in_(keys)).group_by(_OF)
    ):
        found[key] = Totals(
            stored=stored,
            objects=objects,
            unread=objects - read,
            unassigned=unassigned,
            settled=settled,
            stated=stated,
            first_filed_at=filed,
            last_finished_at=None if working else finished,
        )
    return found


def _lines(session: Session, keys: Sequence[str]) -> dict[str, list[ReceiptLine]]:
    is_removed = case((CaseRow.status == CaseStatus.REMOVED, 1), else_=0).label("is_removed")
    columns = (
        _OF,
        ReceivedInstanceRow.sop_class_uid,
        ReceivedInstanceRow.outcome,
        ReceivedInstanceRow.reason,
        is_removed,
    )
    query = (
        select(*columns, func.count())
        .join(CaseRow, CaseRow.id == ReceivedInstanceRow.case_id, isouter=True)
        .where(_OF.in_(keys))
        .group_by(*columns)
    )
    found: defaultdict[str, list[ReceiptLine]] = defaultdict(list)
    for key, uid, outcome, reason, removed, count in session.execute(query):
        place = Place.REMOVED if removed and outcome is InstanceOutcome.FILED else _PLACES[outcome]
        found[key].append(ReceiptLine(sop_class_uid=uid, place=place, reason=reason, count=count))
    order = list(Place)
    for key, lines in found.items():
        # Filed in a removed case or not, the group of an outcome may come in two parts.
        merged = Counter[tuple[str, Place, str]]()
        for line in lines:
            merged[line.sop_class_uid, line.place, line.reason] += line.count
        found[key] = [
            ReceiptLine(sop_class_uid=uid, place=place, reason=reason, count=count)
            for (uid, place, reason), count in sorted(
                merged.items(), key=lambda one: (order.index(one[0][1]), one[0][0], one[0][2])
            )
        ]
    return found


def _series(session: Session, keys: Sequence[str]) -> dict[str, list[tuple[str, SeriesFacts]]]:
    number = ReceivedInstanceRow.instance_number
    first = func.min(ReceivedInstanceRow.arrival_id)
    query = (
        select(
            _OF,
            ReceivedInstanceRow.series_key,
            func.count(ReceivedInstanceRow.sop_key.distinct()),
            func.count(number.distinct()),
            func.min(number),
            func.max(number),
            func.max(ReceivedInstanceRow.stated_series),
        )
        .where(_OF.in_(keys), ReceivedInstanceRow.series_key != "")
        .group_by(_OF, ReceivedInstanceRow.series_key)
        .order_by(first)
    )
    found: defaultdict[str, list[tuple[str, SeriesFacts]]] = defaultdict(list)
    for key, series_key, objects, numbers, lowest, highest, stated in session.execute(query):
        facts = SeriesFacts(objects=objects, numbers=numbers, first=lowest, last=highest, stated=stated)
        found[key].append((series_key, facts))
    return found


def _acquisitions(session: Session, keys: Sequence[str]) -> dict[str, list[AcquisitionFacts]]:
    columns = (
        _OF,
        ReceivedInstanceRow.acquisition_number,
        ReceivedInstanceRow.series_key,
        ReceivedInstanceRow.stated_acquisition,
    )
    query = (
        select(*columns, func.count(ReceivedInstanceRow.sop_key.distinct()))
        .where(_OF.in_(keys), ReceivedInstanceRow.acquisition_number.is_not(None))
        .group_by(*columns)
    )
    stated: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    objects: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for key, number, series_key, said, count in session.execute(query):
        if number is None:
            continue
        objects[key, number][series_key] += count
        if said is not None:
            stated[key, number].add(said)
    found: defaultdict[str, list[AcquisitionFacts]] = defaultdict(list)
    for (key, number), by_series in sorted(objects.items()):
        if len(stated[key, number]) == 1:  # instances that contradict each other are no evidence
            [said] = stated[key, number]
            found[key].append(
                AcquisitionFacts(stated=said, fewest=min(by_series.values()), objects=sum(by_series.values()))
            )
    return found


def _add_refusals(session: Session, pairs: Subquery, found: dict[str, Gathered], codes: dict[str, str]) -> None:
    """Give each study the refusals of its associations; the study that an association brought first counts them."""
    query: Any = select(pairs.c.study, RefusalRow).join(RefusalRow, RefusalRow.association_id == pairs.c.association)
    refusals = [(key, row) for key, row in session.execute(query)]
    if not refusals:
        return
    first = func.min(ReceivedInstanceRow.arrival_id)
    carried = (
        select(ReceivedInstanceRow.association_id, _OF, ReceivedStudyRow.receipt_code)
        .join(ReceivedStudyRow, ReceivedStudyRow.key == _OF)
        .where(
            ReceivedInstanceRow.association_id.in_(select(pairs.c.association)),
            ReceivedInstanceRow.association_id.in_(select(RefusalRow.association_id)),
        )
        .group_by(ReceivedInstanceRow.association_id, _OF, ReceivedStudyRow.receipt_code)
        .order_by(first)
    )
    brought: defaultdict[str, list[str]] = defaultdict(list)
    for association, _, code in session.execute(carried):
        brought[association].append(code)
    by_study: defaultdict[str, list[ReceiptRefusal]] = defaultdict(list)
    for key, row in refusals:
        association_codes = brought[row.association_id]
        by_study[key].append(
            ReceiptRefusal(
                association_id=row.association_id,
                sop_class_uid=row.sop_class_uid,
                status=row.status,
                reason=row.reason,
                count=row.count,
                counted_in=association_codes[0],
            )
        )
        if association_codes == [codes[key]]:
            found[key].refused_alone[row.association_id] += row.count
    for key, listed in by_study.items():
        found[key].refusals = tuple(
            sorted(listed, key=lambda one: (one.association_id, one.status, one.reason, one.sop_class_uid))
        )
