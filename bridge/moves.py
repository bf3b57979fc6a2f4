"""Moving images between drafts: each is written anew for the other case, and then all of them are there at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from bridge import pipeline
from bridge.children import Children
from bridge.pipeline import OriginalGoneError, Task
from bridge.retention import delete_condemned
from cases.blobs import BlobStore
from cases.errands import Errand, ErrandState
from cases.errors import BlobNotFoundError, CaseNotFoundError, InvalidTransitionError, StoreUnavailableError
from cases.moves import MovePlan, MovingImage, StagedMove, move_blob_key
from cases.store import Audit, Cases, Database, Errands, Moves
from deidentify.errors import DeidentificationError
from deidentify.parser import read_instance
from deidentify.rekeying import NewKeys, rekeyed
from deidentify.transfer import is_patient

log = logging.getLogger("casebridge.moves")

ROUNDS = 5
"""How often images may change while they are written before the move is given up."""
_PATIENT_ID = 0x00100020
CHANGING = "the images of the cases changed again and again while they were written; ask again when nothing arrives"
NOT_WRITTEN = "an image could not be written for the other case; the log has the place"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTask:
    """One image that is written for another case."""

    study_key: str
    image: MovingImage
    from_case: str
    to_case: str
    secret_generation: int
    given_patient_id: str
    patient_blob: str
    errand_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of it: one of the three, or nothing where image or original is not as it was."""

    staged: StagedMove | None = None
    refusal: str = field(default="")
    """Why it cannot be written, as a sentence without a value."""


def move_in_child(task: MoveTask) -> Written:
    """Write an image anew as one of another case; in a child process."""
    try:
        return Written(staged=_written(task))
    except (MemoryError, StoreUnavailableError):
        raise
    except (BlobNotFoundError, OriginalGoneError):
        return Written()
    except DeidentificationError as error:
        return Written(refusal=str(error))


def _written(task: MoveTask) -> StagedMove:
    image = task.image
    keys = _keys_of(task)
    blob_key = move_blob_key(task.to_case, image.arrival_id, task.errand_id, image.blob_key)
    with pipeline.blobs().open(image.blob_key) as source, pipeline.unfinished_output() as target:
        made = rekeyed(source, keys, target)
        pipeline.blobs().put(blob_key, target)
    more = {uid: keys.uid(uid) for uid in image.more_uids}
    return StagedMove(
        arrival_id=image.arrival_id,
        before=image.blob_key,
        blob_key=blob_key,
        sha256=made.sha256,
        size_bytes=made.size_bytes,
        has_original=image.has_original,
        uids={**more, **made.uids},
        patient_id=made.patient_id,
        days=made.days,
    )


def _keys_of(task: MoveTask) -> NewKeys:
    image, generation = task.image, task.secret_generation
    old = pipeline.scope_of(generation, task.from_case, image.born_in)
    new = pipeline.scope_of(generation, task.to_case, given_patient_id=task.given_patient_id)
    if not image.has_original:
        patient_id = task.given_patient_id or _patient_id(task.patient_blob)
        return NewKeys.between(old, new, patient_id=patient_id)
    original = Task(
        study_key=image.study_key,
        sop_key=image.sop_key,
        arrival_id=image.arrival_id,
        case_id=task.to_case,
        hospital="",
        secret_generation=generation,
    )
    with pipeline.original(original) as identified_file:
        return NewKeys.between(old, new, original=read_instance(identified_file))


@lru_cache(maxsize=8)
def _patient_id(blob_key: str) -> str:
    """Return the Patient ID (0010,0020) of a file of the other case where it is a pseudonym; empty without a file."""
    if not blob_key:
        return ""
    with pipeline.blobs().open(blob_key) as source:
        found = read_instance(source).text(_PATIENT_ID)
    return found if is_patient(found) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRunner:
    """Runs moves as the job engine hands them out."""

    database: Database
    blobs: BlobStore
    children: Children

    def run(self, errand: Errand) -> None:
        """Write what is not written yet, then bring all of it there; safe to run again after any crash."""
        ended = self._ended(errand)
        if ended is not None and ended.state is ErrandState.DONE:
            with self.database.write() as session:
                # A merge frees a place, and a case may wait for it.
                Cases(session).promote_waiting()
            log.info("images were moved", extra={"case": errand.other_case_id})
        else:
            with self.database.write() as session:
                Moves(session).sweep(errand)
            log.info("a move was over before its end", extra={"case": errand.case_id})
        delete_condemned(self.database, self.blobs)

    def give_up(self, errand: Errand, reason: str) -> None:
        """Leave both cases as they are after the work failed again and again; called by the job engine."""
        self._fail(errand, f"it could not be worked on: {reason}")
        delete_condemned(self.database, self.blobs)
        log.error("a move was given up", extra={"case": errand.case_id, "reason": reason})

    def _ended(self, errand: Errand) -> Errand | None:
        for _ in range(ROUNDS):
            try:
                with self.database.write() as session:
                    plan = Moves(session).begin(errand)
            except CaseNotFoundError as error:
                return self._fail(errand, str(error))
            if plan is None:
                return None
            refusal = self._write(errand, plan)
            if refusal:
                return self._fail(errand, refusal)
            try:
                with self.database.write() as session:
                    ended = Moves(session).conclude(errand.id)
                    if ended is not None:
                        audit_move(Audit(session), ended)
                        return ended
            except InvalidTransitionError as error:
                return self._fail(errand, str(error))
        return self._fail(errand, CHANGING)

    def _write(self, errand: Errand, plan: MovePlan) -> str:
        """Write and stage images; return why that cannot be, empty where it can."""
        results = self.children.each(_tasks(errand, plan), move_in_child, _killed)
        try:
            for _, written in results:
                if written.refusal:
                    return written.refusal
                if written.staged is None:
                    continue  # the next round looks at what it is by now
                with self.database.write() as session:
                    if not Moves(session).stage(errand.id, written.staged):
                        return ""
        finally:
            results.close()
        return ""

    def _fail(self, errand: Errand, reason: str) -> Errand:
        with self.database.write() as session:
            was_unfinished = Errands(session).call_off(errand.id, ErrandState.FAILED, reason)
            Moves(session).sweep(errand)
            ended = Errands(session).get(errand.id)
            if was_unfinished:
                for case_id in (errand.case_id, errand.other_case_id):
                    Audit(session).append(errand.requested_by, "case.move-failed", f"case {case_id}", {})
        return ended


def audit_move(audit: Audit, ended: Errand) -> None:
    """Write down with both cases what went where."""
    names = ("images", "studies", "held", "duplicates", "with_originals", "consent_document")
    counts = {name: ended.result[name] for name in names}
    is_whole = bool(ended.asked["is_whole"])
    there = {"from": ended.case_id or "", "whole": is_whole, **counts}
    audit.append(ended.requested_by, "case.moved-in", f"case {ended.other_case_id}", there)
    left = {"to": ended.other_case_id or "", "whole": is_whole, **counts}
    audit.append(ended.requested_by, "case.moved-out", f"case {ended.case_id}", left)


def _tasks(errand: Errand, plan: MovePlan) -> Sequence[MoveTask]:
    return [
        MoveTask(
            study_key=image.study_key,
            image=image,
            from_case=plan.from_case,
            to_case=plan.to_case,
            secret_generation=plan.secret_generation,
            given_patient_id=plan.given_patient_id,
            patient_blob=plan.patient_blob,
            errand_id=errand.id,
        )
        for image in plan.images
    ]


def _killed(_task: MoveTask) -> Written:
    return Written(refusal=NOT_WRITTEN)
