"""Teaching file manifests on their way: from the spool to keys in the database, and to clean text in a draft.

What a manifest lists is read when it is recorded, as keyed hashes, since the list can settle its study. Its text is
read in a child process once the study has settled: only there are the originals by which the text is cleaned together.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from bridge import pipeline
from bridge.pipeline import Task
from bridge.pool import ChildDiedError, Pool, TaskTimeoutError
from cases.errors import StoreUnavailableError
from cases.intake import InstanceOutcome, ReceivedInstance, ReceivedStudy
from cases.manifests import ManifestEntry, ManifestKind, NewManifest
from cases.model import CaseShell
from cases.store import Database, Intake, Manifests
from deidentify.errors import DeidentificationError
from deidentify.identity import IdentifiedTokens, identified_tokens, joined
from deidentify.manifest import (
    KEY_OBJECT_SELECTION,
    REPORT_CLASSES,
    Manifest,
    Purpose,
    read_manifest,
    read_teaching_information,
)
from deidentify.parser import DEFLATED, read_instance
from deidentify.results import DropReason, TeachingText
from deidentify.teaching import Sources, clean_teaching_file
from scp.spool import Arrival, Spool

log = logging.getLogger("casebridge.manifests")

DOCUMENT_CLASSES = REPORT_CLASSES | {KEY_OBJECT_SELECTION}
MOST_BYTES = 1 << 25
"""A selection beyond this is not read before its study settles; one of 100,000 instances has half of it."""
MOST_DEFLATED_BYTES = 1 << 16
"""Deflated, little can become a lot: up to a thousandfold."""
_KINDS = {Purpose.TEACHING_FILE: ManifestKind.TEACHING_FILE, Purpose.KEY_IMAGES: ManifestKind.KEY_IMAGES}


# -- when it is recorded ---------------------------------------------------------------------------------------------


def manifests_of(spool: Spool, arrivals: Sequence[Arrival], destination_id: str) -> list[NewManifest]:
    """Return what the key object selections among arrivals list, by keys; what cannot be read lists nothing."""
    found = (
        _manifest_of(spool, arrival, destination_id)
        for arrival in arrivals
        if arrival.sop_class_uid == KEY_OBJECT_SELECTION
    )
    return [manifest for manifest in found if manifest is not None]


def _manifest_of(spool: Spool, arrival: Arrival, destination_id: str) -> NewManifest | None:
    most = MOST_DEFLATED_BYTES if arrival.transfer_syntax_uid == DEFLATED else MOST_BYTES
    if arrival.size_bytes > most:
        log.warning("a key object selection is too large to be read before its study settles")
        return None
    try:
        with spool.open_original(arrival.study_key, arrival.sop_key, arrival.arrival_id) as identified_file:
            manifest = read_manifest(read_instance(identified_file))
    except (DeidentificationError, OSError):
        return None  # it meets the same fault when its study is worked on, and is held with the reason
    except Exception:
        log.exception("a key object selection could not be read after an error of ours")
        return None
    if manifest is None or manifest.purpose not in _KINDS:
        return None
    uids = {manifest.identified_sop_uid, *manifest.identified_identical} - {""}
    return NewManifest(
        arrival_id=arrival.arrival_id,
        kind=_KINDS[manifest.purpose],
        group_key=spool.sop_key(min(uids)) if uids else "",
        entries=_entries(spool, arrival, manifest, destination_id),
    )


def _entries(spool: Spool, arrival: Arrival, manifest: Manifest, destination_id: str) -> tuple[ManifestEntry, ...]:
    listed = {one.identified_sop_uid: one.identified_study_uid for one in manifest.identified_listed}
    keys = {image.identified_sop_uid: place for place, image in enumerate(manifest.identified_key_images)}
    frames = {image.identified_sop_uid: image.frames for image in manifest.identified_key_images}
    wanted = listed.keys() | keys.keys() if manifest.purpose is Purpose.TEACHING_FILE else keys.keys()
    studies = {uid: spool.study_key(uid) for uid in set(listed.values())}
    return tuple(
        ManifestEntry(
            received_study=f"{studies[listed[uid]] if uid in listed else arrival.study_key}-{destination_id}",
            sop_key=spool.sop_key(uid),
            is_listed=uid in listed and manifest.purpose is Purpose.TEACHING_FILE,
            key_position=keys.get(uid),
            key_frames=frames.get(uid, ()),
        )
        for uid in sorted(wanted)
    )


# -- when its study has settled --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingTask:
    """The documents of a study and all its instances, by their keys."""

    documents: tuple[Task, ...]
    instances: tuple[Task, ...]
    is_whole: bool
    """Whether every original of the study is still there; otherwise nobody knows whom its text may name."""
    accounts: tuple[str, ...]


def teaching_text(task: TeachingTask) -> TeachingText | None:
    """Return what may be shown of a teaching file's text; None where no document is of one. Runs in a child."""
    manifests, information = [], []
    for document in task.documents:
        try:
            with pipeline.original(document) as identified_file:
                header = read_instance(identified_file)
        except DeidentificationError:
            continue  # held, with the reason
        manifest = read_manifest(header)
        if manifest is not None and manifest.purpose is Purpose.TEACHING_FILE:
            manifests.append(manifest)
        if (found := read_teaching_information(header)) is not None:
            information.append(found)
    if not manifests and not information:
        return None
    identified = _identifiers(task)
    keeps_text = identified is not None and pipeline.keeps_text(task.documents[0].profile_revision)
    return clean_teaching_file(
        Sources(manifests=tuple(manifests), information=tuple(information)),
        identified or IdentifiedTokens(),
        keeps_text=keeps_text,
        accounts=task.accounts,
    )


