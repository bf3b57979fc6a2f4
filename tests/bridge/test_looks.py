"""Looks at originals as a worker runs them, on a real spool, and what the API's side reads and writes of them."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from api.errors import GoneError, InvalidRequestError, PartNotFoundError
from bridge.engine import EngineNotReadyError
from bridge.preview_names import picture_suffix, preview_suffix
from cases.audit import AuditEntry
from cases.errands import ErrandState
from cases.errors import CaseNotFoundError, OriginalsGoneError, ProfileNotKnownError, StoreUnavailableError
from cases.looks import StudyPreview
from cases.store import Audit, Database, Errands
from cases.store.rows import Base
from scp.arrival import Arrival
from scp.sealing import SpoolKeys
from tests.bridge import spooled
from tests.bridge.looking import Looking, looking
from tests.bridge.spooled import arrive
from tests.bridge.test_preview_command import with_text
from tests.builders import write_part10

KEYS = SpoolKeys(keys=(b"\x01" * 32,))
NAME = "Quilmara"


@pytest.fixture(params=["plain", "sealed"])
def here(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Looking:
    return looking(database, tmp_path, monkeypatch, KEYS if request.param == "sealed" else None)


@pytest.fixture
def plain(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    return looking(database, tmp_path, monkeypatch)


def asked(here: Looking, one: Arrival, *, most: int = 12, has_pixels: bool = False) -> StudyPreview:
    return here.previews.request("ada", one.study_key, "teaching", most=most, has_pixels=has_pixels)


def found(here: Looking, preview: StudyPreview) -> StudyPreview:
    return here.previews.get(preview.errand.id)


def audit(here: Looking, action: str) -> list[AuditEntry]:
    with here.database.read() as session:
        return list(Audit(session).entries(actions=[action]))


def names_beside(here: Looking, one: Arrival) -> set[str]:
    stem = f"{one.sop_key}-{one.arrival_id}."
    return {path.name.removeprefix(stem) for path in here.spool.root.rglob(f"{stem}*")} - {"dcm"}


def test_a_preview_lies_beside_the_originals_and_goes_with_them(here: Looking) -> None:
    first, second = here.received((1, 1), (1, 2))
    preview = asked(here, first)
    assert here.engine.jobs == [(preview.errand.received_study, 2, 2)]
    here.work()
    preview = found(here, preview)
    assert preview.errand.state is ErrandState.DONE
    assert preview.outcomes() == {"delivered": 2}
    suffix = preview_suffix(preview.errand.revision)
    assert names_beside(here, first) == names_beside(here, second) == {suffix}
    told = here.previews.identified_instance("ada", preview.errand.id, 2)
    assert told["outcome"] == "delivered"
    assert told["counts"] == preview.instances[1].looked.changes
    assert {"same", "changed", "removed"} <= {row["change"] for row in told["elements"]}
    here.purge(first)
    assert not list(here.spool.root.rglob(f"*{first.arrival_id}*"))
    with pytest.raises(GoneError):
        here.previews.identified_instance("ada", preview.errand.id, 1)
    assert here.previews.identified_instance("ada", preview.errand.id, 2)["outcome"] == "delivered"


def test_pictures_stand_side_by_side_and_are_sealed_as_the_originals_are(
    here: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bridge.spooled.write_part10", lambda _: with_text("QUILMARA UNREAL"))
    (one,) = here.received((1, 1))
    preview = asked(here, one, has_pixels=True)
    here.work()
    preview = found(here, preview)
    assert preview.outcomes() == {"held: burned-in-text": 1}
    assert preview.instances[0].looked.pictures == 1
    revision = preview.errand.revision
    assert names_beside(here, one) == {preview_suffix(revision), picture_suffix(revision, 1)}
    png = here.previews.identified_picture("ada", preview.errand.id, 1, 1)
    assert Image.open(io.BytesIO(png)).width > 256
    told = here.previews.identified_instance("ada", preview.errand.id, 1)
    assert told["pictures"] == 1
    assert NAME.upper() in json.dumps(told["screen"])
    stored = b"".join(path.read_bytes() for path in here.spool.root.rglob("*preview-*"))
    assert (png in stored) is not here.spool.is_sealing
    assert (NAME.upper().encode() in stored) is not here.spool.is_sealing
    with pytest.raises(PartNotFoundError):
        here.previews.identified_picture("ada", preview.errand.id, 1, 2)


def test_each_look_is_in_the_audit_log_and_says_nothing_of_the_patient(plain: Looking) -> None:
    (one,) = plain.received((1, 1))
    preview = asked(plain, one)
    plain.work()
    plain.previews.identified_instance("eve", preview.errand.id, 1)
    entries = audit(plain, "profile.preview")
    assert [(entry.actor, entry.subject) for entry in entries] == [
        ("ada", f"study {one.study_key}"),
        ("eve", f"study {one.study_key}"),
    ]
    revision = preview.errand.revision
    assert [entry.detail for entry in entries] == [
        {"revision": revision, "count": 1},
        {"revision": revision, "instance": 1, "arrival": one.arrival_id},
    ]


def test_nothing_that_an_original_says_comes_into_the_database(
    plain: Looking, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "CANARY^DOE"
    caplog.set_level(logging.DEBUG)
    whole = spooled.ct_instance(study=1, PatientName=canary, StudyDescription=f"seen by {canary}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooled, "write_part10", lambda _: write_part10(whole))
        one = arrive(plain.spool, 1)
    plain.recorded()
    preview = asked(plain, one)
    plain.impacts.request("ada", "teaching", "strict", last=5, most=5)
    plain.work()
    assert canary in json.dumps(plain.previews.identified_instance("ada", preview.errand.id, 1))
    with plain.database.read() as session:
        rows = {name: session.execute(table.select()).all() for name, table in Base.metadata.tables.items()}
    assert len(rows["errand"]) == 2
    assert "CANARY" not in f"{rows} {[record.__dict__ for record in caplog.records]}"


def test_an_original_that_goes_while_the_preview_waits_is_counted(plain: Looking) -> None:
    first, second = plain.received((1, 1), (1, 2))
    preview = asked(plain, first)
    plain.purge(first)
    plain.work()
    preview = found(plain, preview)
    assert (preview.errand.state, preview.errand.done) == (ErrandState.DONE, 2)
    assert preview.outcomes() == {"gone": 1, "delivered": 1}
    for read in (
        lambda: plain.previews.identified_instance("ada", preview.errand.id, 1),
        lambda: plain.previews.identified_picture("ada", preview.errand.id, 1, 1),
    ):
        with pytest.raises(GoneError):
            read()
    plain.purge(second)
    with pytest.raises(OriginalsGoneError):
        asked(plain, first)


def test_an_original_that_goes_while_it_is_looked_at_leaves_nothing(plain: Looking) -> None:
    (one,) = plain.received((1, 1))
    preview = asked(plain, one)
    write = plain.spool.write_beside
    from bridge import pipeline

    def purged_meanwhile(*_: Any) -> None:
        plain.purge(one)
        write(*_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.spool(), "write_beside", purged_meanwhile)
        plain.work()
    assert found(plain, preview).outcomes() == {"gone": 1}
    assert not list(plain.spool.root.rglob(f"*{one.arrival_id}*"))


def test_an_instance_that_costs_its_process_its_life_is_held_and_the_others_go_on(plain: Looking) -> None:
    first, _ = plain.received((1, 1), (1, 2))
    plain.pool.dies.add(first.arrival_id)
    preview, impact = asked(plain, first), plain.impacts.request("ada", "teaching", "strict", last=1, most=5)
    plain.work()
    preview = found(plain, preview)
    assert preview.outcomes() == {"held: process-died": 1, "delivered": 1}
    told = plain.previews.identified_instance("ada", preview.errand.id, 1)
    assert (told["reason"], told["elements"]) == ("process-died", [])
    outcomes = plain.impacts.get(impact.id).counts().outcomes
    assert outcomes == {("held: process-died", "held: process-died"): 1, ("delivered", "delivered"): 1}


def test_a_damaged_original_is_held_as_unreadable(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = looking(database, tmp_path, monkeypatch, KEYS)
    (one,) = here.received((1, 1))
    path = here.spool.path(one.study_key, one.sop_key, one.arrival_id)
    preview, impact = asked(here, one), here.impacts.request("ada", "teaching", "strict", last=1, most=5)
    path.write_bytes(path.read_bytes()[:-1])
    here.work()
    assert found(here, preview).outcomes() == {"held: unreadable": 1}
    assert here.impacts.get(impact.id).counts().outcomes == {("held: unreadable", "held: unreadable"): 1}


def test_work_that_was_interrupted_goes_on_where_it_was(plain: Looking) -> None:
    first, _, _ = plain.received((1, 1), (1, 2), (1, 3))
    preview = asked(plain, first)
    (job,) = plain.engine.jobs

    def killed() -> None:
        if len(plain.pool.tasks) == 2:
            raise KeyboardInterrupt

    plain.pool.before = killed
    with pytest.raises(KeyboardInterrupt):
        plain.work()
    done = found(plain, preview).errand.done
    plain.pool.before = lambda: None
    plain.pool.tasks.clear()
    plain.jobs.run(*job[:2])
    assert len(plain.pool.tasks) == 3 - done
    assert found(plain, preview).outcomes() == {"delivered": 3}


def test_a_look_that_is_given_up_says_so_and_stays_over(plain: Looking) -> None:
    (one,) = plain.received((1, 1))
    preview, impact = asked(plain, one), plain.impacts.request("ada", "teaching", "strict", last=1, most=5)
    for study, generation, _ in plain.engine.jobs:
        plain.jobs.give_up(study, generation, "OSError")
        plain.jobs.run(study, generation)
    errand = found(plain, preview).errand
    assert (errand.state, errand.reason) == (ErrandState.FAILED, "it could not be worked on: OSError")
    told = plain.impacts.get(impact.id)
    assert (told.state, told.faults()) == (ErrandState.FAILED, ("it could not be worked on: OSError",))
    assert plain.pool.tasks == []


def test_a_spool_without_room_gets_no_previews(plain: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = plain.received((1, 1))
    preview = asked(plain, one)
    monkeypatch.setattr(plain.spool, "_reserve_bytes", 1 << 60)
    plain.work()
    errand = found(plain, preview).errand
    assert errand.state is ErrandState.FAILED
    assert "no room" in errand.reason
    assert names_beside(plain, one) == set()


# -- asking ------------------------------------------------------------------------------------------------------------


def test_what_was_not_looked_at_yet_and_what_is_not_there_are_refused(plain: Looking) -> None:
    (one,) = plain.received((1, 1))
    preview = asked(plain, one)
    with pytest.raises(PartNotFoundError, match="not looked at yet"):
        plain.previews.identified_instance("ada", preview.errand.id, 1)
    with pytest.raises(PartNotFoundError, match="no such instance"):
        plain.previews.identified_instance("ada", preview.errand.id, 2)
    with pytest.raises(CaseNotFoundError):
        plain.previews.identified_instance("ada", "0" * 32, 1)
    assert len(audit(plain, "profile.preview")) == 1


def test_profiles_that_are_not_there_or_wrong_are_refused(plain: Looking, tmp_path: Path) -> None:
    (one,) = plain.received((1, 1))
    with pytest.raises(ProfileNotKnownError):
        plain.previews.request("ada", one.study_key, "nobody-knows", most=1, has_pixels=False)
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "wrong.yaml").write_text("name: wrong\nbase: teaching\ndates: shifted\n")
    object.__setattr__(plain, "settings", plain.settings.model_copy(update={"profiles_dir": folder}))
    with pytest.raises(InvalidRequestError, match="profile check"):
        plain.previews.request("ada", one.study_key, "wrong", most=1, has_pixels=False)
    assert plain.engine.jobs == []


def test_without_any_worker_nothing_is_asked_for(plain: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = plain.received((1, 1))

    def refuse(*_: object, **__: object) -> None:
        raise EngineNotReadyError("no worker has started on this database yet")

    monkeypatch.setattr(plain.engine, "enqueue_study", refuse)
    with pytest.raises(StoreUnavailableError):
        asked(plain, one)
    with pytest.raises(StoreUnavailableError):
        plain.impacts.request("ada", "teaching", "strict", last=1, most=1)
    with plain.database.read() as session:
        assert Errands(session).of_generation(f"{one.study_key}-casebridge", 2) is None
    assert audit(plain, "profile.preview") == audit(plain, "profile.impact") == []


def test_a_spool_that_is_not_there_and_a_key_that_is_missing_are_outages(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = looking(database, tmp_path, monkeypatch, KEYS)
    (one,) = here.received((1, 1))
    preview = asked(here, one)
    here.work()
    monkeypatch.setattr(here.spool, "_keys", SpoolKeys(keys=(b"\x02" * 32,)))
    with pytest.raises(StoreUnavailableError):
        here.previews.identified_instance("ada", preview.errand.id, 1)
    here.spool.root.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailableError):
        here.previews.identified_instance("ada", preview.errand.id, 1)


# -- impacts -----------------------------------------------------------------------------------------------------------


def test_the_impact_over_the_last_studies_is_counted_by_workers(here: Looking) -> None:
    arrivals = here.received((1, 1), (2, 1), (2, 2), (3, 1))
    impact = here.impacts.request("ada", "teaching", "strict", last=2, most=5)
    assert (impact.state, len(impact.errands)) == (ErrandState.QUEUED, 2)
    here.purge(arrivals[3])
    here.work()
    impact = here.impacts.get(impact.id)
    counts = impact.counts()
    assert (impact.state, impact.studies_gone, impact.gone) == (ErrandState.DONE, 1, 1)
    assert (counts.instances, counts.touched) == (2, 2)
    fates = {place: (first, second) for place, _, first, second in counts.attributes}
    assert fates["(0008,0020)"] == ("changed", "emptied")
    assert names_beside(here, arrivals[1]) == set()
    (entry,) = audit(here, "profile.impact")
    first, second = (name.partition("@")[2] for name in (impact.first, impact.second))
    assert (entry.subject, entry.detail) == (f"{first} {second}", {"studies": 2, "count": 3})


def test_nothing_changes_from_a_profile_to_itself(plain: Looking) -> None:
    plain.received((1, 1))
    impact = plain.impacts.request("ada", "teaching", "teaching", last=5, most=5)
    plain.work()
    counts = plain.impacts.get(impact.id).counts()
    assert (counts.instances, counts.touched, counts.attributes) == (1, 0, {})
