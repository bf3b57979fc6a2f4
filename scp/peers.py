"""Who may send: the peer rules, read from two files of the spool.

`peers.json` holds what the settings say and is written when a receiver starts; `peers-allowed.json` beside it holds
the rules that were allowed since. The bridge replaces both atomically; a receiver looks at them for every association
request, so that a change needs no restart. A file that cannot be understood changes nothing: its last good rules stay
in force. A key that we do not know makes a file such: a misspelt restriction must never open what it should close.
"""

import ipaddress
import json
import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from scp.arrival import new_arrival_id
from scp.certificates import CertificateIdentity, certificate_entry
from scp.disk import Disk
from scp.errors import PeerRulesError

__all__ = [
    "ANY_CALLING_AE",
    "CommitmentRule",
    "PeerRule",
    "PeerRules",
    "PeerRulesFile",
    "Refusal",
    "allowed_rules_path",
    "encode_peer_rules",
    "judge",
    "matching_rule",
    "write_peer_rules",
]

_log = logging.getLogger("casebridge.scp")

ANY_CALLING_AE = "*"

_RULE_FORM = (
    "a peer rule has calling_ae, and may have addresses, certificates, max_associations and commitment (host, port, "
    "ae_title)"
)
_ALLOWED_NAME = "peers-allowed.json"
_MAX_PORT = 65535
_MAX_HOST = 253


