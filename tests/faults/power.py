"""A disk after a power cut, worked out from what was done to it: only what was synced is sure to be there.

A process that is killed leaves its writes in the page cache, so it cannot show a missing sync. This model can: each
file has what was written and what was synced, each folder the names that it has and those that were synced. A power
cut keeps what was synced, and of the rest whatever it likes; :data:`SURVIVALS` are its worst ways.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from tests.faults.tap import Kind, Operation


class Survival(StrEnum):
    """What a power cut leaves of what was not synced."""

    NOTHING = "nothing"
    NAMES = "names"
    """Names, but not the data of their files: ext4 and XFS did so in their time."""
    DATA = "data"
    TORN = "torn"
    """Names, and the first half of what was written since the last sync."""
    EVERYTHING = "everything"
    """As after the kill of a process."""


@dataclass(slots=True)
class _File:
    written: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def content(self, survival: Survival) -> bytes:
        if survival in {Survival.DATA, Survival.EVERYTHING}:
            return bytes(self.written)
        if survival is Survival.TORN and bytes(self.written) != self.synced:
            return bytes(self.written[: (len(self.synced) + len(self.written)) // 2])
        return self.synced


@dataclass(slots=True)
class _Folder:
    names: dict[str, "_File | _Folder"] = field(default_factory=dict)
    synced: dict[str, "_File | _Folder"] = field(default_factory=dict)


class ModelDisk:
    """What lies below a folder, written and synced."""

    def __init__(self) -> None:
        self._root = _Folder()
        self._files: dict[int, _File] = {}

    @classmethod
    def of(cls, folder: Path) -> "ModelDisk":
        """Return a disk on which all that lies in a folder now is synced."""
        disk = cls()
        for path in sorted(folder.rglob("*")):
            home = disk._folder(path.relative_to(folder).parent)
            made: _File | _Folder = _Folder()
            if path.is_file():
                made = _File(bytearray(path.read_bytes()), path.read_bytes())
                disk._files[path.stat().st_ino] = made
            home.names[path.name] = home.synced[path.name] = made
        return disk

    def _folder(self, path: PurePosixPath) -> _Folder:
        found = self._root
        for part in path.parts:
            below = found.names[part]
            assert isinstance(below, _Folder), path
            found = below
        return found

    def do(self, operation: Operation) -> None:
        """Take over what was done."""
        path = PurePosixPath(operation.path)
        match operation.kind:
            case Kind.CREATE:
                self._folder(path.parent).names[path.name] = self._files[operation.file] = _File()
            case Kind.WRITE:
                end = operation.offset + len(operation.data)
                written = self._files[operation.file].written
                written.extend(bytes(max(0, end - len(written))))
                written[operation.offset : end] = operation.data
            case Kind.SYNC if operation.file:
                file = self._files[operation.file]
                file.synced = bytes(file.written)
            case Kind.SYNC:
                folder = self._folder(path)
                folder.synced = dict(folder.names)
            case Kind.RENAME | Kind.LINK:
                target = PurePosixPath(operation.target)
                moved = self._folder(path.parent).names[path.name]
                if operation.kind is Kind.RENAME:
                    del self._folder(path.parent).names[path.name]
                self._folder(target.parent).names[target.name] = moved
            case Kind.UNLINK | Kind.REMOVE_FOLDER:
                self._folder(path.parent).names.pop(path.name, None)
            case Kind.MAKE_FOLDER:
                self._folder(path.parent).names[path.name] = _Folder()
            case Kind.ANSWER:
                pass

    def after_a_cut(self, survival: Survival) -> dict[str, bytes | None]:
        """Return what is found when the power is back: content by path, None for a folder."""
        found: dict[str, bytes | None] = {}
        keeps_names = survival not in {Survival.NOTHING, Survival.DATA}

        def walk(folder: _Folder, prefix: str) -> None:
            for name, one in (folder.names if keeps_names else folder.synced).items():
                if isinstance(one, _Folder):
                    found[prefix + name] = None
                    walk(one, f"{prefix}{name}/")
                else:
                    found[prefix + name] = one.content(survival)

        walk(self._root, "")
        return found


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One state in which a power cut may leave a disk."""

    before: str
    """The step that it came before."""
    survival: Survival
    tree: Mapping[str, bytes | None] = field(repr=False)
    acknowledged: frozenset[str]


def cuts(disk: ModelDisk, operations: Iterable[Operation], *, at_the_end: frozenset[str]) -> Iterable[Cut]:
    """Yield each different state that a power cut before, between and after the operations may leave.

    Parameters
    ----------
    disk
        The disk before the first; it is changed.
    operations
        What was done, in order.
    at_the_end
        What was acknowledged after the last.
    """
    seen = set()
    for operation in (*operations, None):
        acknowledged = at_the_end if operation is None else operation.acknowledged
        for survival in Survival:
            tree = disk.after_a_cut(survival)
            state = (frozenset(tree.items()), acknowledged)
            if state not in seen:
                seen.add(state)
                step = "the end" if operation is None else operation.step
                yield Cut(before=step, survival=survival, tree=tree, acknowledged=acknowledged)
        if operation is not None:
            disk.do(operation)


def lay_out(tree: Mapping[str, bytes | None], folder: Path) -> None:
    """Write a state to real files."""
    folder.mkdir()
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
            path.chmod(0o600)
