"""What is fuzzed: everything that reads bytes which a peer, a disk or an administrator may have spoilt.

A target takes any bytes. It lets pass the errors that its reader is documented to raise; whatever else comes out of it
is a fault. Beyond that each target checks what must hold of an answer.
"""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_RQ

from bridge.journals import association_summary
from deidentify.errors import UnreadableInstanceError, UnsupportedTransferSyntaxError
from deidentify.manifest import read_manifest, read_teaching_information
from deidentify.parser import read_instance
from scp.arrival import ArrivalFacts, MalformedArrivalError, decode_arrival, encode_file_meta
from scp.association import _context_record, _proposed
from scp.command import encode_response, parse_command
from scp.commitment_data import MalformedActionError, Reference, TooManyReferencesError, encode_event, read_action
from scp.contexts import ProposedContext, answer_contexts
from scp.disk import Disk
from scp.errors import CannotUnderstandError, ProtocolError, SealBrokenError, SpoolKeyMissingError
from scp.handlers import RequestHandler
from scp.identity import HeadTooShortError, read_identity
from scp.inlet import PDataParser
from scp.journal import AssociationFacts, AssociationRecord, Journals
from scp.journal import Outcome as End
from scp.peers import PeerRules, PeerRulesFile, encode_peer_rules, judge
from scp.receive import MessageAssembler
from scp.sealing import SealedName, SpoolKeys, is_sealed, seal, unseal
from scp.server import silence_libraries
from scp.spool import Spool
from scp.status import COMMENT_LENGTH
from tests.builders import ct_instance, write_part10
from tests.exchanges.exchange import Exchange, Outcome, note_pdu
from tests.exchanges.record import FOLDER
from tests.scp.objects import CT, data_set, encoded
from tests.scp.wire import EXPLICIT, IMPLICIT, VERIFICATION, echo_rq, pdv, store_rq
from tests.teaching import information, selection

SYNTAXES = (EXPLICIT, IMPLICIT, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, "9.9")
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
ID = "0" * 32
PDU_LIMIT = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing to fuzz, with examples of what it is made to read."""

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


class _MemoryDisk(Disk):
    """Waits for no disk."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


@cache
def _folder() -> Path:
    """A folder of this process."""
    return Path(tempfile.mkdtemp(prefix=f"fuzz-{os.getpid()}-"))


def clean() -> None:
    """Remove what was written."""
    shutil.rmtree(_folder(), ignore_errors=True)
    for cached in (_folder, _spool):
        cached.cache_clear()


def left_over() -> int:
    """Return how many objects are left half arrived."""
    return sum(1 for _ in (_spool().root / "incoming").iterdir())


def _facts() -> AssociationFacts:
    return AssociationFacts(
        association_id=ID, calling_ae="FUZZ", called_ae="CASEBRIDGE", peer_address="127.0.0.1", started_at=MOMENT
    )


@cache
def _spool() -> Spool:
    silence_libraries()
    spool = Spool(
        _folder() / "spool", name_key=b"z" * 32, reserve_bytes=0, max_object_bytes=1 << 20, disk=_MemoryDisk()
    )
    spool.prepare()
    return spool


_PROPOSED = (
    ProposedContext(context_id=1, abstract_syntax=CT, transfer_syntaxes=(EXPLICIT,)),
    ProposedContext(context_id=3, abstract_syntax=VERIFICATION, transfer_syntaxes=(IMPLICIT,)),
    ProposedContext(context_id=5, abstract_syntax="1.2.840.10008.1.20.1", transfer_syntaxes=(IMPLICIT,)),
)
_CONTEXTS = {answer.proposed.context_id: answer for answer in answer_contexts(_PROPOSED)}


