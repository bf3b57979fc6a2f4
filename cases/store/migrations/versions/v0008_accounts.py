"""Accounts: passwords, scopes of tokens, limits of each user."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ALL_SCOPES = "read write moderate administer"
"""Tokens that are there already go on opening what they opened."""


def upgrade() -> None:
    """Make what is new."""
    for column in (
        sa.Column("unlisted_limit", sa.Integer(), nullable=False, server_default="10"),
        sa.Column("pending_limit", sa.Integer(), nullable=False, server_default="3"),
        sa.Column("is_trusted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("institution_policy", sa.String(32), nullable=False, server_default="deidentified-allowed"),
        sa.Column("password_hash", sa.String(255), nullable=False, server_default=""),
    ):
        op.add_column("user_account", column)
    op.add_column("access_token", sa.Column("scopes", sa.String(100), nullable=False, server_default=ALL_SCOPES))
    op.add_column("access_token", sa.Column("is_session", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "sign_in_failures",
        sa.Column("name_digest", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name_digest", name="pk_sign_in_failures"),
    )
    op.create_index("ix_sign_in_failures_last_at", "sign_in_failures", ["last_at"])


def downgrade() -> None:
    """Take it back: passwords go, and narrow tokens end, which would open everything."""
    op.execute(sa.text(f"DELETE FROM access_token WHERE scopes <> '{ALL_SCOPES}'"))  # noqa: S608 - our own constant
    op.drop_index("ix_sign_in_failures_last_at", "sign_in_failures")
    op.drop_table("sign_in_failures")
    for table, names in (
        ("access_token", ("is_session", "scopes")),
        ("user_account", ("password_hash", "institution_policy", "is_trusted", "pending_limit", "unlisted_limit")),
    ):
        for name in names:
            op.drop_column(table, name)
