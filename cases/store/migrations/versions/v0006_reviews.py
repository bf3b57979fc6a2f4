"""What people decide on the pixels of held images, and which images are laid out alike."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FACTS = ("rows", "columns", "frames")


def upgrade() -> None:
    """Make the tables; what arrived before is of no layout."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "pixel_review",
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("redact", sa.JSON(), nullable=False),
        sa.Column("safe", sa.JSON(), nullable=False),
        sa.Column("safe_elsewhere", sa.JSON(), nullable=False),
        sa.Column("accepts_face", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["received_instance.arrival_id"], name="fk_pixel_review_arrival_id_received_instance"
        ),
        sa.PrimaryKeyConstraint("arrival_id", name="pk_pixel_review"),
    )
    op.create_table(
        "pixel_decision",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.Column("undone_by", sa.String(length=200), nullable=False),
        sa.Column("undone_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["received_instance.arrival_id"], name="fk_pixel_decision_arrival_id_received_instance"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pixel_decision"),
    )
    op.create_index("ix_pixel_decision_arrival_id", "pixel_decision", ["arrival_id"])
    op.create_index("ix_pixel_decision_group_id", "pixel_decision", ["group_id"])
    op.create_table(
        "site_layout",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("layout_key", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("boxes", sa.JSON(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("changed_by", sa.String(length=200), nullable=False),
        sa.Column("changed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_site_layout"),
        sa.UniqueConstraint("layout_key", name="uq_site_layout_layout_key"),
    )
    op.add_column("received_instance", sa.Column("layout_key", sa.String(32), nullable=False, server_default=""))
    for name in _FACTS:
        op.add_column("received_instance", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_received_instance_layout_key", "received_instance", ["layout_key"])
    op.add_column("teaching_case", sa.Column("faces_acknowledged", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("hold", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("hold", sa.Column("errand_id", sa.String(32), nullable=False, server_default=""))
    op.add_column("errand", sa.Column("is_review", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("staged_instance", sa.Column("review", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take the tables back."""
    op.drop_column("staged_instance", "review")
    op.drop_column("errand", "is_review")
    for name in ("errand_id", "version"):
        op.drop_column("hold", name)
    op.drop_column("teaching_case", "faces_acknowledged")
    op.drop_index("ix_received_instance_layout_key", "received_instance")
    for name in ("layout_key", *_FACTS):
        op.drop_column("received_instance", name)
    for table in ("site_layout", "pixel_decision", "pixel_review"):
        op.drop_table(table)
