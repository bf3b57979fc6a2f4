"""In which order holds are shown, and where a page of them goes on."""

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_

from cases.errors import InvalidChangeError
from cases.holds import HoldOrder
from cases.store.paging import decode_cursor, encode_cursor
from cases.store.rows import HoldRow
from deidentify.results import HoldReason

_WORST_FIRST = (
    frozenset({HoldReason.BURNED_IN_TEXT, HoldReason.RESIDUAL_IDENTIFIER}),
    frozenset({HoldReason.UNREADABLE_TEXT}),
    frozenset({HoldReason.PIXELS_UNDECODABLE, HoldReason.PIXELS_MISSING, HoldReason.SCREEN_UNAVAILABLE}),
)
"""What is known to identify, then what might, then what nobody could read; all others after them."""
_RANKS = {reason.value: rank for rank, reasons in enumerate(_WORST_FIRST) for reason in reasons}
_LAST = len(_WORST_FIRST)
_RANKED = re.compile(r"([0-9])\.(.+)")


def in_order(order: HoldOrder) -> list[ColumnElement[Any]]:
    """Return what the rows are ordered by."""
    ranked = [_rank()] if order is HoldOrder.WORST else []
    return [*ranked, *(column.asc() for column in (HoldRow.held_at, HoldRow.id))]


def cursor_of(order: HoldOrder, row: HoldRow) -> str:
    """Return where the page behind a row begins."""
    behind_row = encode_cursor(row.held_at, row.id)
    return f"{_RANKS.get(row.reason, _LAST)}.{behind_row}" if order is HoldOrder.WORST else behind_row


def behind(order: HoldOrder, cursor: str) -> ColumnElement[bool]:
    """Return the condition that a row comes behind a cursor.

    Raises
    ------
    InvalidChangeError
        When the cursor is not one of this order.
    """
    if order is HoldOrder.OLDEST:
        return _behind(cursor)
    ranked = _RANKED.fullmatch(cursor)
    if ranked is None:
        raise InvalidChangeError("the cursor is not one of this list: begin again without it")
    rank = int(ranked[1])
    return or_(_rank() > rank, and_(_rank() == rank, _behind(ranked[2])))


def _behind(cursor: str) -> ColumnElement[bool]:
    at, row_id = decode_cursor(cursor)
    return or_(HoldRow.held_at > at, (HoldRow.held_at == at) & (HoldRow.id > row_id))


def _rank() -> ColumnElement[int]:
    return case(_RANKS, value=HoldRow.reason, else_=_LAST)
