"""The tables of the one database. Keys and clean values only: never a UID, name or date of an original."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from cases.errands import ErrandKind, ErrandState
from cases.holds import HoldState
from cases.intake import AssociationOutcome, InstanceOutcome
from cases.model import CaseModality, CaseStatus, Visibility
from cases.users import InstitutionPolicy, Role
from deidentify.results import PixelVerdict

ID = 32
STUDY_KEY = 128
AE_TITLE = 16
UID = 64
REVISION = 16
PROFILE_NAME = 40
ALL_SCOPES = "read write moderate administer"
SHA256 = 64


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: aware on both sides, although SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments and turn the others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum(kind: type) -> Enum:
    # Plain text of the values, without a check constraint: a new member needs no migration.
    return Enum(
        kind, native_enum=False, create_constraint=False, length=32, values_callable=lambda e: [m.value for m in e]
    )


def new_id() -> str:
    """Return a fresh random id of 32 hexadecimal digits."""
    return uuid4().hex


class Base(DeclarativeBase):
    """Base of every table of ours."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it is
        datetime: UtcDateTime(),
        CaseStatus: _enum(CaseStatus),
        Visibility: _enum(Visibility),
        CaseModality: _enum(CaseModality),
        InstanceOutcome: _enum(InstanceOutcome),
        HoldState: _enum(HoldState),
        AssociationOutcome: _enum(AssociationOutcome),
        PixelVerdict: _enum(PixelVerdict),
        Role: _enum(Role),
        InstitutionPolicy: _enum(InstitutionPolicy),
        ErrandKind: _enum(ErrandKind),
        ErrandState: _enum(ErrandState),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }


class ReceivedStudyRow(Base):
    """What arrived of one study by one route."""

    __tablename__ = "received_study"
    __table_args__ = (Index("ix_received_study_first_arrival_at_receipt_code", "first_arrival_at", "receipt_code"),)

    key: Mapped[str] = mapped_column(String(STUDY_KEY), primary_key=True)
    study_key: Mapped[str] = mapped_column(String(ID), index=True)
    destination_id: Mapped[str] = mapped_column(String(64))
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    called_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    owner_name: Mapped[str | None] = mapped_column(String(200))
    hospital: Mapped[str] = mapped_column(String(200))
    profile: Mapped[str] = mapped_column(String(100))
    quiet_period_s: Mapped[float | None] = mapped_column(Float)
    max_settle_s: Mapped[float | None] = mapped_column(Float)
    receipt_code: Mapped[str] = mapped_column(String(16), index=True, unique=True)
    first_arrival_at: Mapped[datetime]
    last_arrival_at: Mapped[datetime]
    last_recorded_at: Mapped[datetime]
    """By the clock of the database, unlike the arrivals: receivers' clocks may differ."""
    unassigned_since: Mapped[datetime | None] = mapped_column(index=True)
    """By the clock of the database."""
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str] = mapped_column(String(32), default="")
    generation: Mapped[int] = mapped_column(Integer, default=0)
    patient_key: Mapped[str] = mapped_column(String(64), default="", index=True)
    patient_number_key: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Keyed hash of the Patient ID alone, whoever issued it."""
    secret_generation: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    """Generation of the secret that the patient's keys are made under."""


