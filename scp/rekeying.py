"""Sealing a spool anew under its first key, file by file, while receivers and workers go on.

Each file is written whole, synced, read again, renamed over the old one and its folder synced: whenever this is
interrupted, every file is there once, under one key or the other, and its name says what it said before.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from scp.arrival import is_key, new_arrival_id
from scp.disk import Disk
from scp.errors import SealBrokenError, SpoolFullError, SpoolKeyMissingError
from scp.key_marks import KeyMarks
from scp.sealing import SealedName, SealingWriter, SpoolKeys, open_sealed, sealed_under
from scp.spool import Spool

__all__ = ["Rekeyed", "Rekeying"]

_COPY_BYTES = 1 << 20
_PART = ".part"
_NOT_OURS_TO_SEAL = frozenset({"studies", "incoming", "quarantine", "keys"})
"""What is no folder of other sealed files: studies are walked apart, the rest is unfinished, damaged or empty."""


@dataclass(slots=True, kw_only=True)
class Rekeyed:
    """What became of the files of a spool."""

    sealed: int = 0
    """Sealed anew."""
    was_plain: int = 0
    """How many of those lay plain before."""
    current: int = 0
    """Under the first key already."""
    gone: int = 0
    """Deleted, or replaced by a newer one, meanwhile."""
    in_use: int = 0
    """In the hands of another process: left for the next run."""
    broken: list[Path] = field(default_factory=list)
    """Damaged: left as they are."""
    keyless: list[Path] = field(default_factory=list)
    """Sealed under a key that is not configured: left as they are."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left under another key, as far as anybody can read it."""
        return not self.broken and not self.keyless


class Rekeying:
    """Seals a spool anew.

    Parameters
    ----------
    spool
        Where the files lie.
    keys
        The first one seals; the others open what was sealed before.
    disk
        The file operations to use.
    """

    def __init__(self, spool: Spool, keys: SpoolKeys, disk: Disk | None = None) -> None:
        self._spool = spool
        self._keys = keys
        self._disk = disk or Disk()
        self._marks = KeyMarks(spool.root)

    def files(self) -> list[Path]:
        """Return the files that are sealed or could be: of the studies all, of other folders the sealed ones."""
        return [*self._of_studies(), *self._elsewhere()]

    def run(self, step: Callable[[], None] = lambda: None) -> Rekeyed:
        """Seal every file that is not under the first key, and return what was done; safe to repeat.

        Raises
        ------
        SpoolFullError
            If a file has no room beside its old version; what was done stays done.
        """
        self._marks.add(self._keys.ids[0])
        done = Rekeyed()
        for path in self.files():
            self._seal(path, done)
            step()
        return done

    def needed(self) -> set[str]:
        """Look at every file, keep the marks of the keys that are needed, and return their ids."""
        needed = {self._keys.ids[0]}
        for path in self.files():
            try:
                with path.open("rb") as file:
                    needed.add(sealed_under(file) or self._keys.ids[0])
            except FileNotFoundError:
                continue
        for key_id in set(self._marks.ids()) - needed:
            self._marks.remove(key_id)
        return needed

    def _seal(self, path: Path, done: Rekeyed) -> None:
        if self._is_in_use(path):
            done.in_use += 1
            return
        name = self._spool.sealed_name(path)
        try:
            with path.open("rb") as raw:
                before = sealed_under(raw)
                if before == self._keys.ids[0]:
                    done.current += 1
                    return
                raw.seek(0)
                facts = os.fstat(raw.fileno())
                if not self._spool.has_room(facts.st_size):
                    raise SpoolFullError("Out of disk space; free space, then seal again")
                with open_sealed(raw, self._keys, name) as content:
                    is_there = self._replace(path, content, name, facts.st_ino)
        except FileNotFoundError:
            done.gone += 1
        except SpoolKeyMissingError:
            done.keyless.append(path)
        except SealBrokenError:
            done.broken.append(path)
        else:
            done.gone += not is_there
            done.sealed += is_there
            done.was_plain += is_there and before is None

    def _is_in_use(self, path: Path) -> bool:
        """Tell whether a process holds the lock of a file: what a claim locks must not be replaced under it."""
        is_original = path.parent.parent == self._spool.root / "studies"
        return not is_original and path.exists() and not self._disk.is_abandoned(path)

    def _replace(self, path: Path, content: BinaryIO, name: SealedName, inode: int) -> bool:
        """Put the content, sealed anew, in the place of its old file, unless that is not there any more."""
        part = self._spool.incoming_path(new_arrival_id())
        descriptor = self._disk.create(part)
        try:
            digest = self._write(descriptor, content, name)
            self._disk.sync(descriptor)
            with os.fdopen(os.dup(descriptor), "rb") as written:
                written.seek(0)
                if _digest(open_sealed(written, self._keys, name)) != digest:
                    raise SealBrokenError("what was sealed anew could not be read again")
            with self._spool.alone():
                if path.stat().st_ino != inode:
                    return False
                self._disk.rename(part, path)
                self._disk.sync_folder(path.parent)
            return True
        finally:
            os.close(descriptor)
            part.unlink(missing_ok=True)

    def _write(self, descriptor: int, content: BinaryIO, name: SealedName) -> bytes:
        writer = SealingWriter(self._keys, name.name, lambda data: self._disk.write(descriptor, data))
        digest = hashlib.sha256()
        while piece := content.read(_COPY_BYTES):
            digest.update(piece)
            writer.write(piece)
        writer.finish(name.study)
        return digest.digest()

    def _of_studies(self) -> Iterator[Path]:
        for folder in sorted((self._spool.root / "studies").iterdir()):
            if is_key(folder.name):
                with suppress(FileNotFoundError):  # emptied and cleared meanwhile
                    yield from sorted(path for path in folder.iterdir() if path.suffix != _PART)

    def _elsewhere(self) -> Iterator[Path]:
        for folder in sorted(self._spool.root.iterdir()):
            if folder.name in _NOT_OURS_TO_SEAL or not folder.is_dir():
                continue
            for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != _PART):
                with suppress(FileNotFoundError), path.open("rb") as file:  # a request may be answered meanwhile
                    if sealed_under(file) is not None:
                        yield path


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while piece := file.read(_COPY_BYTES):
        digest.update(piece)
    return digest.digest()
