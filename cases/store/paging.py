"""Opaque cursors: a page goes on behind the last item it showed, whatever was added in between."""

import base64
import binascii
import re
from datetime import datetime

from cases.errors import InvalidChangeError

LIMIT_MAX = 500
_ROW_ID = re.compile(r"[0-9a-f]{32}|[0-9A-HJKMNP-TV-Z]{7}", re.ASCII)
"""The id of a row, or the code of a receipt."""


def checked_limit(limit: int) -> int:
    """Return the limit, within what one page may hold."""
    return max(1, min(limit, LIMIT_MAX))


def encode_cursor(at: datetime, row_id: str) -> str:
    """Return the cursor of a row."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Return what ``encode_cursor`` was given.

    Raises
    ------
    InvalidChangeError
        When the cursor is not one of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, row_id = text.split("|")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        raise InvalidChangeError("the cursor is not one of this list: begin again without it") from None
    if moment.tzinfo is None or not _ROW_ID.fullmatch(row_id):
        raise InvalidChangeError("the cursor is not one of this list: begin again without it")
    return moment, row_id
