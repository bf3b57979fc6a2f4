"""A re-run: the originals of a case through every step again, under another revision of the profile.

What comes out lies staged beside the case. Only when all of it is there does an open draft get it, in one
transaction; a case that others may see waits for an editor.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bridge import pipeline
from bridge.children import Children
from bridge.pipeline import Filed, OriginalGoneError, Processed, Task, task_of
from bridge.profile_book import lay_out
from bridge.references import let_references_follow, stage_references
from bridge.retention import delete_condemned
from bridge.study import killed_processed
from cases.blobs import BlobStore
from cases.errands import Errand, ErrandState
from cases.errors import BlobNotFoundError, StoreUnavailableError
from cases.intake import InstanceOutcome, ReceivedInstance
from cases.model import CaseShell
from cases.reruns import CurrentImage, StagedInstance
from cases.reviews import NOBODY_DECIDED
from cases.store import Audit, Database, Errands, Intake, Profiles, Reruns, Reviews, SiteLayouts
from deidentify.changes import element_changes
from deidentify.errors import DeidentificationError
from deidentify.results import ElementChange, ElementFate

log = logging.getLogger("casebridge.rerun")

_Instances = Mapping[str, ReceivedInstance]
_Images = Mapping[str, CurrentImage]

INCOMPARABLE = ElementChange(place="(all)", name="", change=ElementFate.CHANGED)
"""Of an image that cannot be read as it is: whatever is in the new one is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainTask:
    """One instance that is made anew, and the image that its case has of it."""

    task: Task
    current_blob: str = ""
    """None where the case has no image of it."""
    review_version: int = 0
    """Of what a person decided on its pixels."""

    @property
    def study_key(self) -> str:
        """Return the key of the study in the spool."""
        return self.task.study_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What came of it."""

    processed: Processed | None
    """None where the original is gone."""
    changes: tuple[ElementChange, ...] = ()


def process_again(again: AgainTask) -> Again:
    """Take an original through every step once more, and tell what differs; runs in a child process."""
    try:
        processed = pipeline.process_original(again.task)
    except OriginalGoneError:
        return Again(processed=None)
    changes: tuple[ElementChange, ...] = ()
    if isinstance(processed, Filed) and again.current_blob:
        changes = _changes(again.current_blob, processed.blob_key)
    return Again(processed=processed, changes=changes)


def _changes(current: str, made: str) -> tuple[ElementChange, ...]:
    try:
        with ExitStack() as stack:
            return element_changes(*(stack.enter_context(pipeline.blobs().open(key)) for key in (current, made)))
    except (MemoryError, StoreUnavailableError):
        raise
    except Exception as error:
        if not isinstance(error, BlobNotFoundError | DeidentificationError):
            log.exception("two images could not be compared after an error of ours")
        return (INCOMPARABLE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunRunner:
    """Runs re-runs as the job engine hands them out."""

    database: Database
    blobs: BlobStore
    children: Children
    profile_folder: Path
    """Where the texts of profiles are laid out for the child processes of this host."""

    def run(self, errand: Errand) -> None:
        """Make what is not staged yet, then bring it into the case or let it wait for an editor.

        Safe to run again after any crash.
        """
        work = self._begin(errand)
        is_made = work is not None and self._make(errand, *work)
        if is_made and stage_references(self.database, self.children, errand):
            with self.database.write() as session:
                ended = Reruns(session).conclude(errand.id)
                if ended is not None:
                    audit_rerun(Audit(session), ended, errand.requested_by)
            log.info("a re-run was worked through", extra={"case": errand.case_id})
        else:
            with self.database.write() as session:
                Reruns(session).sweep(errand)
            log.info("a re-run was over before its end", extra={"case": errand.case_id})
        let_references_follow(self.database, self.children, errand.received_study, errand.study_key)
        delete_condemned(self.database, self.blobs)

    def _begin(self, errand: Errand) -> tuple[list[AgainTask], _Instances, _Images] | None:
        """Return what is to be made, the instances and the images by arrival; None where the errand is over."""
        with self.database.write() as session:
            reruns = Reruns(session)
            begun = reruns.begin(errand)
            if begun is None:
                return None
            plan, revision = begun
            done = reruns.staged_arrivals(errand.id)
            images = reruns.images(plan.case_id)
            used = Profiles(session).revision(revision)
            studies = {key: Intake(session).study(key) for key in {one.received_study for one in plan.instances}}
            generation, given = reruns.secret_generation(plan.case_id), reruns.given_patient_id(plan.case_id)
            reviews = Reviews(session).of(one.arrival_id for one in plan.instances)
            layouts = SiteLayouts(session).active()
        lay_out(self.profile_folder, used)
        shell = CaseShell(
            case_id=plan.case_id,
            status=plan.status,
            owner=plan.owner,
            previous_case_id=None,
            is_new=False,
            secret_generation=generation,
            profile_revision=revision,
            given_patient_id=given,
        )
        todo = {one.arrival_id: one for one in plan.instances if one.arrival_id not in done}
        tasks = []
        for key, one in todo.items():
            kept = reviews.get(key, NOBODY_DECIDED)
            task = task_of(studies[one.received_study], one, replace(shell, born_in=one.born_in))
            task = replace(task, errand_id=errand.id, review=kept.review, layouts=layouts)
            blob = images[key].blob_key if key in images else ""
            tasks.append(AgainTask(task=task, current_blob=blob, review_version=kept.version))
        return tasks, todo, images

    def give_up(self, errand: Errand, reason: str) -> None:
        """Leave the case as it is after the work failed again and again; called by the job engine."""
        sentence = f"it could not be worked on: {reason}"
        with self.database.write() as session:
            was_unfinished = Errands(session).call_off(errand.id, ErrandState.FAILED, sentence)
            Reruns(session).sweep(errand)
            if was_unfinished:
                Audit(session).append(errand.requested_by, "case.rerun-failed", f"case {errand.case_id}", {})
        delete_condemned(self.database, self.blobs)
        log.error("a re-run was given up", extra={"case": errand.case_id, "reason": reason})

    def _make(
        self,
        errand: Errand,
        tasks: Sequence[AgainTask],
        instances: _Instances,
        images: _Images,
    ) -> bool:
        """Make and stage instances; return False where nobody wants them any more."""
        results = self.children.each(tasks, process_again, _killed)
        try:
            for again, found in results:
                arrival_id = again.task.arrival_id
                made = _staged(instances[arrival_id], found, images.get(arrival_id))
                one = replace(made, review=again.review_version)
                with self.database.write() as session:
                    if not Reruns(session).stage(errand.id, one):
                        return False
        finally:
            results.close()
        return True


def audit_rerun(audit: Audit, ended: Errand, actor: str) -> None:
    """Write down what a re-run did to its case, or that it waits for an editor."""
    action = {
        ErrandState.DONE: "case.rerun",
        ErrandState.IN_REVIEW: "case.rerun-in-review",
        ErrandState.DISCARDED: "case.rerun-discarded",
    }.get(ended.state)
    if action is None:
        return
    result = ended.result
    detail: dict[str, str | int | bool | None] = {"revision": ended.revision, "before": ended.base_revision}
    detail |= {
        name: result[name]
        for name in ("remade", "changed", "cleared", "failed", "gone", "expired", "references")
        if name in result
    }
    detail |= {name: sum(result[name].values()) for name in ("held", "dropped") if name in result}
    audit.append(actor, action, f"case {ended.case_id}", detail)


def _staged(instance: ReceivedInstance, found: Again, image: CurrentImage | None) -> StagedInstance:
    was = InstanceOutcome(instance.outcome)
    if not isinstance(found.processed, Filed):
        return StagedInstance(arrival_id=instance.arrival_id, was=was, outcome=found.processed)
    made = found.processed
    is_known = image is not None and image.has_identifiers
    entry = made.crosswalk if image is None else None
    return StagedInstance(
        arrival_id=instance.arrival_id,
        was=was,
        outcome=made.instance,
        blob_key=made.blob_key,
        identifiers=None if is_known else made.identifiers,
        crosswalk=(entry.key_id, entry.sealed) if entry is not None else None,
        changes=found.changes,
    )


def _killed(again: AgainTask) -> Again:
    return Again(processed=killed_processed(again.task))
