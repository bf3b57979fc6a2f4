"""Why a connection over TLS came to nothing, and what to do about it; and until when our certificate holds."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scp.errors import TlsFilesError
from scp.tls import TLS_ON_PLAIN_PORT, HandshakeFault, certificate_end

WARN_AHEAD = timedelta(days=30)
"""How long before its end our certificate is brought up."""

EXPLANATIONS: Mapping[str, str] = {
    TLS_ON_PLAIN_PORT: "It spoke TLS on the port that is plain. Send to the port for TLS, or switch TLS off in the "
    "sender.",
    HandshakeFault.PLAIN_ON_TLS_PORT.rule: "It spoke plain DICOM on the port for TLS. Switch TLS on in the sender, or "
    "send to the plain port.",
    HandshakeFault.NO_CLIENT_CERTIFICATE.rule: "It showed no certificate, and one is required. Give the sender its "
    "client certificate and key.",
    HandshakeFault.CLIENT_CERTIFICATE_EXPIRED.rule: "Its certificate has expired. Renew it.",
    HandshakeFault.CLIENT_CERTIFICATE_NOT_YET_VALID.rule: "Its certificate is not valid yet. Compare the clocks.",
    HandshakeFault.CLIENT_CERTIFICATE_NOT_FOR_CLIENTS.rule: "Its certificate was issued for another use. Issue one "
    "with the extended key usage clientAuth.",
    HandshakeFault.CLIENT_CERTIFICATE_NOT_TRUSTED.rule: "Its certificate comes from nobody in tls_client_ca_file. Add "
    "what issued it, if you trust that.",
    HandshakeFault.SERVER_CERTIFICATE_REFUSED.rule: "It does not take our certificate. Give the sender the authority "
    "that issued it, and see that it has not expired and names this host.",
    HandshakeFault.PROTOCOL_TOO_OLD.rule: "It speaks no TLS newer than 1.1. Have the sender brought up to TLS 1.2 or "
    "1.3.",
    HandshakeFault.NO_SHARED_CIPHER.rule: "It offers no cipher with forward secrecy and authenticated encryption. Have "
    "the sender brought up to date.",
    HandshakeFault.TOO_SLOW.rule: "The handshake took too long. Look at the network; the sender tries again.",
    HandshakeFault.BROKEN_OFF.rule: "It closed the connection within the handshake. Look at the sender's log: often it "
    "does not take our certificate.",
    HandshakeFault.NOT_UNDERSTOOD.rule: "What it sent was no handshake that we know. If a sender stands at this "
    "address, look at its TLS settings.",
}


def certificate_warnings(certificate_file: Path | None) -> Iterable[str]:
    """Yield what is to be said of our certificate; nothing where it holds for long, or is not to be seen from here."""
    ends_at = certificate_ends_at(certificate_file)
    if ends_at is None:
        return
    left = ends_at - datetime.now(UTC)
    if left <= timedelta():
        yield "the TLS certificate has expired: senders refuse it; renew it"
    elif left < WARN_AHEAD:
        yield f"the TLS certificate expires on {ends_at:%Y-%m-%d}; renew it"


def certificate_ends_at(certificate_file: Path | None) -> datetime | None:
    """Return when our certificate ends, None without TLS or where this process cannot read it."""
    if certificate_file is None:
        return None
    try:
        return certificate_end(certificate_file)
    except TlsFilesError:
        return None
