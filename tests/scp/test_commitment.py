import errno
import gc
import logging
import stat

import pytest

from scp.commitment_data import MAX_ACTION_BYTES
from scp.commitment_files import MAX_WAITING
from scp.contexts import declined_because
from scp.disk import Disk
from scp.rekeying import Rekeying
from scp.sealing import SpoolKeys
from scp.server import Receiver
from scp.spool import Spool
from tests.scp.commitments import (
    PUSH,
    TRANSACTION,
    WELL_KNOWN,
    action_information,
    allow,
    ask,
    associate,
    decide,
    references_in,
)
from tests.scp.conftest import NAME_KEY, settings, wait_for
from tests.scp.objects import CT, encoded
from tests.scp.test_spool import WatchedDisk
from tests.scp.wire import EXPLICIT, IMPLICIT, Peer, context_item, element, padded, pdv, results, us

COMMITMENT = context_item(3, PUSH, EXPLICIT)


@pytest.fixture
def receiver(spool):
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        yield receiver


def action_rq(*, sop_class=PUSH, instance=WELL_KNOWN, action=1, operation=0x0130, has_data=True) -> bytes:
    return (
        element(0x0003, padded(sop_class))
        + us(0x0100, operation)
        + us(0x0110, 9)
        + us(0x0800, 0x0001 if has_data else 0x0101)
        + element(0x1001, padded(instance))
        + us(0x1008, action)
    )


def answer_to(receiver, command: bytes, data: bytes | None = None):
    with Peer(receiver.port) as peer:
        assert results(peer.associate(COMMITMENT)[1])[3][0] == 0
        peer.send(pdv(3, 3, command))
        if data is not None:
            for start in range(0, len(data), 16000):
                piece = data[start : start + 16000]
                peer.send(pdv(3, 2 if start + 16000 >= len(data) else 0, piece))
        return peer.response()


GOOD = encoded(action_information("2.25.2001"))


def test_a_request_is_kept_before_it_is_answered(tmp_path):
    disk = WatchedDisk()
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, disk=disk)
    allow(spool)
    with Receiver(settings(), spool) as receiver, Peer(receiver.port) as peer:
        peer.associate(COMMITMENT)
        disk.steps.clear()
        peer.send(pdv(3, 3, action_rq()) + pdv(3, 2, GOOD))
        answer = peer.response()
        steps = [step.split()[0] for step in map(str, disk.steps)]

    assert (answer.status, answer.operation, answer.message_id) == (0, 0x8130, 9)
    assert len(steps) >= 4
    [request_id] = spool.commitments.requests()
    request = spool.commitments.read_request(request_id)
    assert request.identified_transaction_uid == TRANSACTION
    assert [one.identified_sop_instance_uid for one in request.references] == ["2.25.2001"]
    assert (request.calling_ae, request.reports_to.port) == ("TESTSCU", 11999)
    [path] = list((spool.root / "commitments").iterdir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("command", "data", "status"),
    [
        (action_rq(sop_class=CT), GOOD, 0x0118),
        (action_rq(instance="1.2.3"), GOOD, 0x0112),
        (action_rq(action=2), GOOD, 0x0123),
        (action_rq(operation=0x0140), GOOD, 0x0211),
        (action_rq(operation=0x0001), GOOD, 0x0211),
        (action_rq(has_data=False), None, 0x0115),
        (action_rq(), b"garbage", 0x0115),
        (action_rq(), encoded(action_information()), 0x0115),
        (action_rq(), b"\0" * (MAX_ACTION_BYTES + 1), 0x0213),
    ],
)
def test_what_cannot_be_served_is_answered_with_its_status(receiver, spool, command, data, status):
    answer = answer_to(receiver, command, data)

    assert answer.status == status
    assert 0 < len(answer.comment) <= 64
    assert spool.commitments.requests() == []


def test_a_full_disk_and_a_full_queue_are_resource_limitations(tmp_path):
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0)
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        for number in range(MAX_WAITING):
            (spool.root / "commitments" / f"{number:032x}.request").touch()
        assert answer_to(receiver, action_rq(), GOOD).status == 0x0213


def test_a_request_that_cannot_be_written_is_not_accepted(tmp_path):
    class Broken(Disk):
        def sync(self, descriptor):  # noqa: ARG002 - as Disk has it
            raise OSError(5, "broken")

    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, disk=Broken())
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        assert answer_to(receiver, action_rq(), GOOD).status == 0x0110
    assert list((spool.root / "commitments").iterdir()) == []


