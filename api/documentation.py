"""``/docs``: the description of the API as a page to read and to try calls on, made of files in this package alone.

An installation may have no way to the internet, and a page that loads its program from elsewhere lets that elsewhere
see every token that is typed into it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, Response

from api.etags import is_held, tag_of

FOLDER = Path(__file__).parent / "swagger_ui"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Pictures may come as ``data:``: the style sheet holds its icons."""
PAGES: Mapping[str, tuple[str, str]] = {
    "/docs": ("index.html", "text/html; charset=utf-8"),
    "/docs/start.js": ("start.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
}
"""What is served, by its path; nothing else of the folder is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of the page."""

    content: bytes
    tag: str


def install_documentation(app: FastAPI) -> None:
    """Serve the page; it is no part of what it describes."""
    for path, (name, media_type) in PAGES.items():
        app.add_api_route(path, _served(name, media_type), name=f"get_{name}", include_in_schema=False)


def _served(name: str, media_type: str) -> Callable[..., Response]:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}

    def get(if_none_match: Annotated[str | None, Header()] = None) -> Response:
        asset = load_asset(name)
        if is_held(if_none_match, asset.tag):
            return Response(status_code=304, headers={**headers, "ETag": asset.tag})
        return Response(asset.content, media_type=media_type, headers={**headers, "ETag": asset.tag})

    return get


@cache
def load_asset(name: str, folder: Path = FOLDER) -> Asset:
    """
    Read a file of the page.

    Raises
    ------
    ValueError
        When a file that is not ours is not the one that was taken over.
    """
    content = (folder / name).read_bytes()
    known = json.loads((folder / "assets.json").read_text(encoding="utf-8"))["files"]
    if name in known and hashlib.sha256(content).hexdigest() != known[name]:
        raise ValueError("a file of the page /docs is not the one of its package: install the program again")
    return Asset(content=content, tag=tag_of(content))
