"""The installation's secret in its generations, and the keys derived from it, one for each purpose.

The secret file is one line of 64 hexadecimal digits until the first rotation. From then on it has a line for each
generation, and those keys that must not change are written out, so that the first generation can go like any other.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SECRET_BYTES = 32
KEY_MARK = "secret.check"
"""File of a spool that tells under which secret it was written; nobody learns the secret from it."""
SPOOL_RECORD = "spool-in-use"
"""File of the data folder that remembers which spool was in use."""


class SecretError(Exception):
    """The secret file cannot be used; the message says what to do."""


class GenerationMissingError(SecretError):
    """A generation of the secret is not in the secret file."""


class Purpose(StrEnum):
    """What a key of a generation is for; each purpose has a key of its own."""

    PSEUDONYMS = "pseudonyms"
    """Patient ID, UIDs and dates in de-identified files."""
    PATIENTS = "patients"
    """Internal patient key, never exported."""
    TEXT_TOKENS = "text-tokens"
    """Hashes of a case's identifiers, for the text screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation of the secret: every case is made under one, and stays with it."""

    number: int
    secret: bytes = field(repr=False)
    made_on: str = ""
    """The day on which it was made, YYYY-MM-DD; empty for the first of an older installation."""

    def subkey(self, purpose: Purpose | str) -> bytes:
        """Return the key of a purpose; whoever holds it finds neither the secret nor another key."""
        return _sub(self.secret, purpose)

    @property
    def check(self) -> str:
        """What the database keeps to know this generation again; nobody learns the secret from it."""
        return self.subkey("check").hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of the installation: those that never change, and the generations of its secret.

    Names in the spool and fingerprints stay as they are when the secret is rotated: by them a late image finds its
    study, and nothing of them is in what leaves the installation.
    """

    name_key: bytes = field(repr=False)
    """Names of files in the spool."""
    digest_key: bytes = field(repr=False)
    """Fingerprints that tell a resend from a change."""
    generations: tuple[Generation, ...]
    """By their numbers, the oldest first."""

    @classmethod
    def derive(cls, secret: bytes) -> "Keys":
        """Return the keys of a secret with a single generation."""
        return cls(
            name_key=_sub(secret, "spool-names"),
            digest_key=_sub(secret, "digests"),
            generations=(Generation(number=1, secret=secret),),
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the generations that are here."""
        return tuple(generation.number for generation in self.generations)

    def of(self, number: int) -> Generation:
        """Return a generation by its number.

        Raises
        ------
        GenerationMissingError
            When it is not here.
        """
        for generation in self.generations:
            if generation.number == number:
                return generation
        raise GenerationMissingError(
            f"generation {number} of the secret is not in the secret file of this host; "
            "copy the file from the host where it was rotated, or restore it from its backup"
        )


def _sub(secret: bytes, label: str) -> bytes:
    return hmac.digest(secret, b"casebridge/1/" + label.encode(), "sha256")


def load_keys(path: Path) -> Keys:
    """Read the secret file.

    Raises
    ------
    SecretError
        When the file is missing, open to others, or is no secret file.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        raise SecretError(f"the secret file {path} cannot be read; restore it from its backup") from None
    if mode & 0o077:
        raise SecretError(f"the secret file {path} can be read by others; run: chmod 600 {path}")
    keys = _parsed(text)
    if keys is None:
        raise SecretError(f"the secret file {path} is damaged; restore it from its backup")
    return keys


def _parsed(text: str) -> Keys | None:
    """Return what a secret file says; None where it is none. Until the first rotation it is one secret alone."""
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    if len(lines) == 1 and len(lines[0]) == 1:
        secret = _secret(lines[0][0])
        return Keys.derive(secret) if secret else None
    fixed, generations = dict[str, bytes](), list[Generation]()
    for words in lines:
        secret = _secret(words[-1])
        if secret is None:
            return None
        match words:
            case [("names" | "digests") as name, _] if name not in fixed:
                fixed[name] = secret
            case ["generation", number, made_on, _] if number.isdigit() and int(number) > 0:
                made_on = "" if made_on == "-" else made_on
                generations.append(Generation(number=int(number), secret=secret, made_on=made_on))
            case _:
                return None
    generations.sort(key=lambda generation: generation.number)
    numbers = {generation.number for generation in generations}
    if fixed.keys() != {"names", "digests"} or not numbers or len(numbers) != len(generations):
        return None
    return Keys(name_key=fixed["names"], digest_key=fixed["digests"], generations=tuple(generations))


def _secret(text: str) -> bytes | None:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        return None
    return secret if len(secret) == SECRET_BYTES else None


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
    draft = draft_beside(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    sync_folder(path.parent)


def draft_beside(path: Path, text: str) -> Path:
    """Return a file beside another, readable by its owner only and on disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


def sync_folder(folder: Path) -> None:
    """Make a change of names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
