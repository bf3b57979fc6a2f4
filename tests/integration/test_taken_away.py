"""A real CT goes through the bridge and is taken away, by programs that others have: curl, unzip, sha256sum, DCMTK."""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.corpus import ROOT, require_corpus
from tests.integration.running import ADMIN_TOKEN, RunningBridge, running_bridge
from tests.integration.senders import case_of, dcmsend, run_tool, settled
from tests.tools import require_tool

LEAST_TELLING = 8
CT = "QIICR+dcmqi/data/segmentations/ct-3slice"


@dataclass(frozen=True)
class Filed:
    """A bridge with one case, and what its originals were."""

    bridge: RunningBridge
    case: dict[str, Any]
    originals: tuple[Path, ...]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.bridge.http_port}/api/v1/cases/{self.case['id']}/archive"


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filed]:
    require_corpus()
    originals = tuple(sorted((ROOT / CT).glob("*.dcm")))
    assert originals
    with running_bridge(tmp_path_factory.mktemp("taken") / "data") as bridge:
        dcmsend(bridge, ROOT / CT, calling="TAKEN")
        settled(bridge, "TAKEN", len(originals))
        yield Filed(bridge=bridge, case=case_of(bridge, "TAKEN"), originals=originals)


def curl(*options: object) -> subprocess.CompletedProcess[str]:
    return run_tool(require_tool("curl"), "-sS", "-H", f"Authorization: Bearer {ADMIN_TOKEN}", *options, timeout_s=60)


def identifiers_of(originals: tuple[Path, ...]) -> set[bytes]:
    """Return what must be in nothing that is taken away; a number of a few digits is in some UID by chance."""
    found = set()
    for path in originals:
        header = dcmread(path, stop_before_pixels=True)
        names = ("PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        found |= {str(header.get(name, "")).encode() for name in names}
    return {one for one in found if len(one) >= LEAST_TELLING}


def ids_of(paths: Iterable[Path]) -> set[str]:
    """Return who the patients of some files are."""
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    return {str(header.get(name, "")) for header in headers for name in ("PatientName", "PatientID")} - {""}


def check_images(images: list[Path], originals: tuple[Path, ...]) -> None:
    assert len(images) == len(originals)
    pixels = {dcmread(path).pixel_array.tobytes() for path in originals}
    assert {dcmread(path).pixel_array.tobytes() for path in images} == pixels
    assert not ids_of(images) & ids_of(originals)
    for path in images:
        assert dcmread(path).PatientIdentityRemoved == "YES"
        dumped = run_tool(require_tool("dcmdump"), "-q", path)
        assert dumped.returncode == 0, dumped.stdout


def test_a_download_that_broke_off_goes_on_and_is_whole(filed: Filed, tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    head = curl("-I", filed.address).stdout
    [total] = [int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")]

    broken = curl("--limit-rate", "200k", "--max-time", "2", "-o", file, filed.address)
    assert broken.returncode == 28, broken.stdout
    assert 0 < file.stat().st_size < total
    again = curl("-C", "-", "-o", file, filed.address)

    assert again.returncode == 0, again.stdout
    assert file.stat().st_size == total
    tested = run_tool(require_tool("unzip"), "-t", file)
    assert tested.returncode == 0, tested.stdout
    unpacked = run_tool(require_tool("unzip"), "-q", file, "-d", tmp_path / "case")
    assert unpacked.returncode == 0, unpacked.stdout
    checked = subprocess.run(
        [require_tool("sha256sum"), "-c", "--strict", "checksums.sha256"],
        cwd=tmp_path / "case",
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    check_images(sorted((tmp_path / "case" / "images").rglob("*.dcm")), filed.originals)
    entries = filed.bridge.get(f"/api/v1/audit?action=case.download&subject={filed.case['id']}")["items"]
    assert len(entries) == 1, "the two parts are one download"


def test_nothing_that_is_taken_away_names_the_patient_or_is_an_original(filed: Filed, tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    assert curl("-o", file, filed.address).returncode == 0
    data = file.read_bytes()
    identifiers = identifiers_of(filed.originals)
    assert identifiers
    assert [one for one in identifiers if one in data] == []
    originals = list((filed.bridge.data_dir / "spool" / "studies").rglob("*.dcm"))
    assert originals, "they are there, and out of reach"
    assert not any(path.read_bytes() in data for path in originals)


def test_a_case_is_exported_while_nothing_runs_and_no_spool_is_there(filed: Filed, tmp_path: Path) -> None:
    folder, spool = tmp_path / "set", filed.bridge.data_dir / "spool"
    hidden = spool.rename(spool.with_name("elsewhere"))
    try:
        done = filed.bridge.cli("export", filed.case["id"], str(folder), "--dicomdir")
        assert not spool.exists(), "it neither looks for a spool nor makes one"
    finally:
        hidden.rename(spool)

    assert done.returncode == 0, done.stderr
    check_images(sorted(path for path in (folder / "IMAGES").rglob("*") if path.is_file()), filed.originals)
    assert [one for one in identifiers_of(filed.originals) if one in (folder / "DICOMDIR").read_bytes()] == []
    again = filed.bridge.cli("export", filed.case["id"], str(folder))
    assert again.returncode == 1
    assert "exists; name a new folder" in again.stderr
