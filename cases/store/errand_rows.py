"""Tables of errands, and of what a re-run has made and no case has yet."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from cases.errands import ErrandKind, ErrandState
from cases.store.rows import ID, PROFILE_NAME, REVISION, STUDY_KEY, Base, new_id


class ErrandRow(Base):
    """An errand; its generation is counted with those of the arrivals of its study."""

    __tablename__ = "errand"
    __table_args__ = (
        UniqueConstraint("received_study", "generation"),
        Index("ix_errand_case_id", "case_id"),
        Index("ix_errand_group_id", "group_id"),
        Index("ix_errand_state_requested_at", "state", "requested_at"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    kind: Mapped[ErrandKind]
    received_study: Mapped[str] = mapped_column(String(STUDY_KEY))
    study_key: Mapped[str] = mapped_column(String(ID))
    generation: Mapped[int] = mapped_column(Integer)
    case_id: Mapped[str | None] = mapped_column(String(ID))
    """No foreign key: an errand is remembered when the empty shell of its case is not."""
    other_case_id: Mapped[str | None] = mapped_column(String(ID), index=True)
    """Where the images of its case go."""
    profile: Mapped[str] = mapped_column(String(PROFILE_NAME))
    revision: Mapped[str] = mapped_column(String(REVISION))
    base_revision: Mapped[str] = mapped_column(String(REVISION))
    state: Mapped[ErrandState]
    requested_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(String(200), default="")
    total: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)
    reason: Mapped[str] = mapped_column(String(200), default="")
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    group_id: Mapped[str | None] = mapped_column(String(ID))
    asked: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_review: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is about single images that a person decided on."""


class StagedInstanceRow(Base):
    """What a re-run made of one original; goes when its re-run is decided."""

    __tablename__ = "staged_instance"
    __table_args__ = (Index("ix_staged_instance_blob_key", "blob_key"),)

    errand_id: Mapped[str] = mapped_column(ForeignKey("errand.id"), primary_key=True)
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), primary_key=True)
    was: Mapped[str] = mapped_column(String(32))
    becomes: Mapped[str] = mapped_column(String(32))
    """``filed``, ``held``, ``dropped``, or ``gone`` where the original is not there any more."""
    reason: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    blob_key: Mapped[str] = mapped_column(String(512), default="")
    review: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Version of what a person had decided on its pixels; 0 where nobody had."""
    written: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What de-identification says of the image; empty where there is none."""
    known: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Hashes and the sealed entry that go with the case."""
    findings: Mapped[list[Any]] = mapped_column(default=list)
    changes: Mapped[list[Any]] = mapped_column(default=list)
    """Which elements differ from the image as it is."""


class StagedMoveRow(Base):
    """An image written anew for another case, until all that go there with it are."""

    __tablename__ = "staged_move"
    __table_args__ = (Index("ix_staged_move_blob_key", "blob_key"),)

    errand_id: Mapped[str] = mapped_column(ForeignKey("errand.id"), primary_key=True)
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), primary_key=True)
    before: Mapped[str] = mapped_column(String(512))
    """The blob that it was written from: that of the image as it is."""
    blob_key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    has_original: Mapped[bool]
    """Whether its pseudonyms are those that the original has in that case."""
    uids: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """UIDs of the case that it leaves, and what stands for them."""
    patient_id: Mapped[str] = mapped_column(String(16))
    """That was written, a pseudonym."""
    days: Mapped[int] = mapped_column(Integer)
    """By how many days its dates are earlier than they were."""


class StagedReferenceRow(Base):
    """An image written anew with its references exchanged, for the moment when a re-run comes into effect."""

    __tablename__ = "staged_reference"
    __table_args__ = (Index("ix_staged_reference_blob_key", "blob_key"),)

    errand_id: Mapped[str] = mapped_column(ForeignKey("errand.id"), primary_key=True)
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), primary_key=True)
    before: Mapped[str] = mapped_column(String(512))
    """The blob that it was written from: staged, or that of the image as it is."""
    blob_key: Mapped[str] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    uids: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What it referred to and what it refers to now; both are UIDs of the case."""
