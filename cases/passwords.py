"""Passwords of people who use pages: what may be one, and what is kept of it.

Kept is what Argon2id makes of it (RFC 9106), with a salt and its parameters within. Nothing here repeats a password.
"""

import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from cases.errors import InvalidChangeError, SignInPausedError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 12
"""Characters. No rules of composition: length is what helps (NIST SP 800-63B)."""
LONGEST = 200
AT_ONCE = 4
"""Each takes 64 MiB and a few processors: sign-ins must not take what the other calls need."""
WAIT_S = 5
_turns = BoundedSemaphore(AT_ONCE)


def checked(password: str, name: str) -> str:
    """Return a password that somebody chose for the account of this name.

    Raises
    ------
    InvalidChangeError
        When it is too short, too long or the account's own name.
    """
    if not is_text(password):
        raise InvalidChangeError("a password is made of whole characters")
    wanted = _normal(password)
    if not SHORTEST <= len(wanted) <= LONGEST:
        raise InvalidChangeError(f"a password has {SHORTEST} to {LONGEST} characters")
    if wanted.strip().casefold() == _normal(name).casefold():
        raise InvalidChangeError("a password is not the account's own name: choose another one")
    return wanted


def is_text(password: str) -> bool:
    """Return whether all of it can be written down: JSON and command lines may hold halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in password)


def hashed(password: str) -> str:
    """Return what is kept of a password, which takes about 0.1 s.

    Raises
    ------
    SignInPausedError
        When too many are worked on at this moment.
    """
    with _turn():
        return _hasher().hash(_normal(password))


def fits(password: str, kept: str) -> bool:
    """Return whether this is the password; where none is kept, the answer is no and costs as much.

    Raises
    ------
    SignInPausedError
        When too many are worked on at this moment.
    """
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    with _turn(), suppress(VerificationError, InvalidHashError):
        return _hasher().verify(kept or _nobodys(), _normal(password)) and bool(kept)
    return False


def is_outdated(kept: str) -> bool:
    """Return whether the recommended parameters are others by now."""
    return _hasher().check_needs_rehash(kept)


def _normal(text: str) -> str:
    # The same keys give different code points on different machines.
    return unicodedata.normalize("NFKC", text)


@cache
def _hasher() -> "PasswordHasher":
    """Return the hasher with the parameters that its authors recommend; imported only where somebody signs in."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher()


def _nobodys() -> str:
    """Return something that is verified at the cost of a hash and is the hash of nothing that is known."""
    hasher = _hasher()
    salt, digest = (b64encode(bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT_S):
        raise SignInPausedError("too many are signing in at this moment: try again shortly", retry_after_s=WAIT_S)
    try:
        yield
    finally:
        _turns.release()