class Refusal(StrEnum):
    """The rule that refused an association."""

    UNKNOWN_CALLING_AE = "unknown-calling-ae"
    ADDRESS_NOT_ALLOWED = "address-not-allowed"
    UNKNOWN_CALLED_AE = "unknown-called-ae"
    TOO_MANY_ASSOCIATIONS = "too-many-associations"
    TOO_MANY_FROM_ADDRESS = "too-many-from-address"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    DISK_RESERVE = "disk-reserve"
    STOPPING = "stopping"
    UNREADABLE_REQUEST = "unreadable-request"
    TLS_REQUIRED = "tls-required"
    """The AE title is tied to certificates, and the connection was plain."""
    CERTIFICATE_REQUIRED = "certificate-required"
    """The AE title is tied to certificates, and the connection showed none."""
    CERTIFICATE_NOT_OF_PEER = "certificate-not-of-peer"
    """The connection showed a good certificate, but none that the AE title is tied to."""

    @property
    def answer(self) -> tuple[int, int, int]:
        """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
        if self is Refusal.UNKNOWN_CALLED_AE:
            return 1, 1, 7
        if self in _NOT_RECOGNIZED:
            return 1, 1, 3
        return 2, 3, 2


_NOT_RECOGNIZED = {
    Refusal.UNKNOWN_CALLING_AE,
    Refusal.ADDRESS_NOT_ALLOWED,
    Refusal.TLS_REQUIRED,
    Refusal.CERTIFICATE_REQUIRED,
    Refusal.CERTIFICATE_NOT_OF_PEER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRule:
    """Storage commitment is on for a peer; reports go to `host` and `port`.

    `ae_title` is whom they are for, empty for the calling AE title of the request.
    """

    host: str
    port: int
    ae_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRule:
    """One peer that may send.

    `calling_ae` is an AE title, or `*` for any; `addresses` are IP addresses or networks (`10.1.0.0/16`), none for any;
    `certificates` are fingerprints and names (:mod:`scp.certificates`), of which a connection has to show one, none for
    any connection, plain ones too. `max_associations` is how many it may have open at once, None for no limit of its
    own.
    """

    calling_ae: str
    addresses: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    max_associations: int | None = None
    commitment: CommitmentRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRules:
    """Every peer that may send.

    `is_open` lets anybody in, for trials; `called_aes` are AE titles that we answer to besides our own.
    """

    rules: tuple[PeerRule, ...] = ()
    is_open: bool = False
    called_aes: tuple[str, ...] = ()


def judge(
    rules: PeerRules,
    *,
    calling_ae: str,
    called_ae: str,
    address: str,
    own_ae: str,
    certificate: CertificateIdentity | None = None,
    is_tls: bool = False,
) -> Refusal | None:
    """Return why a peer may not associate, None where it may.

    Parameters
    ----------
    rules
        The rules in force.
    calling_ae, called_ae
        The AE titles of the request, without padding.
    address
        The peer's IP address; loopback is always known, but an AE title that a rule ties to certificates is tied
        there too: what ends TLS on this machine makes everybody look local.
    own_ae
        The AE title that we always answer to.
    certificate
        Whom the connection's verified certificate names, None where it showed none.
    is_tls
        Whether the connection is encrypted.
    """
    if called_ae != own_ae and called_ae not in rules.called_aes:
        return Refusal.UNKNOWN_CALLED_AE
    if rules.is_open:
        return None
    reachable = _reachable(rules.rules, calling_ae, _address(address))
    if isinstance(reachable, Refusal):
        return reachable
    if not reachable or any(_is_shown(rule, certificate) for rule in reachable):
        return None
    if not is_tls:
        return Refusal.TLS_REQUIRED
    return Refusal.CERTIFICATE_REQUIRED if certificate is None else Refusal.CERTIFICATE_NOT_OF_PEER


def _reachable(
    rules: Iterable[PeerRule], calling_ae: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> list[PeerRule] | Refusal:
    """Return the rules that take a title from an address, none where none is needed, or why there is none."""
    of_title = [rule for rule in rules if rule.calling_ae in {calling_ae, ANY_CALLING_AE}]
    if ip is not None and ip.is_loopback:
        own = [rule for rule in of_title if rule.calling_ae == calling_ae]
        return own if any(rule.certificates for rule in own) else []
    if not of_title:
        return Refusal.UNKNOWN_CALLING_AE
    return [rule for rule in of_title if _admits(rule, ip)] or Refusal.ADDRESS_NOT_ALLOWED


def matching_rule(
    rules: PeerRules, *, calling_ae: str, address: str, certificate: CertificateIdentity | None = None
) -> PeerRule | None:
    """Return the rule that a peer sends under, None where no rule speaks of it (loopback, or open to all).

    Of several the closest counts: one that names the AE title before `*`, then one that asks for a certificate, then
    one that names addresses, then the first.

    Parameters
    ----------
    rules
        The rules in force.
    calling_ae
        The AE title of the request, without padding.
    address
        The peer's IP address.
    certificate
        Whom the connection's verified certificate names, None where it showed none.
    """
    ip = _address(address)
    matching = [
        rule
        for rule in rules.rules
        if rule.calling_ae in {calling_ae, ANY_CALLING_AE} and _admits(rule, ip) and _is_shown(rule, certificate)
    ]
    return max(
        matching,
        key=lambda rule: (rule.calling_ae != ANY_CALLING_AE, bool(rule.certificates), bool(rule.addresses)),
        default=None,
    )


def _is_shown(rule: PeerRule, certificate: CertificateIdentity | None) -> bool:
    return not rule.certificates or (certificate is not None and certificate.is_any_of(rule.certificates))


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


def encode_peer_rules(rules: PeerRules) -> bytes:
    """Return what a file of these rules holds: the same rules give the same bytes.

    Raises
    ------
    PeerRulesError
        If a rule could not be applied: an address that is none, a title that is none.
    """
    document = {
        "open": rules.is_open,
        "called_aes": list(rules.called_aes),
        "rules": [{key: value for key, value in asdict(rule).items() if value is not None} for rule in rules.rules],
    }
    _parse(document)
    return json.dumps(document, indent=2).encode() + b"\n"


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
    content = encode_peer_rules(rules)
    disk = Disk()
    temporary = path.with_name(f".{path.name}.{new_arrival_id()}")
    descriptor = disk.create(temporary)
    try:
        disk.write(descriptor, content)
        disk.sync(descriptor)
        disk.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    disk.sync_folder(path.parent)


def allowed_rules_path(path: Path) -> Path:
    """Return where the rules allowed since the start lie, beside the file of the settings' rules."""
    return path.with_name(_ALLOWED_NAME)


