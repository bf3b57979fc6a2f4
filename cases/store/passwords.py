"""Who signs in with a password. Attempts are counted before they are looked at, so that many at once count as many."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from cases.errors import SignInPausedError, SignInRefusedError
from cases.passwords import fits, hashed, is_outdated
from cases.store.account_rows import SignInFailuresRow, TokenRow, UserRow
from cases.store.accounts import lock_user
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.database import Database
from cases.store.upsert import insert_or_nothing

FREE_ATTEMPTS = 5
"""The last of them is the first that a pause follows, unless it succeeds."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
"""Nobody is shut out for longer by somebody who guesses."""
FORGOTTEN_AFTER = timedelta(days=1)
ACTOR = "sign-in"
"""Who fails to sign in is nobody, for the audit log."""
_FORGOTTEN_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Somebody knew the password of an account, as it was kept then."""

    user_id: str
    kept: str = field(repr=False)
    renewed: str = field(default="", repr=False)
    """What is to be kept of the same password now, where the parameters are others."""


def prove(database: Database, name: str, password: str, now: datetime | None = None) -> Proof:
    """Look whether this is the password of the account; ``Passwords.confirm`` makes use of the answer.

    No transaction is open while the password is looked at, which takes its time.

    Raises
    ------
    SignInPausedError
        When there were too many attempts under this name, whether there is such an account or not.
    SignInRefusedError
        When the password is wrong, or there is no such account, or it is disabled or without a password: the answer
        and its cost are the same.
    """
    with database.write() as session:
        attempts, pause = Passwords(session).begin(name, now or clock_now())
    with database.read() as session:
        user_id, kept = Passwords(session).find(name)
    if fits(password, kept):
        return Proof(user_id=user_id, kept=kept, renewed=hashed(password) if is_outdated(kept) else "")
    with database.write() as session:
        Passwords(session).refuse(name, user_id, attempts, pause)
    raise SignInRefusedError("the name or the password is wrong, or this account has no password")


class Passwords:
    """What is kept of passwords, and attempts to guess one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, name: str, now: datetime) -> tuple[int, timedelta]:
        """Count an attempt, as failed until ``confirm``; return how many there were and the pause that follows.

        Raises
        ------
        SignInPausedError
            When the pause after the attempts before is not over.
        """
        digest = _digest(name)
        fresh = {"name_digest": digest, "count": 0, "last_at": now, "paused_until": None}
        insert_or_nothing(self._session, SignInFailuresRow, [fresh], ["name_digest"])
        row = self._session.scalars(
            select(SignInFailuresRow).where(SignInFailuresRow.name_digest == digest).with_for_update()
        ).one()
        if row.paused_until is not None and row.paused_until > now:
            left_s = int((row.paused_until - now).total_seconds()) + 1
            raise SignInPausedError(
                f"too many attempts to sign in to this account failed: try again in {left_s} s", retry_after_s=left_s
            )
        row.count = row.count + 1 if now - row.last_at < FORGOTTEN_AFTER else 1
        pause = pause_after(row.count)
        row.last_at, row.paused_until = now, now + pause if pause else None
        self._session.flush()
        self._forget(now)
        return row.count, pause

    def _forget(self, now: datetime) -> None:
        old = (
            select(SignInFailuresRow.name_digest)
            .where(SignInFailuresRow.last_at < now - FORGOTTEN_AFTER)
            .limit(_FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        self._session.execute(
            delete(SignInFailuresRow)
            .where(SignInFailuresRow.name_digest.in_(self._session.scalars(old).all()))
            .execution_options(synchronize_session=False)
        )

    def find(self, name: str) -> tuple[str, str]:
        """Return the id of an account and what is kept of its password; both are empty where it may not sign in."""
        row = self._session.scalar(select(UserRow).where(UserRow.name == name))
        if row is None:
            return "", ""
        return row.id, "" if row.disabled_at else row.password_hash

    def refuse(self, name: str, user_id: str, attempts: int, pause: timedelta) -> None:
        """Note that an attempt failed; where there is no such account, as much is written."""
        self._session.execute(
            update(SignInFailuresRow)
            .where(SignInFailuresRow.name_digest == _digest(name))
            .values(count=SignInFailuresRow.count)
        )
        if user_id:
            detail = {"attempts": attempts, "pause_s": int(pause.total_seconds())}
            Audit(self._session).append(ACTOR, "session.refuse", user_id, detail)

    def confirm(self, proof: Proof) -> None:
        """Make sure that what was proved is still so, and forget the attempts that failed.

        Raises
        ------
        SignInRefusedError
            When the password changed meanwhile, or the account was disabled.
        """
        row = lock_user(self._session, proof.user_id)
        if row.disabled_at is not None or row.password_hash != proof.kept:
            raise SignInRefusedError("the account changed at this moment: sign in again")
        row.password_hash = proof.renewed or proof.kept
        self._forgive(row)

    def replace(self, user_id: str, kept: str) -> None:
        """Keep another password, and end every session of the account; tokens that were issued by hand stay.

        Parameters
        ----------
        user_id : str
            Whose it is.
        kept : str
            What ``cases.passwords.hashed`` made of it.
        """
        row = lock_user(self._session, user_id)
        row.password_hash = kept
        self._session.execute(
            update(TokenRow)
            .where(TokenRow.user_id == user_id, TokenRow.is_session, TokenRow.revoked_at.is_(None))
            .values(revoked_at=clock_now())
        )
        self._forgive(row)

    def _forgive(self, row: UserRow) -> None:
        self._session.execute(delete(SignInFailuresRow).where(SignInFailuresRow.name_digest == _digest(row.name)))
        self._session.flush()


def pause_after(attempts: int) -> timedelta:
    """Return for how long nobody can sign in under a name after so many attempts that failed."""
    if attempts < FREE_ATTEMPTS:
        return timedelta(0)
    doublings = min(attempts - FREE_ATTEMPTS, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