@pytest.mark.parametrize("calling", [b"TESTSCU", b"ANOTHER"])
def test_a_peer_without_the_rule_is_declined_and_the_record_says_why(spool, calling):
    allow(spool, None)
    with Receiver(settings(), spool) as receiver, Peer(receiver.port) as peer:
        found = results(peer.associate(context_item(1, CT, EXPLICIT), COMMITMENT, calling=calling)[1])
        assert (found[1][0], found[3][0]) == (0, 3)
        peer.release()
        wait_for(spool.journals)
        [record] = [spool.read_journal(path) for path in spool.journals()]
    [declined] = record.declined
    assert declined.abstract_syntax == PUSH
    assert (
        declined_because(declined.abstract_syntax, declined.transfer_syntaxes)
        == "storage commitment is off for this peer"
    )


def test_a_transfer_syntax_that_requests_are_not_read_in_is_declined_for_that(receiver, spool):
    with Peer(receiver.port) as peer:
        found = results(peer.associate(context_item(3, PUSH, "1.2.840.10008.1.2.2"))[1])
        assert found[3][0] == 4
    assert "transfer syntax" in declined_because(PUSH, ("1.2.840.10008.1.2.2",))


@pytest.mark.parametrize("role", [False, True])
def test_the_result_is_reported_on_the_same_association(receiver, spool, role):
    received = []
    association = associate(receiver.port, received, role=role)
    assert association.is_established
    assert ask(association, action_information("2.25.1", "2.25.2")) == 0

    request_id = decide(spool)
    wait_for(lambda: spool.commitments.reported() == [request_id])
    association.release()

    [(event_type, information)] = received
    assert event_type == 1
    assert information.TransactionUID == TRANSACTION
    assert references_in(information.ReferencedSOPSequence) == [(CT, "2.25.1"), (CT, "2.25.2")]
    assert "FailedSOPSequence" not in information
    gc.collect()


def test_failures_are_reported_with_their_reasons(receiver, spool):
    received = []
    association = associate(receiver.port, received)
    ask(association, action_information("2.25.1", "2.25.2"))

    request_id = decide(spool, failing=("2.25.2",))
    wait_for(lambda: spool.commitments.reported() == [request_id])
    association.release()

    [(event_type, information)] = received
    assert event_type == 2
    assert references_in(information.ReferencedSOPSequence) == [(CT, "2.25.1")]
    assert references_in(information.FailedSOPSequence) == [(CT, "2.25.2")]
    assert information.FailedSOPSequence[0].FailureReason == 0x0112


def test_each_request_of_an_association_gets_its_report(receiver, spool):
    received = []
    association = associate(receiver.port, received)
    for number in range(3):
        assert ask(association, action_information(f"2.25.{number + 1}", transaction=f"2.25.700{number}")) == 0
    for _ in range(3):
        decide(spool)
    wait_for(lambda: len(spool.commitments.reported()) == 3)
    association.release()

    assert {str(information.TransactionUID) for _, information in received} == {
        "2.25.7000",
        "2.25.7001",
        "2.25.7002",
    }


def test_a_report_that_the_peer_refuses_is_offered_again(receiver, spool, caplog):
    received = []
    association = associate(receiver.port, received, status=0x0110)
    ask(association, action_information("2.25.1"))

    with caplog.at_level(logging.WARNING, logger="casebridge"):
        request_id = decide(spool)
        wait_for(lambda: received and spool.commitments.results() == [request_id])
    association.release()

    assert "0x0110" in str([record.__dict__ for record in caplog.records])
    assert spool.commitments.reported() == []


def test_a_report_that_is_not_answered_is_offered_again_when_the_association_ends(receiver, spool):
    with Peer(receiver.port) as peer:
        peer.associate(COMMITMENT)
        peer.send(pdv(3, 3, action_rq()) + pdv(3, 2, GOOD))
        assert peer.response().status == 0
        request_id = decide(spool)
        kind, body = peer.read_pdu()
        assert kind == 4
        assert body[5] == 3
        assert spool.commitments.results() == []
    wait_for(lambda: spool.commitments.results() == [request_id])


def test_no_report_comes_between_the_parts_of_an_object(receiver, spool):
    """A sender in the midst of a C-STORE expects nothing but its response."""
    from tests.scp.objects import data_set
    from tests.scp.wire import store_rq

    whole = encoded(data_set())
    with Peer(receiver.port) as peer:
        peer.associate(context_item(1, CT, EXPLICIT), COMMITMENT)
        peer.send(pdv(3, 3, action_rq()) + pdv(3, 2, GOOD))
        assert peer.response().status == 0
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 0, whole[:100]))
        request_id = decide(spool)
        # Long enough for several looks: the result stays where it is.
        peer.socket.settimeout(0.6)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        assert spool.commitments.results() == [request_id]

        peer.socket.settimeout(10)
        peer.send(pdv(1, 2, whole[100:]))
        assert peer.response().operation == 0x8001
        assert peer.read_pdu()[0] == 4
    wait_for(lambda: spool.commitments.results() == [request_id])