class ReceivedInstanceRow(Base):
    """A received instance and what became of it."""

    __tablename__ = "received_instance"
    __table_args__ = (
        Index("ix_received_instance_study_sop", "received_study", "sop_key"),
        Index("ix_received_instance_outcome_received_at", "outcome", "received_at"),
        Index("ix_received_instance_case_outcome", "case_id", "outcome"),
        Index("ix_received_instance_association", "association_id"),
        Index("ix_received_instance_sop_key", "sop_key"),
        Index("ix_received_instance_committed_until", "committed_until"),
    )

    arrival_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    received_study: Mapped[str] = mapped_column(ForeignKey("received_study.key"))
    study_key: Mapped[str] = mapped_column(String(ID))
    sop_key: Mapped[str] = mapped_column(String(ID))
    sop_class_uid: Mapped[str] = mapped_column(String(UID))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(UID))
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    called_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    peer_address: Mapped[str] = mapped_column(String(64))
    association_id: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int | None] = mapped_column(Integer)
    outcome: Mapped[InstanceOutcome] = mapped_column(default=InstanceOutcome.RECEIVED)
    reason: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None]
    case_id: Mapped[str | None] = mapped_column(ForeignKey("teaching_case.id"))
    duplicate_of: Mapped[str | None] = mapped_column(String(ID))
    fingerprint_dataset: Mapped[str] = mapped_column(String(64), default="")
    fingerprint_pixels: Mapped[str] = mapped_column(String(64), default="")
    purged_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime | None]
    """When the row was made, by the database's clock; None in rows older than this column.

    ``received_at`` is by the clock of the receiver's host, which may stand at 1970 or run ahead. Whatever is counted
    from the arrival and cannot be taken back (deleting an original, settling a study) has to look at both.
    """
    committed_until: Mapped[datetime | None]
    """Until when the original stays because storage commitment was promised for it."""
    series_key: Mapped[str] = mapped_column(String(ID), default="")
    """Keyed digest of the Series Instance UID; empty where the header was not read."""
    instance_number: Mapped[int | None] = mapped_column(BigInteger)
    acquisition_number: Mapped[int | None] = mapped_column(BigInteger)
    stated_study: Mapped[int | None] = mapped_column(BigInteger)
    """Number of Study Related Instances (0020,1208)."""
    stated_series: Mapped[int | None] = mapped_column(BigInteger)
    """Number of Series Related Instances (0020,1209)."""
    stated_acquisition: Mapped[int | None] = mapped_column(BigInteger)
    """Images in Acquisition (0020,1002)."""
    layout_key: Mapped[str] = mapped_column(String(ID), default="", server_default="", index=True)
    """Keyed digest of device and format; empty where the header names none."""
    rows: Mapped[int | None] = mapped_column(BigInteger)
    columns: Mapped[int | None] = mapped_column(BigInteger)
    frames: Mapped[int | None] = mapped_column(BigInteger)
    born_in: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    """The case whose pseudonyms it had first, where they were turned into those of the case that it is in."""


