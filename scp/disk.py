"""The few file operations that durability rests on, in one place so that a test can watch their order."""

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scp.errors import SpoolFullError, SpoolUnavailableError

__all__ = ["FILE_MODE", "FOLDER_MODE", "LONG_SILENT_S", "Disk", "spool_error"]

FILE_MODE = 0o600
FOLDER_MODE = 0o700
LONG_SILENT_S = 3600.0
"""A file being written that was silent for so long has no writer: network timeouts are far shorter."""

_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:  # Linux has it, Python does not name it
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class Disk:
    """POSIX file operations on a local or shared file system."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist yet, locked for as long as it is open; return its descriptor.

        The lock says that a live process is writing: the kernel drops it when the process dies.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            with suppress(OSError):  # a file system without locks: age alone then tells what is dead
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Between the two calls nobody seemed to write: whoever clears up may have taken the file away.
            if _is_still(path, descriptor):
                return descriptor
            os.close(descriptor)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def start_write(self, descriptor: int) -> None:
        """Let the system begin to bring a file's bytes to the disk, without waiting; a promise of nothing."""
        if _sync_file_range is not None:
            _sync_file_range(descriptor, 0, 0, _RANGE_WRITE)

    def sync(self, descriptor: int) -> None:
        """Make the content of a file durable."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, atomically."""
        source.rename(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """Make a folder that only its owner may enter; one that exists is left alone."""
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def free_bytes(self, folder: Path) -> int:
        """Return the bytes that an ordinary process may still write there."""
        facts = os.statvfs(folder)
        return facts.f_bavail * facts.f_frsize

    @contextmanager
    def claimed(self, path: Path) -> Iterator[bool]:
        """Yield whether no live process holds the lock that :meth:`create` took; nobody can take it meanwhile."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = _is_still(path, descriptor)
        except BlockingIOError:
            is_free = False
        except OSError:
            # No locks on this file system: what nobody has written to for long is dead.
            is_free = time.time() - os.fstat(descriptor).st_mtime > LONG_SILENT_S
        try:
            yield is_free
        finally:
            os.close(descriptor)

    def is_abandoned(self, path: Path) -> bool:
        """Tell whether no live process holds the lock that :meth:`create` took; see :meth:`claimed` to act on it."""
        with self.claimed(path) as is_free:
            return is_free


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether a path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def spool_error(error: OSError) -> SpoolFullError | SpoolUnavailableError:
    """Return what a failed file operation means to a peer."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return SpoolFullError("Out of disk space; free space, then send again")
    return SpoolUnavailableError("The storage cannot be written; try again later")
