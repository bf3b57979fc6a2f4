import logging
import socket
import struct
import threading
from dataclasses import replace

import pytest
from pynetdicom import AE, build_context

from scp.journal import AssociationRecord, Outcome
from scp.peers import PeerRule, PeerRules, write_peer_rules
from scp.server import Associations, Receiver
from scp.spool import Spool
from tests.scp.conftest import settings, wait_for
from tests.scp.objects import CT, STUDY, data_set, encoded
from tests.scp.test_spool import WatchedDisk
from tests.scp.wire import (
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Peer,
    associate_rq,
    context_item,
    echo_rq,
    element,
    pdv,
    results,
    store_rq,
    us,
)

CT_EXPLICIT = context_item(1, CT, EXPLICIT)
JPEG = "1.2.840.10008.1.2.4.90"


def records(spool: Spool, count: int = 1) -> list[AssociationRecord]:
    wait_for(lambda: len(spool.journals()) >= count)
    return [spool.read_journal(path) for path in spool.journals()]


def stored_bytes(spool: Spool) -> list[bytes]:
    return [spool.path(a.study_key, a.sop_key, a.arrival_id).read_bytes() for a in spool.scan()[0]]


@pytest.fixture
def peer(receiver):
    with Peer(receiver.port) as peer:
        kind, _ = peer.associate(CT_EXPLICIT)
        assert kind == 2
        yield peer


def good(instance: str = "2.25.2001", **kwargs: object) -> bytes:
    return encoded(data_set(instance=instance, **kwargs))


