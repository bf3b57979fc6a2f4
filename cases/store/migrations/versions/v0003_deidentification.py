"""What de-identification came to keep: keyed tokens for the text screen, the crosswalk, generations of the secret."""

import sqlalchemy as sa
from alembic import op

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
    op.create_table(
        "identifier_hash",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["teaching_case.id"], name="fk_identifier_hash_case_id_teaching_case", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("case_id", "digest", name="pk_identifier_hash"),
    )
    # Nobody knows the identifiers of images that were filed before.
    op.add_column("case_image", sa.Column("identifiers_kept", sa.Boolean(), nullable=False, server_default=sa.false()))


def _pseudonyms() -> None:
    """Generations of the secret, and the crosswalk."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "secret_generation",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("check_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("retired_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_secret_generation"),
    )
    for table in ("received_study", "teaching_case"):
        # What is there was made under the only generation that there was.
        op.add_column(table, sa.Column("secret_generation", sa.Integer(), nullable=False, server_default="1"))
        op.add_column(table, sa.Column("patient_number_key", sa.String(length=64), nullable=False, server_default=""))
    op.create_index("ix_teaching_case_secret_generation", "teaching_case", ["secret_generation"])
    op.create_index("ix_teaching_case_patient_number_key", "teaching_case", ["patient_number_key"])
    op.create_table(
        "crosswalk_entry",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["teaching_case.id"], name="fk_crosswalk_entry_case_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("case_id", name="pk_crosswalk_entry"),
    )


def downgrade() -> None:
    """Take each part back, the last first."""
    _pseudonyms_back()
    _identifier_tokens_back()


def _identifier_tokens_back() -> None:
    """Take back what `_identifier_tokens` made."""
    op.drop_column("case_image", "identifiers_kept")
    op.drop_table("identifier_hash")


def _pseudonyms_back() -> None:
    """Take back what `_pseudonyms` made."""
    op.drop_table("crosswalk_entry")
    op.drop_index("ix_teaching_case_patient_number_key", "teaching_case")
    op.drop_index("ix_teaching_case_secret_generation", "teaching_case")
    for table in ("teaching_case", "received_study"):
        op.drop_column(table, "patient_number_key")
        op.drop_column(table, "secret_generation")
    op.drop_table("secret_generation")
