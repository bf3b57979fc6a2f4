"""Workers for the engine's tests: in this process, or as one that a test kills.

A body writes one line when it begins and one when it ends, and, for a key that starts with ``gated``, waits for the
file ``go-<key>`` in between.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from sqlalchemy.orm import Session

from bridge.engine import Engine, EngineClient
from cases.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    what: str
    study_key: str
    generation: int
    worker_id: str


class Ledger:
    """What happened, in order, written by any process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events"
        self._folder = folder

    def write(self, what: str, study_key: str, generation: int, worker_id: str) -> None:
        line = json.dumps([what, study_key, generation, worker_id]) + "\n"
        with self._path.open("a") as file:
            file.write(line)

    def events(self, what: str = "") -> list[Event]:
        if not self._path.exists():
            return []
        lines = self._path.read_text().splitlines()
        events = [
            Event(what=kind, study_key=key, generation=generation, worker_id=worker)
            for kind, key, generation, worker in map(json.loads, lines)
        ]
        return [event for event in events if what in ("", event.what)]

    def keys(self, what: str) -> list[tuple[str, int]]:
        return [(event.study_key, event.generation) for event in self.events(what)]

    def open_gate(self, study_key: str) -> None:
        (self._folder / f"go-{study_key}").touch()

    def body(self, worker_id: str) -> Callable[[str, int], None]:
        def run(study_key: str, generation: int) -> None:
            self.write("begin", study_key, generation, worker_id)
            gate = self._folder / f"go-{study_key}"
            while study_key.startswith("gated") and not gate.exists():
                if (self._folder / "interrupt").exists():
                    raise InterruptedError
                time.sleep(0.01)
            self.write("end", study_key, generation, worker_id)

        return run


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> float:
    """Wait for a condition; return how long it took, in s."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"waited in vain: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def open_database(url: str) -> sqlalchemy.Engine:
    """Open a database as everybody else in the program does."""
    return Database.open(url).engine


def make_engine(url: str, worker_id: str, folder: Path, *, concurrency: int = 4, **options) -> Engine:
    ledger = Ledger(folder)
    options.setdefault("run_study", ledger.body(worker_id))
    options.setdefault("on_failed", lambda key, generation, reason: ledger.write(reason, key, generation, worker_id))
    options.setdefault("retry_delays_s", (0.01, 0.02))
    return Engine(database_url=url, worker_id=worker_id, concurrency=concurrency, poll_interval_s=0.1, **options)


@contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    engine.start()
    try:
        yield engine
    finally:
        engine.stop(grace_s=0.5)


def enqueue(database: sqlalchemy.Engine, *jobs: tuple[str, int, int]) -> None:
    """Enqueue (study key, generation, instances), each in a transaction of its own."""
    client = EngineClient(engine=database)
    for study_key, generation, instances in jobs:
        with Session(database) as session, session.begin():
            client.enqueue_study(session, study_key, generation, instances=instances)


def main(url: str, worker_id: str, folder: str) -> None:
    """Work until SIGTERM; reclaim the worker that the file ``reclaim`` names."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    engine = make_engine(url, worker_id, Path(folder))
    engine.start()
    Path(folder, f"ready-{worker_id}-{os.getpid()}").touch()
    order = Path(folder, f"reclaim-{worker_id}")
    while not stop.wait(0.02):
        if order.exists():
            dead = order.read_text()
            order.unlink()
            pending = engine.pending_of(dead)
            Path(folder, "reclaimed.part").write_text(json.dumps([pending, engine.reclaim(dead)]))
            Path(folder, "reclaimed.part").rename(Path(folder, "reclaimed"))
    engine.stop(grace_s=2.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
