"""What nobody will come back for: unfinished files of dead processes, and what lay in quarantine for its time."""

import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from scp.arrival import is_key
from scp.disk import LONG_SILENT_S, Disk

__all__ = ["Leftovers"]

_DAY_S = 86_400.0
_ORIGINAL = re.compile(r"[0-9a-f]{32}-([0-9a-f]{32})\.dcm")
_DERIVED = re.compile(r"([0-9a-f]{32}-[0-9a-f]{32}|study)\..+")


class Leftovers:
    """The files of a spool that belong to no arrival.

    Parameters
    ----------
    root
        The spool.
    disk
        The file operations to use.
    host
        How names of this host's unfinished files begin.
    """

    def __init__(self, root: Path, disk: Disk, *, host: str) -> None:
        self._root = root
        self._disk = disk
        self._host = host

    def clear_unfinished(self, *, own: bool = False) -> int:
        """Delete what dead processes left of objects that never arrived, and return how many files it was.

        Parameters
        ----------
        own
            Whether this host's files need no age: a process that starts knows that none of its own are older.
        """
        cleared = 0
        for path in (self._root / "incoming").glob("*.part"):
            with suppress(FileNotFoundError):
                is_known_dead = (own and path.name.startswith(self._host)) or _silent_s(path) > LONG_SILENT_S
                if not is_known_dead:
                    continue
                with self._disk.claimed(path) as is_free:
                    if is_free:
                        path.unlink()
                        cleared += 1
        return cleared

    def clear_orphans(self) -> int:
        """Delete what lies beside no original, and drafts of what was derived; return how many files it was."""
        cleared = 0
        for folder in self._study_folders():
            with suppress(FileNotFoundError):
                with os.scandir(folder) as entries:
                    names = [entry.name for entry in entries]
                has_original = any(name.endswith(".dcm") for name in names)
                for path in (folder / name for name in names):
                    if _is_orphan(path, has_original=has_original) and _silent_s(path) > LONG_SILENT_S:
                        path.unlink()
                        cleared += 1
        return cleared

    def quarantined_arrivals(self) -> dict[str, str]:
        """Return the arrivals whose originals are in quarantine, each with the name of its file."""
        with os.scandir(self._root / "quarantine") as entries:
            names = [entry.name for entry in entries]
        return {match[1]: name for name in names if (match := _ORIGINAL.fullmatch(name)) is not None}

    def purge_quarantine(self, *, days: float, now: float | None = None, promised: Collection[str] = ()) -> list[str]:
        """Delete what has been in quarantine for so many days, and return the names.

        Parameters
        ----------
        days
            Counted from the last change of the file or its name, whichever came later.
        now
            The moment to count to, in s since 1970; this one, if not given.
        promised
            Names of files that stay: somebody was promised that they do.
        """
        moment = time.time() if now is None else now
        purged = []
        folder = self._root / "quarantine"
        for path in sorted(path for path in folder.iterdir() if path.name not in promised):
            with suppress(FileNotFoundError):
                facts = path.stat()
                if moment - max(facts.st_mtime, facts.st_ctime) > days * _DAY_S:
                    path.unlink()
                    purged.append(path.name)
        if purged:
            self._disk.sync_folder(folder)
        return purged

    def _study_folders(self) -> Iterator[Path]:
        with os.scandir(self._root / "studies") as entries:
            names = [entry.name for entry in entries if is_key(entry.name)]
        return (self._root / "studies" / name for name in names)


def _is_orphan(path: Path, *, has_original: bool) -> bool:
    match = _DERIVED.fullmatch(path.name)
    if match is None or path.suffix == ".dcm":
        return False
    if path.suffix == ".part":
        return True
    return not (has_original if match[1] == "study" else path.with_name(f"{match[1]}.dcm").exists())


def _silent_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
