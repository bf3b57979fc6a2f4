"""DICOM over TLS with the clients that hospitals really use, and with one that breaks every rule."""

import logging
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, build_context

from scp.contexts import STORAGE_COMMITMENT
from scp.journal import AssociationRecord, Outcome
from scp.peers import CommitmentRule, PeerRule, PeerRules, write_peer_rules
from scp.server import Receiver
from scp.spool import Spool
from scp.tls import ClientCertificates, TlsSettings
from tests.scp.conftest import settings, wait_for
from tests.scp.objects import CT, data_set, encoded
from tests.scp.pki import DAY, Authority, Pair
from tests.scp.test_dcmtk import run
from tests.scp.wire import EXPLICIT, Peer, associate_rq, context_item, pdv, results, store_rq
from tests.tools import require_tool

CT_EXPLICIT = context_item(1, CT, EXPLICIT)
OFF, OPTIONAL, REQUIRED = ClientCertificates.OFF, ClientCertificates.OPTIONAL, ClientCertificates.REQUIRED
Start = Callable[..., Receiver]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("server", dns_names=("localhost",))


@pytest.fixture
def start(spool: Spool, authority: Authority, server: Pair) -> Iterator[Start]:
    """Start a receiver with both ports."""
    with ExitStack() as stack:

        def started(how: ClientCertificates = OFF, **changes: object) -> Receiver:
            tls = TlsSettings(
                port=0,
                certificate_file=server.certificate,
                key_file=server.key,
                client_ca_file=None if how is OFF else authority.file,
                client_certificates=how,
            )
            return stack.enter_context(Receiver(settings(tls=tls, **changes), spool))

        yield started


def records(spool: Spool, count: int = 1) -> list[AssociationRecord]:
    wait_for(lambda: len(spool.journals()) >= count)
    return [spool.read_journal(path) for path in spool.journals()]


def echoscu(port: int, *options: object, calling: str = "PACS") -> subprocess.CompletedProcess[str]:
    return run(
        require_tool("echoscu"), *options, "-aet", calling, "-aec", "CASEBRIDGE", "-ta", "10", "127.0.0.1", port
    )  # fmt: skip


def anonymous(authority: Authority) -> tuple[object, ...]:
    return "+tla", "+cf", authority.file


def mutual(authority: Authority, pair: Pair) -> tuple[object, ...]:
    return "+tls", pair.key, pair.certificate, "+cf", authority.file


