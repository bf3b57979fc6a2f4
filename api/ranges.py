"""Parts of an answer: which bytes a caller asks for (RFC 9110 §14), of something whose length is known."""

import re
from dataclasses import dataclass

from api.errors import RangeNotSatisfiableError

UNIT = "bytes"
_ONE_RANGE = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """From ``start`` to before ``stop``, of so many bytes."""

    start: int
    stop: int
    total: int

    @property
    def content_range(self) -> str:
        """Return it as the field of an answer."""
        return f"{UNIT} {self.start}-{self.stop - 1}/{self.total}"


def asked_range(written: str | None, if_range: str | None, *, tag: str, total: int) -> ByteRange | None:
    """
    Return the part that a caller asks for; None for the whole.

    The whole is what one gets who asks for several parts, for another unit, for what is no range, or who holds a part
    of something else.

    Parameters
    ----------
    written
        The field Range.
    if_range
        The field If-Range: the tag of what the caller holds a part of. A date is none of ours.
    tag
        The present tag, a strong one.
    total
        How many bytes there are.

    Raises
    ------
    RangeNotSatisfiableError
        When it begins behind the end.
    """
    found = _ONE_RANGE.fullmatch(written) if written is not None else None
    if found is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(0, total - int(suffix)), total
    else:
        start, stop = int(first), total if last is None else min(int(last) + 1, total)
        if last is not None and int(last) < start:
            return None  # no range at all, by its grammar
    if start >= stop:
        raise RangeNotSatisfiableError({"Content-Range": f"{UNIT} */{total}"})
    return ByteRange(start=start, stop=stop, total=total)
