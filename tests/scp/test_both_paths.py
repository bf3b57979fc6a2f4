"""Our receive path beside pynetdicom's own, over the same exchanges: what real senders said, and generated fragments.

:class:`scp.receive.ReceivingDUL` reads P-DATA without pynetdicom's classes. Here a plain pynetdicom acceptor takes the
same decisions by the same functions, and both must store the same bytes, answer the same and end alike.
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from pynetdicom import AE, evt

from scp.contexts import VERIFICATION, is_uid
from scp.errors import CannotUnderstandError, DatasetMismatchError, ScpError
from scp.identity import read_identity
from scp.server import Receiver, silence_libraries
from scp.spool import Spool
from scp.status import status_of
from tests.exchanges.exchange import Exchange, Outcome, Part, replay
from tests.exchanges.record import FOLDER
from tests.scp.conftest import settings
from tests.scp.objects import CT, data_set, encoded
from tests.scp.wire import EXPLICIT, IMPLICIT, associate_rq, context_item, echo_rq, element, pdv, store_rq, us

MR = "1.2.840.10008.5.1.4.1.1.4"
RELEASE = struct.pack(">BBII", 5, 0, 4, 0)
ABORT = struct.pack(">BBII", 7, 0, 4, 0)
CONTEXTS = (
    context_item(1, CT, EXPLICIT),
    context_item(3, VERIFICATION, IMPLICIT),
    context_item(5, MR, IMPLICIT, EXPLICIT),
)
TITLES, WINDOW = associate_rq(*CONTEXTS), associate_rq(*CONTEXTS, window=4)


@dataclass
class Result:
    """What came of an exchange."""

    outcome: Outcome
    stored: Counter[str] = field(default_factory=Counter)
    """How often each data set is there, by its digest."""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class BothPaths:
    """Our receiver and plain pynetdicom ones, started once for all exchanges."""

    def __init__(self, spool: Spool, stack: ExitStack) -> None:
        self._spool = spool
        self._stack = stack
        self._known: set[str] = set()
        self._port = stack.enter_context(Receiver(settings(), spool)).port
        self._plain: dict[str, int] = {}
        self._stored: Counter[str] = Counter()

    def ours(self, exchange: Exchange) -> Result:
        """Say an exchange to our receiver."""
        result = Result(replay(exchange, self._port))
        for arrival in self._spool.scan()[0]:
            if arrival.arrival_id not in self._known:
                self._known.add(arrival.arrival_id)
                with self._spool.open_original(arrival.study_key, arrival.sop_key, arrival.arrival_id) as file:
                    content = file.read()
                result.stored[_digest(content[144 + int.from_bytes(content[140:144], "little") :])] += 1
        return result

    def theirs(self, exchange: Exchange, *, timeout_s: float = 10.0) -> Result:
        """Say an exchange to pynetdicom."""
        offered = repr(exchange.contexts)
        if offered not in self._plain:
            self._plain[offered] = self._start(exchange.contexts)
        self._stored = Counter()
        silence_libraries()  # pytest makes errors of pydicom's warnings, and each test has its own filters
        outcome = replay(exchange, self._plain[offered], timeout_s=timeout_s)
        return Result(outcome, self._stored)

    def _start(self, contexts: dict[str, list[str]]) -> int:
        entity = AE(ae_title="CASEBRIDGE")
        entity.maximum_pdu_size = settings().max_pdu_bytes
        for abstract, syntaxes in contexts.items():
            # pynetdicom takes the acceptor's first, we the requestor's: in this order they are the same.
            entity.add_supported_context(abstract, syntaxes)
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self._stack.callback(server.shutdown)
        return int(server.server_address[1])

    def _store(self, event: evt.Event) -> int:
        data = event.request.DataSet.getvalue()
        try:
            _decide(event, data)
        except ScpError as error:
            return int(status_of(error))
        self._stored[_digest(data)] += 1
        return 0x0000


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothPaths]:
    with ExitStack() as stack:
        yield BothPaths(Spool(tmp_path_factory.mktemp("both") / "spool", name_key=b"b" * 32, reserve_bytes=0), stack)


def _decide(event: evt.Event, data: bytes) -> None:
    """Decide as :mod:`scp.handlers` does."""
    announced, instance = str(event.request.AffectedSOPClassUID), str(event.request.AffectedSOPInstanceUID or "")
    if announced != event.context.abstract_syntax:
        raise DatasetMismatchError("another class than the context's")
    if not is_uid(instance):
        raise CannotUnderstandError("a malformed UID")
    identity = read_identity(data, event.context.transfer_syntax, is_whole=True)
    if (identity.sop_class_uid, identity.identified_sop_instance_uid) != (announced, instance):
        raise DatasetMismatchError("another object than announced")


def said(*parts: bytes | tuple[bytes, int], request: bytes = TITLES) -> Exchange:
    """Return an exchange: bytes that one answer is awaited for, or with the number of answers."""
    pairs = [(request, 1), *(part if isinstance(part, tuple) else (part, 1) for part in parts)]
    return Exchange(parts=tuple(Part(data=data, answers=answers) for data, answers in pairs))


def good(instance: str = "2.25.2001", **kwargs: object) -> bytes:
    return encoded(data_set(instance=instance, **kwargs))


def value(context_id: int, control: int, data: bytes) -> bytes:
    """Return one presentation data value, without a PDU around it."""
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def pdu(*values: bytes) -> bytes:
    return struct.pack(">BBI", 4, 0, len(b"".join(values))) + b"".join(values)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def in_values(control: int, data: bytes, size: int) -> list[bytes]:
    """Return a command or a data set in values of a size."""
    cut = pieces(data, size)
    return [value(1, control | (2 if index == len(cut) - 1 else 0), piece) for index, piece in enumerate(cut)]


COMMAND, DATA = store_rq(CT, "2.25.2001"), good()
SECOND = pdv(1, 3, store_rq(CT, "2.25.2002", message_id=8)) + pdv(1, 2, good("2.25.2002"))
GENERATED = {
    "one value for each PDU": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), RELEASE),
    "command and data in one PDU": said(pdu(value(1, 3, COMMAND), value(1, 2, DATA)), RELEASE),
    "one byte for each value, all in one PDU": said(pdu(*in_values(1, COMMAND, 1), *in_values(0, DATA, 1)), RELEASE),
    "one byte for each value and PDU": said(
        b"".join(map(pdu, [*in_values(1, COMMAND, 1), *in_values(0, DATA, 1)])), RELEASE
    ),
    "odd sizes": said(b"".join(map(pdu, [*in_values(1, COMMAND, 7), *in_values(0, DATA, 13)])), RELEASE),
    "an empty last value": said(pdv(1, 3, COMMAND) + pdv(1, 0, DATA) + pdv(1, 2, b""), RELEASE),
    "empty values between": said(
        pdu(value(1, 1, b""), value(1, 3, COMMAND)) + pdv(1, 0, b"") + pdv(1, 0, DATA) + pdv(1, 2, b""), RELEASE
    ),
    "two objects before any answer": said((pdv(1, 3, COMMAND) + pdv(1, 2, DATA) + SECOND, 2), RELEASE),
    "an asynchronous window that pynetdicom does not agree to": said(
        (pdv(1, 3, COMMAND) + pdv(1, 2, DATA) + SECOND, 2), RELEASE, request=WINDOW
    ),
    "echo between objects": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), pdv(3, 3, echo_rq(9)), SECOND, RELEASE),
    "an object for each of two contexts": said(
        pdv(1, 3, COMMAND) + pdv(1, 2, DATA),
        pdv(5, 3, store_rq(MR, "2.25.2003", message_id=9))
        + pdv(5, 2, encoded(data_set(sop_class=MR, instance="2.25.2003"), IMPLICIT)),
        RELEASE,
    ),
    "another class than the context's": said(pdv(1, 3, store_rq(MR, "2.25.2001")) + pdv(1, 2, DATA), SECOND, RELEASE),
    "another instance than announced": said(pdv(1, 3, store_rq(CT, "2.25.9")) + pdv(1, 2, DATA), SECOND, RELEASE),
    "no study": said(pdv(1, 3, COMMAND) + pdv(1, 2, good(study=None)), SECOND, RELEASE),
    "no data set at all": said(pdv(1, 3, COMMAND) + pdv(1, 2, bytes(500)), SECOND, RELEASE),
    "abort after an object": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), (ABORT, 0)),
    "abort within an object": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), (SECOND[:-40] + ABORT, 0)),
    "gone within an object": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), (SECOND[:-40], 0)),
    "an unknown PDU": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), struct.pack(">BBI", 9, 0, 4) + bytes(4)),
    "a second request": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), TITLES),
    "a malformed announced UID": said(pdv(1, 3, store_rq(CT, b"DOE^JOHN")) + pdv(1, 2, DATA), SECOND, RELEASE),
    "no data set announced": said(pdv(1, 3, store_rq(CT, "2.25.2001", has_data=False)), SECOND, RELEASE),
    "a data set without a command": said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), pdv(1, 2, DATA)),
    "a cancel of nothing": said(
        (pdv(1, 3, us(0x0100, 0x0FFF) + us(0x0120, 4) + us(0x0800, 0x0101)), 0), SECOND, RELEASE
    ),
}
RECORDED = {path.stem: Exchange.load(path) for path in sorted(FOLDER.glob("*.txt"))}


def test_every_sender_that_was_recorded_is_here() -> None:
    assert set(RECORDED) == {
        "dcmsend", "echoscu", "orthanc", "pixelmed", "pynetdicom", "storescu", "storescu_small_pdus",
    }  # fmt: skip


@pytest.mark.parametrize("name", [*RECORDED, *GENERATED])
def test_both_paths_store_the_same_bytes_answer_the_same_and_end_alike(name: str, paths: BothPaths) -> None:
    exchange = (RECORDED | GENERATED)[name]

    one, other = paths.ours(exchange), paths.theirs(exchange)

    assert one == other
    assert one.outcome.accepted
    if name in RECORDED:
        assert one.outcome.end == "released"
        assert {status for *_, status in one.outcome.responses} == {0}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An exchange that the two paths answer differently, and why we do."""

    exchange: Exchange
    reason: str
    our_statuses: tuple[int, ...]
    our_end: str


