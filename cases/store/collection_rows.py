"""Tables of what is made of cases that others may see: playlists, featured cases, links.

All of it goes with its case: a row of a case that is deleted is deleted with it.
"""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cases.model import Visibility
from cases.store.rows import ID, Base, new_id


class PlaylistRow(Base):
    """Cases in an order that somebody chose."""

    __tablename__ = "playlist"
    __table_args__ = (
        Index("ix_playlist_owner_id", "owner_id"),
        Index("ix_playlist_visibility_created_at_id", "visibility", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"))
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    visibility: Mapped[Visibility]
    is_quiz: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(Integer, default=1)


class PlaylistEntryRow(Base):
    """A case of a playlist."""

    __tablename__ = "playlist_entry"
    __table_args__ = (Index("ix_playlist_entry_case_id", "case_id"),)

    playlist_id: Mapped[str] = mapped_column(ForeignKey("playlist.id", ondelete="CASCADE"), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    """Rises along the list; there are gaps where cases left."""
    note: Mapped[str] = mapped_column(String(500), default="")


class FeaturedCaseRow(Base):
    """A case that editors point out."""

    __tablename__ = "featured_case"
    __table_args__ = (Index("ix_featured_case_featured_at_case_id", "featured_at", "case_id"),)

    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id", ondelete="CASCADE"), primary_key=True)
    month: Mapped[str | None] = mapped_column(String(7), unique=True)
    """YYYY-MM where it is the case of that month."""
    featured_by: Mapped[str] = mapped_column(String(200))
    featured_at: Mapped[datetime]


class ShareLinkRow(Base):
    """A link to an unlisted case, as the SHA-256 of its token."""

    __tablename__ = "share_link"
    __table_args__ = (Index("ix_share_link_case_id", "case_id"),)

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    uses: Mapped[int] = mapped_column(Integer, default=0)
