"""Studies in a real spool, and looks at them as a worker runs them, with the child processes' work done in this one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge import look_child, pipeline
from bridge.children import Children
from bridge.file_preview import Previews
from bridge.hold_desk import HoldDesk
from bridge.impact_desk import ImpactDesk
from bridge.jobs import Jobs
from bridge.keys import Keys
from bridge.looks import LookRunner
from bridge.pipeline import Tools
from bridge.pool import ChildDiedError
from cases.store import Database, Intake
from config import Settings, load_settings
from scp.arrival import Arrival
from scp.sealing import SpoolKeys
from scp.spool import Spool
from tests.bridge.spooled import arrive
from tests.bridge.test_scanner import Engine, scanner
from tests.cases.world import NOON


class Inline:
    """A pool that works in this process; an arrival that is to die takes its child with it each time."""

    def __init__(self) -> None:
        self.dies: set[str] = set()
        self.before: Callable[[], None] = lambda: None
        self.tasks: list[Any] = []

    def run(self, function: Callable[[Any], Any], look: Any, **_: object) -> Any:
        self.tasks.append(look)
        self.before()
        if look.task.arrival_id in self.dies:
            raise ChildDiedError
        return function(look)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """A worker and an API on one spool and database."""

    database: Database
    spool: Spool
    settings: Settings
    engine: Engine = field(default_factory=Engine)
    pool: Inline = field(default_factory=Inline)

    def received(self, *studies: tuple[int, int]) -> list[Arrival]:
        """Let instances (study, number) arrive and settle."""
        arrivals = [arrive(self.spool, study, number) for study, number in studies]
        self.recorded()
        return arrivals

    def recorded(self) -> None:
        """Record what lies in the spool."""
        scanner(self.database, self.spool, self.engine).tick()
        self.engine.jobs.clear()

    def purge(self, *arrivals: Arrival) -> None:
        """Let originals go as retention does."""
        for one in arrivals:
            self.spool.remove(one.study_key, one.sop_key, one.arrival_id)
        with self.database.write() as session:
            Intake(session).mark_purged([one.arrival_id for one in arrivals], NOON)

    @property
    def previews(self) -> Previews:
        return Previews(
            database=self.database,
            spool=self.spool,
            client=self.engine,  # type: ignore[arg-type] # a fake with the one method that is used
            settings=self.settings,
        )

    @property
    def decisions(self) -> HoldDesk:
        return HoldDesk(
            database=self.database,
            spool=self.spool,
            client=self.engine,  # type: ignore[arg-type]
            pictures=self.pool,
        )

    @property
    def impacts(self) -> ImpactDesk:
        return ImpactDesk(database=self.database, client=self.engine, settings=self.settings)  # type: ignore[arg-type]

    @property
    def jobs(self) -> Jobs:
        children = Children(pool=self.pool, threads=1, timeout_s=60.0)  # type: ignore[arg-type]
        looks = LookRunner(
            database=self.database,
            spool=self.spool,
            children=children,
            profile_folder=self.settings.data_dir / "profiles",
        )
        return Jobs(database=self.database, looks=looks, studies=None, reruns=None, moves=None)  # type: ignore[arg-type]

    def work(self) -> None:
        """Run what was asked for."""
        while self.engine.jobs:
            study, generation, _ = self.engine.jobs.pop(0)
            self.jobs.run(study, generation)


def looking(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, keys: SpoolKeys | None = None
) -> Looking:
    """Return an installation in a folder, with the tools of its child processes set in this one."""
    spool = Spool(folder / "spool", name_key=b"n" * 32, reserve_bytes=0, keys=keys)
    spool.prepare()
    tools = Tools(
        keys=Keys.derive(bytes(32)),
        spool_keys=keys,
        spool_root=spool.root,
        blob_url=f"file://{folder / 'blobs'}",
        profile_folder=folder / "data" / "profiles",
        log_level="INFO",
    )
    monkeypatch.setattr(pipeline, "_tools", tools)
    for made in (pipeline.spool, pipeline.deidentifier_of, pipeline.screener, look_child._previewer):
        made.cache_clear()
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(folder / "data"), "CASEBRIDGE_PROFILE": "teaching"})
    return Looking(database=database, spool=spool, settings=settings)
