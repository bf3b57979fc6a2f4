"""DICOM over TLS: what is offered, whom a peer's certificate names, and how both are renewed without a restart.

The server keeps to the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile: TLS 1.2 and 1.3, ephemeral
elliptic-curve keys and authenticated encryption only, no compression, no renegotiation, no session tickets. What a
TLS 1.2 client resumes is a session in the memory of one process: the identity that was verified comes with it, and a
change of the files ends it.

References
----------
PS3.15 §B.12, RFC 9325.
"""

import logging
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from scp.certificates import CertificateIdentity, certificate_identity
from scp.errors import TlsFilesError

__all__ = [
    "TLS_ON_PLAIN_PORT",
    "ClientCertificates",
    "HandshakeError",
    "HandshakeFault",
    "SecuredConnection",
    "ServerCertificate",
    "TlsSettings",
    "certificate_end",
    "is_tls_greeting",
    "secure",
    "send_close_notify",
]

_log = logging.getLogger("casebridge.scp")

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:@SECLEVEL=2"
_CHECK_S = 1.0
"""For how long the files are not looked at again."""
_AGAIN_S = 60.0
"""After how long files that could not be used are tried again although they look the same."""
_WARN_AHEAD = timedelta(days=30)
_WARN_AGAIN_S = 86_400.0
_HANDSHAKE_RECORD = 0x16


class ClientCertificates(StrEnum):
    """Whether clients show a certificate."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How TLS is served.

    `certificate_file` holds our certificate and those that lead to its CA, `client_ca_file` the certificates that the
    clients' are checked against; each of them is trusted as it stands.
    """

    port: int
    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_certificates: ClientCertificates = ClientCertificates.OFF

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        given = (self.certificate_file, self.key_file, self.client_ca_file)
        return tuple(file for file in given if file is not None)


class _TlsSocket(ssl.SSLSocket):
    """Stays encrypted to its end."""

    def shutdown(self, how: int) -> None:
        # The library's own forgets here that the connection is encrypted, and a thread that is still reading would be
        # given the cipher text as data.
        socket.socket.shutdown(self, how)


class HandshakeFault(StrEnum):
    """Why no encrypted connection came about; as a rule of a rejection it follows `tls-handshake-failed:`."""

    PLAIN_ON_TLS_PORT = "plain-on-tls-port"
    NO_CLIENT_CERTIFICATE = "no-client-certificate"
    CLIENT_CERTIFICATE_EXPIRED = "client-certificate-expired"
    CLIENT_CERTIFICATE_NOT_YET_VALID = "client-certificate-not-yet-valid"
    CLIENT_CERTIFICATE_NOT_FOR_CLIENTS = "client-certificate-not-for-clients"
    CLIENT_CERTIFICATE_NOT_TRUSTED = "client-certificate-not-trusted"
    SERVER_CERTIFICATE_REFUSED = "server-certificate-refused"
    """The peer does not trust our certificate, or cannot use it."""
    PROTOCOL_TOO_OLD = "protocol-too-old"
    NO_SHARED_CIPHER = "no-shared-cipher"
    TOO_SLOW = "too-slow"
    BROKEN_OFF = "broken-off"
    NOT_UNDERSTOOD = "not-understood"

    @property
    def rule(self) -> str:
        """What journals and books call it."""
        return f"tls-handshake-failed:{self.value}"


TLS_ON_PLAIN_PORT = "tls-on-plain-port"
"""The rule of a rejection: a peer began TLS where none is spoken."""

_CERTIFICATE_FAULTS = {
    9: HandshakeFault.CLIENT_CERTIFICATE_NOT_YET_VALID,
    10: HandshakeFault.CLIENT_CERTIFICATE_EXPIRED,
    26: HandshakeFault.CLIENT_CERTIFICATE_NOT_FOR_CLIENTS,
}
"""OpenSSL's X509_V_ERR codes that have a fault of their own."""
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": HandshakeFault.NO_CLIENT_CERTIFICATE,
    "UNSUPPORTED_PROTOCOL": HandshakeFault.PROTOCOL_TOO_OLD,
    "VERSION_TOO_LOW": HandshakeFault.PROTOCOL_TOO_OLD,
    "WRONG_SSL_VERSION": HandshakeFault.PROTOCOL_TOO_OLD,
    "NO_SHARED_CIPHER": HandshakeFault.NO_SHARED_CIPHER,
    "UNEXPECTED_EOF_WHILE_READING": HandshakeFault.BROKEN_OFF,
}


