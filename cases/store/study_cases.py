"""Which cases hold something of a received study: the one that was made of it, and those that it was moved to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cases.intake import InstanceOutcome
from cases.model import OPEN_STATUSES, CaseStatus
from cases.store.rows import CaseRow, ReceivedInstanceRow, ReceivedStudyRow

_STANDS = (InstanceOutcome.FILED, InstanceOutcome.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where an instance belongs: its case, and the case whose pseudonyms its siblings had first."""

    case_id: str
    born_in: str


def holds_study(study: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return whether a case was made of a received study, or holds instances of it."""
    holds = (
        exists()
        .where(ReceivedInstanceRow.case_id == CaseRow.id, ReceivedInstanceRow.received_study == study)
        .correlate(CaseRow, ReceivedStudyRow)  # the study may be that of a query further out
    )
    return or_(CaseRow.received_study == study, holds)


def cases_of(session: Session, study_keys: Collection[str]) -> Sequence[tuple[str, str]]:
    """Return received studies with the ids of their cases, each pair once."""
    made = select(CaseRow.received_study, CaseRow.id).where(CaseRow.received_study.in_(study_keys))
    moved = select(ReceivedInstanceRow.received_study, ReceivedInstanceRow.case_id).where(
        ReceivedInstanceRow.received_study.in_(study_keys), ReceivedInstanceRow.case_id.is_not(None)
    )
    return [(key or "", case_id) for key, case_id in session.execute(made.union(moved))]


def main_cases(session: Session, study_key: str) -> Sequence[CaseRow]:
    """Return the cases that what comes late of a study may join, the newest first.

    Those that were made of it; where all of these are gone, those that it was moved to.
    """
    made = session.scalars(
        select(CaseRow)
        .where(CaseRow.received_study == study_key)
        .order_by(CaseRow.created_at.desc(), CaseRow.id)
        .execution_options(populate_existing=True)
    ).all()
    whole = [case for case in made if not case.split_from]
    if any(case.status != CaseStatus.REMOVED for case in whole):
        return whole
    held = func.count()
    query = (
        select(CaseRow, held)
        .join(ReceivedInstanceRow, ReceivedInstanceRow.case_id == CaseRow.id)
        .where(
            ReceivedInstanceRow.received_study == study_key,
            ReceivedInstanceRow.outcome.in_(_STANDS),
            CaseRow.status != CaseStatus.REMOVED,
        )
        .group_by(CaseRow.id)
        .order_by(held.desc(), CaseRow.id)
        .execution_options(populate_existing=True)
    )
    return [row for row, _ in session.execute(query)] or whole or made


def born_in(session: Session, study_key: str, case_id: str) -> str:
    """Return the case whose pseudonyms a study had first that a case holds; empty where it is this one."""
    query = (
        select(ReceivedInstanceRow.born_in)
        .where(
            ReceivedInstanceRow.received_study == study_key,
            ReceivedInstanceRow.case_id == case_id,
            ReceivedInstanceRow.outcome.in_(_STANDS),
        )
        .order_by(ReceivedInstanceRow.arrival_id.desc())
        .limit(1)
    )
    return session.scalar(query) or ""


def homes(session: Session, study_key: str, arrival_ids: Collection[str]) -> dict[str, Home]:
    """Return where instances belong: with what stands for the same original, else with their series, in open cases."""
    row = ReceivedInstanceRow
    columns = (row.arrival_id, row.sop_key, row.series_key, row.case_id, row.born_in)
    query = select(*columns).where(row.received_study == study_key)
    standing = (
        query.join(CaseRow, CaseRow.id == row.case_id)
        .where(row.outcome.in_(_STANDS), CaseRow.status.in_(OPEN_STATUSES))
        .order_by(row.arrival_id)
    )
    by_original: dict[str, Home] = {}
    by_series: dict[str, Home] = {}
    for _, sop_key, series_key, case_id, born in session.execute(standing):
        if case_id is not None:
            by_original[sop_key] = by_series[series_key] = Home(case_id=case_id, born_in=born)
    by_series.pop("", None)
    wanted = set(arrival_ids)
    found = {
        arrival_id: by_original.get(sop_key) or by_series.get(series_key)
        for arrival_id, sop_key, series_key, _, _ in session.execute(query)
        if arrival_id in wanted
    }
    return {arrival_id: home for arrival_id, home in found.items() if home is not None}
