"""Held images of a running bridge are looked at, left out, taken back and confirmed, by real workers."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.running import RunningBridge, eventually, running_bridge
from tests.integration.senders import deliver, settled
from tests.integration.test_privacy import burned_in, found_in


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path / "data") as running:
        deliver(running, tmp_path / "named", [burned_in(1)], calling="NAMED")
        settled(running, "NAMED", 1)
        yield running


def the_hold(bridge: RunningBridge, state: str = "open") -> dict[str, Any] | None:
    return next(iter(bridge.get(f"/api/v1/holds?state={state}")["items"]), None)


def post(bridge: RunningBridge, path: str, **body: Any) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(bridge.fetch(path, method="POST", body=body))
    return answered


def ended(bridge: RunningBridge, rerun: str) -> dict[str, Any]:
    """Wait until a re-run is over."""

    def over() -> dict[str, Any] | None:
        told: dict[str, Any] = bridge.get(f"/api/v1/reruns/{rerun}")
        return told if told["state"] in {"done", "failed"} else None

    return eventually(over, within_s=120, what="the image was looked at again")


@pytest.mark.slow
def test_a_held_image_is_looked_at_left_out_and_taken_back(bridge: RunningBridge) -> None:
    hold = the_hold(bridge)
    assert hold is not None
    url = f"/api/v1/holds/{hold['id']}"
    whole = bridge.get(url)
    assert found_in(json.dumps(whole["boxes"]).encode())
    picture = np.asarray(Image.open(io.BytesIO(bridge.fetch(hold["thumbnail"]))))
    assert picture.any()
    assert post(bridge, f"{url}/decision", action="drop")["holds"] == [hold["id"]]
    assert the_hold(bridge) is None
    assert bridge.get("/api/v1/status")["dropped_by_reason"] == {"review": 1}
    assert post(bridge, f"{url}/undo")["reruns"] == []
    again = the_hold(bridge)
    assert again is not None
    assert (again["id"], again["reason"], again["reviews"]) == (hold["id"], hold["reason"], 0)

    decided = post(bridge, f"{url}/decision", action="confirm")
    told = ended(bridge, decided["reruns"][0])
    assert (told["state"], told["total"], told["done"]) == ("done", 1, 1)
    assert bridge.get("/api/v1/status")["total"]["adds_up"]
    assert not found_in(bridge.log_file.read_bytes())


@pytest.mark.slow
@pytest.mark.xfail(reason="the pipeline does not redact what was decided yet")
def test_a_confirmed_image_is_released_with_its_boxes_black_and_held_again_when_that_is_undone(
    bridge: RunningBridge,
) -> None:
    hold = the_hold(bridge)
    assert hold is not None
    url = f"/api/v1/holds/{hold['id']}"
    decided = post(bridge, f"{url}/decision", action="confirm")
    ended(bridge, decided["reruns"][0])
    released = the_hold(bridge, "released")
    assert released is not None
    [case] = bridge.all_items("/api/v1/cases")
    [study] = bridge.get(f"/api/v1/cases/{case['id']}")["studies"]
    [image] = study["series"][0]["images"]
    rendered = f"/api/v1/cases/{case['id']}/images/{image['id']}/rendered"
    pixels = np.asarray(Image.open(io.BytesIO(bridge.fetch(rendered))))
    for box in bridge.get(url)["redact"]:
        place = pixels[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]]
        assert not place.any()

    undone = post(bridge, f"{url}/undo")
    assert the_hold(bridge) is not None
    ended(bridge, undone["reruns"][0])
    again = the_hold(bridge)
    assert again is not None
    assert bridge.get(url)["redact"] == []
