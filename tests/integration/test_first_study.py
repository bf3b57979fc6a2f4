"""From "send to" to a draft case, with real senders, real processes and real ports."""

import io
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from tests.builders import PATIENT_TWO, ct_instance, mr_instance, study_of_two_series, write_part10
from tests.integration.running import RunningBridge, eventually, free_port, running_bridge
from tests.integration.senders import (
    case_of,
    cases_of,
    dcmsend,
    deliver,
    holds_of,
    images_of,
    number,
    run_tool,
    settled,
    tally_of,
    write_files,
)
from tests.tools import require_tool

QUIET_S = 1.0
SECOND: dict[str, Any] = dict(PATIENT_TWO)


def halves(study: int, **attributes: Any) -> Any:
    """Return a CT whose left half is below, whose right half is above its window, with a stripe at the center."""
    stored = np.zeros((96, 96), "<u2")
    stored[:, 48:] = 1024 + 400
    stored[:, 40:56] = 1024 + 40
    return ct_instance(
        study=study,
        rows=96,
        columns=96,
        PixelData=stored.tobytes(),
        WindowCenter="40",
        WindowWidth="400",
        **attributes,
    )


def test_echoscu_is_answered(bridge: RunningBridge) -> None:
    done = run_tool(require_tool("echoscu"), "-aec", "CASEBRIDGE", "127.0.0.1", bridge.dicom_port)

    assert done.returncode == 0, done.stdout


def test_a_folder_of_studies_sent_with_dcmsend_becomes_drafts(bridge: RunningBridge, tmp_path: Path) -> None:
    studies = [*study_of_two_series(study=101), *(mr_instance(study=102, number=n, **SECOND) for n in (1, 2, 3))]

    text = dcmsend(bridge, write_files(tmp_path / "folder", studies), calling="FOLDER").stdout

    assert number("with status SUCCESS", text) == len(studies), text
    tally = settled(bridge, "FOLDER", len(studies))
    assert tally["inbox"] == len(studies)
    cases = {case["modalities"][0]: case for case in cases_of(bridge, "FOLDER")}
    assert set(cases) == {"CT", "MRI"}
    seen = {name: (case["series_count"], case["image_count"], case["sex"]) for name, case in cases.items()}
    assert seen == {"CT": (2, 4, "F"), "MRI": (1, 3, "M")}
    assert (cases["CT"]["age"], cases["MRI"]["age"]) == ("65 years", "5 years")
    assert all(case["status"] == "draft" for case in cases.values())


