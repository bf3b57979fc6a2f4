"""Manifests on their way from the spool to keys, and their text on its way to a draft."""

import io
import logging
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bridge import manifests, pipeline
from bridge.commitments import CommitmentDecisions
from bridge.keys import Keys
from bridge.manifests import TeachingFiles, TeachingTask, manifests_of, teaching_text
from bridge.pipeline import Tools
from bridge.pool import ChildDiedError
from bridge.scanner import Scanner
from bridge.settling import SettleRules
from cases.intake import InstanceOutcome, NewArrival
from cases.manifests import ManifestKind
from cases.model import CaseShell, CaseStatus
from cases.store import Database, Intake, Manifests
from deidentify.results import TeachingText
from scp.arrival import Arrival, ArrivalFacts
from scp.spool import Spool
from tests.bridge.books import laid_out_in, shipped
from tests.bridge.spooled import spool_in
from tests.builders import ct_instance, uid, write_part10
from tests.cases.world import INBOX
from tests.teaching import FOR_TEACHING, information, said, selection

CLASS = "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool, and the tools of a child process that works on it."""
    tools = Tools(
        keys=Keys.derive(b"s" * 32),
        spool_root=tmp_path / "spool",
        blob_url=(tmp_path / "blobs").as_uri(),
        profile_folder=laid_out_in(tmp_path / "profiles", "teaching", "strict"),
        log_level="WARNING",
    )
    spool = spool_in(tmp_path)
    monkeypatch.setattr(pipeline, "_tools", tools)
    monkeypatch.setattr(pipeline, "spool", lambda: spool)
    return spool


def arrive(spool: Spool, instance: Dataset, whole: bytes = b"", syntax: str = "1.2.840.10008.1.2.1") -> Arrival:
    """Put an instance into the spool as the receiver does."""
    whole = whole or write_part10(instance, transfer_syntax=syntax)
    facts = ArrivalFacts(
        sop_class_uid=instance.SOPClassUID,
        identified_sop_instance_uid=instance.SOPInstanceUID,
        transfer_syntax_uid=syntax,
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        association_id="a" * 32,
    )
    incoming = spool.begin(facts)
    incoming.write(whole[144 + int.from_bytes(whole[140:144], "little") :])
    return incoming.commit(identified_study_uid=instance.StudyInstanceUID)


def test_a_selection_becomes_keys_and_nothing_else(spool: Spool) -> None:
    here, there = ct_instance(study=1), ct_instance(study=2)
    document = selection([here, there], [(there, [4])], identical=[(uid(2), uid(0, 1))], text="mirc:title=Secret")
    [found] = manifests_of(spool, [arrive(spool, here), arrive(spool, document)], "inbox")
    assert found.kind is ManifestKind.TEACHING_FILE
    assert {(entry.received_study, entry.sop_key, entry.key_position, entry.key_frames) for entry in found.entries} == {
        (f"{spool.study_key(uid(1))}-inbox", spool.sop_key(here.SOPInstanceUID), None, ()),
        (f"{spool.study_key(uid(2))}-inbox", spool.sop_key(there.SOPInstanceUID), 0, (4,)),
    }
    assert all(entry.is_listed for entry in found.entries)
    assert found.group_key == spool.sop_key(min(document.SOPInstanceUID, uid(0, 1)))
    assert "Secret" not in repr(found)
    assert uid(1) not in repr(found)


def test_the_copies_of_one_selection_share_their_group(spool: Spool) -> None:
    one = selection([], study=1, identical=[(uid(2), uid(2, 90, 1))])
    other = selection([], study=2, identical=[(uid(1), uid(1, 90, 1))])
    groups = {found.group_key for found in manifests_of(spool, [arrive(spool, one), arrive(spool, other)], "inbox")}
    assert len(groups) == 1


def test_a_hint_lists_nothing_but_its_key_images(spool: Spool) -> None:
    ones = [ct_instance(number=n) for n in (1, 2)]
    [found] = manifests_of(spool, [arrive(spool, selection(ones, ones[1:], title=FOR_TEACHING))], "inbox")
    assert found.kind is ManifestKind.KEY_IMAGES
    assert [(entry.sop_key, entry.is_listed) for entry in found.entries] == [
        (spool.sop_key(ones[1].SOPInstanceUID), False)
    ]


