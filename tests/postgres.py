"""A throw-away PostgreSQL cluster for tests: unix socket only, gone with the process that started it."""

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresCluster:
    """A running cluster; every test takes a database of its own."""

    folder: Path
    user: str

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}"

    def new_database(self, template: str = "template1") -> str:
        """Create a database, empty or as its template is, and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with self._connect() as connection:
            # Before PostgreSQL 15 files are always copied; copied through the log, a database costs more to remove.
            strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database while its files have not yet reached the disk; hundreds of them are gigabytes."""
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE {name_of(url)} WITH (FORCE)")

    def _connect(self) -> "Connection[TupleRow]":
        import psycopg

        return psycopg.connect(host=str(self.folder), user=self.user, dbname="postgres", autocommit=True)


def name_of(url: str) -> str:
    """Return the name of the database in a URL of the cluster."""
    return str(make_url(url).database)


def missing_postgres() -> str | None:
    """Return why no cluster can be started here, or None."""
    if _binaries() is None:
        return "PostgreSQL's initdb and postgres are not installed"
    if _is_root() and (shutil.which("setpriv") is None or not _has_user("postgres")):
        return "PostgreSQL refuses to run as root, and there is no setpriv or no user postgres"
    return None


def require_postgres() -> None:
    """Skip the test, with the reason, where no cluster can be started."""
    reason = missing_postgres()
    if reason is not None:
        pytest.skip(reason)


@contextmanager
def temporary_postgres() -> Iterator[PostgresCluster]:
    """Run a fresh cluster; skip with a reason where PostgreSQL is absent. Meant for a fixture of the session."""
    require_postgres()
    binaries = _binaries()
    assert binaries is not None
    # A short path of its own: a socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user = "postgres" if _is_root() else getpass.getuser()
    try:
        if _is_root():
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        _run(
            [binaries / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            folder,
        )
        server = _start(binaries, data, folder)
        try:
            _wait_until_ready(folder, user, server)
            yield PostgresCluster(folder=folder, user=user)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            server.wait(timeout=20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(binaries: Path, data: Path, folder: Path) -> "subprocess.Popen[bytes]":
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",  # tests kill our processes, never this server
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "autovacuum": "off",  # else a worker goes round hundreds of databases all the time
        "max_connections": "200",
        "shared_buffers": "32MB",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*_as_server_user(), str(binaries / "postgres"), "-D", str(data), *options],
            stdout=log,
            stderr=log,
            cwd=folder,
        )


def _wait_until_ready(folder: Path, user: str, server: "subprocess.Popen[bytes]") -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(host=str(folder), user=user, dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    log = (folder / "log").read_text(errors="replace")
    raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}")


def _run(command: list[Path | str], folder: Path) -> None:
    words = [*_as_server_user(), *(str(word) for word in command)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        raise RuntimeError(f"{words[-1]} failed: {done.stderr[-2000:]}")


def _as_server_user() -> list[str]:
    if not _is_root():
        return []
    # The parent's death ends the cluster too, so that a killed test run leaves nothing behind.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT", "--"]


def _binaries() -> Path | None:
    # The versioned folder first: what lies on PATH may be a wrapper.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _has_user(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())
