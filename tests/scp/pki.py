"""Certificates for tests, made when they are needed: an authority, and what it issues."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key as PEM files; `fingerprint` as a peer rule names it."""

    certificate: Path
    key: Path
    fingerprint: str


class Authority:
    """Issues certificates into a folder; `file` holds its own."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), (-DAY, 365 * DAY))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        file: str,
        *,
        common_name: str = "",
        dns_names: Sequence[str] = (),
        usage: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
        valid: tuple[timedelta, timedelta] = (-DAY, 100 * DAY),
        password: bytes | None = None,
    ) -> Pair:
        """Issue a certificate for this machine; `valid` says from when to when, from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or file)])
        names = [*map(x509.DNSName, dns_names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _builder(subject, self._name, key.public_key(), valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            protection = serialization.BestAvailableEncryption(password)
        return Pair(
            certificate=self._write(f"{file}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            key=self._write(
                f"{file}.key",
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection),
            ),
            fingerprint="sha256:" + hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
        )

    def _write(self, name: str, content: bytes) -> Path:
        """Replace a file as an administrator's tool does: a new file under the old name."""
        path, new = self._folder / name, self._folder / f".{name}.new"
        new.write_bytes(content)
        new.chmod(0o600)
        return new.replace(path)

    @classmethod
    def other(cls, folder: Path) -> Self:
        """Return an authority that nobody here trusts."""
        return cls(folder, "Other CA")


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: tuple[timedelta, timedelta]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
    )
