"""What surrounds every call, on a bridge as a user starts it."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.integration.running import RunningBridge, running_bridge


def status_of(bridge: RunningBridge, path: str) -> int:
    try:
        bridge.fetch(path)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


@pytest.mark.slow
def test_the_settings_limit_calls_and_a_key_outlives_a_power_cut(tmp_path: Path) -> None:
    settings = {"CASEBRIDGE_HTTP_CALLS_PER_MINUTE": "6"}
    with running_bridge(tmp_path / "data", environment=settings) as bridge:
        assert b"swagger-ui" in bridge.fetch("/docs")
        made = with_key(bridge, {"name": "ann"})
        bridge.kill_everything()
        bridge.start()
        again = with_key(bridge, {"name": "ann"})
        assert again == made
        assert [user["name"] for user in bridge.get("/api/v1/users")["items"]] == ["admin", "ann"]
        answers = [status_of(bridge, "/api/v1/me") for _ in range(6)]
        assert answers[0] == 200
        assert answers[-1] == 429


def with_key(bridge: RunningBridge, body: dict[str, str]) -> object:
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.http_port}/api/v1/users",
        method="POST",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {bridge.environ['CASEBRIDGE_ADMIN_TOKEN']}",
            "Content-Type": "application/json",
            "Idempotency-Key": "of-ann",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.loads(answer.read())
