"""Looking at one original under a profile, in a child process: what identifies is kept beside it, counts go back."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from bridge import pipeline
from bridge.impact import Impact
from bridge.instance_holds import hold_by_error
from bridge.logs import configure_logging
from bridge.pipeline import OriginalGoneError, Task
from bridge.preview import MOST_KEPT, FilePreview, Previewer, beside
from cases.impacts import ImpactCounts
from cases.looks import GONE, Looked
from deidentify.deidentifier import Deidentifier
from deidentify.pixels.screen import PixelScreener
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import HoldReason
from scp.errors import SealBrokenError
from scp.spool import Spool

T = TypeVar("T")

LOST = FilePreview(
    outcome="held",
    reason=HoldReason.PROCESS_DIED.value,
    detail="the process that looked at it was lost again and again, for memory or time",
)
"""What is said of an instance that cost its process its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTask:
    """One original and what it is looked at under."""

    task: Task
    number: int
    """Of the instance in its preview."""
    revisions: tuple[str, ...]
    """One to be shown, or two to be compared."""
    scope: PseudonymScope = field(repr=False)
    """Of this errand alone, made and forgotten."""
    has_pixels: bool = False

    @property
    def study_key(self) -> str:
        """Return the key of the study in the spool."""
        return self.task.study_key


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLook:
    """A file that was handed in, and what it is looked at under."""

    identified: bytes = field(repr=False)
    profile_text: str = field(repr=False)
    has_pixels: bool
    most_pictures: int


def preview(look: LookTask) -> Looked:
    """Show what becomes of an original; all of it is kept beside the original, and goes with it."""
    (revision,) = look.revisions
    found = _of_original(look.task, _previewer(revision, look.scope, has_pixels=look.has_pixels).of)
    return Looked(outcome=GONE) if found is None else keep(pipeline.spool(), look, found)


def compare(look: LookTask) -> ImpactCounts | None:
    """Count what becomes of an original under two revisions; None where it is gone. Pixels are not read."""
    both = [_previewer(revision, look.scope, has_pixels=False) for revision in look.revisions]
    found = _of_original(look.task, lambda read: _counted(*(previewer.of(read) for previewer in both)))
    return _counted(found, found) if isinstance(found, FilePreview) else found


def preview_file(look: FileLook) -> FilePreview:
    """Show what becomes of a file; nothing of it is kept."""
    previewer = Previewer(
        Deidentifier(Profile.from_yaml(look.profile_text)),
        screener=PixelScreener() if look.has_pixels else None,
        most_pictures=look.most_pictures,
    )
    return previewer.of(lambda: look.identified)


def start_file_child(log_level: str) -> None:
    """Prepare a child process that looks at a file."""
    configure_logging(log_level, process="pool")


def keep(spool: Spool, look: LookTask, found: FilePreview) -> Looked:
    """Keep a preview beside its original; return its counts."""
    task = look.task
    try:
        for suffix, identified_content in beside(found, look.revisions[0]):
            spool.write_beside(task.study_key, task.sop_key, task.arrival_id, suffix, identified_content)
    except FileNotFoundError:  # purged meanwhile: nothing outlives the original
        return Looked(outcome=GONE)
    return Looked(
        outcome=found.outcome,
        reason=found.reason,
        changes=found.counts(),
        pictures=min(len(found.identified_pictures), MOST_KEPT),
    )


def _of_original(task: Task, look: Callable[[Callable[[], bytes]], T]) -> T | FilePreview | None:
    """Return what a look at an original gives, why it cannot be read, or None where it is gone."""
    try:
        with pipeline.original(task) as identified_file:
            identified = identified_file.read()
    except OriginalGoneError:
        return None
    except SealBrokenError as error:
        return FilePreview(outcome="held", reason=HoldReason.UNREADABLE.value, detail=error.comment)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        hold = hold_by_error(error)
        return FilePreview(outcome="held", reason=hold.reason.value, detail=hold.detail)
    return look(lambda: identified)


def _counted(first: FilePreview, second: FilePreview) -> ImpactCounts:
    counts = Impact()
    counts.add(first, second)
    return counts


@lru_cache(maxsize=2)
def _previewer(revision: str, scope: PseudonymScope, *, has_pixels: bool) -> Previewer:
    return Previewer(
        pipeline.deidentifier_of(revision),
        screener=pipeline.screener() if has_pixels else None,
        most_pictures=MOST_KEPT if has_pixels else 0,
        scope=scope,
    )
