"""From a planned and screened instance to one that may be passed on: written, verified, read again where redacted."""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from deidentify.deidentifier import Deidentifier, HeaderPlan
from deidentify.errors import TextRemainsError
from deidentify.pixels.screen import PixelScreener
from deidentify.results import DeidentifiedInstance, PixelVerdict, ScreenReport
from deidentify.review import NO_REVIEW, PixelReview


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

    What is in ``target`` is worth nothing after an error.

    Raises
    ------
    TextRemainsError
        Text can still be read in a frame whose boxes were made black.
    DeidentificationError
        As ``Deidentifier.write`` and ``Deidentifier.verify`` raise them.
    """
    instance = deidentifier.write(plan, screen, identified_file, target, scratch=scratch)
    target.seek(0)
    deidentifier.verify(plan, target)
    if instance.screen.verdict is PixelVerdict.REDACT:
        target.seek(0)
        remains = screener.still_there(
            target, plan.identified_tokens, instance.screen, policy=deidentifier.pixel_policy, review=review
        )
        if remains:
            raise TextRemainsError(remains)
    target.seek(0)
    return instance
