"""Documents of consents: sealed where the key is public, opened by a command elsewhere, gone with their case."""

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.__main__ import main
from bridge.consent import HEAD, ConsentKey, load_consent_key, open_document
from bridge.crosswalk import CrosswalkKey, IdentifiedEntry, open_entry
from bridge.hpke import CONSENT, CROSSWALK, NotOpenedError, private_key_id, seal
from bridge.keys import SecretError
from cases.store import Database
from tests.bridge.test_crosswalk import in_pem
from tests.cases.test_consents import consented
from tests.cases.world import file_study, route, user

PRIVATE = X25519PrivateKey.generate()
PUBLIC = ConsentKey(raw=PRIVATE.public_key().public_bytes_raw())
CASE, OTHER = "c" * 32, "d" * 32
DOCUMENT = b"%PDF-1.7 signed by Zwitschervogel"
PASSPHRASE = "a long enough phrase"


# -- sealing ---------------------------------------------------------------------------------------------------------


def test_a_document_opens_with_the_private_key_for_its_case_alone() -> None:
    made = PUBLIC.seal(DOCUMENT, CASE)

    assert open_document(made, PRIVATE, CASE) == DOCUMENT
    assert PUBLIC.key_id == private_key_id(CONSENT, PRIVATE)
    assert DOCUMENT not in made
    assert PUBLIC.seal(DOCUMENT, CASE) != made, "two of one document look unlike"
    for sealed, private, case_id in (
        (made, PRIVATE, OTHER),
        (made, X25519PrivateKey.generate(), CASE),
        (made[:-1], PRIVATE, CASE),
        (made + b"\0", PRIVATE, CASE),
        (b"", PRIVATE, CASE),
        (HEAD, PRIVATE, CASE),
    ):
        with pytest.raises(NotOpenedError) as caught:
            open_document(sealed, private, case_id)
        assert caught.value.__cause__ is None
        assert "Zwitschervogel" not in str(caught.value)


def test_a_document_of_which_any_byte_was_changed_does_not_open() -> None:
    made = PUBLIC.seal(DOCUMENT, CASE)

    for at in range(len(made)):
        changed = bytearray(made)
        changed[at] ^= 1
        with pytest.raises(NotOpenedError):
            open_document(bytes(changed), PRIVATE, CASE)


def test_it_says_which_key_opens_it() -> None:
    with pytest.raises(NotOpenedError, match=f"sealed to the key {PUBLIC.key_id[:8]}, not to this one"):
        open_document(PUBLIC.seal(DOCUMENT, CASE), X25519PrivateKey.generate(), CASE)


def test_no_crosswalk_entry_passes_for_a_document_nor_the_other_way_round() -> None:
    entry = IdentifiedEntry(
        identified_patient_id="1", identified_issuer="", identified_accession_number="", identified_study_uid=""
    )
    crosswalk = CrosswalkKey(raw=PUBLIC.raw)
    head = HEAD + PUBLIC.key_id.encode()
    sealed = crosswalk.seal(entry, CASE).sealed

    assert open_entry(sealed, PRIVATE, CASE) == entry
    assert open_document(head + seal(CONSENT, PUBLIC.raw, DOCUMENT, CASE), PRIVATE, CASE) == DOCUMENT
    with pytest.raises(NotOpenedError):
        open_document(head + sealed, PRIVATE, CASE)
    with pytest.raises(NotOpenedError):
        open_entry(PUBLIC.seal(DOCUMENT, CASE)[len(head) :], PRIVATE, CASE)
    assert private_key_id(CONSENT, PRIVATE) != private_key_id(CROSSWALK, PRIVATE)


