"""The durable workflow of a settled study; every step may be replayed.

open the draft shell → inspect what arrived → decide resends and patients → fill the draft from a teaching file →
carry what people decided on the same pictures → process each instance → let references follow → close the books
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bridge import pipeline
from bridge.carried import Carried, carry, comparable
from bridge.children import ATTEMPTS, Children
from bridge.manifests import TeachingFiles
from bridge.pipeline import Filed, Inspection, Processed, Task, task_of
from bridge.pool import Pool
from bridge.profile_book import ProfileBook, ProfileNotPublishedError, lay_out
from bridge.references import let_references_follow
from bridge.resends import Resends, decide, encoded_differently
from bridge.retention import delete_condemned
from cases.blobs import BlobStore
from cases.errors import CaseClosedError, StoreUnavailableError
from cases.intake import InstanceOutcome, ReceivedInstance, ReceivedStudy
from cases.model import CaseShell
from cases.reviews import NOBODY_DECIDED
from cases.store import CarriedReviews, Cases, Crosswalk, Database, Holds, Intake, Profiles, Reviews, SiteLayouts
from deidentify.compare import Fingerprint
from deidentify.results import Dropped, Hold, HoldReason

log = logging.getLogger("casebridge.study")

T = TypeVar("T")

TWO_PATIENTS = Hold(
    reason=HoldReason.TWO_PATIENTS,
    detail="instances under this Study Instance UID name different patients; decide which belong to the case",
)
CONFLICT = Hold(
    reason=HoldReason.SAME_UID_DIFFERENT_PIXELS,
    detail="different pixels arrived under one SOP Instance UID; decide which belong to the case",
)
NOT_COMPARED = Hold(
    reason=HoldReason.INTERNAL_ERROR,
    detail="it could not be compared with what else came under its UIDs; the log has the place",
)
NOT_KEPT = Hold(
    reason=HoldReason.INTERNAL_ERROR,
    detail="what came out of de-identification could not be filed; the log has the place",
)


class StudyUnfinishedError(Exception):
    """Instances of the generation are without an outcome after it was worked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRunner:
    """Runs one generation of a study: what arrived between two settlements."""

    database: Database
    blobs: BlobStore
    pool: Pool
    profiles: ProfileBook
    profile_folder: Path
    """Where the texts of profiles are laid out for the child processes of this host."""
    threads: int
    """Instances of one study in the pool at once."""
    timeout_s: float
    """How long one instance may take before its process is ended."""

    def run(self, study_key: str, generation: int) -> None:
        """Bring every instance of this generation to its end: filed, dropped, held or a resend.

        Safe to run again after any crash: instances that are done are not touched.

        Parameters
        ----------
        study_key
            Row key of the received study.

        Raises
        ------
        StudyUnfinishedError
            When an instance was forgotten: the engine tries again, and in the end it is held.
        """
        with self.database.read() as session:
            study = Intake(session).study(study_key)
            pending = Intake(session).pending(study_key, generation)
            is_first = Intake(session).is_first(study_key, generation)
        if pending:
            self._work(study, pending, generation, is_first=is_first)
        let_references_follow(self.database, self._children(), study_key, study.study_key)
        with self.database.write() as session:
            if Intake(session).pending(study_key, generation):
                raise StudyUnfinishedError
            Cases(session).close_books(study_key)
        delete_condemned(self.database, self.blobs)
        log.info("study done", extra={"generation": generation, "instances": len(pending)})

    def give_up(self, study_key: str, generation: int, reason: str) -> None:
        """Hold what is left of a generation that failed again and again; called by the job engine."""
        hold = Hold(reason=HoldReason.INTERNAL_ERROR, detail=f"the study could not be worked on: {reason}")
        with self.database.write() as session:
            pending = Intake(session).pending(study_key, generation)
            for instance in pending:
                Holds(session).hold(None, instance.arrival_id, hold)
            Cases(session).close_books(study_key)
        log.error("a study was given up", extra={"reason": reason, "instances": len(pending)})

    def _work(
        self, study: ReceivedStudy, pending: Sequence[ReceivedInstance], generation: int, *, is_first: bool
    ) -> None:
        # The contributor sees what is coming at once; what comes later may turn out to be a mere resend, which must
        # not open a draft beside a case that was submitted since.
        shell = self._open_shell(study) if is_first else None
        resends, seen = self._inspect(study, pending, generation)
        with self.database.write() as session:
            for instance, equal in resends.duplicates:
                Intake(session).finish(instance.arrival_id, InstanceOutcome.DUPLICATE, duplicate_of=equal.arrival_id)
        if not resends.fresh and not resends.conflicts:
            return
        shell = shell or self._open_shell(study)
        self._hold_conflicts(shell, resends)
        fresh = self._of_one_patient(study, shell, resends, seen)
        tasks = self._tasks(study, fresh, shell)
        teaching = TeachingFiles(database=self.database, pool=self.pool, timeout_s=self.timeout_s)
        text = teaching.read(study, shell, tasks)
        teaching.fill(study, shell, text)
        for home, some in self._by_home(study, shell, fresh):
            self._process(study, home, some, resends, seen)
        # Once more: only now are all images there to be marked, and the study that findings belong to.
        teaching.fill(study, shell, text)

    def _by_home(
        self, study: ReceivedStudy, shell: CaseShell, fresh: Sequence[ReceivedInstance]
    ) -> list[tuple[CaseShell, list[ReceivedInstance]]]:
        """Return instances by the draft that they belong to: what came before of their series may have been moved."""
        with self.database.write() as session:
            found = Cases(session).homes(study.key, [one.arrival_id for one in fresh], shell)
            others = {home.profile_revision for home, _ in found} - {shell.profile_revision}
            used = [Profiles(session).revision(revision) for revision in sorted(others)]
        for one in used:
            lay_out(self.profile_folder, one)
        return [(home, [one for one in fresh if one.arrival_id in ids]) for home, ids in found]

    def _process(
        self,
        study: ReceivedStudy,
        shell: CaseShell,
        fresh: Sequence[ReceivedInstance],
        resends: Resends,
        seen: dict[str, Inspection],
    ) -> None:
        """Bring instances to their end, with what people decided on the pictures whose place they take."""
        while fresh:
            carried = carry(self.database, self._children(), study, shell, fresh=fresh, superseded=resends.superseded)
            todo = [instance for instance in fresh if instance.arrival_id not in carried.left_out]
            again = set()
            for task, processed in self._in_children(
                self._tasks(study, todo, shell), pipeline.process, killed_processed
            ):
                if isinstance(processed, Filed) and seen[task.arrival_id].fingerprint is None:
                    self._condemn(processed, shell)
                    processed = NOT_COMPARED  # noqa: PLW2901 - what it was is condemned
                if not self._record(shell, task, processed, resends, carried):
                    again.add(task.arrival_id)
            # Somebody decided meanwhile on a picture that these take the place of: it counts for them.
            fresh = [instance for instance in todo if instance.arrival_id in again]

    def _tasks(self, study: ReceivedStudy, fresh: Sequence[ReceivedInstance], shell: CaseShell) -> list[Task]:
        """Return what is to be done, with what people decided on pixels: on these, and on all of a device."""
        with self.database.read() as session:
            reviews = Reviews(session).of(instance.arrival_id for instance in fresh)
            layouts = SiteLayouts(session).active()
        return [
            replace(
                task_of(study, instance, shell),
                review=reviews.get(instance.arrival_id, NOBODY_DECIDED).review,
                layouts=layouts,
            )
            for instance in fresh
        ]

    def _open_shell(self, study: ReceivedStudy) -> CaseShell:
        came_by = study.destination
        with self.database.write() as session:
            profiles = Profiles(session)
            try:
                found = self.profiles.for_route(profiles, came_by.calling_ae, came_by.called_ae, came_by.profile)
            except ProfileNotPublishedError as error:
                pipeline.say_once(str(error))
                raise
            shell = Cases(session).open_shell(study.key, found)
            used = profiles.revision(shell.profile_revision)
        self.profiles.begin(self.profile_folder, used)
        if shell.is_new:
            log.info("draft shell opened", extra={"case": shell.case_id, "status": shell.status})
        return shell

    # -- deciding --------------------------------------------------------------------------------------------------

    def _inspect(
        self, study: ReceivedStudy, pending: Sequence[ReceivedInstance], generation: int
    ) -> tuple[Resends, dict[str, Inspection]]:
        tasks = [task_of(study, instance) for instance in pending]
        seen = {
            task.arrival_id: found for task, found in self._in_children(tasks, pipeline.inspect, _killed_inspection)
        }
        with self.database.write() as session:
            intake = Intake(session)
            for found in seen.values():
                if found.fingerprint is not None:
                    intake.set_fingerprint(
                        found.arrival_id,
                        dataset=found.fingerprint.dataset,
                        pixels=found.fingerprint.pixels,
                        facts=found.facts,
                    )
        arrived = {instance.arrival_id for instance in pending}
        with self.database.read() as session:
            standing = Intake(session).standing(study.key, {instance.sop_key for instance in pending})
        # What arrived since belongs to the next generation, which will compare itself with this one.
        earlier = [
            old
            for old in standing
            if old.arrival_id not in arrived and old.generation is not None and old.generation <= generation
        ]
        known = {old.arrival_id: _stored(old) for old in earlier if old.fingerprint_dataset}
        known |= {key: found.fingerprint for key, found in seen.items() if found.fingerprint is not None}
        doubtful = encoded_differently([*earlier, *pending], known)
        tasks = [task_of(study, instance) for instance in (*earlier, *pending) if instance.arrival_id in doubtful]
        for task, digest in self._in_children(tasks, pipeline.decoded, _killed_decoded):
            if digest:
                known[task.arrival_id] = replace(known[task.arrival_id], pixels=digest)
        return decide(pending, earlier, known), seen

    def _of_one_patient(
        self,
        study: ReceivedStudy,
        shell: CaseShell,
        resends: Resends,
        seen: dict[str, Inspection],
    ) -> list[ReceivedInstance]:
        """Hold what names another patient than the study does; all of it where nobody can tell whose the study is."""
        fresh = resends.fresh
        keys = {instance.arrival_id: seen[instance.arrival_id].patient_key for instance in fresh}
        named = set(keys.values()) - {""}
        whose = study.patient_key or (next(iter(named)) if len(named) == 1 else "")
        if whose and not study.patient_key:
            number_key = next(found.patient_number_key for found in seen.values() if found.patient_key == whose)
            with self.database.write() as session:
                Intake(session).set_patient_key(study.key, whose, number_key)
        if whose:
            strangers = [instance for instance in fresh if keys[instance.arrival_id] not in {"", whose}]
        else:
            strangers = list(fresh) if named else []
        with self.database.write() as session:
            for instance in strangers:
                Holds(session).hold(shell.case_id, instance.arrival_id, TWO_PATIENTS)
                # Whose place a stranger would have taken is no clearer, and nothing else works on it.
                for old in resends.superseded.get(instance.arrival_id, ()):
                    if old.outcome is InstanceOutcome.RECEIVED:
                        Holds(session).hold(shell.case_id, old.arrival_id, TWO_PATIENTS)
        held = {instance.arrival_id for instance in strangers}
        return [instance for instance in fresh if instance.arrival_id not in held]

    def _hold_conflicts(self, shell: CaseShell, resends: Resends) -> None:
        with self.database.write() as session:
            for instance in resends.conflicts:
                if instance.outcome is InstanceOutcome.FILED:
                    Cases(session).withdraw_image(instance.arrival_id)
                if instance.outcome in {InstanceOutcome.FILED, InstanceOutcome.RECEIVED, InstanceOutcome.HELD}:
                    Holds(session).hold(shell.case_id, instance.arrival_id, CONFLICT)

    # -- working ---------------------------------------------------------------------------------------------------

    def _in_children(
        self, tasks: Sequence[Task], work: Callable[[Task], T], killed: Callable[[Task], T]
    ) -> Iterator[tuple[Task, T]]:
        return self._children().each(tasks, work, killed)

    def _children(self) -> Children:
        return Children(pool=self.pool, threads=self.threads, timeout_s=self.timeout_s)

    def _record(self, shell: CaseShell, task: Task, processed: Processed, resends: Resends, carried: Carried) -> bool:
        """Settle an instance; return False where it has to be worked on again."""
        try:
            is_settled = self._settle(shell, task, processed, resends, carried)
        except CaseClosedError:
            # Submitted or removed meanwhile: the engine tries the study again, which opens a linked draft.
            if isinstance(processed, Filed):
                self._condemn(processed, shell)
            raise
        except StoreUnavailableError:
            raise
        except Exception:
            # A result that the database does not take is one hold; again and again it would be its whole study.
            log.exception("an instance is held after an error of ours")
            if isinstance(processed, Filed):
                self._condemn(processed, shell)
            is_settled = self._settle(shell, task, NOT_KEPT, resends, carried)
        if not is_settled and isinstance(processed, Filed):
            self._condemn(processed, shell)
        return is_settled

    def _condemn(self, processed: Filed, shell: CaseShell) -> None:
        with self.database.write() as session:
            Cases(session).condemn_blob(processed.blob_key, shell.case_id)

    def _settle(self, shell: CaseShell, task: Task, processed: Processed, resends: Resends, carried: Carried) -> bool:
        """Write down what became of an instance, and of those whose place it takes, in one transaction.

        Return False, and write nothing, where somebody decided on one of those since it was begun.
        """
        with self.database.write() as session:
            intake, reviews = Intake(session), CarriedReviews(session)
            older = {old.arrival_id: old for old in comparable(resends.superseded, task.arrival_id)}
            known = carried.known.get(task.arrival_id, {})
            if older and reviews.is_decided_anew(next(iter(older.values())).received_study, known, older):
                return False
            for old in resends.superseded.get(task.arrival_id, ()):
                if old.outcome is InstanceOutcome.FILED:
                    if not isinstance(processed, Filed) or old.case_id != shell.case_id:
                        continue
                    Cases(session).withdraw_image(old.arrival_id)
                intake.finish(old.arrival_id, InstanceOutcome.SUPERSEDED, duplicate_of=task.arrival_id)
            match processed:
                case Filed(instance=instance, blob_key=blob_key, identifiers=identifiers, crosswalk=entry):
                    Cases(session).file(shell.case_id, task.arrival_id, instance, blob_key, identifiers)
                    reviews.release(task.arrival_id)
                    if entry is not None:
                        Crosswalk(session).keep(shell.case_id, task.arrival_id, entry.key_id, entry.sealed)
                case Hold():
                    Holds(session).hold(shell.case_id, task.arrival_id, processed)
                case Dropped(reason=reason, detail=detail):
                    intake.finish(task.arrival_id, InstanceOutcome.DROPPED, reason=reason.value, detail=detail)
        return True


def _stored(instance: ReceivedInstance) -> Fingerprint:
    return Fingerprint(dataset=instance.fingerprint_dataset, pixels=instance.fingerprint_pixels)


def killed_processed(_task: Task) -> Processed:
    """Return what becomes of an instance that cost its process its life."""
    return Hold(
        reason=HoldReason.PROCESS_DIED,
        detail=f"the process working on it was lost {ATTEMPTS} times, for memory or time",
    )


def _killed_inspection(task: Task) -> Inspection:
    return Inspection(arrival_id=task.arrival_id, fingerprint=None, patient_key="")


def _killed_decoded(_task: Task) -> str:
    return ""