class PeerRulesFile:
    """The rules in force: those of the settings and those allowed since, read again whenever a file has changed.

    Parameters
    ----------
    path
        The file of the settings' rules; :func:`allowed_rules_path` names the other.
    """

    def __init__(self, path: Path) -> None:
        self._of_settings = _WatchedRules(path)
        self._allowed = _WatchedRules(allowed_rules_path(path), is_rules_only=True)
        self._lock = threading.Lock()

    def rules(self) -> PeerRules:
        """Return the rules in force; without a file there are none, and only loopback may send."""
        with self._lock:
            of_settings = self._of_settings.rules()
            allowed = self._allowed.rules().rules
            return replace(of_settings, rules=of_settings.rules + allowed) if allowed else of_settings

    def of_settings(self) -> PeerRules:
        """Return the rules of the settings alone, as the last receiver that started wrote them."""
        with self._lock:
            return self._of_settings.rules()


class _WatchedRules:
    """One file of rules; `is_rules_only` where it may neither open the receiver nor add called AE titles."""

    def __init__(self, path: Path, *, is_rules_only: bool = False) -> None:
        self._path = path
        self._is_rules_only = is_rules_only
        self._seen: tuple[int, int, int] | None = None
        self._rules = PeerRules()

    def rules(self) -> PeerRules:
        """Return the last good rules of the file."""
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen != self._seen:
                self._seen = seen
                self._rules = self._checked(_parse(json.loads(self._path.read_bytes())))
        except FileNotFoundError:
            self._seen, self._rules = None, PeerRules()
        except OSError as error:
            self._seen = None
            _log.warning("The peer rules cannot be read now.", extra={"errno": error.errno})
        except (ValueError, PeerRulesError):
            _log.error("The peer rules cannot be read; the last good ones stay in force. Write them again.")
        return self._rules

    def _checked(self, rules: PeerRules) -> PeerRules:
        if self._is_rules_only and (rules.is_open or rules.called_aes):
            raise PeerRulesError("only the settings open a receiver or name called AE titles")
        return rules


def _parse(document: Any) -> PeerRules:
    try:
        _require_keys(document, {"open", "called_aes", "rules"})
        return PeerRules(
            rules=tuple(_rule(rule) for rule in _list(document.get("rules", ()))),
            is_open=_switch(document.get("open", False)),
            called_aes=tuple(_title(title) for title in _texts(document.get("called_aes", ()))),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PeerRulesError(_RULE_FORM) from None


def _rule(rule: Any) -> PeerRule:
    _require_keys(rule, {"calling_ae", "addresses", "certificates", "max_associations", "commitment"})
    commitment, limit = rule.get("commitment"), rule.get("max_associations")
    return PeerRule(
        calling_ae=_title(rule["calling_ae"]),
        addresses=tuple(_network(text) for text in _texts(rule.get("addresses", ()))),
        certificates=tuple(certificate_entry(text) for text in _texts(rule.get("certificates", ()))),
        max_associations=None if limit is None else _number(limit),
        commitment=None if commitment is None else _commitment(commitment),
    )


def _commitment(rule: Any) -> CommitmentRule:
    _require_keys(rule, {"host", "port", "ae_title"})
    host, title = rule["host"], rule.get("ae_title", "")
    if not isinstance(host, str) or not 0 < len(host.strip()) <= _MAX_HOST:
        raise ValueError(_RULE_FORM)
    return CommitmentRule(
        host=host.strip(), port=_number(rule["port"], _MAX_PORT), ae_title=_title(title) if title else ""
    )


def _require_keys(document: Any, known: set[str]) -> None:
    if document.keys() - known:
        raise ValueError(_RULE_FORM)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(_RULE_FORM)
    return value


def _list(values: Any) -> Iterable[Any]:
    if not isinstance(values, list | tuple):
        raise TypeError(_RULE_FORM)
    return values


def _number(value: Any, highest: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (highest and value > highest):
        raise ValueError(_RULE_FORM)
    return value


def _title(text: Any) -> str:
    if not isinstance(text, str) or not 0 < len(text.strip()) <= 16 or not text.isascii():  # noqa: PLR2004 - VR AE
        raise ValueError(_RULE_FORM)
    return text.strip()


def _texts(values: Any) -> Iterable[str]:
    if not all(isinstance(value, str) for value in _list(values)):
        raise TypeError(_RULE_FORM)
    return _list(values)


def _network(text: str) -> str:
    ipaddress.ip_network(text, strict=False)
    return text
