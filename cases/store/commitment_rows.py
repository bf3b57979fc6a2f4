"""The tables of storage commitment: keys and counts only."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cases.store.rows import AE_TITLE, ID, Base


class CommitmentRow(Base):
    """A decided commitment request."""

    __tablename__ = "commitment"
    __table_args__ = (
        Index("ix_commitment_transaction_key", "transaction_key"),
        Index("ix_commitment_state", "state"),
    )

    request_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    transaction_key: Mapped[str] = mapped_column(String(ID))
    list_digest: Mapped[str] = mapped_column(String(64))
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    called_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    peer_address: Mapped[str] = mapped_column(String(64))
    association_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(32))
    committed: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    requested_at: Mapped[datetime]
    decided_at: Mapped[datetime]
    committed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_attempt_at: Mapped[datetime]
    last_failure: Mapped[str] = mapped_column(String(64), default="")
    reported_at: Mapped[datetime | None]


class CommitmentInstanceRow(Base):
    """An instance that a commitment request named, and why it was not committed."""

    __tablename__ = "commitment_instance"
    __table_args__ = (Index("ix_commitment_instance_sop_key", "sop_key"),)

    request_id: Mapped[str] = mapped_column(ForeignKey("commitment.request_id"), primary_key=True)
    sop_key: Mapped[str] = mapped_column(String(ID), primary_key=True)
    failure_reason: Mapped[int | None] = mapped_column(Integer)
