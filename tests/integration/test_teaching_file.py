"""Teaching files marked at a PACS (IHE TCE), over the wire to a draft: settled by their list, filled, and clean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.builders import PATIENT_TWO, ct_instance, uid
from tests.integration.running import RunningBridge, eventually, running_bridge
from tests.integration.senders import case_of, cases_of, dcmsend, deliver, images_of, settled, tally_of, write_files
from tests.teaching import FOR_TEACHING, coded, information, said, selection

NAMES = {
    "ISO_IR 100": "Zwitschervögelin",
    "ISO_IR 192": "Канареечкин",
    "ISO_IR 144": "Канареечкин",
}
PLANTED = ("KNR-558211", "0815-4711", "13.04.2021", "Pimpernell", "Beobachterix", "Kontaktovna", "Eigentümerix")
PATIENT: dict[str, Any] = {"PatientName": "Piepmatz^Kanaria", "PatientID": "KNR-558211", "PatientBirthDate": "19350607"}


@pytest.fixture(scope="module")
def patient_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A bridge that waits ten minutes for a study, so that only a list can settle one in the time of a test."""
    settings = {"CASEBRIDGE_QUIET_PERIOD_S": "600", "CASEBRIDGE_MAX_SETTLE_S": "1800"}
    with running_bridge(tmp_path_factory.mktemp("patient") / "data", environment=settings) as running:
        yield running


def images(study: int, count: int) -> list[Dataset]:
    return [ct_instance(study=study, number=n, **PATIENT) for n in range(1, count + 1)]


def planted(study: int, charset: str) -> Dataset:
    """Additional information with something clean and something identifying in every field."""
    hidden = " pain ".join([NAMES[charset], *PLANTED[:4]])
    topics = ("TCE104", "121060", "121071", "TCE106", "111023", "TCE107", "112005", "111042", "TCE108", "TF001")
    return information(
        *(said(topic, f"acute abdominal pain for 3 days pain {hidden}") for topic in topics),
        said("TCE105", f"appendix, {NAMES[charset]}, Pimpernell"),
        said("TCE101", "Pimpernell"),
        said("TCE102", "Klinikum Kontaktovna"),
        said("TCE103", "Kontaktovna 0815-4711"),
        coded("TCE109", "TCE304"),
        coded("TCE110", "TCE203"),
        coded("TCE111", "R-00339", "No", "SRT"),
        study=study,
        SpecificCharacterSet=charset,
        **PATIENT,
    )


def receipt_of(bridge: RunningBridge, calling: str) -> dict[str, Any]:
    """Return the one receipt of a sender."""
    [found] = bridge.all_items(f"/api/v1/receipts?sender={calling}")
    return found


def everything(bridge: RunningBridge) -> bytes:
    """Return all bytes that outlive the originals, and all that was logged."""
    kept = [path for path in bridge.data_dir.rglob("*") if path.is_file() and "spool" not in path.parts]
    assert any(path.suffix == ".db" for path in kept)
    return b"\0".join([path.read_bytes() for path in kept] + [bridge.log_file.read_bytes()])


