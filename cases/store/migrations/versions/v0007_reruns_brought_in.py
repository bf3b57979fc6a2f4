"""References that follow with a re-run; whether an image is as it was is seen when it is brought in, not before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and drop what was known too early."""
    op.create_table(
        "staged_reference",
        sa.Column("errand_id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=512), nullable=False),
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("uids", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["received_instance.arrival_id"], name="fk_staged_reference_arrival_id_received_instance"
        ),
        sa.ForeignKeyConstraint(["errand_id"], ["errand.id"], name="fk_staged_reference_errand_id_errand"),
        sa.PrimaryKeyConstraint("errand_id", "arrival_id", name="pk_staged_reference"),
    )
    op.create_index("ix_staged_reference_blob_key", "staged_reference", ["blob_key"])
    op.drop_column("staged_instance", "is_same")


def downgrade() -> None:
    """Take them back; what is staged has its blob."""
    op.add_column("staged_instance", sa.Column("is_same", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("ix_staged_reference_blob_key", "staged_reference")
    op.drop_table("staged_reference")
