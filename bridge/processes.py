"""The three long-running processes: receiver, worker, API. Each starts, says that it is ready, and ends on SIGTERM."""

import importlib.metadata
import logging
import os
import sys
import threading
from contextlib import ExitStack
from importlib import import_module

import click

from bridge.child import Stop, follow_supervisor, say_ready
from bridge.logs import configure_logging
from config.settings import Settings

log = logging.getLogger("casebridge.bridge")

EXIT_CONFIG = 2
CALLS_AT_ONCE = 6
"""Threads that answer: more of them do no more, they take the interpreter from each other, and each ends later."""
VERSION = importlib.metadata.version("casebridge")


def run_receiver(settings: Settings, *, ready_fd: int | None, life_fd: int | None) -> None:
    """Accept associations until told to stop."""
    configure_logging(settings.log_level, process="scp")
    # numpy, which pydicom loads, would start threads that multiply nothing here, and the acceptor forks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bridge.app import check_tls, open_acceptor, open_receiver  # noqa: PLC0415 - each process imports its own rooms only

    def ready() -> None:
        log.info("receiver ready", extra={"port": settings.dicom_port})
        say_ready(ready_fd)

    check_tls(settings)
    if settings.receiver_processes > 1:
        inherited = [descriptor for descriptor in (ready_fd, life_fd) if descriptor is not None]
        open_acceptor(settings, inherited=inherited).run(on_ready=ready, life_fd=life_fd)
        return
    follow_supervisor(life_fd)
    stop = Stop()
    with open_receiver(settings):
        ready()
        stop.wait()


def run_worker(settings: Settings, *, ready_fd: int | None, life_fd: int | None) -> None:
    """Settle, de-identify and file studies until told to stop."""
    follow_supervisor(life_fd)
    configure_logging(settings.log_level, process="worker")
    from bridge.app import check_profiles  # noqa: PLC0415
    from bridge.worker import Worker  # noqa: PLC0415

    check_profiles(settings)
    stop = Stop()
    with Worker(settings):
        log.info("worker ready", extra={"worker": settings.worker_id})
        say_ready(ready_fd)
        stop.wait()


def run_api(settings: Settings, *, ready_fd: int | None, life_fd: int | None) -> None:
    """Answer HTTP until told to stop. Under a supervisor it makes the administrator too, and says the new token."""
    follow_supervisor(life_fd)
    configure_logging(settings.log_level, process="api")
    import uvicorn  # noqa: PLC0415
    from anyio import to_thread  # noqa: PLC0415

    from bridge.app import build_api, check_secret, ensure_administrator, open_database  # noqa: PLC0415
    from bridge.audit_head import AuditHeadLog  # noqa: PLC0415
    from cases.errors import CaseError  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            database = stack.enter_context(open_database(settings))
            check_secret(settings, database)
            token = ensure_administrator(settings, database) if ready_fd is not None else None
        except CaseError as error:
            click.echo(f"Casebridge cannot start: {error}; look at the database and CASEBRIDGE_DATABASE_URL", err=True)
            sys.exit(EXIT_CONFIG)
        audit_head = AuditHeadLog(database)
        audit_head.start()
        stack.callback(audit_head.stop)
        app = build_api(settings, database, version=VERSION)

        class Server(uvicorn.Server):
            async def startup(self, sockets: object = None) -> None:
                to_thread.current_default_thread_limiter().total_tokens = CALLS_AT_ONCE
                await super().startup(sockets)  # type: ignore[arg-type]
                if self.started:
                    log.info("api ready", extra={"port": settings.http_port})
                    say_ready(ready_fd, token or "")
                    # What draws images is large, and nobody who starts the bridge waits for it.
                    threading.Thread(target=import_module, args=("api.render",), name="warm-up", daemon=True).start()

        Server(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        ).run()