def test_success_is_not_sent_before_the_last_folder_sync(tmp_path):
    class Paused(WatchedDisk):
        def sync_folder(self, folder):
            super().sync_folder(folder)
            if folder.name == "studies":
                reached.set()
                assert go_on.wait(10)

    reached, go_on = threading.Event(), threading.Event()
    disk = Paused()
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, disk=disk)
    with Receiver(settings(), spool) as receiver, Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        disk.steps.clear()
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 2, good()))
        assert reached.wait(10)
        peer.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        assert len(spool.scan()[0]) == 1

        go_on.set()
        peer.socket.settimeout(10)
        assert peer.response().status == 0
        assert disk.steps == [
            "write", "sync file", "make study folder", "rename", "sync study folder", "sync studies",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "syntax", [EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", JPEG, "1.2.840.113619.5.2", "9.9"]
)
def test_the_data_set_is_kept_as_it_came_in_every_transfer_syntax(receiver, spool, syntax):
    raw = encoded(data_set(), syntax)
    with Peer(receiver.port) as peer:
        _, body = peer.associate(context_item(1, CT, syntax, IMPLICIT))
        assert results(body) == {1: (0, syntax)}
        assert peer.store(1, CT, "2.25.2001", raw).status == 0
        assert peer.release() == 6

    [content] = stored_bytes(spool)
    assert content.endswith(raw)
    assert spool.scan()[0][0].transfer_syntax_uid == syntax


@pytest.mark.parametrize(
    "sop_class", ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.39.1", "1.2.840.10008.5.1.4.1.1.999"]
)
def test_private_and_unknown_storage_classes_are_stored(receiver, spool, sop_class):
    with Peer(receiver.port) as peer:
        peer.associate(context_item(1, sop_class, EXPLICIT))
        raw = encoded(data_set(sop_class=sop_class))
        assert peer.store(1, sop_class, "2.25.2001", raw).status == 0

    assert spool.scan()[0][0].sop_class_uid == sop_class


def test_an_object_without_patient_is_success(peer, spool):
    data = data_set()
    del data.PatientID
    del data.PatientName

    assert peer.store(1, CT, "2.25.2001", encoded(data)).status == 0


def test_other_services_are_declined_and_on_record(receiver, spool):
    commitment = "1.2.840.10008.1.20.1"
    with Peer(receiver.port) as peer:
        _, body = peer.associate(
            CT_EXPLICIT, context_item(3, commitment, IMPLICIT), context_item(5, VERIFICATION, IMPLICIT)
        )
        assert {key: value[0] for key, value in results(body).items()} == {1: 0, 3: 3, 5: 0}
        peer.send(pdv(5, 3, echo_rq()))
        assert peer.response().status == 0
        assert peer.store(3, commitment, "2.25.2001", good()).status == 0x0122
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        assert peer.release() == 6

    [record] = records(spool)
    assert [context.abstract_syntax for context in record.declined] == [commitment]
    assert (record.stored, record.echoes, record.outcome) == (1, 1, Outcome.RELEASED)
    assert [(one.status, one.reason) for one in record.refused] == [(0x0122, "declined-context")]


BAD = [
    (CT, "2.25.9", good(), 0xA900, "other-instance"),
    ("31", "31", good(), 0xA900, "class-not-of-context"),
    ("", "", good(), 0xA900, "class-not-of-context"),
    (CT, "", good(), 0xC000, "malformed-announced-instance"),
    (CT, b"DOE^JOHN", good(), 0xC000, "malformed-announced-instance"),
    (CT, "1." * 40, good(), 0xC000, "malformed-announced-instance"),
    (CT, b"\xff\xfe\0\0", good(), 0xC000, "malformed-announced-instance"),
    (CT, "2.25.2001", good(sop_class="1.2.840.10008.5.1.4.1.1.4"), 0xA900, "other-class"),
    (CT, "2.25.2001", good(study=None), 0xC000, "missing-study-instance-uid"),
    (CT, "2.25.2001", b"", 0xC000, "empty-data-set"),
    (CT, "2.25.2001", bytes(300_000), 0xC000, "unparsable"),
    (CT, "2.25.2001", good()[:40], 0xC000, "truncated"),
]


def test_no_bad_object_takes_the_association_down(receiver, spool, caplog):
    caplog.set_level(logging.DEBUG)
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        for number, (sop_class, instance, raw, status, _) in enumerate(BAD):
            pieces = [raw[start : start + 100_000] for start in range(0, len(raw), 100_000)] or [b""]
            peer.send(pdv(1, 3, store_rq(sop_class, instance, message_id=number)))
            for piece in pieces[:-1]:
                peer.send(pdv(1, 0, piece))
            peer.send(pdv(1, 2, pieces[-1]))
            response = peer.response()
            assert (response.status, response.message_id, response.operation) == (status, number, 0x8001)
            assert response.comment
            assert "2.25" not in response.comment
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        assert peer.release() == 6

    [record] = records(spool)
    assert record.stored == 1
    assert sum(one.count for one in record.refused) == len(BAD)
    assert {one.reason for one in record.refused} == {reason for *_, reason in BAD}
    assert list((spool.root / "incoming").iterdir()) == []
    text = "".join(path.read_text() for path in spool.journals()) + caplog.text
    assert not any(word in text for word in ("2.25.2001", STUDY, "CANARY", "Canary", "DOE"))


def test_a_command_without_a_data_set_is_answered(peer):
    peer.send(pdv(1, 3, store_rq(CT, "2.25.2001", has_data=False)))

    assert peer.response().status == 0xC000


def test_a_command_in_many_fragments_without_message_id_is_answered(peer):
    command = element(0x0002, CT.encode() + b"\0") + us(0x0100, 1) + us(0x0800, 0) + element(0x1000, b"2.25.2001\0")
    for byte in command[:-1]:
        peer.send(pdv(1, 1, bytes([byte])))
    peer.send(pdv(1, 3, command[-1:]) + pdv(1, 2, good()))

    response = peer.response()
    assert (response.status, response.message_id) == (0, 0)


def test_an_operation_we_do_not_serve_is_answered_and_its_data_set_passed_by(peer):
    find = element(0x0002, CT.encode() + b"\0") + us(0x0100, 0x0020) + us(0x0110, 4) + us(0x0800, 0)
    peer.send(pdv(1, 3, find) + pdv(1, 0, b"x") + pdv(1, 2, b"y"))
    response = peer.response()
    assert (response.status, response.operation) == (0x0211, 0x8020)

    peer.send(pdv(1, 3, us(0x0100, 0x8001) + us(0x0800, 0x0101)))  # a response to nothing
    peer.send(pdv(1, 3, us(0x0100, 0x0FFF) + us(0x0120, 4) + us(0x0800, 0x0101)))  # a cancel
    assert peer.store(1, CT, "2.25.2001", good()).status == 0


@pytest.mark.parametrize(
    "garbage",
    [
        pdv(1, 2, b"data without a command"),
        pdv(7, 3, store_rq(CT, "2.25.2001")),
        pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 3, store_rq(CT, "2.25.2001")),
        pdv(1, 3, b"garbage instead of a command"),
        struct.pack(">BBI", 4, 0, 3) + b"xyz",
        struct.pack(">BBIIBB", 4, 0, 6, 900, 1, 3),
        struct.pack(">BBIIBB", 4, 0, 6, 0, 1, 3),
        struct.pack(">BBI", 4, 0, 0x80000000),
        struct.pack(">BBI", 9, 0, 4) + b"\0\0\0\0",
        struct.pack(">BBI", 5, 0, 0x7FFFFFFF),
        associate_rq(CT_EXPLICIT),
    ],
)
def test_a_broken_protocol_is_aborted_and_the_service_stays_up(receiver, spool, garbage):
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        peer.send(garbage)
        assert peer.read_pdu()[0] == 7

    [record] = records(spool)
    assert (record.outcome, record.stored) == (Outcome.ABORTED, 1)
    with Peer(receiver.port) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        struct.pack(">BBI", 1, 0, 0xFFFFFFFF),
        struct.pack(">BBI", 1, 0, 10) + bytes(10),
        struct.pack(">BBI", 1, 0, 200) + b"\xff" * 200,
        associate_rq(CT_EXPLICIT)[:-20] + b"\xff" * 20,
        associate_rq(CT_EXPLICIT, calling=b"\xff" * 16),
        associate_rq(CT_EXPLICIT, calling=b" " * 16),
        associate_rq(context_item(1, "", EXPLICIT)),
        associate_rq(context_item(1, "x" * 200, EXPLICIT)),
        associate_rq(context_item(2, CT, EXPLICIT)),
        associate_rq(),
        pdv(1, 3, echo_rq()),
        struct.pack(">BBII", 5, 0, 4, 0),
        struct.pack(">BBII", 7, 0, 4, 0),
        b"",
        b"\x01",
    ],
)
def test_no_garbage_before_an_association_stops_the_service(receiver, spool, garbage):
    with Peer(receiver.port) as peer:
        peer.send(garbage)
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.read_pdu()[0]:
            pass

    with Peer(receiver.port) as peer:
        assert peer.associate(CT_EXPLICIT)[0] == 2
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("AcceptorThread")])


