"""Playlists, featured cases and links."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _playlists()
    op.create_table(
        "featured_case",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=True),
        sa.Column("featured_by", sa.String(length=200), nullable=False),
        sa.Column("featured_at", _MOMENT, nullable=False),
        _of_case("featured_case"),
        sa.PrimaryKeyConstraint("case_id", name="pk_featured_case"),
        sa.UniqueConstraint("month", name="uq_featured_case_month"),
    )
    op.create_index("ix_featured_case_featured_at_case_id", "featured_case", ["featured_at", "case_id"])
    op.create_table(
        "share_link",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        _of_case("share_link"),
        sa.PrimaryKeyConstraint("id", name="pk_share_link"),
        sa.UniqueConstraint("sha256", name="uq_share_link_sha256"),
    )
    op.create_index("ix_share_link_case_id", "share_link", ["case_id"])


def _playlists() -> None:
    op.create_table(
        "playlist",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(length=32), nullable=False),
        sa.Column("is_quiz", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name="fk_playlist_owner_id_user_account"),
        sa.PrimaryKeyConstraint("id", name="pk_playlist"),
    )
    op.create_index("ix_playlist_owner_id", "playlist", ["owner_id"])
    op.create_index("ix_playlist_visibility_created_at_id", "playlist", ["visibility", "created_at", "id"])
    op.create_table(
        "playlist_entry",
        sa.Column("playlist_id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["playlist_id"], ["playlist.id"], name="fk_playlist_entry_playlist_id_playlist", ondelete="CASCADE"
        ),
        _of_case("playlist_entry"),
        sa.PrimaryKeyConstraint("playlist_id", "case_id", name="pk_playlist_entry"),
    )
    op.create_index("ix_playlist_entry_case_id", "playlist_entry", ["case_id"])


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_case_id_teaching_case"
    return sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Take the tables back, with what is in them."""
    for table in ("share_link", "featured_case", "playlist_entry", "playlist"):
        op.drop_table(table)
