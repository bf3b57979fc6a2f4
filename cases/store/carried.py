"""What people decided on a picture, carried to a newer arrival of the same picture under another header."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.reviews import (
    ANSWERED_BY_BOXES,
    NOBODY_DECIDED,
    HoldEvent,
    ReviewAction,
    carried,
    hold_after,
    review_of,
    review_values,
)
from cases.store.arrivals import finish_instance, lock_study
from cases.store.clock import now as clock_now
from cases.store.review_rows import PixelDecisionRow, PixelReviewRow, reviews_of
from cases.store.rows import HoldRow, ReceivedInstanceRow
from deidentify.results import DropReason, HoldReason
from deidentify.review import NO_REVIEW

Decided = Mapping[str, tuple[int, int]]
"""How many decisions there are on an instance, and how many of them were taken back; none where there are none."""
_ABOUT_THE_PICTURE = ANSWERED_BY_BOXES | {HoldReason.RECOGNIZABLE_FACE}
"""Holds whose answer says something of the picture, whatever its header says."""
_LEFT_OUT = "a person left the same picture out after looking at it, when it came under another header"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedReview:
    """What came of carrying decisions to a newer arrival."""

    hold_id: str
    """Of the newer arrival: where it is taken back."""
    from_hold: str
    decisions: int
    is_left_out: bool


class CarriedReviews:
    """Decisions on what newer arrivals take the place of; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def decided(self, arrival_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """Return how many decisions there are on instances."""
        query = (
            select(PixelDecisionRow.arrival_id, func.count(), func.count(PixelDecisionRow.undone_at))
            .where(PixelDecisionRow.arrival_id.in_(sorted(arrival_ids)))
            .group_by(PixelDecisionRow.arrival_id)
        )
        return {arrival_id: (count, undone) for arrival_id, count, undone in self._session.execute(query)}

    def is_decided_anew(self, received_study: str, known: Decided, arrival_ids: Collection[str]) -> bool:
        """Tell whether somebody decided on instances since ``known``; nobody can until the transaction ends."""
        lock_study(self._session, received_study)
        return dict(known) != self.decided(arrival_ids)

    def carry(self, old: str, new: str, *, case_id: str) -> CarriedReview | None:
        """Let an instance have what stands decided on an older one that shows the same picture.

        Returns
        -------
        CarriedReview or None
            None where nothing does, or somebody decided on the newer one itself.
        """
        arrived = self._session.get_one(ReceivedInstanceRow, new)
        lock_study(self._session, arrived.received_study)
        every, own = self._decisions(old), self._decisions(new)
        hold = self._session.scalar(select(HoldRow).where(HoldRow.arrival_id == old))
        if hold is None or not {one.group_id for one in own} <= {one.group_id for one in every}:
            return None
        self._session.execute(delete(PixelDecisionRow).where(PixelDecisionRow.arrival_id == new))
        reason = HoldReason(hold.reason)
        standing = [
            one
            for one in every
            if one.undone_at is None and (one.action != ReviewAction.DROP or reason in _ABOUT_THE_PICTURE)
        ]
        self._set_review(old, new)
        if not standing:
            return None
        for number, one in enumerate(standing, 1):
            self._session.add(
                PixelDecisionRow(
                    arrival_id=new,
                    number=number,
                    group_id=one.group_id,
                    action=one.action,
                    scope=one.scope,
                    before=review_values(carried(review_of(one.before))),
                    decided_by=one.decided_by,
                    decided_at=one.decided_at,
                )
            )
        is_left_out = standing[-1].action == ReviewAction.DROP
        hold_id = self._hold_like(hold, new, case_id, is_left_out=is_left_out)
        if is_left_out:
            detail = _LEFT_OUT
            finish_instance(
                self._session, new, InstanceOutcome.DROPPED, DropReason.REVIEW.value, detail=detail, case_id=case_id
            )
        self._session.flush()
        return CarriedReview(hold_id=hold_id, from_hold=hold.id, decisions=len(standing), is_left_out=is_left_out)

    def release(self, arrival_id: str) -> None:
        """Let the hold of an instance that was filed with what was carried be a released one: it can be taken back."""
        if not self.decided([arrival_id]):
            return
        self._session.execute(
            update(HoldRow)
            .where(HoldRow.arrival_id == arrival_id, HoldRow.state == HoldState.WITHDRAWN)
            .values(state=hold_after(HoldState.OPEN, HoldEvent.PASSED), decided_at=clock_now())
        )

    def _decisions(self, arrival_id: str) -> list[PixelDecisionRow]:
        query = select(PixelDecisionRow).where(PixelDecisionRow.arrival_id == arrival_id)
        return list(self._session.scalars(query.order_by(PixelDecisionRow.number)))

    def _set_review(self, old: str, new: str) -> None:
        review = carried(reviews_of(self._session, [old]).get(old, NOBODY_DECIDED).review)
        before = self._session.get(PixelReviewRow, old)
        row = self._session.get(PixelReviewRow, new)
        if before is None or (row is None and review == NO_REVIEW):
            return
        if row is None:
            row = PixelReviewRow(arrival_id=new, version=0)
            self._session.add(row)
        for name, value in review_values(review).items():
            setattr(row, name, value)
        row.version += 1
        row.decided_by, row.decided_at = before.decided_by, before.decided_at

    def _hold_like(self, hold: HoldRow, new: str, case_id: str, *, is_left_out: bool) -> str:
        """Give an instance a hold like the one that was decided, over already; held anew, it opens again."""
        row = self._session.scalar(select(HoldRow).where(HoldRow.arrival_id == new))
        if row is None:
            row = HoldRow(arrival_id=new, version=0, held_at=clock_now(), errand_id="")
            self._session.add(row)
        row.case_id, row.reason, row.detail, row.findings = case_id, hold.reason, hold.detail, hold.findings
        row.state = hold_after(HoldState.OPEN, HoldEvent.DROPPED) if is_left_out else HoldState.WITHDRAWN
        row.decided_at, row.version = clock_now(), row.version + 1
        self._session.flush()
        return row.id
