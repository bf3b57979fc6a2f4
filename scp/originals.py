"""The originals of a spool and what is derived from them, by their keys: opened, kept beside each other, deleted.

Nobody else opens these files: whether they are sealed is decided here.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from scp.arrival import is_key
from scp.disk import FILE_MODE, Disk
from scp.sealing import PlainWriter, SealedName, SealingWriter, SpoolKeys, open_sealed, seal, unseal

__all__ = ["Originals", "other_name"]

_SUFFIX = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_OF_STUDY = "study"


class Originals:
    """The study folders of a spool.

    Parameters
    ----------
    studies
        The folder that holds a folder for each study.
    disk
        The file operations to use.
    keys
        Seal what is kept under the first one; None keeps it plain.
    """

    def __init__(self, studies: Path, disk: Disk, keys: SpoolKeys | None = None) -> None:
        self._studies = studies
        self._disk = disk
        self._keys = keys

    @property
    def is_sealing(self) -> bool:
        """Whether what is kept is sealed: then nothing of it may lie on a disk in plain anywhere else."""
        return self._keys is not None

    def writer(
        self, sop_key: str, arrival_id: str, put: Callable[[bytes | memoryview], object]
    ) -> PlainWriter | SealingWriter:
        """Return what turns the content of an original into the bytes of its file."""
        if self._keys is None:
            return PlainWriter(put)
        return SealingWriter(self._keys, f"{sop_key}-{arrival_id}.dcm".encode(), put)

    def seal(self, name: str, identified_content: bytes) -> bytes:
        """Return the bytes to keep for a content of another folder of the spool, such as a request to be answered.

        Parameters
        ----------
        name
            The path of its file within the spool, such as ``requests/0a.json``: it opens under this name alone.
        identified_content
            What is kept.
        """
        return identified_content if self._keys is None else seal(self._keys, other_name(name), identified_content)

    def unseal(self, name: str, data: bytes) -> bytes:
        """Return the content of what :meth:`seal` returned for this name.

        Raises
        ------
        SealBrokenError
            If it was changed, or belongs to another name.
        SpoolKeyMissingError
            If its key is not configured.
        """
        return unseal(self._keys, other_name(name), data)

    def path(self, study_key: str, sop_key: str, arrival_id: str) -> Path:
        """Return where the original of an arrival lies; it is opened by :meth:`open_original` alone.

        Raises
        ------
        ValueError
            If a key is not one of ours.
        """
        return self._studies / study_key / f"{self._stem(study_key, sop_key, arrival_id)}.dcm"

    def beside(self, study_key: str, sop_key: str, arrival_id: str, suffix: str) -> Path:
        """Return where something derived from an arrival lies, as `suffix` says (`screen.json`).

        Raises
        ------
        ValueError
            If a key is not one of ours, or the suffix is not a plain name or that of the original.
        """
        stem = self._stem(study_key, sop_key, arrival_id)
        return self._studies / study_key / f"{stem}.{_checked(suffix)}"

    def open_original(self, study_key: str, sop_key: str, arrival_id: str) -> BinaryIO:
        """Open an original for reading, seekable.

        Raises
        ------
        FileNotFoundError
            If it is gone.
        SealBrokenError
            If it is not what was written; also raised while it is read.
        SpoolKeyMissingError
            If its key is not configured.
        """
        return self._open(self.path(study_key, sop_key, arrival_id))

    def sync_original(self, study_key: str, sop_key: str, arrival_id: str) -> None:
        """Make the content of an original durable, whoever wrote it."""
        descriptor = os.open(self.path(study_key, sop_key, arrival_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def sync_study(self, study_key: str) -> None:
        """Make the names of a study's originals, and its own, durable."""
        if not is_key(study_key):
            raise ValueError("a key is 32 lower-case hex digits")
        self._disk.sync_folder(self._studies / study_key)
        self._disk.sync_folder(self._studies)

    def write_beside(self, study_key: str, sop_key: str, arrival_id: str, suffix: str, data: bytes) -> None:
        """Keep something derived from an original beside it, durable when this returns; it goes when the original goes.

        Raises
        ------
        FileNotFoundError
            If the original is gone: nothing outlives it.
        """
        target = self.beside(study_key, sop_key, arrival_id, suffix)
        original = self.path(study_key, sop_key, arrival_id)
        self._write(target, self._sealed(target, data), original.exists)

    def read_beside(self, study_key: str, sop_key: str, arrival_id: str, suffix: str) -> bytes | None:
        """Return what was kept beside an original; None where there is nothing."""
        return self._read(self.beside(study_key, sop_key, arrival_id, suffix))

    def write_beside_study(self, study_key: str, suffix: str, data: bytes) -> None:
        """Keep something derived from a whole study beside its originals; it goes with the last of them.

        Raises
        ------
        FileNotFoundError
            If the originals are gone.
        """
        target = self._of_study(study_key, suffix)
        self._write(target, self._sealed(target, data), partial(_has_original, target.parent))

    def read_beside_study(self, study_key: str, suffix: str) -> bytes | None:
        """Return what was kept beside the originals of a study; None where there is nothing, or no original."""
        path = self._of_study(study_key, suffix)
        return self._read(path) if _has_original(path.parent) else None

    def remove(self, study_key: str, sop_key: str, arrival_id: str) -> bool:
        """Delete an original and all that lies beside it, durably, and return whether it was there.

        With the last original of a study goes what was derived from the study.
        """
        was_there = False
        start = self._stem(study_key, sop_key, arrival_id) + "."
        folder = self._studies / study_key
        with suppress(FileNotFoundError), self.alone():
            names = _names(folder, start)
            was_there = f"{start}dcm" in names
            for name in names:
                (folder / name).unlink(missing_ok=True)
            if not _has_original(folder):
                names += _names(folder, f"{_OF_STUDY}.")
                for name in names:
                    (folder / name).unlink(missing_ok=True)
            if names:
                self._disk.sync_folder(folder)
        return was_there

    def sealed_name(self, path: Path) -> SealedName:
        """Return the name that a file of the spool is sealed under."""
        if path.parent.parent == self._studies:
            return _name_of(path)
        return other_name(path.relative_to(self._studies.parent).as_posix())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep apart those who replace a file and those who delete it, so that what was deleted does not come back."""
        descriptor = os.open(self._studies.parent / "changing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _of_study(self, study_key: str, suffix: str) -> Path:
        if not is_key(study_key):
            raise ValueError("a key is 32 lower-case hex digits")
        return self._studies / study_key / f"{_OF_STUDY}.{_checked(suffix)}"

    def _write(self, target: Path, data: bytes, is_wanted: Callable[[], bool]) -> None:
        # Under the name's own beginning, so that a draft left by a kill goes with the original.
        draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            try:
                self._disk.write(descriptor, data)
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)
            self._rename(draft, target, is_wanted)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._disk.sync_folder(target.parent)

    def _rename(self, draft: Path, target: Path, is_wanted: Callable[[], bool]) -> None:
        with self.alone():
            if not is_wanted():
                raise FileNotFoundError("the original is gone")
            self._disk.rename(draft, target)

    def _read(self, path: Path) -> bytes | None:
        try:
            with self._open(path) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _open(self, path: Path) -> BinaryIO:
        return open_sealed(path.open("rb"), self._keys, _name_of(path))

    def _sealed(self, path: Path, content: bytes) -> bytes:
        return content if self._keys is None else seal(self._keys, _name_of(path), content)

    @staticmethod
    def _stem(study_key: str, sop_key: str, arrival_id: str) -> str:
        if not all(is_key(key) for key in (study_key, sop_key, arrival_id)):
            raise ValueError("a key is 32 lower-case hex digits")
        return f"{sop_key}-{arrival_id}"


def _name_of(path: Path) -> SealedName:
    return SealedName(name=path.name.encode(), study=path.parent.name.encode())


def other_name(name: str) -> SealedName:
    """Return the name that a file outside of the studies is sealed under."""
    return SealedName(name=f"other/{name}".encode())


def _checked(suffix: str) -> str:
    if _SUFFIX.fullmatch(suffix) is None or suffix == "dcm":
        raise ValueError("a suffix is lower-case letters, digits, dots and dashes")
    return suffix


def _names(folder: Path, start: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.name.startswith(start)]


def _has_original(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".dcm") for entry in entries)
    except FileNotFoundError:
        return False
