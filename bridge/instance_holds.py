"""Why an instance waits for a person, said in a sentence: after its pixels were screened, or after an error."""

import errno
import logging

from deidentify.errors import DeidentificationError, TextRemainsError
from deidentify.results import Hold, HoldReason, RegionFate, ScreenReport

log = logging.getLogger("casebridge.pipeline")

TEXT_HOLDS = frozenset({HoldReason.BURNED_IN_TEXT, HoldReason.UNREADABLE_TEXT})


def hold_by_screen(screen: ScreenReport) -> Hold | None:
    """Return why the pixel screen lets an instance wait; None when it passed."""
    if screen.hold is None:
        return None
    return Hold(reason=screen.hold, detail=_sentence(screen), findings=screen.findings)


def hold_by_release(error: DeidentificationError, screen: ScreenReport) -> Hold:
    """Return the hold of a screened instance that could not be written so that it may pass on, with all that was found.

    The boxes say what would have become black: whoever decides needs them, whatever failed.
    """
    remains = error.findings if isinstance(error, TextRemainsError) else ()
    return Hold(reason=error.reason, detail=str(error), findings=(*screen.findings, *remains))


def _sentence(screen: ScreenReport) -> str:
    if screen.hold is HoldReason.PIXELS_MISSING:
        return "an image by its class or attributes, but without pixel data"
    if screen.findings and screen.hold in TEXT_HOLDS:
        return _sentence_on_text(screen)
    return f"{screen.frames_read} of {screen.frames} frame(s) could be read"


def _sentence_on_text(screen: ScreenReport) -> str:
    """Say where text is: in the pixel data, or, where all that holds is besides them, in which layers."""
    holding = [finding for finding in screen.findings if finding.fate is RegionFate.HELD]
    in_pixels = [finding for finding in holding if not finding.layer]
    if not in_pixels:
        names = dict.fromkeys(finding.layer for finding in holding)
        return f"{len(holding)} piece(s) of text besides the pixel data: {', '.join(names)}"
    frames = len({finding.frame for finding in in_pixels})
    return f"{len(in_pixels)} region(s) of text in {frames} of {screen.frames} frame(s)"


def hold_by_error(error: Exception) -> Hold:
    """Return the hold that an error of one instance is; nothing doubtful passes, whatever went wrong.

    Errors of the machine (memory, room on the disk) are the caller's to tell apart before.
    """
    if isinstance(error, DeidentificationError):
        return Hold(reason=error.reason, detail=str(error))
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return Hold(reason=HoldReason.UNREADABLE, detail="the disk could not read the original")
    log.error("an instance is held after an error of ours", exc_info=error)
    return Hold(
        reason=HoldReason.INTERNAL_ERROR,
        detail=f"{type(error).__name__} while the instance was worked on; the log has the place",
    )


def hold_without_path(error: Exception) -> Hold:
    """Return the hold that an error with a file on disk is; the path, which the system's errors quote, is left out."""
    if isinstance(error, OSError) and error.errno != errno.EIO:
        error = OSError(errno.EIO, "")
    return hold_by_error(error)
