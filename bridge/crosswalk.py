"""Whose a case is, sealed to a public key: for sites whose ethics board demands that a patient can be found again.

This installation holds the public key alone and cannot open what it sealed; see ``hpke``.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.hpke import CROSSWALK, NotOpenedError, key_id_of, load_public_key, open_sealed, seal
from deidentify.dataset import ReceivedInstance
from deidentify.pseudonyms import ISSUER_OF_PATIENT_ID, PATIENT_ID, identified_text

PADDED_BYTES = 512
"""Entries are filled up to a multiple of this, so that their size tells nothing."""
MOST_CHARS = 256
"""Of one value; the Standard allows 64, and who sends more must not make entries of any size."""
_STUDY_UID, _ACCESSION = 0x0020000D, 0x00080050


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
        return key_id_of(CROSSWALK, self.raw)

    def seal(self, entry: IdentifiedEntry, case_id: str) -> SealedEntry:
        """Return an entry, sealed for its case."""
        identified_content = json.dumps({name: value[:MOST_CHARS] for name, value in asdict(entry).items()}).encode()
        padded = identified_content.ljust(-(-len(identified_content) // PADDED_BYTES) * PADDED_BYTES)
        return SealedEntry(key_id=self.key_id, sealed=seal(CROSSWALK, self.raw, padded, case_id))


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
    identified_content = open_sealed(CROSSWALK, sealed, private_key, case_id)
    try:
        return IdentifiedEntry(**json.loads(identified_content))
    except (ValueError, TypeError):
        raise NotOpenedError("what was sealed is no entry") from None


def load_crosswalk_key(path: Path | None) -> CrosswalkKey | None:
    """Read the public key (PEM); None where no crosswalk is kept.

    Raises
    ------
    SecretError
        When it cannot be used: without its entry no case is made, so nothing starts.
    """
    return None if path is None else CrosswalkKey(raw=load_public_key(CROSSWALK, path))
