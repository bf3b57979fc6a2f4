"""Answers to requests that may be sent again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "repeated_request",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("caller_id", sa.String(length=32), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("has_effect", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_repeated_request"),
    )
    op.create_index("ix_repeated_request_began_at", "repeated_request", ["began_at"])
    op.create_table(
        "answered_case",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["repeated_request.id"], name="fk_answered_case_request_id_repeated_request"
        ),
        sa.PrimaryKeyConstraint("request_id", "case_id", name="pk_answered_case"),
    )
    op.create_index("ix_answered_case_case_id", "answered_case", ["case_id"])


def downgrade() -> None:
    """Take them back: requests under keys are forgotten."""
    op.drop_index("ix_answered_case_case_id", "answered_case")
    op.drop_table("answered_case")
    op.drop_index("ix_repeated_request_began_at", "repeated_request")
    op.drop_table("repeated_request")
