"""What happened on an association, as one small file: the receiver's answer to "17 of 325 arrived".

A line is written for each object, so that a killed receiver loses no count. AE titles, addresses, negotiated
syntaxes, statuses and counts stand in here; never a UID or value of a data set.
"""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from scp.certificates import CertificateIdentity
from scp.disk import LONG_SILENT_S, Disk

__all__ = [
    "AssociationFacts",
    "AssociationJournal",
    "AssociationRecord",
    "ContextRecord",
    "Journals",
    "Outcome",
    "Receiving",
    "RefusedObjects",
]


MARK_S = 0.5
"""How often an object that takes its time leaves a mark while its bytes flow."""
_TAIL_BYTES = 256


class Outcome(StrEnum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRecord:
    """One proposed presentation context; `accepted` is the transfer syntax agreed on, None where declined."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    accepted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedObjects:
    """How many objects were refused alike; the SOP class is that of their presentation context."""

    sop_class_uid: str
    status: int
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationFacts:
    """Who asked for an association, when, and for what."""

    association_id: str
    calling_ae: str
    called_ae: str
    peer_address: str
    started_at: datetime
    contexts: tuple[ContextRecord, ...] = ()
    tls: str = ""
    """The version of TLS; empty where the connection was plain."""
    certificate: CertificateIdentity | None = None
    """Whom the peer's verified certificate names, None where it showed none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRecord:
    """An association that ended, or `count` rejections of one kind."""

    association_id: str
    calling_ae: str
    called_ae: str
    peer_address: str
    started_at: datetime
    ended_at: datetime
    tls: str = ""
    certificate: str = ""
    outcome: Outcome
    rule: str
    """Why it was rejected or aborted; empty where it was released."""
    contexts: tuple[ContextRecord, ...]
    stored: int
    refused: tuple[RefusedObjects, ...]
    echoes: int
    count: int

    @property
    def declined(self) -> tuple[ContextRecord, ...]:
        """The contexts that were not accepted."""
        return tuple(context for context in self.contexts if context.accepted is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """A running association in the middle of an object."""

    association_id: str
    study_key: str
    progress: int
    """Rises while bytes flow; a number that stays means that nothing comes."""


class Journals:
    """The folder of journals; those of running associations lie in `open/`."""

    def __init__(self, folder: Path, *, host: str, disk: Disk) -> None:
        self._folder = folder
        self._open_folder = folder / "open"
        self._host = host
        self._disk = disk

    def prepare(self) -> None:
        """Make the folders, and end the journals of killed receivers as interrupted."""
        self._disk.make_folder(self._folder)
        self._disk.make_folder(self._open_folder)
        now = time.time()
        for path in self._open_folder.glob("*.jsonl"):
            with suppress(FileNotFoundError):
                changed = path.stat().st_mtime
                is_own = path.name.startswith(self._host)
                with self._disk.claimed(path) as is_free:
                    if is_free and (is_own or now - changed > LONG_SILENT_S):
                        self._interrupt(path, datetime.fromtimestamp(changed, UTC))

    def _interrupt(self, path: Path, changed_at: datetime) -> None:
        with path.open("ab") as file:
            # A line torn by the kill must not swallow this one.
            file.write(b"\n" + _end_line(changed_at, Outcome.INTERRUPTED, "receiver-killed"))
        path.rename(self._folder / path.name.partition("-")[2])

    def open(self, facts: AssociationFacts) -> "AssociationJournal":
        """Start the journal of an association that was accepted.

        Raises
        ------
        OSError
            If it cannot be written: then there must be no association either.
        """
        path = self._open_folder / f"{self._host}-{facts.association_id}.jsonl"
        descriptor = self._disk.create(path)
        try:
            os.write(descriptor, _start_line(facts))
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        return AssociationJournal(path, self._folder / f"{facts.association_id}.jsonl", descriptor, self._disk)

    def is_running(self, association_id: str) -> bool:
        """Tell whether an association is open, as far as its journal says: that of a killed receiver says so too."""
        return any(True for _ in self._open_folder.glob(f"*-{association_id}.jsonl"))

    def write_rejection(self, facts: AssociationFacts, *, rule: str, count: int, ended_at: datetime) -> None:
        """Record `count` rejections of one kind; a full disk loses the record, not the service."""
        lines = _start_line(facts) + _end_line(ended_at, Outcome.REJECTED, rule, count=count)
        path = self._folder / f"{facts.association_id}.jsonl"
        temporary = self._open_folder / f"{self._host}-{path.name}"
        with suppress(OSError):
            descriptor = self._disk.create(temporary)
            try:
                self._disk.write(descriptor, lines)
                self._disk.rename(temporary, path)
            finally:
                os.close(descriptor)

    def receiving(self) -> list[Receiving]:
        """Return the running associations whose last mark says that an object is on its way, and of which study."""
        found = []
        for path in sorted(self._open_folder.glob("*.jsonl")):
            # Opened, not only looked up: a shared file system answers from what it remembers otherwise.
            with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                last = json.loads(file.read().splitlines()[-1])
                found.append(
                    Receiving(
                        association_id=path.stem.partition("-")[2], study_key=str(last["receiving"]), progress=size
                    )
                )
        return found

    def finished(self) -> list[Path]:
        """Return the journals of what has ended, oldest first."""
        return sorted(self._folder.glob("*.jsonl"))

    def read(self, path: Path) -> AssociationRecord:
        """Return the record in a journal.

        Raises
        ------
        ValueError
            If the file is not a journal that has ended.
        """
        return _record(_lines(path.read_bytes()))


class AssociationJournal:
    """The journal of one running association."""

    def __init__(self, path: Path, final: Path, descriptor: int, disk: Disk) -> None:
        self._path = path
        self._final = final
        self._descriptor: int | None = descriptor
        self._disk = disk
        self._lock = threading.Lock()
        self._stored = 0
        self._echoes = 0
        self._refused: Counter[tuple[str, int, str]] = Counter()
        self._mark_at = time.monotonic() + MARK_S

    def receiving(self, study_key: str) -> None:
        """Leave a mark, now and then, while bytes of an object of this study flow: the study must not settle yet.

        Nothing but an object that is still on its way needs it, so short ones cost a look at the clock.
        """
        now = time.monotonic()
        if now >= self._mark_at:
            self._mark_at = now + MARK_S
            self._append({"receiving": study_key})

    def stored(self) -> None:
        """Count an object that is durable."""
        self._stored += 1
        self._mark_at = time.monotonic() + MARK_S
        self._append({"stored": 1})

    def refused(self, *, sop_class_uid: str, status: int, reason: str) -> None:
        """Count an object that was answered with a failure."""
        self._refused[sop_class_uid, status, reason] += 1
        self._append({"refused": [sop_class_uid, status, reason, 1]})

    def echoed(self) -> None:
        """Count a verification."""
        self._echoes += 1
        self._append({"echo": 1})

    def end(self, outcome: Outcome, rule: str = "") -> None:
        """Write how the association ended and hand the journal over; only the first call counts.

        A disk error leaves the journal open; it is ended as interrupted at the next start.
        """
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        totals = {
            "stored": self._stored,
            "echo": self._echoes,
            "refused": [[*key, count] for key, count in self._refused.items()],
        }
        with suppress(OSError):
            self._disk.write(descriptor, _end_line(datetime.now(UTC), outcome, rule, totals=totals))
            if self._stored or self._refused:
                self._disk.sync(descriptor)
            self._disk.rename(self._path, self._final)
            if self._stored or self._refused:
                self._disk.sync_folder(self._final.parent)
        os.close(descriptor)

    def _append(self, line: dict[str, Any]) -> None:
        # A disk error loses this line; the totals of the last line make up for it.
        with suppress(OSError), self._lock:
            if self._descriptor is not None:
                os.write(self._descriptor, _encode(line))


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _start_line(facts: AssociationFacts) -> bytes:
    return _encode(
        {
            "association": facts.association_id,
            "calling_ae": facts.calling_ae,
            "called_ae": facts.called_ae,
            "peer": facts.peer_address,
            "started_at": facts.started_at.isoformat(),
            "tls": facts.tls,
            "certificate": facts.certificate.text if facts.certificate else "",
            "contexts": [
                [context.abstract_syntax, context.transfer_syntaxes, context.accepted] for context in facts.contexts
            ],
        }
    )


def _end_line(
    ended_at: datetime, outcome: Outcome, rule: str, *, count: int = 1, totals: dict[str, Any] | None = None
) -> bytes:
    line: dict[str, Any] = {"ended_at": ended_at.isoformat(), "outcome": outcome, "rule": rule, "count": count}
    return _encode(line if totals is None else line | {"totals": totals})


def _lines(data: bytes) -> list[dict[str, Any]]:
    lines = []
    for text in data.splitlines():
        with suppress(ValueError):  # torn by a kill; the count it held was never acknowledged
            line = json.loads(text)
            if isinstance(line, dict):
                lines.append(line)
    return lines


def _record(lines: list[dict[str, Any]]) -> AssociationRecord:
    try:
        start = lines[0]
        end = next(line for line in reversed(lines) if "outcome" in line)
        events: Iterable[dict[str, Any]] = lines[1:]
        if "totals" in end:
            totals = end["totals"]
            events = [{"stored": totals["stored"], "echo": totals["echo"]}]
            events += [{"refused": refused} for refused in totals["refused"]]
        refused: Counter[tuple[str, int, str]] = Counter()
        for event in events:
            if "refused" in event:
                sop_class_uid, status, reason, count = event["refused"]
                refused[sop_class_uid, status, reason] += count
        return AssociationRecord(
            association_id=start["association"],
            calling_ae=start["calling_ae"],
            called_ae=start["called_ae"],
            peer_address=start["peer"],
            tls=start.get("tls", ""),
            certificate=start.get("certificate", ""),
            started_at=datetime.fromisoformat(start["started_at"]),
            ended_at=datetime.fromisoformat(end["ended_at"]),
            outcome=Outcome(end["outcome"]),
            rule=end["rule"],
            contexts=tuple(
                ContextRecord(abstract_syntax=abstract, transfer_syntaxes=tuple(transfer), accepted=accepted)
                for abstract, transfer, accepted in start["contexts"]
            ),
            stored=sum(event.get("stored", 0) for event in events),
            refused=tuple(
                RefusedObjects(sop_class_uid=uid, status=status, reason=reason, count=count)
                for (uid, status, reason), count in sorted(refused.items())
            ),
            echoes=sum(event.get("echo", 0) for event in events),
            count=end["count"],
        )
    except (IndexError, KeyError, StopIteration, TypeError, ValueError):
        raise ValueError("not a journal of an association that has ended") from None
