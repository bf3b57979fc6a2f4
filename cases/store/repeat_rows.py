"""Tables of requests that may be sent again. They hold digests of keys, never a key."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from cases.store.rows import ID, Base

DIGEST = 64


class RepeatedRequestRow(Base):
    """A request under a key, and its answer once there is one; swept after a day."""

    __tablename__ = "repeated_request"
    __table_args__ = (Index("ix_repeated_request_began_at", "began_at"),)

    id: Mapped[str] = mapped_column(String(DIGEST), primary_key=True)
    """SHA-256 of the caller's id and the key."""
    caller_id: Mapped[str] = mapped_column(String(ID))
    """No foreign key: the row is gone in a day."""
    request_digest: Mapped[str] = mapped_column(String(DIGEST))
    attempt: Mapped[str] = mapped_column(String(ID))
    began_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    has_effect: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the attempt has committed something."""
    status: Mapped[int | None] = mapped_column(Integer)
    """Of the answer; null until there is one."""
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answer: Mapped[str | None] = mapped_column(Text)
    """Null where it is not kept, or not any more."""


class AnsweredCaseRow(Base):
    """A case that a kept answer tells of: when the case goes, so does the answer."""

    __tablename__ = "answered_case"
    __table_args__ = (Index("ix_answered_case_case_id", "case_id"),)

    request_id: Mapped[str] = mapped_column(ForeignKey("repeated_request.id"), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
