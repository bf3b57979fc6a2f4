import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scp.server import Receiver, ReceiverSettings
from scp.spool import Spool

NAME_KEY = b"n" * 32


def wait_for(condition: Callable[[], object], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0)
    spool.prepare()
    return spool


@pytest.fixture
def receiver(spool: Spool) -> Iterator[Receiver]:
    with Receiver(settings(), spool) as receiver:
        yield receiver


def settings(**changes: object) -> ReceiverSettings:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 0,
        "artim_timeout_s": 10.0,
        "network_timeout_s": 10.0,
        "stop_timeout_s": 2.0,
    }
    return ReceiverSettings(**(values | changes))  # type: ignore[arg-type]