@pytest.mark.parametrize("abort", [struct.pack(">BBII", 7, 0, 4, 0), b""])
def test_an_object_cut_off_leaves_nothing_behind_and_what_was_stored_stays(receiver, spool, abort):
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2002")) + pdv(1, 0, good("2.25.2002")))
        wait_for(lambda: list((spool.root / "incoming").iterdir()))
        peer.send(abort)

    [record] = records(spool)
    wait_for(lambda: not list((spool.root / "incoming").iterdir()))
    assert (record.outcome, record.stored) == (Outcome.ABORTED, 1)
    assert len(spool.scan()[0]) == 1


def test_an_object_on_its_way_tells_its_study_before_it_is_there(receiver, spool, monkeypatch):
    monkeypatch.setattr("scp.journal.MARK_S", 0.0)
    data = good("2.25.2002", pixels=bytes(256 * 1024))
    parts = [data[start : start + 15_000] for start in range(0, len(data), 15_000)]
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2002")))
        for part in parts[:-1]:
            peer.send(pdv(1, 0, part))
        wait_for(spool.journal.receiving)

        [on_its_way] = spool.journal.receiving()
        peer.send(pdv(1, 2, parts[-1]))
        assert peer.response().status == 0
        assert spool.journal.receiving() == []

    assert on_its_way.study_key == spool.study_key(STUDY)
    assert [arrival.study_key for arrival in spool.scan()[0]] == [on_its_way.study_key]


