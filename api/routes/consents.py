"""The document of a consent: sealed as it comes, given out sealed to the privacy officer alone, each time on record."""

import hashlib
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Request, Response

from api.context import AuthorizedCall, Call
from api.errors import InvalidRequestError, UnsupportedMediaTypeError
from api.etags import expected_version
from api.openapi import problems
from api.ports import ConsentSeal
from api.routes.cases import answer, purge
from api.schemas.cases import CaseOut
from api.schemas.common import Key
from cases.consents import (
    MAX_DOCUMENT_BYTES,
    MAX_REASON_CHARS,
    DocumentType,
    SealedDocument,
    checked_reason,
    document_blob_key,
)
from cases.errors import BlobNotFoundError, CaseError, DocumentsNotKeptError, IdentifyingTextError
from cases.model import CaseDetail
from cases.store import Audit, Cases, Consents

router = APIRouter(prefix="/api/v1/cases/{case_id}/consent-document", tags=["cases"])
log = logging.getLogger("casebridge.api")

SEALED = "application/octet-stream"
_NOT_KEPT = {"Cache-Control": "no-store"}
_BINARY = {"type": "string", "format": "binary"}
_DOCUMENT_BODY = {
    "requestBody": {
        "required": True,
        "description": f"The document itself, at most {MAX_DOCUMENT_BYTES >> 20} MiB.",
        "content": {kind.value: {"schema": _BINARY} for kind in DocumentType},
    }
}
_SEALED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sealed document; `casebridge consent open` opens it where the private key is.",
        "content": {SEALED: {"schema": {"type": "string", "contentMediaType": SEALED}}},
    }
}

IfMatch = Annotated[str | None, Header(description="The ETag of the case that the request builds on.", max_length=512)]
Reason = Annotated[
    str,
    Header(
        description="Why it is read, for the audit log, without anything that identifies the patient.",
        min_length=1,
        max_length=4 * MAX_REASON_CHARS,
        examples=["The patient asks what was signed."],
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    identified_document: bytes = field(repr=False)
    media_type: DocumentType
    seal: ConsentSeal


async def _document(call: Call, request: Request) -> _Sent:
    """Return the body of a caller who may send one: it is not read before."""
    seal = call.context.consent_seal
    if seal is None:
        raise DocumentsNotKeptError("no documents of consents are kept here: give the reference number instead")
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if stated not in {*DocumentType}:
        raise UnsupportedMediaTypeError(f"Send the file itself, with Content-Type: {' or '.join(DocumentType)}.")
    identified_document = await request.body()
    if DocumentType.of(identified_document) != stated:
        raise InvalidRequestError("The file does not begin as its Content-Type says: nothing of it was kept.")
    return _Sent(identified_document=identified_document, media_type=DocumentType(stated), seal=seal)


@router.put("", response_model=CaseOut, responses=problems(403, 404, 409, 412, 413, 415), openapi_extra=_DOCUMENT_BODY)
def keep_consent_document(
    call: Call, sent: Annotated[_Sent, Depends(_document)], *, case_id: Key, if_match: IfMatch = None
) -> Response:
    """Keep the signed consent, sealed to a key that is not here; it replaces an older one. You cannot read it again.

    Its file name is not taken.
    """
    version = expected_version(if_match)
    blob_key = document_blob_key(case_id, uuid4().hex)
    with call.database.write() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        Consents(session).begin(call.caller, case_id, blob_key, version=version)
    try:
        sealed = sent.seal.seal(sent.identified_document, case_id)
        call.context.blobs.put(blob_key, sealed)
        document = SealedDocument(
            blob_key=blob_key,
            key_id=sent.seal.key_id,
            media_type=sent.media_type,
            size_bytes=len(sent.identified_document),
            sha256=hashlib.sha256(sealed).hexdigest(),
        )
        detail, old_key = _kept(call, case_id, document, version)
    except Exception:
        _leave(call, blob_key)
        raise
    purge(call, [old_key] if old_key else [])
    return answer(CaseOut.of_detail(detail), detail.summary.version)


@router.get("", response_class=Response, responses={**_SEALED, **problems(403, 404)})
def read_consent_document(call: Call, *, case_id: Key, reason: Reason) -> Response:
    """Give the sealed document to the privacy officer, after the audit log knows who asked and why."""
    why = _as_text(reason)
    try:
        with call.database.write() as session:
            call.permit_case(Cases(session).standing(call.caller, case_id))
            document = Consents(session).for_reading(case_id, why, call.context.text_screen)
            detail = {"reason": checked_reason(why), "key": document.key_id}
            Audit(session).append(call.caller.name, "consent.read", case_id, detail)
    except IdentifyingTextError as error:
        # As with every text of a case: names that are tried until one is refused have to be seen.
        reasons = Counter(found.finding.reason.value for found in error.findings)
        with call.database.write() as session:
            Audit(session).append(call.caller.name, "consent.read-refused", case_id, dict(reasons))
        raise
    sealed = call.context.blobs.read(document.blob_key)
    if hashlib.sha256(sealed).hexdigest() != document.sha256:
        log.error("the document of a consent is not what was written", extra={"case": case_id})
        raise BlobNotFoundError("what was written is not there any more")
    return Response(sealed, media_type=SEALED, headers=_NOT_KEPT)


@router.delete("", status_code=204, responses=problems(403, 404))
def delete_consent_document(call: Call, *, case_id: Key) -> Response:
    """Delete the document, whatever the state of the case; kind and reference of the consent stay as they are."""
    with call.database.write() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        blob_key = Consents(session).delete(case_id)
        Audit(session).append(call.caller.name, "consent.delete", case_id)
    purge(call, [blob_key])
    return Response(status_code=204)


def _kept(call: AuthorizedCall, case_id: str, document: SealedDocument, version: int | None) -> tuple[CaseDetail, str]:
    with call.database.write() as session:
        call.permit_case(Cases(session).standing(call.caller, case_id))
        detail, old_key = Consents(session).keep(call.caller, case_id, document, version=version)
        told = {
            "media_type": document.media_type.value,
            "size_bytes": document.size_bytes,
            "key": document.key_id,
            "replaced": bool(old_key),
            "version": detail.summary.version,
        }
        Audit(session).append(call.caller.name, "consent.keep", case_id, told)
    return detail, old_key


def _leave(call: AuthorizedCall, blob_key: str) -> None:
    """Let a blob go that was written for nothing; where that fails it goes when its time is over."""
    # The transaction that was to keep it may have come to its end although its answer was lost.
    with suppress(CaseError):
        with call.database.write() as session:
            is_left = Cases(session).give_up_blob(blob_key)
        if is_left:
            purge(call, [blob_key])


def _as_text(header: str) -> str:
    """Return a header's text: its bytes are UTF-8, as most clients send them, or Latin-1, as they are read."""
    try:
        return header.encode("latin-1").decode()
    except ValueError:
        return header
