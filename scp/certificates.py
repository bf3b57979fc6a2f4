"""The identity in a peer's certificate, and how a peer rule names it.

An entry of a rule is one of two things:

- ``sha256:`` and 64 hexadecimal digits (colons between bytes may stand): the SHA-256 digest of the whole certificate.
  What follows after a space is a name for people, as lists show it, and means nothing;
- a name: equal, whatever the case, to a DNS name of the certificate's subject alternative names. The common name of
  the subject counts only where the certificate has no such DNS name (RFC 6125 §6.4.4). A ``*`` stands for itself
  nowhere: rules with wildcards are refused.

Names mean something only because the certificate's chain was verified before anybody looks at them.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["CertificateIdentity", "certificate_entry", "certificate_identity"]

_DIGEST = "sha256:"
_MAX_NAME = 253
_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIdentity:
    """Whom a verified certificate names.

    `fingerprint` is `sha256:` and lower-case hexadecimal digits.
    """

    fingerprint: str
    common_name: str = ""
    dns_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a rule may use."""
        return self.dns_names or ((self.common_name,) if self.common_name else ())

    @property
    def text(self) -> str:
        """Fingerprint and first name, as journals, books and logs show them."""
        shown = "".join(letter for letter in "".join(self.names[:1]) if letter.isprintable())[:64]
        return f"{self.fingerprint} {shown}".strip()

    def is_any_of(self, entries: Iterable[str]) -> bool:
        """Tell whether one of a rule's entries means this certificate."""
        # A name in the form of a fingerprint would pass for another certificate.
        names = {name.casefold() for name in self.names}
        known = {self.fingerprint, *(name for name in names if not name.startswith(_DIGEST))}
        return any(entry.casefold() in known for entry in entries)


def certificate_identity(encoded: bytes, decoded: dict[str, Any]) -> CertificateIdentity:
    """Return the identity in a certificate.

    Parameters
    ----------
    encoded
        The certificate in DER, as `SSLSocket.getpeercert(binary_form=True)` gives it.
    decoded
        What `SSLSocket.getpeercert()` makes of it.
    """
    common = [value for part in decoded.get("subject", ()) for key, value in part if key == "commonName"]
    dns_names = [value for kind, value in decoded.get("subjectAltName", ()) if kind == "DNS"]
    return CertificateIdentity(
        fingerprint=_DIGEST + hashlib.sha256(encoded).hexdigest(),
        common_name=common[-1] if common else "",
        dns_names=tuple(dns_names),
    )


def certificate_entry(text: str) -> str:
    """Return an entry of a rule in its one form.

    Raises
    ------
    ValueError
        If no certificate could ever be meant by it.
    """
    entry = text.strip()
    if entry.casefold().startswith(_DIGEST):
        digits = entry[len(_DIGEST) :].strip().partition(" ")[0].replace(":", "").casefold()
        if not _HEXADECIMAL.fullmatch(digits):
            raise ValueError("is no SHA-256 fingerprint: sha256: and 64 hexadecimal digits")
        return _DIGEST + digits
    if not entry or len(entry) > _MAX_NAME or "*" in entry or not entry.isprintable():
        raise ValueError("is neither sha256: and 64 hexadecimal digits nor the name in a certificate (without *)")
    return entry
