"""The files of a folder that is to be de-identified, and what became of each."""

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath

from bridge.offline_child import Seen, Written
from deidentify.results import Dropped, Hold, HoldReason

__all__ = ["Outcome", "Skip", "Source", "counts_of", "described", "find_sources"]


class Skip(StrEnum):
    """Why a file was not looked at."""

    NOT_DICOM = "not-dicom"
    LINK = "symbolic-link"
    SPECIAL = "no-regular-file"


@dataclass(slots=True, kw_only=True)
class Source:
    """One file of the input and what becomes of it."""

    identified_path: PurePath = field(repr=False)
    """In the input."""
    place: PurePosixPath = field(default_factory=PurePosixPath)
    """In the output."""
    case_key: str = field(default="", repr=False)
    seen: Seen | None = field(default=None, repr=False)
    outcome: "Outcome | None" = None


Outcome = Written | Hold | Dropped | Skip
_UNLISTED = Hold(
    reason=HoldReason.UNREADABLE, detail="the folder cannot be listed, so what lies in it was not looked at"
)


def find_sources(identified_input: Path) -> list[Source]:
    """Return the files of a folder, or a file itself, in the order of their paths; links are not followed."""
    if not identified_input.is_dir():
        outcome = None if identified_input.is_file() else Skip.SPECIAL
        return [Source(identified_path=PurePath(identified_input.name), outcome=outcome)]
    found: list[Source] = []

    def unlisted(error: OSError) -> None:
        path = Path(error.filename).relative_to(identified_input)
        found.append(Source(identified_path=path, outcome=_UNLISTED))

    for folder, folders, names in os.walk(identified_input, onerror=unlisted):
        folders.sort()
        for name in names + [name for name in folders if Path(folder, name).is_symlink()]:
            path = Path(folder, name)
            source = Source(identified_path=path.relative_to(identified_input))
            try:
                mode = path.lstat().st_mode
            except OSError:
                # It is gone, or hides: reading it will tell.
                mode = stat.S_IFREG
            if stat.S_ISLNK(mode):
                source.outcome = Skip.LINK
            elif not stat.S_ISREG(mode):
                source.outcome = Skip.SPECIAL
            found.append(source)
    return sorted(found, key=lambda source: source.identified_path)


def counts_of(outcomes: Iterable[Outcome | None]) -> Counter[tuple[str, str, str]]:
    """Return (outcome, reason, detail) → number of files."""
    return Counter(described(outcome) for outcome in outcomes)


def described(outcome: Outcome | None) -> tuple[str, str, str]:
    """Return the kind of an outcome, its reason and its sentence."""
    if isinstance(outcome, Written):
        return "written", "", ""
    if isinstance(outcome, Hold):
        return "held", outcome.reason, outcome.detail
    if isinstance(outcome, Dropped):
        return "dropped", outcome.reason, outcome.detail
    if outcome is None:
        return "not-done", "interrupted", "the run ended before"
    return (
        "skipped",
        outcome,
        {"not-dicom": "not a DICOM file", "symbolic-link": "a symbolic link"}.get(outcome, "no regular file"),
    )
