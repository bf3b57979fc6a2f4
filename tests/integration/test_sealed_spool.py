"""A bridge whose spool is sealed: nothing of a patient in any of its files, from the first byte to the purge."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bridge.app import open_spool
from bridge.spool_keys import new_spool_key
from config import load_settings
from scp.spool import Spool
from tests.builders import ct_instance, write_part10
from tests.integration.running import CHECKOUT, RunningBridge, eventually, running_bridge
from tests.integration.senders import deliver, settled
from tests.integration.test_privacy import SENDER, burned_in, canary, found_in

OBJECTS = 6


def key_file(folder: Path, *keys: str) -> Path:
    path = folder / "spool.key"
    path.touch(mode=0o600)
    path.write_text("".join(keys))
    return path


def canaries_on_disk(folder: Path) -> set[str]:
    """Return what is found of the patients in any file, those that are being written among them."""
    found = set()
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        found |= {f"{path.relative_to(folder)}: {word}" for word in found_in(content)}
    return found


def spool_of(bridge: RunningBridge) -> Spool:
    environ = {name: value for name, value in bridge.environ.items() if name.startswith("CASEBRIDGE_")}
    return open_spool(load_settings(environ))


@pytest.mark.slow
def test_from_store_to_purge_nothing_that_identifies_lies_on_disk(tmp_path: Path) -> None:
    first, second = new_spool_key(), new_spool_key()
    data = tmp_path / "data"
    environment = {"CASEBRIDGE_SPOOL_KEY_FILE": str(key_file(tmp_path, first)), "TMPDIR": str(data / "tmp")}
    (data / "tmp").mkdir(parents=True)
    other_pixels = canary(ct_instance, 3)
    other_pixels.PixelData = bytes(value ^ 1 for value in other_pixels.PixelData)
    objects = [
        canary(ct_instance, 1),
        canary(ct_instance, 1, number=2),
        burned_in(2),
        canary(ct_instance, 3),
        other_pixels,
        write_part10(canary(ct_instance, 4), transfer_syntax=DeflatedExplicitVRLittleEndian),
    ]

    with running_bridge(data, environment=environment) as bridge:
        deliver(bridge, tmp_path / "objects", objects, calling=SENDER)
        seen: set[str] = set()

        def worked_through() -> bool:
            seen.update(canaries_on_disk(data))
            report = bridge.status()["total"]
            return sum(report.get(what, 0) for what in ("inbox", "held")) == OBJECTS

        eventually(worked_through, within_s=240, what="all objects are filed or held")
        settled(bridge, SENDER, OBJECTS)
        assert seen | canaries_on_disk(data) == set()
        assert {"burned-in-text", "same-uid-different-pixels"} <= set(bridge.status()["held_by_reason"])
        spool = spool_of(bridge)
        arrivals, _ = spool.scan()
        texts = b""
        for one in arrivals:
            keys = (one.study_key, one.sop_key, one.arrival_id)
            with spool.open_original(*keys) as file:
                assert found_in(file.read())
            texts += spool.read_beside(*keys, "findings.json") or b""
        assert found_in(texts), "the text that was read lies beside its original, sealed"

        key_file(tmp_path, second, first)
        rekeyed = bridge.cli("spool", "rekey")
        assert rekeyed.returncode == 0, rekeyed.stderr
        assert len(spool_of(bridge).scan()[0]) == OBJECTS
        assert canaries_on_disk(data) == set()

    refuses_without_its_key(bridge)
    key_file(tmp_path, second)
    with running_bridge(data, environment=environment | {"CASEBRIDGE_RETENTION_DAYS": "0"}) as bridge:
        held = bridge.status()["total"]["held"]
        eventually(lambda: len(spool_of(bridge).scan()[0]) == held, within_s=60, what="the filed originals are purged")
        said = eventually(
            lambda: bridge.cli("originals", "purged", "--json").stdout, within_s=30, what="an audit entry"
        )
    lines = [json.loads(line) for line in said.splitlines()]
    kept = {one.arrival_id for one in spool_of(bridge).scan()[0]}
    gone = {one.arrival_id for one in arrivals} - kept
    assert {arrival for line in lines for arrival in line["arrivals"].split()} == gone
    assert canaries_on_disk(data) == set()
    assert found_in(bridge.log_file.read_bytes()) == set()


def refuses_without_its_key(bridge: RunningBridge) -> None:
    """No start without the key, and nothing is moved to quarantine for lack of it."""
    environ = {name: value for name, value in bridge.environ.items() if name != "CASEBRIDGE_SPOOL_KEY_FILE"}
    for command in ("serve", "scp", "worker"):
        done = subprocess.run(
            [sys.executable, "-m", "bridge", command],
            env=environ, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, "not configured" in done.stderr) == (2, True), done.stderr
    assert list((bridge.data_dir / "spool" / "quarantine").iterdir()) == []
