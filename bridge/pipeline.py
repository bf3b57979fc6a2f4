"""What happens to one instance, as the visible list of steps it is; runs in a child process of the worker.

read → disposition → plan → screen → write → verify → read again where boxes were made black → keep the blob

Everything that crosses to the parent process is a key or a result type of ``deidentify``: no path, pixel or value.
"""

import errno
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO, cast

from bridge.crosswalk import CrosswalkKey, SealedEntry, entry_of
from bridge.instance_holds import hold_by_error, hold_by_release, hold_by_screen
from bridge.keys import Generation, GenerationMissingError, Keys, Purpose, SecretError, load_keys
from bridge.layouts import layout_boxes
from bridge.logs import configure_logging
from bridge.pool import send_progress
from bridge.profile_book import laid_out
from bridge.receipt_marks import instance_facts, keep_accession_end
from bridge.work_files import in_memory, mappable
from cases.blobs import BlobStore, open_blobs
from cases.errors import StoreUnavailableError
from cases.intake import NO_FACTS, InstanceFacts, ReceivedInstance, ReceivedStudy
from cases.model import CaseShell
from cases.reruns import ERRAND_DIGITS, rerun_blob_key
from deidentify.compare import Fingerprint, fingerprint
from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError
from deidentify.parser import read_instance
from deidentify.pixels.digest import decoded_digest, picture_digest
from deidentify.pixels.screen import PixelScreener
from deidentify.pseudonyms import PseudonymScope, names_patient, patient_key, patient_number_key
from deidentify.release import released
from deidentify.results import (
    DeidentifiedInstance,
    Dropped,
    Hold,
    HoldReason,
    IdentifierHashes,
    RegionFate,
    ScreenReport,
)
from deidentify.review import NO_REVIEW, PixelReview, SiteLayout
from deidentify.screen_tokens import IdentifierHasher
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.sealing import SpoolKeys
from scp.spool import Spool

log = logging.getLogger("casebridge.pipeline")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})

PROGRESS_FRAMES = 10
"""Every how many frames the parent hears how far the screen is."""


class OriginalGoneError(DeidentificationError):
    """The original of an instance is not in the spool."""

    reason = HoldReason.UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a child process needs for its work, given once when it starts."""

    keys: Keys = field(repr=False)
    secret_file: Path | None = None
    """Where generations of the secret are found that were made after this process started."""
    spool_keys: SpoolKeys | None = field(repr=False, default=None)
    spool_root: Path
    blob_url: str = field(repr=False)
    profile_folder: Path
    """Where the texts of profiles lie, by revision."""
    log_level: str
    crosswalk: CrosswalkKey | None = None
    """What it is sealed to whose a case is; None where no crosswalk is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One instance, by its keys, and the case it belongs to."""

    study_key: str
    sop_key: str
    arrival_id: str
    case_id: str
    hospital: str
    secret_generation: int = 1
    """Of the case; of the study where there is no case yet."""
    profile_revision: str = ""
    """Of the case; none where there is no case yet."""
    errand_id: str = ""
    """Of the re-run that it is made for; none where it is made for the first time."""
    review: PixelReview = NO_REVIEW
    """What a person decided on its pixels."""
    born_in: str = ""
    """The case whose pseudonyms it had first, where its study was moved to the one that it is in."""
    given_patient_id: str = ""
    """The Patient ID of the case's files, a pseudonym, where it is not made of the original's."""
    layouts: tuple[SiteLayout, ...] = ()
    """What reviewers taught of the site's devices; the header tells which of them is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What has to be known of an instance before its study is judged as a whole."""

    arrival_id: str
    fingerprint: Fingerprint | None
    patient_key: str
    """Internal patient key, empty where the data set names no patient."""
    patient_number_key: str = ""
    """The same of the Patient ID alone, whoever issued it."""
    facts: InstanceFacts = NO_FACTS
    """What the receipt of its study has to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A de-identified instance and the blob that holds it."""

    instance: DeidentifiedInstance
    blob_key: str
    identifiers: IdentifierHashes | None = None
    """What the original said of whom, for the text screen of the case."""
    crosswalk: SealedEntry | None = None
    """Whose the case is, where a crosswalk is kept."""


Processed = Filed | Hold | Dropped

_tools: Tools | None = None


def start_child(tools: Tools) -> None:
    """Keep the tools of this child process; called once by the pool."""
    global _tools  # noqa: PLW0603 - a child process has one set of tools for its whole life
    _tools = tools
    configure_logging(tools.log_level, process="pool")


def task_of(study: ReceivedStudy, instance: ReceivedInstance, shell: CaseShell | None = None) -> Task:
    """Return the task that an instance of a study is, for its case where there is one."""
    return Task(
        study_key=instance.study_key,
        sop_key=instance.sop_key,
        arrival_id=instance.arrival_id,
        case_id=shell.case_id if shell else "",
        hospital=study.destination.hospital,
        secret_generation=shell.secret_generation if shell else study.secret_generation,
        profile_revision=shell.profile_revision if shell else "",
        born_in=shell.born_in if shell else "",
        given_patient_id=shell.given_patient_id if shell else "",
    )


