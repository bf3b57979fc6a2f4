"""Sealed entries that tell whose a case is; what opens them is not here."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, delete, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from cases.store.clock import now as clock_now
from cases.store.rows import ID, Base, CaseImageRow
from cases.store.upsert import insert_or_nothing


class CrosswalkRow(Base):
    """Whose a case is, sealed to a key that is not here."""

    __tablename__ = "crosswalk_entry"

    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(ID))
    """Which public key it is sealed to."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    sealed_for: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    """The case that it is bound to, where it is another: the entry came from there with images."""


class Crosswalk:
    """The entries, one for each case; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, case_id: str, arrival_id: str, key_id: str, sealed: bytes) -> None:
        """Keep the entry of a case once it holds the image of this arrival; a later one changes nothing."""
        filed = exists().where(CaseImageRow.case_id == case_id, CaseImageRow.arrival_id == arrival_id)
        if self._session.scalar(select(filed)):
            values = {"case_id": case_id, "key_id": key_id, "sealed": sealed, "created_at": clock_now()}
            insert_or_nothing(self._session, CrosswalkRow, [values], ["case_id"])

    def find(self, case_id: str) -> tuple[str, bytes] | None:
        """Return the id of the key and the sealed entry of a case, None where there is none."""
        row = self._session.get(CrosswalkRow, case_id)
        return None if row is None else (row.key_id, row.sealed)

    def bound_to(self, case_id: str) -> str:
        """Return the case that the entry of a case is bound to: it opens for that one alone."""
        row = self._session.get(CrosswalkRow, case_id)
        return (row.sealed_for if row is not None else "") or case_id

    def copy(self, from_case: str, to_case: str) -> None:
        """Let a case have the entry of another one whose images it gets, unless it has one: they are one patient's."""
        found = self._session.get(CrosswalkRow, from_case)
        if found is None:
            return
        bound = found.sealed_for or from_case
        values = {"case_id": to_case, "key_id": found.key_id, "sealed": found.sealed, "created_at": clock_now()}
        values["sealed_for"] = "" if bound == to_case else bound
        insert_or_nothing(self._session, CrosswalkRow, [values], ["case_id"])

    def counts(self) -> dict[str, int]:
        """Return how many entries are sealed to each key."""
        query = select(CrosswalkRow.key_id, func.count()).group_by(CrosswalkRow.key_id).order_by(CrosswalkRow.key_id)
        return {key_id: count for key_id, count in self._session.execute(query)}  # noqa: C416 - rows are no tuples

    def forget(self, case_id: str) -> None:
        """Delete the entry of a case."""
        self._session.execute(delete(CrosswalkRow).where(CrosswalkRow.case_id == case_id))

    def forget_without_images(self, case_id: str) -> None:
        """Delete the entry of a case when its last image has gone."""
        self._session.execute(
            delete(CrosswalkRow).where(
                CrosswalkRow.case_id == case_id, ~exists().where(CaseImageRow.case_id == case_id)
            )
        )

    def forget_all(self) -> int:
        """Delete every entry, and return how many there were."""
        return len(self._session.execute(delete(CrosswalkRow).returning(CrosswalkRow.case_id)).all())