def test_a_complete_list_opens_the_draft_at_once_with_its_images_in_order(
    patient_bridge: RunningBridge, tmp_path: Path
) -> None:
    bridge = patient_bridge
    ones, hints = images(801, 5), [ct_instance(study=802, number=n, **PATIENT_TWO) for n in (1, 2)]
    # A mere hint of key images lists everything too, and settles nothing; it came first.
    hint = selection(hints, [hints[1]], title=FOR_TEACHING, study=802, **PATIENT_TWO)
    deliver(bridge, tmp_path / "hint", [*hints, hint], calling="HINT")
    short = images(803, 3)
    missing = selection(short, short[:1], study=803, **PATIENT)
    deliver(bridge, tmp_path / "short", [missing, *short[:2]], calling="SHORT")

    listed = ones[:4]
    document = selection(
        [*listed, planted(801, "ISO_IR 192")],
        [(listed[3], [1]), listed[0]],
        text="mirc:title=Acute appendicitis of Zwitschervögelin "
        "mirc:authorization/owner=Eigentümerix mirc:freetext=pain",
        delay="TCE014",
        observer="Beobachterix^Kanaria",
        study=801,
        **PATIENT,
    )
    files = write_files(tmp_path / "whole", [document, *ones, planted(801, "ISO_IR 192")])
    assert "with status SUCCESS" in dcmsend(bridge, files, calling="WHOLE").stdout

    tally = settled(bridge, "WHOLE", 7, within_s=120)
    assert (tally["inbox"], tally["dropped"]) == (5, 2)
    case = case_of(bridge, "WHOLE")
    assert case["title"] == "Acute appendicitis of"
    assert case["presentation"].startswith("acute abdominal pain for 3 days")
    assert case["studies"][0]["findings"].startswith("acute abdominal pain")
    assert "Diagnosis: acute abdominal pain" in case["discussion"]
    assert (case["tags"], case["systems"], case["level"]) == (["appendix"], ["Gastrointestinal"], "advanced")
    assert case["hold_reason"] == "histopathology"
    assert case["withheld_words"] > 20

    shown = {image["instance_number"]: image for image in images_of(case)}
    assert sorted(shown) == [1, 2, 3, 4, 5]
    assert [shown[n]["is_selected"] for n in range(1, 6)] == [True, True, True, True, False]
    keys = sorted((image for image in shown.values() if image["is_key"]), key=lambda one: one["key_position"])
    assert [(image["instance_number"], image["key_frames"]) for image in keys] == [(4, [1]), (1, [])]
    assert bridge.get("/api/v1/status")["dropped_by_reason"] == {"teaching-file-manifest": 2}

    receipt = receipt_of(bridge, "WHOLE")
    assert (receipt["state"], receipt["settled_by"], receipt["missing"]) == ("complete", "manifest", 0)
    assert receipt["evidence"][0]["rule"] == "manifest"
    assert receipt["evidence"][0]["detail"].startswith("5 of the 5 instances")

    # What a hint or a list with a gap came with still waits: both were there before, ten minutes have not passed.
    for calling, count in (("HINT", 3), ("SHORT", 3)):
        assert tally_of(bridge, calling)["in_progress"] == count
        assert cases_of(bridge, calling) == []

    deliver(bridge, tmp_path / "rest", short[2:], calling="SHORT")
    settled(bridge, "SHORT", 4, within_s=120)
    assert len(images_of(case_of(bridge, "SHORT"))) == 3
    assert tally_of(bridge, "HINT")["in_progress"] == 3


def test_the_contributor_has_the_last_word(patient_bridge: RunningBridge, tmp_path: Path) -> None:
    bridge = patient_bridge
    first = images(811, 2)
    document = selection(first, first[:1], delay="TCE011", study=811, text="mirc:title=Pain", **PATIENT)
    deliver(bridge, tmp_path / "first", [*first, document], calling="WORD")
    settled(bridge, "WORD", 3, within_s=120)
    case = case_of(bridge, "WORD")
    address = f"/api/v1/cases/{case['id']}"
    assert (case["title"], case["hold_reason"]) == ("Pain", "final-report")
    change = {"title": "Written by hand", "tags": ["mine"], "hold_reason": "", "level": "primary", "systems": ["Chest"]}
    bridge.fetch(address, method="PATCH", body=change)

    late = selection(first, first[1:], delay="TCE018", study=811, number=2, text="mirc:title=Liver", **PATIENT)
    later = information(said("121060", "acute pain"), said("TCE105", "liver"), study=811, **PATIENT)
    deliver(bridge, tmp_path / "second", [late, later], calling="WORD")

    settled(bridge, "WORD", 5, within_s=120)
    case = case_of(bridge, "WORD")
    assert {name: case[name] for name in change} == {**change, "hold_reason": None}
    assert case["presentation"] == "acute pain"
    assert [(image["is_key"], image["key_position"]) for image in images_of(case)] == [(True, 0), (True, 1)]