def test_storescu_gets_success_for_each_object(bridge: RunningBridge, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "folder", [ct_instance(study=103, number=n) for n in (1, 2)])

    done = run_tool(
        require_tool("storescu"), "-v", "-R", "-aet", "STORESCU", "-aec", "CASEBRIDGE", "+sd",
        "127.0.0.1", bridge.dicom_port, folder,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert done.stdout.count("(Success)") == 2
    settled(bridge, "STORESCU", 2)


def test_a_study_is_a_draft_shell_within_two_seconds_after_its_quiet_period(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    deliver(bridge, tmp_path / "s", [ct_instance(study=104, number=n) for n in range(1, 6)], calling="SHELL")

    [case] = eventually(lambda: cases_of(bridge, "SHELL"), within_s=20, what="the shell is listed")

    [last] = [
        sender["last_arrival_at"]
        for sender in bridge.get("/api/v1/status")["by_sender"]
        if sender["calling_ae"] == "SHELL"
    ]
    waited_s = (datetime.fromisoformat(case["created_at"]) - datetime.fromisoformat(last)).total_seconds()
    assert QUIET_S <= waited_s <= QUIET_S + 2
    assert case["progress"]["received"] == 5
    settled(bridge, "SHELL", 5)


def test_the_rendered_image_shows_the_pixels_in_the_window_of_the_file(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(bridge, tmp_path / "s", [halves(105)], calling="RENDER")
    settled(bridge, "RENDER", 1)
    case = case_of(bridge, "RENDER")
    [image] = images_of(case)

    png = bridge.fetch(f"/api/v1/cases/{case['id']}/images/{image['id']}/rendered")

    shown = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert shown.shape == (96, 96)
    assert (shown[:, :40] == 0).all()
    assert (shown[:, 56:] == 255).all()
    assert set(np.unique(shown[:, 40:56])) <= {127, 128}


def test_a_contributor_fills_in_the_draft(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(bridge, tmp_path / "s", [ct_instance(study=106)], calling="FILL")
    settled(bridge, "FILL", 1)
    case = case_of(bridge, "FILL")
    texts = {"title": "Acute appendicitis", "presentation": "Pain in the right iliac fossa for two days."}
    study = {"id": case["studies"][0]["id"], "findings": "Dilated appendix."}

    bridge.fetch(f"/api/v1/cases/{case['id']}", method="PATCH", body=texts | {"studies": [study]})

    after = case_of(bridge, "FILL")
    assert {name: after[name] for name in texts} == texts
    assert after["studies"][0]["findings"] == "Dilated appendix."
    assert after["version"] == case["version"] + 1


def test_late_instances_join_the_open_draft_and_leave_its_texts(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(bridge, tmp_path / "early", [ct_instance(study=107, number=n) for n in (1, 2)], calling="LATE")
    settled(bridge, "LATE", 2)
    before = case_of(bridge, "LATE")
    bridge.fetch(f"/api/v1/cases/{before['id']}", method="PATCH", body={"title": "Written early"})

    deliver(bridge, tmp_path / "late", [ct_instance(study=107, number=n) for n in (3, 4)], calling="LATE")

    settled(bridge, "LATE", 4)
    after = case_of(bridge, "LATE")
    assert after["id"] == before["id"]
    assert after["title"] == "Written early"
    assert [image["instance_number"] for image in images_of(after)] == [1, 2, 3, 4]
    assert [image["id"] for image in images_of(after)][:2] == [image["id"] for image in images_of(before)]


def test_an_identical_resend_changes_nothing(bridge: RunningBridge, tmp_path: Path) -> None:
    study = study_of_two_series(study=108)
    deliver(bridge, tmp_path / "first", study, calling="AGAIN")
    settled(bridge, "AGAIN", 4)
    before = case_of(bridge, "AGAIN")

    deliver(bridge, tmp_path / "again", study, calling="AGAIN")

    tally = settled(bridge, "AGAIN", 8)
    assert (tally["inbox"], tally["duplicate"]) == (4, 4)
    assert case_of(bridge, "AGAIN") == before


def test_the_same_data_in_another_encoding_is_a_resend(bridge: RunningBridge, tmp_path: Path) -> None:
    one = ct_instance(study=109)
    deliver(bridge, tmp_path / "explicit", [one], calling="IMPLICIT")
    settled(bridge, "IMPLICIT", 1)
    before = case_of(bridge, "IMPLICIT")

    implicit = write_part10(one, transfer_syntax=ImplicitVRLittleEndian)
    deliver(bridge, tmp_path / "implicit", [implicit], calling="IMPLICIT")

    tally = settled(bridge, "IMPLICIT", 2)
    assert (tally["inbox"], tally["duplicate"]) == (1, 1)
    assert case_of(bridge, "IMPLICIT") == before


def test_a_resend_with_another_header_takes_the_place_of_the_first(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(bridge, tmp_path / "first", [ct_instance(study=110, number=n) for n in (1, 2)], calling="HEADER")
    settled(bridge, "HEADER", 2)
    before = case_of(bridge, "HEADER")

    corrected = [ct_instance(study=110, number=1, InstanceNumber=7)]
    deliver(bridge, tmp_path / "second", corrected, calling="HEADER")

    tally = settled(bridge, "HEADER", 3)
    assert (tally["inbox"], tally["superseded"]) == (2, 1)
    after = case_of(bridge, "HEADER")
    assert after["id"] == before["id"]
    assert sorted(image["instance_number"] for image in images_of(after)) == [2, 7]


def test_different_pixels_under_one_uid_hold_both(bridge: RunningBridge, tmp_path: Path) -> None:
    first, other = ct_instance(study=111), ct_instance(study=111)
    other.PixelData = bytes(value ^ 1 for value in first.PixelData)
    deliver(bridge, tmp_path / "first", [first, ct_instance(study=111, number=2)], calling="CONFLICT")
    settled(bridge, "CONFLICT", 2)

    deliver(bridge, tmp_path / "second", [other], calling="CONFLICT")

    tally = settled(bridge, "CONFLICT", 3)
    assert (tally["inbox"], tally["held"]) == (1, 2)
    assert [hold["reason"] for hold in holds_of(bridge, "CONFLICT")] == ["same-uid-different-pixels"] * 2
    case = case_of(bridge, "CONFLICT")
    assert [image["instance_number"] for image in images_of(case)] == [2]
    assert "2 held" in case["notes"]


def test_the_same_pixels_compressed_without_loss_are_no_conflict(bridge: RunningBridge, tmp_path: Path) -> None:
    one = ct_instance(study=112, rows=32, columns=32)
    deliver(bridge, tmp_path / "native", [one], calling="LOSSLESS")
    settled(bridge, "LOSSLESS", 1)
    before = case_of(bridge, "LOSSLESS")

    deliver(bridge, tmp_path / "rle", [rle(one)], calling="LOSSLESS")

    tally = settled(bridge, "LOSSLESS", 2)

    assert tally["held"] == 0, holds_of(bridge, "LOSSLESS")
    assert tally["inbox"] == 1
    assert tally["duplicate"] + tally["superseded"] == 1
    assert len(images_of(case_of(bridge, "LOSSLESS"))) == len(images_of(before)) == 1


def rle(instance: Any) -> bytes:
    """Return the instance as an RLE Lossless file with the same pixels."""
    copy = dcmread(io.BytesIO(write_part10(instance)))
    copy.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    copy.save_as(buffer)
    return buffer.getvalue()


# -- owners ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A bridge with two contributors, each with an AE title of their own."""
    routes = [{"called_ae": name.upper(), "owner": name} for name in ("alice", "bob")]
    environment = {"CASEBRIDGE_ROUTES": json.dumps(routes)}
    with running_bridge(tmp_path_factory.mktemp("owned") / "data", environment=environment) as running:
        yield running


def token_of(bridge: RunningBridge, user: str) -> str:
    done = bridge.cli("token", user)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def drafts(bridge: RunningBridge, token: str) -> dict[str, list[dict[str, Any]]]:
    cases = bridge.get("/api/v1/cases?limit=100", token=token)["items"]
    return {status: [case for case in cases if case["status"] == status] for status in ("draft", "waiting")}


def test_the_eleventh_draft_waits_visibly_and_files_itself_when_a_place_is_free(
    owned: RunningBridge, tmp_path: Path
) -> None:
    studies = [ct_instance(study=200 + n) for n in range(11)]

    deliver(owned, tmp_path / "alice", studies, calling="PACS1", called="ALICE")

    tally = settled(owned, "PACS1", 11)
    assert (tally["in_draft"], tally["waiting"]) == (10, 1)
    alice = token_of(owned, "alice")
    seen = drafts(owned, alice)
    assert (len(seen["draft"]), len(seen["waiting"])) == (10, 1)
    [waiting] = seen["waiting"]
    assert "waits for a free place" in waiting["notes"][0]
    assert waiting["image_count"] == 1

    owned.fetch(f"/api/v1/cases/{seen['draft'][0]['id']}", method="DELETE", token=alice)

    after = eventually(
        lambda: next((found for found in [drafts(owned, alice)] if not found["waiting"]), None),
        within_s=20,
        what="the waiting study found the free place",
    )
    assert waiting["id"] in {case["id"] for case in after["draft"]}
    assert len(after["draft"]) == 10


def test_a_study_sent_to_two_contributors_becomes_a_case_for_each(owned: RunningBridge, tmp_path: Path) -> None:
    one = [ct_instance(study=250, number=n) for n in (1, 2)]

    deliver(owned, tmp_path / "bob", one, calling="PACS2", called="BOB")
    deliver(owned, tmp_path / "nobody", one, calling="PACS2", called="CASEBRIDGE")

    tally = settled(owned, "PACS2", 4)
    assert (tally["in_draft"], tally["inbox"], tally["duplicate"]) == (2, 2, 0)
    first, second = (owned.get(f"/api/v1/cases/{case['id']}") for case in cases_of(owned, "PACS2"))
    assert {first["owner"], second["owner"]} == {"bob", None}
    sops = [
        {owned.get(f"/api/v1/cases/{case['id']}/images/{image['id']}")["sop_instance_uid"] for image in images_of(case)}
        for case in (first, second)
    ]
    assert not sops[0] & sops[1], "one study in two cases cannot be linked by its UIDs"


def test_a_contributor_claims_a_draft_of_the_inbox(owned: RunningBridge, tmp_path: Path) -> None:
    deliver(owned, tmp_path / "inbox", [ct_instance(study=260)], calling="PACS3", called="CASEBRIDGE")
    settled(owned, "PACS3", 1)
    bob = token_of(owned, "bob")
    [found] = [case for case in owned.get("/api/v1/inbox", token=bob)["items"] if case["sender"] == "PACS3"]
    assert found["modalities"] == ["CT"]

    owned.fetch(f"/api/v1/inbox/{found['id']}/claim", method="POST", token=bob)

    assert owned.get(f"/api/v1/cases/{found['id']}", token=bob)["owner"] == "bob"
    alice = token_of(owned, "alice")
    with pytest.raises(urllib.error.HTTPError) as refused:
        owned.fetch(f"/api/v1/inbox/{found['id']}/claim", method="POST", token=alice)
    refused.value.close()
    assert refused.value.code in {404, 409}
    assert tally_of(owned, "PACS3")["in_draft"] == 1


# -- a real PACS -----------------------------------------------------------------------------------------------------


def test_orthanc_sends_a_study(bridge: RunningBridge, tmp_path: Path) -> None:
    program, http_port = require_tool("Orthanc"), free_port()
    target = {"AET": "CASEBRIDGE", "Host": "127.0.0.1", "Port": bridge.dicom_port}
    configuration = {
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "index"),
        "HttpPort": http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": free_port(),
        "DicomModalities": {"casebridge": target},
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))

    def call(path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{http_port}{path}", data=body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def answers() -> bool:
        try:
            return bool(call("/system"))
        except OSError:
            return False

    with (tmp_path / "orthanc.log").open("wb") as log:
        orthanc = subprocess.Popen([program, tmp_path / "orthanc.json"], stdout=log, stderr=log)
        try:
            eventually(answers, within_s=30, what="Orthanc answers")
            studies = {
                call("/instances", write_part10(one))["ParentStudy"] for one in study_of_two_series(study=113, images=3)
            }
            assert len(studies) == 1
            order = json.dumps({"Resources": sorted(studies), "Synchronous": True}).encode()
            sent = call("/modalities/casebridge/store", order)
        finally:
            orthanc.terminate()
            orthanc.wait(timeout=30)

    assert sent["FailedInstancesCount"] == 0
    tally = settled(bridge, "ORTHANC", 6)
    assert tally["inbox"] == 6
    assert case_of(bridge, "ORTHANC")["series_count"] == 2
