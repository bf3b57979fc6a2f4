"""Tables of profiles: their texts, what a name means, which one a route has."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cases.store.rows import AE_TITLE, PROFILE_NAME, REVISION, Base


class ProfileRevisionRow(Base):
    """The text of a profile that a case was made under, or that was published. Never changed."""

    __tablename__ = "profile_revision"

    revision: Mapped[str] = mapped_column(String(REVISION), primary_key=True)
    name: Mapped[str] = mapped_column(String(PROFILE_NAME), index=True)
    text: Mapped[str] = mapped_column(Text)
    known_since: Mapped[datetime]


class ProfilePublicationRow(Base):
    """Which revision a profile's name means, from when on. Going back is a publication as well."""

    __tablename__ = "profile_publication"
    __table_args__ = (Index("ix_profile_publication_name_id", "name", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(PROFILE_NAME))
    revision: Mapped[str] = mapped_column(ForeignKey("profile_revision.revision"))
    published_at: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(200), default="")


class RouteProfileRow(Base):
    """Which profile a route has, from when on; the latest row of a route counts."""

    __tablename__ = "route_profile"
    __table_args__ = (Index("ix_route_profile_called_ae_calling_ae_id", "called_ae", "calling_ae", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    called_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    """"*" for any."""
    name: Mapped[str] = mapped_column(String(PROFILE_NAME))
    """Empty: the profile of the settings counts again."""
    revision: Mapped[str] = mapped_column(String(REVISION), default="")
    """Pinned; empty: whatever the name means."""
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(200))
