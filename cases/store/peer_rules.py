"""Peer rules that were added while the bridge runs: who may send besides those whom the settings name."""

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from cases.errors import CaseNotFoundError
from cases.peers import AllowedPeer, NewPeerRule
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.rows import AE_TITLE, ID, Base, new_id

_LOCK = 0x50454552  # "PEER": any constant of our own, for the advisory lock of PostgreSQL


class PeerRuleRow(Base):
    """A peer rule; one that was removed stays, so that it can be seen who might send when."""

    __tablename__ = "peer_rule"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True, default=new_id)
    calling_ae: Mapped[str] = mapped_column(String(AE_TITLE))
    addresses: Mapped[list[Any]]
    certificates: Mapped[list[Any]]
    max_associations: Mapped[int | None] = mapped_column(Integer)
    note: Mapped[str] = mapped_column(String(200), default="")
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    removed_by: Mapped[str | None] = mapped_column(String(200))
    removed_at: Mapped[datetime | None]


class PeerRules:
    """The rules that were added; each change stands in the audit log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self) -> None:
        """Keep other writers of the rules out until the transaction ends. On SQLite every writer is alone anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    def in_force(self) -> tuple[AllowedPeer, ...]:
        """Return the rules that were not removed, in the order in which they were added."""
        query = (
            select(PeerRuleRow).where(PeerRuleRow.removed_at.is_(None)).order_by(PeerRuleRow.created_at, PeerRuleRow.id)
        )
        return tuple(_value(row) for row in self._session.scalars(query))

    def allow(self, actor: str, rule: NewPeerRule) -> AllowedPeer:
        """Add a rule; one that says the same as a rule in force adds nothing and returns that one."""
        self.lock()
        for known in self.in_force():
            if _terms(known) == _terms(rule):
                return known
        row = PeerRuleRow(
            calling_ae=rule.calling_ae,
            addresses=list(rule.addresses),
            certificates=list(rule.certificates),
            max_associations=rule.max_associations,
            note=rule.note,
            created_by=actor,
            created_at=clock_now(),
        )
        self._session.add(row)
        self._session.flush()
        Audit(self._session).append(actor, "peer.allow", row.id, _detail(row))
        return _value(row)

    def remove(self, actor: str, rule_id: str) -> AllowedPeer:
        """Take a rule back; its row stays.

        Raises
        ------
        CaseNotFoundError
            When there is no such rule in force.
        """
        self.lock()
        row = self._session.get(PeerRuleRow, rule_id)
        if row is None or row.removed_at is not None:
            raise CaseNotFoundError("there is no such peer rule")
        row.removed_by, row.removed_at = actor, clock_now()
        self._session.flush()
        Audit(self._session).append(actor, "peer.remove", row.id, _detail(row))
        return _value(row)


def _terms(rule: NewPeerRule) -> tuple[object, ...]:
    return rule.calling_ae, sorted(rule.addresses), sorted(rule.certificates), rule.max_associations


def _detail(row: PeerRuleRow) -> dict[str, str | int | bool | None]:
    # AE titles, addresses and certificates of machines: what an auditor asks for. The note is the administrator's text.
    return {
        "calling_ae": row.calling_ae,
        "addresses": " ".join(row.addresses),
        "certificates": " ".join(row.certificates),
        "max_associations": row.max_associations,
    }


def _value(row: PeerRuleRow) -> AllowedPeer:
    return AllowedPeer(
        id=row.id,
        calling_ae=row.calling_ae,
        addresses=tuple(row.addresses),
        certificates=tuple(row.certificates),
        max_associations=row.max_associations,
        note=row.note,
        created_by=row.created_by,
        created_at=row.created_at,
    )