class HandshakeError(Exception):
    """No encrypted connection came about; `fault` is None where the peer closed before it said anything."""

    def __init__(self, fault: HandshakeFault | None) -> None:
        super().__init__(fault.value if fault else "closed")
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredConnection:
    """An encrypted connection; `certificate` is whom the peer's verified certificate names, None where it has none."""

    socket: ssl.SSLSocket
    version: str
    certificate: CertificateIdentity | None


class ServerCertificate:
    """Our certificate and what clients are checked against, loaded again when one of the files has changed.

    Connections that are open stay as they are; new ones get what was loaded last. Files that cannot be used change
    nothing.

    Parameters
    ----------
    settings
        Which files.

    Raises
    ------
    TlsFilesError
        If the files cannot be used.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._seen = _signature(settings)
        self._context = _server_context(settings)
        self._ends_at = certificate_end(settings.certificate_file)
        self._checked_at = time.monotonic()
        self._failed_at: float | None = None
        self._warned_at: float | None = None
        self._warn()

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is wrapped with."""
        with self._lock:
            if time.monotonic() - self._checked_at >= _CHECK_S:
                self._checked_at = time.monotonic()
                self._look()
            return self._context

    def _look(self) -> None:
        seen = _signature(self._settings)
        is_again = self._failed_at is not None and time.monotonic() - self._failed_at >= _AGAIN_S
        if seen != self._seen or is_again:
            self._seen = seen
            self._load()
        self._warn()

    def _load(self) -> None:
        try:
            self._context = _server_context(self._settings)
            self._ends_at = certificate_end(self._settings.certificate_file)
            self._failed_at = self._warned_at = None
            _log.info("The TLS certificate was loaded anew.", extra={"ends_at": self._ends_at.isoformat()})
        except TlsFilesError as error:
            self._failed_at = time.monotonic()
            _log.error(
                "The TLS files have changed and cannot be used; the last good ones stay in force.",
                extra={"fault": error.comment},
            )

    def _warn(self) -> None:
        left = self._ends_at - datetime.now(UTC)
        is_due = self._warned_at is None or time.monotonic() - self._warned_at >= _WARN_AGAIN_S
        if left < _WARN_AHEAD and is_due:
            self._warned_at = time.monotonic()
            text = "The TLS certificate has expired: senders refuse it. Renew it."
            if left > timedelta():
                text = "The TLS certificate expires soon; renew it."
            _log.warning(text, extra={"ends_at": self._ends_at.isoformat()})


def is_tls_greeting(connection: socket.socket, *, timeout_s: float) -> bool | None:
    """Tell whether the first byte that a peer sends begins TLS, without taking it; None where none comes.

    Parameters
    ----------
    connection
        The accepted connection; its timeout is changed.
    timeout_s
        How long is waited for the byte.
    """
    try:
        connection.settimeout(timeout_s)
        first = connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return None
    return first[0] == _HANDSHAKE_RECORD if first else None


def secure(
    connection: socket.socket,
    context: ssl.SSLContext,
    *,
    timeout_s: float,
    on_wrapped: Callable[[ssl.SSLSocket], None] = lambda _: None,
) -> SecuredConnection:
    """Do the server's part of a handshake. The connection that is given is of no use any more, whatever happens.

    Parameters
    ----------
    connection
        The accepted connection; nothing has been read from it.
    context
        What it is wrapped with.
    timeout_s
        How long all of it may take.
    on_wrapped
        Called with the socket that takes the place of `connection`, before the handshake begins.

    Raises
    ------
    HandshakeError
        If no encrypted connection comes about.
    """
    deadline = time.monotonic() + timeout_s
    is_tls = is_tls_greeting(connection, timeout_s=timeout_s)
    if is_tls is None:
        raise HandshakeError(None)
    if not is_tls:
        raise HandshakeError(HandshakeFault.PLAIN_ON_TLS_PORT)
    try:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except (OSError, ValueError):
        raise HandshakeError(HandshakeFault.BROKEN_OFF) from None
    on_wrapped(secured)
    try:
        secured.do_handshake()
        return SecuredConnection(socket=secured, version=secured.version() or "", certificate=_identity(secured))
    except (OSError, ValueError) as error:
        with suppress(OSError):
            secured.close()
        raise HandshakeError(_fault(error)) from None


