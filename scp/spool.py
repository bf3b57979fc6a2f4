"""The spool: one folder where each received instance is made durable, and found again.

Files are the truth. Several receivers and workers may use the same spool from several hosts; names say nothing about
a patient, and nothing in here is ever changed after its rename.
"""

import hashlib
import logging
import os
import re
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from scp.arrival import (
    Arrival,
    ArrivalFacts,
    MalformedArrivalError,
    decode_arrival,
    is_key,
    keyed_name,
    new_arrival_id,
    parse_name,
)
from scp.commitment_files import CommitmentFiles
from scp.disk import Disk
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.folders import Move, StudyFolders
from scp.incoming import Incoming
from scp.journal import AssociationRecord, Journals
from scp.leftovers import Leftovers
from scp.originals import Originals, other_name
from scp.peers import allowed_rules_path
from scp.sealing import SealedName, SpoolKeys

__all__ = ["Arrival", "Incoming", "ScanMark", "Spool"]

_log = logging.getLogger("casebridge.scp")

_SETTLED_NS = 2_000_000_000
_FOLDER_EMPTY_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanMark:
    """How far a scan came: the study folders, as they were then."""

    folders: Mapping[str, int] = field(repr=False)
    """Modification time in ns of each folder that had settled."""


class Spool(Originals):
    """The receiving folder; :class:`Originals` has how its files are opened and deleted.

    Parameters
    ----------
    root
        The folder; it is made by :meth:`prepare`.
    name_key
        Secret that turns UIDs into names.
    reserve_bytes
        What must stay free on the file system; an object that would touch it is refused.
    max_object_bytes
        The largest object that is taken; None takes any that leaves the reserve.
    max_study_bytes
        What one study may hold; None takes any that leaves the reserve.
    disk
        The file operations to use.
    keys
        The keys that seal what is kept here; None keeps it plain.
    """

    def __init__(
        self,
        root: Path,
        *,
        name_key: bytes,
        reserve_bytes: int,
        max_object_bytes: int | None = None,
        max_study_bytes: int | None = None,
        disk: Disk | None = None,
        keys: SpoolKeys | None = None,
    ) -> None:
        self.root = root
        self._name_key = name_key
        self._reserve_bytes = reserve_bytes
        self._max_object_bytes = max_object_bytes
        super().__init__(root / "studies", disk or Disk(), keys)
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"
        self._host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
        self._identified_last_study = "", ""
        self._folders = StudyFolders(self._studies, self._disk, max_study_bytes=max_study_bytes)
        self.journal = Journals(root / "journal", host=self._host, disk=self._disk)
        self.commitments = CommitmentFiles(
            root / "commitments", quarantine=self._quarantine, disk=self._disk, seal=self.seal, unseal=self.unseal
        )

    @property
    def peer_rules_path(self) -> Path:
        """The file of the peer rules that the settings name."""
        return self.root / "peers.json"

    @property
    def allowed_peers_path(self) -> Path:
        """The file of the peer rules allowed since."""
        return allowed_rules_path(self.peer_rules_path)

    def prepare(self) -> None:
        """Make the folders, and clear what a killed receiver of this host left behind."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._studies, self._incoming, self._quarantine):
            self._disk.make_folder(folder)
        self.journal.prepare()
        self.commitments.prepare()
        for folder in (self.root, *self.root.absolute().parents):
            # The spool's own name, and those above it, may have been made just now: by us, or by an installer.
            with suppress(PermissionError):
                self._disk.sync_folder(folder)
            if folder.is_mount():
                break
        self.leftovers.clear_unfinished(own=True)

    @property
    def leftovers(self) -> Leftovers:
        """What killed processes left, and what lies in quarantine."""
        return Leftovers(self.root, self._disk, host=self._host)

    def sealed_name(self, path: Path) -> SealedName:
        """Return the name that a file of the spool is sealed under."""
        if path.parent == self.root / "commitments":
            return other_name(self.commitments.sealed_as(path))
        return super().sealed_name(path)

    def is_there(self) -> bool:
        """Tell whether the folder is there at all: a volume that is not mounted holds nothing."""
        return self._studies.is_dir()

    def begin(self, facts: ArrivalFacts) -> Incoming:
        """Open a file for an instance that starts to arrive.

        Raises
        ------
        SpoolFullError
            If the disk reserve is reached.
        SpoolUnavailableError
            If the file cannot be made.
        """
        return Incoming(self, self._disk, facts, max_object_bytes=self._max_object_bytes)

    def study_key(self, identified_study_uid: str) -> str:
        """Return the name of a study."""
        # Objects of one study come one after the other.
        last_uid, key = self._identified_last_study
        if identified_study_uid != last_uid:
            key = keyed_name(self._name_key, "study", identified_study_uid)
            self._identified_last_study = identified_study_uid, key
        return key

    def sop_key(self, identified_sop_instance_uid: str) -> str:
        """Return the name of an instance."""
        return keyed_name(self._name_key, "sop", identified_sop_instance_uid)

    def transaction_key(self, identified_transaction_uid: str) -> str:
        """Return the name of a storage commitment transaction."""
        return keyed_name(self._name_key, "transaction", identified_transaction_uid)

    def place(self, moves: Sequence[Move]) -> list[OSError | None]:
        """Move synced files to their studies and make their names durable; return what went wrong with each."""
        return self._folders.place(moves)

    def has_study_room(self, study_key: str, size: int) -> bool:
        """Tell whether a study may take `size` more bytes."""
        return self._folders.has_study_room(study_key, size)

    def scan(self, mark: ScanMark | None = None) -> tuple[list[Arrival], ScanMark]:
        """List arrivals; with a mark only those of study folders that changed since.

        Parameters
        ----------
        mark
            What an earlier scan returned. None lists everything and clears study folders long empty.

        Returns
        -------
        tuple of list of Arrival and ScanMark
            The arrivals, oldest first, some of which may have been returned before; and the mark for the next scan.
        """
        arrivals: list[Arrival] = []
        folders: dict[str, int] = {}
        earlier = mark.folders if mark is not None else {}
        now = time.time_ns()
        for folder in self._study_folders():
            with suppress(FileNotFoundError):
                changed = folder.stat().st_mtime_ns
                if earlier.get(folder.name) == changed:
                    folders[folder.name] = changed
                    continue
                found, is_complete = self._read_folder(folder)
                arrivals += found
                # File systems keep time coarsely: a folder just touched may change again within one tick.
                if is_complete and now - changed > _SETTLED_NS:
                    folders[folder.name] = changed
                if mark is None and now - changed > _FOLDER_EMPTY_S * 1_000_000_000:
                    with suppress(OSError):  # it holds something, as nearly all do
                        folder.rmdir()
        arrivals.sort(key=lambda arrival: arrival.arrival_id)
        return arrivals, ScanMark(folders=MappingProxyType(folders))

    def _study_folders(self) -> Iterator[Path]:
        with os.scandir(self._studies) as entries:
            names = [entry.name for entry in entries if is_key(entry.name)]
        return (self._studies / name for name in names)

    def _read_folder(self, folder: Path) -> tuple[list[Arrival], bool]:
        arrivals, is_complete, keyless = [], True, 0
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".dcm"))
        for name in names:
            path = folder / name
            try:
                sop_key, arrival_id = parse_name(name)
                with self._open(path) as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(0)
                    arrivals.append(
                        decode_arrival(
                            file,
                            study_key=folder.name,
                            sop_key=sop_key,
                            arrival_id=arrival_id,
                            size_bytes=size,
                        )
                    )
            except SpoolKeyMissingError:
                keyless += 1  # it stays where it is: with its key it is as good as any
            except (MalformedArrivalError, SealBrokenError):
                self._quarantine_file(path)
            except FileNotFoundError:
                continue  # purged meanwhile
            except OSError as error:
                # Perhaps only now and here: the folder is looked at again.
                is_complete = False
                _log.warning("A file of the spool cannot be read.", extra={"errno": error.errno})
        if keyless:
            _log.error("Files of the spool wait for a spool key that is not configured.", extra={"files": keyless})
        return arrivals, is_complete

    def _quarantine_file(self, path: Path) -> None:
        name = path.name if re.fullmatch(r"[0-9a-f-]{65}\.dcm", path.name) else f"{new_arrival_id()}.dcm"
        with suppress(FileNotFoundError):
            path.rename(self._quarantine / name)
            _log.error("A file of the spool is not one that we wrote; it is in quarantine.")

    def files_named(self, sop_keys: Collection[str]) -> set[str]:
        """Return those of the instances that have a file here, whatever is in it: also one that is in quarantine.

        Parameters
        ----------
        sop_keys
            Names of instances.
        """
        wanted, found = frozenset(sop_keys), set[str]()
        for folder in (*self._study_folders(), self._quarantine):
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                found.update(key for entry in entries if (key := entry.name.partition("-")[0]) in wanted)
        return found

    def quarantined(self) -> int:
        """Return the number of files in quarantine."""
        return sum(1 for _ in self._quarantine.iterdir())

    def journals(self) -> list[Path]:
        """Return the journals of associations that have ended, oldest first."""
        return self.journal.finished()

    def read_journal(self, path: Path) -> AssociationRecord:
        """Return what happened on an association.

        Raises
        ------
        ValueError
            If the file is not a journal.
        """
        return self.journal.read(path)

    def remove_journal(self, path: Path) -> None:
        """Delete a journal that was taken over; one that is gone already is no error."""
        path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return the bytes free on the spool's file system."""
        return self._disk.free_bytes(self.root)

    @property
    def reserve_bytes(self) -> int:
        """What must stay free: an object that would touch it is refused."""
        return self._reserve_bytes

    def has_room(self, size: int = 0) -> bool:
        """Tell whether `size` more bytes leave the reserve untouched."""
        return self.free_bytes() - size >= self._reserve_bytes

    def incoming_path(self, arrival_id: str) -> Path:
        """Return where a file is written before it is whole."""
        return self._incoming / f"{self._host}-{arrival_id}.part"