def keeps_text(revision: str) -> bool:
    """Tell whether a profile keeps any text at all; in a child process."""
    return laid_out(_have().profile_folder, revision).text != "remove"


def _have() -> Tools:
    if _tools is None:
        raise RuntimeError("the child process was not given its tools")
    return _tools


def _generation(number: int) -> Generation:
    """Return a generation of the secret, also one that was made after this process started.

    A case whose generation this host does not have waits: under another one it would be another identity.
    """
    tools = _have()
    with suppress(GenerationMissingError):
        return tools.keys.of(number)
    try:
        return _later_keys(tools.secret_file).of(number)
    except SecretError as error:
        _later_keys.cache_clear()
        say_once(str(error))
        raise StoreUnavailableError(str(error)) from None


@cache
def say_once(what: str) -> None:
    """Tell the administrator why studies wait: the engine, which tries again and again, knows no sentence."""
    log.error("studies wait: %s", what)


@cache
def _later_keys(secret_file: Path | None) -> Keys:
    if secret_file is None:
        return _have().keys
    later = load_keys(secret_file)
    if later.name_key != _have().keys.name_key:
        raise SecretError(f"the secret file {secret_file} is another installation's; restore it from its backup")
    return later


def scope_of(generation: int, case_id: str, born_in: str = "", *, given_patient_id: str = "") -> PseudonymScope:
    """Return what the pseudonyms of a case are made by, in a child process; see ``PseudonymScope``."""
    key = _generation(generation).subkey(Purpose.PSEUDONYMS)
    return PseudonymScope(key=key, case_key=case_id, born_key=born_in, given_patient_id=given_patient_id)


@lru_cache(maxsize=8)
def deidentifier_of(revision: str) -> Deidentifier:
    """Return the engine under a profile revision, in a child process."""
    try:
        return Deidentifier(laid_out(_have().profile_folder, revision))
    except StoreUnavailableError as error:
        say_once(str(error))
        raise


@cache
def screener() -> PixelScreener:
    """Return the pixel screener of this child process."""
    return PixelScreener()


@lru_cache(maxsize=1)
def _hasher(case_id: str, secret_generation: int) -> IdentifierHasher:
    return IdentifierHasher(_generation(secret_generation).subkey(Purpose.TEXT_TOKENS), case_id)


@cache
def blobs() -> BlobStore:
    """Return the blob store of this child process."""
    return open_blobs(_have().blob_url)


@cache
def spool() -> Spool:
    """Return the spool of this child process."""
    tools = _have()
    return Spool(tools.spool_root, name_key=tools.keys.name_key, reserve_bytes=0, keys=tools.spool_keys)


