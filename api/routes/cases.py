"""Cases: lists, the whole, edits, and withdrawing a draft."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.authorization import EDITS_ALL
from api.context import AuthorizedCall, Call
from api.errors import ForbiddenError
from api.etags import expected_version, is_held, tag_of
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.case_edits import CaseEdit, SeriesTexts, StudyTexts
from api.schemas.cases import CaseItem, CaseOut
from api.schemas.common import Answer, Key
from api.schemas.public_cases import ListedCases, PublicCaseItem, PublicCaseOut, QuizCaseOut
from cases.changes import CaseChanges
from cases.errors import CaseError, CaseNotFoundError, IdentifyingTextError, VersionConflictError
from cases.model import CaseDetail, CaseFilter, CaseModality, CaseScope, CaseStatus
from cases.store import Audit, Cases, Collector, Consents, Playlists

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])

Status = Annotated[CaseStatus | None, Query()]
Modality = Annotated[CaseModality | None, Query()]
Owner = Annotated[
    str | None,
    Query(max_length=64, pattern=r"^[^\x00-\x1f]+$", description="An account's name, for those who see all cases."),
]
Scope = Annotated[CaseScope, Query(description="`mine` leaves out the cases of others for those who see all.")]
IfMatch = Annotated[str | None, Header(description="The ETag of the case that the edit builds on.", max_length=512)]
IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]

Quiz = Annotated[
    Key | None, Query(description="The id of a playlist with this case: what would tell the diagnosis is hidden.")
]


@router.get("", responses=problems(403))
def list_cases(
    call: Call,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    scope: Scope = CaseScope.VISIBLE,
    status: Status = None,
    modality: Modality = None,
    owner: Owner = None,
) -> ListedCases:
    """List the caller's cases, for those who see all of everybody, or public ones, the latest first."""
    if owner is not None and owner != call.caller.name and not call.caller.sees_all:
        raise ForbiddenError("Only your own cases can be listed.")
    filters = CaseFilter(scope=scope, status=status, modality=modality, owner=owner)
    with call.database.read() as session:
        page = Cases(session).list(call.caller, cursor=cursor, limit=limit, filters=filters)
        collectors = Collector(session).of_owners(case for case in page.items if call.is_stranger_to(case))
    items = [
        PublicCaseItem.of(case, collectors) if call.is_stranger_to(case) else CaseItem.of(case) for case in page.items
    ]
    # Made of what was checked: to choose between the two kinds again, item by item, takes longer than the list did.
    return ListedCases.model_construct(items=items, next=page.next_cursor)


@router.get(
    "/{case_id}",
    response_model=CaseOut | PublicCaseOut | QuizCaseOut,
    responses={304: {}, **problems(403, 404)},
)
def get_case(call: Call, *, case_id: Key, quiz: Quiz = None, if_none_match: IfNoneMatch = None) -> Response:
    """Show a case with its studies, series and images; the ETag also changes as images arrive.

    Readers of a public case are shown less than its owner, and in a quiz nobody is shown what would tell the diagnosis.
    """
    with call.database.read() as session:
        cases = Cases(session)
        standing = cases.standing(call.caller, case_id)
        call.permit_case(standing)
        if quiz is not None and not Playlists(session).holds(call.caller, quiz, case_id):
            raise CaseNotFoundError("no such playlist holds this case")
        is_stranger = call.is_stranger_to(standing)
        is_for_all = is_stranger or quiz is not None
        detail = cases.get_public(call.caller, case_id) if is_for_all else cases.get(call.caller, case_id)
        collectors = Collector(session).of_owners([detail.summary]) if is_stranger else {}
    if detail.summary.owner != call.caller.name and call.caller.role not in EDITS_ALL:
        detail = replace(detail, suggested_case_ids=())  # whose patient it is concerns who could merge them
    if quiz is not None:
        case: Answer = QuizCaseOut.of_detail(detail)
    elif is_stranger:
        case = PublicCaseOut.of_detail(detail, collectors)
    else:
        case = CaseOut.of_detail(detail)
    return answer(case, detail.summary.version, if_none_match)


@router.patch("/{case_id}", response_model=CaseOut, responses=problems(403, 404, 409, 412, 413))
def edit_case(call: Call, *, case_id: Key, body: CaseEdit, if_match: IfMatch = None) -> Response:
    """Change a case, its studies and its series; what is not named stays."""
    return _edit(call, case_id, body.changes(), if_match)


