"""Re-runs of single instances, asked for by what a person decided on their pixels."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from cases.errands import Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import InvalidTransitionError
from cases.store.errand_rows import ErrandRow
from cases.store.errands import Errands, errand_value
from cases.store.reruns import ARRIVALS
from cases.store.rows import CaseRow


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

    def _taken_along(self, row: ErrandRow, wanted: set[str]) -> Errand:
        row.asked = {**row.asked, ARRIVALS: sorted(wanted | set(row.asked[ARRIVALS]))}
        self._session.flush()
        return errand_value(row)
