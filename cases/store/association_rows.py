"""Tables of associations: who called, what was refused and declined."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cases.intake import AssociationOutcome
from cases.store.rows import AE_TITLE, UID, Base


class AssociationRow(Base):
    """The books of one association."""

    __tablename__ = "association"
    __table_args__ = (Index("ix_association_outcome", "outcome"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    called_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    peer_address: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[AssociationOutcome]
    rule: Mapped[str] = mapped_column(String(200), default="")
    count: Mapped[int] = mapped_column(Integer, default=1)
    stored: Mapped[int] = mapped_column(Integer, default=0)
    tls: Mapped[str] = mapped_column(String(16), default="")
    certificate: Mapped[str] = mapped_column(String(200), default="")


class RefusalRow(Base):
    """C-STORE requests of an association that got one failure status."""

    __tablename__ = "refusal"

    association_id: Mapped[str] = mapped_column(ForeignKey("association.id"), primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(String(UID), primary_key=True)
    """Of the presentation context; "malformed" where that proposed no UID."""
    status: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)


class DeclinedContextRow(Base):
    """Presentation contexts of an association that were not accepted."""

    __tablename__ = "declined_context"

    association_id: Mapped[str] = mapped_column(ForeignKey("association.id"), primary_key=True)
    abstract_syntax: Mapped[str] = mapped_column(String(UID), primary_key=True)
    reason: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
