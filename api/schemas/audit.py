"""Entries of the audit log on the wire, with what is needed to verify them."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import Answer, Listed
from cases.audit import AuditEntry, AuditHead
from cases.store.audit_reading import AuditPage

DIGEST_EXAMPLE = "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"


class AuditEntryOut(Answer):
    """Who did what to which thing, when. The digest is that of all other fields in canonical JSON."""

    place: int = Field(examples=[1204], description="From 1, without a gap.")
    at: datetime
    actor: str = Field(examples=["ann"])
    action: str = Field(examples=["case.edit"])
    subject: str = Field(examples=["0190b6f2a1c47d3e9b5a4c8e7f6d5b3a"])
    detail: dict[str, str | int | float | bool | None] = Field(examples=[{"version": 2}])
    previous: str = Field(examples=["0" * 64], description="Digest of the entry before.")
    digest: str = Field(examples=[DIGEST_EXAMPLE])
    form: int = Field(examples=[1], description="Of the canonical JSON.")

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Return the answer for an entry."""
        return cls.model_validate(entry)


class AuditHeadOut(Answer):
    """An entry by its place and digest, to be noted down where nobody changes it."""

    place: int = Field(examples=[1205])
    digest: str = Field(examples=[DIGEST_EXAMPLE])

    @classmethod
    def of(cls, head: AuditHead) -> Self:
        """Return the answer for a head."""
        return cls.model_validate(head)


class AuditEntriesOut(Listed[AuditEntryOut]):
    """A page of the audit log."""

    head: AuditHeadOut = Field(description="The entry that says that this list is read; it shows what was before.")

    @classmethod
    def of(cls, page: AuditPage) -> Self:
        """Return the answer for a page."""
        items = [AuditEntryOut.of(entry) for entry in page.items]
        return cls(items=items, next=page.next_cursor, head=AuditHeadOut.of(page.reading))