class _NoJournal:
    """Counts nothing: a journal would grow without end."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _pdata(data: bytes) -> None:
    """P-DATA in pieces of any size, from the first byte to the answers; each Success must have its file."""
    step, stream = (data[0] if data else 0) * 8 + 1, data[1:]
    spool = _spool()
    handler = RequestHandler(spool, _facts(), _NoJournal(), _CONTEXTS)  # type: ignore[arg-type]
    messages = MessageAssembler(handler, 16384, window=1 + step % 3)
    answers: list[bytes] = []

    def take(context_id: int, control: int, fragment: memoryview, is_end: bool) -> None:
        messages.take(context_id, control, fragment, is_end=is_end)
        if messages.is_window_full:
            answers.append(messages.settle())

    parser = PDataParser(take, max_pdu_bytes=PDU_LIMIT)
    held = b""
    try:
        for start in range(0, len(stream), step):
            held += stream[start : start + step]
            done = parser.feed(memoryview(held))
            messages.write_out()
            held = held[done:]
            if held and not parser.is_inside and held[0] != 0x04:
                break
        answers.append(messages.settle())
    except ProtocolError:
        pass
    finally:
        messages.abandon()
    stored = list((spool.root / "studies").rglob("*.dcm"))
    assert len(stored) == _successes(b"".join(answers)), "Success and files do not match"
    for path in stored:
        shutil.rmtree(path.parent, ignore_errors=True)
    assert not left_over(), "half an object was left behind"


def _successes(answers: bytes) -> int:
    outcome = Outcome()
    while answers:
        size = 6 + int.from_bytes(answers[2:6], "big")
        note_pdu(outcome, answers[:size])
        answers = answers[size:]
    return sum(1 for _, field, _, status in outcome.responses if (field, status) == (0x8001, 0))


def _command(data: bytes) -> None:
    try:
        command = parse_command(data)
    except ProtocolError:
        return
    answer = encode_response(command, 0xA700, "x" * 100)
    assert len(answer) < 400
    back = parse_command(answer)
    assert back.operation & 0x8000
    assert b"x" * (COMMENT_LENGTH + 1) not in answer


def _identity(data: bytes) -> None:
    choice = data[0] if data else 0
    with suppress(CannotUnderstandError, HeadTooShortError):
        found = read_identity(data[1:], SYNTAXES[choice % len(SYNTAXES)], is_whole=bool(choice & 0x80))
        assert 0 < len(found.identified_study_uid) <= 64


def _arrival(data: bytes) -> None:
    with suppress(MalformedArrivalError):
        found = decode_arrival(io.BytesIO(data), study_key=ID, sop_key=ID, arrival_id=ID, size_bytes=len(data))
        assert found.arrival_id == ID


def _journal(data: bytes) -> None:
    path = _folder() / "journal.jsonl"
    path.write_bytes(data)
    with suppress(ValueError):
        record = Journals(_folder(), host="h", disk=Disk()).read(path)
        association_summary(record)


def _peers(data: bytes) -> None:
    path = _folder() / "peers.json"
    path.write_bytes(data)
    rules = PeerRulesFile(path).rules()
    judge(rules, calling_ae="A", called_ae="CASEBRIDGE", address="10.0.0.1", own_ae="CASEBRIDGE")
    if rules != PeerRules():
        path.write_bytes(encode_peer_rules(rules))
        assert PeerRulesFile(path).rules() == rules, "what was read cannot be written"


def _action(data: bytes) -> None:
    choice = data[0] if data else 0
    with suppress(MalformedActionError, TooManyReferencesError):
        transaction, references = read_action(data[1:], (IMPLICIT, EXPLICIT)[choice % 2])
        assert transaction
        assert len(set(references)) == len(references)


def _instance(data: bytes) -> None:
    with suppress(UnreadableInstanceError, UnsupportedTransferSyntaxError):
        received = read_instance(io.BytesIO(data))
        read_manifest(received)
        read_teaching_information(received)


_KEYS = SpoolKeys(keys=(b"1" * 32, b"2" * 32))
_NAME = SealedName(name=b"a name", study=b"a study")
_CONTENTS = tuple(bytes(range(256)) * count for count in (0, 1, 300))


def _sealed(data: bytes) -> None:
    with suppress(SealBrokenError, SpoolKeyMissingError):
        content = unseal(_KEYS, _NAME, data)
        assert not is_sealed(data) or content in _CONTENTS, "a forged content was opened"


def _request(data: bytes) -> None:
    """An A-ASSOCIATE-RQ: pynetdicom reads it and may give up; what it read must not surprise us."""
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(bytearray(data))
        primitive = request.to_primitive()
        str(primitive.calling_ae_title).strip()
    except Exception:  # noqa: BLE001 - the receiver takes any of its errors for an invalid PDU
        return
    answers = answer_contexts(_proposed(primitive))
    json.dumps([_context_record(answer).transfer_syntaxes for answer in answers])


def _streams() -> list[bytes]:
    said = [b"\xff" + b"".join(part.data for part in Exchange.load(path).parts[1:-1]) for path in _exchanges()]
    ours = pdv(1, 3, store_rq(CT, "2.25.2001")) + pdv(1, 2, encoded(data_set())) + pdv(3, 3, echo_rq())
    return [*said, b"\xff" + ours, b"\x00" + ours, b"\x03" + ours * 3]


def _exchanges() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def _commands() -> list[bytes]:
    return [store_rq(CT, "2.25.1"), echo_rq(), store_rq(b"DOE^JOHN", b"\xff" * 70, has_data=False)]


def _identities() -> list[bytes]:
    return [
        bytes([flag | number]) + encoded(data_set(), syntax)
        for number, syntax in enumerate(SYNTAXES)
        for flag in (0, 0x80)
    ]


def _arrivals() -> list[bytes]:
    facts = ArrivalFacts(
        sop_class_uid=CT,
        identified_sop_instance_uid="2.25.1",
        transfer_syntax_uid=EXPLICIT,
        calling_ae="A",
        called_ae="B",
        peer_address="127.0.0.1",
        association_id=ID,
    )
    return [encode_file_meta(facts, arrival_id=ID, received_at=MOMENT) + encoded(data_set())]


def _journals() -> list[bytes]:
    folder = Path(tempfile.mkdtemp(prefix="journal-", dir=_folder()))
    journals = Journals(folder, host="h", disk=Disk())
    journals.prepare()
    journal = journals.open(_facts())
    journal.stored()
    journal.refused(sop_class_uid=CT, status=0xA700, reason="disk-reserve")
    journal.echoed()
    journal.end(End.RELEASED)
    [path] = journals.finished()
    assert isinstance(journals.read(path), AssociationRecord)
    return [path.read_bytes(), path.read_bytes().partition(b"\n")[0] + b"\n"]


def _rules() -> list[bytes]:
    whole = {
        "open": False,
        "called_aes": ["OTHER"],
        "rules": [
            {"calling_ae": "PACS", "addresses": ["10.0.0.0/8", "::1"], "max_associations": 4},
            {"calling_ae": "*", "commitment": {"host": "pacs", "port": 104, "ae_title": "PACS"}},
            {"calling_ae": "T", "certificates": ["sha256:" + "ab" * 32]},
        ],
    }
    return [json.dumps(whole).encode(), b'{"open": true}', b"[]"]


def _actions() -> list[bytes]:
    references = tuple(Reference(sop_class_uid=CT, identified_sop_instance_uid=f"2.25.{number}") for number in (1, 2))
    return [
        bytes([is_explicit]) + encode_event("2.25.9", references, (), transfer_syntax=(IMPLICIT, EXPLICIT)[is_explicit])
        for is_explicit in (False, True)
    ]


def _instances() -> list[bytes]:
    images = [ct_instance(number=1), ct_instance(number=2)]
    plain = [write_part10(one) for one in (images[0], selection(images, [images[1]]), information())]
    other = [
        write_part10(images[0], transfer_syntax=syntax) for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian)
    ]
    return [*plain, *other]


def _sealed_files() -> list[bytes]:
    return [seal(_KEYS, _NAME, content) for content in _CONTENTS]


def _requests() -> list[bytes]:
    return [Exchange.load(path).parts[0].data for path in _exchanges()]


TARGETS = {
    "pdata": Target(read=_pdata, seeds=_streams),
    "command": Target(read=_command, seeds=_commands),
    "identity": Target(read=_identity, seeds=_identities),
    "request": Target(read=_request, seeds=_requests),
    "action": Target(read=_action, seeds=_actions),
    "arrival": Target(read=_arrival, seeds=_arrivals),
    "sealed": Target(read=_sealed, seeds=_sealed_files),
    "journal": Target(read=_journal, seeds=_journals),
    "peers": Target(read=_peers, seeds=_rules),
    "instance": Target(read=_instance, seeds=_instances),
}
WIRE = ("pdata", "command", "identity", "request", "action")
"""What a peer sends."""
FILES = ("arrival", "sealed", "journal", "peers", "instance")
"""What lies on a disk."""
REGRESSIONS = Path(__file__).parent / "regressions"


def regressions(name: str) -> list[Path]:
    """Return the inputs that once were too much for a target."""
    return sorted((REGRESSIONS / name).glob("*.bin"))


def name_of(data: bytes) -> str:
    """Return what an input is kept as."""
    return f"{hashlib.sha256(data).hexdigest()[:16]}.bin"


def joined(names: Sequence[str], name: str, data: bytes) -> bytes:
    """Return an input of one of several targets that are fuzzed in one process: its first byte chooses."""
    return data if len(names) == 1 else bytes([names.index(name)]) + data


def chosen(names: Sequence[str], data: bytes) -> tuple[str, bytes]:
    """Return the target that an input is for, and the rest of the input."""
    return (names[0], data) if len(names) == 1 else (names[(data[0] if data else 0) % len(names)], data[1:])
