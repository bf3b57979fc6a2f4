"""``casebridge export``: what is filed of a case as a folder, or as a DICOM file set. It knows no spool."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click
from rich.console import Console

from api.schemas.archive import case_json
from bridge.actor import command_line_actor
from bridge.offline_progress import Step, progress
from cases.blobs import BlobStore
from cases.errors import CaseError, CaseNotFoundError, InvalidTransitionError
from cases.exports.contents import CHECKSUMS, ExportFile, NamedImage, by_file_id, by_words, files_of
from cases.exports.dicomdir import DIRECTORY, ListedFile, write_directory
from cases.exports.reading import checked_pieces
from cases.model import CaseDetail, CaseStatus
from cases.store import Audit, Cases, Database
from cases.users import Role, User

EXPORT, FAILED = "case.export", "case.export-failed"
EXIT_OK = 0
EXIT_FAULT = 1
_CASE_ID = re.compile(r"[0-9a-f]{32}")
_WHO_RUNS_IT = User(id="", name="", role=Role.ADMIN, draft_limit=0)
"""Whoever may run commands here sees every case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for on the command line."""

    case_id: str
    folder: Path
    dicomdir: bool


def export(database: Database, blobs: BlobStore, choice: Choice) -> int:
    """Write a case into a new folder; return the exit status. What was begun and failed goes again."""
    try:
        detail = _case(database, choice.case_id)
        images = by_file_id(detail) if choice.dicomdir else by_words(detail)
        files = files_of(detail, images, case_json(detail, images))
        with _new_folder(choice.folder):
            _note(database, EXPORT, choice, detail, files)
            try:
                with progress(Console(stderr=True)) as step:
                    _write(blobs, choice.folder, files, step)
                if choice.dicomdir:
                    _list(choice.folder, detail, images)
            except BaseException:
                _note(database, FAILED, choice, detail, files)
                raise
    except (CaseError, OSError) as error:
        return cannot(error)
    told = f" and {DIRECTORY}" if choice.dicomdir else ""
    click.echo(f"{len(images)} image(s), texts, {CHECKSUMS}{told} written to {choice.folder}.")
    _tell_what_is_not_in_it(detail)
    return EXIT_OK


def cannot(error: CaseError | OSError) -> int:
    """Say why nothing was done, and return the exit status."""
    text = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
    click.echo(f"Not done: {text}", err=True)
    return EXIT_FAULT


def _case(database: Database, case_id: str) -> CaseDetail:
    if not _CASE_ID.fullmatch(case_id):
        raise CaseNotFoundError("a case is named by its id of 32 hexadecimal digits")
    with database.read() as session:
        detail = Cases(session).get(_WHO_RUNS_IT, case_id)
    if detail.summary.status is CaseStatus.REMOVED:
        raise InvalidTransitionError("the case was removed, and its images with it")
    return detail


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make a folder that its owner alone may enter; it goes again where what follows fails."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, f"{folder} exists; name a new folder") from None
    folder.chmod(0o700)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def _note(database: Database, action: str, choice: Choice, detail: CaseDetail, files: tuple[ExportFile, ...]) -> None:
    """Keep in the audit log who takes what, before the first byte."""
    images = [file for file in files if file.image is not None]
    told = {"version": detail.summary.version, "images": len(images), "bytes": sum(file.size_bytes for file in files)}
    with database.write() as session:
        audit = Audit(session)
        audit.append(command_line_actor(), action, choice.case_id, {**told, "dicomdir": choice.dicomdir})


def _write(blobs: BlobStore, folder: Path, files: tuple[ExportFile, ...], step: Step) -> None:
    for number, file in enumerate(files, 1):
        path = folder / PurePosixPath(file.name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            if file.image is None:
                target.write(file.content)
            else:
                for piece in checked_pieces(blobs, file.image):
                    target.write(piece)
        step("Exporting", number, len(files))


def _list(folder: Path, detail: CaseDetail, images: tuple[NamedImage, ...]) -> None:
    """Write the directory of the file set, and its checksum behind those of the files."""
    names = {named.image.id: named.name for named in images}
    listed = [
        ListedFile(
            file_id=PurePosixPath(names[image.id]),
            sop_class_uid=image.sop_class_uid,
            has_pixels=image.has_pixels,
            study=place,
            series=number,
            position=position,
        )
        for place, study in enumerate(detail.studies, 1)
        for number, series in enumerate(study.series, 1)
        for position, image in enumerate(series.images, 1)
    ]
    write_directory(folder, listed)
    (folder / DIRECTORY).chmod(0o600)
    digest = hashlib.sha256((folder / DIRECTORY).read_bytes()).hexdigest()
    with (folder / CHECKSUMS).open("a") as checksums:
        checksums.write(f"{digest}  {DIRECTORY}\n")


def _tell_what_is_not_in_it(detail: CaseDetail) -> None:
    counts = detail.summary.counts
    if counts.held or counts.pending:
        told = f"{counts.held} held and {counts.pending} not yet screened"
        click.echo(f"The case has more images, which are not in it: {told}.", err=True)
