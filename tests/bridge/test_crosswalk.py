"""Whose a case is: sealed where the key is public, read with a reason, gone with the case."""

import dataclasses
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.__main__ import main
from bridge.crosswalk import (
    CrosswalkKey,
    IdentifiedEntry,
    SealedEntry,
    entry_of,
    load_crosswalk_key,
    open_entry,
)
from bridge.crosswalk_command import CrosswalkError, read_entry
from bridge.hpke import CROSSWALK, NotOpenedError, private_key_id
from bridge.keys import SecretError
from bridge.pipeline import Filed, Task
from bridge.study import StudyRunner
from cases.blobs import LocalBlobs
from cases.store import Audit, Cases, Crosswalk, Database
from cases.users import Role
from deidentify.parser import read_instance
from tests.bridge.books import book
from tests.bridge.test_study import Answers
from tests.builders import ct_instance, write_part10
from tests.cases.world import INBOX, arrival, file, file_study, image, key, open_shell, receive, user

PRIVATE = X25519PrivateKey.generate()
PUBLIC = CrosswalkKey(raw=PRIVATE.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))
CASE, OTHER = "c" * 32, "d" * 32
ENTRY = IdentifiedEntry(
    identified_patient_id="KNR-558211",
    identified_issuer="Volierenstadt",
    identified_accession_number="AKZ-774411",
    identified_study_uid="1.2.3.4",
)
PASSPHRASE = "a long enough phrase"


def in_pem(public: bool, key: X25519PrivateKey | Ed25519PrivateKey = PRIVATE) -> bytes:
    if public:
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def keep(database: Database, study: str, sealed: SealedEntry | None = None) -> str:
    """File a study and keep the entry of its case; return the case's id."""
    shell = file_study(database, INBOX, study)
    made = sealed or PUBLIC.seal(ENTRY, shell.case_id)
    arrived = _arrival_of(database, study)
    with database.write() as session:
        Crosswalk(session).keep(shell.case_id, arrived, made.key_id, made.sealed)
    return shell.case_id


def _arrival_of(database: Database, study: str) -> str:
    with database.engine.connect() as connection:
        query = f"SELECT arrival_id FROM received_instance WHERE study_key = '{key(study)}'"
        return str(connection.exec_driver_sql(query).scalar_one())


def found(database: Database, case_id: str) -> tuple[str, bytes] | None:
    with database.read() as session:
        return Crosswalk(session).find(case_id)


# -- sealing ---------------------------------------------------------------------------------------------------------


def test_an_entry_opens_with_the_private_key_for_its_case_alone() -> None:
    made = PUBLIC.seal(ENTRY, CASE)

    assert made.key_id == PUBLIC.key_id == private_key_id(CROSSWALK, PRIVATE)
    assert open_entry(made.sealed, PRIVATE, CASE) == ENTRY
    changed = bytearray(made.sealed)
    changed[40] ^= 1
    for sealed, private, case_id in (
        (made.sealed, PRIVATE, OTHER),
        (made.sealed, X25519PrivateKey.generate(), CASE),
        (bytes(changed), PRIVATE, CASE),
        (made.sealed[:-1], PRIVATE, CASE),
        (b"", PRIVATE, CASE),
    ):
        with pytest.raises(NotOpenedError) as caught:
            open_entry(sealed, private, case_id)
        assert caught.value.__cause__ is None


def test_two_entries_of_one_patient_look_unlike_and_have_one_size() -> None:
    short = dataclasses.replace(ENTRY, identified_patient_id="1", identified_issuer="")
    first, second, third = PUBLIC.seal(ENTRY, CASE), PUBLIC.seal(ENTRY, CASE), PUBLIC.seal(short, OTHER)

    assert first.sealed != second.sealed
    assert len(first.sealed) == len(third.sealed)
    assert "KNR" not in repr((ENTRY, first, PUBLIC))