def test_one_selection_over_two_studies_makes_drafts_that_name_each_other(
    patient_bridge: RunningBridge, tmp_path: Path
) -> None:
    bridge = patient_bridge
    here, there = images(821, 1), images(822, 1)
    one = selection(here, here, study=821, identical=[(uid(822), uid(822, 90, 1))], **PATIENT)
    other = selection(there, there, study=822, identical=[(uid(821), uid(821, 90, 1))], **PATIENT)
    deliver(bridge, tmp_path / "both", [one, *here, other, *there], calling="BOTH")
    settled(bridge, "BOTH", 4, within_s=120)
    first, second = cases_of(bridge, "BOTH")
    assert bridge.get(f"/api/v1/cases/{first['id']}")["related_case_ids"] == [second["id"]]
    assert bridge.get(f"/api/v1/cases/{second['id']}")["related_case_ids"] == [first["id"]]


@pytest.mark.parametrize("charset", NAMES)
def test_nothing_that_a_teaching_file_says_of_a_person_outlives_the_original(
    patient_bridge: RunningBridge, tmp_path: Path, charset: str
) -> None:
    bridge = patient_bridge
    study = 831 + list(NAMES).index(charset)
    calling = f"CANARY{study}"
    ones = images(study, 1)
    text = f"mirc:title=pain {NAMES[charset]} mirc:authorization/owner=Pimpernell mirc:freetext=pain KNR-558211 pain"
    document = selection(
        ones, ones, text=text, observer="Beobachterix^Kanaria", study=study, SpecificCharacterSet=charset, **PATIENT
    )
    deliver(bridge, tmp_path / "s", [*ones, document, planted(study, charset)], calling=calling)
    settled(bridge, calling, 4 - 1, within_s=120)
    eventually(lambda: case_of(bridge, calling)["presentation"], within_s=60, what="the draft is filled")

    kept = everything(bridge)
    # Digits alone would be found by chance, in keys of hexadecimal digits.
    identified = [*NAMES.values(), *PLANTED, "Piepmatz", uid(study), uid(study, 90, 1)]
    for value in identified:
        for codec in ("utf-8", "iso8859-1", "iso8859-5", "utf-16-le"):
            encoded = value.encode(codec, "ignore")
            if len(encoded) >= len(value):
                assert encoded not in kept, f"a planted value of {charset} in {codec}"
                assert encoded.lower() not in kept.lower()
    api = bridge.fetch(f"/api/v1/cases/{case_of(bridge, calling)['id']}").decode()
    assert not any(value in api for value in identified)


def test_a_list_with_a_gap_waits_for_the_quiet_period(bridge: RunningBridge, tmp_path: Path) -> None:
    ones = images(841, 4)
    document = selection(ones, ones[:1], study=841, **PATIENT)
    deliver(bridge, tmp_path / "s", [document, *ones[:2]], calling="GAP")
    settled(bridge, "GAP", 3)
    case = case_of(bridge, "GAP")
    assert [(image["is_selected"], image["is_key"]) for image in images_of(case)] == [(True, True), (True, False)]
    receipt = receipt_of(bridge, "GAP")
    assert (receipt["state"], receipt["settled_by"], receipt["missing"]) == ("short", "quiet", 2)
    assert receipt["evidence"][0]["rule"] == "manifest"


def test_a_damaged_selection_holds_nothing_up(bridge: RunningBridge, tmp_path: Path) -> None:
    ones = images(851, 2)
    bare = selection(
        [], study=851, ConceptNameCodeSequence=None, CurrentRequestedProcedureEvidenceSequence=None, **PATIENT
    )
    deliver(bridge, tmp_path / "s", [bare, *ones], calling="DAMAGED")
    tally = settled(bridge, "DAMAGED", 3)
    assert tally["adds_up"]
    assert len([image for image in images_of(case_of(bridge, "DAMAGED")) if image["has_pixels"]]) == 2
