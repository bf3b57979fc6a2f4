"""Documents of consents, sealed in the blob store; and blobs that are condemned unless somebody comes back for them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the column, empty for all that was condemned at once."""
    op.create_table(
        "consent_document",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name="fk_consent_document_case_id_teaching_case"),
        sa.PrimaryKeyConstraint("case_id", name="pk_consent_document"),
        sa.UniqueConstraint("blob_key", name="uq_consent_document_blob_key"),
    )
    op.add_column("condemned_blob", sa.Column("spared_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Condemn the documents and take table and column back; nothing would know of their blobs."""
    op.execute(
        "INSERT INTO condemned_blob (blob_key, case_id, condemned_at) "
        "SELECT blob_key, case_id, kept_at FROM consent_document"
    )
    op.drop_column("condemned_blob", "spared_until")
    op.drop_table("consent_document")
