"""Revisions of profiles, which of them a name and a route mean, and which of them a case was made under."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; what the cases that are there were made under stands with each of their images."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "profile_revision",
        sa.Column("revision", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("known_since", moment, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_profile_revision"),
    )
    op.create_index("ix_profile_revision_name", "profile_revision", ["name"])
    op.create_table(
        "profile_publication",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.String(length=16), nullable=False),
        sa.Column("published_at", moment, nullable=False),
        sa.Column("published_by", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision"], ["profile_revision.revision"], name="fk_profile_publication_revision_profile_revision"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_profile_publication"),
    )
    op.create_index("ix_profile_publication_name_id", "profile_publication", ["name", "id"])
    op.create_table(
        "route_profile",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.String(length=16), nullable=False),
        sa.Column("set_at", moment, nullable=False),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_route_profile"),
    )
    op.create_index("ix_route_profile_called_ae_calling_ae_id", "route_profile", ["called_ae", "calling_ae", "id"])
    op.add_column("teaching_case", sa.Column("profile_revision", sa.String(16), nullable=False, server_default=""))
    op.create_index("ix_teaching_case_profile_revision", "teaching_case", ["profile_revision"])


def downgrade() -> None:
    """Take the tables back."""
    op.drop_index("ix_teaching_case_profile_revision", "teaching_case")
    op.drop_column("teaching_case", "profile_revision")
    for table in ("route_profile", "profile_publication", "profile_revision"):
        op.drop_table(table)
