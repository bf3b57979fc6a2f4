"""Pairs of keys as files, for commands: made under a passphrase, and private ones read from where they were brought."""

import os
from pathlib import Path

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.hpke import MOST_FILE_BYTES, KeyUse, private_key_id

LEAST_PASSPHRASE = 12


class KeyPairError(Exception):
    """Nothing was done; the message says what to do."""


def make_pair(use: KeyUse, private: Path, public: Path) -> str:
    """Make a pair of keys, the private one under a passphrase that is asked for; return what to do with them.

    Raises
    ------
    KeyPairError
        When a file is there already, or the passphrase is too short.
    OSError
        When a file cannot be written.
    """
    for path in (private, public):
        check_new(path)
    passphrase = click.prompt("Passphrase of the private key", hide_input=True, confirmation_prompt=True, err=True)
    if len(passphrase) < LEAST_PASSPHRASE:
        raise KeyPairError(f"the passphrase is too short; give {LEAST_PASSPHRASE} characters or more")
    key = X25519PrivateKey.generate()
    write_new(
        private,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        ),
        0o600,
    )
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_new(public, pem, 0o644)
    return (
        f"{use.name.capitalize()} key {private_key_id(use, key)[:8]}. Keep {private} away from every machine "
        f"of this installation, twice, and its passphrase elsewhere. Set {use.setting} to {public} and restart."
    )


def read_private_key(use: KeyUse, path: Path) -> X25519PrivateKey:
    """Read a private key, and ask for its passphrase where it has one.

    Raises
    ------
    KeyPairError
        When others can read the file, or it is none.
    OSError
        When the file cannot be read.
    """
    if path.stat().st_mode & 0o077:
        raise KeyPairError(f"{path} can be read by others; run: chmod 600 {path}")
    with path.open("rb") as file:
        content = file.read(MOST_FILE_BYTES)
    passphrase = None
    if b"ENCRYPTED" in content:
        passphrase = click.prompt("Passphrase of the private key", hide_input=True, err=True).encode()
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise KeyPairError(f"{path} is no private key of {use.thing}, or the passphrase is wrong")
    return key


def check_new(path: Path) -> None:
    """Refuse a file that is there already, before anybody is asked for a passphrase.

    Raises
    ------
    KeyPairError
        When it is there.
    """
    if path.exists():
        raise KeyPairError(f"{path} is there already; name a new file")


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, durable when this returns; of one that cannot be written nothing stays."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def told(error: Exception) -> str:
    """Return what an error of a command says, with the file where the system names one."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)
