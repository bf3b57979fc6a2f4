"""Two drafts of a patient become one case in a running bridge, whatever falls over, and late slices join it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.builders import ct_instance
from tests.integration.running import RunningBridge, eventually, running_bridge
from tests.integration.test_command_line import write_files

IMAGES = 6


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path / "data") as running:
        yield running


def sent(bridge: RunningBridge, folder: Path, study: int, numbers: range) -> None:
    files = write_files(folder, [ct_instance(study=study, number=number, PatientID="0815") for number in numbers])
    assert bridge.cli("send", str(files), "127.0.0.1", str(bridge.dicom_port)).returncode == 0


def cases(bridge: RunningBridge) -> list[dict[str, Any]]:
    return [one for one in bridge.all_items("/api/v1/cases") if one["status"] != "removed"]


def test_two_drafts_are_one_case_through_a_power_cut_and_a_late_slice_joins_it(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    for study in (1, 2):
        sent(bridge, tmp_path / f"study{study}", study, range(1, IMAGES + 1))
    found = eventually(
        lambda: two if len(two := [one for one in cases(bridge) if one["progress"]["filed"] == IMAGES]) == 2 else None,
        within_s=120,
        what="both drafts have their images",
    )
    target, source = (one["id"] for one in found)

    answer = bridge.fetch(f"/api/v1/cases/{target}/merge", method="POST", body={"from": source})
    assert b"queued" in answer
    bridge.kill_everything()
    bridge.start()
    ended = eventually(
        lambda: move if (move := bridge.get(f"/api/v1/cases/{target}/moves")["items"][0])["state"] == "done" else None,
        within_s=120,
        what="the move is done",
    )

    assert (ended["result"]["images"], ended["result"]["with_originals"]) == (IMAGES, IMAGES)
    sent(bridge, tmp_path / "late", 2, range(IMAGES + 1, IMAGES + 2))
    case = eventually(
        lambda: one if (one := bridge.get(f"/api/v1/cases/{target}"))["image_count"] == 2 * IMAGES + 1 else None,
        within_s=120,
        what="the late slice is there",
    )
    assert [one["id"] for one in cases(bridge)] == [target]
    assert sorted(len(series["images"]) for study in case["studies"] for series in study["series"]) == [
        IMAGES,
        IMAGES + 1,
    ]
    folder = bridge.data_dir / "blobs"
    eventually(lambda: len(list(folder.rglob("*.dcm"))) == 2 * IMAGES + 1, within_s=20, what="one file for each image")
    files = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    assert len({one.PatientID for one in files}) == 1
    assert len({one.StudyInstanceUID for one in files}) == len({one.SeriesInstanceUID for one in files}) == 2
    assert len({one.SOPInstanceUID for one in files}) == 2 * IMAGES + 1
