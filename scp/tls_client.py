"""The client's side of TLS: what we check of a destination, what we show it, and why it came to nothing."""

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scp.errors import TlsFilesError

__all__ = ["ClientTls", "client_context", "client_fault"]

_TIMEOUT_S = 10.0
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a destination is spoken to over TLS.

    `ca_file` holds what its certificate is checked against, None for the authorities that this machine trusts;
    `certificate_file` and `key_file` are what we show; `server_name` is whom its certificate has to name, None for
    the host that is connected to.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Return what a connection to a destination is wrapped with; its certificate and its name are always checked.

    Raises
    ------
    TlsFilesError
        If a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ValueError) as error:
        raise TlsFilesError(_sentence(tls.ca_file, error, "certificates of authorities")) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate_file is not None:

        def no_passphrase() -> str:
            # Without this, OpenSSL would ask on the terminal.
            raise TlsFilesError("the key is encrypted; give one without a passphrase")

        try:
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=no_passphrase)
        except (OSError, ValueError) as error:
            raise TlsFilesError(_sentence(tls.certificate_file, error, "certificate with its key")) from None
    return context


def client_fault(
    host: str, port: int, context: ssl.SSLContext, server_name: str, *, answer_s: float = _ANSWER_S
) -> str:
    """Try a handshake, and return why it fails in a sentence that says what to do; empty where it does not fail.

    Parameters
    ----------
    host, port
        Where the destination listens.
    context
        What the connection is wrapped with.
    server_name
        Whom its certificate has to name.
    answer_s
        How long is waited for what the other side makes of our certificate: TLS 1.3 tells after the handshake.
    """
    try:
        with (
            socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as secured,
        ):
            if answer_s:
                secured.settimeout(answer_s)
                with suppress(TimeoutError):
                    secured.recv(1)
    except OSError as error:
        return _handshake_sentence(error)
    return ""


def _handshake_sentence(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}; name the right CA file or the right host"
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return "it breaks off the TLS handshake; check the port, and whether it asks for a certificate"
    reason = error.reason or ""
    if reason.endswith(("ALERT_CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE")):
        return "it asks for a client certificate; give one with --cert and --key"
    if "_ALERT_" in reason:
        return f"it refuses our certificate ({reason.partition('_ALERT_')[2].replace('_', ' ').lower()})"
    return "it does not speak TLS on this port; check the port, or send without --tls"


def _sentence(path: Path | None, error: Exception, wanted: str) -> str:
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return f"{path} holds no {wanted} in PEM form"
    return f"{path} or what belongs to it cannot be read ({os.strerror(error.errno or 0)})"
