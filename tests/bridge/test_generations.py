"""Generations of the secret: what stays, what is refused, and what a kill at any moment leaves."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from bridge.__main__ import main
from bridge.generations import changing_secret, check_generations, known_generations, retire, rotate, write_keys
from bridge.keys import Generation, GenerationMissingError, Purpose, SecretError, create_secret, load_keys
from cases.model import CaseShell
from cases.store import Audit, Cases, Database, Generations, Intake
from cases.users import Role
from tests.cases.world import INBOX, NOON, arrival, file_study, key, open_shell, receive, user
from tests.integration.running import eventually

ACTOR = "test"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "secret"
    create_secret(path)
    return path


def begin(secret: Path, database: Database) -> None:
    check_generations(load_keys(secret), database, secret)


def remove_cases(database: Database) -> None:
    editor = user(database, "eve", Role.EDITOR)
    with database.write() as session:
        for case in Cases(session).list(editor).items:
            Cases(session).remove(editor, case.id)


def purge(database: Database, study: str) -> None:
    with database.write() as session:
        arrived = [each.arrival_id for each in Intake(session).instances(f"{key(study)}-{INBOX.id}")]
        Intake(session).mark_purged(arrived, NOON)


# -- the file --------------------------------------------------------------------------------------------------------


def test_a_file_in_its_old_form_and_written_anew_holds_the_same_keys(secret: Path) -> None:
    before = load_keys(secret)
    write_keys(secret, before)

    assert load_keys(secret) == before
    assert len(secret.read_text().splitlines()) > 1
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("names", "name"),
        lambda text: text + text.splitlines()[-1] + "\n",
        lambda text: text[:-3] + "\n",
        lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
        lambda text: text.replace("generation 1", "generation 0"),
        lambda text: text + "é 00\n",
        lambda _: "",
    ],
)
def test_a_file_that_is_not_whole_is_refused_and_nothing_of_it_is_shown(secret: Path, change) -> None:
    write_keys(secret, load_keys(secret))
    text = secret.read_text()
    secret.write_text(change(text))

    with pytest.raises(SecretError, match="damaged; restore it from its backup") as caught:
        load_keys(secret)
    assert not any(line.split()[-1] in str(caught.value) for line in text.splitlines()[2:])
    assert caught.value.__cause__ is None


def test_the_file_behind_a_link_is_written_and_the_link_stays(secret: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(secret)
    with changing_secret(link) as real:
        write_keys(real, load_keys(real))

    assert link.is_symlink()
    assert real == secret


def test_only_one_process_changes_the_file_and_drafts_of_a_killed_one_go(secret: Path) -> None:
    left = secret.with_name(f".{secret.name}.{'a' * 16}")
    left.write_text("the secret")
    with changing_secret(secret):
        assert not left.exists()
        with pytest.raises(SecretError, match="another process"), changing_secret(secret):
            pass


def test_a_file_that_cannot_be_replaced_stays_as_it_is(
    secret: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(secret, database)
    before = secret.read_bytes()

    def refuse(_self: Path, _target: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SecretError, match="cannot be written anew"):
        rotate(secret, database, actor=ACTOR)

    assert secret.read_bytes() == before
    assert sorted(path.name for path in secret.parent.iterdir()) == ["secret"]
    with database.read() as session:
        assert [one.number for one in Generations(session).all()] == [1]


# -- rotating --------------------------------------------------------------------------------------------------------


def test_rotation_gives_new_cases_new_keys_and_leaves_what_there_is(secret: Path, database: Database) -> None:
    begin(secret, database)
    before = load_keys(secret)
    old = file_study(database, INBOX, "old")

    assert rotate(secret, database, actor=ACTOR) == 2

    after = load_keys(secret)
    new = file_study(database, INBOX, "new")
    receive(database, INBOX, "old", [arrival("old", "late")])
    late = open_shell(database, INBOX, "old")
    assert (old.secret_generation, new.secret_generation, late.secret_generation) == (1, 2, 1)
    assert late.case_id == old.case_id
    assert (after.name_key, after.digest_key) == (before.name_key, before.digest_key)
    for purpose in Purpose:
        assert after.of(1).subkey(purpose) == before.of(1).subkey(purpose)
        assert after.of(2).subkey(purpose) != after.of(1).subkey(purpose)
    with pytest.raises(GenerationMissingError, match="generation 3"):
        after.of(3)


def test_what_comes_after_the_removal_of_a_case_opens_one_of_the_newest_generation(
    secret: Path, database: Database
) -> None:
    begin(secret, database)
    old = file_study(database, INBOX, "study")
    rotate(secret, database, actor=ACTOR)
    remove_cases(database)

    again = file_study(database, INBOX, "study")

    assert again.previous_case_id == old.case_id
    assert again.secret_generation == 2
    with database.read() as session:  # the study is still held against its patient by the first one
        assert Intake(session).study(f"{key('study')}-{INBOX.id}").secret_generation == 1


def test_rotation_and_retirement_are_in_the_audit_log_without_the_secret(secret: Path, database: Database) -> None:
    begin(secret, database)
    rotate(secret, database, actor=ACTOR)
    retire(secret, database, 1, actor=ACTOR)

    with database.read() as session:
        entries = Audit(session).entries(actions=("secret.rotate", "secret.retire"))
    assert [(one.actor, one.action, one.subject) for one in entries] == [
        (ACTOR, "secret.rotate", "generation 2"),
        (ACTOR, "secret.retire", "generation 1"),
    ]


# -- retiring --------------------------------------------------------------------------------------------------------


def test_a_generation_is_kept_while_a_case_or_an_original_needs_it(secret: Path, database: Database) -> None:
    begin(secret, database)
    file_study(database, INBOX, "study")
    with database.write() as session:
        Intake(session).set_patient_key(f"{key('study')}-{INBOX.id}", "p" * 32, "n" * 32)
    rotate(secret, database, actor=ACTOR)

    with pytest.raises(SecretError, match="still needed, by 1 case"):
        retire(secret, database, 1, actor=ACTOR)
    remove_cases(database)
    with pytest.raises(SecretError, match=r"still needed, by 0 case.* and 1 received study"):
        retire(secret, database, 1, actor=ACTOR)
    purge(database, "study")
    retire(secret, database, 1, actor=ACTOR)

    assert load_keys(secret).numbers == (2,)
    with database.read() as session:
        study = Intake(session).study(f"{key('study')}-{INBOX.id}")
    # Nobody can make its keys again, so nothing is compared with them, or found by them.
    assert (study.patient_key, study.secret_generation) == ("", 2)
    begin(secret, database)
    assert file_study(database, INBOX, "study").secret_generation == 2


def test_the_newest_generation_and_unknown_ones_are_not_retired(secret: Path, database: Database) -> None:
    begin(secret, database)
    with pytest.raises(SecretError, match="the newest one; run casebridge secret rotate"):
        retire(secret, database, 1, actor=ACTOR)
    with pytest.raises(SecretError, match="there is no generation 7"):
        retire(secret, database, 7, actor=ACTOR)
    assert load_keys(secret).numbers == (1,)


# -- file and database -----------------------------------------------------------------------------------------------


def test_another_secret_than_the_database_knows_is_refused(secret: Path, database: Database, tmp_path: Path) -> None:
    begin(secret, database)
    other = tmp_path / "other"
    create_secret(other)

    with pytest.raises(SecretError, match="second identity"):
        check_generations(load_keys(other), database, other)


def test_a_file_from_before_the_rotation_is_refused(secret: Path, database: Database) -> None:
    begin(secret, database)
    backup = secret.read_bytes()
    rotate(secret, database, actor=ACTOR)
    secret.write_bytes(backup)

    for use in (lambda: begin(secret, database), lambda: rotate(secret, database, actor=ACTOR)):
        with pytest.raises(SecretError, match="generation 2 of the secret"):
            use()
    assert secret.read_bytes() == backup


def test_two_hosts_do_not_make_the_same_generation_twice(secret: Path, database: Database, tmp_path: Path) -> None:
    begin(secret, database)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(secret.read_bytes())
    elsewhere.chmod(0o600)
    rotate(secret, database, actor=ACTOR)

    with pytest.raises(SecretError, match="copy the file from the host where it was rotated"):
        rotate(elsewhere, database, actor=ACTOR)


def test_a_database_restored_from_before_the_rotation_goes_on_and_finishes_it_on_demand(
    secret: Path, database: Database
) -> None:
    begin(secret, database)
    keys = load_keys(secret)
    more = Generation(number=2, secret=b"\x02" * 32, made_on="2026-11-23")
    write_keys(secret, type(keys)(**{**_fields(keys), "generations": (*keys.generations, more)}))

    begin(secret, database)
    assert file_study(database, INBOX, "study").secret_generation == 1
    assert [(one.number, one.made is None) for one in known_generations(load_keys(secret), database)] == [
        (1, False),
        (2, True),
    ]
    assert rotate(secret, database, actor=ACTOR) == 2
    assert load_keys(secret).of(2) == more


def _fields(keys: object) -> dict[str, object]:
    return {name: getattr(keys, name) for name in ("name_key", "digest_key", "generations")}


# -- a kill at any moment --------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
import bridge.generations as g
from cases.store import Database
def die(*_, **__): os._exit(9)
name = sys.argv[3]
if name == "Path.replace": Path.replace = die
else:
    owner, _, attribute = name.rpartition(".")
    setattr(getattr(g, owner) if owner else g, attribute, die)
database, secret = Database.open(sys.argv[1]), Path(sys.argv[2])
getattr(g, sys.argv[4])(secret, database, *map(int, sys.argv[5:]), actor="test")
"""


