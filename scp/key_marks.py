"""Which spool keys a spool was sealed under, so that no process starts without one that is needed."""

import os
import re
from pathlib import Path

from scp.disk import FILE_MODE, Disk

__all__ = ["KeyMarks"]

_KEY_ID = re.compile(r"[0-9a-f]{32}")


class KeyMarks:
    """A folder of the spool with an empty file for each key id under which something was sealed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "keys"
        self._disk = Disk()

    def ids(self) -> list[str]:
        """Return the ids of all keys that are needed to read the spool."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if _KEY_ID.fullmatch(path.name))
        except FileNotFoundError:
            return []

    def add(self, key_id: str) -> None:
        """Keep, durably, that files are sealed under a key from now on."""
        path = self._folder / key_id
        if path.exists():
            return
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._disk.make_folder(self._folder)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        self._disk.sync_folder(self._folder)
        self._disk.sync_folder(self._root)

    def remove(self, key_id: str) -> None:
        """Keep that nothing is sealed under a key any more."""
        (self._folder / key_id).unlink(missing_ok=True)