def test_selections_for_others_and_damaged_ones_list_nothing(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    trial = selection([ct_instance()], number=1, title={**FOR_TEACHING, "CodeValue": "TCE002"})
    cut = selection([ct_instance()], number=2)
    whole = write_part10(cut)
    arrivals = [arrive(spool, trial), arrive(spool, cut, whole[:-20])]
    with caplog.at_level(logging.ERROR):
        assert manifests_of(spool, arrivals, "inbox") == []
    assert caplog.text == ""


def test_one_that_is_gone_or_too_large_lists_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = arrive(spool, selection([ct_instance()], number=1))
    spool.remove(gone.study_key, gone.sop_key, gone.arrival_id)
    assert manifests_of(spool, [gone], "inbox") == []
    large = arrive(spool, selection([ct_instance()], number=2))
    assert len(manifests_of(spool, [large], "inbox")) == 1
    monkeypatch.setattr(manifests, "MOST_BYTES", 100)
    assert manifests_of(spool, [large], "inbox") == []


def test_little_that_is_deflated_is_read_and_much_is_not(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    one = arrive(spool, selection([ct_instance()]), syntax=DeflatedExplicitVRLittleEndian)
    assert len(manifests_of(spool, [one], "inbox")) == 1
    monkeypatch.setattr(manifests, "MOST_DEFLATED_BYTES", 100)
    assert manifests_of(spool, [one], "inbox") == []


# -- text ------------------------------------------------------------------------------------------------------------


class Here:
    """Runs tasks in this process, as a pool of children would."""

    def __init__(self) -> None:
        self.tasks: list[TeachingTask] = []
        self.error: Exception | None = None

    def run(self, function: Any, task: TeachingTask, **_: object) -> Any:
        assert function is teaching_text
        self.tasks.append(task)
        if self.error is not None:
            raise self.error
        return function(task)


def read(
    database: Database, spool: Spool, *instances: Dataset, profile: str = "teaching", before: Any = None
) -> tuple[TeachingText | None, Here]:
    """Let instances arrive, and return the text that a study's draft would be filled with."""
    arrivals = [arrive(spool, one) for one in instances]
    names = NewArrival.__dataclass_fields__
    destination = INBOX.__class__(
        id="inbox", calling_ae="PACS", called_ae="CASEBRIDGE", owner=None, hospital="north", profile=profile
    )
    with database.write() as session:
        [study_key] = Intake(session).record(
            [NewArrival(**{name: getattr(one, name) for name in names}) for one in arrivals], destination=destination
        )
        Intake(session).assign_generation(study_key)
    pool = Here()
    if before is not None:
        before(arrivals, pool)
    with database.read() as session:
        study = Intake(session).study(study_key)
        todo = Intake(session).pending(study_key, 1)
    shell = CaseShell(
        case_id="c" * 32,
        status=CaseStatus.DRAFT,
        owner=None,
        previous_case_id=None,
        is_new=True,
        profile_revision=shipped(profile).revision,
    )
    files = TeachingFiles(database=database, pool=pool, timeout_s=5.0)  # type: ignore[arg-type] # one method is used
    return files.read(study, shell, [pipeline.task_of(study, one, shell) for one in todo]), pool


def test_a_study_without_documents_asks_no_child(database: Database, spool: Spool) -> None:
    text, pool = read(database, spool, ct_instance())
    assert text is None
    assert pool.tasks == []


def test_text_is_cleaned_of_what_every_instance_of_the_study_names(database: Database, spool: Spool) -> None:
    text, _ = read(
        database,
        spool,
        information(said("121060", "acute pain near the liver and pancreas")),
        ct_instance(number=1),
        ct_instance(number=2, OperatorsName="Liver^Pancreas"),
    )
    assert text is not None
    assert "pain" in text.presentation
    assert "liver" not in text.presentation


def test_where_an_original_is_gone_all_text_is_withheld(database: Database, spool: Spool) -> None:
    def purge(arrivals: list[Arrival], _: Here) -> None:
        with database.write() as session:
            Intake(session).finish(arrivals[1].arrival_id, InstanceOutcome.DROPPED, "dose-report")
            Intake(session).mark_purged([arrivals[1].arrival_id], arrivals[1].received_at)

    text, _ = read(database, spool, information(said("121060", "acute pain")), ct_instance(), before=purge)
    assert text is not None
    assert (text.presentation, text.withheld) == ("", 2)


def test_where_an_instance_cannot_be_read_all_text_is_withheld(database: Database, spool: Spool) -> None:
    def damage(arrivals: list[Arrival], _: Here) -> None:
        one = arrivals[1]
        spool.remove(one.study_key, one.sop_key, one.arrival_id)

    text, _ = read(database, spool, information(said("121060", "acute pain")), ct_instance(), before=damage)
    assert text is not None
    assert (text.presentation, text.withheld) == ("", 2)


def test_a_profile_that_keeps_no_text_keeps_none(database: Database, spool: Spool) -> None:
    text, _ = read(database, spool, information(said("121060", "acute pain")), profile="strict")
    assert text is not None
    assert (text.presentation, text.withheld) == ("", 2)


def test_documents_of_others_give_no_text(database: Database, spool: Spool) -> None:
    text, pool = read(database, spool, selection([ct_instance()], title=FOR_TEACHING, text="a good one"))
    assert text is None
    assert len(pool.tasks) == 1


def test_a_document_that_is_held_for_another_patient_is_not_read(database: Database, spool: Spool) -> None:
    def hold(arrivals: list[Arrival], _: Here) -> None:
        with database.write() as session:
            Intake(session).finish(arrivals[0].arrival_id, InstanceOutcome.HELD, "two-patients")

    text, pool = read(database, spool, information(said("121060", "acute pain")), ct_instance(), before=hold)
    assert text is None
    assert pool.tasks == []


@pytest.mark.parametrize("error", [ChildDiedError("gone"), MemoryError(), ValueError("Secret")])
def test_the_draft_goes_on_without_a_text_that_cannot_be_had(
    database: Database, spool: Spool, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: list[Arrival], pool: Here) -> None:
        pool.error = error

    text, _ = read(database, spool, information(said("121060", "acute pain")), before=fail)
    assert text is None
    assert caplog.records


def test_damaged_bytes_are_no_document(spool: Spool) -> None:
    damaged = io.BytesIO(b"\x08\0\x05\0CS\x0a\0ISO_IR 100").getvalue()
    one = selection([])
    arrival = arrive(spool, one, bytes(144) + damaged)
    assert manifests_of(spool, [arrival], "inbox") == []


# -- the scanner -----------------------------------------------------------------------------------------------------


class Engine:
    """Remembers which studies were handed to it."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []

    def enqueue_study(self, _session: object, study_key: str, _generation: int, *, instances: int) -> None:
        self.jobs.append((study_key, instances))


def scanning(database: Database, spool: Spool, engine: Engine, clock: list[float]) -> Scanner:
    return Scanner(
        database=database,
        spool=spool,
        client=engine,  # type: ignore[arg-type] # a fake with the one method that is used
        worker_id="w1",
        rules=SettleRules(quiet_period_s=600, max_settle_s=1800),
        destination_for=lambda _calling, _called: INBOX,
        retention=Nothing(),  # type: ignore[arg-type] # a fake with the one method that is used
        reclaim=lambda _: 0,
        keep_peers=lambda: None,
        commitments=CommitmentDecisions(database=database, spool=spool, keep_days=30),
        clock=lambda: clock[0],
    )


class Nothing:
    """Has no duties."""

    def tick(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["images first", "selection first"])
def test_a_study_settles_as_soon_as_its_list_is_there(database: Database, spool: Spool, order: tuple[int, ...]) -> None:
    ones = [ct_instance(number=n) for n in (1, 2)]
    objects = [*ones, selection(ones, ones[:1])]
    engine, clock = Engine(), [1000.0]
    scanner = scanning(database, spool, engine, clock)
    for place in order[:2]:
        arrive(spool, objects[place])
    scanner.tick()
    clock[0] += 10
    scanner.tick()
    assert engine.jobs == []
    arrive(spool, objects[order[2]])
    scanner.tick()
    clock[0] += 10
    scanner.tick()
    assert engine.jobs == [(f"{spool.study_key(uid(1))}-inbox", 3)]


def test_a_selection_is_read_when_it_is_recorded_and_not_again(
    database: Database, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ct_instance()
    arrive(spool, selection([one], [one]))
    read: list[int] = []
    original = manifests.read_manifest
    monkeypatch.setattr(manifests, "read_manifest", lambda header: read.append(1) or original(header))
    for _ in range(2):
        # Each scanner begins with a full scan, as it does every ten minutes.
        scanning(database, spool, Engine(), [1000.0]).tick()
    assert read == [1]
    with database.read() as session:
        assert Manifests(session).listed(f"{spool.study_key(uid(1))}-inbox") == (1, 1)
