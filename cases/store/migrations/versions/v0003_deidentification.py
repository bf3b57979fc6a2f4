"""What de-identification came to keep: keyed tokens for the text screen, the crosswalk, generations of the secret."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make each part; every part has its counterpart in `downgrade`."""
    _identifier_tokens()
    _pseudonyms()


def _identifier_tokens() -> None:
    """Keyed hashes of the identifiers of a case's originals, for the text screen."""


def _pseudonyms() -> None:
    """Generations of the secret, and the crosswalk."""


def downgrade() -> None:
    """Take each part back, the last first."""
    _pseudonyms_back()
    _identifier_tokens_back()


def _identifier_tokens_back() -> None:
    """Take back what `_identifier_tokens` made."""


def _pseudonyms_back() -> None:
    """Take back what `_pseudonyms` made."""