def test_an_entry_says_what_the_header_says_and_a_long_value_is_cut() -> None:
    instance = ct_instance(PatientID="Ä-17", AccessionNumber="A1", SpecificCharacterSet="ISO_IR 192")
    header = read_instance(io.BytesIO(write_part10(instance)))

    entry = entry_of(header, "north")

    assert (entry.identified_patient_id, entry.identified_issuer) == ("Ä-17", "north")
    assert (entry.identified_accession_number, entry.identified_study_uid) == ("A1", instance.StudyInstanceUID)
    long = dataclasses.replace(ENTRY, identified_patient_id="7" * 100_000)
    opened = open_entry(PUBLIC.seal(long, CASE).sealed, PRIVATE, CASE)
    assert opened.identified_patient_id == "7" * 256


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "the crosswalk is on, but its public key .* cannot be read"),
        (b"", "is no public key of the crosswalk"),
        (in_pem(public=False), "is a private key of the crosswalk: it must not be on this machine"),
        (in_pem(public=True, key=Ed25519PrivateKey.generate()), "is no public key of the crosswalk"),
    ],
)
def test_nothing_starts_with_a_crosswalk_whose_key_is_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
) -> None:
    path = tmp_path / "crosswalk.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError, match=says):
        load_crosswalk_key(path)
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CASEBRIDGE_CROSSWALK_KEY_FILE", str(path))
    for command in ("serve", "migrate"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 2
        assert "crosswalk" in done.stderr
    assert not (tmp_path / "data").exists()


def test_without_a_key_no_crosswalk_is_kept() -> None:
    assert load_crosswalk_key(None) is None


# -- keeping ---------------------------------------------------------------------------------------------------------


def test_a_filed_instance_brings_the_entry_of_its_case(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers()
    process = answers._process

    def with_entry(task: Task) -> Filed:
        filed = process(task)
        assert isinstance(filed, Filed)
        return dataclasses.replace(filed, crosswalk=PUBLIC.seal(ENTRY, task.case_id))

    monkeypatch.setattr(answers, "_process", with_entry)
    runner = StudyRunner(
        database=database,
        blobs=LocalBlobs(tmp_path / "blobs"),
        pool=answers,  # type: ignore[arg-type] # a fake with the one method that is used
        profiles=book("default"),
        profile_folder=tmp_path / "profiles",
        threads=2,
        timeout_s=5.0,
    )
    receive(database, INBOX, "study", 2)
    runner.run(f"{key('study')}-{INBOX.id}", 1)
    shell = open_shell(database, INBOX, "study")
    first = found(database, shell.case_id)
    receive(database, INBOX, "study", [arrival("study", "late")])
    runner.run(f"{key('study')}-{INBOX.id}", 2)

    assert first is not None
    assert found(database, shell.case_id) == first, "a late image changes nothing"
    assert open_entry(first[1], PRIVATE, shell.case_id) == ENTRY


def test_no_entry_is_kept_of_a_case_that_did_not_get_the_image(database: Database) -> None:
    (arrived,) = receive(database, INBOX, "study", 1)
    shell = open_shell(database, INBOX, "study")
    made = PUBLIC.seal(ENTRY, shell.case_id)
    with database.write() as session:
        Crosswalk(session).keep(shell.case_id, arrived.arrival_id, made.key_id, made.sealed)

    assert found(database, shell.case_id) is None


def test_the_entry_goes_with_the_case_and_with_its_last_image(database: Database) -> None:
    removed, erased, withdrawn, kept = (keep(database, name) for name in ("removed", "erased", "withdrawn", "kept"))
    editor, only = user(database, "eve", Role.EDITOR), _arrival_of(database, "withdrawn")
    with database.write() as session:
        Cases(session).remove(editor, removed)
        Cases(session).erase(erased)
        Cases(session).withdraw_image(only)
        Cases(session).close_books(f"{key('withdrawn')}-{INBOX.id}")

    assert [found(database, case_id) is None for case_id in (removed, erased, withdrawn, kept)] == [
        True,
        True,
        True,
        False,
    ]


def test_the_shell_of_a_study_that_came_to_nothing_takes_its_entry_along(database: Database) -> None:
    case_id = keep(database, "study")
    with database.engine.begin() as connection:
        for table in ("case_image", "case_series", "case_study"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    with database.write() as session:
        Cases(session).close_books(f"{key('study')}-{INBOX.id}")

    assert found(database, case_id) is None


# -- reading ---------------------------------------------------------------------------------------------------------


def test_every_read_stands_in_the_audit_log_with_its_reason_and_nothing_of_whom(database: Database) -> None:
    case_id = keep(database, "study")

    entry = read_entry(database, case_id, PRIVATE, reason="  incidental finding,\n ticket 12 ", actor="ann")
    with pytest.raises(CrosswalkError, match=f"sealed to the key {PUBLIC.key_id[:8]}"):
        read_entry(database, case_id, X25519PrivateKey.generate(), reason="a try", actor="bob")

    assert entry == ENTRY
    with database.read() as session:
        entries = Audit(session).entries(subject=case_id)
    assert [(one.actor, one.action, one.detail["reason"]) for one in entries] == [
        ("ann", "crosswalk.read", "incidental finding, ticket 12"),
        ("bob", "crosswalk.read-failed", "a try"),
    ]
    assert "KNR" not in repr(entries)


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 201])
def test_nothing_is_read_without_a_reason(database: Database, reason: str) -> None:
    case_id = keep(database, "study")

    with pytest.raises(CrosswalkError, match="say why"):
        read_entry(database, case_id, PRIVATE, reason=reason, actor="ann")


def test_an_entry_that_came_with_images_of_another_case_opens_there(database: Database) -> None:
    first, second = keep(database, "study"), file_study(database, INBOX, "second").case_id
    with database.write() as session:
        Crosswalk(session).copy(first, second)
        Crosswalk(session).copy(second, first)
        Crosswalk(session).forget(first)
        Crosswalk(session).copy(second, first)

    for case_id in (first, second):
        assert read_entry(database, case_id, PRIVATE, reason="a try", actor="ann") == ENTRY


def test_an_entry_put_under_another_case_does_not_open(database: Database) -> None:
    case_id = keep(database, "study", PUBLIC.seal(ENTRY, OTHER))

    with pytest.raises(CrosswalkError, match="does not open"):
        read_entry(database, case_id, PRIVATE, reason="a try", actor="ann")
    with pytest.raises(CrosswalkError, match="there is no entry"):
        read_entry(database, CASE, PRIVATE, reason="a try", actor="ann")


# -- the command line ------------------------------------------------------------------------------------------------


def run(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(main, ["crosswalk", *arguments], input=says)


def test_from_keys_to_a_read_entry_and_to_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    pair = ("keygen", "--private", str(private), "--public", str(public))
    assert run(*pair, says="short\nshort\n").exit_code == 1
    made = run(*pair, says=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert made.exit_code == 0, made.output
    assert run(*pair, says=f"{PASSPHRASE}\n{PASSPHRASE}\n").exit_code == 1
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CASEBRIDGE_CROSSWALK_KEY_FILE", str(public))
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    database = Database.open(f"sqlite:///{tmp_path / 'data' / 'casebridge.db'}")
    (arrived,) = receive(database, INBOX, "study", 1)
    shell = open_shell(database, INBOX, "study")
    file(database, shell, arrived, image("1"))
    key_here = load_crosswalk_key(public)
    assert key_here is not None
    sealed = key_here.seal(ENTRY, shell.case_id)
    with database.write() as session:
        Crosswalk(session).keep(shell.case_id, arrived.arrival_id, sealed.key_id, sealed.sealed)
    database.close()

    read = ("read", shell.case_id, "--key", str(private), "--reason", "ticket 12")
    wrong, right = run(*read, says="wrong\n"), run(*read, says=f"{PASSPHRASE}\n")
    counts = json.loads(run("--json").stdout)
    unconfirmed, cleared, gone = run("clear"), run("clear", "--yes"), run(*read, says=f"{PASSPHRASE}\n")

    assert (wrong.exit_code, right.exit_code) == (1, 0)
    assert "KNR" not in wrong.output
    assert json.loads(right.stdout[right.stdout.index("{") :])["patient_id"] == "KNR-558211"
    assert counts == {"key": key_here.key_id, "entries": {key_here.key_id: 1}}
    assert (unconfirmed.exit_code, cleared.exit_code, gone.exit_code) == (1, 0, 1)
    assert "there is no entry" in gone.stderr
    private.chmod(0o644)
    assert "chmod 600" in run(*read).stderr
