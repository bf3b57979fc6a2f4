"""Decisions on the pixels of held images: kept, taken back, and the re-runs that look at the images again.

Locks are taken in one order: studies, then cases, each by their keys; then the instances.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select, update

from cases.errors import (
    CaseNotFoundError,
    InvalidChangeError,
    InvalidTransitionError,
    OriginalsGoneError,
    VersionConflictError,
)
from cases.holds import HoldFilter, HoldState, HoldSummary
from cases.intake import InstanceOutcome
from cases.model import OPEN_STATUSES, CaseStatus
from cases.reviews import (
    NOBODY_DECIDED,
    Decision,
    HoldEvent,
    KeptReview,
    ReviewAction,
    Reviewed,
    ReviewScope,
    check_answers,
    check_may_decide,
    chosen_boxes,
    decided,
    hold_after,
    may_look,
    review_of,
    review_values,
)
from cases.store.arrivals import lock_study
from cases.store.clock import now as clock_now
from cases.store.filing import Filing
from cases.store.holds import Holds
from cases.store.remakable import can_be_made_anew
from cases.store.review_errands import ReviewErrands
from cases.store.review_rows import PixelDecisionRow, PixelReviewRow, reviews_of
from cases.store.rows import HoldRow, ReceivedInstanceRow, new_id
from cases.store.shells import lock_case
from cases.users import User
from deidentify.results import DropReason, Hold, HoldReason
from deidentify.review import NO_REVIEW, MarkedBox

_AT_ONCE = 500
_DROPPED = "a person left it out after looking at it"
UNDO = "undo"
_OUTCOMES = {
    HoldState.OPEN: InstanceOutcome.HELD,
    HoldState.RELEASED: InstanceOutcome.FILED,
    HoldState.DISCARDED: InstanceOutcome.DROPPED,
}
"""What became of an instance whose hold stands there, where nothing else came in between."""


class Reviews(Filing):
    """What people decided on pixels."""

    def of(self, arrival_ids: Iterable[str]) -> dict[str, KeptReview]:
        """Return what is decided on these instances; those on which nobody decided anything are left out."""
        return reviews_of(self._session, arrival_ids)

    # -- deciding -----------------------------------------------------------------------------------------------------

    def decide(self, viewer: User, hold_id: str, decision: Decision, *, version: int | None = None) -> Reviewed:
        """Decide on a held image, and on others of its series or layout.

        Parameters
        ----------
        viewer
            Who decides; others are reached where the same person may decide on them.
        hold_id
            The hold that was looked at.
        decision
            What is decided.
        version
            Of the hold that was looked at; None where the viewer does not mind.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        NotAllowedError
            When the viewer may not decide this.
        VersionConflictError
            When the hold is another than the one that was looked at.
        InvalidTransitionError, InvalidChangeError
            When the hold is over, or what is asked for does not answer it.
        OriginalsGoneError
            When there is nothing any more that could be looked at again.
        """
        reached = self._locked(viewer, self._reached(viewer, hold_id, decision))
        hold, arrived = reached[hold_id]
        check_may_decide(viewer, hold, decision.action)
        if version is not None and version != hold.version:
            raise VersionConflictError("the hold is another by now: look at it again")
        _check_open(hold, arrived, decision.action)
        boxes = chosen_boxes(hold, decision)
        took = [
            hold,
            *(
                one
                for one, row in reached.values()
                # One whose case left the draft before it was locked is the reviewers' by now.
                if one.id != hold_id and may_look(viewer, one) and self._joins(one, row, hold, decision)
            ),
        ]
        group = new_id()
        for one in took:
            self._decide_one(viewer, one, decision, boxes, group=group, is_itself=one.id == hold_id)
        again = () if decision.action is ReviewAction.DROP else took
        return self._reviewed(viewer, decision.action.value, took, again, left=len(reached) - len(took))

    def _joins(self, one: HoldSummary, arrived: ReceivedInstanceRow, hold: HoldSummary, decision: Decision) -> bool:
        """Tell whether a decision on a hold is one on another hold of its scope too."""
        try:
            _check_open(one, arrived, decision.action)
        except InvalidTransitionError:
            return False
        if decision.action is ReviewAction.DROP:
            return True
        if HoldReason.RECOGNIZABLE_FACE in {one.reason, hold.reason} and one.reason is not hold.reason:
            return False
        is_as_large = (one.rows, one.columns) == (hold.rows, hold.columns)
        return is_as_large and one.case_id is not None and ReviewErrands(self._session).can_ask(one.case_id)

    def _reached(self, viewer: User, hold_id: str, decision: Decision) -> list[HoldSummary]:
        """Return the hold, and the open ones that its scope reaches; nothing is locked yet."""
        holds = Holds(self._session)
        hold = holds.get(viewer, hold_id)
        if decision.scope is ReviewScope.IMAGE:
            return [hold]
        if decision.scope is ReviewScope.SERIES and not hold.series_key:
            raise InvalidChangeError("its header names no series: decide on the image alone")
        if decision.scope is ReviewScope.LAYOUT and not hold.layout_key:
            raise InvalidChangeError("its header names no device: decide on the image or its series")
        same_series = hold.series_key if decision.scope is ReviewScope.SERIES else None
        filters = HoldFilter(series_key=same_series, layout_key=hold.layout_key)
        found, cursor = {hold.id: hold}, None
        while True:
            page = holds.list(viewer, filters=filters, cursor=cursor, limit=_AT_ONCE)
            found |= {one.id: one for one in page.items if may_look(viewer, one)}
            if (cursor := page.next_cursor) is None:
                return list(found.values())

    def _locked(self, viewer: User, holds: Sequence[HoldSummary]) -> dict[str, tuple[HoldSummary, ReceivedInstanceRow]]:
        """Lock studies, cases and instances, and return what still waits as it is by now."""
        for study in sorted({hold.received_study for hold in holds}):
            lock_study(self._session, study)
        for case_id in sorted({hold.case_id for hold in holds if hold.case_id is not None}):
            lock_case(self._session, case_id)
        found = {}
        for hold in sorted(holds, key=lambda one: one.arrival_id):
            arrived = self._session.get(
                ReceivedInstanceRow, hold.arrival_id, with_for_update={"key_share": True}, populate_existing=True
            )
            if arrived is None:
                raise CaseNotFoundError("there is no such received instance")
            found[hold.id] = (Holds(self._session).get(viewer, hold.id), arrived)
        return found

    def _decide_one(
        self,
        viewer: User,
        hold: HoldSummary,
        decision: Decision,
        boxes: tuple[MarkedBox, ...],
        *,
        group: str,
        is_itself: bool,
    ) -> None:
        kept = reviews_of(self._session, [hold.arrival_id])
        was = kept.get(hold.arrival_id, NOBODY_DECIDED).review
        self._session.add(
            PixelDecisionRow(
                arrival_id=hold.arrival_id,
                number=self._numbers(hold.arrival_id) + 1,
                group_id=group,
                action=decision.action.value,
                scope=decision.scope.value,
                before=review_values(was),
                decided_by=viewer.name,
                decided_at=clock_now(),
            )
        )
        if decision.action is ReviewAction.DROP:
            self._end(hold, HoldEvent.DROPPED)
            return
        is_face = hold.reason is HoldReason.RECOGNIZABLE_FACE
        after = decided(was, decision.action, boxes, is_itself=is_itself, is_face=is_face)
        self._set(viewer, hold.arrival_id, review_values(after))
        self._end(hold, HoldEvent.MARKED)

    def _end(self, hold: HoldSummary, event: HoldEvent) -> None:
        """Move an open hold on; the books of one that is dropped are closed with it."""
        state = hold_after(hold.state, event)
        over = {} if state is HoldState.OPEN else {"decided_at": clock_now()}
        row = update(HoldRow).where(HoldRow.id == hold.id)
        self._session.execute(row.values(state=state, version=HoldRow.version + 1, **over))
        if event is HoldEvent.DROPPED:
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id == hold.arrival_id)
                .values(
                    outcome=InstanceOutcome.DROPPED,
                    reason=DropReason.REVIEW.value,
                    detail=_DROPPED,
                    finished_at=clock_now(),
                )
            )
        self._session.flush()

    # -- taking back --------------------------------------------------------------------------------------------------

    def undo(self, viewer: User, hold_id: str) -> Reviewed:
        """Take the last decision on an image back, while its original is there.

        What was left out is held again, at once; so is what was filed into a draft, and its image is taken out. A
        re-run looks at it again with what was decided before. In a case that others may see, that waits for an editor.

        Raises
        ------
        CaseNotFoundError
            When there is none that the viewer may see.
        NotAllowedError
            When the viewer may not decide on it.
        InvalidTransitionError
            When nobody decided anything on it, or something else became of it since.
        OriginalsGoneError
            When there is nothing any more that could be held.
        """
        hold, arrived = self._locked(viewer, [Holds(self._session).get(viewer, hold_id)])[hold_id]
        check_may_decide(viewer, hold)
        last = self._last_decision(hold.arrival_id)
        if last is None:
            raise InvalidTransitionError("nobody decided anything on it: there is nothing to take back")
        _check_can_be_undone(hold, arrived, last)
        last.undone_by, last.undone_at = viewer.name, clock_now()
        if last.action != ReviewAction.DROP:
            self._set(viewer, hold.arrival_id, last.before)
        self._hold_again(hold, arrived)
        is_looked_at_again = last.action != ReviewAction.DROP or review_of(last.before) != NO_REVIEW
        return self._reviewed(viewer, UNDO, [hold], [hold] if is_looked_at_again else [])

    def _hold_again(self, hold: HoldSummary, arrived: ReceivedInstanceRow) -> None:
        state = hold_after(hold.state, HoldEvent.UNDONE)
        assert state is HoldState.OPEN
        if hold.state is HoldState.RELEASED:
            if hold.case_status not in OPEN_STATUSES:
                return  # the editor who applies the re-run decides
            self.withdraw_image(hold.arrival_id)
        elif hold.state is HoldState.DISCARDED:
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.arrival_id == hold.arrival_id)
                .values(outcome=InstanceOutcome.RECEIVED, finished_at=None)
            )
        self._session.expire(arrived)
        again = Hold(reason=hold.reason, detail=hold.detail, findings=hold.findings)
        Holds(self._session).hold(hold.case_id, hold.arrival_id, again, errand_id=hold.errand_id)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _reviewed(
        self, viewer: User, action: str, reached: Sequence[HoldSummary], again: Sequence[HoldSummary], *, left: int = 0
    ) -> Reviewed:
        """Ask for the re-runs that are needed, one for each case, and return all that was reached."""
        by_case = dict[str, list[str]]()
        for hold in again:
            by_case.setdefault(hold.case_id or "", []).append(hold.arrival_id)
        asking = ReviewErrands(self._session)
        asked = [asking.ask(case_id, arrivals, actor=viewer.name) for case_id, arrivals in sorted(by_case.items())]
        return Reviewed(
            action=action,
            holds=tuple(hold.id for hold in reached),
            errands=tuple(errand for errand, _ in asked),
            new_errands=tuple(errand.id for errand, is_new in asked if is_new),
            left=left,
        )

    def _set(self, viewer: User, arrival_id: str, values: Mapping[str, Any]) -> None:
        row = self._session.get(PixelReviewRow, arrival_id, populate_existing=True)
        if row is None:
            row = PixelReviewRow(arrival_id=arrival_id, version=0)
            self._session.add(row)
        row.redact, row.safe, row.safe_elsewhere = values["redact"], values["safe"], values["safe_elsewhere"]
        row.accepts_face = bool(values.get("accepts_face"))
        row.version += 1
        row.decided_by, row.decided_at = viewer.name, clock_now()
        self._session.flush()

    def _decisions(self, arrival_id: str) -> Sequence[PixelDecisionRow]:
        query = select(PixelDecisionRow).where(PixelDecisionRow.arrival_id == arrival_id)
        return self._session.scalars(query.order_by(PixelDecisionRow.number)).all()

    def _numbers(self, arrival_id: str) -> int:
        return max((row.number for row in self._decisions(arrival_id)), default=0)

    def _last_decision(self, arrival_id: str) -> PixelDecisionRow | None:
        return next((row for row in reversed(self._decisions(arrival_id)) if row.undone_at is None), None)


def _check_open(hold: HoldSummary, arrived: ReceivedInstanceRow, action: ReviewAction) -> None:
    """Refuse what cannot be decided on a hold, with what can."""
    hold_after(hold.state, HoldEvent.DROPPED if action is ReviewAction.DROP else HoldEvent.MARKED)
    if arrived.purged_at is not None:
        raise OriginalsGoneError("its original is gone: there is nothing to decide any more")
    check_answers(hold, action)
    if action is ReviewAction.DROP:
        return
    if hold.case_id is None:
        raise InvalidTransitionError("it belongs to no case: it can only be dropped")
    if not can_be_made_anew(arrived):
        raise InvalidTransitionError(
            "it was never compared with what else came under its UIDs: it can only be dropped, or stays held"
        )


def _check_can_be_undone(hold: HoldSummary, arrived: ReceivedInstanceRow, last: PixelDecisionRow) -> None:
    hold_after(hold.state, HoldEvent.UNDONE)
    if arrived.purged_at is not None:
        raise OriginalsGoneError("its original is gone: what was decided stays")
    if arrived.outcome is not _OUTCOMES[hold.state]:
        raise InvalidTransitionError("something else became of it since: make the case anew, and look at it then")
    if hold.case_status is CaseStatus.REMOVED or (hold.case_id is None and review_of(last.before) != NO_REVIEW):
        raise InvalidTransitionError("its case is gone: what was decided stays")
