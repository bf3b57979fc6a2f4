"""Requests for storage commitment and their results, as files of the spool.

The receiver needs no database: it keeps a request here before it answers. A worker decides it, keeps the promise in
the database and only then leaves the result here. Whoever reports it claims the file first, by renaming it, so that
one party does: the receiver on the association of the request while that is open, else a worker on a new one.

::

    ID.request  → ID.result → ID.reporting → ID.reported      (and back to ID.result where the report failed)

They hold UIDs of originals: they lie nowhere else, open to their owner only, and go when the report was taken.
"""

import fcntl
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from scp.arrival import is_key, new_arrival_id
from scp.commitment_data import FailedReference, FailureReason, Reference
from scp.disk import Disk
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.peers import CommitmentRule

__all__ = ["ClaimedResult", "CommitmentFiles", "CommitmentRequest", "CommitmentResult"]

_log = logging.getLogger("casebridge.scp")

MAX_WAITING = 1000
"""Requests that may wait for a worker; more are refused with Resource limitation, so that no peer fills the disk."""


class _Stage(StrEnum):
    REQUEST = "request"
    RESULT = "result"
    REPORTING = "reporting"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """A request for storage commitment, as it was accepted."""

    request_id: str
    identified_transaction_uid: str = field(repr=False)
    references: tuple[Reference, ...]
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    reports_to: CommitmentRule
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentResult:
    """What the requester is told: which instances are committed, and which are not and why."""

    request_id: str
    identified_transaction_uid: str = field(repr=False)
    succeeded: tuple[Reference, ...]
    failed: tuple[FailedReference, ...]
    calling_ae: str
    called_ae: str
    peer_address: str
    association_id: str
    reports_to: CommitmentRule
    """Where reports for this peer went when it asked."""
    decided_at: datetime

    @property
    def event_type(self) -> int:
        """Event Type ID (0000,1002): 1 where everything is committed, 2 where failures exist (PS3.4 §J.3.3.1)."""
        return 2 if self.failed else 1


