"""How many calls a minute are answered: by token for callers, by address for everybody else.

The counts are in this process's memory: one process serves the API. Addresses are those of the connection; what a proxy
says in ``X-Forwarded-For`` anybody could say.
"""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from api.errors import TooManyRequestsError

WINDOW_S = 60
MOST_ADDRESSES = 10_000
"""Addresses counted each on its own; all further ones share one count until some are forgotten."""
EVERYBODY_ELSE = "others"
_IPV6_PREFIX = 64
"""One customer has all addresses of such a network."""


class Budget(StrEnum):
    """What is counted apart."""

    CALLS = "calls"
    """Calls with a token, by token."""
    PICTURES = "pictures"
    """Calls for pictures, by token or address: a viewer makes hundreds at once."""
    DOWNLOADS = "downloads"
    """Calls for whole cases as an archive, by token: each may be gigabytes."""
    ANONYMOUS = "anonymous"
    """Calls without a token, by address."""
    WRONG_TOKENS = "wrong-tokens"
    """Calls with a token that is not valid, by address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBudgets:
    """Calls in one minute; 0 stands for any number."""

    calls: int = 3000
    pictures: int = 12_000
    downloads: int = 60
    anonymous: int = 600
    wrong_tokens: int = 30

    def of(self, budget: Budget) -> int:
        """Return how many calls of a kind are answered."""
        return int(getattr(self, budget.value.replace("-", "_")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is left of a budget, and when it is whole again."""

    budget: Budget
    quota: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"{self.budget.value}";q={self.quota};w={WINDOW_S}',
            "RateLimit": f'"{self.budget.value}";r={self.remaining};t={self.reset_s}',
        }


class CallLimits:
    """Counts calls in windows of a minute, and refuses what goes beyond.

    Parameters
    ----------
    budgets
        How many calls are answered.
    refused
        Told of each refusal, for the figures.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        budgets: CallBudgets,
        *,
        refused: Callable[[Budget], None] = lambda _budget: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._items: dict[Budget, RateLimitItem] = {
            budget: RateLimitItemPerMinute(budgets.of(budget), namespace=budget.value)
            for budget in Budget
            if budgets.of(budget)
        }
        self._refused = refused
        self._clock = clock
        self._callers = BoundedMemory(clock=clock)
        self._strangers = BoundedMemory(clock=clock)
        self._lock = threading.Lock()

    def spend(self, budget: Budget, token_id: str) -> Window | None:
        """
        Count a call with a token that was found valid, and return what is left; None where nothing is counted.

        Raises
        ------
        TooManyRequestsError
            When nothing was left.
        """
        return self._spend(budget, token_id, self._callers, is_stranger=False)

    def spend_of_address(self, budget: Budget, address: str) -> Window | None:
        """
        Count a call of which no more than its address is known; see ``spend``.

        There are more addresses than memory: they are kept apart from the callers, whom they cost nothing.
        """
        return self._spend(budget, address, self._strangers, is_stranger=True)

    def _spend(self, budget: Budget, who: str, memory: "BoundedMemory", *, is_stranger: bool) -> Window | None:
        if (item := self._items.get(budget)) is None:
            return None
        with self._lock:
            has_place = memory.has_place(item.key_for(who))
            counted = EVERYBODY_ELSE if is_stranger and not has_place else who
            limiter = FixedWindowRateLimiter(memory)
            is_within = limiter.hit(item, counted)
            stats = limiter.get_window_stats(item, counted)
        window = Window(
            budget=budget,
            quota=item.amount,
            remaining=stats.remaining,
            reset_s=max(1, math.ceil(stats.reset_time - self._clock())),
        )
        if not is_within:
            self._refused(budget)
            raise TooManyRequestsError(window.headers(), retry_after_s=window.reset_s)
        return window


class BoundedMemory(Storage):
    """Counts by key, which knows when it is full. The library's own memory does not, and starts a thread to forget."""

    def __init__(self, *, clock: Callable[[], float] = time.time, most: int = MOST_ADDRESSES) -> None:
        super().__init__()
        self._clock = clock
        self._most = most
        self._counts: dict[str, tuple[int, float]] = {}
        self._looked_at = 0.0

    def has_place(self, key: str) -> bool:
        """Return whether a key is counted or can be; what is over is forgotten only when a place is needed."""
        if key in self._counts or len(self._counts) < self._most:
            return True
        now = self._clock()
        if now >= self._looked_at + 1:  # many strangers must not make each call look through all of them
            self._looked_at = now
            self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}
        return len(self._counts) < self._most

    @property
    def base_exceptions(self) -> type[Exception]:
        """Errors of the storage: there are none."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a count, which begins anew once its time is over."""
        now = self._clock()
        count, until = self._counts.get(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + expiry
        self._counts[key] = (count + amount, until)
        return count + amount

    def get(self, key: str) -> int:
        """Return a count."""
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """Return when a count begins anew, in seconds since the epoch."""
        now = self._clock()
        return max(now, self._counts.get(key, (0, now))[1])

    def check(self) -> bool:
        """Say that the storage works."""
        return True

    def reset(self) -> int | None:
        """Forget all counts, and return how many there were."""
        number = len(self._counts)
        self._counts = {}
        return number

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counts.pop(key, None)


def is_picture(path: str) -> bool:
    """Return whether a path is that of a picture, whoever asks for it."""
    return path.endswith(("/rendered", "/thumbnail")) or "/frames/" in path or "/pictures/" in path


def is_download(path: str) -> bool:
    """Return whether a path is that of an archive."""
    return path.endswith("/archive")


def budget_of(path: str) -> Budget:
    """Return what a call with a token is counted as."""
    if is_picture(path):
        return Budget.PICTURES
    return Budget.DOWNLOADS if is_download(path) else Budget.CALLS


def address_of(host: str | None) -> str:
    """Return what an address is counted as: itself, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"  # a socket of this machine
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
