"""The audit log as a file: a title line, then canonical JSON for each entry; written and verified as a stream."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from cases.audit import AuditFilter, AuditHead, ChainCheck, canonical, entry_of, line_of
from cases.store import Audit, Database

VERSION = 1
MAX_LINE_BYTES = 1 << 20
STEP = 500
"""Entries between two steps of the progress bar."""

Progress = Callable[[int, int], None]
"""Called with how many entries are done and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """The first line of an export: what it holds, so that a file that ends early is known."""

    entries: int
    head: AuditHead
    """Of the log when it was exported; the last entry of a whole export."""
    filters: Mapping[str, str]

    @property
    def line(self) -> str:
        """Return it as JSON."""
        head = {"place": self.head.place, "digest": self.head.digest}
        return canonical({"export": VERSION, "entries": self.entries, "head": head, "filters": dict(self.filters)})

    @classmethod
    def of(cls, line: str) -> "Title":
        """Return the title that a line holds.

        Raises
        ------
        ValueError
            When it holds none.
        """
        try:
            values = json.loads(line)
            filters = {str(name): str(value) for name, value in values["filters"].items()}
            found = cls(entries=int(values["entries"]), head=AuditHead(**values["head"]), filters=filters)
            is_spelled_so = found.line == canonical(values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_spelled_so = False
        if not is_spelled_so:
            raise ValueError("this is no export of an audit log, or one of a newer version")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What verifying came to; ``wrong`` is empty where nothing is."""

    check: ChainCheck
    wrong: str = ""
    filters: tuple[str, ...] = ()
    """Names of the filters of a part."""


def write_export(database: Database, file: BinaryIO, filters: AuditFilter, head: AuditHead, progress: Progress) -> int:
    """Write the entries up to a head, and return how many there are."""
    with database.read() as session:
        audit = Audit(session)
        total = audit.count(head.place, filters)
        file.write(f"{Title(entries=total, head=head, filters=_told(filters)).line}\n".encode())
        for number, entry in enumerate(audit.through(head.place, filters=filters), 1):
            file.write(f"{line_of(entry)}\n".encode())
            if number % STEP == 0:
                progress(number, total)
    return total


def verify_database(database: Database, noted: Iterable[AuditHead], progress: Progress) -> Verified:
    """Follow the chain from its beginning to its end."""
    check = ChainCheck(noted={one.place: one.digest for one in noted})
    with database.read() as session:
        audit = Audit(session)
        head = audit.head()
        for entry in audit.through(head.place):
            if fault := check.follow(entry):
                return Verified(check=check, wrong=f"place {fault.place}: {fault.why}")
            if check.count % STEP == 0:
                progress(check.count, head.place)
    fault = check.fault_at_end(head)
    return Verified(check=check, wrong=f"place {fault.place}: {fault.why}" if fault else "")


def verify_file(file: BinaryIO, noted: Iterable[AuditHead], progress: Progress) -> Verified:
    """Follow the chain of an export; entries that its filters leave out are none that miss."""
    try:
        title = Title.of(_line(file))
    except ValueError as error:
        return Verified(check=ChainCheck(), wrong=f"line 1: {error}")
    check = ChainCheck(is_part=bool(title.filters), noted={one.place: one.digest for one in noted})
    filters = tuple(sorted(title.filters))
    while raw := file.readline(MAX_LINE_BYTES):
        try:
            fault = check.follow(entry_of(raw.decode()))
        except ValueError:
            wrong = f"line {check.count + 2}, behind place {check.head.place}: this line is no entry of an audit log"
            return Verified(check=check, wrong=wrong, filters=filters)
        if fault:
            return Verified(check=check, wrong=f"place {fault.place}: {fault.why}", filters=filters)
        if check.count % STEP == 0:
            progress(check.count, title.entries)
    return Verified(check=check, wrong=_wrong_at_end(check, title), filters=filters)


def _wrong_at_end(check: ChainCheck, title: Title) -> str:
    if check.is_part:
        unmet = [place for place in check.noted if place > check.head.place]
        if unmet:
            return f"place {min(unmet)}: the entry was noted down, and is not in this part"
    elif fault := check.fault_at_end(title.head):
        return f"place {fault.place}: {fault.why}"
    if check.count != title.entries:
        return f"behind place {check.head.place}: the file has {check.count} of {title.entries} entries"
    return ""


def _line(file: BinaryIO) -> str:
    return file.readline(MAX_LINE_BYTES).decode()


def _told(filters: AuditFilter) -> dict[str, str]:
    values = {name: getattr(filters, name) for name in filters.names}
    return {name: value if isinstance(value, str) else value.isoformat() for name, value in values.items()}
