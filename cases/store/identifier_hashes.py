"""Keyed hashes of the identifiers that a case's originals held. Without the text screen's key they say nothing."""

from collections import defaultdict

from sqlalchemy import ForeignKey, LargeBinary, String, delete, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from cases.store.rows import ID, Base, CaseImageRow, CaseRow
from cases.store.upsert import insert_or_nothing
from deidentify.results import IdentifierHashes, KnownIdentifiers

DIGEST_BYTES = 16
MOST_OF_A_CASE = 4_000
"""Hashes of a case: one has some hundreds; files that are made to fill the database have as many as they like."""


class IdentifierHashRow(Base):
    """One keyed hash of one case."""

    __tablename__ = "identifier_hash"

    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), primary_key=True)
    made_for: Mapped[str] = mapped_column(String(ID), default="", server_default="")
    """The case that keys it, where it is another: hashes came from there with images, and cannot be made anew."""


class HashesOfIdentifiers:
    """What the text screen knows of a case; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, case_id: str, found: IdentifierHashes) -> bool:
        """Keep the hashes of one original; those that are there already stay.

        Returns
        -------
        bool
            Whether all identifiers of the original are kept now: not where it, or its case, has more than there may be.
        """
        there = self._of(case_id)
        new = sorted(found.hashes - there)
        room = max(0, MOST_OF_A_CASE - len(there))
        insert_or_nothing(
            self._session,
            IdentifierHashRow,
            [{"case_id": case_id, "digest": digest} for digest in new[:room]],
            ["case_id", "digest"],
        )
        return found.is_whole and len(new) <= room

    def known(self, case: CaseRow) -> KnownIdentifiers:
        """Return what typed texts of a case are held against."""
        image = CaseImageRow.case_id == case.id
        some, lacking = self._session.execute(
            select(exists().where(image), exists().where(image, ~CaseImageRow.identifiers_kept))
        ).one()
        hashes: defaultdict[str, set[bytes]] = defaultdict(set)
        query = select(IdentifierHashRow).where(IdentifierHashRow.case_id == case.id)
        for row in self._session.scalars(query):
            hashes[row.made_for or case.id].add(bytes(row.digest))
        return KnownIdentifiers(
            case_id=case.id,
            generation=case.secret_generation,
            hashes=frozenset(hashes.pop(case.id, ())),
            is_whole=bool(some) and not lacking,
            of_others={made_for: frozenset(found) for made_for, found in hashes.items()},
        )

    def copy(self, from_case: str, to_case: str) -> bool:
        """Let a case know what another one knows, whose images it gets; return whether there was room for all of it."""
        there = self._of(to_case)
        rows = self._session.scalars(select(IdentifierHashRow).where(IdentifierHashRow.case_id == from_case)).all()
        new = sorted((bytes(row.digest), row.made_for or from_case) for row in rows if bytes(row.digest) not in there)
        room = max(0, MOST_OF_A_CASE - len(there))
        insert_or_nothing(
            self._session,
            IdentifierHashRow,
            [
                {"case_id": to_case, "digest": digest, "made_for": "" if made_for == to_case else made_for}
                for digest, made_for in new[:room]
            ],
            ["case_id", "digest"],
        )
        return len(new) <= room

    def forget(self, case_id: str) -> None:
        """Delete what is kept of a case."""
        self._session.execute(delete(IdentifierHashRow).where(IdentifierHashRow.case_id == case_id))

    def forget_without_images(self, case_id: str) -> None:
        """Delete what is kept of a case when its last image has gone."""
        self._session.execute(
            delete(IdentifierHashRow).where(
                IdentifierHashRow.case_id == case_id, ~exists().where(CaseImageRow.case_id == case_id)
            )
        )

    def _of(self, case_id: str) -> frozenset[bytes]:
        query = select(IdentifierHashRow.digest).where(IdentifierHashRow.case_id == case_id)
        return frozenset(bytes(digest) for digest in self._session.scalars(query))
