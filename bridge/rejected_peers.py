"""Rejected peers in words: why each was turned away, what to do about it, and whether a rule would let it in."""

import ipaddress
from collections.abc import Mapping

from bridge.handshakes import EXPLANATIONS as TLS_EXPLANATIONS
from cases.peers import RejectedPeer
from scp.certificates import CertificateIdentity
from scp.peers import ANY_CALLING_AE, PeerRules, Refusal

EXPLANATIONS: Mapping[Refusal, str] = {
    Refusal.UNKNOWN_CALLING_AE: "No rule names this AE title. If it is one of your senders, allow it from this "
    "address.",
    Refusal.ADDRESS_NOT_ALLOWED: "A rule names this AE title, but not this address. If the sender moved, or sends from "
    "a second address, allow it from this one too.",
    Refusal.TLS_REQUIRED: "Its rule asks for a certificate, and the connection was not encrypted. Switch TLS on in the "
    "sender.",
    Refusal.CERTIFICATE_REQUIRED: "Its rule asks for a certificate, and the sender showed none. Give the sender its "
    "client certificate.",
    Refusal.CERTIFICATE_NOT_OF_PEER: "It showed a certificate that its rule does not name. If the certificate was "
    "renewed, allow the sender with the new one.",
    Refusal.UNKNOWN_CALLED_AE: "It asked for an AE title that is not ours. Correct the destination in the sender, or "
    "name the AE title in a route of the settings.",
    Refusal.TOO_MANY_ASSOCIATIONS: "All places for associations were taken. The sender tries again; raise "
    "max_associations if this happens often.",
    Refusal.TOO_MANY_FROM_ADDRESS: "This address had as many associations open as one may have. The sender tries "
    "again; raise max_associations_per_peer, or its rule's max_associations, if this happens often.",
    Refusal.TOO_MANY_CONNECTIONS: "Far too many connections were open. Look at what opens them; senders try again.",
    Refusal.DISK_RESERVE: "The spool's disk was full up to its reserve. Make room; the sender tries again.",
    Refusal.STOPPING: "The receiver was being stopped. The sender tries again.",
    Refusal.UNREADABLE_REQUEST: "What came was no association request. If a sender stands at this address, look at its "
    "destination: port, and TLS or not.",
}
"""Why a peer was rejected and what to do about it."""
_UNNAMED = "The rule named here rejected it."
_HELPED_BY_A_RULE = frozenset(
    {Refusal.UNKNOWN_CALLING_AE, Refusal.ADDRESS_NOT_ALLOWED, Refusal.CERTIFICATE_NOT_OF_PEER}
)


def explanation(rule: str) -> str:
    """Return why a rule rejects and what to do about it."""
    return EXPLANATIONS[Refusal(rule)] if rule in set(Refusal) else TLS_EXPLANATIONS.get(rule, _UNNAMED)


def is_tied(rules: PeerRules, peer: RejectedPeer) -> bool:
    """Tell whether every rule that speaks of a peer's AE title asks for a certificate: one more must do so too."""
    of_title = [rule for rule in rules.rules if rule.calling_ae in {peer.calling_ae, ANY_CALLING_AE}]
    return bool(of_title) and all(rule.certificates for rule in of_title)


def no_rule_because(peer: RejectedPeer, rules: PeerRules) -> str | None:
    """Return why no rule would let in exactly this peer, None where one would.

    Parameters
    ----------
    peer
        The peer.
    rules
        The rules in force.
    """
    if peer.rule not in _HELPED_BY_A_RULE:
        return f"no peer rule helps here: {explanation(peer.rule)[:1].lower()}{explanation(peer.rule)[1:]}"
    if single_address(peer.peer_address) is None:
        return "this stands for several peers: allow one by its AE title and address"
    if peer.calling_ae == ANY_CALLING_AE:
        return "this peer calls itself *, which in a rule means any AE title: have its AE title changed"
    if peer.rule == Refusal.CERTIFICATE_NOT_OF_PEER and shown_certificate(peer) is None:
        return "the certificate is not known any more: allow the peer by its fingerprint"
    if is_tied(rules, peer) and shown_certificate(peer) is None:
        return "its AE title is tied to certificates, and it showed none: have it show one, or add a rule in full"
    return None


def single_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the one address that an entry of the books means, None where it means several."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def shown_certificate(peer: RejectedPeer) -> CertificateIdentity | None:
    """Return the certificate that a peer showed, as far as the books remember it."""
    fingerprint, _, name = peer.certificate.partition(" ")
    return CertificateIdentity(fingerprint=fingerprint, common_name=name) if fingerprint else None
