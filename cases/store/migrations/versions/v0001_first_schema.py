"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "association",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("peer_address", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_association"),
    )
    op.create_index("ix_association_outcome", "association", ["outcome"])

    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"])

    op.create_table(
        "condemned_blob",
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=True),
        sa.Column("condemned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("blob_key", name="pk_condemned_blob"),
    )
    op.create_index("ix_condemned_blob_case_id", "condemned_blob", ["case_id"])

    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_index("ix_lease_expires_at", "lease", ["expires_at"])

    op.create_table(
        "received_study",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("study_key", sa.String(length=32), nullable=False),
        sa.Column("destination_id", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("owner_name", sa.String(length=200), nullable=True),
        sa.Column("hospital", sa.String(length=200), nullable=False),
        sa.Column("profile", sa.String(length=100), nullable=False),
        sa.Column("quiet_period_s", sa.Float(), nullable=True),
        sa.Column("first_arrival_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_arrival_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unassigned_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("patient_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_received_study"),
    )
    op.create_index("ix_received_study_patient_key", "received_study", ["patient_key"])
    op.create_index("ix_received_study_study_key", "received_study", ["study_key"])
    op.create_index("ix_received_study_unassigned_since", "received_study", ["unassigned_since"])

    op.create_table(
        "user_account",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("draft_limit", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("name", name="uq_user_account_name"),
    )
    op.create_table(
        "access_token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_access_token_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.UniqueConstraint("sha256", name="uq_access_token_sha256"),
    )
    op.create_index("ix_access_token_user_id", "access_token", ["user_id"])

    op.create_table(
        "declined_context",
        sa.Column("association_id", sa.String(length=64), nullable=False),
        sa.Column("abstract_syntax", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["association_id"], ["association.id"], name="fk_declined_context_association_id"),
        sa.PrimaryKeyConstraint("association_id", "abstract_syntax", "reason", name="pk_declined_context"),
    )
    op.create_table(
        "refusal",
        sa.Column("association_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["association_id"], ["association.id"], name="fk_refusal_association_id"),
        sa.PrimaryKeyConstraint("association_id", "status", "reason", name="pk_refusal"),
    )
    op.create_table(
        "teaching_case",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("visibility", sa.String(length=32), nullable=False),
        sa.Column("received_study", sa.String(length=128), nullable=True),
        sa.Column("previous_case_id", sa.String(length=32), nullable=True),
        sa.Column("sender", sa.String(length=16), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("profile", sa.String(length=100), nullable=False),
        sa.Column("patient_key", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("presentation", sa.Text(), nullable=False),
        sa.Column("discussion", sa.Text(), nullable=False),
        sa.Column("age_band", sa.String(length=32), nullable=False),
        sa.Column("sex", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name="fk_teaching_case_owner_id"),
        sa.ForeignKeyConstraint(["previous_case_id"], ["teaching_case.id"], name="fk_teaching_case_previous_case_id"),
        sa.ForeignKeyConstraint(["received_study"], ["received_study.key"], name="fk_teaching_case_received_study"),
        sa.PrimaryKeyConstraint("id", name="pk_teaching_case"),
    )
    op.create_index("ix_teaching_case_created_at_id", "teaching_case", ["created_at", "id"])
    op.create_index("ix_teaching_case_owner_status", "teaching_case", ["owner_id", "status"])
    op.create_index("ix_teaching_case_patient_key", "teaching_case", ["patient_key"])
    op.create_index("ix_teaching_case_received_study", "teaching_case", ["received_study"])
    op.create_index("ix_teaching_case_status_created_at", "teaching_case", ["status", "created_at"])

    op.create_table(
        "case_study",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("modality", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("study_day", sa.String(length=8), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name="fk_case_study_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_study"),
        sa.UniqueConstraint(
            "case_id", "study_instance_uid", "modality", name="uq_case_study_case_id_study_instance_uid_modality"
        ),
    )
    op.create_table(
        "received_instance",
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("received_study", sa.String(length=128), nullable=False),
        sa.Column("study_key", sa.String(length=32), nullable=False),
        sa.Column("sop_key", sa.String(length=32), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("peer_address", sa.String(length=64), nullable=False),
        sa.Column("association_id", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("case_id", sa.String(length=32), nullable=True),
        sa.Column("duplicate_of", sa.String(length=32), nullable=True),
        sa.Column("fingerprint_dataset", sa.String(length=64), nullable=False),
        sa.Column("fingerprint_pixels", sa.String(length=64), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name="fk_received_instance_case_id"),
        sa.ForeignKeyConstraint(["received_study"], ["received_study.key"], name="fk_received_instance_received_study"),
        sa.PrimaryKeyConstraint("arrival_id", name="pk_received_instance"),
    )
    op.create_index("ix_received_instance_association", "received_instance", ["association_id"])
    op.create_index("ix_received_instance_case_outcome", "received_instance", ["case_id", "outcome"])
    op.create_index("ix_received_instance_outcome_received_at", "received_instance", ["outcome", "received_at"])
    op.create_index("ix_received_instance_study_sop", "received_instance", ["received_study", "sop_key"])

    op.create_table(
        "case_series",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_study_id", sa.String(length=32), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("perspective", sa.String(length=200), nullable=False),
        sa.Column("specifics", sa.String(length=200), nullable=False),
        sa.Column("body_part", sa.String(length=64), nullable=False),
        sa.Column("laterality", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["case_study_id"], ["case_study.id"], name="fk_case_series_case_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_series"),
        sa.UniqueConstraint(
            "case_study_id", "series_instance_uid", name="uq_case_series_case_study_id_series_instance_uid"
        ),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["arrival_id"], ["received_instance.arrival_id"], name="fk_hold_arrival_id"),
        sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name="fk_hold_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
        sa.UniqueConstraint("arrival_id", name="uq_hold_arrival_id"),
    )
    op.create_index("ix_hold_case_state", "hold", ["case_id", "state"])
    op.create_index("ix_hold_state_held_at", "hold", ["state", "held_at", "id"])

    op.create_table(
        "case_image",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("series_id", sa.String(length=32), nullable=False),
        sa.Column("arrival_id", sa.String(length=32), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("instance_number", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.JSON(), nullable=True),
        sa.Column("orientation", sa.JSON(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("has_pixels", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("detector", sa.String(length=100), nullable=False),
        sa.Column("profile", sa.String(length=100), nullable=False),
        sa.Column("profile_revision", sa.String(length=64), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("blob_key", sa.String(length=512), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["arrival_id"], ["received_instance.arrival_id"], name="fk_case_image_arrival_id"),
        sa.ForeignKeyConstraint(["case_id"], ["teaching_case.id"], name="fk_case_image_case_id"),
        sa.ForeignKeyConstraint(["series_id"], ["case_series.id"], name="fk_case_image_series_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_image"),
        sa.UniqueConstraint("arrival_id", name="uq_case_image_arrival_id"),
        sa.UniqueConstraint("blob_key", name="uq_case_image_blob_key"),
        sa.UniqueConstraint("case_id", "sop_instance_uid", name="uq_case_image_case_id_sop_instance_uid"),
    )
    op.create_index("ix_case_image_series_id", "case_image", ["series_id"])
    _refuse_changes_of_the_audit_log()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_entry_append_only ON audit_entry")
        op.execute("DROP FUNCTION audit_entry_append_only()")
    for table in (
        "case_image",
        "hold",
        "case_series",
        "received_instance",
        "case_study",
        "teaching_case",
        "refusal",
        "declined_context",
        "access_token",
        "user_account",
        "received_study",
        "lease",
        "condemned_blob",
        "audit_entry",
        "association",
    ):
        op.drop_table(table)


def _refuse_changes_of_the_audit_log() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_append_only()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_entry_no_{change.lower()} BEFORE {change} ON audit_entry "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
