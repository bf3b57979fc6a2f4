"""Re-runs of single instances, asked for by what a person decided on their pixels."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.errands import ARRIVALS, Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import InvalidTransitionError
from cases.store.errand_rows import ErrandRow
from cases.store.errands import Errands, errand_value
from cases.store.review_rows import reviews_of
from cases.store.rows import CaseImageRow, CaseRow
from deidentify.review import NO_REVIEW

OUTDATED = "the case got another revision since: discard this and make the case anew, which carries what was decided"
_OTHER_REVISION = "its case got another revision, under which these images are looked at again"


class ReviewErrands:
    """Asks that instances are looked at again, under the revision that their case has; the case is locked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def can_ask(self, case_id: str) -> bool:
        """Tell whether a case has what a re-run needs."""
        case = self._session.get(CaseRow, case_id)
        return case is not None and bool(case.profile_revision and case.received_study)

    def ask(self, case_id: str, arrivals: Collection[str], *, actor: str) -> tuple[Errand, bool]:
        """Return the errand that looks at these instances again, and whether it is a new one.

        One that nobody began yet takes them along; one that waits for an editor is given up, and its instances are
        looked at again with these.

        Raises
        ------
        InvalidTransitionError
            When the case is older than its profile's revisions.
        """
        if not self.can_ask(case_id):
            raise InvalidTransitionError(
                "its case was made before profiles had revisions: make the case anew under one, then decide"
            )
        case = self._session.get_one(CaseRow, case_id)
        errands = Errands(self._session)
        wanted = set(arrivals)
        for before in errands.unfinished_of(case_id):
            if not before.is_review:
                continue
            row = errands.locked(before.id)
            if row.state is ErrandState.QUEUED:
                return self._taken_along(row, wanted), False
            if row.state is ErrandState.IN_REVIEW:
                wanted |= set(row.asked[ARRIVALS])
                reason = "somebody decided on more of its images, which are looked at together"
                errands.call_off(row.id, ErrandState.DISCARDED, reason, decided_by=actor)
        new = NewErrand(
            kind=ErrandKind.RERUN,
            profile=case.profile,
            revision=case.profile_revision,
            base_revision=case.profile_revision,
            case_id=case_id,
            requested_by=actor,
            asked={ARRIVALS: sorted(wanted)},
            is_review=True,
        )
        return errands.open(case.received_study or "", new), True

    def give_up_older(self, case: CaseRow, *, actor: str) -> tuple[list[Errand], set[str]]:
        """Give up re-runs of single images that began under another revision than the case has now.

        Returns
        -------
        tuple
            Those that were given up, and the instances that have to be looked at again: theirs, and images that a
            person decided on and the case still has of another revision.
        """
        errands, given_up = Errands(self._session), []
        query = select(CaseImageRow.arrival_id).where(
            CaseImageRow.case_id == case.id, CaseImageRow.profile_revision != case.profile_revision
        )
        reviews = reviews_of(self._session, self._session.scalars(query).all())
        again = {arrival_id for arrival_id, kept in reviews.items() if kept.review != NO_REVIEW}
        for before in errands.unfinished_of(case.id):
            # One that nobody began gets the revision of its case when it begins.
            if before.state is ErrandState.QUEUED or not is_outdated(before, case):
                continue
            errands.call_off(before.id, ErrandState.DISCARDED, _OTHER_REVISION, decided_by=actor)
            given_up.append(errands.get(before.id))
            again |= set(before.asked[ARRIVALS])
        return given_up, again

    def _taken_along(self, row: ErrandRow, wanted: set[str]) -> Errand:
        row.asked = {**row.asked, ARRIVALS: sorted(wanted | set(row.asked[ARRIVALS]))}
        self._session.flush()
        return errand_value(row)


def is_outdated(errand: Errand | ErrandRow, case: CaseRow) -> bool:
    """Tell whether an errand looks at single images under another revision than their case has."""
    return errand.is_review and (errand.profile, errand.revision) != (case.profile, case.profile_revision)