class CommitmentFiles:
    """The folder of requests and results.

    Parameters
    ----------
    folder
        The folder; it is made by :meth:`prepare`.
    quarantine
        Where files go that cannot be read.
    disk
        The file operations to use.
    seal, unseal
        What encrypts a named content, and gives it back.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quarantine: Path,
        disk: Disk,
        seal: Callable[[str, bytes], bytes],
        unseal: Callable[[str, bytes], bytes],
    ) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._seal = seal
        self._unseal = unseal
        self._disk = disk

    def prepare(self) -> None:
        """Make the folder, clear what was never whole, and give back what a killed process had claimed."""
        self._disk.make_folder(self._folder)
        for path in self._folder.glob(".*.part"):
            with self._disk.claimed(path) as is_free:
                if is_free:
                    path.unlink(missing_ok=True)
        self.give_back_abandoned()

    # -- the receiver's side -----------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Tell whether another request may wait."""
        return len(self.requests()) < MAX_WAITING

    def keep(self, request: CommitmentRequest) -> None:
        """Make a request durable.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._write(request.request_id, _Stage.REQUEST, _values(request))

    # -- the worker's side -------------------------------------------------------------------------------------------

    def requests(self) -> list[str]:
        """Return the ids of the requests that wait to be decided, oldest first."""
        return self._ids(_Stage.REQUEST)

    def read_request(self, request_id: str) -> CommitmentRequest:
        """Return a request.

        Raises
        ------
        FileNotFoundError
            If it was decided meanwhile.
        SpoolKeyMissingError
            If it is sealed with a key that is not configured here.
        ValueError
            If the file is not one that we wrote.
        """
        values = self._read(self._path(request_id, _Stage.REQUEST), _named(request_id, _Stage.REQUEST))
        try:
            return CommitmentRequest(
                **{
                    **values,
                    "references": tuple(Reference(**one) for one in values["references"]),
                    "reports_to": CommitmentRule(**values["reports_to"]),
                    "received_at": datetime.fromisoformat(values["received_at"]),
                }
            )
        except (KeyError, TypeError):
            raise ValueError("not a request of ours") from None

    def decide(self, result: CommitmentResult) -> None:
        """Make a result durable, and only then take its request away. Safe to repeat.

        Raises
        ------
        OSError
            If it cannot be written; the request stays.
        """
        self._write(result.request_id, _Stage.RESULT, _values(result))
        self.drop_request(result.request_id)

    def drop_request(self, request_id: str) -> None:
        """Take a request away; one that is gone already is no error."""
        self._path(request_id, _Stage.REQUEST).unlink(missing_ok=True)

    def set_aside(self, request_id: str) -> None:
        """Move a request that cannot be read out of the way, into the quarantine."""
        self._set_aside(self._path(request_id, _Stage.REQUEST))

    # -- reporting ---------------------------------------------------------------------------------------------------

    def results(self) -> list[str]:
        """Return the ids of the results that wait to be reported, oldest first."""
        return self._ids(_Stage.RESULT)

    def reported(self) -> list[str]:
        """Return the ids of the results that the requester has taken and nobody has booked yet."""
        return self._ids(_Stage.REPORTED)

    def claim(self, request_id: str) -> "ClaimedResult | None":
        """Take a result to report it; None where there is none (yet), or somebody else has it.

        Raises
        ------
        OSError
            If the disk refuses; the result can be taken later.
        """
        source, target = self._path(request_id, _Stage.RESULT), self._path(request_id, _Stage.REPORTING)
        try:
            descriptor = os.open(source, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        # Locked before it is renamed: a claim without a lock would look like one whose process died.
        if self._is_locked_by_another(descriptor):
            os.close(descriptor)
            return None
        try:
            os.utime(descriptor)
            self._disk.rename(source, target)
            result = _result(self._read(target, _named(request_id, _Stage.RESULT)))
        except FileNotFoundError:
            os.close(descriptor)
            return None
        except ValueError:
            self._set_aside(target)
            os.close(descriptor)
            return None
        except SpoolKeyMissingError:
            self.move(request_id, is_reported=False)
            os.close(descriptor)
            _log.warning("A result of storage commitment is sealed with a spool key that is not configured here.")
            return None
        except OSError:
            os.close(descriptor)  # else its lock would keep the result from everybody for as long as this process lives
            raise
        return ClaimedResult(self, result, descriptor)

    @staticmethod
    def _is_locked_by_another(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # a file system without locks: the rename alone decides
        return False

    def give_back_abandoned(self) -> None:
        """Offer results again that a process claimed and did not live to report."""
        for request_id in self._ids(_Stage.REPORTING):
            path = self._path(request_id, _Stage.REPORTING)
            with self._disk.claimed(path) as is_free, suppress(FileNotFoundError):
                if is_free:
                    self._disk.rename(path, self._path(request_id, _Stage.RESULT))

    def forget(self, request_id: str) -> None:
        """Delete all that is kept of a request; its UIDs go with it."""
        for stage in _Stage:
            self._path(request_id, stage).unlink(missing_ok=True)
        self._disk.sync_folder(self._folder)

    def move(self, request_id: str, *, is_reported: bool) -> None:
        """End a claim: the requester took the report, or it has to be tried again."""
        target = self._path(request_id, _Stage.REPORTED if is_reported else _Stage.RESULT)
        with suppress(FileNotFoundError):
            self._disk.rename(self._path(request_id, _Stage.REPORTING), target)
            if is_reported:
                os.truncate(target, 0)  # only its name is needed any more
        self._disk.sync_folder(self._folder)

    @staticmethod
    def sealed_as(path: Path) -> str:
        """Return the name that a file is sealed under: what is claimed or reported keeps that of the result it was."""
        request_id, _, stage = path.name.partition(".")
        return _named(request_id, _Stage.REQUEST if stage == _Stage.REQUEST else _Stage.RESULT)

    # -- files -------------------------------------------------------------------------------------------------------

    def _path(self, request_id: str, stage: _Stage) -> Path:
        if not is_key(request_id):
            raise ValueError("a key is 32 lower-case hex digits")
        return self._folder / f"{request_id}.{stage}"

    def _names(self) -> list[str]:
        with os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".")]

    def _ids(self, stage: _Stage) -> list[str]:
        ends = f".{stage}"
        stems = (name.removesuffix(ends) for name in self._names() if name.endswith(ends))
        return sorted(stem for stem in stems if is_key(stem))

    def _set_aside(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.rename(self._quarantine / path.name)
            _log.error("A file of a storage commitment is not one that we wrote; it is in quarantine.")

    def _write(self, request_id: str, stage: _Stage, values: dict[str, Any]) -> None:
        path = self._path(request_id, stage)
        data = self._seal(_named(request_id, stage), json.dumps(values, separators=(",", ":")).encode())
        temporary = self._folder / f".{new_arrival_id()}.part"
        descriptor = self._disk.create(temporary)
        try:
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
            self._disk.rename(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        self._disk.sync_folder(self._folder)

    def _read(self, path: Path, name: str) -> dict[str, Any]:
        try:
            values = json.loads(self._unseal(name, path.read_bytes()))
        except SealBrokenError:
            raise ValueError("not a file of ours") from None
        if not isinstance(values, dict):
            raise ValueError("not a file of ours")  # noqa: TRY004 - a fault of the file, as a bad number in it is
        return values


def _named(request_id: str, stage: _Stage) -> str:
    return f"commitments/{request_id}.{stage}"


class ClaimedResult:
    """A result that this process, and no other, may report; its lock goes when the process does."""

    def __init__(self, files: CommitmentFiles, result: CommitmentResult, descriptor: int) -> None:
        self.result = result
        self._files = files
        self._descriptor: int | None = descriptor

    def taken(self) -> None:
        """Keep that the requester took the report."""
        self._end(is_reported=True)

    def give_back(self) -> None:
        """Offer the result again."""
        self._end(is_reported=False)

    def _end(self, *, is_reported: bool) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            self._files.move(self.result.request_id, is_reported=is_reported)
        finally:
            os.close(descriptor)


def _values(one: CommitmentRequest | CommitmentResult) -> dict[str, Any]:
    values = asdict(one)
    for name in ("received_at", "decided_at"):
        if name in values:
            values[name] = values[name].astimezone(UTC).isoformat()
    return values


def _result(values: dict[str, Any]) -> CommitmentResult:
    try:
        return CommitmentResult(
            **{
                **values,
                "reports_to": CommitmentRule(**values["reports_to"]),
                "succeeded": tuple(Reference(**one) for one in values["succeeded"]),
                "failed": tuple(
                    FailedReference(reference=Reference(**one["reference"]), reason=FailureReason(one["reason"]))
                    for one in values["failed"]
                ),
                "decided_at": datetime.fromisoformat(values["decided_at"]),
            }
        )
    except (KeyError, TypeError):
        raise ValueError("not a result of ours") from None