def killed_at(step: str, database: Database, secret: Path, command: str, *arguments: str) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILLED, url, str(secret), step, command, *arguments],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 9, done.stderr


@pytest.mark.parametrize(
    "step", ["_with_new", "draft_beside", "Path.replace", "sync_folder", "Generations.register", "Audit.append"]
)
def test_a_rotation_killed_at_any_step_leaves_what_works_and_is_finished_by_the_next(
    secret: Path, database: Database, step: str
) -> None:
    begin(secret, database)
    before = load_keys(secret).of(1)

    killed_at(step, database, secret, "rotate")

    begin(secret, database)
    assert load_keys(secret).of(1) == before
    made = load_keys(secret).numbers
    assert file_study(database, INBOX, "between").secret_generation == 1
    later = rotate(secret, database, actor=ACTOR)
    assert later == 2
    assert load_keys(secret).numbers == (1, 2)
    assert made in {(1,), (1, 2)}
    assert sorted(path.name for path in secret.parent.iterdir()) == ["secret"]
    begin(secret, database)


@pytest.mark.parametrize("step", ["Generations.retire", "Audit.append", "write_keys", "Path.replace", "sync_folder"])
def test_a_retirement_killed_at_any_step_is_finished_by_the_next(secret: Path, database: Database, step: str) -> None:
    begin(secret, database)
    rotate(secret, database, actor=ACTOR)
    newest = load_keys(secret).of(2)

    killed_at(step, database, secret, "retire", "1")

    begin(secret, database)
    assert file_study(database, INBOX, "between").secret_generation == 2
    retire(secret, database, 1, actor=ACTOR)
    assert load_keys(secret).generations == (newest,)
    begin(secret, database)


