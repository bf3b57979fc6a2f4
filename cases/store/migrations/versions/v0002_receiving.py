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
    op.create_table(
        "commitment",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("transaction_key", sa.String(length=32), nullable=False),
        sa.Column("list_digest", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("peer_address", sa.String(length=64), nullable=False),
        sa.Column("association_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("committed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("committed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failure", sa.String(length=64), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name="pk_commitment"),
    )
    op.create_index("ix_commitment_transaction_key", "commitment", ["transaction_key"])
    op.create_index("ix_commitment_state", "commitment", ["state"])
    op.create_table(
        "commitment_instance",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("sop_key", sa.String(length=32), nullable=False),
        sa.Column("failure_reason", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["commitment.request_id"], name="fk_commitment_instance_request_id"),
        sa.PrimaryKeyConstraint("request_id", "sop_key", name="pk_commitment_instance"),
    )
    op.create_index("ix_commitment_instance_sop_key", "commitment_instance", ["sop_key"])
    op.add_column("received_instance", sa.Column("committed_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_received_instance_sop_key", "received_instance", ["sop_key"])


def _receipts() -> None:
    pass


def _manifests() -> None:
    pass


def downgrade() -> None:
    """Take each part back, the last first; every part that `upgrade` calls gains its counterpart here."""
    _commitments_back()
    _peers_back()


def _commitments_back() -> None:
    op.drop_index("ix_received_instance_sop_key", "received_instance")
    op.drop_column("received_instance", "committed_until")
    op.drop_table("commitment_instance")
    op.drop_table("commitment")


def _peers_back() -> None:
    op.drop_column("association", "certificate")
    op.drop_column("association", "tls")
    op.drop_table("peer_rule")
