"""What receiving came to keep: peers that were allowed, storage commitments, receipts, teaching file manifests."""

import secrets

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
    _retention()


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
    op.create_index("ix_received_instance_committed_until", "received_instance", ["committed_until"])


def _receipts() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("received_study", sa.Column("max_settle_s", sa.Float(), nullable=True))
    op.add_column("received_study", sa.Column("settled_at", moment, nullable=True))
    op.add_column("received_study", sa.Column("settled_by", sa.String(length=32), nullable=False, server_default=""))
    op.add_column(
        "received_study",
        sa.Column("last_recorded_at", moment, nullable=False, server_default="2000-01-01 00:00:00.000000"),
    )
    op.add_column("received_study", sa.Column("receipt_code", sa.String(length=16), nullable=False, server_default=""))
    _give_codes()
    op.create_index("ix_received_study_receipt_code", "received_study", ["receipt_code"], unique=True)
    op.create_index(
        "ix_received_study_first_arrival_at_receipt_code", "received_study", ["first_arrival_at", "receipt_code"]
    )
    op.add_column("received_instance", sa.Column("series_key", sa.String(length=32), nullable=False, server_default=""))
    for name in _NUMBERS:
        op.add_column("received_instance", sa.Column(name, sa.BigInteger(), nullable=True))
    _make_refusals_anew(by_class=True)


_NUMBERS = ("instance_number", "acquisition_number", "stated_study", "stated_series", "stated_acquisition")


def _give_codes() -> None:
    """Give every study that is there a receipt code, and its last arrival as the moment of its recording."""
    studies = sa.table(
        "received_study",
        sa.column("key", sa.String()),
        sa.column("receipt_code", sa.String()),
        sa.column("last_recorded_at", sa.DateTime(timezone=True)),
        sa.column("last_arrival_at", sa.DateTime(timezone=True)),
    )
    connection = op.get_bind()
    connection.execute(studies.update().values(last_recorded_at=studies.c.last_arrival_at))
    keys = connection.execute(sa.select(studies.c.key)).scalars().all()
    codes: set[str] = set()
    while len(codes) < len(keys):
        codes.add("".join(secrets.choice(_CODE_ALPHABET) for _ in range(7)))
    for key, code in zip(keys, codes, strict=True):
        connection.execute(studies.update().where(studies.c.key == key).values(receipt_code=code))


_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _make_refusals_anew(*, by_class: bool) -> None:
    """Make the table of refusals again, by SOP class or without; SQLite cannot change a primary key."""
    old = sa.table("refusal", *(sa.column(name) for name in ("association_id", "status", "reason", "count")))
    total = sa.func.sum(old.c.count).label("count")
    columns = (old.c.association_id, old.c.status, old.c.reason)
    found = op.get_bind().execute(sa.select(*columns, total).group_by(*columns)).mappings().all()
    rows = [dict(row) | ({"sop_class_uid": "unknown"} if by_class else {}) for row in found]
    op.drop_table("refusal")
    by = [sa.Column("sop_class_uid", sa.String(length=64), nullable=False)] if by_class else []
    made = op.create_table(
        "refusal",
        sa.Column("association_id", sa.String(length=64), nullable=False),
        *by,
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["association_id"], ["association.id"], name="fk_refusal_association_id_association"),
        sa.PrimaryKeyConstraint(
            "association_id", *(column.name for column in by), "status", "reason", name="pk_refusal"
        ),
    )
    if rows:
        op.bulk_insert(made, rows)


def _manifests() -> None:
    op.create_table(
        "teaching_manifest",
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("group_key", sa.String(length=32), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("arrival_id", name="pk_teaching_manifest"),
    )
    op.create_table(
        "teaching_manifest_entry",
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("received_study", sa.String(length=128), nullable=False),
        sa.Column("sop_key", sa.String(length=32), nullable=False),
        sa.Column("is_listed", sa.Boolean(), nullable=False),
        sa.Column("key_position", sa.Integer(), nullable=True),
        sa.Column("key_frames", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"],
            ["teaching_manifest.arrival_id"],
            name="fk_teaching_manifest_entry_arrival_id_teaching_manifest",
        ),
        sa.PrimaryKeyConstraint("arrival_id", "sop_key", name="pk_teaching_manifest_entry"),
    )
    op.create_index("ix_teaching_manifest_entry_study_sop", "teaching_manifest_entry", ["received_study", "sop_key"])
    op.add_column("case_image", sa.Column("is_selected", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("case_image", sa.Column("is_key", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("case_image", sa.Column("key_position", sa.Integer(), nullable=True))
    op.add_column("case_image", sa.Column("key_frames", sa.JSON(), nullable=False, server_default="[]"))
    for column in (
        sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("systems", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("level", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("hold_reason", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("withheld_words", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("prefilled", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("manifest_group", sa.String(length=32), nullable=False, server_default=""),
    ):
        op.add_column("teaching_case", column)
    op.create_index("ix_teaching_case_manifest_group", "teaching_case", ["manifest_group"])


def _retention() -> None:
    op.add_column("received_instance", sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take each part back, the last first; every part that `upgrade` calls gains its counterpart here."""
    _retention_back()
    _manifests_back()
    _receipts_back()
    _commitments_back()
    _peers_back()


def _commitments_back() -> None:
    op.drop_index("ix_received_instance_committed_until", "received_instance")
    op.drop_index("ix_received_instance_sop_key", "received_instance")
    op.drop_column("received_instance", "committed_until")
    op.drop_table("commitment_instance")
    op.drop_table("commitment")


def _receipts_back() -> None:
    _make_refusals_anew(by_class=False)
    for name in (*_NUMBERS, "series_key"):
        op.drop_column("received_instance", name)
    op.drop_index("ix_received_study_first_arrival_at_receipt_code", table_name="received_study")
    op.drop_index("ix_received_study_receipt_code", table_name="received_study")
    for name in ("receipt_code", "last_recorded_at", "settled_by", "settled_at", "max_settle_s"):
        op.drop_column("received_study", name)


def _peers_back() -> None:
    op.drop_column("association", "certificate")
    op.drop_column("association", "tls")
    op.drop_table("peer_rule")


def _manifests_back() -> None:
    op.drop_index("ix_teaching_case_manifest_group", "teaching_case")
    for name in ("manifest_group", "prefilled", "withheld_words", "hold_reason", "level", "systems", "tags"):
        op.drop_column("teaching_case", name)
    for name in ("key_frames", "key_position", "is_key", "is_selected"):
        op.drop_column("case_image", name)
    op.drop_table("teaching_manifest_entry")
    op.drop_table("teaching_manifest")


def _retention_back() -> None:
    op.drop_column("received_instance", "recorded_at")
