"""Structured logs: one JSON object a line on standard error, without identifiers.

Our own loggers (``casebridge.*``) log fixed sentences with keyed fields. What other libraries say may quote values of a
data set (pydicom's warnings do), so of their records only the place in the code and the type of the exception are kept.
"""

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

OURS = "casebridge"
TRUSTED = ("uvicorn.error", "alembic.runtime.migration")
"""Loggers of libraries whose messages are known to hold no value of a data set."""


class Formatter(JsonFormatter):
    """JSON lines; exceptions become their type and the places they passed, never their text."""

    def formatException(  # noqa: N802 - logging's own name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return type and places of an exception without its message."""
        kind, _, trace = ei
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
        return f"{kind.__name__ if kind else 'none'} at {' < '.join(reversed(places))}"


class ForeignFilter(logging.Filter):
    """Reduce records of other libraries to where they came from."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always lets it pass."""
        if record.name == OURS or record.name.startswith((OURS + ".", *TRUSTED)):
            return True
        record.msg = "a library reported something; its words are not logged"
        record.args = None
        record.stack_info = None
        record.__dict__["place"] = f"{record.module}:{record.lineno}"
        return True


def configure_logging(level: str, *, process: str) -> None:
    """Send all logs of this process to standard error as JSON lines.

    ``process`` names the process (``scp``, ``worker``, ``api`` …) in every line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Formatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"process": process},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    handler.addFilter(ForeignFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level.upper())
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    # pydicom and pynetdicom quote values in warnings and log lines.
    warnings.simplefilter("ignore")
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log what would end a process or thread: the interpreter's own report would print the exception's text."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger(OURS).critical("an error was not handled", exc_info=(kind, error or kind(), trace))
