"""Generations of the secret: the file that holds them and the database that counts them, kept in step.

Rotation writes the file first and tells the database then; retirement tells the database first. Whoever is killed in
between leaves a file with one generation more than is in use, and the same command again brings it to its end.
"""

import fcntl
import glob
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bridge.keys import (
    SECRET_BYTES,
    Generation,
    Keys,
    SecretError,
    draft_beside,
    load_keys,
    sync_folder,
)
from cases.model import GenerationUse, SecretGeneration
from cases.store import Audit, Database, Generations

_RANDOM = "[0-9a-f]" * 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGeneration:
    """A generation as an administrator sees it."""

    number: int
    made: datetime | None
    """None where only the secret file knows it: a rotation that was not finished."""
    retired: datetime | None
    is_newest: bool
    """Whether new cases are made under it."""
    is_here: bool
    """Whether the secret file of this host holds it."""
    use: GenerationUse


def check_generations(keys: Keys, database: Database, secret_file: Path) -> None:
    """Refuse to work with another secret than the one that the database's pseudonyms were made with.

    A database that knows no generation yet learns those of the file.

    Raises
    ------
    SecretError
        When a generation that is in use is missing from the file, or is another one there.
    """
    with database.read() as session:
        known = Generations(session).all()
    if not known:
        with database.write() as session:
            for generation in keys.generations:
                Generations(session).register(generation.number, generation.check)
            known = Generations(session).all()
    fault = _fault(keys, known, secret_file)
    if fault:
        raise SecretError(fault)


def _fault(keys: Keys, known: tuple[SecretGeneration, ...], secret_file: Path) -> str:
    here = {generation.number: generation for generation in keys.generations}
    for one in known:
        if one.retired_at is not None:
            continue
        if one.number not in here:
            return (
                f"generation {one.number} of the secret, which the database knows, is not in {secret_file}; copy the "
                "file from the host where it was rotated, or restore it from its backup"
            )
        if not hmac.compare_digest(here[one.number].check, one.check_digest):
            return (
                f"the secret in {secret_file} is not the one that this database's pseudonyms were made with "
                f"(generation {one.number}); restore that file from its backup: another secret would give every "
                "patient a second identity"
            )
    return ""


def rotate(secret_file: Path, database: Database, *, actor: str) -> int:
    """Make a new generation, and return its number; cases begun from now on are made under it.

    Raises
    ------
    SecretError
        When the file cannot be written, or does not fit the database.
    """
    with changing_secret(secret_file) as real:
        keys = load_keys(real)
        check_generations(keys, database, secret_file)
        with database.write() as session:
            generations = Generations(session)
            generations.lock()
            known = generations.all()
            last = known[-1].number
            pending = [generation for generation in keys.generations if generation.number > last]
            if not pending:
                fault = _fault(keys, known, secret_file)  # another host may have rotated since
                if fault:
                    raise SecretError(fault)
                keys = _with_new(keys, last + 1)
                write_keys(real, keys)
                pending = [keys.generations[-1]]
            made = pending[0]
            generations.register(made.number, made.check)
            Audit(session).append(actor, "secret.rotate", f"generation {made.number}", {"before": last})
    return made.number


def retire(secret_file: Path, database: Database, number: int, *, actor: str) -> None:
    """Delete a generation that nothing needs any more.

    Raises
    ------
    SecretError
        When it is the newest one, or still needed.
    """
    with changing_secret(secret_file) as real:
        keys = load_keys(real)
        check_generations(keys, database, secret_file)
        with database.write() as session:
            generations = Generations(session)
            generations.lock()
            known = {one.number: one for one in generations.all()}
            if number not in known:
                raise SecretError(f"there is no generation {number}; casebridge secret list shows which there are")
            if number == max(known):
                raise SecretError(f"generation {number} is the newest one; run casebridge secret rotate first")
            if known[number].retired_at is None:
                _refuse_if_used(number, generations.use(number))
                generations.retire(number)
                Audit(session).append(actor, "secret.retire", f"generation {number}")
        if number in keys.numbers:
            left = tuple(generation for generation in keys.generations if generation.number != number)
            write_keys(real, replace(keys, generations=left))


def _refuse_if_used(number: int, use: GenerationUse) -> None:
    if not use.is_none:
        raise SecretError(
            f"generation {number} is still needed, by {use.cases} case(s) and {use.studies} received study or studies "
            "whose case or originals are there; late images would get another identity without it"
        )


def known_generations(keys: Keys, database: Database) -> list[KnownGeneration]:
    """Return every generation that the database or the file knows, the oldest first."""
    with database.read() as session:
        generations = Generations(session)
        known = {one.number: one for one in generations.all()}
        use = {number: generations.use(number) for number in known}
    newest = max((one.number for one in known.values() if one.retired_at is None), default=None)
    nothing = GenerationUse(cases=0, studies=0)
    return [
        KnownGeneration(
            number=number,
            made=known[number].created_at if number in known else None,
            retired=known[number].retired_at if number in known else None,
            is_newest=number == newest,
            is_here=number in keys.numbers,
            use=use.get(number, nothing),
        )
        for number in sorted({*known, *keys.numbers})
    ]


# -- the file --------------------------------------------------------------------------------------------------------


@contextmanager
def changing_secret(path: Path) -> Iterator[Path]:
    """Let one process of this host change the secret file at a time; yield the file itself where the path is a link.

    Raises
    ------
    SecretError
        When another process is at it, or the folder cannot be opened.
    """
    real = path.resolve()
    try:
        # The folder is the lock: a file of root's making would keep the service's own account out later.
        descriptor = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SecretError(f"the folder of {path} cannot be opened ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SecretError(f"another process is changing {path}; wait for it, then repeat") from None
        for draft in real.parent.glob(f".{glob.escape(real.name)}.{_RANDOM}"):
            with suppress(OSError):
                draft.unlink()  # what a killed process left: it holds the secret as well
        yield real
    finally:
        os.close(descriptor)


def write_keys(path: Path, keys: Keys) -> None:
    """Write the secret file anew: the whole of it or nothing, on disk when this returns, with its owner as before.

    Raises
    ------
    SecretError
        When it cannot be written; the old one stands then.
    """
    lines = [
        "# The secret of this Casebridge, in its generations. Without it follow-up is lost; with it pseudonyms can be",
        "# traced to patients. Keep a copy apart from the rest.",
        f"names {keys.name_key.hex()}",
        f"digests {keys.digest_key.hex()}",
        *(f"generation {one.number} {one.made_on or '-'} {one.secret.hex()}" for one in keys.generations),
    ]
    try:
        before = path.stat()
        draft = draft_beside(path, "\n".join(lines))
        try:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(draft, before.st_uid, before.st_gid)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise SecretError(f"the secret file {path} cannot be written anew ({error.strerror})") from None


def _with_new(keys: Keys, number: int) -> Keys:
    made = Generation(number=number, secret=secrets.token_bytes(SECRET_BYTES), made_on=f"{datetime.now(UTC):%Y-%m-%d}")
    return replace(keys, generations=(*keys.generations, made))
