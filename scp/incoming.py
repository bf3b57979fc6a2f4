"""One instance on its way into the spool: temporary file, sync, rename, folder sync."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from scp.arrival import Arrival, ArrivalFacts, encode_file_meta, new_arrival_id
from scp.disk import Disk, spool_error
from scp.errors import ScpError, SpoolFullError
from scp.folders import Move
from scp.sealing import PlainWriter, SealingWriter

__all__ = ["Incoming", "commit_all"]

_ROOM_CHECK_BYTES = 4 * 1024 * 1024
_EARLY_START_BYTES = 8 * 1024 * 1024
_EARLY_SYNC_BYTES = 64 * 1024 * 1024


class Destination(Protocol):
    """What an incoming instance needs of the spool."""

    def incoming_path(self, arrival_id: str) -> Path:
        """Return where a file is written before it is whole."""

    def study_key(self, identified_study_uid: str) -> str:
        """Return the name of a study."""

    def sop_key(self, identified_sop_instance_uid: str) -> str:
        """Return the name of an instance."""

    def writer(
        self, sop_key: str, arrival_id: str, put: Callable[[bytes | memoryview], object]
    ) -> PlainWriter | SealingWriter:
        """Return what turns the content of an original into the bytes of its file."""

    def place(self, moves: Sequence[Move]) -> list[OSError | None]:
        """Move synced files to their studies and make their names durable; return what went wrong with each."""

    def has_study_room(self, study_key: str, size: int) -> bool:
        """Tell whether a study may take `size` more bytes."""

    def has_room(self, size: int = 0) -> bool:
        """Tell whether `size` more bytes leave the reserve untouched."""


class Incoming:
    """One instance on its way into the spool; made by :meth:`Spool.begin`, ended by commit or abandon."""

    def __init__(
        self, spool: Destination, disk: Disk, facts: ArrivalFacts, *, max_object_bytes: int | None = None
    ) -> None:
        self._spool = spool
        self._max_object_bytes = max_object_bytes
        self._disk = disk
        self._facts = facts
        self._arrival_id = new_arrival_id()
        self._received_at = datetime.now(UTC)
        self._part = spool.incoming_path(self._arrival_id)
        self._written = 0
        self._next_room_check = 0
        self._next_start = _EARLY_START_BYTES
        self._next_sync = _EARLY_SYNC_BYTES
        self._require_room()
        try:
            self._descriptor: int | None = disk.create(self._part)
        except OSError as error:
            raise spool_error(error) from None
        self._sop_key = spool.sop_key(facts.identified_sop_instance_uid)
        meta = encode_file_meta(facts, arrival_id=self._arrival_id, received_at=self._received_at)
        self._meta_bytes = len(meta)
        try:
            self._writer = spool.writer(self._sop_key, self._arrival_id, self._put)
        except OSError as error:
            self.abandon()
            raise spool_error(error) from None
        self.write(meta)

    @property
    def data_bytes(self) -> int:
        """Bytes of the data set written so far."""
        return self._written - self._meta_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes of the data set.

        Raises
        ------
        SpoolFullError
            If the disk reserve is reached, or the object is larger than allowed; the file is gone then.
        SpoolUnavailableError
            If the file cannot be written; the file is gone then.
        """
        assert self._descriptor is not None
        try:
            self._require_size(self._written + len(data))
            if self._written + len(data) >= self._next_room_check:
                self._require_room()
                self._next_room_check = self._written + _ROOM_CHECK_BYTES
            self._writer.write(data)
            self._written += len(data)
            if self._written >= self._next_start:
                # So that the disk works while the rest arrives.
                self._disk.start_write(self._descriptor)
                self._next_start = self._written + _EARLY_START_BYTES
            if self._written >= self._next_sync:
                # So that the last sync of a large object does not outlast its sender's patience.
                os.fdatasync(self._descriptor)
                self._next_sync = self._written + _EARLY_SYNC_BYTES
        except OSError as error:
            self.abandon()
            raise spool_error(error) from None
        except SpoolFullError:
            self.abandon()
            raise

    def read_head(self, count: int) -> bytes:
        """Return up to `count` first bytes of the data set written so far.

        Raises
        ------
        SpoolUnavailableError
            If they cannot be read; the file is gone then.
        """
        assert self._descriptor is not None
        try:
            return self._writer.read(self._meta_bytes + count, partial(os.pread, self._descriptor))[self._meta_bytes :]
        except OSError as error:
            self.abandon()
            raise spool_error(error) from None

    def require_study_room(self, identified_study_uid: str) -> None:
        """Check what the study may hold, as far as the object has arrived.

        Raises
        ------
        SpoolFullError
            If the study would be larger than allowed; the file is gone then.
        SpoolUnavailableError
            If the study cannot be counted; the file is gone then.
        """
        try:
            has_room = self._spool.has_study_room(self._spool.study_key(identified_study_uid), self._written)
        except OSError as error:
            self.abandon()
            raise spool_error(error) from None
        if not has_room:
            self.abandon()
            raise SpoolFullError("Study too large here; ask for a higher max_study_mb", reason="study-too-large")

    def commit(self, identified_study_uid: str) -> Arrival:
        """Make the instance durable under its study and return it. After this, Success is true.

        Raises
        ------
        SpoolFullError
            If the disk is full; the file is gone then.
        SpoolUnavailableError
            If any step failed; the file is gone then.
        """
        [outcome] = commit_all([(self, identified_study_uid)])
        if isinstance(outcome, ScpError):
            raise outcome
        return outcome

    def finish_writing(self, study_key: str, *, is_one_of_many: bool) -> None:
        """Write what remains; where others are synced before it, its bytes start on their way to the disk."""
        assert self._descriptor is not None
        self._writer.finish(study_key.encode())
        if is_one_of_many:
            self._disk.start_write(self._descriptor)

    def sync(self) -> None:
        """Make the bytes durable."""
        assert self._descriptor is not None
        self._disk.sync(self._descriptor)

    def move(self, study_key: str) -> Move:
        """Return how the file gets its final name."""
        name = f"{self._sop_key}-{self._arrival_id}.dcm"
        return Move(part=self._part, study_key=study_key, name=name, size_bytes=self._written)

    def placed(self, study_key: str) -> Arrival:
        """Let go of the file, which has its final name, durably; return what arrived."""
        self._close()
        return Arrival(
            arrival_id=self._arrival_id,
            study_key=study_key,
            sop_key=self._sop_key,
            sop_class_uid=self._facts.sop_class_uid,
            transfer_syntax_uid=self._facts.transfer_syntax_uid,
            calling_ae=self._facts.calling_ae,
            called_ae=self._facts.called_ae,
            peer_address=self._facts.peer_address,
            association_id=self._facts.association_id,
            received_at=self._received_at,
            size_bytes=self._written,
        )

    def abandon(self) -> None:
        """Drop the file; after commit or an earlier abandon this does nothing."""
        if self._descriptor is not None:
            self._close()
            with suppress(OSError):
                self._part.unlink()

    def _put(self, data: bytes | memoryview) -> None:
        assert self._descriptor is not None
        self._disk.write(self._descriptor, data)

    def _close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _require_room(self) -> None:
        try:
            has_room = self._spool.has_room(_ROOM_CHECK_BYTES)
        except OSError as error:
            raise spool_error(error) from None
        if not has_room:
            raise SpoolFullError("Out of disk space; free space, then send again")

    def _require_size(self, size: int) -> None:
        if self._max_object_bytes is not None and size > self._max_object_bytes:
            raise SpoolFullError("The object is larger than this receiver takes", reason="object-too-large")


