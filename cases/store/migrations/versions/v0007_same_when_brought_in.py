"""Whether what a re-run made is the image that is there is seen when it is brought in, not before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop what was known too early."""
    op.drop_column("staged_instance", "is_same")


def downgrade() -> None:
    """Take it back; what is staged has its blob."""
    op.add_column("staged_instance", sa.Column("is_same", sa.Boolean(), nullable=False, server_default=sa.false()))
