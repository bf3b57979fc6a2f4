"""One running bridge for all tests of a module: they keep apart by sender and study."""

from collections.abc import Iterator

import pytest

from tests.integration.running import RunningBridge, running_bridge


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("bridge") / "data") as running:
        yield running
