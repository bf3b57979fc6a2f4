"""Every error as a problem detail (RFC 9457): one table from exception to status, and nothing of the request echoed."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import compile_path

from api import errors
from api.schemas.common import Problem, ProblemPart
from cases import errors as case_errors
from deidentify.errors import ProfileError
from deidentify.results import TextReason

MOST_PARTS = 20
MOST_FAULTS = 500
"""Of one profile: it is written by a person, who wants to see all of them."""
MEDIA_TYPE = "application/problem+json"
STATUSES: Mapping[type[Exception], int] = {
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.PartNotFoundError: 404,
    errors.GoneError: 410,
    errors.PreconditionFailedError: 412,
    errors.UnsupportedMediaTypeError: 415,
    errors.InvalidRequestError: 422,
    errors.NotRenderableError: 422,
    errors.RangeNotSatisfiableError: 416,
    errors.TooManyRequestsError: 429,
    errors.ArchiveNotReadyError: 503,
    case_errors.CaseNotFoundError: 404,
    case_errors.ProfileNotKnownError: 404,
    case_errors.BlobNotFoundError: 404,
    case_errors.DamagedBlobError: 500,
    case_errors.NotListableError: 422,
    case_errors.NotAllowedError: 403,
    case_errors.InvalidChangeError: 422,
    case_errors.IdentifyingTextError: 422,
    case_errors.InvalidTransitionError: 409,
    case_errors.AlreadyClaimedError: 409,
    case_errors.CaseClosedError: 409,
    case_errors.DocumentsNotKeptError: 409,
    case_errors.PendingLimitError: 409,
    case_errors.UnlistedLimitError: 409,
    case_errors.DraftLimitError: 409,
    case_errors.NotReadyError: 409,
    case_errors.OriginalsGoneError: 409,
    case_errors.MoveInProgressError: 409,
    case_errors.OtherPatientError: 409,
    case_errors.RerunInProgressError: 409,
    case_errors.LastAdministratorError: 409,
    case_errors.SignInRefusedError: 401,
    case_errors.SignInPausedError: 429,
    case_errors.RepeatedRequestError: 409,
    case_errors.AnswerNotKeptError: 409,
    case_errors.AttemptOverError: 409,
    case_errors.RequestRunningError: 409,
    case_errors.KeyReusedError: 422,
    case_errors.VersionConflictError: 412,
    case_errors.StoreUnavailableError: 503,
    case_errors.SchemaMismatchError: 503,
    ProfileError: 422,
}
"""Which status answers which exception; a test walks both trees and fails where one is missing."""
_FIXED_DETAILS: Mapping[type[Exception], str] = {
    # one text whatever is missing, so that it does not tell what exists but belongs to somebody else
    case_errors.CaseNotFoundError: "There is no such thing, or it is not yours to see.",
    case_errors.ProfileNotKnownError: "There is no such profile, or no such revision of one.",
    case_errors.BlobNotFoundError: "What was stored is gone.",
    case_errors.DamagedBlobError: "A stored image is not what was filed; tell the administrator.",
    case_errors.StoreUnavailableError: "The store does not answer; try again shortly.",
}
WHAT_TO_DO: Mapping[TextReason, str] = {
    TextReason.CASE_IDENTIFIER: "this stood in the originals of the case (a name, number or date), or nearly so; "
    "take it out.",
    TextReason.DATE: 'a date; write the interval instead, for example "two years later".',
    TextReason.PHONE: "a telephone number; take it out.",
    TextReason.EMAIL: "an e-mail address; take it out.",
    TextReason.TITLED_NAME: 'a title with a name; write the role instead, for example "the surgeon".',
    TextReason.RECORD_NUMBER: "a number that may be a record's; take it out.",
    TextReason.ADDRESS: "an address; take it out.",
    TextReason.AGE_BEYOND_89: 'an age beyond 89; write "over 89".',
}
"""What the author of a text is told about each finding."""
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}
_LINE = re.compile(r"line (\d+): ")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_PLAIN_QUOTE = re.compile(
    r"""['"](?:[a-z][a-z0-9_-]{0,40}(?:: [a-z][a-z0-9-]{0,40})?|\([0-9A-FXa-fgx]{4},[0-9A-FXa-fgx]{4}\))['"]"""
)
"""A word of the language, a key with its value, a tag."""
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
PHRASES: Mapping[int, str] = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def problem_response(
    status: int,
    *,
    kind: str = "about:blank",
    detail: str | None = None,
    parts: list[ProblemPart] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer for one problem."""
    problem = Problem(
        type=kind,
        title=PHRASES.get(status) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=parts,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**_HEADERS.get(status, {}), **(headers or {})},
    )


def problem_type(error: type[Exception]) -> str:
    """Return the stable name of an error, for example "urn:casebridge:problem:case-not-found"."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*", error.__name__.removesuffix("Error"))
    return "urn:casebridge:problem:" + "-".join(words).lower()


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem detail."""
    for error in STATUSES:
        app.add_exception_handler(error, _known)
    app.add_exception_handler(case_errors.IdentifyingTextError, _identifying)
    app.add_exception_handler(case_errors.NotReadyError, _not_ready)
    app.add_exception_handler(case_errors.SignInPausedError, _paused)
    app.add_exception_handler(ProfileError, _wrong_profile)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


def error_response(error: Exception) -> JSONResponse:
    """Return the answer for an error of the table."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
    detail = _FIXED_DETAILS.get(kind) or (sentence(str(error)) if str(error) else None)
    headers = dict(getattr(error, "headers", {}))
    if (retry_after_s := getattr(error, "retry_after_s", None)) is not None:
        headers["Retry-After"] = str(retry_after_s)
    return problem_response(STATUSES[kind], kind=problem_type(kind), detail=detail, headers=headers)


