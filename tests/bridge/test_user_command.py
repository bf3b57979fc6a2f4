"""``casebridge user``: what a person at the machine does with accounts."""

import json
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.__main__ import main
from bridge.app import prepare
from cases.store import Accounts, Audit, Database
from cases.store.passwords import prove
from cases.users import Role, Scope, UserChange
from config import load_settings
from tests.tools import CHECKOUT

PASSWORD = "a horse that is correct"
pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})
    prepare(settings)
    return Database.open(settings.database_url)


def run(*arguments: str, typed: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["user", *arguments], input=typed)


def test_an_account_is_made_gets_a_password_and_is_shut_out(database: Database) -> None:
    assert run("add", "carla", "--role", "editor").exit_code == 0
    given = run("set-password", "carla", typed=f"{PASSWORD}\n".encode())
    assert given.exit_code == 0, given.output
    assert PASSWORD not in given.output
    carla = prove(database, "carla", PASSWORD).user_id
    with database.read() as session:
        assert Accounts(session).user(carla).role is Role.EDITOR
    assert run("disable", "carla").exit_code == 0
    with database.read() as session:
        assert Accounts(session).user(carla).is_disabled
        entries = Audit(session).entries(subject=carla)
    assert [entry.action for entry in entries] == ["user.create", "password.set", "user.edit"]
    assert all(entry.actor.startswith("command-line") for entry in entries)


def test_the_list_shows_roles_limits_and_what_is_special(database: Database) -> None:
    run("add", "carla")
    with database.write() as session:
        carla = Accounts(session).user_named("carla")
        assert carla is not None
        Accounts(session).edit(carla.id, UserChange(is_trusted=True, is_disabled=True))
    [line] = [line for line in run("list").output.splitlines() if line.startswith("carla")]
    assert line.split() == ["carla", "contributor", "0/10", "0/10", "0", "disabled,", "trusted"]
    values = {one["name"]: one for one in json.loads(run("list", "--json").output)}
    assert set(values) == {"admin", "carla"}
    assert values["admin"]["pending_limit"] == 3
    assert values["carla"]["is_disabled"] is True


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("add", "admin"), b"", "there is a user of this name"),
        (("add", "two words"), b"", "one word"),
        (("disable", "nobody"), b"", "no account of this name"),
        (("disable", "admin"), b"", "last administrator"),
        (("set-password", "nobody"), b"a horse that is correct\n", "no account of this name"),
        (("set-password", "admin"), b"short\n", "12 to 200 characters"),
        (("set-password", "admin"), b"", "only line"),
        (("set-password", "admin"), b"a horse that is\ncorrect\n", "only line"),
        (("set-password", "admin"), b"\xff\xfe a horse\n", "no UTF-8"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    database: Database, arguments: tuple[str, ...], typed: bytes, said: str
) -> None:
    done = run(*arguments, typed=typed)
    assert done.exit_code == 1
    assert said in done.output
    assert "horse" not in done.output
    assert len(done.output.splitlines()) == 1


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(database: Database) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-m", "bridge", "user", "set-password", "admin"]
    with subprocess.Popen(
        command, stdin=there, stdout=there, stderr=there, cwd=CHECKOUT, start_new_session=True
    ) as one:
        import os

        os.close(there)
        seen = b""
        answers = [PASSWORD, PASSWORD]
        while True:
            try:
                seen += os.read(here, 1000)
            except OSError:  # the program ended, and its terminal with it
                break
            if answers and seen.count(b": ") > 2 - len(answers):
                os.write(here, f"{answers.pop()}\n".encode())
        assert one.wait(30) == 0, seen
    os.close(here)
    assert PASSWORD.encode() not in seen
    assert b"Repeat" in seen
    prove(database, "admin", PASSWORD)


def token(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", "carla", *arguments])


def test_a_token_from_the_command_line_is_as_narrow_and_lasts_as_long_as_it_was_asked_for(database: Database) -> None:
    usual = token()
    narrow = token("--scope", "read", "--scope", "write", "--days", "1", "--label", "narrow")
    lasting = token("--never-expires", "--label", "lasting")
    with database.read() as session:
        accounts = Accounts(session)
        found = [accounts.authenticate(done.output.strip()) for done in (usual, narrow, lasting)]
        assert found[0] is not None
        kept = {one.label: one for one in accounts.tokens(found[0].id)}
    everything = {Scope.READ, Scope.WRITE, Scope.MODERATE}
    assert [one.scopes for one in found if one] == [everything, {Scope.READ, Scope.WRITE}, everything]
    ends = [kept[label].expires_at for label in ("command line", "narrow")]
    left = [round((end - datetime.now(UTC)).total_seconds() / 86400, 1) for end in ends if end]
    assert left == [90.0, 1.0]
    assert kept["lasting"].expires_at is None


def test_a_token_beyond_the_role_is_not_issued(database: Database) -> None:
    done = token("--scope", "administer")
    assert done.exit_code == 1
    assert "administer" in done.output
    assert len(done.output.splitlines()) == 1