def statuses(result: Result) -> tuple[int, ...]:
    return tuple(status for *_, status in result.outcome.responses)


NO_MESSAGE_ID = element(0x0002, CT.encode() + b"\0") + us(0x0100, 1) + us(0x0800, 0) + element(0x1000, b"2.25.2001\0")
ACROSS = pdu(value(1, 2, DATA), value(1, 3, store_rq(CT, "2.25.2002", message_id=8)))
KNOWN = {
    "the end of one object and the next command in one PDU": Difference(
        exchange=said((pdv(1, 3, COMMAND) + ACROSS + pdv(1, 2, good("2.25.2002")), 2), RELEASE),
        reason="pynetdicom stores other bytes than were sent; values of several messages may share a PDU (PS3.8 E.2)",
        our_statuses=(0, 0),
        our_end="released",
    ),
    "a command without a Message ID": Difference(
        exchange=said(pdv(1, 3, NO_MESSAGE_ID) + pdv(1, 2, DATA), SECOND, RELEASE),
        reason="one odd command must not hold up the job behind it: it is answered with Message ID 0",
        our_statuses=(0, 0),
        our_end="released",
    ),
    "a PDU longer than any that we announced": Difference(
        exchange=said(pdv(1, 3, COMMAND) + pdv(1, 2, DATA), pdv(1, 0, bytes(settings().max_pdu_bytes + 100))),
        reason="memory is bounded by what we announced: aborted unread",
        our_statuses=(0,),
        our_end="aborted",
    ),
}


# pynetdicom's own thread can end with an error where a command has no Message ID.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", KNOWN)
def test_where_the_paths_differ_there_is_a_reason(name: str, paths: BothPaths) -> None:
    known = KNOWN[name]

    one, other = paths.ours(known.exchange), paths.theirs(known.exchange, timeout_s=1.0)

    assert (statuses(one), one.outcome.end) == (known.our_statuses, known.our_end)
    assert set(one.stored) <= {_digest(DATA), _digest(good("2.25.2002"))}
    assert (one.outcome, one.stored) != (other.outcome, other.stored), "they differ no more"
    assert known.reason
