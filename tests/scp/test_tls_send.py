"""Our own sender over TLS."""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scp.errors import TlsFilesError
from scp.send import SendSummary, Sent, send
from scp.server import Receiver
from scp.tls import ClientCertificates, TlsSettings
from scp.tls_client import ClientTls
from tests.scp.conftest import settings
from tests.scp.pki import DAY, Authority
from tests.scp.test_send import write


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture(params=[ClientCertificates.OFF, ClientCertificates.REQUIRED])
def receiver(request, spool, authority) -> Iterator[Receiver]:
    pair = authority.issue("server", dns_names=("dicom.example",))
    tls = TlsSettings(
        port=0,
        certificate_file=pair.certificate,
        key_file=pair.key,
        client_ca_file=authority.file if request.param is not ClientCertificates.OFF else None,
        client_certificates=request.param,
    )
    with Receiver(settings(tls=tls), spool) as receiver:
        yield receiver


def deliver(folder: Path, port: int, tls: ClientTls | None) -> SendSummary:
    write(folder / "in" / "one.dcm")
    write(folder / "in" / "two.dcm", instance="2.25.2002")
    return send([folder / "in"], host="127.0.0.1", port=port, called_ae="CASEBRIDGE", tls=tls)


def is_asking(receiver: Receiver) -> bool:
    assert receiver.settings.tls is not None
    return receiver.settings.tls.client_certificates is ClientCertificates.REQUIRED


def test_files_are_sent_over_tls(receiver, spool, authority, tmp_path):
    pair = authority.issue("sender")
    tls = ClientTls(ca_file=authority.file)
    if is_asking(receiver):
        tls = ClientTls(ca_file=authority.file, certificate_file=pair.certificate, key_file=pair.key)

    summary = deliver(tmp_path, receiver.tls_port, tls)

    assert (summary.count(Sent.STORED), summary.rejection) == (2, "")
    assert len(spool.scan()[0]) == 2


def test_a_name_other_than_the_host_can_be_asked_for(receiver, authority, tmp_path):
    pair = authority.issue("sender")

    def tls(name: str) -> ClientTls:
        return ClientTls(
            ca_file=authority.file, certificate_file=pair.certificate, key_file=pair.key, server_name=name
        )  # fmt: skip

    assert deliver(tmp_path, receiver.tls_port, tls("dicom.example")).is_complete
    assert "does not hold" in deliver(tmp_path, receiver.tls_port, tls("other.example")).rejection


def test_what_goes_wrong_is_said_with_what_to_do(receiver, spool, authority, tmp_path):
    other = Authority.other(tmp_path / "other")
    stranger, expired = other.issue("stranger"), authority.issue("expired", valid=(-9 * DAY, -DAY))

    wrong_ca = deliver(tmp_path, receiver.tls_port, ClientTls(ca_file=other.file))
    wrong_port = deliver(tmp_path, receiver.port, ClientTls(ca_file=authority.file))
    plain = deliver(tmp_path, receiver.tls_port, None)

    assert "name the right CA file" in wrong_ca.rejection
    assert "check the port" in wrong_port.rejection
    assert "does not answer as a DICOM destination" in plain.rejection
    if is_asking(receiver):
        assert "--cert" in deliver(tmp_path, receiver.tls_port, ClientTls(ca_file=authority.file)).rejection
        for pair, why in ((stranger, "unknown ca"), (expired, "certificate expired")):
            tls = ClientTls(ca_file=authority.file, certificate_file=pair.certificate, key_file=pair.key)
            assert f"refuses our certificate ({why})" in deliver(tmp_path, receiver.tls_port, tls).rejection
    assert spool.scan()[0] == []


def test_files_that_cannot_be_used_are_named(authority, tmp_path):
    locked = authority.issue("locked", password=b"secret")
    one, two = authority.issue("one"), authority.issue("two")
    (tmp_path / "text").write_text("no PEM")
    with ExitStack() as stack:
        unused = stack.enter_context(socket.socket())
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for tls, wanted in (
            (ClientTls(ca_file=tmp_path / "absent"), "cannot be read"),
            (ClientTls(ca_file=tmp_path / "text"), "holds no certificates of authorities"),
            (ClientTls(certificate_file=one.certificate, key_file=two.key), "holds no certificate with its key"),
            (ClientTls(certificate_file=locked.certificate, key_file=locked.key), "without a passphrase"),
        ):
            with pytest.raises(TlsFilesError, match=wanted):
                deliver(tmp_path, port, tls)


def test_nothing_of_it_is_logged(receiver, authority, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        deliver(tmp_path, receiver.tls_port, ClientTls(ca_file=authority.file))

    assert "one.dcm" not in caplog.text
    assert "CANARY" not in caplog.text.upper()
