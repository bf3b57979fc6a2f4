"""Where whole files get their final names: study folders, made durable together for all who wait at the same time."""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scp.disk import Disk

__all__ = ["FolderSyncs", "Move", "StudyFolders"]

_KNOWN_S = 1800
_SIZE_SHARE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A synced file that shall get its final name."""

    part: Path
    study_key: str
    name: str
    size_bytes: int


@dataclass(eq=False, slots=True)
class _Turn:
    """One sync of a folder, for everybody who asked before it started."""

    is_done: bool = False
    errno: int | None = None


class FolderSyncs:
    """Syncs folders, each at most once at a time: who asks meanwhile shares the next sync.

    A caller is served by a sync that started after its call, so by one that covers what it had renamed.

    Parameters
    ----------
    disk
        The file operations to use.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._changed = threading.Condition()
        self._running: set[str] = set()
        self._next: dict[str, _Turn] = {}

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable.

        Raises
        ------
        OSError
            If the sync that would have covered them failed, whoever called it: a later one may hide that.
        """
        name = str(folder)
        with self._changed:
            turn = self._next.setdefault(name, _Turn())
            while name in self._running and not turn.is_done:
                self._changed.wait()
            is_mine = not turn.is_done
            if is_mine:
                self._running.add(name)
                del self._next[name]
        if is_mine:
            self._lead(folder, turn)
        elif turn.errno is not None:
            raise OSError(turn.errno, os.strerror(turn.errno))

    def _lead(self, folder: Path, turn: _Turn) -> None:
        turn.errno = 5  # EIO, for those who wait, should this thread end without a word
        try:
            self._disk.sync_folder(folder)
            turn.errno = None
        except OSError as error:
            turn.errno = error.errno or turn.errno
            raise
        finally:
            with self._changed:
                turn.is_done = True
                self._running.discard(str(folder))
                self._changed.notify_all()


@dataclass(slots=True)
class _Size:
    """What a study held when it was last counted, and what this process has added since."""

    counted: int
    added: int = 0


@dataclass(slots=True)
class _Known:
    folders: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, _Size] = field(default_factory=dict)


class StudyFolders:
    """The study folders of a spool, as those who write see them.

    Parameters
    ----------
    studies
        The folder that holds a folder for each study.
    disk
        The file operations to use.
    max_study_bytes
        What one study may hold; None takes any.
    """

    def __init__(self, studies: Path, disk: Disk, *, max_study_bytes: int | None = None) -> None:
        self._studies = studies
        self._disk = disk
        self._max_study_bytes = max_study_bytes
        self._syncs = FolderSyncs(disk)
        self._lock = threading.Lock()
        self._known = _Known()

    def place(self, moves: Sequence[Move]) -> list[OSError | None]:
        """Give files their final names and make these durable: rename all, then sync each folder once.

        Returns
        -------
        list of OSError or None
            Why a file could not be placed, for each of `moves`; such a file is nowhere in the studies.
        """
        errors: list[OSError | None] = [None] * len(moves)
        fresh: set[str] = set()
        for index, move in enumerate(moves):
            try:
                self._rename(move, fresh)
            except OSError as error:
                errors[index] = error
        for key in dict.fromkeys(move.study_key for move in moves):
            self._sync(self._studies / key, [key], moves, errors)
        if fresh:
            # Also where another process made the folder: it may not have synced its name yet.
            self._sync(self._studies, fresh, moves, errors)
        with self._lock:
            now = time.monotonic()
            for move, failure in zip(moves, errors, strict=True):
                if failure is None:
                    self._known.folders.setdefault(move.study_key, now)
                    if move.study_key in self._known.sizes:
                        self._known.sizes[move.study_key].added += move.size_bytes
        return errors

    def _rename(self, move: Move, fresh: set[str]) -> None:
        folder = self._studies / move.study_key
        if move.study_key not in fresh and not self._is_durable(move.study_key):
            fresh.add(move.study_key)
            self._disk.make_folder(folder)
        try:
            self._disk.rename(move.part, folder / move.name)
        except FileNotFoundError:
            # An empty study folder was cleared by another process in this very moment.
            fresh.add(move.study_key)
            self._disk.make_folder(folder)
            self._disk.rename(move.part, folder / move.name)

    def _sync(self, folder: Path, keys: Iterable[str], moves: Sequence[Move], errors: list[OSError | None]) -> None:
        waiting = [index for index, move in enumerate(moves) if move.study_key in set(keys) and errors[index] is None]
        if not waiting:
            return
        try:
            self._syncs.sync(folder)
        except OSError as error:
            for index in waiting:
                # No Success will be sent, so nothing may stay that looks received.
                errors[index] = error
                with suppress(OSError):
                    (self._studies / moves[index].study_key / moves[index].name).unlink()

    def _is_durable(self, study_key: str) -> bool:
        with self._lock:
            since = self._known.folders.get(study_key)
            if since is not None and time.monotonic() - since < _KNOWN_S:
                return True
            self._forget_old()
            return False

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._known.folders = {key: at for key, at in self._known.folders.items() if now - at < _KNOWN_S}
        self._known.sizes = {key: size for key, size in self._known.sizes.items() if key in self._known.folders}

    def has_study_room(self, study_key: str, size: int) -> bool:
        """Tell whether a study may take `size` more bytes.

        What other processes add is seen when the folder is counted again: after each sixteenth of the limit, and
        before anything is refused.
        """
        limit = self._max_study_bytes
        if limit is None:
            return True
        with self._lock:
            known = self._known.sizes.get(study_key)
        if known is None or known.added > limit // _SIZE_SHARE or known.counted + known.added + size > limit:
            known = _Size(_bytes_in(self._studies / study_key))
            with self._lock:
                self._known.sizes[study_key] = known
        return known.counted + known.added + size <= limit


def _bytes_in(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total
