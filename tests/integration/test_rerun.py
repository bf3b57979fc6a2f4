"""A case made anew by a running bridge, whatever falls over meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.builders import ct_instance
from tests.integration.running import RunningBridge, eventually, running_bridge
from tests.integration.test_command_line import write_files

IMAGES = 12
DEVICE = """\
name: device
base: teaching
rules:
  - {keyword: StationName, action: K, reason: Physicists compare scanners.}
"""


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path / "data") as running:
        yield running


def files(bridge: RunningBridge) -> dict[str, pydicom.Dataset]:
    """What lies in the blob store, by SOP Instance UID; files that nobody refers to are deleted soon after."""
    folder = bridge.data_dir / "blobs"
    eventually(lambda: len(list(folder.rglob("*.dcm"))) == IMAGES, within_s=20, what="one file for each image")
    found = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    assert len({one.SOPInstanceUID for one in found}) == len(found)
    return {one.SOPInstanceUID: one for one in found}


def rerun_of(bridge: RunningBridge, case_id: str) -> dict[str, Any]:
    return bridge.get(f"/api/v1/cases/{case_id}/reruns")["items"][0]  # type: ignore[no-any-return]


def test_a_case_is_made_anew_through_a_power_cut_and_back(bridge: RunningBridge, tmp_path: Path) -> None:
    instances = [ct_instance(study=1, number=number) for number in range(1, IMAGES + 1)]
    folder = write_files(tmp_path / "files", instances)
    assert bridge.cli("send", str(folder), "127.0.0.1", str(bridge.dicom_port)).returncode == 0
    case = eventually(
        lambda: next((one for one in bridge.all_items("/api/v1/cases") if one["progress"]["filed"] == IMAGES), None),
        within_s=120,
        what="the case has its images",
    )
    before = files(bridge)
    shown = bridge.get(f"/api/v1/cases/{case['id']}")
    (tmp_path / "device.yaml").write_text(DEVICE)
    assert bridge.cli("profile", "publish", str(tmp_path / "device.yaml")).returncode == 0
    answer = bridge.fetch("/api/v1/reruns", method="POST", body={"case_id": case["id"], "profile": "device"})
    assert b"queued" in answer

    eventually(lambda: rerun_of(bridge, case["id"])["done"] >= 2, within_s=60, what="the re-run is under way")
    bridge.kill_everything()
    bridge.start()
    ended = eventually(
        lambda: rerun if (rerun := rerun_of(bridge, case["id"]))["state"] == "done" else None,
        within_s=120,
        what="the re-run is done",
    )

    assert ended["result"]["remade"] == IMAGES
    assert [one["attribute"] for one in ended["result"]["elements"]] == ["StationName"]
    after = files(bridge)
    assert after.keys() == before.keys()  # the same pseudonyms, and no file that nobody refers to
    for uid, one in after.items():
        assert one.StationName == instances[0].StationName
        assert "StationName" not in before[uid]
        assert (one.PatientID, one.StudyDate) == (before[uid].PatientID, before[uid].StudyDate)
    now = bridge.get(f"/api/v1/cases/{case['id']}")
    ids = [image["id"] for image in now["studies"][0]["series"][0]["images"]]
    assert ids == [image["id"] for image in shown["studies"][0]["series"][0]["images"]]
    bridge.fetch(f"/api/v1/cases/{case['id']}/images/{ids[0]}/rendered")

    back = bridge.cli("profile", "rerun", case["id"], "--under", "teaching")
    assert back.returncode == 0, back.stderr
    assert {uid: one.to_json_dict() for uid, one in files(bridge).items()} == {
        uid: one.to_json_dict() for uid, one in before.items()
    }
