"""Moving images between drafts: asked for, planned, staged; ``moving`` brings them there at once."""

from collections.abc import Collection

from sqlalchemy import select

from cases import states
from cases.errands import AT_WORK, Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import (
    CaseNotFoundError,
    InvalidTransitionError,
    MoveInProgressError,
    VersionConflictError,
)
from cases.intake import InstanceOutcome
from cases.model import CaseStatus
from cases.moves import AskedMove, MovePlan, MovingImage, NewMove, StagedMove, move_blob_key
from cases.store.accounts import draft_count, lock_user
from cases.store.arrivals import lock_study
from cases.store.condemned import condemn_unused
from cases.store.errand_rows import ErrandRow, StagedMoveRow
from cases.store.errands import Errands, errand_value
from cases.store.move_plans import MovePlans, check_drafts
from cases.store.moving import Moving
from cases.store.rows import CaseImageRow, CaseRow, ReceivedInstanceRow, new_id
from cases.store.shells import Shells, lock_case
from cases.users import User

_CHANGED = "the cases changed while it was worked on; look at them, then ask again"


class Moves(Shells):
    """Moves of images between drafts; every call may be repeated after a crash."""

    # -- asking -------------------------------------------------------------------------------------------------------

    def request(self, viewer: User, new: NewMove, *, version: int | None = None) -> tuple[Errand, MovePlan]:
        """Ask for images to go to another draft, or to a new one.

        Parameters
        ----------
        viewer
            Who asks: the owner of both cases, or an editor.
        new
            What is to go where.
        version
            Of the case that the request is about, as the viewer saw it; None where the viewer does not mind.

        Raises
        ------
        CaseNotFoundError
            When there is no such case that the viewer may see, or no such study or series of it.
        NotAllowedError
            When the viewer is neither the owner nor an editor.
        InvalidTransitionError
            When a case is no draft, they have two owners, or nothing or everything would go.
        OtherPatientError
            When they are not known to be of one patient.
        MoveInProgressError
            When images of one of them are still being worked on.
        DraftLimitError
            When the owner has no place for a new draft.
        VersionConflictError
            When somebody changed the case since.
        """
        self._lock_studies(MovePlans(self._session).studies_of(new.from_case, new.to_case))
        source = self._visible_case(viewer, new.from_case)
        if source.owner_id is not None:
            lock_user(self._session, source.owner_id)
        for case_id in sorted({new.from_case, new.to_case} - {""}):
            lock_case(self._session, case_id)
        target = self._visible_case(viewer, new.to_case) if new.to_case else None
        about = target if new.is_whole and target is not None else source
        if version is not None and about.version != version:
            raise VersionConflictError("the case was changed since it was read: read it again, then repeat the request")
        for case in (source, target):
            if case is not None:  # one that waits for a place may be merged, though it cannot be edited
                states.check_editable(viewer, case.owner_id, CaseStatus.DRAFT, case.visibility)
        check_drafts(source, target, is_whole=new.is_whole)
        asked = AskedMove(
            from_case=source.id,
            to_case=target.id if target is not None else new_id(),
            owner_id=source.owner_id,
            is_new=target is None,
            is_whole=new.is_whole,
            studies=new.studies,
            series=new.series,
        )
        self._check_free(asked)
        if target is None:
            self._check_place(source.owner_id)
        plan = MovePlans(self._session).checked(asked)
        errand = NewErrand(
            kind=ErrandKind.MOVE,
            profile=source.profile,
            revision=source.profile_revision,
            case_id=source.id,
            other_case_id=asked.to_case,
            requested_by=viewer.name,
            asked=asked.to_json(),
        )
        study = min(MovePlans(self._session).studies_of(source.id))
        return Errands(self._session).open(study, errand), plan

    def _visible_case(self, viewer: User, case_id: str) -> CaseRow:
        case = self._session.get(CaseRow, case_id, populate_existing=True)
        if case is None or not states.may_see(viewer, case.owner_id, case.status, case.visibility):
            raise CaseNotFoundError("there is no such case")
        return case

    def _check_place(self, owner_id: str | None) -> None:
        if owner_id is not None:
            owner = lock_user(self._session, owner_id)
            drafts = draft_count(self._session, owner.id)
            states.place_is_free(states.Facts(has_owner=True, drafts=drafts, draft_limit=owner.draft_limit))

    def _check_free(self, asked: AskedMove, own: str = "") -> None:
        """Refuse while something else is done with one of the cases, or instances are on their way into the first."""
        for case_id in (asked.from_case, asked.to_case):
            others = [one for one in Errands(self._session).unfinished_of(case_id) if one.id != own]
            if others:
                raise MoveInProgressError(
                    f"a {others[0].kind} of one of the cases is {others[0].state}: wait for its end, then ask again"
                )
        pending = select(ReceivedInstanceRow.arrival_id).where(
            ReceivedInstanceRow.case_id == asked.from_case, ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED
        )
        if self._session.scalar(pending.limit(1)) is not None:
            raise MoveInProgressError("images of the case are still being screened: wait until all are, then ask again")

    def _lock_studies(self, studies: Collection[str]) -> None:
        for study in sorted(studies):
            lock_study(self._session, study)

    # -- working ------------------------------------------------------------------------------------------------------

    def begin(self, errand: Errand) -> MovePlan | None:
        """Return what is left to write; None where nobody wants it any more. What was written for nothing goes."""
        row = Errands(self._session).locked(errand.id)
        if row.state not in AT_WORK:
            return None
        plan = MovePlans(self._session).plan(AskedMove.of(row.asked))
        Errands(self._session).begin(row.id, len(plan.images))
        staged = self._staged(errand.id)
        todo = tuple(image for image in plan.images if not _is_of(staged.get(image.arrival_id), image))
        self._drop(errand, [staged[image.arrival_id] for image in todo if image.arrival_id in staged])
        return MovePlan(
            from_case=plan.from_case,
            to_case=plan.to_case,
            secret_generation=plan.secret_generation,
            given_patient_id=plan.given_patient_id,
            patient_blob=plan.patient_blob,
            images=todo,
            arrivals=plan.arrivals,
        )

    def stage(self, errand_id: str, one: StagedMove) -> bool:
        """Keep an image that was written for the other case; return False where nobody wants it any more."""
        errand = Errands(self._session).locked(errand_id)
        there = self._session.get(StagedMoveRow, (errand_id, one.arrival_id))
        if errand.state is not ErrandState.RUNNING or there is not None:
            condemn_unused(self._session, [one.blob_key], errand.case_id)
            return there is not None
        self._session.add(
            StagedMoveRow(
                errand_id=errand_id,
                arrival_id=one.arrival_id,
                before=one.before,
                blob_key=one.blob_key,
                sha256=one.sha256,
                size_bytes=one.size_bytes,
                has_original=one.has_original,
                uids=dict(one.uids),
                patient_id=one.patient_id,
                days=one.days,
            )
        )
        errand.done = min(errand.done + 1, errand.total)
        self._session.flush()
        return True

    def conclude(self, errand_id: str) -> Errand | None:
        """Bring what was written into the other case, all in this transaction.

        Returns
        -------
        Errand or None
            How it ended; None where it was over already, or images changed and have to be written again.

        Raises
        ------
        InvalidTransitionError
            When the cases are no drafts of one owner and one patient any more, or something else is done with them.
        """
        found = Errands(self._session).get(errand_id)
        if found.state is not ErrandState.RUNNING:
            return None
        asked = AskedMove.of(found.asked)
        self._lock_studies(MovePlans(self._session).studies_of(asked.from_case, asked.to_case))
        if asked.owner_id is not None:
            lock_user(self._session, asked.owner_id)
        locked = {
            case_id: lock_case(self._session, case_id)
            for case_id in sorted({asked.from_case, *([] if asked.is_new else [asked.to_case])})
        }
        errand = Errands(self._session).locked(errand_id)
        if errand.state is not ErrandState.RUNNING:
            return None
        source, target = locked[asked.from_case], locked.get(asked.to_case)
        self._check_still(asked, source, target, errand.id)
        plan = MovePlans(self._session).plan(asked)
        staged = self._staged(errand_id)
        if not all(_is_of(staged.get(image.arrival_id), image) for image in plan.images):
            return None
        return self._bring(asked, errand, (source, target), plan, staged)

    def _check_still(self, asked: AskedMove, source: CaseRow, target: CaseRow | None, own: str) -> None:
        check_drafts(source, target, is_whole=asked.is_whole)
        if source.owner_id != asked.owner_id:
            raise InvalidTransitionError(_CHANGED)
        self._check_free(asked, own)
        if target is None:
            self._check_place(source.owner_id)
        MovePlans(self._session).checked(asked)

    def _bring(
        self,
        asked: AskedMove,
        errand: ErrandRow,
        cases: tuple[CaseRow, CaseRow | None],
        plan: MovePlan,
        staged: dict[str, StagedMoveRow],
    ) -> Errand:
        moving = Moving(self._session, cases[0], cases[1] or self._new_draft(asked, cases[0], plan))
        result = moving.bring(plan, staged, is_whole=asked.is_whole)
        errands = Errands(self._session)
        errands.drop_staged(errand.id)
        errands.end(errand.id, ErrandState.DONE, result.to_json())
        if asked.is_whole:
            moving.leave_tombstone()
        return errand_value(errand)

    def _new_draft(self, asked: AskedMove, source: CaseRow, plan: MovePlan) -> CaseRow:
        study = min(one.received_study for one in plan.images)
        return Moving.new_draft(self._session, asked.to_case, source, study)

    def sweep(self, errand: Errand) -> None:
        """Condemn whatever a move that is over may have left in the blob store and nobody refers to."""
        images = self._session.scalars(select(CaseImageRow).where(CaseImageRow.case_id == errand.case_id))
        keys = [
            move_blob_key(errand.other_case_id or "", row.arrival_id, errand.id, row.blob_key) for row in images.all()
        ]
        condemn_unused(self._session, keys, errand.case_id)

    def _staged(self, errand_id: str) -> dict[str, StagedMoveRow]:
        query = select(StagedMoveRow).where(StagedMoveRow.errand_id == errand_id)
        return {row.arrival_id: row for row in self._session.scalars(query)}

    def _drop(self, errand: Errand, rows: Collection[StagedMoveRow]) -> None:
        keys = [row.blob_key for row in rows]
        for row in rows:
            self._session.delete(row)
        self._session.flush()
        condemn_unused(self._session, keys, errand.case_id)


def _is_of(staged: StagedMoveRow | None, image: MovingImage) -> bool:
    """Tell whether an image was written from what it is now, and as it has to be."""
    return staged is not None and (staged.before, staged.has_original) == (image.blob_key, image.has_original)
