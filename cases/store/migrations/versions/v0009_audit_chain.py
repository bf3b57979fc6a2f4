"""Audit entries chained by their digests."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from cases.audit import AuditEntry, AuditHead, chained

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BATCH = 1000
FORM = 1
SET_ASIDE = "audit_entry_before"


def upgrade() -> None:
    """Make the table anew, and chain what is there in the order of its ids: the place takes the place of the id."""
    _set_aside()
    op.create_table(
        "audit_entry",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        *_kept_columns(),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("form", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_audit_entry"),
    )
    chain: list[sa.ColumnClause[Any]] = [sa.column(name) for name in ("place", "previous", "digest", "form")]
    table = sa.table("audit_entry", *chain, *_kept_columns())
    head = AuditHead()
    for rows in _batches():
        entries = []
        for row in rows:
            entry = _chained(head, row)
            link = {"place": entry.place, "previous": entry.previous, "digest": entry.digest, "form": FORM}
            entries.append({**row, **link})
            head = entry.head
        op.get_bind().execute(sa.insert(table), [{k: v for k, v in one.items() if k != "id"} for one in entries])
    _finish()
    if op.get_bind().dialect.name == "sqlite":
        # Without it INSERT OR REPLACE would delete a row, and no trigger on DELETE would see it.
        op.execute(
            "CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry "
            "WHEN EXISTS (SELECT 1 FROM audit_entry WHERE place = NEW.place) "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def downgrade() -> None:
    """Take the chain away; entries stay, with their places for ids."""
    _set_aside()
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_kept_columns(),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    kept = ", ".join(column.name for column in _kept_columns())
    op.execute(f"INSERT INTO audit_entry (id, {kept}) SELECT place, {kept} FROM {SET_ASIDE}")  # noqa: S608
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('audit_entry', 'id'), "
            "COALESCE((SELECT max(id) FROM audit_entry), 0) + 1, false)"
        )
    _finish()


def _chained(head: AuditHead, row: Any) -> AuditEntry:
    at = row["at"].replace(tzinfo=UTC) if row["at"].tzinfo is None else row["at"]
    told = {name: row[name] for name in ("actor", "action", "subject", "detail")}
    return chained(head, at=at, form=FORM, **told)


def _kept_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
    ]


def _set_aside() -> None:
    """Give the table another name, and free the names of what hangs on it; its triggers go with it in the end."""
    op.drop_index("ix_audit_entry_subject", "audit_entry")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE audit_entry RENAME CONSTRAINT pk_audit_entry TO pk_audit_entry_before")
        op.execute("DROP TRIGGER audit_entry_append_only ON audit_entry")
    else:
        op.execute("DROP TRIGGER audit_entry_no_update")
        op.execute("DROP TRIGGER audit_entry_no_delete")
        op.execute("DROP TRIGGER IF EXISTS audit_entry_no_replace")
    op.rename_table("audit_entry", SET_ASIDE)


def _batches() -> Iterator[list[Any]]:
    number: sa.ColumnClause[int] = sa.column("id")
    table = sa.table(SET_ASIDE, number, *_kept_columns())
    after = 0
    while True:
        query = sa.select(table).where(number > after).order_by(number).limit(BATCH)
        rows = list(op.get_bind().execute(query).mappings())
        if not rows:
            return
        yield rows
        after = rows[-1]["id"]


def _finish() -> None:
    op.drop_table(SET_ASIDE)
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"])
    if op.get_bind().dialect.name == "postgresql":
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
