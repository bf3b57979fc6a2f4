"""Images that go from one draft to another as the job engine hands the work out: written anew, there all at once."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sqlalchemy import select, update

from bridge import moves as moves_module
from bridge import pipeline
from bridge.children import Children
from bridge.engine import EngineNotReadyError
from bridge.move_desk import MoveDesk
from bridge.moves import MoveRunner, MoveTask, Written, move_in_child
from bridge.pipeline import OriginalGoneError, Task
from cases.blobs import LocalBlobs
from cases.changes import CaseChanges, StudyChange
from cases.errands import Errand, ErrandState
from cases.errors import (
    CaseNotFoundError,
    DraftLimitError,
    InvalidChangeError,
    InvalidTransitionError,
    MoveInProgressError,
    NotAllowedError,
    OtherPatientError,
    StoreUnavailableError,
    VersionConflictError,
)
from cases.intake import InstanceFacts, InstanceOutcome, NewArrival
from cases.model import CaseDetail, CaseShell, CaseStatus, ConsentKind
from cases.moves import NewMove
from cases.patients import PatientKeys
from cases.store import (
    Accounts,
    Audit,
    Cases,
    Consents,
    Crosswalk,
    Database,
    Errands,
    Holds,
    Intake,
    Moves,
    Patients,
    Receipts,
    References,
    Reruns,
)
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.rows import CaseImageRow, CaseRow, ReceivedInstanceRow
from cases.users import Role, User, UserChange
from deidentify.deidentifier import Deidentifier
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import IdentifierHashes
from tests.builders import ct_instance, write_part10
from tests.cases.test_consents import consented
from tests.cases.world import HOLD, SCREEN, arrival, key, open_shell, receive, route, user
from tests.deidentify.support import KEY, clear_screen, profile

ANN = route("ann")
OTHER_ROUTE = route("ann", "ann-2")
PATIENT = "d" * 32


def scope_of(_generation: int, case_id: str, born_in: str = "", *, given_patient_id: str = "") -> PseudonymScope:
    return PseudonymScope(key=KEY, case_key=case_id, born_key=born_in, given_patient_id=given_patient_id)


class Engine:
    """The job engine's side of asking for work."""

    is_ready = True

    def enqueue_study(self, _session: object, _study_key: str, _generation: int, *, instances: int) -> None:
        assert instances
        if not self.is_ready:
            raise EngineNotReadyError("no worker has started on this database yet")


