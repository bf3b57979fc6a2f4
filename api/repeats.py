"""``Idempotency-Key``: a request that is sent again is answered as the first time, and done once.

After draft-ietf-httpapi-idempotency-key-header-07. What a key stands for begins here, once the caller is known; the
answer is kept here, on its way out. ``cases.repeats`` says why nothing is done twice.
"""

import hashlib
import logging
import re
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.authorization import RULES
from api.errors import InvalidRequestError
from cases.errors import StoreUnavailableError
from cases.repeats import CURRENT_ATTEMPT, MAX_ANSWER_CHARS, MAX_KEY_CHARS, Attempt, KeptAnswer
from cases.store import Database, Repeats

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
READING = frozenset({"check_profile", "explain_profile", "translate_profile", "preview_file"})
"""Calls by POST that change nothing: they may be sent as often as one likes, and a key means nothing to them."""
SECRET_ANSWERS = frozenset({"create_session", "create_share", "issue_token"})
"""Calls whose answer holds a secret, which is stored nowhere: whoever lost it makes another one."""
_KEPT_HEADERS = ("content-type", "content-location", "etag", "location", "cache-control")
_KEY = re.compile(rf"[\x21-\x7e](?:[\x20-\x7e]{{0,{MAX_KEY_CHARS - 2}}}[\x21-\x7e])?")
_JSON = "application/json"
_ATTEMPT = "attempt"
"""Where the request's scope has what was begun."""
_log = logging.getLogger("casebridge.api")


class AnsweredBefore(Exception):  # noqa: N818 - no error: the way out of a call that was made before
    """The request was answered before; ``kept`` is what was said."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__("answered before")
        self.kept = kept


def takes_key(method: str, operation: str) -> bool:
    """Return whether a call heeds the key: one by POST that makes or changes something, by somebody who is known."""
    is_open = operation in RULES and RULES[operation].is_open
    return method == "POST" and operation not in READING and not is_open


async def begin_once(request: Request, database: Database, caller_id: str, operation: str) -> None:
    """
    Take the key of a request, if it has one, so that what follows is done once.

    Raises
    ------
    AnsweredBefore
        When it was, and the answer is kept.
    InvalidRequestError
        When the key is none.
    """
    written = request.headers.get(HEADER)
    if written is None or not takes_key(request.method, operation):
        return
    key = _key(written)
    body = await request.body()
    digest = _request_digest(request, key, body)

    def begin() -> Attempt | KeptAnswer:
        with database.write() as session:
            return Repeats(session).begin(caller_id, key, digest)

    begun = await run_in_threadpool(begin)
    if isinstance(begun, KeptAnswer):
        raise AnsweredBefore(begun)
    request.scope["state"][_ATTEMPT] = (begun, operation)
    CURRENT_ATTEMPT.set(begun)


def replayed(_request: Request, error: Exception) -> Response:
    """Give an answer again."""
    assert isinstance(error, AnsweredBefore)
    kept = error.kept
    return Response(kept.body, status_code=kept.status, headers={**kept.headers, REPLAYED: "true"})


class KeepAnswers:
    """Keep the answer to a request under a key before it is sent, so that one which is lost on its way is there."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        start: Message | None = None
        pieces: list[bytes] = []

        async def keep_then_send(message: Message) -> None:
            nonlocal start
            begun = state.get(_ATTEMPT)
            if begun is None:
                await send(message)
            elif message["type"] == "http.response.start":
                start = message
            else:
                pieces.append(message.get("body", b""))
                if not message.get("more_body", False):
                    assert start is not None
                    attempt, operation = begun
                    state[_ATTEMPT] = None
                    await self._settle(attempt, operation, start, b"".join(pieces))
                    await send(start)
                    await send({"type": "http.response.body", "body": b"".join(pieces)})

        try:
            await self._app(scope, receive, keep_then_send)
        except Exception:
            if (begun := state.get(_ATTEMPT)) is not None:
                attempt, operation = begun
                await self._settle(attempt, operation, {"status": 500}, b"")
            raise
        finally:
            CURRENT_ATTEMPT.set(None)

    async def _settle(self, attempt: Attempt, operation: str, start: Mapping[str, object], body: bytes) -> None:
        CURRENT_ATTEMPT.set(None)  # what is written from here on is no part of what was asked for
        try:
            await run_in_threadpool(self._keep, attempt, operation, dict(start), body)
        except StoreUnavailableError:
            # the request is done or not; whoever sends it again is told that its answer is not kept
            _log.warning("the answer to a request under a key could not be kept")

    def _keep(self, attempt: Attempt, operation: str, start: Mapping[str, object], body: bytes) -> None:
        status = int(str(start["status"]))
        with self._database.write() as session:
            repeats = Repeats(session)
            if status >= 300:  # noqa: PLR2004 - refused or failed: what was asked for was not done
                repeats.give_back(attempt, even_with_effect=status < 500)  # noqa: PLR2004 - HTTP's own line
                return
            headers = Headers(raw=start["headers"])  # type: ignore[arg-type]
            is_text = not body or headers.get("content-type", "").partition(";")[0] == _JSON
            is_kept = operation not in SECRET_ANSWERS and is_text and len(body) <= MAX_ANSWER_CHARS
            answer = KeptAnswer(
                status=status,
                headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
                body=body.decode() if is_kept else "",
            )
            repeats.finish(attempt, answer, keeps_body=is_kept)


def _key(written: str) -> str:
    """Return the key of a header, which may stand in quotation marks as the draft has it."""
    key = written.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise InvalidRequestError(f"{HEADER} has 1 to {MAX_KEY_CHARS} printable ASCII characters.")
    return key


def _request_digest(request: Request, key: str, body: bytes) -> str:
    """Return what tells one request from another; the key in it keeps bodies from being guessed by their digest."""
    parts = [key, request.method, request.url.path, request.url.query, request.headers.get("if-match", "")]
    digest = hashlib.sha256()
    for part in (*(part.encode() for part in parts), body):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()
