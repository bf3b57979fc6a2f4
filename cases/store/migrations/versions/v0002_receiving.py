"""What receiving came to keep: peers that were allowed, storage commitments, receipts, teaching file manifests."""

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
    pass


def _commitments() -> None:
    pass


def _receipts() -> None:
    pass


def _manifests() -> None:
    pass


def downgrade() -> None:
    """Take each part back, the last first; every part that `upgrade` calls gains its counterpart here."""
