"""Databases for tests: SQLite always, PostgreSQL where it is installed; each test gets a fresh, migrated one."""

import gc
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.util import LRUCache

from cases.store import Database
from tests.faults.ledger import HEAD, table
from tests.postgres import PostgresCluster, name_of, temporary_postgres

# The tests start hundreds of programs; where Python may not keep what it compiled, each compiles everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the cycle collector rest meanwhile: thousands of tests are collected, and stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a process does to its logging when it starts, where a test starts one inside its own."""
    root, ours = logging.getLogger(), logging.getLogger("casebridge")
    handlers, levels, hooks = list(root.handlers), (root.level, ours.level), (sys.excepthook, threading.excepthook)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    sys.excepthook, threading.excepthook = hooks


class Statements(LRUCache[Any, Any]):
    """What SQLAlchemy compiled for one kind of database: whichever database of the kind it was compiled for."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        super().__setitem__(key[1:], value)


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Share what was compiled among the databases of all tests; the first part of a key is the engine's dialect."""
    kept = {"sqlite": Statements(1000), "postgresql": Statements(1000)}

    def create(url: str, **options: Any) -> Engine:
        shared = {"compiled_cache": kept[make_url(url).get_backend_name()]}
        return create_engine(url, execution_options=shared, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cases.store.database.create_engine", create)
        yield


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep passwords as always, but at a cost that hundreds of sign-ins can bear."""
    import argon2

    import cases.passwords

    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(cases.passwords, "_hasher", lambda: cheap)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    with temporary_postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: PostgresCluster) -> str:
    """The name of a migrated database that others are copied from."""
    url = postgres_cluster.new_database()
    database = Database.open(url)
    database.migrate()
    database.close()
    return name_of(url)


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """An empty database."""
    url = postgres_cluster.new_database()
    yield url
    postgres_cluster.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        opened = Database.open(f"sqlite:///{shutil.copy(template, tmp_path / 'cases.sqlite')}")
        yield opened
        opened.close()
    else:
        cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
        url = cluster.new_database(request.getfixturevalue("postgres_template"))
        opened = Database.open(url)
        yield opened
        opened.close()
        cluster.drop(url)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the fault suite found, where it ran."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    rows = table(reports)
    if rows:
        terminalreporter.section("faults")
        widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
        for row in (HEAD, *rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            terminalreporter.write_line("  ".join(cells).rstrip())
