"""One study with a little of everything, told the same way every time: for the tests of receipts and for their page."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bridge.app import open_spool, prepare
from bridge.receipt_marks import SUFFIX
from cases.intake import (
    AssociationOutcome,
    AssociationSummary,
    DeclinedContext,
    InstanceFacts,
    InstanceOutcome,
    Refusal,
)
from cases.store import Database, Holds, Intake
from config import Settings, load_settings
from tests.cases.world import CT_IMAGE_STORAGE, HOLD, NOON, arrival, file, image, key, open_shell, receive, route

CODE = "K7Q2M9F"
OWNER = route("neuro")
DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
CASE = "0190b6f2a1c47d3e9b5a4c8e7f6d5b3a"


def settings_in(folder: Path) -> Settings:
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(folder / "data")})
    prepare(settings)
    return settings


def tell(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the study arrive and be worked through; return the key of its folder in the spool."""
    monkeypatch.setattr("cases.store.intake.new_code", lambda: CODE)
    monkeypatch.setattr("cases.store.shells.new_id", lambda: CASE)
    database = Database.open(settings.database_url)
    try:
        _tell(database)
    finally:
        database.close()
    _lay_beside(settings, key("story"))
    return key("story")


def _tell(database: Database) -> None:
    numbers = (1, 2, 3, 4, 7, 8, 9, 10)
    images = [arrival("story", str(number), at=NOON + timedelta(seconds=number)) for number in numbers]
    again = [arrival("story", "1", at=NOON + timedelta(seconds=11))]
    dose = [_of_class(arrival("story", "dose", at=NOON + timedelta(seconds=12)), DOSE_SR)]
    receive(database, OWNER, "story", [*images, *again, *dose])
    shell = open_shell(database, OWNER, "story")
    for one, number in zip(images[:7], numbers, strict=False):
        file(database, shell, one, image(f"story/{number}", study="story", number=number))
    with database.write() as session:
        intake = Intake(session)
        Holds(session).hold(shell.case_id, images[7].arrival_id, HOLD)
        intake.finish(again[0].arrival_id, InstanceOutcome.DUPLICATE, duplicate_of=images[0].arrival_id)
        intake.finish(dose[0].arrival_id, InstanceOutcome.DROPPED, "dose-report")
        for one, number in zip(images, numbers, strict=True):
            facts = InstanceFacts(series_key=key("axial"), instance_number=number, stated_series=10)
            intake.set_fingerprint(one.arrival_id, dataset="", pixels="", facts=facts)
        dose_facts = InstanceFacts(series_key=key("dose"), instance_number=1)
        intake.set_fingerprint(dose[0].arrival_id, dataset="", pixels="", facts=dose_facts)
        intake.record_association(_association())
        _at_fixed_times(session)


def _of_class(one: object, uid: str) -> object:
    from dataclasses import replace

    return replace(one, sop_class_uid=uid)  # type: ignore[type-var]


def _association() -> AssociationSummary:
    return AssociationSummary(
        association_id="a1",
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.7",
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=14),
        outcome=AssociationOutcome.RELEASED,
        stored=10,
        refusals=(Refusal(sop_class_uid=CT_IMAGE_STORAGE, status=0xC000, reason="unparsable", count=2),),
        declined=(DeclinedContext(abstract_syntax="1.2.840.10008.1.20.1", reason="not a storage service"),),
    )


def _at_fixed_times(session: object) -> None:
    moments = {"settled_at": NOON + timedelta(seconds=42)}
    for column, moment in moments.items():
        session.execute(  # type: ignore[attr-defined]
            text(f"UPDATE received_study SET {column} = :at"), {"at": f"{moment:%Y-%m-%d %H:%M:%S.%f}"}
        )
    session.execute(  # type: ignore[attr-defined]
        text("UPDATE received_instance SET finished_at = :at"),
        {"at": f"{NOON + timedelta(seconds=47):%Y-%m-%d %H:%M:%S.%f}"},
    )


def _lay_beside(settings: Settings, study_key: str) -> None:
    spool = open_spool(settings)
    folder = spool.root / "studies" / study_key
    folder.mkdir()
    (folder / f"{'0' * 32}-{'1' * 32}.dcm").write_bytes(b"an original")
    spool.write_beside_study(study_key, SUFFIX, b'{"accession_end": "4711"}')
