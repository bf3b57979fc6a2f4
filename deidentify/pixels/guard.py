"""One guard around every parser and decoder: a single kind of fault comes out, and nothing is printed or logged."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import gdcm

from deidentify.errors import PixelDecodeError

_SILENT = logging.CRITICAL + 1
_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg", "libjpeg", "rle")


@contextmanager
def decoding(complaint: str) -> Iterator[None]:
    """Turn every fault into PixelDecodeError with this text, and silence what could quote a value."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        # By level, not by `disabled`: that would not reach the loggers below, which speak of each plugin that failed.
        logger.setLevel(_SILENT)
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    gdcm.Trace.DebugOff()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PixelDecodeError:
        raise
    except Exception:  # noqa: BLE001 - decoders raise anything, and quote what they read
        raise PixelDecodeError(complaint) from None
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