class SecurePeer(Peer):
    """The peer that can say anything, over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def client_context(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


# ---- DCMTK


def test_dcmtk_echoes_and_stores_without_a_certificate_of_its_own(start, spool, authority, tmp_path):
    receiver = start()
    data = data_set(pixels=bytes(range(256)) * 4000)
    path = tmp_path / "object.dcm"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = EXPLICIT
    data.save_as(path, enforce_file_format=True)

    echoed = echoscu(receiver.tls_port, *anonymous(authority))
    stored = run(
        require_tool("storescu"), *anonymous(authority), "-aec", "CASEBRIDGE", "127.0.0.1", receiver.tls_port, path
    )  # fmt: skip

    assert (echoed.returncode, stored.returncode) == (0, 0), echoed.stderr + stored.stderr
    assert [arrival.study_key for arrival in spool.scan()[0]] == [spool.study_key("2.25.1001")]
    found = records(spool, 2)
    assert {record.outcome for record in found} == {Outcome.RELEASED}
    assert {record.tls for record in found} <= {"TLSv1.2", "TLSv1.3"}
    assert {record.certificate for record in found} == {""}


def test_dcmtk_shows_its_certificate_and_the_books_remember_it(start, spool, authority):
    receiver = start(REQUIRED)
    pair = authority.issue("pacs", common_name="Main PACS")

    result = echoscu(receiver.tls_port, *mutual(authority, pair))

    assert result.returncode == 0, result.stderr
    [record] = records(spool)
    assert record.certificate == f"{pair.fingerprint} Main PACS"


@pytest.mark.parametrize(
    "rule",
    [
        "no-client-certificate",
        "client-certificate-expired",
        "client-certificate-not-trusted",
        "server-certificate-refused",
        "plain-on-tls-port",
    ],
)
def test_dcmtk_that_may_not_connect_is_on_record_with_the_reason(start, spool, authority, tmp_path, rule):
    receiver = start(REQUIRED)
    other = Authority.other(tmp_path / "other")
    options: dict[str, tuple[object, ...]] = {
        "no-client-certificate": anonymous(authority),
        "client-certificate-expired": mutual(authority, authority.issue("old", valid=(-9 * DAY, -DAY))),
        "client-certificate-not-trusted": mutual(authority, other.issue("pacs")),
        "server-certificate-refused": anonymous(other),
        "plain-on-tls-port": (),
    }

    result = echoscu(receiver.tls_port, *options[rule])

    assert result.returncode != 0
    [record] = records(spool)
    assert (record.outcome, record.calling_ae) == (Outcome.REJECTED, "")
    assert record.rule == f"tls-handshake-failed:{rule}"
    assert record.peer_address == "127.0.0.1"


def test_dcmtk_with_tls_on_the_plain_port_is_on_record(start, spool, authority):
    receiver = start()

    result = echoscu(receiver.port, *anonymous(authority))

    assert result.returncode != 0
    [record] = records(spool)
    assert record.rule == "tls-on-plain-port"


def test_failed_handshakes_are_counted_together(start, spool, authority):
    receiver = start(REQUIRED)
    for _ in range(3):
        assert echoscu(receiver.tls_port, *anonymous(authority)).returncode != 0
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("AcceptorThread")])
    receiver.stop()

    found = records(spool, 2)
    assert {record.rule for record in found} == {"tls-handshake-failed:no-client-certificate"}
    assert [record.count for record in found] == [1, 2]


@pytest.mark.parametrize(
    "case",
    [
        ("PACS", "pacs", ""),
        ("PACS", "ct", "certificate-not-of-peer"),
        ("PACS", None, "certificate-required"),
        ("CT1", "ct", ""),
        ("CT1", "pacs", "certificate-not-of-peer"),
        ("CT1", "plain", "tls-required"),
        ("OTHER", "plain", ""),
    ],
)
def test_an_ae_title_is_tied_to_its_certificates(start, spool, authority, case):
    calling, who, expected = case
    pairs = {
        "pacs": authority.issue("pacs", dns_names=("pacs.example",)),
        "ct": authority.issue("ct", common_name="CT One"),
    }
    rules = (
        PeerRule(calling_ae="PACS", addresses=("10.0.0.0/8",), certificates=("pacs.example",)),
        PeerRule(calling_ae="CT1", certificates=(pairs["ct"].fingerprint,)),
    )
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=rules))
    receiver = start(OPTIONAL)
    options = mutual(authority, pairs[who]) if who in pairs else anonymous(authority)

    if who == "plain":
        result = echoscu(receiver.port, calling=calling)
    else:
        result = echoscu(receiver.tls_port, *options, calling=calling)

    [record] = records(spool)
    assert (result.returncode == 0) is (expected == "")
    assert record.rule == expected
    assert (record.outcome is Outcome.REJECTED) is (expected != "")
    assert record.certificate.partition(" ")[0] == (pairs[who].fingerprint if who in pairs else "")


def test_a_rule_that_asks_for_a_certificate_switches_commitment_on_where_it_is_shown(start, spool, authority):
    commitment = CommitmentRule(host="127.0.0.1", port=104)
    rule = PeerRule(calling_ae="TESTSCU", certificates=("ct.example",), commitment=commitment)
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=(rule,)))
    receiver = start(REQUIRED)
    context = client_context(authority, authority.issue("ct", dns_names=("ct.example",)))

    with SecurePeer(receiver.tls_port, context) as peer:
        answered = results(peer.associate(context_item(3, STORAGE_COMMITMENT, EXPLICIT))[1])

    assert answered[3][0] == 0


def test_a_renewed_certificate_is_shown_without_a_restart_while_an_association_goes_on(
    start, authority, server, monkeypatch
):
    monkeypatch.setattr("scp.tls._CHECK_S", 0)
    receiver = start()
    context = client_context(authority)

    def shown() -> str:
        with SecurePeer(receiver.tls_port, context) as peer:
            return dict(part[0] for part in peer.socket.getpeercert()["subject"])["commonName"]

    with SecurePeer(receiver.tls_port, context) as running:
        assert running.associate(CT_EXPLICIT)[0] == 2
        assert shown() == "server"
        authority.issue("server", common_name="renewed")
        assert shown() == "renewed"
        assert echoscu(receiver.tls_port, *anonymous(authority)).returncode == 0
        shutil.copyfile(authority.file, server.certificate)
        assert shown() == "renewed"
        assert running.store(1, CT, "2.25.2001", encoded(data_set())).status == 0
        assert running.release() == 6


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_of_tls_are_refused(start, spool, authority, version):
    receiver = start()

    result = run_openssl("-connect", f"127.0.0.1:{receiver.tls_port}", version, "-cipher", "ALL:@SECLEVEL=0")

    assert "Cipher is (NONE)" in result
    [record] = records(spool)
    assert record.rule == "tls-handshake-failed:protocol-too-old"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_new_versions_are_spoken_with_authenticated_ciphers(start, authority, version):
    receiver = start()

    result = run_openssl("-connect", f"127.0.0.1:{receiver.tls_port}", version, "-CAfile", authority.file)

    assert "Verify return code: 0 (ok)" in result
    assert "GCM" in result or "CHACHA20" in result
    assert "Compression: NONE" in result
    assert "Secure Renegotiation IS supported" in result or version == "-tls1_3"
    assert "TLS session ticket:" not in result


def run_openssl(*arguments: object) -> str:
    result = subprocess.run(
        [require_tool("openssl"), "s_client", *map(str, arguments)],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.stdout + result.stderr


# ---- pynetdicom, and a client that breaks the rules


@pytest.mark.parametrize("how", [OFF, REQUIRED])
def test_pynetdicom_stores_over_tls(start, spool, authority, how):
    receiver = start(how)
    context = client_context(authority, None if how is OFF else authority.issue("pacs"))
    association = AE(ae_title="SENDER").associate(
        "127.0.0.1",
        receiver.tls_port,
        [build_context(CT, EXPLICIT)],
        ae_title="CASEBRIDGE",
        tls_args=(context, "127.0.0.1"),
    )
    assert association.is_established
    data = data_set(pixels=bytes(3_000_000))
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = EXPLICIT

    assert association.send_c_store(data).Status == 0
    association.release()

    [record] = records(spool)
    assert (record.stored, record.outcome, record.tls) == (1, Outcome.RELEASED, "TLSv1.3")
    [arrival] = spool.scan()[0]
    assert spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id).read_bytes().endswith(encoded(data))


@pytest.mark.parametrize("piece", [1, 7, 16384])
def test_any_fragmentation_over_records_is_put_together(start, spool, authority, piece):
    receiver = start()
    raw = encoded(data_set(pixels=bytes(range(250)) * (4 if piece < 100 else 4000)))
    message = pdv(1, 3, store_rq(CT, "2.25.2001")) + b"".join(
        pdv(1, 2 if position + 5000 >= len(raw) else 0, raw[position : position + 5000])
        for position in range(0, len(raw), 5000)
    )
    with SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2
        for position in range(0, len(message), piece):
            peer.send(message[position : position + piece])
        assert peer.response().status == 0
        assert peer.release() == 6

    [arrival] = spool.scan()[0]
    assert spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id).read_bytes().endswith(raw)


def test_several_requests_in_one_record_are_all_answered(start, spool, authority):
    # What OpenSSL has decrypted already, no poll of the socket shows.
    receiver = start()
    requests = b""
    for number in range(5):
        uid = f"2.25.200{number}"
        requests += pdv(1, 3, store_rq(CT, uid)) + pdv(1, 2, encoded(data_set(instance=uid)))
    assert len(requests) < 16384

    with SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2
        peer.send(requests)
        assert [peer.response().status for _ in range(5)] == [0] * 5
        assert peer.release() == 6
    assert len(spool.scan()[0]) == 5


def test_an_abort_and_a_lost_connection_within_an_object_leave_nothing_behind(start, spool, authority):
    receiver = start()
    begun = pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 0, encoded(data_set()))

    def begin() -> SecurePeer:
        peer = SecurePeer(receiver.tls_port, client_context(authority))
        assert peer.associate(CT_EXPLICIT)[0] == 2
        peer.send(begun)
        wait_for(lambda: list((spool.root / "incoming").iterdir()))
        return peer

    with begin() as peer:
        peer.send(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
        assert peer.read_pdu() == (0, b"")
    wait_for(lambda: not list((spool.root / "incoming").iterdir()))
    with begin() as peer:
        raw = socket.socket(fileno=peer.socket.detach())
        # The beginning of a record of 16 kB, and then nothing more.
        raw.sendall(b"\x17\x03\x03\x40\x00" + bytes(100))
        raw.close()
    wait_for(lambda: not list((spool.root / "incoming").iterdir()))
    with begin() as peer:
        peer.socket.close()

    wait_for(lambda: not list((spool.root / "incoming").iterdir()))
    assert spool.scan()[0] == []
    assert [record.rule for record in records(spool, 3)] == ["aborted-by-peer", "connection-lost", "connection-lost"]


def test_a_record_that_was_tampered_with_ends_the_association(start, spool, authority):
    receiver = start()
    with SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2
        raw = socket.socket(fileno=peer.socket.detach())
        raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        raw.settimeout(10)
        while raw.recv(4096):
            pass
        raw.close()

    [record] = records(spool)
    assert (record.outcome, record.rule, record.stored) == (Outcome.ABORTED, "connection-lost", 0)


def test_our_end_of_the_connection_is_announced(start, authority):
    receiver = start()
    context = client_context(authority)
    # Without this, Python takes a connection that is merely cut for one that was closed in order.
    with socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=10) as plain:
        secured = context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        secured.sendall(associate_rq(CT_EXPLICIT, called=b"WRONG"))
        assert secured.recv(1) == b"\x03"
        secured.recv(9)
        secured.sendall(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
        assert secured.recv(1) == b""
        secured.close()


def test_stopping_ends_what_is_open_in_the_middle_of_an_object_and_of_a_handshake(start, spool, authority):
    receiver = start(stop_timeout_s=0.5)
    peer = SecurePeer(receiver.tls_port, client_context(authority))
    peer.associate(CT_EXPLICIT)
    peer.send(pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 0, encoded(data_set()))[:-9])
    wait_for(lambda: list((spool.root / "incoming").iterdir()))
    greeting = socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=10)
    greeting.sendall(b"\x16\x03\x01\x02\x00")
    wait_for(lambda: len([t for t in threading.enumerate() if t.name.startswith("AcceptorThread")]) == 2)

    receiver.stop()

    assert spool.scan()[0] == []
    assert list((spool.root / "incoming").iterdir()) == []
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("AcceptorThread")])
    assert "receiver-stopped" in {record.rule for record in records(spool)}
    peer.socket.close()
    greeting.close()


def test_a_handshake_that_hangs_keeps_nobody_waiting(start, spool, authority):
    receiver = start()
    hanging = [socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=10) for _ in range(5)]
    for one in hanging:
        one.sendall(b"\x16")

    with SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2
        assert peer.release() == 6
    for one in hanging:
        one.close()


def test_the_plain_port_can_be_closed(start, authority):
    receiver = start(is_plain=False)

    with pytest.raises(RuntimeError):
        _ = receiver.port
    with SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2


def test_no_identifier_and_no_key_is_logged(start, spool, authority, server, caplog):
    receiver = start(OPTIONAL)
    with caplog.at_level(logging.DEBUG), SecurePeer(receiver.tls_port, client_context(authority)) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.2001", encoded(data_set())).status == 0
        peer.release()

    text = caplog.text + "".join(path.read_text() for path in spool.journals())
    assert "CANARY" not in text.upper()
    assert "2.25.2001" not in text
    assert "PRIVATE KEY" not in text
