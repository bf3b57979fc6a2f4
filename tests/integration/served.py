"""The API of a test's world on a port of loopback, for clients that are programs of their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tests.integration.running import eventually, free_port


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application from a thread; give its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, server_header=False))
    thread = threading.Thread(target=server.run, name="served", daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, within_s=30, what="the API listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
