"""Which originals are there, and until when."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from cases.intake import InstanceOutcome, ReceivedInstance
from cases.originals import StudyOriginals
from cases.store.arrivals import instance_value
from cases.store.rows import ReceivedInstanceRow, ReceivedStudyRow


class Originals:
    """The originals that are not purged, as the books have them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def studies(self, *, retention_days: float, hold_retention_days: float) -> tuple[StudyOriginals, ...]:
        """Return the originals study by study, the latest first.

        Parameters
        ----------
        retention_days, hold_retention_days
            How long originals, and those of undecided holds, are kept after their arrival.
        """
        row = ReceivedInstanceRow
        query = (
            select(
                row.received_study,
                row.outcome,
                func.count(),
                func.sum(row.size_bytes),
                func.min(row.received_at, type_=row.received_at.type),
                func.max(row.received_at, type_=row.received_at.type),
                func.max(row.committed_until, type_=row.committed_until.type),
                func.max(row.recorded_at, type_=row.received_at.type),
            )
            .where(row.purged_at.is_(None))
            .group_by(row.received_study, row.outcome)
        )
        groups: defaultdict[str, list[Any]] = defaultdict(list)
        for group in self._session.execute(query):
            groups[group[0]].append(group)
        there = select(row.received_study).where(row.purged_at.is_(None))
        studies = self._session.scalars(select(ReceivedStudyRow).where(ReceivedStudyRow.key.in_(there)))
        days: dict[InstanceOutcome, float] = {InstanceOutcome.HELD: hold_retention_days}
        shown = [_study(study, groups[study.key], days, retention_days) for study in studies]
        return tuple(sorted(shown, key=lambda one: (one.last_arrival_at, one.study_key), reverse=True))

    def of_study(self, key: str) -> list[ReceivedInstance]:
        """Return the originals of a study, by its key in the spool or its row key, in the order of arrival."""
        query = (
            select(ReceivedInstanceRow)
            .where(
                or_(ReceivedInstanceRow.study_key == key, ReceivedInstanceRow.received_study == key),
                ReceivedInstanceRow.purged_at.is_(None),
            )
            .order_by(ReceivedInstanceRow.arrival_id)
        )
        return [instance_value(row) for row in self._session.scalars(query)]


def _study(
    study: ReceivedStudyRow, groups: Sequence[Any], days: dict[InstanceOutcome, float], default_days: float
) -> StudyOriginals:
    ends: list[datetime] = []
    committed: list[datetime] = []
    is_waiting = False
    for _, outcome, _, _, _, last, committed_until, recorded in groups:
        is_waiting |= outcome == InstanceOutcome.RECEIVED
        # The days count from the arrival and from the moment when the database learned of it: both have to be over.
        ends.append(max(last, recorded or last) + timedelta(days=days.get(outcome, default_days)))
        committed += [committed_until] if committed_until is not None else []
    return StudyOriginals(
        study_key=study.study_key,
        calling_ae=study.calling_ae,
        called_ae=study.called_ae,
        first_arrival_at=min(group[4] for group in groups),
        last_arrival_at=max(group[5] for group in groups),
        originals=sum(group[2] for group in groups),
        size_bytes=sum(int(group[3]) for group in groups),
        by_outcome={group[1].value: group[2] for group in groups},
        kept_until=None if is_waiting else max((*ends, *committed)),
        committed_until=max(committed, default=None),
    )