# -- at the same time ------------------------------------------------------------------------------------------------


def test_a_case_is_never_begun_under_a_generation_that_is_being_retired(secret: Path, postgres_url: str) -> None:
    database = Database.open(postgres_url)
    database.migrate()
    begin(secret, database)
    receive(database, INBOX, "study")
    shells: list[CaseShell] = []
    begun = threading.Thread(target=lambda: shells.append(open_shell(database, INBOX, "study")))
    with database.write() as session:  # as somebody who read the old generation as the newest one waits for it
        Generations(session).lock()
        begun.start()
        _wait_for_a_lock(database)
        Generations(session).register(2, "c" * 64)
        assert Generations(session).use(1).cases == 0
        session.execute(text("UPDATE secret_generation SET retired_at = now() WHERE number = 1"))
    begun.join(timeout=30)
    database.close()

    assert [shell.secret_generation for shell in shells] == [2]


def _wait_for_a_lock(database: Database) -> None:
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def is_waiting() -> bool:
        with database.engine.connect() as connection:
            return bool(connection.execute(query).scalar())

    eventually(is_waiting, within_s=30, what="the other transaction waits")


# -- the command line ------------------------------------------------------------------------------------------------


def test_the_commands_show_generations_and_never_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    commands = ["rotate"], ["list"], ["list", "--json"], ["retire", "2"], ["retire", "1"], ["list"]
    said = [CliRunner().invoke(main, ["migrate"])]
    said += [CliRunner().invoke(main, ["secret", *command]) for command in commands]

    assert [one.exit_code for one in said] == [0, 0, 0, 0, 1, 0, 0]
    shown = json.loads(said[3].stdout)
    assert [(one["number"], one["is_newest"], one["is_here"]) for one in shown] == [(1, False, True), (2, True, True)]
    assert "generation 2 is the newest" in said[4].stderr
    assert "retired" in said[6].stdout
    keys = load_keys(tmp_path / "data" / "secret")
    output = "".join(one.output for one in said)
    secrets = [keys.name_key, keys.digest_key, *(one.secret for one in keys.generations)]
    assert not any(secret.hex() in output for secret in secrets)
