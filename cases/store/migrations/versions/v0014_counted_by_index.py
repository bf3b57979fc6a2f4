"""Lists count by their indexes alone: public cases of an owner, and the frames of a case."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_OWNER = "ix_teaching_case_owner_status"


def upgrade() -> None:
    """Widen one index, make the other."""
    op.drop_index(_OWNER, table_name="teaching_case")
    op.create_index(_OWNER, "teaching_case", ["owner_id", "status", "visibility", "approved_at"])
    op.create_index("ix_case_image_case_id_frames", "case_image", ["case_id", "frames"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_case_image_case_id_frames", table_name="case_image")
    op.drop_index(_OWNER, table_name="teaching_case")
    op.create_index(_OWNER, "teaching_case", ["owner_id", "status"])
