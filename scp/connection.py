"""A TCP connection that was accepted: where it is listened for, and what is known before anything is read from it."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scp.peers import Refusal

__all__ = ["Connection", "ListenerKind", "open_listener", "set_up"]

_BACKLOG = 128
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A peer that is gone without a word is noticed within a minute, also while the receiver itself is busy."""


class ListenerKind(StrEnum):
    """What is spoken on a port."""

    PLAIN = "plain"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An accepted connection; nothing has been read from it."""

    socket: socket.socket
    peer: tuple[Any, ...]
    """The peer's socket address."""
    kind: ListenerKind
    refusal: Refusal | None
    """What an association request on it is refused with, whatever it says."""
    ended: Callable[[], None]
    """Says that it counts no more; called as soon as its association has ended, before the peer can know."""

    @property
    def address(self) -> str:
        """The peer's IP address."""
        return str(self.peer[0])


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; an empty host means every interface.

    Raises
    ------
    OSError
        If the port cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host or "0.0.0.0", port))  # noqa: S104 - what an empty host says
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def set_up(connection: socket.socket, *, timeout_s: float) -> None:
    """Set what every connection has: no delay of answers, a look at peers that are gone, and a limit to each wait."""
    connection.settimeout(timeout_s)
    with suppress(OSError):  # the peer may be gone already
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
