"""Receipts: what became of everything that was sent of a study, and whether all of it is there."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError
from cases.evidence import ReceiptState, SeriesFacts, judge
from cases.intake import AssociationOutcome
from cases.model import CaseStatus, Page
from cases.receipts import (
    GAPS_SHOWN,
    Place,
    Receipt,
    ReceiptAssociations,
    ReceiptCase,
    ReceiptSeries,
    ReceiptSummary,
    ReceiptSums,
    SettledBy,
    read_code,
)
from cases.store.account_rows import UserRow
from cases.store.association_rows import AssociationRow, DeclinedContextRow
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.receipt_facts import Gathered, gather, study_facts
from cases.store.rows import CaseRow, ReceivedInstanceRow, ReceivedStudyRow
from cases.store.study_cases import cases_of, holds_study
from cases.users import User

LOOKED_AT = 2000
"""How many receipts one page looks through for those in one state; a page may be short and go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFilter:
    """What a list of receipts is narrowed to."""

    state: ReceiptState | None = None
    sender: str | None = None
    """A calling AE title that sent an instance of the study."""
    since: datetime | None = None
    """Only studies of which something arrived since."""


class Receipts:
    """The receipts, computed from the books: nothing is kept twice, and any order of events gives the same."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(
        self, viewer: User, *, cursor: str | None = None, limit: int = 50, filters: ReceiptFilter | None = None
    ) -> Page[ReceiptSummary]:
        """Return the receipts that a viewer may see, the latest study first.

        A page that was narrowed to a state may have fewer than its number and go on.
        """
        wanted = filters or ReceiptFilter()
        size, seen = checked_limit(limit), 0
        items: list[ReceiptSummary] = []
        conditions = [_visible(viewer), *_narrowed(wanted)]
        while True:
            rows = self._rows(conditions, cursor, size + 1)
            page = self._summaries(rows[:size])
            seen += len(page)
            for row, summary in zip(rows, page, strict=False):
                if wanted.state is None or summary.judgement.state is wanted.state:
                    items.append(summary)
                cursor = encode_cursor(row.first_arrival_at, row.receipt_code)
                if len(items) == size:
                    is_last = row is rows[-1]
                    return Page(items=tuple(items), next_cursor=None if is_last else cursor)
            if len(rows) <= size:
                return Page(items=tuple(items))
            if seen >= LOOKED_AT:
                return Page(items=tuple(items), next_cursor=cursor)

    def _rows(
        self, conditions: Sequence[ColumnElement[bool]], cursor: str | None, limit: int
    ) -> Sequence[ReceivedStudyRow]:
        query = select(ReceivedStudyRow).where(*conditions)
        if cursor is not None:
            at, code = decode_cursor(cursor)
            arrived = ReceivedStudyRow.first_arrival_at
            query = query.where(or_(arrived < at, and_(arrived == at, ReceivedStudyRow.receipt_code < code)))
        order = (ReceivedStudyRow.first_arrival_at.desc(), ReceivedStudyRow.receipt_code.desc())
        return self._session.scalars(query.order_by(*order).limit(limit)).all()

    def get(self, viewer: User, code: str) -> Receipt:
        """Return the receipt with this code, however it was written down.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        """
        row = self._session.scalar(
            select(ReceivedStudyRow).where(ReceivedStudyRow.receipt_code == read_code(code), _visible(viewer))
        )
        if row is None:
            raise CaseNotFoundError("there is no such receipt")
        known = gather(self._session, [row])[row.key]
        cases = _cases(self._session, [row.key])
        return Receipt(
            summary=_summary(self._session, row, known, cases[row.key]),
            lines=known.lines,
            refusals=known.refusals,
            associations=_ended_alike(row, known),
            declined=self._declined(row.key),
            series=tuple(
                ReceiptSeries(number=number, facts=facts, gaps=self._gaps(row.key, series_key, facts))
                for number, (series_key, facts) in enumerate(known.series, 1)
            ),
        )

    def _summaries(self, rows: Sequence[ReceivedStudyRow]) -> tuple[ReceiptSummary, ...]:
        known = gather(self._session, rows)
        cases = _cases(self._session, [row.key for row in rows])
        return tuple(_summary(self._session, row, known[row.key], cases[row.key]) for row in rows)

    def _declined(self, key: str) -> tuple[tuple[str, int], ...]:
        own = select(ReceivedInstanceRow.association_id).where(ReceivedInstanceRow.received_study == key)
        query = (
            select(DeclinedContextRow.abstract_syntax, func.sum(DeclinedContextRow.count))
            .where(DeclinedContextRow.association_id.in_(own))
            .group_by(DeclinedContextRow.abstract_syntax)
            .order_by(DeclinedContextRow.abstract_syntax)
        )
        return tuple((syntax, int(count)) for syntax, count in self._session.execute(query))

    def _gaps(self, key: str, series_key: str, facts: SeriesFacts) -> tuple[tuple[int, int], ...]:
        if not facts.missing_numbers:
            return ()
        number = ReceivedInstanceRow.instance_number
        query = (
            select(number)
            .where(
                ReceivedInstanceRow.received_study == key,
                ReceivedInstanceRow.series_key == series_key,
                number.is_not(None),
            )
            .distinct()
            .order_by(number)
        )
        gaps: list[tuple[int, int]] = []
        before: int | None = None
        for one in self._session.scalars(query):
            assert one is not None
            if before is not None and one > before + 1 and len(gaps) < GAPS_SHOWN:
                gaps.append((before + 1, one - 1))
            before = one
        return tuple(gaps)


def _visible(viewer: User) -> ColumnElement[bool]:
    """Return the studies that a viewer may know of: of own cases, or on their way to the viewer; or all."""
    if viewer.sees_all:
        return ReceivedStudyRow.key != ""
    of_study = holds_study(ReceivedStudyRow.key)
    own = exists().where(of_study, CaseRow.owner_id == viewer.id, CaseRow.status != CaseStatus.REMOVED)
    return own | ((ReceivedStudyRow.owner_name == viewer.name) & ~exists().where(of_study))


def _narrowed(filters: ReceiptFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.sender is not None:
        found.append(
            exists().where(
                ReceivedInstanceRow.received_study == ReceivedStudyRow.key,
                ReceivedInstanceRow.calling_ae == filters.sender,
            )
        )
    if filters.since is not None:
        found.append(ReceivedStudyRow.last_arrival_at >= filters.since)
    return found


def _cases(session: Session, keys: Sequence[str]) -> defaultdict[str, tuple[ReceiptCase, ...]]:
    studies: defaultdict[str, list[str]] = defaultdict(list)
    for key, case_id in cases_of(session, keys):
        studies[case_id].append(key)
    query = (
        select(CaseRow.id, CaseRow.status, UserRow.name)
        .join(UserRow, UserRow.id == CaseRow.owner_id, isouter=True)
        .where(CaseRow.id.in_(studies))
        .order_by(CaseRow.created_at, CaseRow.id)
    )
    found: defaultdict[str, tuple[ReceiptCase, ...]] = defaultdict(tuple)
    for case_id, status, owner in session.execute(query):
        for key in studies[case_id]:
            found[key] += (ReceiptCase(case_id=case_id, status=status, owner=owner),)
    return found


def _summary(
    session: Session, row: ReceivedStudyRow, known: Gathered, cases: tuple[ReceiptCase, ...]
) -> ReceiptSummary:
    placed = Counter[Place]()
    for line in known.lines:
        placed[line.place] += line.count
    refused = sum(one.count for one in known.refusals if one.counted_in == row.receipt_code)
    totals = known.totals
    return ReceiptSummary(
        code=row.receipt_code,
        study_key=row.study_key,
        senders=tuple(sorted(known.senders)),
        called=tuple(sorted(known.called)),
        judgement=judge(study_facts(session, row.key, known)),
        sums=ReceiptSums(stored=totals.stored, refused=refused, **{place.value: placed[place] for place in Place}),
        generation=totals.settled,
        settled_by=SettledBy(row.settled_by) if row.settled_by else None,
        first_arrival_at=row.first_arrival_at,
        last_arrival_at=row.last_arrival_at,
        settled_at=row.settled_at,
        first_filed_at=totals.first_filed_at,
        done_at=totals.last_finished_at,
        cases=cases,
    )


def _ended_alike(row: ReceivedStudyRow, known: Gathered) -> tuple[ReceiptAssociations, ...]:
    groups: defaultdict[tuple[str, str, str, AssociationOutcome, str], list[AssociationRow]] = defaultdict(list)
    for one in known.associations:
        groups[one.calling_ae, one.called_ae, one.peer_address, one.outcome, one.rule].append(one)
    found = [
        ReceiptAssociations(
            calling_ae=calling,
            called_ae=called,
            peer_address=address,
            outcome=outcome,
            rule=rule,
            count=len(rows),
            started_at=min(one.started_at for one in rows),
            ended_at=max((one.ended_at for one in rows if one.ended_at is not None), default=None),
        )
        for (calling, called, address, outcome, rule), rows in sorted(groups.items())
    ]
    if known.open_associations:
        found.append(
            ReceiptAssociations(
                calling_ae=row.calling_ae,
                called_ae=row.called_ae,
                peer_address="",
                outcome=None,
                rule="",
                count=known.open_associations,
                started_at=None,
                ended_at=None,
            )
        )
    return tuple(found)