def _identifiers(task: TeachingTask) -> IdentifiedTokens | None:
    """Return the identifiers of every instance of the study; None where one of them cannot tell its own."""
    if not task.is_whole:
        return None
    identified = IdentifiedTokens()
    for instance in task.instances:
        try:
            with pipeline.original(instance) as identified_file:
                identified = joined(identified, identified_tokens(read_instance(identified_file)))
        except DeidentificationError:
            return None
    return identified


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingFiles:
    """Fills drafts from what came with them."""

    database: Database
    pool: Pool
    timeout_s: float

    def read(self, study: ReceivedStudy, shell: CaseShell, tasks: Sequence[Task]) -> TeachingText | None:
        """Return the clean text that came with a study; None when none did.

        Parameters
        ----------
        study
            The study.
        shell
            Its draft.
        tasks
            What is worked on in this generation; a document of another patient is not among it.
        """
        with self.database.read() as session:
            if not Manifests(session).has_documents(study.key, DOCUMENT_CLASSES):
                return None
            instances = Intake(session).instances(study.key)
            accounts = tuple(Manifests(session).accounts()) if shell.owner is None else ()
        working = {task.arrival_id for task in tasks}
        documents = [
            instance
            for instance in instances
            if instance.sop_class_uid in DOCUMENT_CLASSES and not instance.is_purged and _counts(instance, working)
        ]
        if not documents:
            return None
        task = TeachingTask(
            documents=tuple(pipeline.task_of(study, one, shell) for one in documents),
            instances=tuple(pipeline.task_of(study, one, shell) for one in instances),
            is_whole=not any(one.is_purged for one in instances),
            accounts=accounts,
        )
        return self._in_child(task, study.study_key)

    def _in_child(self, task: TeachingTask, key: str) -> TeachingText | None:
        try:
            return self.pool.run(teaching_text, task, key=key, timeout_s=self.timeout_s)
        except StoreUnavailableError:
            raise
        except (ChildDiedError, TaskTimeoutError, MemoryError) as error:
            log.warning(
                "a child process was lost over the text of a teaching file", extra={"how": type(error).__name__}
            )
        except Exception:
            # The images are worth more than the text: the draft goes on without it.
            log.exception("the text of a teaching file could not be read after an error of ours")
        return None

    def fill(self, study: ReceivedStudy, shell: CaseShell, text: TeachingText | None) -> None:
        """Mark the images of the draft, and fill what is empty in it."""
        with self.database.write() as session:
            manifests = Manifests(session)
            manifests.mark_case(study.key, shell.case_id)
            if text is not None:
                manifests.prefill(shell.case_id, text)
        if text is not None and text.account and shell.owner is None:
            with self.database.write() as session:
                if Manifests(session).assign(shell.case_id, text.account):
                    log.info("a draft went to the account that its sender named", extra={"case": shell.case_id})


def _counts(instance: ReceivedInstance, working: set[str]) -> bool:
    if instance.outcome is InstanceOutcome.DROPPED:
        return instance.reason == DropReason.TEACHING_FILE_MANIFEST
    return instance.arrival_id in working
