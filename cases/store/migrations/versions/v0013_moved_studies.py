"""Studies that move between cases: where their pseudonyms come from, and what is staged for them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NEW = (
    ("received_instance", "born_in", 32),
    ("teaching_case", "given_patient_id", 16),
    ("teaching_case", "split_from", 32),
    ("crosswalk_entry", "sealed_for", 32),
    ("identifier_hash", "made_for", 32),
)


def upgrade() -> None:
    """Make the columns, empty for all that is where it came to first, and the table."""
    for table, column, length in _NEW:
        op.add_column(table, sa.Column(column, sa.String(length=length), nullable=False, server_default=""))
    op.add_column("errand", sa.Column("other_case_id", sa.String(length=32), nullable=True))
    op.create_index("ix_errand_other_case_id", "errand", ["other_case_id"])
    op.create_table(
        "staged_move",
        sa.Column("errand_id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=512), nullable=False),
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("has_original", sa.Boolean(), nullable=False),
        sa.Column("uids", sa.JSON(), nullable=False),
        sa.Column("patient_id", sa.String(length=16), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["received_instance.arrival_id"], name="fk_staged_move_arrival_id_received_instance"
        ),
        sa.ForeignKeyConstraint(["errand_id"], ["errand.id"], name="fk_staged_move_errand_id_errand"),
        sa.PrimaryKeyConstraint("errand_id", "arrival_id", name="pk_staged_move"),
    )
    op.create_index("ix_staged_move_blob_key", "staged_move", ["blob_key"])


def downgrade() -> None:
    """Take them back; what was moved stays where it is, and what comes later does not fit it."""
    op.drop_index("ix_staged_move_blob_key", "staged_move")
    op.drop_table("staged_move")
    op.drop_index("ix_errand_other_case_id", "errand")
    op.drop_column("errand", "other_case_id")
    for table, column, _ in reversed(_NEW):
        op.drop_column(table, column)
