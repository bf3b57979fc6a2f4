"""The handshake and the files behind it, without DICOM."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from scp.errors import TlsFilesError
from scp.tls import (
    ClientCertificates,
    HandshakeError,
    HandshakeFault,
    SecuredConnection,
    ServerCertificate,
    TlsSettings,
    certificate_end,
    secure,
    send_close_notify,
)
from tests.scp.pki import DAY, Authority, Pair


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scp.tls._CHECK_S", 0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("server")


def settings_of(server: Pair, **changes: object) -> TlsSettings:
    return TlsSettings(port=0, certificate_file=server.certificate, key_file=server.key, **changes)  # type: ignore[arg-type]


def asking(server: Pair, authority: Authority, how: ClientCertificates = ClientCertificates.REQUIRED) -> TlsSettings:
    return settings_of(server, client_ca_file=authority.file, client_certificates=how)


def client_context(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def shake(
    context: ssl.SSLContext, client: Callable[[socket.socket], object], *, timeout_s: float = 10
) -> SecuredConnection | HandshakeFault | None:
    """Return what the server makes of a client, which runs on a thread of its own."""

    def run() -> None:
        with theirs, suppress(OSError):
            client(theirs)

    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        with ours:
            secured = secure(ours, context, timeout_s=timeout_s)
            send_close_notify(secured.socket)
            secured.socket.close()
            return secured
    except HandshakeError as error:
        return error.fault
    finally:
        thread.join()


def tls(context: ssl.SSLContext) -> Callable[[socket.socket], object]:
    def client(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
            secured.recv(1)

    return client


def test_a_connection_without_certificate_is_encrypted_and_names_nobody(authority, server):
    found = shake(ServerCertificate(settings_of(server)).context(), tls(client_context(authority)))

    assert isinstance(found, SecuredConnection)
    assert (found.version, found.certificate) == ("TLSv1.3", None)


@pytest.mark.parametrize("how", [ClientCertificates.OPTIONAL, ClientCertificates.REQUIRED])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_verified_and_names_its_owner(authority, server, how, version):
    pair = authority.issue("pacs", common_name="Main PACS", dns_names=("pacs.example", "archive.example"))
    context = client_context(authority, pair)
    context.maximum_version = version

    found = shake(ServerCertificate(asking(server, authority, how)).context(), tls(context))

    assert isinstance(found, SecuredConnection)
    assert found.certificate is not None
    assert found.certificate.fingerprint == pair.fingerprint
    assert found.certificate.common_name == "Main PACS"
    assert found.certificate.dns_names == ("pacs.example", "archive.example")


def test_without_a_certificate_optional_goes_on_and_required_does_not(authority, server):
    optional = ServerCertificate(asking(server, authority, ClientCertificates.OPTIONAL)).context()
    required = ServerCertificate(asking(server, authority)).context()

    found = shake(optional, tls(client_context(authority)))
    assert isinstance(found, SecuredConnection)
    assert found.certificate is None
    assert shake(required, tls(client_context(authority))) is HandshakeFault.NO_CLIENT_CERTIFICATE


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"valid": (-9 * DAY, -DAY)}, HandshakeFault.CLIENT_CERTIFICATE_EXPIRED),
        ({"valid": (DAY, 9 * DAY)}, HandshakeFault.CLIENT_CERTIFICATE_NOT_YET_VALID),
        ({"usage": [ExtendedKeyUsageOID.SERVER_AUTH]}, HandshakeFault.CLIENT_CERTIFICATE_NOT_FOR_CLIENTS),
    ],
)
@pytest.mark.parametrize("how", [ClientCertificates.OPTIONAL, ClientCertificates.REQUIRED])
def test_a_bad_client_certificate_is_refused_also_where_none_is_asked_for(authority, server, changes, fault, how):
    pair = authority.issue("pacs", **changes)

    assert (
        shake(ServerCertificate(asking(server, authority, how)).context(), tls(client_context(authority, pair)))
        is fault
    )


def test_a_certificate_of_another_authority_is_refused(authority, server, tmp_path):
    pair = Authority.other(tmp_path / "other").issue("pacs")
    context = ServerCertificate(asking(server, authority)).context()

    assert shake(context, tls(client_context(authority, pair))) is HandshakeFault.CLIENT_CERTIFICATE_NOT_TRUSTED


def test_a_listed_certificate_is_trusted_without_its_authority_and_its_sister_is_not(authority, server):
    listed, sister = authority.issue("listed"), authority.issue("sister")
    settings = settings_of(server, client_ca_file=listed.certificate, client_certificates=ClientCertificates.REQUIRED)
    context = ServerCertificate(settings).context()

    assert isinstance(shake(context, tls(client_context(authority, listed))), SecuredConnection)
    found = shake(context, tls(client_context(authority, sister)))
    assert found is HandshakeFault.CLIENT_CERTIFICATE_NOT_TRUSTED


def test_a_client_that_does_not_trust_us_is_told_apart(server, authority, tmp_path):
    stranger = client_context(Authority.other(tmp_path / "other"))

    assert (
        shake(ServerCertificate(settings_of(server)).context(), tls(stranger))
        is HandshakeFault.SERVER_CERTIFICATE_REFUSED
    )


def test_what_is_no_tls_is_told_apart(authority, server):
    context = ServerCertificate(settings_of(server)).context()

    assert shake(context, lambda one: one.sendall(b"\x01\x00\x00\x00\x00\xcd")) is HandshakeFault.PLAIN_ON_TLS_PORT
    assert shake(context, lambda _: None) is None
    assert shake(context, lambda one: one.sendall(b"\x16\x03\x01\x00\x05hello")) is HandshakeFault.NOT_UNDERSTOOD
    assert shake(context, lambda one: one.sendall(b"\x16\x03\x01")) is HandshakeFault.BROKEN_OFF


def test_a_handshake_that_never_ends_is_given_up(authority, server):
    def client(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x01\x02\x00")
        connection.recv(1)

    context = ServerCertificate(settings_of(server)).context()

    assert shake(context, client, timeout_s=0.2) is HandshakeFault.TOO_SLOW


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_and_ciphers_without_forward_secrecy_are_refused(authority, server):
    context = ServerCertificate(settings_of(server)).context()
    old = client_context(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    static = client_context(authority)
    static.maximum_version = ssl.TLSVersion.TLSv1_2
    static.set_ciphers("ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256")

    assert shake(context, tls(old)) is HandshakeFault.PROTOCOL_TOO_OLD
    assert shake(context, tls(static)) is HandshakeFault.NO_SHARED_CIPHER
    assert {cipher["name"].split("-")[0] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"} == {
        "ECDHE"
    }
    assert all(cipher["aead"] for cipher in context.get_ciphers())


def test_a_session_is_resumed_with_its_identity_only_and_not_once_files_have_changed(authority, server):
    pair = authority.issue("pacs")
    files = ServerCertificate(asking(server, authority))
    client = client_context(authority, pair)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    sessions: list[ssl.SSLSession | None] = [None]
    reused = []

    def connect(connection: socket.socket) -> None:
        with client.wrap_socket(connection, server_hostname="127.0.0.1", session=sessions[-1]) as secured:
            secured.recv(1)
            sessions.append(secured.session)
            reused.append((secured.session_reused, secured.session.has_ticket))

    for _ in range(2):
        found = shake(files.context(), connect)
        assert isinstance(found, SecuredConnection)
        assert found.certificate is not None
        assert found.certificate.fingerprint == pair.fingerprint
    authority.issue("server")
    assert isinstance(shake(files.context(), connect), SecuredConnection)
    assert reused == [(False, False), (True, False), (False, False)]


def test_a_new_certificate_is_taken_up_without_a_restart_and_a_broken_one_changes_nothing(authority, server, caplog):
    files = ServerCertificate(settings_of(server))
    first = files.context()
    assert files.context() is first

    server.certificate.write_bytes(authority.issue("another").certificate.read_bytes())
    with caplog.at_level(logging.INFO, "casebridge.scp"):
        assert files.context() is first
        assert files.context() is first
    [record] = caplog.records
    assert "is not the key of the certificate" in record.fault

    authority.issue("server", common_name="renewed")
    second = files.context()
    assert second is not first
    assert isinstance(shake(second, tls(client_context(authority))), SecuredConnection)
    caplog.clear()
    server.key.unlink()
    assert files.context() is second
    assert files.context() is second
    assert ["cannot be read" in record.fault for record in caplog.records] == [True], "it is said once"
    assert isinstance(shake(first, tls(client_context(authority))), SecuredConnection), "what runs goes on"


def test_files_that_failed_are_tried_again_after_a_while_although_they_look_the_same(authority, server, monkeypatch):
    files = ServerCertificate(settings_of(server))
    first = files.context()
    real = ssl.SSLContext.load_cert_chain
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda *_, **__: (_ for _ in ()).throw(OSError(24, "x")))
    authority.issue("server")
    assert files.context() is first
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", real)
    assert files.context() is first

    monkeypatch.setattr("scp.tls._AGAIN_S", 0)

    assert files.context() is not first


def test_another_client_authority_is_taken_up_too(authority, server, tmp_path):
    other = Authority.other(tmp_path / "other")
    files = ServerCertificate(asking(server, authority))
    new_client = client_context(authority, other.issue("pacs"))
    assert shake(files.context(), tls(new_client)) is HandshakeFault.CLIENT_CERTIFICATE_NOT_TRUSTED

    authority.file.write_bytes(other.file.read_bytes())

    server_trust = client_context(other, other.issue("pacs"))
    server_trust.check_hostname, server_trust.verify_mode = False, ssl.CERT_NONE
    assert isinstance(shake(files.context(), tls(server_trust)), SecuredConnection)


def test_files_are_looked_at_once_in_a_while_only(authority, server, monkeypatch):
    monkeypatch.setattr("scp.tls._CHECK_S", 3600)
    files = ServerCertificate(settings_of(server))
    first = files.context()
    authority.issue("server")

    assert files.context() is first


@pytest.mark.parametrize(("days", "said"), [(29, "expires soon"), (-1, "has expired"), (31, None)])
def test_the_end_of_our_certificate_is_said_30_days_before(authority, caplog, days, said):
    pair = authority.issue("server", valid=(-9 * DAY, days * DAY))

    with caplog.at_level(logging.WARNING, "casebridge.scp"):
        files = ServerCertificate(settings_of(pair))
        files.context()

    assert [said in record.message for record in caplog.records] == ([True] if said else [])


def wrong_files(authority: Authority, tmp_path: Path) -> dict[str, tuple[TlsSettings, str]]:
    good, other = authority.issue("good"), authority.issue("other")
    locked = authority.issue("locked", password=b"secret")
    open_key = authority.issue("open")
    open_key.key.chmod(0o644)
    text = tmp_path / "text"
    text.write_text("no PEM")
    text.chmod(0o600)
    absent = tmp_path / "absent"

    def settings(certificate: Path, key: Path, **changes: object) -> TlsSettings:
        return TlsSettings(port=0, certificate_file=certificate, key_file=key, **changes)  # type: ignore[arg-type]

    asked = {"client_certificates": ClientCertificates.OPTIONAL}
    return {
        "mismatch": (settings(good.certificate, other.key), "is not the key of the certificate"),
        "passphrase": (settings(locked.certificate, locked.key), "store the key without a passphrase"),
        "readable key": (settings(open_key.certificate, open_key.key), "chmod 600"),
        "no certificate": (settings(text, good.key), "holds no certificate in PEM form"),
        "no key": (settings(good.certificate, text), "are no certificate and key in PEM form"),
        "absent": (settings(absent, good.key), "cannot be read (No such file or directory)"),
        "absent key": (settings(good.certificate, absent), "cannot be read (No such file or directory)"),
        "no authorities": (settings(good.certificate, good.key, client_ca_file=text, **asked), "holds no certificates"),
        "absent authorities": (settings(good.certificate, good.key, client_ca_file=absent, **asked), "cannot be read"),
        "unnamed authorities": (settings(good.certificate, good.key, **asked), "no file says which are trusted"),
    }


def test_files_that_cannot_be_used_are_named_with_the_mend(authority, tmp_path):
    for name, (settings, wanted) in wrong_files(authority, tmp_path).items():
        with pytest.raises(TlsFilesError) as caught:
            ServerCertificate(settings)
        assert wanted in caught.value.comment, name


def test_a_key_that_its_group_may_read_is_taken(authority, server):
    server.key.chmod(0o640)

    assert ServerCertificate(settings_of(server)).context()
    assert certificate_end(server.certificate).tzinfo is not None


def test_a_connection_that_is_shut_down_never_gives_cipher_text_as_data(authority, server):
    sent, done = threading.Event(), threading.Event()

    def client() -> None:
        with (
            socket.create_connection(listener.getsockname(), timeout=10) as plain,
            client_context(authority).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.sendall(b"plain text")
            sent.set()
            assert done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=client)
        thread.start()
        accepted, _ = listener.accept()
    secured = secure(accepted, ServerCertificate(settings_of(server)).context(), timeout_s=10).socket
    assert sent.wait(10)

    secured.shutdown(socket.SHUT_WR)

    try:
        assert secured.recv(1000) == b"plain text"
    finally:
        done.set()
        secured.close()
        thread.join()
