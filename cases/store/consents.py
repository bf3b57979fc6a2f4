"""Documents of consents: one for a case, sealed before it comes here."""

from datetime import timedelta

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from cases import states
from cases.consents import DocumentType, SealedDocument, checked_reason
from cases.errors import CaseNotFoundError, StoreUnavailableError, TypedPlace, VersionConflictError
from cases.model import CaseDetail
from cases.store import views
from cases.store.clock import now as clock_now
from cases.store.condemned import condemn, condemn_later, spare
from cases.store.consent_rows import ConsentDocumentRow
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.rows import CaseRow
from cases.store.shells import lock_case
from cases.text_screen import TextScreen, check_texts
from cases.users import User

WRITING = timedelta(days=1)
"""For how long what is written for a case may be on its way; a blob that nobody came back for goes then."""


class Consents:
    """The documents, each with its case."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- keeping -----------------------------------------------------------------------------------------------------

    def begin(self, viewer: User, case_id: str, blob_key: str, *, version: int | None = None) -> None:
        """Keep that a sealed document is about to be written: a crash before ``keep`` leaves no blob for good.

        Raises
        ------
        CaseNotFoundError, NotAllowedError, InvalidTransitionError, VersionConflictError
            As ``keep``.
        """
        self._editable(viewer, case_id, version)
        condemn_later(self._session, blob_key, case_id, clock_now() + WRITING)

    def keep(
        self, viewer: User, case_id: str, document: SealedDocument, *, version: int | None = None
    ) -> tuple[CaseDetail, str]:
        """Let a document that was begun and is written be the one of its case.

        Returns
        -------
        tuple
            The case, and the key of the blob that it replaces: condemned, or empty where there was none.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        NotAllowedError
            When the viewer is neither the owner nor an editor.
        InvalidTransitionError
            When the case is in a state in which the viewer does not edit it.
        VersionConflictError
            When somebody changed the case since.
        StoreUnavailableError
            When it took so long to write that its blob may be gone.
        """
        case = self._editable(viewer, case_id, version)
        if not spare(self._session, document.blob_key):
            raise StoreUnavailableError("the document took too long to be written: send it again")
        old = self._take_out(case_id)
        self._session.add(
            ConsentDocumentRow(
                case_id=case_id,
                key_id=document.key_id,
                media_type=document.media_type.value,
                size_bytes=document.size_bytes,
                sha256=document.sha256,
                blob_key=document.blob_key,
                kept_at=clock_now(),
                kept_by=viewer.name,
            )
        )
        self._changed(case)
        return views.detail(self._session, case), old

    def _editable(self, viewer: User, case_id: str, version: int | None) -> CaseRow:
        case = lock_case(self._session, case_id)
        states.check_editable(viewer, case.owner_id, case.status, case.visibility)
        if version is not None and case.version != version:
            raise VersionConflictError("the case was changed since it was read: read it again, then repeat the request")
        return case

    # -- reading -----------------------------------------------------------------------------------------------------

    def for_reading(self, case_id: str, reason: str, screen: TextScreen) -> SealedDocument:
        """Return where the document of a case lies; the caller writes down who reads it and why.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        InvalidChangeError
            When the reason is none.
        IdentifyingTextError
            When the reason could identify somebody: it stays in the audit log for good.
        """
        row = self._session.get(ConsentDocumentRow, case_id)
        if row is None:
            raise CaseNotFoundError("the case has no document of a consent")
        known = HashesOfIdentifiers(self._session).known(self._session.get_one(CaseRow, case_id))
        check_texts(screen, [(TypedPlace(field="reason"), checked_reason(reason))], known)
        return SealedDocument(
            blob_key=row.blob_key,
            key_id=row.key_id,
            media_type=DocumentType(row.media_type),
            size_bytes=row.size_bytes,
            sha256=row.sha256,
        )

    def blob_keys(self, case_id: str) -> list[str]:
        """Return where the document of a case lies; nothing where there is none."""
        query = select(ConsentDocumentRow.blob_key).where(ConsentDocumentRow.case_id == case_id)
        return list(self._session.scalars(query))

    def counts(self) -> dict[str, int]:
        """Return how many documents are sealed to each key."""
        key_id = ConsentDocumentRow.key_id
        query = select(key_id, func.count()).group_by(key_id).order_by(key_id)
        return {key_id: count for key_id, count in self._session.execute(query)}  # noqa: C416 - rows are no tuples

    # -- deleting ----------------------------------------------------------------------------------------------------

    def delete(self, case_id: str) -> str:
        """Delete the document of a case, whatever its state; return the key of its condemned blob.

        Raises
        ------
        CaseNotFoundError
            When there is no such case, or it has no document.
        """
        case = lock_case(self._session, case_id)
        key = self._take_out(case_id)
        if not key:
            raise CaseNotFoundError("the case has no document of a consent")
        self._changed(case)
        return key

    def forget(self, case_id: str) -> str:
        """Delete the document of a case that is emptied, if there is one; return the key of its condemned blob."""
        return self._take_out(case_id)

    def _take_out(self, case_id: str) -> str:
        query = delete(ConsentDocumentRow).where(ConsentDocumentRow.case_id == case_id)
        key = self._session.scalar(query.returning(ConsentDocumentRow.blob_key)) or ""
        condemn(self._session, [key] if key else [], case_id)
        return key

    def _changed(self, case: CaseRow) -> None:
        # An editor never saw the document, so that another one takes nothing back of what the editor said.
        is_approved = case.approved_version == case.version
        case.version += 1
        case.updated_at = clock_now()
        if is_approved:
            case.approved_version = case.version
        self._session.flush()


def has_document(session: Session, case_id: str) -> bool:
    """Tell whether a case has a document."""
    return bool(session.scalar(select(exists().where(ConsentDocumentRow.case_id == case_id))))
