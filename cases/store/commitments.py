"""Storage commitment: what was promised to whom and until when. A promise is a row before anybody hears of it."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from cases.commitments import (
    CommitmentEvidence,
    CommitmentRecord,
    CommitmentState,
    CommitmentSummary,
    KeyedReference,
    NewCommitment,
)
from cases.intake import ReceivedInstance
from cases.store.arrivals import instance_value
from cases.store.commitment_rows import CommitmentInstanceRow, CommitmentRow
from cases.store.rows import ReceivedInstanceRow
from cases.store.upsert import insert_or_nothing

_AT_ONCE = 500

PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
DUPLICATE_TRANSACTION_UID = 0x0131


class Commitments:
    """The promises."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- deciding ----------------------------------------------------------------------------------------------------

    def decide(
        self,
        request: NewCommitment,
        *,
        now: datetime,
        until: datetime,
        is_there: Callable[[ReceivedInstance], bool],
        unreadable: Collection[str] = (),
    ) -> dict[KeyedReference, int | None]:
        """Promise to keep what is here until a moment, and return the failure reason of each instance that is not.

        Nobody can purge what is looked at before the transaction ends, and only once it is committed may the requester
        hear of the promise. Safe to repeat: what was promised once is never promised for a shorter time.

        Parameters
        ----------
        request
            What is asked for.
        now, until
            The present moment, and the end of the promise.
        is_there
            Tells whether an original's file is there; asked within the transaction.
        unreadable
            Names of instances that have a file which cannot be read.

        Returns
        -------
        dict of KeyedReference to int or None
            The Failure Reason (0008,1197) of each instance; None where it is committed.
        """
        if self._is_of_another_list(request):
            answer: dict[KeyedReference, int | None] = dict.fromkeys(request.references, DUPLICATE_TRANSACTION_UID)
            self._keep(request, answer, now=now, until=None)
            return answer
        found: defaultdict[str, list[ReceivedInstance]] = defaultdict(list)
        for original in self.originals({reference.sop_key for reference in request.references}, lock=True):
            found[original.sop_key].append(original)
        answer, promised = {}, []
        for reference in request.references:
            originals = found[reference.sop_key]
            of_class = [one for one in originals if one.sop_class_uid == reference.sop_class_uid]
            readable = [one for one in of_class if is_there(one)]
            promised += [one.arrival_id for one in readable]
            if readable:
                answer[reference] = None
            elif of_class or (not originals and reference.sop_key in unreadable):
                answer[reference] = PROCESSING_FAILURE
            else:
                answer[reference] = CLASS_INSTANCE_CONFLICT if originals else NO_SUCH_OBJECT_INSTANCE
        self._promise(promised, until)
        self._keep(request, answer, now=now, until=until if promised else None)
        return answer

    def _is_of_another_list(self, request: NewCommitment) -> bool:
        """Tell whether the transaction is in use for other instances; the same list again is the same request."""
        query = (
            select(CommitmentRow.list_digest)
            .where(
                CommitmentRow.transaction_key == request.transaction_key,
                CommitmentRow.request_id < request.request_id,
            )
            .order_by(CommitmentRow.request_id)
            .limit(1)
        )
        first = self._session.scalar(query)
        return first is not None and first != _digest(request.references)

    def known(self, sop_keys: Collection[str]) -> set[str]:
        """Return those of the instances that have arrived, purged or not."""
        found = set[str]()
        for keys in _batches(sorted(sop_keys)):
            query = select(ReceivedInstanceRow.sop_key).where(ReceivedInstanceRow.sop_key.in_(keys))
            found.update(self._session.scalars(query))
        return found

    def originals(self, sop_keys: Collection[str], *, lock: bool = False) -> list[ReceivedInstance]:
        """Return what has arrived of the instances and is not purged.

        With ``lock`` it is not purged until the transaction ends.
        """
        found = list[ReceivedInstance]()
        for keys in _batches(sorted(sop_keys)):
            query = (
                select(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.sop_key.in_(keys), ReceivedInstanceRow.purged_at.is_(None))
                .order_by(ReceivedInstanceRow.arrival_id)
            )
            found += [instance_value(row) for row in self._session.scalars(query.with_for_update() if lock else query)]
        return found

    def promised(self, arrival_ids: Collection[str], now: datetime) -> set[str]:
        """Return those of the arrivals that storage commitment keeps."""
        found = set[str]()
        for ids in _batches(sorted(arrival_ids)):
            query = select(ReceivedInstanceRow.arrival_id).where(
                ReceivedInstanceRow.arrival_id.in_(ids), ReceivedInstanceRow.committed_until > now
            )
            found.update(self._session.scalars(query))
        return found

    def _promise(self, arrival_ids: Iterable[str], until: datetime) -> None:
        for ids in _batches(list(dict.fromkeys(arrival_ids))):
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(
                    ReceivedInstanceRow.arrival_id.in_(ids),
                    or_(ReceivedInstanceRow.committed_until.is_(None), ReceivedInstanceRow.committed_until < until),
                )
                .values(committed_until=until)
                .execution_options(synchronize_session=False)
            )

    def _keep(
        self,
        request: NewCommitment,
        answer: Mapping[KeyedReference, int | None],
        *,
        now: datetime,
        until: datetime | None,
    ) -> None:
        failed = sum(1 for reason in answer.values() if reason is not None)
        self._session.execute(
            update(CommitmentRow)
            .where(
                CommitmentRow.transaction_key == request.transaction_key,
                CommitmentRow.list_digest == _digest(request.references),
                CommitmentRow.request_id != request.request_id,
                CommitmentRow.calling_ae == request.calling_ae,
                CommitmentRow.state == CommitmentState.DECIDED,
            )
            .values(state=CommitmentState.REPEATED)
        )
        values = {
            "request_id": request.request_id,
            "transaction_key": request.transaction_key,
            "list_digest": _digest(request.references),
            "calling_ae": request.calling_ae,
            "called_ae": request.called_ae,
            "peer_address": request.peer_address,
            "association_id": request.association_id,
            "state": CommitmentState.DECIDED,
            "committed": len(answer) - failed,
            "failed": failed,
            "requested_at": request.requested_at,
            "decided_at": now,
            "committed_until": until,
            "attempts": 0,
            "next_attempt_at": now,
            "last_failure": "",
        }
        if not insert_or_nothing(self._session, CommitmentRow, [values], ["request_id"]):
            # Decided before, and the result was not kept: what is found now counts.
            counts = {name: values[name] for name in ("committed", "failed", "committed_until")}
            self._session.execute(
                update(CommitmentRow).where(CommitmentRow.request_id == request.request_id).values(**counts)
            )
        reasons: dict[str, int | None] = {}
        for reference, reason in answer.items():
            # One instance under two classes is one instance: here if it is here under either.
            if reasons.get(reference.sop_key, reason) is not None or reason is None:
                reasons[reference.sop_key] = reason
        insert_or_nothing(
            self._session,
            CommitmentInstanceRow,
            [
                {"request_id": request.request_id, "sop_key": sop_key, "failure_reason": reason}
                for sop_key, reason in sorted(reasons.items())
            ],
            ["request_id", "sop_key"],
        )

    # -- reporting ---------------------------------------------------------------------------------------------------

    def find(self, request_id: str) -> CommitmentRecord | None:
        """Return a decided request, None where there is none of this id."""
        row = self._session.get(CommitmentRow, request_id)
        return None if row is None else _record(row)

    def of_transaction(self, transaction_key: str) -> tuple[CommitmentRecord, ...]:
        """Return the requests of a transaction, oldest first."""
        query = select(CommitmentRow).where(CommitmentRow.transaction_key == transaction_key)
        return tuple(_record(row) for row in self._session.scalars(query.order_by(CommitmentRow.request_id)))

    def reported(self, request_id: str, now: datetime) -> None:
        """Keep that the requester took the report."""
        self._session.execute(
            update(CommitmentRow)
            .where(CommitmentRow.request_id == request_id)
            .values(state=CommitmentState.REPORTED, reported_at=now, attempts=CommitmentRow.attempts + 1)
        )

    def failed(self, request_id: str, failure: str, next_attempt_at: datetime) -> None:
        """Keep that a report was not taken, why, and when it is tried again."""
        self._session.execute(
            update(CommitmentRow)
            .where(CommitmentRow.request_id == request_id)
            .values(attempts=CommitmentRow.attempts + 1, last_failure=failure, next_attempt_at=next_attempt_at)
        )

    def overdue(self, decided_before: datetime) -> list[str]:
        """Return the requests decided before a moment whose report nobody has taken."""
        query = select(CommitmentRow.request_id).where(
            CommitmentRow.state == CommitmentState.DECIDED, CommitmentRow.decided_at <= decided_before
        )
        return sorted(self._session.scalars(query))

    def give_up(self, request_id: str) -> None:
        """Give up a report. The promise stands."""
        self._session.execute(
            update(CommitmentRow)
            .where(CommitmentRow.request_id == request_id, CommitmentRow.state == CommitmentState.DECIDED)
            .values(state=CommitmentState.GIVEN_UP)
        )

    # -- looking -----------------------------------------------------------------------------------------------------

    def requested(self, received_study: str) -> CommitmentEvidence | None:
        """Return what the lists that name instances of a study say about it, None where none does.

        Parameters
        ----------
        received_study
            The row key of the received study.
        """
        own = select(ReceivedInstanceRow.sop_key).where(ReceivedInstanceRow.received_study == received_study)
        of_study = select(CommitmentInstanceRow.request_id).where(CommitmentInstanceRow.sop_key.in_(own))
        requested_at = self._session.scalar(
            select(func.max(CommitmentRow.requested_at, type_=CommitmentRow.requested_at.type)).where(
                CommitmentRow.request_id.in_(of_study)
            )
        )
        if requested_at is None:
            return None
        named = (
            select(CommitmentInstanceRow.sop_key).where(CommitmentInstanceRow.request_id.in_(of_study)).distinct()
        ).subquery()
        here = select(ReceivedInstanceRow.sop_key)
        count = self._session.scalar(select(func.count()).select_from(named)) or 0
        present = self._session.scalar(select(func.count()).where(named.c.sop_key.in_(here))) or 0
        unnamed = self._session.scalar(
            select(func.count()).where(
                ReceivedInstanceRow.received_study == received_study,
                ReceivedInstanceRow.sop_key.not_in(select(named.c.sop_key)),
            )
        )
        return CommitmentEvidence(
            named=count, present=present, requested_at=requested_at, is_complete=present == count and not unnamed
        )

    def summary(self, now: datetime) -> CommitmentSummary:
        """Return how many requests are in which state, and how many originals they keep."""
        by_state = select(CommitmentRow.state, func.count()).group_by(CommitmentRow.state)
        failures = (
            select(CommitmentRow.last_failure, func.count())
            .where(
                CommitmentRow.last_failure != "",
                CommitmentRow.state.in_((CommitmentState.DECIDED, CommitmentState.GIVEN_UP)),
            )
            .group_by(CommitmentRow.last_failure)
        )
        kept = select(func.count()).where(
            ReceivedInstanceRow.committed_until > now, ReceivedInstanceRow.purged_at.is_(None)
        )
        return CommitmentSummary(
            requests={state: count for state, count in self._session.execute(by_state)},  # noqa: C416 - rows are no tuples
            committed_originals=self._session.scalar(kept) or 0,
            last_failures={failure: count for failure, count in self._session.execute(failures)},  # noqa: C416 - as above
        )

    def originals_of(self, transaction_key: str) -> list[ReceivedInstance]:
        """Return the instances that a transaction was about and whose originals are not purged, oldest first."""
        named = (
            select(CommitmentInstanceRow.sop_key)
            .join(CommitmentRow, CommitmentRow.request_id == CommitmentInstanceRow.request_id)
            .where(CommitmentRow.transaction_key == transaction_key)
        )
        query = (
            select(ReceivedInstanceRow)
            .where(ReceivedInstanceRow.sop_key.in_(named), ReceivedInstanceRow.purged_at.is_(None))
            .order_by(ReceivedInstanceRow.arrival_id)
        )
        return [instance_value(row) for row in self._session.scalars(query)]


def _digest(references: Iterable[KeyedReference]) -> str:
    """Return what two lists of the same instances have in common, whatever their order."""
    lines = sorted(f"{reference.sop_key} {reference.sop_class_uid}" for reference in references)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _batches(keys: list[str]) -> Iterable[list[str]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))


def _record(row: CommitmentRow) -> CommitmentRecord:
    return CommitmentRecord(
        request_id=row.request_id,
        transaction_key=row.transaction_key,
        calling_ae=row.calling_ae,
        called_ae=row.called_ae,
        peer_address=row.peer_address,
        association_id=row.association_id,
        state=CommitmentState(row.state),
        committed=row.committed,
        failed=row.failed,
        requested_at=row.requested_at,
        decided_at=row.decided_at,
        committed_until=row.committed_until,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_failure=row.last_failure,
        reported_at=row.reported_at,
    )