def _known(_request: Request, error: Exception) -> JSONResponse:
    return error_response(error)


def _identifying(_request: Request, error: Exception) -> JSONResponse:
    """Say where the text could identify somebody and why; the words are not repeated."""
    assert isinstance(error, case_errors.IdentifyingTextError)
    return problem_response(
        422,
        kind=problem_type(type(error)),
        detail=sentence(str(error)),
        parts=[_part_of(found) for found in error.findings[:MOST_PARTS]],
    )


def _not_ready(_request: Request, error: Exception) -> JSONResponse:
    """Say everything that the case lacks, each with what to do."""
    assert isinstance(error, case_errors.NotReadyError)
    return problem_response(
        409,
        kind=problem_type(type(error)),
        detail=sentence(str(error)),
        parts=[
            ProblemPart(
                location="case",
                field=f"studies.{fault.study_id}.findings" if fault.study_id else fault.requirement.replace("-", "_"),
                detail=sentence(fault.what_to_do),
                requirement=fault.requirement,
            )
            for fault in error.faults[:MOST_PARTS]
        ],
    )


def _part_of(found: case_errors.TypedFinding) -> ProblemPart:
    place, finding = found.place, found.finding
    steps = ("studies", place.study) if place.study is not None else ()
    steps = ("series", place.series) if place.series is not None else steps
    path = [str(step) for step in (*steps, place.field, place.index) if step is not None]
    return ProblemPart(
        location="body",
        field=".".join(path),
        detail=f"Characters {finding.start + 1} to {finding.end}: {WHAT_TO_DO[finding.reason]}",
        start=finding.start,
        end=finding.end,
        reason=finding.reason,
    )


def _paused(_request: Request, error: Exception) -> JSONResponse:
    """Say when to try again."""
    assert isinstance(error, case_errors.SignInPausedError)
    return problem_response(
        429,
        kind=problem_type(type(error)),
        detail=sentence(str(error)),
        headers={"Retry-After": str(error.retry_after_s)},
    )


def _wrong_profile(_request: Request, error: Exception) -> JSONResponse:
    """Name every fault of a text with its line."""
    assert isinstance(error, ProfileError)
    faults = str(error).splitlines()
    more = f"; the first {MOST_FAULTS} of {len(faults):,} are told" if len(faults) > MOST_FAULTS else ""
    return problem_response(
        422,
        kind="urn:casebridge:problem:invalid-profile",
        detail=f"The text cannot be used, and nothing was changed; see errors{more}.",
        parts=fault_parts(faults[:MOST_FAULTS]),
    )


def fault_parts(faults: Iterable[str]) -> list[ProblemPart]:
    """Return faults of a profile's or script's text as parts of a problem.

    What was written is not repeated where it is more than a plain word: a condition may compare with a name.
    """
    parts = []
    for fault in faults:
        line = _LINE.match(fault)
        detail = _QUOTED.sub(lambda found: found[0] if _PLAIN_QUOTE.fullmatch(found[0]) else "'…'", fault)
        parts.append(
            ProblemPart(location="body", field="text", detail=sentence(detail), line=int(line[1]) if line else None)
        )
    return parts


def sentence(text: str) -> str:
    """Return a text as a sentence; the rooms write theirs without capital and full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _http(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses: an unknown path, a method that is not there, a body that is too large."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # its answer to a body that is not even text
        return _not_fitting([ProblemPart(location="body", field="", detail="This is not JSON in UTF-8.")])
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _wrong_method(request)
    return problem_response(error.status_code, headers=error.headers)


def _methods_of(request: Request, *, is_literal: bool) -> set[str]:
    """Return the methods that a path has, by its own name or (not literal) as a name among others."""
    path = request.scope["path"]
    return {
        method
        for route in iter_route_contexts(request.app.routes)
        if (route.path == path if is_literal else compile_path(route.path or "")[0].match(path))
        for method in route.methods or ()
    }


def _wrong_method(request: Request) -> JSONResponse:
    """Name all methods of the path: the framework names those of its first route only."""
    methods = _methods_of(request, is_literal=True) or _methods_of(request, is_literal=False)
    return problem_response(405, headers={"Allow": ", ".join(sorted(methods))})


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Name the place and the rule of each fault; the value itself is never repeated."""
    assert isinstance(error, RequestValidationError)
    if (methods := _methods_of(request, is_literal=True)) and request.method not in methods:
        return _wrong_method(request)  # "file" was taken for the id of a preview
    parts = [
        ProblemPart(location=str(fault["loc"][0]), field=_place(fault["loc"][1:]), detail=_rule(fault))
        for fault in error.errors()
    ]
    return _not_fitting(parts)


def _not_fitting(parts: list[ProblemPart]) -> JSONResponse:
    return problem_response(
        422,
        kind="urn:casebridge:problem:invalid-request",
        detail="The request does not fit this call; see errors.",
        parts=parts[:MOST_PARTS],
    )


def _place(path: tuple[str | int, ...]) -> str:
    """Return for example "studies.0.findings"; a name that is not a plain word is not repeated."""
    words = (str(step) if isinstance(step, int) or _PLAIN_NAME.fullmatch(step) else "?" for step in path[:6])
    return ".".join(words)


def _rule(fault: Mapping[str, object]) -> str:
    if fault["type"] == "json_invalid":
        return "This is not JSON."
    if fault["type"] == "extra_forbidden":
        return "There is no such field."
    return str(fault["msg"]).removeprefix("Value error, ")
