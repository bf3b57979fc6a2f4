"""``casebridge audit``: exports verify, whole and in part; what was changed, dropped or cut off is named."""

import json
import logging
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import text

from bridge.__main__ import main
from bridge.app import prepare
from bridge.audit_head import AuditHeadLog
from cases.audit import AuditEntry, AuditHead, ChainCheck
from cases.store import Audit, Database
from config import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    chosen = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})
    prepare(chosen)
    return chosen


@pytest.fixture
def database(settings: Settings) -> Database:
    """A database whose log has what the start wrote, and ten entries more."""
    database = Database.open(settings.database_url)
    for number in range(10):
        with database.write() as session:
            Audit(session).append("ann" if number % 3 else "bob", "case.edit", f"c{number}", {"version": number})
    return database


def run(*arguments: str, **terms: object) -> Result:
    return CliRunner().invoke(main, ["audit", *arguments], **terms)  # type: ignore[arg-type]


def head(database: Database) -> AuditHead:
    with database.read() as session:
        return Audit(session).head()


def change(database: Database, *statements: str) -> None:
    """Change the log as somebody does who owns the database, and may drop its triggers."""
    with database.engine.begin() as connection:
        for name in ("update", "delete", "replace"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS audit_entry_no_{name}"))
        for statement in statements:
            connection.execute(text(statement))


def exported(tmp_path: Path, *options: str) -> tuple[Path, list[str]]:
    path = tmp_path / f"export{len(options)}.jsonl"
    path.unlink(missing_ok=True)
    done = run("export", str(path), *options)
    assert done.exit_code == 0, done.output
    return path, path.read_text().splitlines()


def test_the_head_is_printed_for_people_and_programs(database: Database) -> None:
    newest = head(database)
    assert run("head").stdout == f"{newest.place} {newest.digest}\n"
    assert json.loads(run("head", "--json").stdout) == {"place": newest.place, "digest": newest.digest}


def test_a_whole_database_verifies(database: Database) -> None:
    newest = head(database)
    done = run("verify")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{newest.place} entries, chain whole, head {newest.place} {newest.digest}\n"


def test_verifying_and_the_head_leave_no_entry_but_an_export_does(database: Database, tmp_path: Path) -> None:
    before = head(database)
    run("head")
    run("verify")
    assert head(database) == before
    _, lines = exported(tmp_path, "--actor", "ann")
    with database.read() as session:
        [entry] = Audit(session).entries(after=before.place)
    assert (entry.action, entry.subject, entry.detail) == ("audit.export", "audit", {"filters": "actor"})
    assert entry.actor.startswith("command-line")
    assert json.loads(lines[0])["head"] == {"place": entry.place, "digest": entry.digest}


def test_a_whole_export_verifies_without_the_database_and_ends_with_its_own_entry(
    database: Database, tmp_path: Path
) -> None:
    path, lines = exported(tmp_path)
    newest = head(database)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(lines[-1])["action"] == "audit.export"
    shutil.rmtree(tmp_path / "data")
    told = f"{newest.place} entries, chain whole, head {newest.place} {newest.digest}\n"
    assert run("verify", str(path)).stdout == told
    assert run("verify", "-", input=path.read_bytes()).stdout == told


def test_standard_output_has_the_same_lines(database: Database) -> None:
    done = run("export", "-")
    assert done.exit_code == 0, (done.output, done.exception)
    title, *lines = done.stdout.splitlines()
    assert json.loads(title)["entries"] == len(lines) == head(database).place
    assert f"{len(lines)} entries exported" in done.stderr


def test_a_part_verifies_as_a_part(database: Database, tmp_path: Path) -> None:
    with database.read() as session:
        all_of_it = Audit(session).entries()
    path, lines = exported(tmp_path, "--actor", "bob")
    assert [json.loads(line)["subject"] for line in lines[1:]] == ["c0", "c3", "c6", "c9"]
    done = run("verify", str(path))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("4 entries, each whole, head ")
    assert "a part by actor: places " in done.stdout
    assert "6 between them left out" in done.stdout

    at = all_of_it[-5].at.replace(tzinfo=None).isoformat(timespec="seconds")
    both = ("--since", at, "--until", "2999-01-01", "--subject", "c9", "--action", "case.")
    path, lines = exported(tmp_path, *both)
    assert [json.loads(line)["subject"] for line in lines[1:]] == ["c9"]
    assert "a part by action, since, subject, until" in run("verify", str(path)).stdout

    path, lines = exported(tmp_path, "--actor", "nobody", "--until", "2000-01-01")
    assert len(lines) == 1
    assert run("verify", str(path)).exit_code == 0


def test_what_is_wrong_in_a_database_is_named_by_its_place(database: Database) -> None:
    place = head(database).place
    change(database, f"UPDATE audit_entry SET actor = 'eve' WHERE place = {place - 4}")
    done = run("verify")
    assert done.exit_code == 1
    assert done.stderr == f"Wrong: place {place - 4}: the entry is not what was written.\n"
    change(database, f"DELETE FROM audit_entry WHERE place = {place - 4}")
    assert run("verify").stderr == f"Wrong: place {place - 4}: the entry is missing.\n"


def test_a_cut_end_and_a_log_written_anew_are_seen_by_a_head_that_was_noted_down(database: Database) -> None:
    early, newest = AuditHead(place=2, digest=_entries(database)[1].digest), head(database)
    noted = ("--noted", str(early.place), early.digest, "--noted", str(newest.place), newest.digest.upper())
    assert run("verify", *noted).exit_code == 0

    change(database, f"DELETE FROM audit_entry WHERE place = {newest.place}")
    assert run("verify").exit_code == 0, "the chain alone cannot show it"
    done = run("verify", *noted)
    assert done.exit_code == 1
    assert done.stderr == f"Wrong: place {newest.place}: the entry was noted down, and is not there.\n"

    change(database, "DELETE FROM audit_entry")
    with database.write() as session:
        for number in range(20):
            Audit(session).append("eve", "case.edit", f"c{number}")
    assert run("verify").exit_code == 0
    assert "place 2: the entry is not the one that was noted down" in run("verify", *noted).stderr


def _entries(database: Database) -> list[AuditEntry]:
    with database.read() as session:
        return list(Audit(session).through(head(database).place))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda lines: lines.pop(5), "place 5: the entry is missing"),
        (lambda lines: lines.pop(), "place {last}: the entry is missing"),
        (lambda lines: lines.insert(5, lines[5]), "place 5: the entry stands behind a later one, or twice"),
        (lambda lines: lines.__setitem__(5, lines[5].replace('"ann"', '"eve"').replace('"bob"', '"eve"')), "place 5: "),
        (lambda lines: lines.__setitem__(5, "no entry"), "line 6, behind place 4: this line is no entry"),
        (lambda lines: lines.__setitem__(5, lines[5][:-20]), "line 6, behind place 4: this line is no entry"),
        (lambda lines: lines.__setitem__(5, '{"a":"' + "x" * (2 << 20)), "line 6, behind place 4: this line is no"),
        (lambda lines: lines.pop(0), "line 1: this is no export of an audit log"),
        (lambda lines: lines.clear(), "line 1: this is no export of an audit log"),
        (lambda lines: lines.__setitem__(0, lines[0].replace('"export":1', '"export":2')), "line 1: this is no export"),
    ],
)
def test_what_is_wrong_in_a_whole_export_is_named(database: Database, tmp_path: Path, spoil, told: str) -> None:  # type: ignore[no-untyped-def]
    path, lines = exported(tmp_path)
    spoil(lines)
    path.write_text("".join(f"{line}\n" for line in lines))
    done = run("verify", str(path))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Wrong: {told.format(last=head(database).place)}")
    assert "eve" not in done.output


