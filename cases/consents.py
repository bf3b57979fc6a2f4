"""The document of a consent: what it may be, and what is known of one that is sealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from cases.errors import InvalidChangeError

MAX_DOCUMENT_BYTES = 10 * 1024 * 1024
MAX_REASON_CHARS = 200


class DocumentType(StrEnum):
    """What a document may be, as a media type."""

    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"

    @classmethod
    def of(cls, identified_document: bytes) -> Self | None:
        """Return what a document begins like; None where it is nothing that is taken."""
        return next((kind for kind in cls if identified_document.startswith(_BEGINNINGS[kind])), None)


_BEGINNINGS: Mapping[str, bytes] = {
    DocumentType.PDF: b"%PDF-",
    DocumentType.PNG: b"\x89PNG\r\n\x1a\n",
    DocumentType.JPEG: b"\xff\xd8\xff",
}


class DocumentFate(StrEnum):
    """What became of the document of a case whose images went to another one."""

    NONE = "none"
    """There was none."""
    STAYS = "stays"
    """It is that of the case that was left."""
    GONE = "gone"
    """It was deleted with the case that was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDocument:
    """What is told of a document."""

    kept_at: datetime
    media_type: DocumentType
    size_bytes: int
    """Of the document, not of what it is sealed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDocument:
    """A document as it lies in the blob store, where nobody can open it."""

    blob_key: str = field(repr=False)
    key_id: str
    """Which public key it is sealed to."""
    media_type: DocumentType
    size_bytes: int
    """Of the document."""
    sha256: str
    """Of the sealed bytes."""


def document_blob_key(case_id: str, document_id: str) -> str:
    """Return where a sealed document lies."""
    return f"consents/{case_id}/{document_id}"


def checked_reason(reason: str) -> str:
    """Return a reason as one line.

    Raises
    ------
    InvalidChangeError
        When there is none, it is too long, or holds what is no text.
    """
    line = " ".join(reason.split())
    if not 0 < len(line) <= MAX_REASON_CHARS or not line.isprintable():
        raise InvalidChangeError(
            f"say why, in 1 to {MAX_REASON_CHARS} characters, without anything that identifies the patient"
        )
    return line
