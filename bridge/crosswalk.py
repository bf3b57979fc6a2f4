"""Whose a case is, sealed to a public key: for sites whose ethics board demands that a patient can be found again.

HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305. This installation holds the public key
alone and cannot open what it sealed; the case is bound in, so that no entry passes for another case's.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from bridge.keys import SecretError
from deidentify.dataset import ReceivedInstance
from deidentify.pseudonyms import ISSUER_OF_PATIENT_ID, PATIENT_ID, identified_text

PADDED_BYTES = 512
"""Entries are filled up to a multiple of this, so that their size tells nothing."""
MOST_CHARS = 256
"""Of one value; the Standard allows 64, and who sends more must not make entries of any size."""
MOST_FILE_BYTES = 65_536
_STUDY_UID, _ACCESSION = 0x0020000D, 0x00080050
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class NotOpenedError(Exception):
    """An entry does not open under this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedEntry:
    """Whose a case is. All of it identifies."""

    identified_patient_id: str = field(repr=False)
    identified_issuer: str = field(repr=False)
    identified_accession_number: str = field(repr=False)
    identified_study_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """An entry that only the holder of the private key can open."""

    key_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrosswalkKey:
    """The public key that entries are sealed to."""

    raw: bytes
    """As RFC 7748 writes it, 32 bytes."""

    @property
    def key_id(self) -> str:
        """Which key it is; the same for its private half."""
        return _key_id(self.raw)

    def seal(self, entry: IdentifiedEntry, case_id: str) -> SealedEntry:
        """Return an entry, sealed for its case."""
        identified_content = json.dumps({name: value[:MOST_CHARS] for name, value in asdict(entry).items()}).encode()
        padded = identified_content.ljust(-(-len(identified_content) // PADDED_BYTES) * PADDED_BYTES)
        public_key = X25519PublicKey.from_public_bytes(self.raw)
        return SealedEntry(key_id=self.key_id, sealed=_suite().encrypt(padded, public_key, info=_bound(case_id)))


def entry_of(received: ReceivedInstance, hospital: str) -> IdentifiedEntry:
    """Return whose an instance is; the hospital of the route stands in for an issuer that is not stated."""
    return IdentifiedEntry(
        identified_patient_id=identified_text(received, PATIENT_ID),
        identified_issuer=identified_text(received, ISSUER_OF_PATIENT_ID) or hospital,
        identified_accession_number=identified_text(received, _ACCESSION),
        identified_study_uid=identified_text(received, _STUDY_UID),
    )


def open_entry(sealed: bytes, private_key: X25519PrivateKey, case_id: str) -> IdentifiedEntry:
    """Open what was sealed for a case.

    Raises
    ------
    NotOpenedError
        If it was changed, was sealed to another key, or for another case.
    """
    try:
        identified_content = _suite().decrypt(sealed, private_key, info=_bound(case_id))
        return IdentifiedEntry(**json.loads(identified_content))
    except (InvalidTag, ValueError, TypeError):
        raise NotOpenedError("the entry does not open: it was changed, or is another case's") from None


def private_key_id(private_key: X25519PrivateKey) -> str:
    """Return the id of a private key, which its public half has too."""
    return _key_id(private_key.public_key().public_bytes(*_RAW))


def load_crosswalk_key(path: Path | None) -> CrosswalkKey | None:
    """Read the public key (PEM); None where no crosswalk is kept.

    Raises
    ------
    SecretError
        When it cannot be used: without its entry no case is made, so nothing starts.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES)
    except OSError:
        raise SecretError(
            f"the crosswalk is on, but its public key {path} cannot be read; put the file there, or take "
            "crosswalk_key_file out of the settings"
        ) from None
    if b"PRIVATE KEY" in content:
        raise SecretError(
            f"{path} is a private key of the crosswalk: it must not be on this machine; put the public key there, and "
            "make new ones if others could have read it"
        )
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, X25519PublicKey):
        raise SecretError(f"{path} is no public key of a crosswalk; make one with: casebridge crosswalk keygen")
    return CrosswalkKey(raw=key.public_bytes(*_RAW))


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def _bound(case_id: str) -> bytes:
    return b"casebridge crosswalk 1 " + case_id.encode()


def _key_id(raw: bytes) -> str:
    return hashlib.sha256(b"casebridge crosswalk key " + raw).hexdigest()[:32]
