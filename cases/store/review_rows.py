"""Tables of what people decided on pixels: boxes of images, the decisions that made them, rules for devices."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from cases.reviews import KeptReview, review_of
from cases.store.rows import ID, Base, new_id


class PixelReviewRow(Base):
    """What is decided on the pixels of one received instance; every later run of it carries this."""

    __tablename__ = "pixel_review"

    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), primary_key=True)
    redact: Mapped[list[Any]] = mapped_column(default=list)
    safe: Mapped[list[Any]] = mapped_column(default=list)
    safe_elsewhere: Mapped[list[Any]] = mapped_column(default=list)
    accepts_face: Mapped[bool] = mapped_column(Boolean, default=False)
    version: Mapped[int] = mapped_column(Integer, default=0)
    """Only rises, also where a decision is taken back."""
    decided_by: Mapped[str] = mapped_column(String(200))
    decided_at: Mapped[datetime]


class PixelDecisionRow(Base):
    """One decision on one received instance, and what was decided before it."""

    __tablename__ = "pixel_decision"
    __table_args__ = (
        Index("ix_pixel_decision_arrival_id", "arrival_id"),
        Index("ix_pixel_decision_group_id", "group_id"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"))
    number: Mapped[int] = mapped_column(Integer)
    """Of the decision on this instance, from 1."""
    group_id: Mapped[str] = mapped_column(String(ID))
    """Shared by all instances that one decision reached."""
    action: Mapped[str] = mapped_column(String(32))
    scope: Mapped[str] = mapped_column(String(32))
    before: Mapped[dict[str, Any]] = mapped_column(default=dict)
    decided_by: Mapped[str] = mapped_column(String(200))
    decided_at: Mapped[datetime]
    undone_by: Mapped[str] = mapped_column(String(200), default="")
    undone_at: Mapped[datetime | None]


class SiteLayoutRow(Base):
    """Boxes that become black in every image of a device and format."""

    __tablename__ = "site_layout"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    layout_key: Mapped[str] = mapped_column(String(ID), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    boxes: Mapped[list[Any]] = mapped_column(default=list)
    rows: Mapped[int | None] = mapped_column(Integer)
    columns: Mapped[int | None] = mapped_column(Integer)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime]


_AT_ONCE = 500


def reviews_of(session: Session, arrival_ids: Iterable[str]) -> dict[str, KeptReview]:
    """Return what is decided on these instances; those on which nobody decided anything are left out."""
    todo, found = sorted(arrival_ids), dict[str, KeptReview]()
    for start in range(0, len(todo), _AT_ONCE):
        query = (
            select(PixelReviewRow)
            .where(PixelReviewRow.arrival_id.in_(todo[start : start + _AT_ONCE]))
            .execution_options(populate_existing=True)
        )
        found |= {row.arrival_id: kept_review(row) for row in session.scalars(query)}
    return found


def kept_review(row: PixelReviewRow) -> KeptReview:
    """Return the value of a row."""
    values = {
        "redact": row.redact,
        "safe": row.safe,
        "safe_elsewhere": row.safe_elsewhere,
        "accepts_face": row.accepts_face,
    }
    return KeptReview(review=review_of(values), version=row.version)
