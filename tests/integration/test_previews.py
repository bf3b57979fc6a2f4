"""A study that a running bridge has is previewed and compared over HTTP, by real workers, plain and sealed."""

import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bridge.spool_keys import new_spool_key
from tests.builders import ct_instance, write_part10
from tests.integration.running import ADMIN_TOKEN, RunningBridge, eventually, running_bridge
from tests.integration.senders import deliver, settled
from tests.integration.test_privacy import burned_in, found_in
from tests.integration.test_sealed_spool import canaries_on_disk, key_file


def ask(bridge: RunningBridge, path: str, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(bridge.fetch(path, method="POST", body=body))
    return told


def done(bridge: RunningBridge, path: str) -> dict[str, Any]:
    """Wait until what was asked for is over."""

    def over() -> dict[str, Any] | None:
        told: dict[str, Any] = bridge.get(path)
        return told if told["state"] in {"done", "failed"} else None

    return eventually(over, within_s=120, what=f"{path.split('/')[3]} done")


def previewed(bridge: RunningBridge, **asked: Any) -> tuple[str, dict[str, Any]]:
    url = f"/api/v1/previews/{ask(bridge, '/api/v1/previews', **asked)['id']}"
    return url, done(bridge, url)


@pytest.mark.slow
def test_a_study_is_previewed_over_http_and_its_pictures_are_fetched(tmp_path: Path) -> None:
    """On a sealed spool; ``test_privacy`` has a plain one."""
    environment = {"CASEBRIDGE_SPOOL_KEY_FILE": str(key_file(tmp_path, new_spool_key()))}
    data = tmp_path / "data"
    with running_bridge(data, environment=environment) as bridge:
        deliver(bridge, tmp_path / "named", [burned_in(1)], calling="NAMED")
        deliver(bridge, tmp_path / "clean", [ct_instance(study=2, number=n) for n in (1, 2, 3)], calling="CLEAN")
        settled(bridge, "NAMED", 1)
        settled(bridge, "CLEAN", 3)
        keys = {one["calling_ae"]: one["study_key"] for one in json.loads(bridge.cli("originals", "--json").stdout)}

        url, told = previewed(bridge, study=keys["NAMED"], profile="teaching")
        assert told["outcomes"] == {"held: burned-in-text": 1}, told
        whole = bridge.fetch(f"{url}/instances/1")
        assert found_in(whole)
        assert Image.open(io.BytesIO(bridge.fetch(f"{url}/instances/1/pictures/1"))).format == "PNG"

        url, told = previewed(bridge, study=keys["CLEAN"], profile="strict", most=2, pixels=False)
        assert (told["outcomes"], told["total"]) == ({"delivered": 2}, 2), told

        impact = ask(bridge, "/api/v1/impacts", first="teaching", second="strict")
        told = done(bridge, f"/api/v1/impacts/{impact['id']}")
        assert (told["studies"], told["instances"], told["touched"]) == (2, 4, 4), told
        assert not found_in(json.dumps(told).encode())

        assert handed_in(bridge, write_part10(ct_instance()))["outcome"] == "delivered"
        beside = list(bridge.data_dir.rglob("*.preview-*"))
        assert {path.suffix for path in beside} == {".json", ".png"}
        assert canaries_on_disk(data) == set()
    assert not found_in(bridge.log_file.read_bytes())

    with running_bridge(data, environment=environment | {"CASEBRIDGE_RETENTION_DAYS": "0"}) as bridge:
        clean = data / "spool" / "studies" / keys["CLEAN"]
        eventually(lambda: not list(clean.glob("*.*")), within_s=60, what="originals went, and previews with them")
        assert refused(bridge, f"{url}/instances/1") == 410


def handed_in(bridge: RunningBridge, content: bytes) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.http_port}/api/v1/previews/file?profile=teaching&pixels=false",
        method="POST",
        data=content,
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/dicom"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def refused(bridge: RunningBridge, path: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        bridge.fetch(path)
    error.value.close()
    return error.value.code
