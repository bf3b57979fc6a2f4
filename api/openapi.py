"""The description of the API: problem answers declared for each call, and examples made from the fields' own."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from api.problems import MEDIA_TYPE, PHRASES
from api.schemas.common import Problem

_REFERENCE = "#/components/schemas/"
_SCALARS: Mapping[str, object] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}
_FORMATS: Mapping[str, str] = {"date-time": "2026-01-31T12:00:00Z"}


def problems(*statuses: int, is_open: bool = False) -> dict[int | str, dict[str, Any]]:
    """Declare the problem details that a call may answer; 500, and with a token 401, 422 and 503, go without saying."""
    usual = {500} if is_open else {401, 422, 500, 503}
    return {
        status: {
            "description": PHRASES.get(status) or HTTPStatus(status).phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": f"{_REFERENCE}Problem"},
                    "example": {"type": "about:blank", "title": PHRASES.get(status, HTTPStatus(status).phrase)}
                    | {"status": status},
                }
            },
        }
        for status in sorted(usual | set(statuses))
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
            app.openapi_schema = _with_examples(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                    tags=app.openapi_tags,
                )
            )
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


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