def commit_all(batch: Sequence[tuple[Incoming, str]]) -> list[Arrival | ScpError]:
    """Make instances durable together; an error of one refuses that one only.

    Each goes the same way: all bytes written, file synced, renamed, folder synced. Together they wait for fewer syncs.

    Parameters
    ----------
    batch
        Instances of one spool that have wholly arrived, each with its Study Instance UID.

    Returns
    -------
    list of Arrival or ScpError
        For each of them what arrived, durable now, or why not; the file is gone then.
    """
    outcomes: dict[int, Arrival | ScpError] = {}
    keys = [one._spool.study_key(identified_study_uid) for one, identified_study_uid in batch]  # noqa: SLF001
    moves: dict[int, Move] = {}

    def fail(index: int, error: OSError) -> None:
        batch[index][0].abandon()
        moves.pop(index, None)
        outcomes[index] = spool_error(error)

    for index, (one, _) in enumerate(batch):
        moves[index] = one.move(keys[index])
        try:
            one.finish_writing(keys[index], is_one_of_many=len(batch) > 1)
        except OSError as error:
            fail(index, error)
    for index in list(moves):
        try:
            batch[index][0].sync()
        except OSError as error:
            fail(index, error)
    if moves:
        errors = batch[0][0]._spool.place(list(moves.values()))  # noqa: SLF001
        for index, failure in zip(list(moves), errors, strict=True):
            if failure is not None:
                fail(index, failure)
            else:
                outcomes[index] = batch[index][0].placed(keys[index])
    return [outcomes[index] for index in range(len(batch))]