def test_a_silent_connection_and_a_silent_association_are_closed(spool):
    with Receiver(settings(artim_timeout_s=0.3, network_timeout_s=0.5), spool) as receiver:
        with Peer(receiver.port) as peer:
            assert peer.read_pdu()[0] in {0, 7}
        with Peer(receiver.port) as peer:
            peer.associate(CT_EXPLICIT)
            assert peer.read_pdu()[0] == 7
        with Peer(receiver.port) as peer:
            peer.associate(CT_EXPLICIT)
            peer.send(pdv(1, 3, store_rq(CT, "2.25.2002"))[:20])
            assert peer.read_pdu()[0] in {0, 7}
        found = records(spool, 2)

    assert [record.outcome for record in found] == [Outcome.ABORTED, Outcome.ABORTED]


def test_a_peer_that_dribbles_is_not_waited_for_without_end(spool):
    with Receiver(settings(network_timeout_s=0.5), spool) as receiver, Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.05):
                try:
                    peer.send(b"\4")
                except OSError:
                    return

        peer.send(struct.pack(">BBI", 4, 0, 10_000))
        thread = threading.Thread(target=dribble)
        thread.start()
        assert peer.read_pdu()[0] in {0, 7}
        stop.set()
        thread.join()


def test_two_senders_of_one_study_both_get_success_for_each_object(receiver, spool):
    failures = []

    def send() -> None:
        with Peer(receiver.port) as peer:
            peer.associate(CT_EXPLICIT)
            for number in range(25):
                status = peer.store(1, CT, f"2.25.3{number}", good(f"2.25.3{number}")).status
                if status:
                    failures.append(status)
            peer.release()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    arrivals = spool.scan()[0]
    assert failures == []
    assert (len(arrivals), len({one.sop_key for one in arrivals}), len({one.study_key for one in arrivals})) == (
        50,
        25,
        1,
    )
    assert sum(record.stored for record in records(spool, 2)) == 50


def test_a_full_disk_refuses_the_object_and_then_the_association(tmp_path):
    disk = WatchedDisk()
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=1 << 20, disk=disk)
    with Receiver(settings(), spool) as receiver:
        with Peer(receiver.port) as peer:
            peer.associate(CT_EXPLICIT)
            peer.send(pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 0, good()))
            wait_for(lambda: list((spool.root / "incoming").iterdir()))
            disk.free = 2 << 20
            for _ in range(40):
                peer.send(pdv(1, 0, bytes(131_072)))
            peer.send(pdv(1, 2, b""))
            response = peer.response()
            assert (response.status, "space" in response.comment) == (0xA700, True)
            assert peer.store(1, CT, "2.25.2001", good()).status == 0xA700
            disk.free = None
            assert peer.store(1, CT, "2.25.2001", good()).status == 0
            peer.release()
        disk.free = 0
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT) == (3, b"\0\2\3\2")
        disk.free = None
    assert sorted(record.rule for record in records(spool, 2)) == ["", "disk-reserve"]


def test_rejections_answer_with_codes_and_are_on_record(spool):
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=(PeerRule(calling_ae="PACS"),)))
    with Receiver(settings(max_associations=1), spool) as receiver:
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT, called=b"WRONG") == (3, b"\0\1\1\7")
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2
            with Peer(receiver.port) as second:
                assert second.associate(CT_EXPLICIT) == (3, b"\0\2\3\2")
            peer.release()
        wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("AcceptorThread")])
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2

    rules = {record.rule for record in records(spool, 4)}
    assert {"unknown-called-ae", "too-many-associations"} <= rules