def inspect(task: Task) -> Inspection:
    """Fingerprint an original, find out whose it is, and keep what its receipt needs."""
    try:
        with original(task) as identified_file:
            found = fingerprint(identified_file, _have().keys.digest_key)
            identified_file.seek(0)
            header = read_instance(identified_file)
            whose = of_number = ""
            if names_patient(header):
                key = _generation(task.secret_generation).subkey(Purpose.PATIENTS)
                whose, of_number = patient_key(header, key, task.hospital), patient_number_key(header, key)
            facts = instance_facts(header, _have().keys.name_key)
            keep_accession_end(spool(), task.study_key, header)
    except (MemoryError, StoreUnavailableError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            raise
        # The steps of ``process`` meet the same fault and hold this instance alone; its study goes on.
        if not isinstance(error, DeidentificationError):
            log.exception("an instance could not be inspected after an error of ours")
        return Inspection(arrival_id=task.arrival_id, fingerprint=None, patient_key="")
    return Inspection(
        arrival_id=task.arrival_id, fingerprint=found, patient_key=whose, patient_number_key=of_number, facts=facts
    )


def decoded(task: Task) -> str:
    """Return the digest of an original's decoded pixels; empty where they cannot be decoded or the original is gone."""
    return _digest(task, decoded_digest)


def picture(task: Task) -> str:
    """Return the digest of all that an original shows; empty where it cannot be decoded or is gone."""
    return _digest(task, picture_digest)


def _digest(task: Task, digest_of: Callable[[BinaryIO, bytes], str]) -> str:
    try:
        with original(task) as identified_file:
            return digest_of(identified_file, _have().keys.digest_key)
    except (MemoryError, StoreUnavailableError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            raise
        if not isinstance(error, DeidentificationError):
            log.exception("pixels could not be compared after an error of ours")
        return ""


def process(task: Task) -> Processed:
    """Take one original through every step; a failure of a step is a hold with its reason.

    Errors of the machine are raised, so that the study is tried again; a store out of reach or a full disk as
    ``StoreUnavailableError``, for as long as it takes.
    """
    try:
        return process_original(task)
    except OriginalGoneError as error:
        return hold_by_error(error)


def process_original(task: Task) -> Processed:
    """Do the same, but raise ``OriginalGoneError`` where there is no original."""
    try:
        with original(task) as identified_file:
            return _steps(task, identified_file)
    except SealBrokenError as error:
        return Hold(reason=HoldReason.UNREADABLE, detail=error.comment)
    except (MemoryError, StoreUnavailableError, OriginalGoneError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            if error.errno in NO_ROOM:
                raise StoreUnavailableError("the work folder has no room") from None
            raise
        return hold_by_error(error)


def _steps(task: Task, identified_file: BinaryIO) -> Processed:
    deidentifier = deidentifier_of(task.profile_revision)
    header = deidentifier.read(identified_file)
    disposition = deidentifier.disposition(header)
    if disposition is not None:
        return disposition
    review = task.review
    layout = layout_boxes(header, _have().keys.name_key, task.layouts)
    if layout:
        review = replace(review, redact=(*review.redact, *layout))
    face = deidentifier.hold_for_face(header, is_accepted=review.accepts_face)
    if face is not None:
        return face
    scope = scope_of(task.secret_generation, task.case_id, task.born_in, given_patient_id=task.given_patient_id)
    plan = deidentifier.plan(header, scope)
    identified_file.seek(0)
    screen = screener().screen(
        identified_file, plan.identified_tokens, _report_frames, policy=deidentifier.pixel_policy, review=review
    )
    hold = hold_by_screen(screen)
    if hold is not None:
        _keep_findings(task, screen)
        return hold
    with unfinished_output() as target:
        try:
            instance = released(
                deidentifier,
                screener(),
                plan,
                screen,
                identified_file=identified_file,
                target=target,
                scratch=unfinished_output,
                review=review,
            )
        except DeidentificationError as error:
            hold = hold_by_release(error, screen)
            if hold.findings:
                _keep_findings(task, replace(screen, findings=hold.findings))
            return hold
        if any(finding.fate is not RegionFate.KEPT for finding in instance.screen.findings):
            _keep_findings(task, instance.screen)
        blob_key = _blob_key(task, instance)
        blobs().put(blob_key, target)
    identifiers = _hasher(task.case_id, task.secret_generation).of(header)
    key_of_crosswalk = _have().crosswalk
    entry = key_of_crosswalk.seal(entry_of(header, task.hospital), task.case_id) if key_of_crosswalk else None
    return Filed(instance=instance, blob_key=blob_key, identifiers=identifiers, crosswalk=entry)


def _blob_key(task: Task, instance: DeidentifiedInstance) -> str:
    if task.errand_id:
        return rerun_blob_key(task.case_id, task.arrival_id, task.errand_id)
    return f"cases/{task.case_id}/{task.arrival_id}-{instance.sha256[:16]}.dcm"


def _report_frames(done: int, frames: int) -> None:
    if done % PROGRESS_FRAMES == 0 or done == frames:
        send_progress((done, frames))


def _keep_findings(task: Task, screen: ScreenReport) -> None:
    """Keep what the recogniser read beside the original: it is identified, and goes when the original goes."""
    # What was read in the written instance comes last, without its text.
    texts = chain(screen.identified_texts, repeat(""))
    found = [{**asdict(finding), "text": text} for finding, text in zip(screen.findings, texts, strict=False)]
    identified_content = json.dumps({"detector": screen.detector, "findings": found}).encode()
    # What a re-run reads may never come into effect: the boxes of a hold stay those of its own reading.
    name = f"findings-{task.errand_id[:ERRAND_DIGITS]}.json" if task.errand_id else "findings.json"
    with suppress(FileNotFoundError):  # the original was purged meanwhile: nothing outlives it
        spool().write_beside(task.study_key, task.sop_key, task.arrival_id, name, identified_content)


def unfinished_output() -> BinaryIO:
    """Return a file without a name for unfinished output: what is not verified yet may identify somebody.

    It lies on the spool's disk; where the spool is sealed it lies in memory, as the opened original does.
    """
    if spool().is_sealing:
        return in_memory()
    return cast("BinaryIO", tempfile.TemporaryFile(dir=_have().spool_root / "incoming"))


@contextmanager
def original(task: Task) -> Iterator[BinaryIO]:
    """Open the original of an instance; ``OriginalGoneError`` when there is none, in a child process."""
    try:
        file = spool().open_original(task.study_key, task.sop_key, task.arrival_id)
    except FileNotFoundError:
        # One file that is gone is one hold; a spool that is gone (an unmounted volume) holds nothing, it is waited for.
        if not spool().is_there():
            raise StoreUnavailableError("the spool is not there") from None
        raise OriginalGoneError("its original is not in the spool any more") from None
    except SpoolKeyMissingError as error:
        raise StoreUnavailableError(error.comment) from None
    with file, mappable(file) as identified_file:
        yield identified_file
