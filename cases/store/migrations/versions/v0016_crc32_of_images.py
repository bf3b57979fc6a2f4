"""The CRC-32 of filed images, which archives of a case need before their first byte."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column, empty: it is filled as cases are downloaded, and no file is read for it now."""
    op.add_column("case_image", sa.Column("crc32", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("case_image", "crc32")
