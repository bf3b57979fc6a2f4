"""What is sealed to a public key whose private half is elsewhere: this installation writes it and cannot open it.

HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305. What it is for and the case are bound in:
nothing passes for what belongs to another case, or was sealed for another use.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from bridge.keys import SecretError

MOST_FILE_BYTES = 65_536
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class NotOpenedError(Exception):
    """What was sealed does not open under this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What a pair of keys is for."""

    name: str
    """Bound into all that is sealed, and the name of the command that makes the keys."""
    setting: str
    """Names the public key."""
    is_on: str
    """Says that it is in use."""
    thing: str
    """What the keys are of."""


CROSSWALK = KeyUse(name="crosswalk", setting="crosswalk_key_file", is_on="the crosswalk is on", thing="the crosswalk")
CONSENT = KeyUse(
    name="consent",
    setting="consent_key_file",
    is_on="the keeping of consent documents is on",
    thing="consent documents",
)


def seal(use: KeyUse, raw: bytes, identified_content: bytes, case_id: str) -> bytes:
    """Seal bytes to a public key, as RFC 7748 writes it, for a case."""
    public_key = X25519PublicKey.from_public_bytes(raw)
    return _suite().encrypt(identified_content, public_key, info=_bound(use, case_id))


def open_sealed(use: KeyUse, sealed: bytes, private_key: X25519PrivateKey, case_id: str) -> bytes:
    """Open what was sealed for a case.

    Raises
    ------
    NotOpenedError
        If it was changed, or sealed to another key, for another case or another use.
    """
    try:
        return _suite().decrypt(sealed, private_key, info=_bound(use, case_id))
    except (InvalidTag, ValueError, TypeError):
        raise NotOpenedError("it does not open: it was changed, or is another case's") from None


def key_id_of(use: KeyUse, raw: bytes) -> str:
    """Return the id of a public key; its private half has the same."""
    return hashlib.sha256(f"casebridge {use.name} key ".encode() + raw).hexdigest()[:32]


def private_key_id(use: KeyUse, private_key: X25519PrivateKey) -> str:
    """Return the id of a private key, which its public half has too."""
    return key_id_of(use, private_key.public_key().public_bytes(*_RAW))


def load_public_key(use: KeyUse, path: Path) -> bytes:
    """Read a public key (PEM), and return it as RFC 7748 writes it, 32 bytes.

    Raises
    ------
    SecretError
        When it cannot be used: nothing starts then.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES)
    except OSError:
        raise SecretError(
            f"{use.is_on}, but its public key {path} cannot be read; put the file there, or take "
            f"{use.setting} out of the settings"
        ) from None
    if b"PRIVATE KEY" in content:
        raise SecretError(
            f"{path} is a private key of {use.thing}: it must not be on this machine; put the public key there, "
            "and make new ones if others could have read it"
        )
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, X25519PublicKey):
        raise SecretError(f"{path} is no public key of {use.thing}; make one with: casebridge {use.name} keygen")
    return key.public_bytes(*_RAW)


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def _bound(use: KeyUse, case_id: str) -> bytes:
    return f"casebridge {use.name} 1 {case_id}".encode()
