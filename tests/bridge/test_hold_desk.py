"""What held images show, from plain and sealed originals, drawn in a child process."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.errors import GoneError, NotRenderableError
from bridge.hold_desk import HoldDesk, PicturesOnDemand
from bridge.keys import create_secret
from cases.errors import StoreUnavailableError
from cases.holds import HoldFilter, HoldSummary
from cases.reviews import Decision, ReviewAction
from cases.store import Audit, Cases, Database, Holds, Profiles
from cases.users import Role
from config import load_settings
from deidentify.results import Hold, HoldReason, PixelFinding, TextClass
from scp.sealing import SpoolKeys
from tests.bridge.books import shipped
from tests.bridge.looking import Looking, looking
from tests.cases.world import user

KEYS = SpoolKeys(keys=(b"\x01" * 32,))
WORDS = "ZWITSCHERVOGEL"
FOUND = PixelFinding(frame=0, x=1, y=2, width=20, height=8, text_class=TextClass.IDENTIFYING, score=0.9)


@pytest.fixture(params=["plain", "sealed"])
def here(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Looking:
    return looking(database, tmp_path, monkeypatch, KEYS if request.param == "sealed" else None)


def held(here: Looking, suffix: str = "findings.json", errand_id: str = "") -> HoldSummary:
    """Hold an image that arrived, with what was read in it beside its original."""
    (arrived,) = here.received((1, 1))
    with here.database.write() as session:
        Profiles(session).keep(shipped())
        shell = Cases(session).open_shell(_study(here), shipped())
        hold = Hold(reason=HoldReason.BURNED_IN_TEXT, detail="1 region", findings=(FOUND,))
        hold_id = Holds(session).hold(shell.case_id, arrived.arrival_id, hold, errand_id=errand_id)
    place = {"frame": 0, "x": 1, "y": 2, "width": 20, "height": 8}
    content = json.dumps({"detector": "test", "findings": [{**place, "text": WORDS}]}).encode()
    here.spool.write_beside(arrived.study_key, arrived.sop_key, arrived.arrival_id, suffix, content)
    with here.database.read() as session:
        return Holds(session).get(user(here.database, "rita", Role.REVIEWER), hold_id)


def _study(here: Looking) -> str:
    from sqlalchemy import select

    from cases.store.rows import ReceivedStudyRow

    with here.database.read() as session:
        return session.scalars(select(ReceivedStudyRow.key)).one()


def test_words_and_pictures_come_from_beside_the_original_and_each_look_is_on_record_first(here: Looking) -> None:
    hold = held(here)
    assert here.decisions.identified_texts("rita", hold) == [WORDS]
    png = here.decisions.identified_frame("rita", hold, 0, boxes=None, size=16)
    assert Image.open(io.BytesIO(png)).size == (16, 16)
    here.spool.remove(hold.study_key, hold.sop_key, hold.arrival_id)
    with pytest.raises(GoneError):
        here.decisions.identified_frame("rita", hold, 0, boxes=None, size=None)
    with here.database.read() as session:
        entries = Audit(session).entries(subject=f"hold {hold.id}")
    assert [dict(entry.detail) for entry in entries] == [{"texts": 1}, {"frame": 0}, {"frame": 0}]


def test_what_a_rerun_read_belongs_to_what_it_found(here: Looking) -> None:
    hold = held(here, "findings-0a1b2c3d.json", errand_id="0a1b2c3d" + "0" * 24)
    assert here.decisions.identified_texts("rita", hold) == [WORDS]


def test_a_spool_that_is_not_there_is_waited_for(here: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = held(here)
    monkeypatch.setattr(type(here.spool), "is_there", lambda _: False)
    with pytest.raises(StoreUnavailableError):
        here.decisions.identified_texts("rita", hold)


def test_a_decision_waits_for_a_worker_and_is_not_kept_without_one(
    here: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.engine import EngineNotReadyError

    hold = held(here)

    def refuse(*_: object, **__: object) -> None:
        raise EngineNotReadyError("no worker has started on this database yet")

    monkeypatch.setattr(here.engine, "enqueue_study", refuse)
    rita = user(here.database, "rita", Role.REVIEWER)
    with here.database.write() as session:
        session.execute(_compared())
    with pytest.raises(StoreUnavailableError, match="then decide again"):
        here.decisions.decide(rita, hold.id, Decision(action=ReviewAction.CONFIRM), version=None)
    with here.database.read() as session:
        (still,) = Holds(session).list(rita, filters=HoldFilter()).items
    assert (still.version, still.reviews) == (hold.version, 0)


def _compared() -> object:
    from sqlalchemy import text

    return text("UPDATE received_instance SET fingerprint_dataset = 'd'")


def test_a_real_child_process_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'cases.sqlite'}")
    database.migrate()
    here = looking(database, tmp_path, monkeypatch)
    hold = held(here)
    data = tmp_path / "data"
    create_secret(data / "secret")
    pictures = PicturesOnDemand(
        load_settings({"CASEBRIDGE_DATA_DIR": str(data), "CASEBRIDGE_SPOOL_DIR": str(here.spool.root)})
    )
    desk = HoldDesk(database=database, spool=here.spool, client=here.engine, pictures=pictures)  # type: ignore[arg-type]
    try:
        png = desk.identified_frame("rita", hold, 0, boxes=None, size=None)
        assert np.asarray(Image.open(io.BytesIO(png))).max() == 255
        path = here.spool.path(hold.study_key, hold.sop_key, hold.arrival_id)
        path.write_bytes(path.read_bytes()[:-64])
        with pytest.raises(NotRenderableError):
            desk.identified_frame("rita", hold, 0, boxes=None, size=None)
    finally:
        pictures.close()
        database.close()
