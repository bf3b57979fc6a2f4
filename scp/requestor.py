"""Asking a peer for an association: what sending objects and reporting commitments have in common."""

import queue
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association

__all__ = ["HANDLERS", "exchange", "is_listening", "keep_socket", "new_entity"]

_CONNECTION_TIMEOUT_S = 10.0
_LOOK_S = 0.5


def new_entity(calling_ae: str, *, timeout_s: float) -> AE:
    """Return an application entity that asks for associations.

    Parameters
    ----------
    calling_ae
        Its AE title.
    timeout_s
        How long a peer may be silent: it is while it stores a large object.
    """
    entity = AE(ae_title=calling_ae)
    entity.connection_timeout = _CONNECTION_TIMEOUT_S
    entity.dimse_timeout = timeout_s
    entity.network_timeout = timeout_s
    return entity


def _set_no_delay(event: Any) -> None:
    # Without it each object waits for the peer's delayed acknowledgement.
    with suppress(OSError, AttributeError):
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


HANDLERS = [(evt.EVT_CONN_OPEN, _set_no_delay)]
"""Event handlers of every association that we ask for."""


def keep_socket(event: Any, sockets: list[socket.socket]) -> None:
    """Keep the socket of a connection: pynetdicom leaves one open that the peer was the first to close."""
    with suppress(AttributeError):
        sockets.append(event.assoc.dul.socket.socket)


def is_listening(host: str, port: int) -> bool:
    """Tell whether anything listens: pynetdicom leaves its socket open where nothing does, and does not say so."""
    try:
        socket.create_connection((host, port), timeout=_CONNECTION_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def exchange(association: Association, request: Any, context_id: int, *, timeout_s: float) -> Any:
    """Send a request and return the response, None where none came.

    Parameters
    ----------
    association
        An established association that is ours.
    request
        The primitive of the request.
    context_id
        The presentation context.
    timeout_s
        How long to wait.
    """
    # Its own thread must not take the response. It may be past the checkpoint already: then it gives the response back.
    association._serve_request = partial(_give_back, association)  # noqa: SLF001
    association._reactor_checkpoint.clear()  # noqa: SLF001
    try:
        while not association._is_paused and association.is_alive():  # noqa: SLF001
            time.sleep(0.0001)
        association.dimse.send_msg(request, context_id)
        return _await_response(association, timeout_s)
    finally:
        association._reactor_checkpoint.set()  # noqa: SLF001


def _give_back(association: Association, message: Any, context_id: int) -> None:
    association.dimse.msg_queue.put((context_id, message))


def _await_response(association: Association, timeout_s: float) -> Any:
    """Return the next message, None where none will come.

    A lost connection announces itself by one message only, which the association's own thread may have taken: so this
    looks for itself, now and then, whether the connection is still there.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        is_lost = association.acse.is_aborted() or not association.is_alive()
        with suppress(queue.Empty):
            return association.dimse.msg_queue.get(timeout=_LOOK_S)[1]
        if is_lost:
            return None
    return None