def send_close_notify(connection: socket.socket) -> None:
    """Tell the peer of an encrypted connection that nothing more comes, without waiting for anything.

    Only the thread that reads the connection may call this: OpenSSL's state is not shared between threads.
    """
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            connection.settimeout(0)
            connection.unwrap()


def certificate_end(path: Path) -> datetime:
    """Return when the first certificate of a PEM file ends.

    Raises
    ------
    TlsFilesError
        If there is none.
    """
    from cryptography import x509  # noqa: PLC0415 - a receiver without TLS goes without it

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except OSError as error:
        raise TlsFilesError(_unreadable(path, error)) from None
    except ValueError:
        raise TlsFilesError(f"{path} holds no certificate in PEM form; give the server's certificate") from None


def _identity(connection: ssl.SSLSocket) -> CertificateIdentity | None:
    encoded, decoded = connection.getpeercert(binary_form=True), connection.getpeercert()
    # A certificate that was not asked for is not verified, and its decoded form is empty.
    return certificate_identity(encoded, decoded) if encoded and decoded else None


def _fault(error: Exception) -> HandshakeFault:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_FAULTS.get(error.verify_code, HandshakeFault.CLIENT_CERTIFICATE_NOT_TRUSTED)
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return HandshakeFault.BROKEN_OFF
    if isinstance(error, TimeoutError):
        return HandshakeFault.TOO_SLOW
    reason = str(getattr(error, "reason", "") or "")
    if "_ALERT_" in reason:
        is_version = reason.endswith(("PROTOCOL_VERSION", "INSUFFICIENT_SECURITY"))
        return HandshakeFault.PROTOCOL_TOO_OLD if is_version else HandshakeFault.SERVER_CERTIFICATE_REFUSED
    return _REASONS.get(reason, HandshakeFault.NOT_UNDERSTOOD)


def _signature(settings: TlsSettings) -> tuple[Any, ...]:
    signature = []
    for path in settings.files:
        try:
            facts = path.stat()
            signature.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
        except OSError as error:
            signature.append((error.errno or 0, 0, 0))
    return tuple(signature)


def _server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return a context of the files as they are now, or raise a sentence about what is wrong with them."""
    _require_private(settings.key_file)
    certificate_end(settings.certificate_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = _TlsSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    )
    context.num_tickets = 0
    _load_pair(context, settings)
    if settings.client_certificates is not ClientCertificates.OFF:
        is_required = settings.client_certificates is ClientCertificates.REQUIRED
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
        # A listed certificate is trusted whether or not what issued it is listed too.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _load_authorities(context, settings.client_ca_file)
    return context


def _load_pair(context: ssl.SSLContext, settings: TlsSettings) -> None:
    def no_passphrase() -> str:
        # Without this, OpenSSL would ask on the terminal.
        raise TlsFilesError(
            f"{settings.key_file} is encrypted; store the key without a passphrase, readable by us alone"
        )

    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{settings.key_file} is not the key of the certificate in {settings.certificate_file}"
        elif error.reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
            text = f"{settings.certificate_file} has a key or a digest that is too weak; use RSA 2048, P-256 or better"
        else:
            text = f"{settings.certificate_file} and {settings.key_file} are no certificate and key in PEM form"
        raise TlsFilesError(text) from None
    except OSError as error:
        raise TlsFilesError(_unreadable(settings.key_file, error)) from None


def _load_authorities(context: ssl.SSLContext, path: Path | None) -> None:
    if path is None:
        raise TlsFilesError("client certificates are asked for, and no file says which are trusted")
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise TlsFilesError(f"{path} holds no certificates in PEM form; give those that issue clients' own") from None
    except OSError as error:
        raise TlsFilesError(_unreadable(path, error)) from None


def _require_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise TlsFilesError(_unreadable(path, error)) from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise TlsFilesError(f"{path} can be read by everybody or written by others; chmod 600 it, or 640")


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({os.strerror(error.errno or 0)})"