@dataclass
class Bench:
    """A database, blobs and originals, and the runner on them; child processes are this one."""

    database: Database
    blobs: LocalBlobs
    folder: Path
    originals: dict[str, bytes] = field(default_factory=dict)
    during: list[Callable[[], None]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    engine: Engine = field(default_factory=Engine)

    def run(self, function: Callable[[MoveTask], Written], task: MoveTask, **_: object) -> Written:
        assert function is move_in_child
        if self.during:
            self.during.pop(0)()
        self.written.append(task.image.arrival_id)
        return function(task)

    @property
    def runner(self) -> MoveRunner:
        children = Children(pool=self, threads=1, timeout_s=5.0)  # type: ignore[arg-type] # the one method that is used
        return MoveRunner(database=self.database, blobs=self.blobs, children=children)

    @property
    def ann(self) -> User:
        return user(self.database, "ann")

    def study(
        self, name: str, numbers: Sequence[int] = (1, 2), *, destination: Any = ANN, patient: str = PATIENT, **more: Any
    ) -> CaseShell:
        """Let a study arrive and be filed."""
        arrivals = receive(self.database, destination, name, [arrival(name, str(number)) for number in numbers])
        if patient:
            with self.database.write() as session:
                Intake(session).set_patient_key(f"{key(name)}-{destination.id}", patient)
        shell = open_shell(self.database, destination, name)
        for one, number in zip(arrivals, numbers, strict=True):
            self.file(shell, one, instance(name, number, **more))
        return shell

    def file(self, shell: CaseShell, arrived: NewArrival, content: Dataset) -> str:
        """De-identify an original and file it, as the pipeline does."""
        part10 = write_part10(content)
        self.originals[arrived.arrival_id] = part10
        with self.database.write() as session:
            facts = InstanceFacts(series_key=key(str(content.SeriesInstanceUID)))
            Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p", facts=facts)
        engine, source, target = Deidentifier(profile()), io.BytesIO(part10), io.BytesIO()
        scope = scope_of(1, shell.case_id, shell.born_in, given_patient_id=shell.given_patient_id)
        plan = engine.plan(engine.read(source), scope)
        made = engine.write(plan, clear_screen(plan), source, target)
        blob_key = f"cases/{shell.case_id}/{arrived.arrival_id}-{made.sha256[:16]}.dcm"
        target.seek(0)
        self.blobs.put(blob_key, target)
        hashes = IdentifierHashes(hashes=frozenset({arrived.arrival_id[-16:].encode()}), is_whole=True)
        with self.database.write() as session:
            Cases(session).file(shell.case_id, arrived.arrival_id, made, blob_key, hashes)
            Crosswalk(session).keep(shell.case_id, arrived.arrival_id, "key", f"of {shell.case_id}".encode())
        return blob_key

    def late(self, name: str, number: int, *, destination: Any = ANN, **more: Any) -> CaseShell:
        """Let one more slice of a study arrive and be filed where it belongs."""
        study_key = f"{key(name)}-{destination.id}"
        (one,) = receive(self.database, destination, name, [arrival(name, str(number))])
        content = instance(name, number, **more)
        shell = open_shell(self.database, destination, name)
        with self.database.write() as session:
            facts = InstanceFacts(series_key=key(str(content.SeriesInstanceUID)))
            Intake(session).set_fingerprint(one.arrival_id, dataset="d", pixels="p", facts=facts)
            ((home, ids),) = Cases(session).homes(study_key, [one.arrival_id], shell)
        assert ids == {one.arrival_id}
        self.file(home, one, content)
        return home

    def purge(self, case_id: str) -> None:
        with self.database.write() as session:
            session.execute(
                update(ReceivedInstanceRow)
                .where(ReceivedInstanceRow.case_id == case_id)
                .values(purged_at=ReceivedInstanceRow.received_at)
            )

    def ask(self, new: NewMove, viewer: User | None = None) -> Errand:
        desk = MoveDesk(database=self.database, client=self.engine)  # type: ignore[arg-type] # a fake
        return desk.request(viewer or self.ann, new)

    def done(self, new: NewMove) -> Errand:
        errand = self.ask(new)
        self.runner.run(errand)
        return self.errand(errand)

    def errand(self, errand: Errand) -> Errand:
        with self.database.read() as session:
            return Errands(session).get(errand.id)

    def case(self, case_id: str) -> CaseDetail:
        with self.database.read() as session:
            return Cases(session).get(User(id="", name="", role=Role.ADMIN, draft_limit=0), case_id)

    def files(self, case_id: str) -> list[Dataset]:
        """The files of a case as they lie in the store, in the order of arrival."""
        with self.database.read() as session:
            rows = session.scalars(
                select(CaseImageRow).where(CaseImageRow.case_id == case_id).order_by(CaseImageRow.arrival_id)
            ).all()
            found = [(row.blob_key, row.sop_instance_uid, row.sha256, row.size_bytes) for row in rows]
        content = [self.blobs.read(blob_key) for blob_key, *_ in found]
        for data, (_, sop, _, size) in zip(content, found, strict=True):
            assert len(data) == size
            assert pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID == sop
        return [pydicom.dcmread(io.BytesIO(data)) for data in content]


def instance(name: str, number: int, **more: Any) -> Dataset:
    study = sum(name.encode())
    content = ct_instance(study=study, number=number, series=more.pop("series", 1))
    content.PatientID, content.IssuerOfPatientID = "0815", ""
    for attribute, value in more.items():
        setattr(content, attribute, value)
    return content


@pytest.fixture
def bench(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(database=database, blobs=LocalBlobs(tmp_path / "blobs"), folder=tmp_path / "blobs")

    @contextmanager
    def original(task: Task) -> Iterator[BinaryIO]:
        if task.arrival_id not in made.originals:
            raise OriginalGoneError("its original is not in the spool any more")
        yield io.BytesIO(made.originals[task.arrival_id])

    monkeypatch.setattr(pipeline, "blobs", lambda: made.blobs)
    monkeypatch.setattr(pipeline, "unfinished_output", io.BytesIO)
    monkeypatch.setattr(pipeline, "scope_of", scope_of)
    monkeypatch.setattr(pipeline, "original", original)
    moves_module._patient_id.cache_clear()
    user(database, "ann")
    return made


def merge(source: CaseShell, target: CaseShell) -> NewMove:
    return NewMove(from_case=source.case_id, to_case=target.case_id, is_whole=True)


def text(bench: Bench, case_id: str, **changes: Any) -> None:
    ann = bench.ann
    with bench.database.write() as session:
        version = Cases(session).get(ann, case_id).summary.version
        Cases(session).patch(ann, case_id, CaseChanges(**changes), version, SCREEN)


def set_status(bench: Bench, case_id: str, status: CaseStatus) -> None:
    with bench.database.write() as session:
        session.execute(update(CaseRow).where(CaseRow.id == case_id).values(status=status))


def shown(files: Sequence[Dataset], name: str) -> set[str]:
    return {str(one[name].value) for one in files}


# -- merging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_originals", [True, False])
def test_two_drafts_of_a_patient_become_one_case(bench: Bench, has_originals: bool) -> None:
    target, source = bench.study("first"), bench.study("second", StudyDate="20240307")
    day = {case.case_id: bench.files(case.case_id)[0].StudyDate for case in (target, source)}
    left = [str(one.SOPInstanceUID) for one in bench.files(source.case_id)]
    image_ids = {
        image.id for study in bench.case(source.case_id).studies for one in study.series for image in one.images
    }
    if not has_originals:
        bench.purge(source.case_id)
        bench.originals.clear()

    ended = bench.done(merge(source, target))

    assert (ended.state, ended.reason) == (ErrandState.DONE, "")
    assert ended.result == {
        "images": 2,
        "studies": 1,
        "held": 0,
        "duplicates": 0,
        "with_originals": 2 if has_originals else 0,
        "consent_document": "none",
    }
    case, files = bench.case(target.case_id), bench.files(target.case_id)
    assert len(files) == 4
    assert len(shown(files, "PatientID")) == len(shown(files, "PatientName")) == 1
    assert not shown(files, "SOPInstanceUID") & set(left)
    assert image_ids <= {image.id for study in case.studies for one in study.series for image in one.images}
    assert [study.position for study in case.studies] == [2, 3]
    first, second = (one.StudyDate for one in (files[0], files[2]))
    assert case.studies[1].day_offset - case.studies[0].day_offset in {days(first, second), -days(first, second), 0}
    assert days(first, second) == 7
    assert day[source.case_id] != second
    tombstone = bench.case(source.case_id)
    assert (tombstone.summary.status, tombstone.studies) == (CaseStatus.REMOVED, ())
    assert len(stored(bench)) == 4  # nothing that nobody refers to is left


def stored(bench: Bench) -> list[Path]:
    return list(bench.folder.rglob("*.dcm"))


def days(first: str, second: str) -> int:
    return (date.fromisoformat(second) - date.fromisoformat(first)).days


def test_with_originals_it_is_as_if_the_study_had_come_to_the_case_at_once(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")

    bench.done(merge(source, target))

    engine, at_once = Deidentifier(profile()), []
    for part10 in list(bench.originals.values())[2:]:
        plan = engine.plan(engine.read(io.BytesIO(part10)), scope_of(1, target.case_id))
        made = io.BytesIO()
        engine.write(plan, clear_screen(plan), io.BytesIO(part10), made)
        at_once.append(pydicom.dcmread(io.BytesIO(made.getvalue())))
    assert bench.files(target.case_id)[2:] == at_once


def test_references_between_two_studies_are_whole_once_they_are_one_case(bench: Bench) -> None:
    target = bench.study("first")
    item = Dataset()
    item.ReferencedSOPClassUID = instance("first", 1).SOPClassUID
    item.ReferencedSOPInstanceUID = instance("first", 1).SOPInstanceUID
    source = bench.study("second", (1,), ReferencedImageSequence=DicomSequence([item]))

    bench.done(merge(source, target))

    files = bench.files(target.case_id)
    assert files[2].ReferencedImageSequence[0].ReferencedSOPInstanceUID == files[0].SOPInstanceUID
    with bench.database.read() as session:
        assert References(session).stale(f"{key('second')}-{ANN.id}") == []


def test_late_slices_of_a_submitted_study_join_the_series_that_it_has_when_their_draft_is_merged(bench: Bench) -> None:
    first = bench.study("study")
    set_status(bench, first.case_id, CaseStatus.PENDING_REVIEW)
    second = bench.late("study", 3)
    assert second.case_id != first.case_id
    set_status(bench, first.case_id, CaseStatus.DRAFT)

    bench.done(merge(second, first))

    (study,) = bench.case(first.case_id).studies
    assert [len(series.images) for series in study.series] == [3]


def test_what_both_cases_have_is_there_once_and_the_receipts_add_up(bench: Bench) -> None:
    target, source = bench.study("study"), bench.study("study", (2, 3), destination=OTHER_ROUTE)

    ended = bench.done(merge(source, target))

    assert (ended.result["images"], ended.result["duplicates"]) == (1, 1)
    assert len(bench.files(target.case_id)) == 3
    with bench.database.read() as session:
        receipts = Receipts(session).list(bench.ann).items
        total = Intake(session).summary().total
    sums = {receipt.code: receipt.sums for receipt in receipts}
    assert all(one.stored == 2 for one in sums.values())
    for one in receipts:
        assert target.case_id in {case.case_id for case in one.cases}
    assert (total.stored, total.in_draft, total.superseded) == (4, 3, 1)
    assert sorted(bench.case(target.case_id).receipts) == sorted(sums)


def test_texts_of_both_are_kept_and_no_owner_has_thought_of_faces_unseen(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    text(bench, target.case_id, title="Appendicitis", discussion="One.", tags=("a",))
    (study,) = bench.case(source.case_id).studies
    text(bench, source.case_id, title="Follow-up", discussion="Two.", tags=("b", "a"))
    text(bench, source.case_id, studies=(StudyChange(id=study.id, findings="Nothing.", caption="Later"),))

    bench.done(merge(source, target))

    case = bench.case(target.case_id)
    assert (case.summary.title, case.discussion, case.tags) == ("Appendicitis", "One.\n\nTwo.\n\nFollow-up", ("a", "b"))
    assert [(one.findings, one.caption) for one in case.studies] == [("", ""), ("Nothing.", "Later")]
    assert case.studies[1].id == study.id
    assert bench.case(source.case_id).discussion == ""


def test_texts_that_do_not_fit_together_stop_it_with_what_to_do(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    for shell in (target, source):
        text(bench, shell.case_id, presentation=f"{shell.case_id} " * 40)

    ended = bench.done(merge(source, target))

    assert ended.state is ErrandState.FAILED
    assert "shorten one, then ask again" in ended.reason
    assert len(bench.files(target.case_id)) == len(bench.files(source.case_id)) == 2
    assert bench.case(source.case_id).summary.status is CaseStatus.DRAFT


def test_what_is_known_of_the_patient_goes_with_the_images(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")

    bench.done(merge(source, target))

    with bench.database.read() as session:
        known = HashesOfIdentifiers(session).known(session.get_one(CaseRow, target.case_id))
        assert known.is_whole
        assert (len(known.hashes), {case: len(of) for case, of in known.of_others.items()}) == (2, {source.case_id: 2})
        assert Crosswalk(session).bound_to(target.case_id) == target.case_id
        assert Crosswalk(session).find(source.case_id) is None
        found = Patients(session).find(PatientKeys(patient_keys=frozenset({PATIENT})))
        assert {case.case_id: case.images for case in found.cases} == {target.case_id: 4, source.case_id: 0}
        assert Patients(session).case_ids_of(f"{key('second')}-{ANN.id}") == [target.case_id]


def test_held_instances_go_with_their_study(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    (held,) = receive(bench.database, ANN, "second", [arrival("second", "9")])
    open_shell(bench.database, ANN, "second")
    with bench.database.write() as session:
        Holds(session).hold(source.case_id, held.arrival_id, HOLD)

    ended = bench.done(merge(source, target))

    assert ended.result["held"] == 1
    assert bench.case(target.case_id).summary.counts.held == 1
    with bench.database.read() as session:
        assert Intake(session).instance(held.arrival_id).outcome is InstanceOutcome.HELD


@pytest.mark.parametrize("has_originals", [True, False])
def test_a_late_slice_of_a_merged_study_joins_the_case_with_uids_that_fit(bench: Bench, has_originals: bool) -> None:
    target, source = bench.study("first"), bench.study("second")
    if not has_originals:
        bench.purge(source.case_id)
    bench.done(merge(source, target))

    home = bench.late("second", 3)

    assert home.case_id == target.case_id
    assert home.born_in == ("" if has_originals else source.case_id)
    study = bench.case(target.case_id).studies[1]
    assert [len(series.images) for series in study.series] == [3]
    moved = bench.files(target.case_id)[2:]
    for name in ("PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len(shown(moved, name)) == 1, name


def test_there_and_back_without_originals_every_file_is_what_it_was(bench: Bench) -> None:
    case = bench.study("first", (1,))
    bench.late("first", 2, series=2)
    series = [one.id for study in bench.case(case.case_id).studies for one in study.series]
    bench.purge(case.case_id)
    before = bench.files(case.case_id)
    apart = bench.done(NewMove(from_case=case.case_id, series=(series[1],)))
    assert apart.other_case_id is not None
    assert bench.files(apart.other_case_id) != before[1:]

    bench.done(NewMove(from_case=apart.other_case_id, to_case=case.case_id, is_whole=True))

    assert bench.files(case.case_id) == before
    with bench.database.read() as session:
        assert set(session.scalars(select(ReceivedInstanceRow.born_in))) == {""}


# -- documents of consents -------------------------------------------------------------------------------------------


def documents(bench: Bench, *cases: CaseShell | str) -> list[list[str]]:
    ids = [one if isinstance(one, str) else one.case_id for one in cases]
    with bench.database.read() as session:
        return [Consents(session).blob_keys(case_id) for case_id in ids]


def told_of_document(bench: Bench, case_id: str) -> list[object]:
    with bench.database.read() as session:
        entries = Audit(session).entries(subject=f"case {case_id}", actions=("case.moved-in", "case.moved-out"))
    return [one.detail["consent_document"] for one in entries]


@pytest.mark.parametrize("has_own", [True, False])
def test_a_merge_keeps_the_document_of_the_case_that_stays_and_says_that_the_other_is_gone(
    bench: Bench, has_own: bool
) -> None:
    target, source = bench.study("first"), bench.study("second")
    gone = consented(bench.database, source.case_id, "gone")
    bench.blobs.put(gone, b"sealed")
    own = [consented(bench.database, target.case_id, "own")] if has_own else []

    ended = bench.done(merge(source, target))

    assert ended.state is ErrandState.DONE, ended.reason
    assert ended.result["consent_document"] == "gone"
    assert documents(bench, target, source) == [own, []]
    assert not bench.blobs.exists(gone)
    assert told_of_document(bench, target.case_id) == told_of_document(bench, source.case_id) == ["gone"]


def test_a_document_stays_with_the_case_that_something_is_split_from(bench: Bench) -> None:
    case = bench.study("first", (1,))
    bench.late("first", 2, series=2)
    (study,) = bench.case(case.case_id).studies
    kept = consented(bench.database, case.case_id)
    text(bench, case.case_id, consent_kind=ConsentKind.PATIENT, consent_reference="2026/117")

    ended = bench.done(NewMove(from_case=case.case_id, series=(study.series[1].id,)))

    assert ended.state is ErrandState.DONE, ended.reason
    assert ended.result["consent_document"] == "stays"
    new = bench.case(ended.other_case_id or "")
    assert (new.consent.reference, new.consent.document) == ("2026/117", None)
    assert documents(bench, case, new.summary.id) == [[kept], []]


# -- splitting and moving --------------------------------------------------------------------------------------------


def test_a_study_of_a_draft_becomes_another_case(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    bench.done(merge(source, target))
    (_, study) = bench.case(target.case_id).studies

    ended = bench.done(NewMove(from_case=target.case_id, studies=(study.id,)))

    assert ended.state is ErrandState.DONE, ended.reason
    new = bench.case(ended.other_case_id or "")
    assert (new.summary.status, new.summary.owner, len(new.studies)) == (CaseStatus.DRAFT, "ann", 1)
    assert len(bench.files(target.case_id)) == len(bench.files(new.summary.id)) == 2
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert not shown(bench.files(target.case_id), name) & shown(bench.files(new.summary.id), name), name
    with bench.database.read() as session:
        assert Crosswalk(session).bound_to(new.summary.id) == target.case_id


def test_late_slices_follow_their_series_and_new_series_go_to_the_first_case(bench: Bench) -> None:
    case = bench.study("first", (1,))
    bench.late("first", 2, series=2)
    (study,) = bench.case(case.case_id).studies
    bench.purge(case.case_id)
    apart = bench.done(NewMove(from_case=case.case_id, series=(study.series[1].id,)))

    homes = {series: bench.late("first", 10 + series, series=series) for series in (1, 2, 3)}

    assert {number: home.case_id for number, home in homes.items()} == {
        1: case.case_id,
        2: apart.other_case_id,
        3: case.case_id,
    }
    moved = bench.files(apart.other_case_id or "")
    assert len(moved) == 2
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate"):
        assert len(shown(moved, name)) == 1, name


def test_a_series_goes_to_another_draft_and_the_study_stays_with_its_texts(bench: Bench) -> None:
    source, target = bench.study("first", (1,)), bench.study("second")
    bench.late("first", 2, series=2)
    (study,) = bench.case(source.case_id).studies
    text(bench, source.case_id, studies=(StudyChange(id=study.id, findings="Of the study."),))

    ended = bench.done(NewMove(from_case=source.case_id, to_case=target.case_id, series=(study.series[1].id,)))

    assert ended.result["images"] == 1
    assert [one.findings for one in bench.case(source.case_id).studies] == ["Of the study."]
    assert [one.findings for one in bench.case(target.case_id).studies] == ["", ""]
    assert len(bench.files(target.case_id)) == 3


def test_what_follows_a_series_that_moved_without_its_original_fits_it(bench: Bench) -> None:
    source, target = bench.study("first", (1,)), bench.study("second")
    bench.late("first", 2, series=2)
    bench.late("first", 3, series=3)
    series = [one.id for one in bench.case(source.case_id).studies[0].series]
    bench.purge(source.case_id)
    bench.done(NewMove(from_case=source.case_id, to_case=target.case_id, series=(series[1],)))
    with bench.database.write() as session:
        session.execute(update(ReceivedInstanceRow).values(purged_at=None))

    ended = bench.done(NewMove(from_case=source.case_id, to_case=target.case_id, series=(series[2],)))

    assert ended.result["with_originals"] == 0
    assert [len(study.series) for study in bench.case(target.case_id).studies] == [1, 2]


def test_a_case_that_took_a_study_is_made_anew_as_the_same(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    bench.done(merge(source, target))
    with bench.database.read() as session:
        plan = Reruns(session).plan(target.case_id)

    assert {one.received_study for one in plan.instances} == {f"{key(name)}-{ANN.id}" for name in ("first", "second")}
    assert {one.born_in for one in plan.instances} == {""}


# -- what is refused -------------------------------------------------------------------------------------------------


def test_cases_that_are_not_known_to_be_of_one_patient_stay_apart(bench: Bench) -> None:
    target = bench.study("first")
    for patient in ("e" * 32, ""):
        source = bench.study(f"of {patient[:1] or 'nobody'}", patient=patient)
        with pytest.raises(OtherPatientError, match="not known to be of one patient"):
            bench.ask(merge(source, target))


def test_cases_of_another_generation_of_the_secret_do_not_compare(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    with bench.database.write() as session:
        session.execute(update(CaseRow).where(CaseRow.id == source.case_id).values(secret_generation=2))
    with pytest.raises(OtherPatientError):
        bench.ask(merge(source, target))


@pytest.mark.parametrize("status", [CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED])
def test_nothing_goes_into_or_out_of_a_case_that_others_may_see(bench: Bench, status: CaseStatus) -> None:
    target, source = bench.study("first"), bench.study("second")
    set_status(bench, target.case_id, status)
    for one, other in ((source, target), (target, source)):
        with pytest.raises(InvalidTransitionError, match="between drafts only"):
            bench.ask(merge(one, other))


def test_others_cases_are_not_there_and_cases_of_two_owners_stay_apart(bench: Bench) -> None:
    target, theirs = bench.study("first"), bench.study("second", destination=route("bob"))
    with pytest.raises(CaseNotFoundError):
        bench.ask(merge(theirs, target))
    with pytest.raises(InvalidTransitionError, match="different owners"):
        bench.ask(merge(theirs, target), user(bench.database, "eve", Role.EDITOR))
    with pytest.raises(NotAllowedError):
        bench.ask(merge(target, theirs), user(bench.database, "vera", Role.REVIEWER))


def test_an_editor_merges_two_drafts_of_one_owner_and_a_waiting_case_may_be_merged(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    set_status(bench, source.case_id, CaseStatus.WAITING)

    errand = bench.ask(merge(source, target), user(bench.database, "eve", Role.EDITOR))
    bench.runner.run(errand)

    assert bench.errand(errand).state is ErrandState.DONE
    with bench.database.read() as session:
        entries = Audit(session).entries(subject=f"case {target.case_id}")
    assert [(one.actor, one.action) for one in entries] == [("eve", "case.move-requested"), ("eve", "case.moved-in")]


def test_a_new_draft_needs_a_place_when_asked_for_and_when_it_is_made(bench: Bench) -> None:
    case = bench.study("first", (1,))
    bench.late("first", 2, series=2)
    (study,) = bench.case(case.case_id).studies
    new = NewMove(from_case=case.case_id, series=(study.series[1].id,))
    errand = bench.ask(new)
    ann = bench.ann
    with bench.database.write() as session:
        Accounts(session).edit(ann.id, UserChange(draft_limit=1))
    bench.runner.run(errand)
    assert (bench.errand(errand).state, "drafts are in use" in bench.errand(errand).reason) == (
        ErrandState.FAILED,
        True,
    )
    with pytest.raises(DraftLimitError):
        bench.ask(new)


def test_what_names_nothing_or_everything_is_refused(bench: Bench) -> None:
    case, other = bench.study("first"), bench.study("second")
    (study,), (foreign,) = bench.case(case.case_id).studies, bench.case(other.case_id).studies
    with pytest.raises(InvalidTransitionError, match="merge the cases instead"):
        bench.ask(NewMove(from_case=case.case_id, studies=(study.id,)))
    with pytest.raises(InvalidChangeError, match="not one of this case"):
        bench.ask(NewMove(from_case=case.case_id, studies=(foreign.id,)))
    with pytest.raises(InvalidTransitionError, match="one case"):
        bench.ask(merge(case, case))


def test_a_request_on_an_older_version_and_beside_other_work_is_refused(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    version = bench.case(target.case_id).summary.version
    text(bench, target.case_id, title="Changed")
    ann = bench.ann
    with bench.database.write() as session, pytest.raises(VersionConflictError):
        Moves(session).request(ann, merge(source, target), version=version)
    bench.ask(merge(source, target))
    with pytest.raises(MoveInProgressError, match="a move of one of the cases is queued"):
        bench.ask(merge(target, source))


def test_while_images_are_screened_nothing_moves(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    receive(bench.database, ANN, "second", [arrival("second", "7")])
    open_shell(bench.database, ANN, "second")
    with pytest.raises(MoveInProgressError, match="still being screened"):
        bench.ask(merge(source, target))


def test_without_a_worker_nothing_is_asked_for(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    bench.engine.is_ready = False
    with pytest.raises(StoreUnavailableError):
        bench.ask(merge(source, target))
    with bench.database.read() as session:
        assert Errands(session).unfinished_of(source.case_id) == []


# -- what happens meanwhile ------------------------------------------------------------------------------------------


def test_until_all_is_written_readers_see_the_cases_as_they_were(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((len(bench.files(target.case_id)), len(bench.files(source.case_id))))

    bench.during = [look, look]
    bench.runner.run(errand)

    assert seen == [(2, 2), (2, 2)]
    assert len(bench.files(target.case_id)) == 4


def test_what_was_written_before_a_crash_is_not_written_again(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))

    def fail() -> None:
        raise StoreUnavailableError("the disk is full")

    bench.during = [lambda: None, fail]
    with pytest.raises(StoreUnavailableError):
        bench.runner.run(errand)
    assert len(bench.files(source.case_id)) == 2
    bench.runner.run(bench.errand(errand))
    bench.runner.run(bench.errand(errand))  # the engine may do so after a crash

    assert len(bench.written) == 2
    assert len(bench.files(target.case_id)) == 4


def test_an_image_that_changes_meanwhile_is_written_as_it_is_by_then(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))

    def change() -> None:
        with bench.database.write() as session:
            row = session.scalars(select(CaseImageRow).where(CaseImageRow.case_id == source.case_id)).first()
            assert row is not None
            moved = row.blob_key.replace(".dcm", "-again.dcm")
            bench.blobs.put(moved, io.BytesIO(bench.blobs.read(row.blob_key)))
            row.blob_key = moved

    bench.during = [lambda: None, change]
    bench.runner.run(errand)

    assert bench.errand(errand).state is ErrandState.DONE
    assert len(bench.files(target.case_id)) == 4


def test_an_original_that_goes_meanwhile_lets_its_study_move_without(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))

    def purge() -> None:
        bench.originals.clear()
        bench.purge(source.case_id)

    bench.during = [lambda: None, purge]
    bench.runner.run(errand)

    ended = bench.errand(errand)
    assert (ended.state, ended.result["with_originals"]) == (ErrandState.DONE, 0)
    files = bench.files(target.case_id)
    assert len(shown(files[2:], "StudyInstanceUID")) == len(shown(files, "PatientID")) == 1


def test_a_case_that_is_submitted_meanwhile_stays_as_it_is(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))
    bench.during = [lambda: set_status(bench, target.case_id, CaseStatus.PENDING_REVIEW)]

    bench.runner.run(errand)

    assert bench.errand(errand).state is ErrandState.FAILED
    assert len(bench.files(target.case_id)) == len(bench.files(source.case_id)) == 2
    with bench.database.read() as session:
        assert [one.action for one in Audit(session).entries(subject=f"case {source.case_id}")][
            -1
        ] == "case.move-failed"


def test_a_case_that_is_removed_meanwhile_ends_the_move(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))

    ann = bench.ann

    def remove() -> None:
        with bench.database.write() as session:
            Cases(session).remove(ann, target.case_id)

    bench.during = [remove]
    bench.runner.run(errand)

    assert bench.errand(errand).state is ErrandState.DISCARDED
    assert len(bench.files(source.case_id)) == 2


def test_a_move_that_is_given_up_leaves_nothing(bench: Bench) -> None:
    target, source = bench.study("first"), bench.study("second")
    errand = bench.ask(merge(source, target))

    def fail() -> None:
        raise RuntimeError("an error of ours")

    bench.during = [lambda: None, fail]
    with pytest.raises(RuntimeError):
        bench.runner.run(errand)
    bench.runner.give_up(bench.errand(errand), "an error of ours")

    assert bench.errand(errand).state is ErrandState.FAILED
    assert len(stored(bench)) == 4
    assert len(bench.files(target.case_id)) == len(bench.files(source.case_id)) == 2


# -- suggestions -----------------------------------------------------------------------------------------------------


def test_open_drafts_of_the_same_patient_and_owner_are_suggested(bench: Bench) -> None:
    case, same = bench.study("first"), bench.study("second")
    bench.study("of another", patient="e" * 32)
    bench.study("of nobody", patient="")
    bench.study("third", destination=route("bob"))
    shut = bench.study("fourth")
    set_status(bench, shut.case_id, CaseStatus.PENDING_REVIEW)
    older = bench.study("fifth")
    with bench.database.write() as session:
        session.execute(update(CaseRow).where(CaseRow.id == older.case_id).values(secret_generation=2))

    assert bench.case(case.case_id).suggested_case_ids == (same.case_id,)
    assert bench.case(shut.case_id).suggested_case_ids == ()
