"""Where calls are counted: those without a token before anything looks at them, the others once it is known whose."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import TooManyRequestsError
from api.limits import Budget, CallLimits, Window, address_of, is_picture
from api.problems import error_response

UNLIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Calls of the machines that watch over this one."""
_SPENT = "spent"


class LimitCalls:
    """Count calls without a token by their address, and tell every caller what is left."""

    def __init__(self, app: ASGIApp, limits: CallLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_rest(message: Message) -> None:
            if message["type"] == "http.response.start" and (window := state.get(_SPENT)) is not None:
                MutableHeaders(scope=message).update(window.headers())
            await send(message)

        if "authorization" not in Headers(scope=scope):
            budget = Budget.PICTURES if is_picture(scope["path"]) else Budget.ANONYMOUS
            try:
                state[_SPENT] = self._limits.spend_of_address(budget, peer_of(scope))
            except TooManyRequestsError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send_with_rest)


def note_rest(scope: MutableMapping[str, Any], window: Window | None) -> None:
    """Let the answer say what is left."""
    scope.setdefault("state", {})[_SPENT] = window


def peer_of(scope: MutableMapping[str, Any]) -> str:
    """Return what the connection of a call is counted as."""
    client = scope.get("client")
    return address_of(client[0] if client else None)