@router.patch("/{case_id}/studies/{study_id}", response_model=CaseOut, responses=problems(403, 404, 409, 412, 413))
def edit_study(
    call: Call,
    *,
    case_id: Key,
    study_id: Key,
    body: StudyTexts,
    if_match: IfMatch = None,
) -> Response:
    """Change findings or caption of one study of a draft."""
    changes = CaseChanges(studies=(body.change(study_id),))
    try:
        return _edit(call, case_id, changes, if_match)
    except IdentifyingTextError as error:
        # The body of this call is the study itself.
        raise IdentifyingTextError(
            tuple(replace(found, place=replace(found.place, study=None)) for found in error.findings)
        ) from None


@router.patch("/{case_id}/series/{series_id}", response_model=CaseOut, responses=problems(403, 404, 409, 412, 413))
def edit_series(
    call: Call,
    *,
    case_id: Key,
    series_id: Key,
    body: SeriesTexts,
    if_match: IfMatch = None,
) -> Response:
    """Change the labels of one series, and how it is shown."""
    changes = CaseChanges(series=(body.change(series_id),))
    try:
        return _edit(call, case_id, changes, if_match)
    except IdentifyingTextError as error:
        # The body of this call is the series itself.
        raise IdentifyingTextError(
            tuple(replace(found, place=replace(found.place, series=None)) for found in error.findings)
        ) from None


@router.delete("/{case_id}", status_code=204, responses=problems(403, 404, 409))
def withdraw_case(call: Call, *, case_id: Key) -> Response:
    """Remove a case: its images are deleted, a tombstone stays, and its place is free for a waiting case."""
    with call.database.write() as session:
        cases = Cases(session)
        call.permit_case(cases.standing(call.caller, case_id))
        document_keys = Consents(session).blob_keys(case_id)
        blob_keys = cases.remove(call.caller, case_id)
        Audit(session).append(call.caller.name, "case.withdraw", case_id, {"images": len(blob_keys)})
    purge(call, [*blob_keys, *document_keys])
    with call.database.write() as session:
        Cases(session).promote_waiting()
    return Response(status_code=204)


def purge(call: AuthorizedCall, blob_keys: Iterable[str]) -> None:
    """Delete condemned blobs; one that cannot be deleted now stays on the list, and a worker tries again."""
    gone = []
    for key in blob_keys:
        with suppress(CaseError):
            call.context.blobs.delete(key)
            gone.append(key)
    with call.database.write() as session:
        cases = Cases(session)
        for key in gone:
            cases.forget_blob(key)


def _edit(call: AuthorizedCall, case_id: str, changes: CaseChanges, if_match: str | None) -> Response:
    try:
        detail = _patched(call, case_id, changes, expected_version(if_match))
    except IdentifyingTextError as error:
        # Whoever tries names until one is refused learns whose case it is: that has to be seen.
        reasons = Counter(found.finding.reason.value for found in error.findings)
        with call.database.write() as session:
            Audit(session).append(call.caller.name, "case.edit-refused", case_id, dict(reasons))
        raise
    return answer(CaseOut.of_detail(detail), detail.summary.version)


def _patched(call: AuthorizedCall, case_id: str, changes: CaseChanges, expected: int | None) -> CaseDetail:
    screen = call.context.text_screen
    with call.database.write() as session:
        cases = Cases(session)
        before = cases.standing(call.caller, case_id)
        call.permit_case(before)
        try:
            version = before.version if expected is None else expected
            detail = cases.patch(call.caller, case_id, changes, version, screen)
        except VersionConflictError:
            if expected is not None:
                raise
            # somebody was faster between reading and locking; the row is locked by now, and this caller does not mind
            version = cases.standing(call.caller, case_id).version
            detail = cases.patch(call.caller, case_id, changes, version, screen)
        Audit(session).append(call.caller.name, "case.edit", case_id, {"version": detail.summary.version})
    return detail


def answer(case: Answer, version: int, if_none_match: str | None = None) -> Response:
    """Return a case with its tag, or that the caller holds it already."""
    body = case.model_dump_json()
    tag = tag_of(body, version=version)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_held(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
