"""From a planned and screened instance to one that may be passed on: written, verified, read again where redacted."""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from deidentify.deidentifier import Deidentifier, HeaderPlan
from deidentify.errors import TextRemainsError
from deidentify.pixels.screen import PixelScreener
from deidentify.pixels.verdict import with_more
from deidentify.results import DeidentifiedInstance, PixelFinding, PixelVerdict, RegionFate, ScreenReport
from deidentify.review import NO_REVIEW, PixelReview

_MOST_ROUNDS = 3


def released(
    deidentifier: Deidentifier,
    screener: PixelScreener,
    plan: HeaderPlan,
    screen: ScreenReport,
    *,
    identified_file: BinaryIO,
    target: BinaryIO,
    scratch: Callable[[], BinaryIO] = BytesIO,
    review: PixelReview = NO_REVIEW,
) -> DeidentifiedInstance:
    """Write an instance, verify what was written, and look once more at frames in which boxes were made black.

    Without its neighbour a piece of text may be seen that was not seen before. Where it would have become black by
    itself it does now: all is written anew from the original, and read again.

    What is in ``target`` is worth nothing after an error.

    Raises
    ------
    TextRemainsError
        Text can still be read in a frame whose boxes were made black.
    DeidentificationError
        As ``Deidentifier.write`` and ``Deidentifier.verify`` raise them.
    """
    to_read: frozenset[int] | None = None
    for is_last in (*[False] * (_MOST_ROUNDS - 1), True):
        instance = deidentifier.write(plan, screen, identified_file, target, scratch=scratch)
        target.seek(0)
        deidentifier.verify(plan, target)
        remains: tuple[PixelFinding, ...] = ()
        if instance.screen.verdict is PixelVerdict.REDACT:
            target.seek(0)
            remains = screener.still_there(
                target,
                plan.identified_tokens,
                instance.screen,
                policy=deidentifier.pixel_policy,
                review=review,
                frames=to_read,
            )
        target.seek(0)
        if not remains:
            break
        if is_last or any(one.fate is not RegionFate.REDACTED for one in remains):
            raise TextRemainsError(remains)
        screen = with_more(screen, remains)
        # Frames in which nothing was left are written once more as they are.
        to_read = frozenset(one.frame for one in remains)
        target.truncate()
    return instance
