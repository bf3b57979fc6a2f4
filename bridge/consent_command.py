"""``casebridge consent``: make its keys, count what is sealed to which, and open a document where the key is."""

import json
from pathlib import Path

import click

from bridge.app import open_database
from bridge.consent import MAX_SEALED_BYTES, load_consent_key, open_document
from bridge.hpke import CONSENT, NotOpenedError
from bridge.key_pairs import KeyPairError, check_new, make_pair, read_private_key, told, write_new
from bridge.keys import SecretError
from cases.consents import DocumentType
from cases.errors import CaseError
from cases.store import Consents
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1


def keygen(private: Path, public: Path) -> int:
    """Make a pair of keys, the private one under a passphrase; return the exit status."""
    try:
        click.echo(make_pair(CONSENT, private, public), err=True)
    except (KeyPairError, OSError) as error:
        return _fail(error)
    return EXIT_OK


def open_file(sealed: Path, *, key_file: Path, case_id: str, to: Path) -> int:
    """Open a document into a new file that its owner alone can read; return the exit status."""
    try:
        check_new(to)
        with sealed.open("rb") as file:
            content = file.read(MAX_SEALED_BYTES + 1)
        private_key = read_private_key(CONSENT, key_file)
        identified_document = open_document(content, private_key, case_id)
        write_new(to, identified_document, 0o600)
    except (KeyPairError, NotOpenedError, OSError) as error:
        return _fail(error)
    kind = DocumentType.of(identified_document)
    said = kind.value if kind else "of no kind that is known"
    click.echo(f"{to}: {said}, {len(identified_document)} bytes.", err=True)
    return EXIT_OK


def show(settings: Settings, *, as_json: bool) -> int:
    """Print whether documents are kept, and how many there are under which key; return the exit status."""
    try:
        key = load_consent_key(settings.consent_key_file)
        with open_database(settings) as database, database.read() as session:
            counts = Consents(session).counts()
    except (CaseError, SecretError) as error:
        return _fail(error)
    if as_json:
        print(json.dumps({"key": key.key_id if key else None, "documents": counts}, indent=2))  # noqa: T201 - a program reads this
        return EXIT_OK
    click.echo(f"Documents are sealed to the key {key.key_id[:8]}." if key else "No documents of consents are kept.")
    for key_id, count in counts.items():
        click.echo(f"{count} document(s) are sealed to the key {key_id[:8]}.")
    return EXIT_OK


def _fail(error: Exception) -> int:
    click.echo(f"Not done: {told(error)}", err=True)
    return EXIT_FAULT
