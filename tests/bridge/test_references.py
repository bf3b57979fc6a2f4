"""References of a case's images follow where the pixels of one changed, and with them its SOP Instance UID."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge import pipeline
from bridge.children import Children
from bridge.references import let_references_follow, stage_references
from cases.blobs import LocalBlobs
from cases.errands import Errand, ErrandState
from cases.intake import InstanceOutcome, NewArrival
from cases.model import CaseStatus
from cases.profiles import ProfileRevision
from cases.references import Stale
from cases.reruns import StagedInstance, rerun_blob_key
from cases.store import Cases, Database, Intake, References, Reruns
from cases.store.review_errands import ReviewErrands
from cases.store.review_rows import PixelReviewRow
from cases.store.rows import CaseImageRow, CaseRow
from deidentify.deidentifier import Deidentifier
from deidentify.results import DeidentifiedInstance, PixelVerdict, ScreenReport
from deidentify.review import MarkedBox
from tests.builders import uid
from tests.cases.world import INBOX, arrival, open_shell, receive
from tests.deidentify.pixels.compressed import Kind
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.support import profile, scope

BOXES = (MarkedBox(frame=0, x=4, y=5, width=17, height=6),)
CLEAR = ScreenReport(verdict=PixelVerdict.CLEAR, frames=1, frames_read=1)
REVISION = ProfileRevision(name="strict", revision="b" * 16, text="name: strict")
REDACT = replace(CLEAR, verdict=PixelVerdict.REDACT, boxes=BOXES)


class InThisProcess:
    """Does what child processes would."""

    def run(self, function: Callable[[Any], Any], task: Any, **_: object) -> Any:
        return function(task)


def slice_of(number: int, *, refers_to: int | None = None) -> io.BytesIO:
    content = image(Kind().words(1)[0], bits_stored=12, SeriesNumber=1, InstanceNumber=number)
    content.SOPInstanceUID = uid(1, 2, number)
    if refers_to is not None:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = content.SOPClassUID, uid(1, 2, refers_to)
        content.ReferencedImageSequence = Sequence([item])
    return part10(content)


def made(file: io.BytesIO, screen: ScreenReport, case_id: str) -> tuple[DeidentifiedInstance, bytes]:
    engine, target = Deidentifier(profile()), io.BytesIO()
    plan = engine.plan(engine.read(file), replace(scope(), case_key=case_id))
    return engine.write(plan, screen, file, target), target.getvalue()


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalBlobs:
    store = LocalBlobs(tmp_path / "blobs")
    monkeypatch.setattr(pipeline, "blobs", lambda: store)
    monkeypatch.setattr(pipeline, "unfinished_output", io.BytesIO)
    return store


@pytest.fixture
def arrivals(database: Database) -> tuple[NewArrival, ...]:
    return tuple(receive(database, INBOX, "study", [arrival("study", name) for name in "123"]))


@pytest.fixture
def case_id(database: Database, arrivals: tuple[NewArrival, ...]) -> str:
    assert arrivals
    return open_shell(database, INBOX, "study").case_id


def file(database: Database, blobs: LocalBlobs, case_id: str, arrived: NewArrival, content: tuple[Any, bytes]) -> None:
    instance, written = content
    blob_key = f"cases/{case_id}/{arrived.arrival_id}.dcm"
    blobs.put(blob_key, io.BytesIO(written))
    with database.write() as session:
        Cases(session).file(case_id, arrived.arrival_id, instance, blob_key)


def children() -> Children:
    return Children(pool=InThisProcess(), threads=1, timeout_s=5.0)  # type: ignore[arg-type] # a fake


def follow(database: Database) -> None:
    let_references_follow(database, children(), f"{arrival('study', '1').study_key}-{INBOX.id}", "study")


def images(database: Database, blobs: LocalBlobs) -> dict[int, pydicom.Dataset]:
    with database.read() as session:
        rows = session.query(CaseImageRow).all()
        found = {row.instance_number: (row.blob_key, row.sha256, row.size_bytes) for row in rows}
    assert all(len(blobs.read(key)) == size for key, _, size in found.values())
    return {number: pydicom.dcmread(io.BytesIO(blobs.read(key))) for number, (key, _, _) in found.items() if number}


def referred(content: pydicom.Dataset) -> str:
    return str(content.ReferencedImageSequence[0].ReferencedSOPInstanceUID)


def test_what_refers_to_a_changed_image_follows_and_all_else_stays(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> None:
    screens = (REDACT, CLEAR, CLEAR)
    files = (slice_of(1), slice_of(2, refers_to=1), slice_of(3, refers_to=2))
    for arrived, one, screen in zip(arrivals, files, screens, strict=True):
        file(database, blobs, case_id, arrived, made(one, screen, case_id))
    before = images(database, blobs)
    assert referred(before[2]) != before[1].SOPInstanceUID

    follow(database)

    after = images(database, blobs)
    assert referred(after[2]) == after[1].SOPInstanceUID
    assert after[1] == before[1]
    assert after[3] == before[3]
    before[2].ReferencedImageSequence[0].ReferencedSOPInstanceUID = after[1].SOPInstanceUID
    assert after[2] == before[2]
    with database.read() as session:
        condemned = Cases(session).condemned_blobs()
    assert condemned == [f"cases/{case_id}/{arrivals[1].arrival_id}.dcm"]
    follow(database)
    assert images(database, blobs) == after


@pytest.mark.parametrize("screen", [replace(REDACT, boxes=(replace(BOXES[0], x=8),)), CLEAR], ids=["boxes", "none"])
def test_references_follow_an_image_that_was_taken_back_and_decided_otherwise(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str, screen: ScreenReport
) -> None:
    for arrived, one, first in zip(arrivals, (slice_of(1), slice_of(2, refers_to=1)), (REDACT, CLEAR), strict=False):
        file(database, blobs, case_id, arrived, made(one, first, case_id))
    follow(database)
    before = images(database, blobs)
    with database.write() as session:
        Cases(session).withdraw_image(arrivals[0].arrival_id)
    follow(database)
    assert referred(images(database, blobs)[2]) == before[1].SOPInstanceUID, "nothing is known of it now"

    file(database, blobs, case_id, arrivals[0], made(slice_of(1), screen, case_id))
    follow(database)

    after = images(database, blobs)
    assert after[1].SOPInstanceUID != before[1].SOPInstanceUID
    assert referred(after[2]) == after[1].SOPInstanceUID
    follow(database)
    assert images(database, blobs) == after


def test_cases_that_others_may_see_are_left_alone(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> None:
    for arrived, one, screen in zip(arrivals, (slice_of(1), slice_of(2, refers_to=1)), (REDACT, CLEAR), strict=False):
        file(database, blobs, case_id, arrived, made(one, screen, case_id))
    before = images(database, blobs)
    with database.write() as session:
        session.get_one(CaseRow, case_id).status = CaseStatus.PUBLISHED
    follow(database)
    assert images(database, blobs) == before


def under_review(
    database: Database, blobs: LocalBlobs, case_id: str, made_anew: dict[NewArrival, tuple[Any, bytes]], *, whole: bool
) -> Errand:
    """Publish a case, and let a re-run of it, or of these images of it, wait for an editor."""
    with database.write() as session:
        session.get_one(CaseRow, case_id).status = CaseStatus.PUBLISHED
        session.get_one(CaseRow, case_id).profile_revision = "a" * 16
        for arrived in made_anew:
            Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p")
        if whole:
            errand = Reruns(session).request(case_id, REVISION, actor="ada")[0]
        else:
            asking = ReviewErrands(session)
            errand = asking.ask(case_id, [arrived.arrival_id for arrived in made_anew], actor="rita")[0]
        Reruns(session).begin(errand)
    for arrived, (instance, written) in made_anew.items():
        blob_key = rerun_blob_key(case_id, arrived.arrival_id, errand.id)
        blobs.put(blob_key, io.BytesIO(written))
        with database.write() as session:
            one = StagedInstance(
                arrival_id=arrived.arrival_id, was=InstanceOutcome.FILED, outcome=instance, blob_key=blob_key
            )
            assert Reruns(session).stage(errand.id, one)
    for _ in range(2):  # as after a crash
        assert stage_references(database, children(), errand)
    with database.write() as session:
        waiting = Reruns(session).conclude(errand.id)
    assert waiting is not None
    assert (waiting.state, waiting.result["references"]) == (ErrandState.IN_REVIEW, 1)
    return errand


@pytest.mark.parametrize("whole", [True, False], ids=["all of the case", "one image"])
def test_references_follow_with_a_rerun_when_an_editor_applies_it(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str, *, whole: bool
) -> None:
    files = (slice_of(1), slice_of(2, refers_to=1))
    first = [made(one, CLEAR, case_id) for one in files]
    for arrived, content in zip(arrivals, first, strict=False):
        file(database, blobs, case_id, arrived, content)
    before = images(database, blobs)
    assert referred(before[2]) == before[1].SOPInstanceUID
    made_anew = {arrivals[0]: made(slice_of(1), REDACT, case_id)} | ({arrivals[1]: first[1]} if whole else {})

    errand = under_review(database, blobs, case_id, made_anew, whole=whole)
    assert images(database, blobs) == before, "nothing changes before the editor says so"
    with database.write() as session:
        done = Reruns(session).apply(errand.id, actor="eve")

    after = images(database, blobs)
    assert done.errand.result["references"] == 1
    assert after[1].SOPInstanceUID != before[1].SOPInstanceUID
    assert referred(after[2]) == after[1].SOPInstanceUID
    with database.read() as session:
        condemned = set(Cases(session).condemned_blobs())
        kept = {row.blob_key for row in session.query(CaseImageRow).all()}
    assert {f"cases/{case_id}/{one.arrival_id}.dcm" for one in arrivals[:2]} <= condemned
    assert not kept & condemned


def first_made_anew(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> tuple[dict[int, pydicom.Dataset], Errand]:
    """File two images, the second of which refers to the first, and make the first anew; return them as they were."""
    for arrived, one in zip(arrivals, (slice_of(1), slice_of(2, refers_to=1)), strict=False):
        file(database, blobs, case_id, arrived, made(one, CLEAR, case_id))
    before = images(database, blobs)
    made_anew = {arrivals[0]: made(slice_of(1), REDACT, case_id)}
    return before, under_review(database, blobs, case_id, made_anew, whole=False)


def test_a_rerun_that_is_discarded_leaves_references_and_condemns_what_followed(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> None:
    before, errand = first_made_anew(database, blobs, arrivals, case_id)
    with database.write() as session:
        Reruns(session).discard(errand.id, actor="eve")
    assert images(database, blobs) == before
    with database.read() as session:
        assert len(Cases(session).condemned_blobs()) == 2
    late = Stale(case_id=case_id, arrival_id=arrivals[1].arrival_id, blob_key="before", uids={"1.2": "1.3"})
    with database.write() as session:
        assert not References(session).stage(errand.id, late, blob_key="late", sha256="0" * 64, size_bytes=1)
        assert "late" in Cases(session).condemned_blobs()


def test_references_stay_where_what_they_lead_to_became_something_else(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> None:
    before, errand = first_made_anew(database, blobs, arrivals, case_id)
    with database.write() as session:
        # Somebody decided on it since: what was staged is older than that.
        session.add(
            PixelReviewRow(
                arrival_id=arrivals[0].arrival_id, version=1, decided_by="rita", decided_at=datetime.now(UTC)
            )
        )
        session.flush()
        done = Reruns(session).apply(errand.id, actor="eve")
    assert done.errand.result["references"] == 0
    assert images(database, blobs) == before


def test_a_newer_arrival_takes_the_place_of_one_that_was_redacted_otherwise(
    database: Database, blobs: LocalBlobs, arrivals: tuple[NewArrival, ...], case_id: str
) -> None:
    del arrivals
    old, new = receive(database, INBOX, "study", [arrival("study", "9"), arrival("study", "9")])
    file(database, blobs, case_id, old, made(slice_of(9), REDACT, case_id))
    file(database, blobs, case_id, new, made(slice_of(9), CLEAR, case_id))
    with database.read() as session:
        assert [row.arrival_id for row in session.query(CaseImageRow).all()] == [new.arrival_id]