def test_a_part_that_ends_early_or_lacks_what_was_noted_is_wrong(database: Database, tmp_path: Path) -> None:
    path, lines = exported(tmp_path, "--actor", "bob")
    newest = head(database)
    assert run("verify", str(path), "--noted", str(newest.place), newest.digest).exit_code == 1
    path.write_text("".join(f"{line}\n" for line in lines[:-1]))
    assert "the file has 3 of 4 entries" in run("verify", str(path)).stderr


def test_a_file_that_is_there_is_not_written_over_and_nothing_is_said_of_it(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    before = head(database)
    done = run("export", str(path))
    assert done.exit_code == 1
    assert "it exists; name a new file" in done.stderr
    assert path.read_text() == "mine"
    assert head(database) == before


def test_an_export_that_fails_leaves_no_file(database: Database, tmp_path: Path) -> None:
    change(database, "UPDATE audit_entry SET detail = 'null' WHERE place = 3")
    done = run("export", str(tmp_path / "new"))
    assert done.exit_code != 0
    assert not (tmp_path / "new").exists()


def test_a_database_out_of_reach_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATABASE_URL", "postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    for command in (["head"], ["export"], ["verify"]):
        done = run(*command)
        assert done.exit_code == 1
        assert done.stderr.startswith("Not done: the database is out of reach")
        assert "secret" not in done.output


def test_the_way_to_check_an_entry_by_hand_that_the_manual_gives_is_right(database: Database, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    path, lines = exported(tmp_path)
    command = f"sed -n 6p {path} | jq -cjS 'del(.digest)' | sha256sum"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == json.loads(lines[5])["digest"]


# -- what the start and the command line do --------------------------------------------------------------------------


def test_accounts_and_tokens_that_the_start_and_the_command_line_make_are_in_the_log(settings: Settings) -> None:
    database = Database.open(settings.database_url)
    for user in ("carla", "carla"):
        assert CliRunner().invoke(main, ["token", user, "--role", "editor"]).exit_code == 0
    prepare(settings)
    configured = settings.model_copy(update={"admin_token": SecretStr("k" * 40)})
    prepare(configured)
    prepare(configured)
    found = [(entry.actor, entry.action, dict(entry.detail)) for entry in _entries(database)]
    assert found == [
        ("start", "user.create", {"role": "admin"}),
        ("start", "token.issue", {}),
        ("command-line", "user.create", {"role": "editor"}),
        ("command-line", "token.issue", {"scopes": "read, write, moderate"}),
        ("command-line", "token.issue", {"scopes": "read, write, moderate"}),
        ("start", "token.configure", {}),
    ]


# -- the head in the log ---------------------------------------------------------------------------------------------


def test_the_head_is_logged_at_the_start_and_again(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="casebridge.audit")
    twice = threading.Event()

    class Told(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            if len(caplog.records) >= 2:
                twice.set()

    logger, told = logging.getLogger("casebridge.audit"), Told()
    logger.addHandler(told)
    head_log = AuditHeadLog(database, every_s=0.01)
    head_log.start()
    assert twice.wait(20)
    head_log.stop()
    logger.removeHandler(told)
    newest = head(database)
    for record in caplog.records:
        assert (record.__dict__["place"], record.__dict__["digest"]) == (newest.place, newest.digest)


def test_a_database_out_of_reach_is_asked_again_for_its_head(caplog: pytest.LogCaptureFixture) -> None:
    away = Database.open("postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    assert AuditHeadLog(away).note() is False
    assert "cannot be read now" in caplog.text
    away.close()


def test_an_empty_log_is_whole() -> None:
    assert ChainCheck().fault_at_end(AuditHead()) is None
