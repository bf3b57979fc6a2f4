"""However a peer cuts its bytes, the same objects arrive; and wherever the stream ends, nothing half stays."""

import itertools
import socket
import struct
import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from scp.errors import ProtocolError
from scp.inlet import PDataParser
from scp.journal import Outcome
from scp.server import Receiver
from scp.spool import Spool
from tests.scp.conftest import NAME_KEY, settings, wait_for
from tests.scp.objects import CT, data_set, encoded
from tests.scp.test_spool import WatchedDisk
from tests.scp.wire import (
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Peer,
    _item,
    associate_rq,
    context_item,
    echo_rq,
    store_rq,
    us,
)

CT_EXPLICIT = context_item(1, CT, EXPLICIT)


def value(control: int, data: bytes, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def pdu(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BBI", 4, 0, len(body)) + body


def good(number: int) -> bytes:
    return encoded(data_set(instance=f"2.25.{number}"))


def fragments(control: int, data: bytes, cuts: list[int]) -> list[bytes]:
    """Return the presentation data values of a command or data set cut at these places; some may be empty."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    return [value(control | (2 if index == len(pieces) - 1 else 0), piece) for index, piece in enumerate(pieces)]


def with_window(invoked: int, performed: int = 1) -> bytes:
    """Return an A-ASSOCIATE-RQ that asks for an asynchronous operations window."""
    request = associate_rq(CT_EXPLICIT)
    item = _item(0x53, struct.pack(">HH", invoked, performed))
    at = request.index(_item(0x51, struct.pack(">I", 16384))) - 2
    (length,) = struct.unpack_from(">H", request, at)
    (whole,) = struct.unpack_from(">I", request, 2)
    request = (
        request[:2]
        + struct.pack(">I", whole + len(item))
        + request[6:at]
        + struct.pack(">H", length + len(item))
        + request[at + 2 :]
    )
    return request + item


def window_of(accept: bytes) -> tuple[int, int] | None:
    at = accept.find(b"\x53\0\0\4")
    return None if at < 0 else struct.unpack_from(">HH", accept, at + 4)


@example_settings(deadline=None, max_examples=300)
@given(st.data())
def test_the_parser_gives_the_same_values_however_its_input_is_cut(data):
    sizes = data.draw(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), max_size=5))
    sent = [
        (index % 3 * 2 + 1, index % 4, bytes([index % 256]) * size) for pdu_ in sizes for index, size in enumerate(pdu_)
    ]
    stream, at = b"", 0
    for pdu_ in sizes:
        values = sent[at : at + len(pdu_)]
        stream += pdu(*(value(control, payload, context) for context, control, payload in values))
        at += len(pdu_)
    found: list[tuple[int, int, bytes]] = []
    current = bytearray()

    def take(context: int, control: int, piece: memoryview, is_end: bool) -> None:
        current.extend(piece)
        if is_end:
            found.append((context, control, bytes(current)))
            current.clear()

    parser = PDataParser(take, max_pdu_bytes=1000)
    waiting = b""
    position = 0
    while position < len(stream):
        step = data.draw(st.integers(1, 60))
        waiting += stream[position : position + step]
        position += step
        waiting = waiting[parser.feed(memoryview(waiting)) :]

    assert found == sent
    assert waiting == b""
    assert not parser.is_inside


@example_settings(deadline=None, max_examples=500)
@given(st.binary(max_size=200))
def test_the_parser_takes_any_bytes_or_says_that_they_break_the_protocol(noise):
    taken = []
    parser = PDataParser(lambda *_: taken.append(1), max_pdu_bytes=100)
    try:
        done = parser.feed(memoryview(b"\4\0" + noise))
    except ProtocolError:
        return
    assert done <= len(noise) + 2
    assert len(taken) <= len(noise)


SHAPES: dict[str, Callable[[], bytes]] = {
    "one byte in each value": lambda: b"".join(
        pdu(one)
        for one in [*fragments(1, store_rq(CT, "2.25.1"), list(range(200))), *fragments(0, good(1), list(range(9000)))]
    ),
    "command and data in one PDU": lambda: pdu(value(3, store_rq(CT, "2.25.1")), value(2, good(1))),
    "many values in a PDU, empty ones among them": lambda: pdu(
        *fragments(1, store_rq(CT, "2.25.1"), [0, 0, 5, 5, 50]), *fragments(0, good(1), [0, 1, 1, 100, 9000])
    ),
    "the last value empty": lambda: pdu(value(3, store_rq(CT, "2.25.1")), value(0, good(1))) + pdu(value(2, b"")),
    "empty PDUs between": lambda: (
        pdu() + pdu(value(3, store_rq(CT, "2.25.1"))) + pdu() + pdu(value(2, good(1))) + pdu()
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("piece", [0, 1, 7])
def test_an_object_arrives_in_any_shape_and_in_any_pieces(receiver, spool, shape, piece):
    stream = SHAPES[shape]()
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        # Byte by byte where that is a few thousand calls; a prime count of bytes where it would be half a million.
        step = 997 if piece == 1 and len(stream) > 30_000 else piece or len(stream)
        for start in range(0, len(stream), step):
            peer.send(stream[start : start + step])
        assert peer.response().status == 0
        assert peer.release() == 6

    [arrival] = spool.scan()[0]
    assert spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id).read_bytes().endswith(good(1))


def test_several_messages_in_one_pdu_are_answered_in_their_order(receiver, spool):
    with Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT, context_item(3, VERIFICATION, IMPLICIT))
        peer.send(
            pdu(
                value(3, store_rq(CT, "2.25.1", message_id=11)), value(2, good(1)),
                value(3, echo_rq(12), context_id=3),
                value(3, store_rq(CT, "2.25.2", message_id=13)), value(2, good(2)),
            )
        )  # fmt: skip
        answers = [peer.response() for _ in range(3)]

    assert [(one.message_id, one.status) for one in answers] == [(11, 0), (12, 0), (13, 0)]
    assert len(spool.scan()[0]) == 2


@pytest.mark.parametrize(("asked", "granted"), [(1, None), (2, (2, 1)), (0, (64, 1)), (500, (64, 1)), (64, (64, 1))])
def test_a_window_of_operations_is_agreed_on_and_never_wider_than_asked_for(receiver, asked, granted):
    with Peer(receiver.port) as peer:
        peer.send(with_window(asked))
        kind, body = peer.read_pdu()

    assert (kind, window_of(body)) == (2, granted)


def test_no_window_is_named_where_none_was_asked_for(receiver):
    with Peer(receiver.port) as peer:
        assert window_of(peer.associate(CT_EXPLICIT)[1]) is None


class GatedDisk(WatchedDisk):
    """Notes every step; the last folder sync waits for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.is_gated = False

    def sync_folder(self, folder):
        super().sync_folder(folder)
        if self.is_gated and len(folder.name) == 32:
            self.reached.set()
            assert self.go_on.wait(10)


def test_a_batch_is_answered_after_all_steps_of_all_its_objects(tmp_path):
    disk = GatedDisk()
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0, disk=disk)
    with Receiver(settings(), spool) as receiver, Peer(receiver.port) as peer:
        peer.send(with_window(8))
        assert peer.read_pdu()[0] == 2
        disk.steps.clear()
        disk.is_gated = True
        peer.send(
            b"".join(pdu(value(3, store_rq(CT, f"2.25.{n}", message_id=n)), value(2, good(n))) for n in range(1, 9))
        )
        assert disk.reached.wait(10)
        peer.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        disk.go_on.set()
        peer.socket.settimeout(10)
        assert [peer.response().message_id for _ in range(8)] == list(range(1, 9))
        assert disk.steps == [
            "write", *["sync file"] * 8, "make study folder", *["rename"] * 8, "sync study folder", "sync studies",
        ]  # fmt: skip


def test_one_bad_object_of_a_batch_is_refused_and_the_others_are_stored(receiver, spool):
    with Peer(receiver.port) as peer:
        peer.send(with_window(0))
        peer.read_pdu()
        instances = ["2.25.1", "2.25.99", "2.25.3", "bad", "2.25.5"]
        peer.send(
            b"".join(
                pdu(value(3, store_rq(CT, uid, message_id=n)), value(2, good(n))) for n, uid in enumerate(instances, 1)
            )
        )
        assert [peer.response().status for _ in instances] == [0, 0xA900, 0, 0xC000, 0]
        assert peer.release() == 6

    assert len(spool.scan()[0]) == 3


def test_a_cancel_within_a_window_changes_nothing(receiver, spool):
    cancel = us(0x0100, 0x0FFF) + us(0x0120, 1) + us(0x0800, 0x0101)
    with Peer(receiver.port) as peer:
        peer.send(with_window(4))
        peer.read_pdu()
        peer.send(pdu(value(3, store_rq(CT, "2.25.1", message_id=1)), value(2, good(1)), value(3, cancel)))
        peer.send(pdu(value(3, store_rq(CT, "2.25.2", message_id=2)), value(2, good(2))))
        assert [peer.response().message_id for _ in range(2)] == [1, 2]


def test_a_release_right_behind_objects_comes_after_their_answers(receiver, spool):
    with Peer(receiver.port) as peer:
        peer.send(with_window(4))
        peer.read_pdu()
        peer.send(
            pdu(value(3, store_rq(CT, "2.25.1", message_id=1)), value(2, good(1)))
            + pdu(value(3, store_rq(CT, "2.25.2", message_id=2)), value(2, good(2)))
            + struct.pack(">BBII", 5, 0, 4, 0)
        )
        assert [peer.response().status for _ in range(2)] == [0, 0]
        assert peer.read_pdu()[0] == 6

    assert len(spool.scan()[0]) == 2


STREAM = b"".join(
    pdu(value(3, store_rq(CT, f"2.25.{n}", message_id=n)), value(0, good(n)[:700])) + pdu(value(2, good(n)[700:]))
    for n in (1, 2, 3)
)


@example_settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(STREAM)), is_abort=st.booleans(), window=st.sampled_from([1, 8]))
def test_wherever_the_stream_ends_nothing_half_stays_and_nothing_acknowledged_is_lost(
    receiver, spool, cut, is_abort, window
):
    before = {one.arrival_id for one in spool.scan()[0]}
    ended = len(spool.journals())
    answered = 0
    with Peer(receiver.port) as peer:
        peer.send(with_window(window))
        assert peer.read_pdu()[0] == 2
        peer.send(STREAM[:cut] + (struct.pack(">BBII", 7, 0, 4, 0) if is_abort else b""))
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.read_pdu()[0] == 4:
            answered += 1

    wait_for(lambda: len(spool.journals()) > ended)
    wait_for(lambda: not list((spool.root / "incoming").iterdir()))
    arrived = [one for one in spool.scan()[0] if one.arrival_id not in before]
    assert answered <= len(arrived) <= cut * 3 // len(STREAM)
    for one in arrived:
        content = spool.path(one.study_key, one.sop_key, one.arrival_id).read_bytes()
        assert any(content.endswith(good(n)) for n in (1, 2, 3))
    assert spool.read_journal(spool.journals()[-1]).outcome is Outcome.ABORTED
