"""What a sender and an auditor hold against the bridge: who was told Success, and where each object is now."""

import gc
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bridge.keys import load_keys
from cases.blobs import open_blobs
from cases.errors import StoreUnavailableError
from cases.store import Database
from scp.send import Sent, send
from scp.spool import Spool
from tests.builders import ROOT, ct_instance, uid, write_part10
from tests.integration.running import RunningBridge, eventually

CANARIES = (b"Testperson", b"PID-700123", b"ACC-9000", b"Erfundene", b"Nirgendwo", ROOT.encode())
"""What every object carries and nothing outside the spool may hold."""

FIRST_SERIES = 100
"""Series numbers tell the studies apart in de-identified files, where no original UID is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentObject:
    """One object to send, and by what it is known afterwards: series and instance number stay in the file."""

    path: Path
    sop_instance_uid: str
    series: int
    number: int


def make_studies(folder: Path, *, studies: int, images: int) -> list[SentObject]:
    """Write small CT studies, one folder and one series each, of 64 to 128 pixels a side, no two images alike."""
    made = []
    for study in range(1, studies + 1):
        home = folder / f"study-{study:02}"
        home.mkdir(parents=True)
        for number in range(1, images + 1):
            series, side = FIRST_SERIES + study, 64 + (study * 7 + number * 13) % 65
            instance = ct_instance(
                study=study,
                series=series,
                number=number,
                rows=side,
                columns=side,
                PixelData=_picture(side, study, number),
            )
            path = home / f"{number:03}.dcm"
            path.write_bytes(write_part10(instance))
            made.append(
                SentObject(path=path, sop_instance_uid=uid(study, series, number), series=series, number=number)
            )
    return made


def _picture(side: int, study: int, number: int) -> bytes:
    """Return a soft blob on a ramp: nothing in it that could be taken for text."""
    y, x = np.mgrid[0:side, 0:side] / side
    blob = 1800 * np.exp(-((x - 0.3 - number / 40) ** 2 + (y - 0.3 - study / 60) ** 2) * 12)
    pixels: bytes = (200 + 400 * x + blob + number).astype("<u2").tobytes()
    return pixels


@dataclass
class Sender:
    """Sends what it was released to send, again and again, until each object has its Success; never twice after it."""

    port: int
    acknowledged: set[Path] = field(default_factory=set)
    _released: list[SentObject] = field(default_factory=list)
    _wake: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sender")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._thread is not None
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        assert self.fault is None
        # pynetdicom loses sockets of connections that were refused: here and now, where the tests ignore it.
        gc.collect()

    def release(self, objects: Iterable[SentObject]) -> None:
        self._released.extend(objects)

    @property
    def outstanding(self) -> list[Path]:
        return [one.path for one in self._released if one.path not in self.acknowledged]

    def _run(self) -> None:
        try:
            pause_s = 0.05
            while not self._stopping.wait(pause_s):
                pause_s = 0.05
                for folder in sorted({path.parent for path in self.outstanding}):
                    wanted = [path for path in self.outstanding if path.parent == folder]
                    sent = send(
                        wanted, host="127.0.0.1", port=self.port, called_ae="CASEBRIDGE", on_progress=self._note
                    )
                    if sent.rejection:
                        pause_s = 0.3  # nobody listens just now
                        break
        except BaseException as error:
            self.fault = error
            raise

    def _note(self, _done: int, _all: int, result: object) -> None:
        if result.outcome is Sent.STORED and result.status == 0:  # type: ignore[attr-defined]
            self.acknowledged.add(result.identified_path)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the bridge is with what it knows of, by its database."""

    arriving: int
    working: int
    done: int

    @property
    def known(self) -> int:
        """How many arrivals have a row."""
        return self.arriving + self.working + self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Reads database, spool and blobs beside the running bridge."""

    bridge: RunningBridge
    database: Database
    blob_url: str
    spool_dir: Path
    secret_file: Path

    def progress(self) -> Progress:
        try:
            [row] = self.rows(
                "SELECT count(CASE WHEN generation IS NULL THEN 1 END),"
                " count(CASE WHEN generation IS NOT NULL AND outcome = 'received' THEN 1 END),"
                " count(CASE WHEN outcome <> 'received' THEN 1 END) FROM received_instance"
            )
        except (StoreUnavailableError, ProgrammingError):
            return Progress(arriving=0, working=0, done=0)  # killed before there were tables
        return Progress(arriving=row[0], working=row[1], done=row[2])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.read() as session:
            return [tuple(row) for row in session.execute(text(query))]

    def wait_until_idle(self, *, arrivals: Callable[[], bool], within_s: float) -> None:
        """Wait until everything was sent, indexed and worked through."""

        def idle() -> bool:
            # In this order: what is indexed between two looks must be seen by the second one.
            if not arrivals() or self._unindexed():
                return False
            progress = self.progress()
            return progress.arriving == progress.working == 0

        eventually(idle, within_s=within_s, what="everything that was sent is worked through")

    def _spooled(self) -> set[str]:
        return {path.stem.split("-")[1] for path in (self.spool_dir / "studies").glob("*/*.dcm")}

    def _unindexed(self) -> set[str]:
        return self._spooled() - {row[0] for row in self.rows("SELECT arrival_id FROM received_instance")}

    def check(self, objects: Sequence[SentObject], acknowledged: set[Path]) -> None:
        """Hold the sender's books against the bridge's, object by object."""
        assert {one.path for one in objects} == acknowledged
        self._check_places(objects)
        self._check_sum(len(objects))
        self._check_leftovers()
        self._check_blobs()

    def _check_places(self, objects: Sequence[SentObject]) -> None:
        """Each object is one image of one draft or one open hold, and each study is one draft."""
        places: Counter[tuple[int, int]] = Counter()
        cases = [self.bridge.get(f"/api/v1/cases/{item['id']}") for item in self.bridge.all_items("/api/v1/cases")]
        for case in cases:
            for study in case["studies"]:
                for series in study["series"]:
                    places.update((series["number"], image["instance_number"]) for image in series["images"])
        spool = Spool(self.spool_dir, name_key=load_keys(self.secret_file).name_key, reserve_bytes=0)
        known = {spool.sop_key(one.sop_instance_uid): (one.series, one.number) for one in objects}
        held = self.rows(
            "SELECT r.sop_key FROM hold h JOIN received_instance r USING (arrival_id) WHERE h.state = 'open'"
        )
        places.update(known[key] for (key,) in held)
        assert places == Counter((one.series, one.number) for one in objects)
        assert len(self.bridge.all_items("/api/v1/holds")) == len(held)
        assert len(held) <= len(objects) // 20, f"{len(held)} clean images are held"
        assert len(cases) == len({one.series for one in objects})

    def _check_sum(self, objects: int) -> None:
        """Nothing was dropped or replaced: what was stored beyond the objects are resends of the same."""
        status = self.bridge.status()
        total = status["total"]
        assert status["adds_up"], total
        assert total["inbox"] + total["in_draft"] + total["held"] == objects, total
        assert total["stored"] - total["duplicate"] == objects, total
        assert total["stored"] == len(self._spooled())
        assert status["spool"]["unreadable_files"] == 0
        assert status["arriving"] == 0

    def _check_leftovers(self) -> None:
        """No work is pending, and no unfinished file lies about."""
        progress = self.progress()
        assert (progress.arriving, progress.working) == (0, 0)
        schema = "dbos." if self.database.engine.dialect.name == "postgresql" else ""

        def unfinished_jobs() -> list[tuple[Any, ...]]:
            return self.rows(f"SELECT workflow_uuid, status FROM {schema}workflow_status WHERE status <> 'SUCCESS'")

        eventually(lambda: not unfinished_jobs(), within_s=20, what="every job is done")
        incoming = list((self.spool_dir / "incoming").iterdir())
        assert incoming == []
        eventually(
            lambda: not [path for path in (self.spool_dir / "journal").rglob("*.jsonl") if path.is_file()],
            within_s=20,
            what="every association's journal is in the books",
        )

    def _check_blobs(self) -> None:
        """Every image's blob is there, whole and clean, and there is no other."""
        blobs = open_blobs(self.blob_url)
        images = self.rows("SELECT blob_key, sha256 FROM case_image")
        for key, sha256 in images:
            content = blobs.read(key)
            assert hashlib.sha256(content).hexdigest() == sha256
            assert not any(canary in content for canary in CANARIES)
        assert len({key for key, _ in images}) == len(images)


def files_that_identify(folder: Path, *, leaving_out: Iterable[Path] = ()) -> list[str]:
    """Return the files below a folder that hold a canary, each with the number of the canary."""
    skipped = tuple(leaving_out)
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not any(path.is_relative_to(out) for out in skipped):
            content = path.read_bytes()
            found += [f"{path.relative_to(folder)}: {number}" for number, one in enumerate(CANARIES) if one in content]
    return found
