"""Fixtures of the API's tests: a real database, a real blob folder, and clients that speak HTTP to the application."""

import asyncio
import shutil
import warnings

with warnings.catch_warnings():
    # Starlette recommends another HTTP client at import; it says nothing about our code
    warnings.filterwarnings("ignore", message=r".*httpx.*", category=Warning)
    import starlette.testclient  # noqa: F401

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.app import create_app
from api.limits import CallBudgets
from api.ports import Measurement
from bridge.consent import ConsentKey
from bridge.engine import EngineNotReadyError
from bridge.move_desk import MoveDesk
from bridge.peers import BridgePeers
from bridge.profile_desk import BridgeProfiles
from bridge.rerun_desk import RerunDesk
from cases.blobs import open_blobs
from cases.store import Database
from cases.users import Role
from config import Settings, load_settings
from deidentify.text_screen import KeyedTextScreen
from scp.peers import PeerRules, write_peer_rules
from scp.spool import Spool
from tests.api.pictures import instance
from tests.api.seed import TEXT_KEY, Somebody, World
from tests.bridge.looking import Looking, looking

CONSENT_KEY = X25519PrivateKey.generate()


class Condition:
    """A readiness that a test sets."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.said: list[str] = []

    def faults(self) -> Sequence[str]:
        return self.found

    def warnings(self) -> Sequence[str]:
        return self.said


class Figures:
    """Figures that a test sets."""

    def __init__(self) -> None:
        self.given = [
            Measurement(name="casebridge_instances", help="Objects by place.", value=3, labels={"place": "held"})
        ]

    def measurements(self) -> list[Measurement]:
        return self.given


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database file: copying it is faster than migrating for each test."""
    path = tmp_path_factory.mktemp("empty") / "casebridge.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def world(tmp_path: Path, empty_database: Path) -> Iterator[World]:
    shutil.copy(empty_database, tmp_path / "casebridge.db")
    database = Database.open(f"sqlite:///{tmp_path / 'casebridge.db'}")
    yield World(database=database, blobs=open_blobs((tmp_path / "blobs").as_uri()), secrets=[])
    database.close()


@pytest.fixture
def condition() -> Condition:
    return Condition()


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def peers(world: World, tmp_path: Path) -> BridgePeers:
    """The bridge's own, on a spool whose receiver was started without any rule."""
    spool = Spool(tmp_path / "spool", name_key=b"k" * 32, reserve_bytes=0)
    spool.prepare()
    write_peer_rules(spool.peer_rules_path, PeerRules(called_aes=("CASEBRIDGE",)))
    return BridgePeers(database=world.database, spool=spool, own_ae="CASEBRIDGE")


class Marks:
    """What lies beside the originals, as a test sets it."""

    def __init__(self) -> None:
        self.ends: dict[str, str] = {}

    def identified_accession_end(self, study_key: str) -> str | None:
        return self.ends.get(study_key)


@pytest.fixture
def marks() -> Marks:
    return Marks()


class Engine:
    """The job engine's side of asking for work: keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.is_ready = True

    def enqueue_study(self, _session: Session, study_key: str, generation: int, *, instances: int) -> None:
        if not self.is_ready:
            raise EngineNotReadyError("no worker has started on this database yet")
        self.asked.append((study_key, generation, instances))


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of the machine that the API runs on, with a folder for the site's profiles."""
    (tmp_path / "profiles").mkdir()
    environ = {
        "CASEBRIDGE_DATA_DIR": str(tmp_path),
        "CASEBRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'casebridge.db'}",
        "CASEBRIDGE_PROFILES_DIR": str(tmp_path / "profiles"),
    }
    return load_settings(environ)


@pytest.fixture
def reruns(world: World, settings: Settings, engine: Engine) -> RerunDesk:
    return RerunDesk(database=world.database, client=engine, settings=settings)  # type: ignore[arg-type]


@pytest.fixture
def looks(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    """The bridge's own looks at originals, on a spool; they are worked on when a test says so."""
    return looking(world.database, tmp_path, monkeypatch)


@pytest.fixture
def consent_seal() -> ConsentKey | None:
    """What documents of consents are sealed to; its private half is ``CONSENT_KEY``."""
    return ConsentKey(raw=CONSENT_KEY.public_key().public_bytes_raw())


@pytest.fixture
def budgets() -> CallBudgets:
    """How many calls a minute are answered."""
    return CallBudgets()


@pytest.fixture
def app(
    *,
    world: World,
    settings: Settings,
    condition: Condition,
    figures: Figures,
    peers: BridgePeers,
    marks: Marks,
    reruns: RerunDesk,
    engine: Engine,
    looks: Looking,
    consent_seal: ConsentKey | None,
    budgets: CallBudgets,
) -> FastAPI:
    return create_app(
        database=world.database,
        blobs=world.blobs,
        readiness=condition,
        metrics=figures,
        peers=peers,
        reruns=reruns,
        moves=MoveDesk(database=world.database, client=engine),  # type: ignore[arg-type]
        profiles=BridgeProfiles(settings, world.database),
        marks=marks,
        previews=looks.previews,
        impacts=looks.impacts,
        decisions=looks.decisions,
        consent_seal=consent_seal,
        text_screen=KeyedTextScreen(lambda _generation: TEXT_KEY),
        version="0.1.0",
        budgets=budgets,
    )


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def as_user(app: FastAPI) -> Callable[[Somebody], TestClient]:
    return lambda somebody: TestClient(app, headers=somebody.headers)


@pytest.fixture
def owner(world: World) -> Somebody:
    return world.user("owner")


@pytest.fixture
def stranger(world: World) -> Somebody:
    return world.user("stranger")


@pytest.fixture
def admin(world: World) -> Somebody:
    return world.user("admin", Role.ADMIN)


@pytest.fixture
def picture() -> bytes:
    return instance(np.arange(64, dtype="u2").reshape(8, 8))


def unread(app, somebody, method, path, *, content_type, query=b""):
    """Return the status of a request whose body must not be read."""
    answers = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "http",
        "query_string": query, "http_version": "1.1", "server": ("testserver", 80), "client": None,
        "headers": [
            (b"content-type", content_type.encode()),
            (b"content-length", b"1000"),
            (b"authorization", somebody.headers["Authorization"].encode()),
        ],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return answers[0]["status"]