# -- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "the keeping of consent documents is on, but its public key .* cannot be read"),
        (b"", "is no public key of consent documents; make one with: casebridge consent keygen"),
        (in_pem(public=False), "is a private key of consent documents: it must not be on this machine"),
    ],
)
def test_nothing_starts_with_a_key_that_is_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
) -> None:
    path = tmp_path / "consent.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError, match=says):
        load_consent_key(path)
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CASEBRIDGE_CONSENT_KEY_FILE", str(path))
    for command in ("serve", "migrate"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 2
        assert "consent documents" in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_crosswalk_has_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consent, crosswalk = tmp_path / "consent.pem", tmp_path / "crosswalk.pem"
    consent.write_bytes(in_pem(public=True, key=PRIVATE))
    crosswalk.write_bytes(in_pem(public=True, key=PRIVATE) + b"\n")
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CASEBRIDGE_CONSENT_KEY_FILE", str(consent))
    monkeypatch.setenv("CASEBRIDGE_CROSSWALK_KEY_FILE", str(crosswalk))

    same = CliRunner().invoke(main, ["migrate"])
    crosswalk.write_bytes(in_pem(public=True))
    another = CliRunner().invoke(main, ["migrate"])

    assert (same.exit_code, another.exit_code) == (2, 0)
    assert "is the public key of the crosswalk too" in same.stderr
    assert load_consent_key(consent, crosswalk) == PUBLIC
    assert load_consent_key(None, crosswalk) is None


# -- the command line ------------------------------------------------------------------------------------------------


def run(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(main, ["consent", *arguments], input=says)


def test_from_keys_to_an_open_document(tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    pair = ("keygen", "--private", str(private), "--public", str(public))
    assert run(*pair, says="short\nshort\n").exit_code == 1
    made = run(*pair, says=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert made.exit_code == 0, made.output
    assert f"Set consent_key_file to {public}" in made.stderr
    assert run(*pair, says=f"{PASSPHRASE}\n{PASSPHRASE}\n").exit_code == 1, "nothing is overwritten"
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    key = load_consent_key(public)
    assert key is not None
    sealed, to = tmp_path / "sealed", tmp_path / "consent.pdf"
    sealed.write_bytes(key.seal(DOCUMENT, CASE))

    def opened(case_id: str, says: str = f"{PASSPHRASE}\n") -> Result:
        return run("open", str(sealed), "--key", str(private), "--case", case_id, "--to", str(to), says=says)

    wrong_case, wrong_phrase = opened(OTHER), opened(CASE, "wrong\n")
    assert not to.exists()
    right, again = opened(CASE), opened(CASE)

    assert (wrong_case.exit_code, wrong_phrase.exit_code, right.exit_code, again.exit_code) == (1, 1, 0, 1)
    assert to.read_bytes() == DOCUMENT
    assert to.stat().st_mode & 0o777 == 0o600
    assert f"application/pdf, {len(DOCUMENT)} bytes" in right.stderr
    assert "is there already" in again.stderr
    assert "Zwitschervogel" not in wrong_case.output + right.output
    to.unlink()
    private.chmod(0o640)
    assert "chmod 600" in opened(CASE).stderr
    assert not to.exists()


def test_of_a_document_that_cannot_be_written_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    private, sealed, to = tmp_path / "private.pem", tmp_path / "sealed", tmp_path / "consent.pdf"
    private.write_bytes(in_pem(public=False, key=PRIVATE))
    private.chmod(0o600)
    sealed.write_bytes(PUBLIC.seal(DOCUMENT, CASE))
    opened = ("open", str(sealed), "--key", str(private), "--case", CASE, "--to", str(to))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        done = run(*opened)

    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert not to.exists()
    assert run(*opened).exit_code == 0


def test_the_command_counts_what_is_sealed_to_which_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    database = Database.open(f"sqlite:///{tmp_path / 'data' / 'casebridge.db'}")
    user(database, "ann")
    consented(database, file_study(database, route("ann"), "study").case_id, key_id=PUBLIC.key_id)
    database.close()
    off = run()
    (tmp_path / "public.pem").write_bytes(in_pem(public=True, key=PRIVATE))
    monkeypatch.setenv("CASEBRIDGE_CONSENT_KEY_FILE", str(tmp_path / "public.pem"))

    shown, as_json = run(), run("--json")

    assert "No documents of consents are kept." in off.stdout
    assert f"Documents are sealed to the key {PUBLIC.key_id[:8]}." in shown.stdout
    assert f"1 document(s) are sealed to the key {PUBLIC.key_id[:8]}." in shown.stdout
    assert json.loads(as_json.stdout) == {"key": PUBLIC.key_id, "documents": {PUBLIC.key_id: 1}}
