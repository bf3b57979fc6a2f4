"""How many connections may be open, in all and from one address; counted before any byte is read."""

import ipaddress
import threading
from collections import Counter
from dataclasses import dataclass

from scp.peers import PeerRule, PeerRulesFile, Refusal

__all__ = ["Place", "Places"]

_SPARE = 16
_SPARE_PER_ADDRESS = 8
_SHARE = 4


@dataclass(eq=False, slots=True, kw_only=True)
class Place:
    """What one open connection counts as; `refusal` is what its association request will be refused with."""

    address: str
    refusal: Refusal | None = None
    is_free: bool = False


class Places:
    """The places of one listening application entity.

    A connection over a limit gets a spare place: its request is read and rejected, so that the sender's log says why.
    Spare places are few, and nobody's spare place takes one of the others.

    Parameters
    ----------
    limit
        How many associations may be open in all.
    per_address
        How many of them from one address, unless a peer rule says otherwise. None: a quarter of `limit`, and all of
        them from loopback.
    rules
        The peer rules in force; what one says of an address goes before `per_address`.
    """

    def __init__(self, limit: int, *, per_address: int | None, rules: PeerRulesFile) -> None:
        self._limit = limit
        self._per_address = per_address
        self._rules = rules
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._spare: Counter[str] = Counter()

    def take(self, address: str) -> Place | None:
        """Return the place of a new connection, None where it must be closed unread."""
        share = self._share_of(address)
        with self._lock:
            refusal = None
            if self._taken[address] >= share:
                refusal = Refusal.TOO_MANY_FROM_ADDRESS
            if self._taken.total() >= self._limit:
                refusal = Refusal.TOO_MANY_ASSOCIATIONS
            if refusal is not None and (self._spare.total() >= _SPARE or self._spare[address] >= _SPARE_PER_ADDRESS):
                return None
            (self._taken if refusal is None else self._spare)[address] += 1
        return Place(address=address, refusal=refusal)

    def free(self, place: Place) -> None:
        """Count a connection no more; only the first call counts."""
        with self._lock:
            if place.is_free:
                return
            place.is_free = True
            counts = self._taken if place.refusal is None else self._spare
            counts[place.address] -= 1
            if not counts[place.address]:
                del counts[place.address]

    def _share_of(self, address: str) -> int:
        ip = _ip(address)
        limits = (rule.max_associations for rule in self._rules.rules().rules if _names(rule, ip))
        ruled = [limit for limit in limits if limit is not None]
        if ruled:
            return max(ruled)
        if self._per_address is not None:
            return self._per_address
        return self._limit if ip is not None and ip.is_loopback else max(1, self._limit // _SHARE)


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # A socket that listens on both families shows IPv4 peers as ::ffff:a.b.c.d.
    return getattr(ip, "ipv4_mapped", None) or ip


def _names(rule: PeerRule, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if not rule.addresses:
        return True
    return ip is not None and any(ip in ipaddress.ip_network(text, strict=False) for text in rule.addresses)
