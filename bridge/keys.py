"""The installation's one secret and the keys derived from it, one for each purpose."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SECRET_BYTES = 32
KEY_MARK = "secret.check"
"""File of a spool that tells under which secret it was written; nobody learns the secret from it."""
SPOOL_RECORD = "spool-in-use"
"""File of the data folder that remembers which spool was in use."""


class SecretError(Exception):
    """The secret file cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Sub-keys of the installation secret; whoever holds one cannot find another."""

    name_key: bytes = field(repr=False)
    """Names of files in the spool."""
    pseudonym_key: bytes = field(repr=False)
    """Patient ID, UIDs and dates in de-identified files."""
    digest_key: bytes = field(repr=False)
    """Fingerprints that tell a resend from a change."""
    patient_key: bytes = field(repr=False)
    """Internal patient key, never exported."""

    @classmethod
    def derive(cls, secret: bytes) -> "Keys":
        """Derive the sub-keys from the installation secret."""

        def sub(label: str) -> bytes:
            return hmac.new(secret, b"casebridge/1/" + label.encode(), hashlib.sha256).digest()

        return cls(
            name_key=sub("spool-names"),
            pseudonym_key=sub("pseudonyms"),
            digest_key=sub("digests"),
            patient_key=sub("patients"),
        )


def load_keys(path: Path) -> Keys:
    """Read the secret file and derive the keys.

    Raises
    ------
    SecretError
        When the file is missing, open to others, or does not hold 64 hexadecimal digits.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        raise SecretError(f"the secret file {path} cannot be read; restore it from its backup") from None
    if mode & 0o077:
        raise SecretError(f"the secret file {path} can be read by others; run: chmod 600 {path}")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise SecretError(f"the secret file {path} is damaged; restore it from its backup")
    return Keys.derive(secret)


def create_secret(path: Path) -> None:
    """Create the secret file, durable and readable by its owner only; an existing one is left as it is.

    The text goes to a file of its own first and is linked into place, so that two processes that start together agree
    on one secret and nobody ever reads half of it.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_once(path, secrets.token_hex(SECRET_BYTES))


def _write_once(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_folder(folder: Path, keys: Keys, *, record: Path) -> None:
    """Mark a folder as written under this secret, or refuse one that is not the one we know.

    A receiver or worker that made itself a secret of its own beside a shared spool would split studies and give one
    case two sets of pseudonyms; so would a start without the secret that the data was made with. And a receiver that
    starts while its volume is not mounted would fill the mount point, which nobody sees any more once it is.

    Parameters
    ----------
    folder
        The spool.
    keys
        The keys of the installation.
    record
        File that remembers which spool was in use.

    Raises
    ------
    SecretError
        When the folder belongs to another secret, or was in use and has lost its mark.
    """
    mark = folder / KEY_MARK
    if not mark.exists() and _recorded(record) == str(folder):
        raise SecretError(
            f"{folder} was in use and is empty now: is its volume mounted? "
            f"If a new, empty spool is meant, delete {record}"
        )
    digest = hmac.new(keys.name_key, b"casebridge/1/folder", hashlib.sha256).hexdigest()
    if folder.is_dir() and not mark.exists():
        _write_once(mark, digest)
    with suppress(FileNotFoundError):
        if not hmac.compare_digest(mark.read_text(encoding="ascii").strip(), digest):
            raise SecretError(
                f"the data in {folder} was received under another secret; restore that secret file, "
                "or point CASEBRIDGE_SECRET_FILE to it"
            )
        if _recorded(record) != str(folder):
            with suppress(OSError):  # a process that may only read there relies on the others
                record.write_text(f"{folder}\n", encoding="utf-8")


def _recorded(record: Path) -> str:
    try:
        return record.read_text(encoding="utf-8").rstrip("\n")
    except OSError:
        return ""
