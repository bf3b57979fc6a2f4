"""Drafts for received studies: opened at once, promoted when a place frees, closed when nothing came of them.

Locks are always taken in one order (received study, user, case, instance), so that two transactions never wait for
each other. On SQLite the transaction itself is the lock.
"""

from collections.abc import Collection

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from cases import states
from cases.errands import ErrandState
from cases.errors import CaseNotFoundError
from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.model import OPEN_STATUSES, CaseShell, CaseStatus
from cases.profiles import ProfileRevision
from cases.store.account_rows import UserRow
from cases.store.accounts import draft_count, lock_owner_named, lock_user
from cases.store.arrivals import lock_study
from cases.store.clock import now as clock_now
from cases.store.consent_rows import ConsentDocumentRow
from cases.store.crosswalk import Crosswalk
from cases.store.errand_rows import ErrandRow
from cases.store.errands import Errands
from cases.store.event_rows import CaseEventRow
from cases.store.generations import newest_generation
from cases.store.history import SYSTEM, note
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.prefilled import is_only_prefilled
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseStudyRow,
    CondemnedBlobRow,
    HoldRow,
    ReceivedInstanceRow,
    ReceivedStudyRow,
    new_id,
)
from cases.store.study_cases import Home, born_in, homes, main_cases


class Shells:
    """The shells of cases; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open_shell(self, study_key: str, profile: ProfileRevision | None = None) -> CaseShell:
        """Find the open draft of a received study, or make one under a revision of a profile; a draft keeps its own.

        With an owner: a draft within the owner's limit, else waiting. Without: a draft of the inbox. Where the case of
        this study was submitted, published or removed, a new draft that is linked to it.

        Raises
        ------
        CaseNotFoundError
            When there is no such received study.
        """
        study = lock_study(self._session, study_key)
        cases = main_cases(self._session, study_key)
        row = next((case for case in cases if case.status in OPEN_STATUSES), None)
        is_new = row is None
        if row is None:
            row = self._new_case(study, cases[0] if cases else None)
        if not row.profile_revision and profile is not None:
            row.profile, row.profile_revision = profile.name, profile.revision
            self._session.flush()
        is_made_of_it = row.received_study == study_key and not row.split_from
        came_from = "" if is_made_of_it else born_in(self._session, study_key, row.id)
        self._session.execute(
            update(ReceivedInstanceRow)
            .where(
                ReceivedInstanceRow.received_study == study_key,
                ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED,
                ReceivedInstanceRow.generation.is_not(None),
            )
            .values(case_id=row.id, born_in=came_from)
        )
        return self._shell(row, came_from, is_new=is_new)

    def homes(self, study_key: str, arrival_ids: Collection[str], shell: CaseShell) -> list[tuple[CaseShell, set[str]]]:
        """Return the drafts that late instances of a study belong to, with them: the series may have been moved.

        Parameters
        ----------
        study_key
            Row key of the received study.
        arrival_ids
            The instances; what their series is has to be known.
        shell
            Where those go whose series is nowhere yet.
        """
        lock_study(self._session, study_key)
        groups: dict[Home, set[str]] = {}
        at_shell = Home(case_id=shell.case_id, born_in=shell.born_in)
        found = homes(self._session, study_key, arrival_ids)
        for arrival_id in arrival_ids:
            groups.setdefault(found.get(arrival_id, at_shell), set()).add(arrival_id)
        shells = []
        for home, ids in groups.items():
            self._session.execute(
                update(ReceivedInstanceRow)
                .where(
                    ReceivedInstanceRow.arrival_id.in_(sorted(ids)),
                    ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED,
                )
                .values(case_id=home.case_id, born_in=home.born_in)
            )
            row = self._session.get_one(CaseRow, home.case_id)
            shells.append((shell if home == at_shell else self._shell(row, home.born_in, is_new=False), ids))
        return shells

    def _shell(self, row: CaseRow, came_from: str, *, is_new: bool) -> CaseShell:
        owner = self._session.get(UserRow, row.owner_id) if row.owner_id else None
        return CaseShell(
            case_id=row.id,
            status=row.status,
            owner=owner.name if owner else None,
            previous_case_id=row.previous_case_id,
            is_new=is_new,
            secret_generation=row.secret_generation,
            profile_revision=row.profile_revision,
            born_in=came_from,
            given_patient_id=row.given_patient_id,
        )

    def _new_case(self, study: ReceivedStudyRow, previous: CaseRow | None) -> CaseRow:
        # Late instances go where the earlier case went, also when it was claimed from the inbox.
        if previous is not None and previous.owner_id is not None:
            owner: UserRow | None = lock_user(self._session, previous.owner_id)
        else:
            owner = lock_owner_named(self._session, study.owner_name) if study.owner_name else None
        facts = states.Facts(
            has_owner=owner is not None,
            drafts=draft_count(self._session, owner.id) if owner else 0,
            draft_limit=owner.draft_limit if owner else 0,
        )
        moment = clock_now()
        row = CaseRow(
            id=new_id(),
            owner_id=owner.id if owner else None,
            status=states.entry(facts),
            received_study=study.key,
            previous_case_id=previous.id if previous else None,
            sender=study.calling_ae,
            arrived_at=study.first_arrival_at if previous is None else study.last_arrival_at,
            profile=study.profile,
            patient_key=study.patient_key,
            patient_number_key=study.patient_number_key,
            secret_generation=newest_generation(self._session),
            created_at=moment,
            updated_at=moment,
        )
        self._session.add(row)
        self._session.flush()
        entered = states.Action.QUEUE if row.status == CaseStatus.WAITING else states.Action.OPEN
        note(self._session, row, SYSTEM, entered, None)
        self._session.flush()
        return row

    def promote_waiting(self) -> list[str]:
        """Give free places to waiting cases, the oldest of each owner first, and return their ids."""
        owners = self._session.scalars(
            select(CaseRow.owner_id)
            .where(CaseRow.status == CaseStatus.WAITING, CaseRow.owner_id.is_not(None))
            .distinct()
            .order_by(CaseRow.owner_id)
        ).all()
        promoted = []
        for owner_id in owners:
            if owner_id is not None:
                promoted += self._promote(lock_user(self._session, owner_id))
        return promoted

    def _promote(self, owner: UserRow) -> list[str]:
        free = owner.draft_limit - draft_count(self._session, owner.id)
        if free <= 0:
            return []
        waiting = self._session.scalars(
            select(CaseRow)
            .where(CaseRow.owner_id == owner.id, CaseRow.status == CaseStatus.WAITING)
            .order_by(CaseRow.created_at, CaseRow.id)
            .limit(free)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        for place, row in enumerate(waiting):
            facts = states.Facts(has_owner=True, drafts=owner.draft_limit - free + place, draft_limit=owner.draft_limit)
            row.status = states.decide(states.Action.PROMOTE, row.status, frozenset({states.Actor.SYSTEM}), facts)
            row.updated_at = clock_now()
            row.version += 1
            note(self._session, row, SYSTEM, states.Action.PROMOTE, CaseStatus.WAITING)
        self._session.flush()
        return [row.id for row in waiting]

    # -- closing the books -------------------------------------------------------------------------------------------

    def close_books(self, study_key: str) -> list[str]:
        """Remove the open draft of a study that turned out to hold nothing, unless somebody wrote into it.

        Returns
        -------
        list of str
            Keys of blobs of this study's cases that wait to be deleted.
        """
        lock_study(self._session, study_key)
        unfinished = exists().where(
            ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.outcome == InstanceOutcome.RECEIVED
        )
        empty = self._session.scalars(
            select(CaseRow).where(
                CaseRow.received_study == study_key,
                CaseRow.status.in_(OPEN_STATUSES),
                ~unfinished,
                ~exists().where(CaseImageRow.case_id == CaseRow.id),
                ~exists().where(CaseStudyRow.case_id == CaseRow.id),
                ~exists().where(HoldRow.case_id == CaseRow.id, HoldRow.state == HoldState.OPEN),
                ~exists().where(ConsentDocumentRow.case_id == CaseRow.id),
                # What a re-run took out can come back under another revision.
                ~exists().where(ErrandRow.case_id == CaseRow.id, ErrandRow.state == ErrandState.DONE),
                # What came from it, and what of other studies goes to it, has its pseudonyms by its id.
                ~exists().where(ReceivedInstanceRow.born_in == CaseRow.id),
                ~exists().where(
                    ReceivedInstanceRow.case_id == CaseRow.id, ReceivedInstanceRow.received_study != study_key
                ),
            )
        ).all()
        for case in empty:
            locked = lock_case(self._session, case.id)
            if is_only_prefilled(locked) and self._session.get(ConsentDocumentRow, case.id) is None:
                self._delete_shell(locked)
        return list(
            self._session.scalars(
                select(CondemnedBlobRow.blob_key)
                .join(CaseRow, CaseRow.id == CondemnedBlobRow.case_id)
                .where(CaseRow.received_study == study_key, CondemnedBlobRow.spared_until.is_(None))
            )
        )

    def _delete_shell(self, case: CaseRow) -> None:
        for table in (ReceivedInstanceRow, HoldRow):
            self._session.execute(update(table).where(table.case_id == case.id).values(case_id=None))
        Errands(self._session).leave_case(case.id)
        self._session.execute(
            update(CaseRow).where(CaseRow.previous_case_id == case.id).values(previous_case_id=case.previous_case_id)
        )
        self._forget_patient(case.id)
        self._session.execute(delete(CaseEventRow).where(CaseEventRow.case_id == case.id))
        self._session.delete(case)
        self._session.flush()

    def _forget_patient(self, case_id: str) -> None:
        """Delete what was kept, hashed or sealed, to know the patient of a case again."""
        HashesOfIdentifiers(self._session).forget(case_id)
        Crosswalk(self._session).forget(case_id)


def lock_case(session: Session, case_id: str) -> CaseRow:
    """Lock a case's row until the transaction ends.

    Raises
    ------
    CaseNotFoundError
        When there is none.
    """
    row = session.scalar(
        select(CaseRow)
        .where(CaseRow.id == case_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise CaseNotFoundError("there is no such case")
    return row