def test_a_small_pdu_of_the_peer_splits_the_report(receiver, spool):
    received = []
    from pynetdicom import AE

    from tests.scp.commitments import events

    entity = AE(ae_title="TESTSCU")
    entity.add_requested_context(PUSH, IMPLICIT)
    association = entity.associate(
        "127.0.0.1", receiver.port, ae_title="CASEBRIDGE", evt_handlers=events(received), max_pdu=128
    )
    wanted = [f"2.25.{number}" for number in range(1, 30)]
    assert ask(association, action_information(*wanted)) == 0
    request_id = decide(spool)
    wait_for(lambda: spool.commitments.reported() == [request_id])
    association.release()

    assert [uid for _, uid in references_in(received[0][1].ReferencedSOPSequence)] == wanted


def test_a_result_is_claimed_by_one_party(spool):
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        answer_to(receiver, action_rq(), GOOD)
    request_id = decide(spool)

    first = spool.commitments.claim(request_id)
    assert first is not None
    assert spool.commitments.claim(request_id) is None
    spool.commitments.give_back_abandoned()
    assert spool.commitments.results() == []

    first.give_back()
    assert spool.commitments.results() == [request_id]
    again = spool.commitments.claim(request_id)
    again.taken()
    again.give_back()
    assert spool.commitments.reported() == [request_id]
    spool.commitments.forget(request_id)
    assert list((spool.root / "commitments").iterdir()) == []


def test_a_claim_that_the_disk_refuses_holds_nothing_and_the_association_reports_later(tmp_path):
    class Refusing(WatchedDisk):
        refusals = 2

        def rename(self, source, target):
            if target.suffix == ".reporting" and self.refusals:
                self.refusals -= 1
                raise OSError(errno.EIO, "input/output error")
            super().rename(source, target)

    disk = Refusing()
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0, disk=disk)
    allow(spool)
    received: list = []
    with Receiver(settings(), spool) as receiver:
        association = associate(receiver.port, received)
        assert ask(association, action_information("2.25.1")) == 0
        request_id = decide(spool)
        wait_for(lambda: spool.commitments.reported() == [request_id])
        association.release()
    assert (len(received), disk.refusals) == (1, 0)


def test_a_claim_whose_process_died_is_offered_again(spool):
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        answer_to(receiver, action_rq(), GOOD)
    request_id = decide(spool)
    folder = spool.root / "commitments"
    (folder / f"{request_id}.result").rename(folder / f"{request_id}.reporting")

    spool.prepare()

    assert spool.commitments.results() == [request_id]


def test_files_of_commitments_are_sealed_where_originals_are(tmp_path):
    keys = SpoolKeys(keys=(b"k" * 32,))
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, keys=keys)
    allow(spool)
    with Receiver(settings(), spool) as receiver:
        answer_to(receiver, action_rq(), GOOD)
    [path] = list((spool.root / "commitments").iterdir())
    assert b"2.25.2001" not in path.read_bytes()

    request_id = decide(spool)
    [path] = list((spool.root / "commitments").iterdir())
    assert b"2.25.2001" not in path.read_bytes()
    keyless = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0)
    assert keyless.commitments.claim(request_id) is None
    assert keyless.commitments.results() == [request_id]
    Rekeying(spool, SpoolKeys(keys=(b"z" * 32, b"k" * 32))).run()
    rekeyed = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, keys=SpoolKeys(keys=(b"z" * 32,)))
    claimed = rekeyed.commitments.claim(request_id)
    assert claimed.result.identified_transaction_uid == TRANSACTION
    claimed.taken()
    [path] = list((spool.root / "commitments").iterdir())
    assert path.read_bytes() == b""


def test_a_damaged_file_goes_to_quarantine(spool):
    folder = spool.root / "commitments"
    (folder / f"{1:032x}.result").write_bytes(b"\xff")
    (folder / f"{2:032x}.request").write_bytes(b"[]")

    assert spool.commitments.claim(f"{1:032x}") is None
    with pytest.raises(ValueError, match="not a file of ours"):
        spool.commitments.read_request(f"{2:032x}")
    spool.commitments.set_aside(f"{2:032x}")

    assert spool.quarantined() == 2
    assert list(folder.iterdir()) == []
