"""The table of the documents of consents: what is known of them, while they lie sealed in the blob store."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from cases.store.rows import ID, SHA256, Base


class ConsentDocumentRow(Base):
    """The document of one case. Its name is kept nowhere."""

    __tablename__ = "consent_document"

    case_id: Mapped[str] = mapped_column(ForeignKey("teaching_case.id"), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(ID))
    """Which public key it is sealed to."""
    media_type: Mapped[str] = mapped_column(String(32))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    """Of the document."""
    sha256: Mapped[str] = mapped_column(String(SHA256))
    """Of the sealed bytes."""
    blob_key: Mapped[str] = mapped_column(String(512), unique=True)
    kept_at: Mapped[datetime]
    kept_by: Mapped[str] = mapped_column(String(200))
