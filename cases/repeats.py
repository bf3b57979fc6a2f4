"""Requests that may be sent again under one key: done once, answered alike.

A caller who does not hear the answer sends the request again with the key of the first time. What the first did and
that it did it are one transaction, so that it is never done twice: not when two come at once, and not when the process
died between doing and answering.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

KEPT_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=30)
"""How long a request may take until another one under its key may find out what became of it."""
RETRY_AFTER_S = 2
"""What is usually enough: most requests are answered within a fraction of a second."""
MAX_KEY_CHARS = 255
MAX_ANSWER_CHARS = 262_144
"""Characters of an answer that is kept; the largest that a call of one case gives is far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a request under a key."""

    request_id: str
    """SHA-256 of caller and key."""
    number: str
    """Its own: a later try of the same request has another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What was answered to the first request."""

    status: int
    headers: Mapping[str, str]
    body: str


CURRENT_ATTEMPT: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""Whatever is written while this is set belongs to the attempt, and is written only while the attempt holds its key."""