class CaseRow(Base):
    """A teaching case."""

    __tablename__ = "teaching_case"
    __table_args__ = (
        Index("ix_teaching_case_owner_status", "owner_id", "status", "visibility", "approved_at"),
        Index("ix_teaching_case_status_created_at", "status", "created_at"),
        Index("ix_teaching_case_created_at_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id"))
    status: Mapped[CaseStatus]
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.PUBLIC)
    received_study: Mapped[str | None] = mapped_column(ForeignKey("received_study.key"), index=True)
    previous_case_id: Mapped[str | None] = mapped_column(ForeignKey("teaching_case.id"))
    sender: Mapped[str] = mapped_column(String(AE_TITLE))
    arrived_at: Mapped[datetime]
    profile: Mapped[str] = mapped_column(String(100))
    profile_revision: Mapped[str] = mapped_column(String(REVISION), default="", server_default="", index=True)
    """Under which its images are made, late ones too; empty in cases older than this column."""
    patient_key: Mapped[str] = mapped_column(String(64), default="", index=True)
    patient_number_key: Mapped[str] = mapped_column(String(64), default="", server_default="", index=True)
    secret_generation: Mapped[int] = mapped_column(Integer, default=1, server_default="1", index=True)
    """Generation of the secret that its pseudonyms are made under, for as long as there is the case."""
    given_patient_id: Mapped[str] = mapped_column(String(16), default="", server_default="")
    """The Patient ID (0010,0020) of its files, a pseudonym, where it is not made of the originals'."""
    split_from: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    """The case that it was split from: where else nothing says so, what comes late goes there."""
    title: Mapped[str] = mapped_column(String(120), default="")
    presentation: Mapped[str] = mapped_column(Text, default="")
    discussion: Mapped[str] = mapped_column(Text, default="")
    age_band: Mapped[str] = mapped_column(String(32), default="")
    sex: Mapped[str] = mapped_column(String(8), default="")
    tags: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    systems: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    level: Mapped[str] = mapped_column(String(32), default="", server_default="")
    hold_reason: Mapped[str] = mapped_column(String(32), default="", server_default="")
    faces_acknowledged: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """How many images with a face its owner was told of when they said that they thought of it."""
    withheld_words: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    certainty: Mapped[str] = mapped_column(String(32), default="", server_default="")
    certainty_evidence: Mapped[str] = mapped_column(Text, default="", server_default="")
    differential: Mapped[str] = mapped_column(Text, default="", server_default="")
    is_quiz: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    consent_kind: Mapped[str] = mapped_column(String(32), default="", server_default="")
    consent_reference: Mapped[str] = mapped_column(String(100), default="", server_default="")
    is_rare: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    is_small_community: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    key_image_id: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    licence_accepted_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    first_published_at: Mapped[datetime | None]
    first_public_at: Mapped[datetime | None]
    """Kept although it may be unlisted or a draft by now: the case of a month is picked by it."""
    approved_at: Mapped[datetime | None]
    approved_version: Mapped[int | None] = mapped_column(Integer)
    """What was let become public; a later edit has to be looked at again before it may."""
    prefilled: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Field → digest of what a teaching file filled it with, so that it is filled once."""
    manifest_group: Mapped[str] = mapped_column(String(ID), default="", server_default="", index=True)
    """Keyed hash that cases of one selection over several studies share."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(Integer, default=1)


