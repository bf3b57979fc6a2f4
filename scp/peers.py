"""Who may send: the peer rules, read from one file of the spool.

The bridge replaces the file atomically; a receiver looks at it for every association request, so that a change
needs no restart. A file that cannot be understood changes nothing: the last good rules stay in force.
"""

import ipaddress
import json
import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from scp.arrival import new_arrival_id
from scp.disk import Disk
from scp.errors import PeerRulesError

__all__ = [
    "ANY_CALLING_AE",
    "PeerRule",
    "PeerRules",
    "PeerRulesFile",
    "Refusal",
    "judge",
    "write_peer_rules",
]

_log = logging.getLogger("casebridge.scp")

ANY_CALLING_AE = "*"

_RULE_FORM = "a peer rule has a calling AE title and a list of addresses or networks"


class Refusal(StrEnum):
    """The rule that refused an association."""

    UNKNOWN_CALLING_AE = "unknown-calling-ae"
    ADDRESS_NOT_ALLOWED = "address-not-allowed"
    UNKNOWN_CALLED_AE = "unknown-called-ae"
    TOO_MANY_ASSOCIATIONS = "too-many-associations"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    DISK_RESERVE = "disk-reserve"
    STOPPING = "stopping"
    UNREADABLE_REQUEST = "unreadable-request"

    @property
    def answer(self) -> tuple[int, int, int]:
        """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
        if self is Refusal.UNKNOWN_CALLED_AE:
            return 1, 1, 7
        if self in {Refusal.UNKNOWN_CALLING_AE, Refusal.ADDRESS_NOT_ALLOWED}:
            return 1, 1, 3
        return 2, 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRule:
    """One peer that may send.

    `calling_ae` is an AE title, or `*` for any; `addresses` are IP addresses or networks (`10.1.0.0/16`), none for any.
    """

    calling_ae: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRules:
    """Every peer that may send.

    `is_open` lets anybody in, for trials; `called_aes` are AE titles that we answer to besides our own.
    """

    rules: tuple[PeerRule, ...] = ()
    is_open: bool = False
    called_aes: tuple[str, ...] = ()


def judge(rules: PeerRules, *, calling_ae: str, called_ae: str, address: str, own_ae: str) -> Refusal | None:
    """Return why a peer may not associate, None where it may.

    Parameters
    ----------
    rules
        The rules in force.
    calling_ae, called_ae
        The AE titles of the request, without padding.
    address
        The peer's IP address; loopback is always known.
    own_ae
        The AE title that we always answer to.
    """
    if called_ae != own_ae and called_ae not in rules.called_aes:
        return Refusal.UNKNOWN_CALLED_AE
    if rules.is_open:
        return None
    ip = _address(address)
    if ip is not None and ip.is_loopback:
        return None
    of_title = [rule for rule in rules.rules if rule.calling_ae in {calling_ae, ANY_CALLING_AE}]
    if not of_title:
        return Refusal.UNKNOWN_CALLING_AE
    if any(_admits(rule, ip) for rule in of_title):
        return None
    return Refusal.ADDRESS_NOT_ALLOWED


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket that listens on both families shows IPv4 peers as ::ffff:a.b.c.d.
    return getattr(ip, "ipv4_mapped", None) or ip


def _admits(rule: PeerRule, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if not rule.addresses:
        return True
    return ip is not None and any(ip in ipaddress.ip_network(text, strict=False) for text in rule.addresses)


def write_peer_rules(path: Path, rules: PeerRules) -> None:
    """Replace the peer rules file atomically and durably.

    Parameters
    ----------
    path
        The file; its folder exists.
    rules
        What it shall say.

    Raises
    ------
    PeerRulesError
        If a rule could not be applied: an address that is none, a title that is none.
    """
    document = {
        "open": rules.is_open,
        "called_aes": list(rules.called_aes),
        "rules": [{"calling_ae": rule.calling_ae, "addresses": list(rule.addresses)} for rule in rules.rules],
    }
    _parse(document)
    disk = Disk()
    temporary = path.with_name(f".{path.name}.{new_arrival_id()}")
    descriptor = disk.create(temporary)
    try:
        disk.write(descriptor, json.dumps(document, indent=2).encode() + b"\n")
        disk.sync(descriptor)
        disk.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    disk.sync_folder(path.parent)


class PeerRulesFile:
    """The rules in force, read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._rules = PeerRules()
        self._lock = threading.Lock()

    def rules(self) -> PeerRules:
        """Return the rules in force; without a file there are none, and only loopback may send."""
        with self._lock:
            try:
                facts = self._path.stat()
                seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
                if seen != self._seen:
                    self._seen = seen
                    self._rules = _parse(json.loads(self._path.read_bytes()))
            except FileNotFoundError:
                self._seen, self._rules = None, PeerRules()
            except OSError as error:
                self._seen = None
                _log.warning("The peer rules cannot be read now.", extra={"errno": error.errno})
            except (ValueError, PeerRulesError):
                _log.error("The peer rules cannot be read; the last good ones stay in force. Write them again.")
            return self._rules


def _parse(document: Any) -> PeerRules:
    try:
        rules = tuple(
            PeerRule(calling_ae=_title(rule["calling_ae"]), addresses=tuple(_networks(rule.get("addresses", ()))))
            for rule in document.get("rules", ())
        )
        return PeerRules(
            rules=rules,
            is_open=document.get("open", False) is True,
            called_aes=tuple(_title(title) for title in document.get("called_aes", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PeerRulesError(_RULE_FORM) from None


def _title(text: Any) -> str:
    if not isinstance(text, str) or not 0 < len(text.strip()) <= 16 or not text.isascii():  # noqa: PLR2004 - VR AE
        raise ValueError(_RULE_FORM)
    return text.strip()


def _networks(texts: Iterable[Any]) -> Iterable[str]:
    if isinstance(texts, str):
        raise TypeError(_RULE_FORM)
    for text in texts:
        ipaddress.ip_network(text, strict=False)
        yield str(text)
