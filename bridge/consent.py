"""The document of a consent, sealed: it is signed with a name, and few may ever read it."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.hpke import (
    CONSENT,
    CROSSWALK,
    NotOpenedError,
    key_id_of,
    load_public_key,
    open_sealed,
    private_key_id,
    seal,
)
from bridge.keys import SecretError
from cases.consents import MAX_DOCUMENT_BYTES

HEAD = b"casebridge consent document 1\n"
"""What every sealed document begins with; the id of its key follows, so that a file tells which key opens it."""
_KEY_ID_BYTES = 32
MAX_SEALED_BYTES = len(HEAD) + _KEY_ID_BYTES + MAX_DOCUMENT_BYTES + 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentKey:
    """The public key that documents are sealed to; implements ``api.ports.ConsentSeal``."""

    raw: bytes
    """As RFC 7748 writes it, 32 bytes."""

    @property
    def key_id(self) -> str:
        """Which key it is; the same for its private half."""
        return key_id_of(CONSENT, self.raw)

    def seal(self, identified_document: bytes, case_id: str) -> bytes:
        """Return a document, sealed for its case."""
        return HEAD + self.key_id.encode() + seal(CONSENT, self.raw, identified_document, case_id)


def open_document(sealed: bytes, private_key: X25519PrivateKey, case_id: str) -> bytes:
    """Open a document that was sealed for a case.

    Raises
    ------
    NotOpenedError
        If it is none, was changed, was sealed to another key, or for another case.
    """
    at = len(HEAD) + _KEY_ID_BYTES
    if not sealed.startswith(HEAD):
        raise NotOpenedError("the file is no sealed document of a consent")
    key_id = sealed[len(HEAD) : at].decode("ascii", "replace")
    if key_id != private_key_id(CONSENT, private_key):
        shown = key_id[:8] if key_id.isalnum() else "?"
        raise NotOpenedError(f"the document is sealed to the key {shown}, not to this one")
    return open_sealed(CONSENT, sealed[at:], private_key, case_id)


def load_consent_key(path: Path | None, crosswalk_path: Path | None = None) -> ConsentKey | None:
    """Read the public key (PEM); None where no documents are kept.

    Parameters
    ----------
    path
        Where it is.
    crosswalk_path
        Where that of the crosswalk is, which has to be another one.

    Raises
    ------
    SecretError
        When it cannot be used, or is the key of the crosswalk as well: who opens the one must not open the other.
    """
    if path is None:
        return None
    raw = load_public_key(CONSENT, path)
    if crosswalk_path is not None and load_public_key(CROSSWALK, crosswalk_path) == raw:
        raise SecretError(
            f"{path} is the public key of the crosswalk too: make one for consent documents with: "
            "casebridge consent keygen"
        )
    return ConsentKey(raw=raw)