class CaseStudyRow(Base):
    """A study of a case: one modality of one source study."""

    __tablename__ = "case_study"
    __table_args__ = (UniqueConstraint("case_id", "study_instance_uid", "modality"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id"))
    study_instance_uid: Mapped[str] = mapped_column(String(UID))
    modality: Mapped[CaseModality]
    position: Mapped[int] = mapped_column(Integer)
    study_day: Mapped[str] = mapped_column(String(8), default="")
    """The shifted day, YYYYMMDD: only differences of it are shown."""
    description: Mapped[str] = mapped_column(String(200), default="")
    caption: Mapped[str] = mapped_column(Text, default="")
    findings: Mapped[str] = mapped_column(Text, default="")


class CaseSeriesRow(Base):
    """A series of a case study."""

    __tablename__ = "case_series"
    __table_args__ = (UniqueConstraint("case_study_id", "series_instance_uid"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    case_study_id: Mapped[str] = mapped_column(ForeignKey("case_study.id"))
    series_instance_uid: Mapped[str] = mapped_column(String(UID))
    number: Mapped[int | None] = mapped_column(BigInteger)
    perspective: Mapped[str] = mapped_column(String(200), default="")
    specifics: Mapped[str] = mapped_column(String(200), default="")
    body_part: Mapped[str] = mapped_column(String(64), default="")
    laterality: Mapped[str] = mapped_column(String(16), default="")
    is_labelled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Whether a person wrote plane or sequence: a re-run leaves them then."""
    window_center: Mapped[float | None] = mapped_column(Float)
    window_width: Mapped[float | None] = mapped_column(Float)
    crop: Mapped[list[Any] | None]
    """Left, top, width, height."""
    first_frame: Mapped[int | None] = mapped_column(Integer)
    last_frame: Mapped[int | None] = mapped_column(Integer)
    frame_step: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    opening_frame: Mapped[int | None] = mapped_column(Integer)
    key_image_id: Mapped[str] = mapped_column(String(ID), default="", server_default="")


class CaseImageRow(Base):
    """A filed image. One arrival makes one image, and one SOP Instance is in a case once."""

    __tablename__ = "case_image"
    __table_args__ = (
        UniqueConstraint("case_id", "sop_instance_uid"),
        Index("ix_case_image_series_id", "series_id"),
        Index("ix_case_image_case_id_frames", "case_id", "frames"),
        Index("ix_case_image_profile_revision", "profile_revision", "case_id"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id"))
    series_id: Mapped[str] = mapped_column(ForeignKey("case_series.id"))
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), unique=True)
    sop_instance_uid: Mapped[str] = mapped_column(String(UID))
    sop_class_uid: Mapped[str] = mapped_column(String(UID))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(UID))
    instance_number: Mapped[int | None] = mapped_column(BigInteger)
    position: Mapped[list[Any] | None]
    orientation: Mapped[list[Any] | None]
    frames: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    columns: Mapped[int] = mapped_column(Integer)
    has_pixels: Mapped[bool] = mapped_column(Boolean)
    verdict: Mapped[PixelVerdict]
    detector: Mapped[str] = mapped_column(String(100), default="")
    profile: Mapped[str] = mapped_column(String(100))
    profile_revision: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]]
    blob_key: Mapped[str] = mapped_column(String(512), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    is_selected: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    is_key: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    key_position: Mapped[int | None] = mapped_column(Integer)
    key_frames: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    identifiers_kept: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Whether the hashes of every identifier of its original are kept for the text screen."""
    filed_at: Mapped[datetime]
    crc32: Mapped[int | None] = mapped_column(BigInteger)
    """Of the file that ``sha256`` is of; None before it was first asked for."""

    @validates("sha256")
    def _forget_crc32(self, _column: str, sha256: str) -> str:
        """Keep no CRC-32 of another file: re-runs, moves and references put new files under old rows."""
        if sha256 != self.sha256:
            self.crc32 = None
        return sha256


class CondemnedBlobRow(Base):
    """A blob that nothing refers to and that has to be deleted; kept until somebody did."""

    __tablename__ = "condemned_blob"

    blob_key: Mapped[str] = mapped_column(String(512), primary_key=True)
    case_id: Mapped[str | None] = mapped_column(String(ID), index=True)
    condemned_at: Mapped[datetime]
    spared_until: Mapped[datetime | None]
    """Until when whoever writes it may come to refer to it; None where nobody does."""


class HoldRow(Base):
    """An instance that waits for a person."""

    __tablename__ = "hold"
    __table_args__ = (
        Index("ix_hold_case_state", "case_id", "state"),
        Index("ix_hold_state_held_at", "state", "held_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    arrival_id: Mapped[str] = mapped_column(ForeignKey("received_instance.arrival_id"), unique=True)
    case_id: Mapped[str | None] = mapped_column(ForeignKey("teaching_case.id"))
    reason: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    findings: Mapped[list[Any]]
    state: Mapped[HoldState] = mapped_column(default=HoldState.OPEN)
    held_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    """Raised whenever what a person decides on is another: findings, state or what was decided."""
    errand_id: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    """Of the re-run whose findings these are; empty where they are of the first time."""


class AuditRow(Base):
    """An entry of the audit log, chained to the one before; triggers refuse to change or delete one."""

    __tablename__ = "audit_entry"

    place: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    """1, 2, 3 … without a gap, in the order in which transactions ended."""
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(SHA256))
    digest: Mapped[str] = mapped_column(String(SHA256))
    form: Mapped[int] = mapped_column(Integer)
    """Of the canonical text that was digested."""


class LeaseRow(Base):
    """A name that one holder has for a while."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    acquired_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SecretGenerationRow(Base):
    """A generation of the installation's secret; what is secret stays in the secret file."""

    __tablename__ = "secret_generation"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    check_digest: Mapped[str] = mapped_column(String(64))
    """Tells whether a secret file holds this generation."""
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
