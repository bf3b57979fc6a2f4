"""The description of the API: problem answers declared for each call, and examples made from the fields' own.

What holds for every call of a kind is added here, so that no route can forget it: limits, and keys to send again with.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from api.limited import UNLIMITED
from api.problems import MEDIA_TYPE, PHRASES
from api.repeats import HEADER, REPLAYED, takes_key
from api.schemas.common import Problem
from cases.repeats import MAX_KEY_CHARS

_REFERENCE = "#/components/schemas/"
_SCALARS: Mapping[str, object] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}
_FORMATS: Mapping[str, str] = {"date-time": "2026-01-31T12:00:00Z"}
_KEY_PARAMETER: Mapping[str, object] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A new one for each new request, for example a UUID. A request that is sent again with its key "
    "within 24 hours is not done again, and is answered as the first time.",
    "schema": {
        "type": "string",
        "pattern": rf"^[!-~]([ -~]{{0,{MAX_KEY_CHARS - 2}}}[!-~])?$",
        "title": HEADER,
        "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    },
}
_REPLAYED_HEADER: Mapping[str, object] = {
    "description": "`true` where the request was done before, and this is the answer of then.",
    "schema": {"type": "string", "const": "true"},
}
_TOLD_WITH_A_REFUSAL: Mapping[str, object] = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "RateLimit-Policy": {
        "description": "What is counted: calls (`q`) in seconds (`w`).",
        "schema": {"type": "string", "examples": ['"calls";q=3000;w=60']},
    },
    "RateLimit": {
        "description": "Calls that are left (`r`), and seconds until all are there again (`t`).",
        "schema": {"type": "string", "examples": ['"calls";r=0;t=42']},
    },
}


def problems(*statuses: int, is_open: bool = False) -> dict[int | str, dict[str, Any]]:
    """Declare the problem details that a call may answer; 500, and with a token 401, 422 and 503, go without saying."""
    usual = {500} if is_open else {401, 422, 500, 503}
    return {status: _problem(status) for status in sorted(usual | set(statuses))}


def _problem(status: int) -> dict[str, Any]:
    title = PHRASES.get(status) or HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": title, "status": status}
    return {
        "description": title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REFERENCE}Problem"}, "example": example}},
    }


def png_answer(description: str) -> dict[int | str, dict[str, Any]]:
    """Declare a PNG and what a caller who holds it already gets."""
    return {**uncached_png_answer(description), 304: {"description": "The caller's copy is still right."}}


def uncached_png_answer(description: str) -> dict[int | str, dict[str, Any]]:
    """Declare a PNG that no caller keeps."""
    schema = {"type": "string", "contentMediaType": "image/png"}
    return {200: {"description": description, "content": {"image/png": {"schema": schema}}}}


def install_openapi(app: FastAPI) -> None:
    """Describe ``app`` with examples in every body and answer."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _add_limits(path, operation)
                    _add_key(method.upper(), operation)
            app.openapi_schema = _with_examples(document)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _add_limits(path: str, operation: dict[str, Any]) -> None:
    """Declare what a caller hears who makes too many calls."""
    if path in UNLIMITED:
        return
    refusal = _problem(429) | {"headers": _TOLD_WITH_A_REFUSAL}
    operation["responses"] = dict(sorted({**operation["responses"], "429": refusal}.items()))


def _add_key(method: str, operation: dict[str, Any]) -> None:
    """Declare the key under which a call can be sent again; it belongs to a caller, so that open calls take none."""
    if not operation.get("security") or not takes_key(method, operation["operationId"]):
        return
    operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    responses = {"409": _problem(409), **operation["responses"]}
    for status, answer in responses.items():
        if status.startswith("2"):
            answer.setdefault("headers", {})[REPLAYED] = _REPLAYED_HEADER
    operation["responses"] = dict(sorted(responses.items()))


def _with_examples(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = TypeAdapter(Problem).json_schema(ref_template=_REFERENCE + "{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)

    def example(schema: dict[str, Any]) -> Any:
        return example_of(schema, lambda name: schemas[name])

    for path in document["paths"].values():
        for operation in path.values():
            bodies = [operation.get("requestBody"), *operation["responses"].values()]
            for body in filter(None, bodies):
                for media_type, content in body.get("content", {}).items():
                    if media_type == "application/json" and "schema" in content:
                        content.setdefault("example", example(content["schema"]))
    return document


def example_of(schema: dict[str, Any], lookup: Callable[[str], dict[str, Any]]) -> Any:  # noqa: PLR0911 - one per kind
    """Return an example of a JSON schema, made of the examples and defaults of its fields."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(lookup(schema["$ref"].removeprefix(_REFERENCE)), lookup)
    if "default" in schema:
        return schema["default"]
    for choice in ("anyOf", "allOf", "oneOf"):
        if choice in schema:
            return example_of(schema[choice][0], lookup)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object":
        return {name: example_of(part, lookup) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        parts = schema.get("prefixItems") or ([schema["items"]] if "items" in schema else [])
        return [example_of(part, lookup) for part in parts]
    return _FORMATS.get(schema.get("format", "")) or _SCALARS[schema["type"]]
