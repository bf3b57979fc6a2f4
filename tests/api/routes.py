"""The application's own routes, for tests that walk all of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one route."""

    operation: str
    method: str
    path: str


def calls_of(app: FastAPI) -> Iterator[Call]:
    """Yield every call but the description itself, and the page that shows it."""
    for route in iter_route_contexts(app.routes):
        if not route.include_in_schema:
            continue
        for method in sorted(route.methods - {"HEAD"}):
            yield Call(operation=route.name, method=method, path=route.path)
