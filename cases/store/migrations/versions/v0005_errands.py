"""Errands on the retained originals of a study, and what a re-run has made and no case has yet."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "errand",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("received_study", sa.String(length=128), nullable=False),
        sa.Column("study_key", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=True),
        sa.Column("profile", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.String(length=16), nullable=False),
        sa.Column("base_revision", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("group_id", sa.String(length=32), nullable=True),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_errand"),
        sa.UniqueConstraint("received_study", "generation", name="uq_errand_received_study_generation"),
    )
    op.create_index("ix_errand_case_id", "errand", ["case_id"])
    op.create_index("ix_errand_group_id", "errand", ["group_id"])
    op.create_index("ix_errand_state_requested_at", "errand", ["state", "requested_at"])
    op.create_table(
        "staged_instance",
        sa.Column("errand_id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("was", sa.String(length=32), nullable=False),
        sa.Column("becomes", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("is_same", sa.Boolean(), nullable=False),
        sa.Column("written", sa.JSON(), nullable=False),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["errand_id"], ["errand.id"], name="fk_staged_instance_errand_id_errand"),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["received_instance.arrival_id"], name="fk_staged_instance_arrival_id_received_instance"
        ),
        sa.PrimaryKeyConstraint("errand_id", "arrival_id", name="pk_staged_instance"),
    )
    op.create_index("ix_case_image_profile_revision", "case_image", ["profile_revision", "case_id"])
    op.create_index("ix_staged_instance_blob_key", "staged_instance", ["blob_key"])


def downgrade() -> None:
    """Take the tables back."""
    op.drop_index("ix_case_image_profile_revision", "case_image")
    op.drop_table("staged_instance")
    op.drop_table("errand")
