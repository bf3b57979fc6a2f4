"""What surrounds every request: the body's limit, the log, the figures, and an answer whatever happens inside."""

import logging
import re
import time
import traceback
from collections.abc import Mapping
from pathlib import PurePath

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import AppMetrics, method_label
from api.problems import problem_response
from cases.consents import MAX_DOCUMENT_BYTES

MAX_BODY_BYTES = 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
BODY_LIMITS: Mapping[re.Pattern[str], int] = {
    re.compile("/api/v1/previews/file"): MAX_FILE_BYTES,
    re.compile("/api/v1/cases/[0-9a-f]{32}/consent-document"): MAX_DOCUMENT_BYTES,
}
"""Calls that take more than the others; they look at the caller before they read the body."""
_log = logging.getLogger("casebridge.api")


class RequestFrame:
    """Log the route's template, status and time of each request; nothing that the caller wrote goes into the log."""

    def __init__(self, app: ASGIApp, metrics: AppMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        status = 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _harden(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._app(scope, _limited(scope, receive), watched_send)
        except Exception as error:  # noqa: BLE001 - the outermost frame: every fault needs an answer
            if status:  # the answer has begun: only the server can break it off
                raise RuntimeError("An answer could not be finished.") from None
            finally_said = problem_response(500, detail="Something failed here; it was logged.")
            await finally_said(scope, receive, watched_send)
            _log.error("request failed", extra={"route": _route(scope), **_where(error)})
        finally:
            duration_s = time.perf_counter() - started_at
            method, route = method_label(scope["method"]), _route(scope)
            self._metrics.answered(method=method, route=route, status=status, duration_s=duration_s)
            _log.info(
                "request",
                extra={
                    "method": method,
                    "route": route,
                    "status": status,
                    "duration_ms": round(duration_s * 1000, 1),
                },
            )


def _route(scope: Scope) -> str:
    """Return the template, for example "/api/v1/cases/{case_id}": a raw path may hold anything."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def _where(error: Exception) -> dict[str, str]:
    """Return class and place of a fault; its text may quote values."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "place": place}


def _harden(headers: MutableHeaders) -> None:
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Robots-Tag"] = "noindex"  # a link that somebody posts must not lead a search engine to its case


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Return ``receive`` with the body's limit; the exception is answered by the application's own handler."""
    limit = next((most for path, most in BODY_LIMITS.items() if path.fullmatch(scope["path"])), MAX_BODY_BYTES)
    announced = Headers(scope=scope).get("content-length", "0")
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit or (announced.isdecimal() and int(announced) > limit):
            raise HTTPException(413)
        return message

    return limited
