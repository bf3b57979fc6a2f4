"""Fields, consents and history of cases."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SHORT = {"certainty": 32, "consent_kind": 32, "consent_reference": 100, "key_image_id": 32}
_TEXTS = ("certainty_evidence", "differential")
_FLAGS = ("is_quiz", "is_rare", "is_small_community")
_MOMENTS = ("licence_accepted_at", "submitted_at", "first_published_at", "first_public_at", "approved_at")


def _of_case() -> tuple[sa.Column[Any], ...]:
    return (
        *(sa.Column(name, sa.String(length=size), nullable=False, server_default="") for name, size in _SHORT.items()),
        *(sa.Column(name, sa.Text(), nullable=False, server_default="") for name in _TEXTS),
        *(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()) for name in _FLAGS),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in _MOMENTS),
        sa.Column("approved_version", sa.Integer(), nullable=True),
    )


def _of_series() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("is_labelled", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.Float(), nullable=True) for name in ("window_center", "window_width")),
        sa.Column("crop", sa.JSON(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in ("first_frame", "last_frame", "opening_frame")),
        sa.Column("frame_step", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("key_image_id", sa.String(length=32), nullable=False, server_default=""),
    )


def upgrade() -> None:
    """Add the columns and the table."""
    for column in _of_case():
        op.add_column("teaching_case", column)
    for column in _of_series():
        op.add_column("case_series", column)
    op.create_table(
        "case_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        *(sa.Column(name, sa.String(length=32), nullable=False) for name in ("action", "source", "target")),
        *(sa.Column(name, sa.String(length=32), nullable=False) for name in ("visibility", "reason")),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["teaching_case.id"], name="fk_case_event_case_id_teaching_case", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_case_event"),
    )
    op.create_index("ix_case_event_case_id_id", "case_event", ["case_id", "id"])


def downgrade() -> None:
    """Take them back, with what stands in them."""
    op.drop_index("ix_case_event_case_id_id", "case_event")
    op.drop_table("case_event")
    for column in _of_series():
        op.drop_column("case_series", column.name)
    for column in _of_case():
        op.drop_column("teaching_case", column.name)