def test_an_unknown_peer_is_rejected_unless_it_is_on_loopback(spool, monkeypatch):
    real = Associations.serve
    monkeypatch.setattr(Associations, "serve", lambda a, c: real(a, replace(c, peer=("10.9.9.9", c.peer[1]))))
    with Receiver(settings(), spool) as receiver:
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT) == (3, b"\0\1\1\3")
        write_peer_rules(
            spool.peer_rules_path, PeerRules(rules=(PeerRule(calling_ae="TESTSCU", addresses=("10.0.0.0/8",)),))
        )
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2

    [rejection] = [one for one in records(spool, 2) if one.outcome is Outcome.REJECTED]
    assert (rejection.peer_address, rejection.calling_ae, rejection.rule) == (
        "10.9.9.9",
        "TESTSCU",
        "unknown-calling-ae",
    )
    assert rejection.contexts[0].abstract_syntax == CT


def test_garbage_is_on_record_and_a_mere_probe_of_the_port_is_not(receiver, spool):
    with Peer(receiver.port):
        pass
    with Peer(receiver.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        while peer.read_pdu()[0]:
            pass

    [record] = records(spool)
    assert (record.outcome, record.rule) == (Outcome.REJECTED, "unreadable-request")


def test_far_too_many_connections_are_closed_at_once(spool):
    with Receiver(settings(max_associations=1), spool) as receiver:
        peers = [Peer(receiver.port) for _ in range(40)]
        closed = 0
        for peer in peers:
            peer.socket.settimeout(0.1)
            try:
                closed += peer.socket.recv(1) == b""
            except TimeoutError:
                continue
        assert closed >= 40 - 17
        for peer in peers:
            peer.socket.close()

    floods = [record for record in records(spool, 2) if record.rule == "too-many-connections"]
    assert sum(record.count for record in floods) == closed
    assert {record.peer_address for record in floods} == {"127.0.0.1"}


def test_stopping_aborts_what_is_open_and_closes_its_journal(spool):
    with Receiver(settings(), spool) as receiver:
        peer = Peer(receiver.port)
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2002")) + pdv(1, 0, good("2.25.2002")))
        wait_for(lambda: list((spool.root / "incoming").iterdir()))

    [record] = records(spool)
    assert (record.outcome, record.rule, record.stored) == (Outcome.ABORTED, "receiver-stopped", 1)
    assert list((spool.root / "incoming").iterdir()) == []
    peer.socket.close()


def test_a_receiver_can_be_started_again(spool):
    receiver = Receiver(settings(), spool)
    for _ in range(2):
        with receiver, Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2
    with pytest.raises(RuntimeError):
        _ = receiver.port


def test_memory_stays_flat_for_a_large_object(receiver, spool):
    import resource

    def peak_mb() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    piece = bytes(131_000)
    with Peer(receiver.port, timeout=60) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.2001", good()).status == 0
        before = peak_mb()
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2002")) + pdv(1, 0, good("2.25.2002")))
        for _ in range(1500):
            peer.send(pdv(1, 0, piece))
        peer.send(pdv(1, 2, piece))
        assert peer.response().status == 0
    assert peak_mb() - before < 30
    assert max(one.size_bytes for one in spool.scan()[0]) > 190_000_000


def test_pynetdicom_as_requestor_stores_and_echoes(receiver, spool):
    entity = AE(ae_title="SENDER")
    association = entity.associate(
        "127.0.0.1", receiver.port, [build_context(VERIFICATION), build_context(CT, EXPLICIT)], ae_title="CASEBRIDGE"
    )
    assert association.is_established
    assert association.send_c_echo().Status == 0
    data = data_set()
    data.file_meta = __import__("pydicom").dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = EXPLICIT
    assert association.send_c_store(data).Status == 0
    association.release()

    [record] = records(spool)
    assert (record.stored, record.echoes, record.calling_ae) == (1, 1, "SENDER")


def test_no_delay_and_keepalive_are_set_on_accepted_sockets(receiver, monkeypatch):
    seen = []
    real = Associations._association

    def watch(associations, connection):
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY), (socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        seen.extend(connection.socket.getsockopt(*option) for option in options)
        return real(associations, connection)

    monkeypatch.setattr(Associations, "_association", watch)
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
    assert seen == [1, 1]
