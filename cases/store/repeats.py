"""Requests under a key: begun once, marked with what they commit, answered again, and swept."""

import hashlib
import re
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from cases.errors import AnswerNotKeptError, AttemptOverError, KeyReusedError, RequestRunningError
from cases.model import CaseStatus
from cases.repeats import KEPT_FOR, LEASE, RETRY_AFTER_S, Attempt, KeptAnswer
from cases.store.clock import database_now
from cases.store.repeat_rows import AnsweredCaseRow, RepeatedRequestRow
from cases.store.rows import CaseRow, new_id
from cases.store.upsert import insert_or_nothing

SWEPT_IN_ONE = 500
_AT_ONCE = 500
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class Repeats:
    """What was asked for under keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, caller_id: str, key: str, request_digest: str) -> Attempt | KeptAnswer:
        """
        Take the key for a first try, or return what was answered before.

        Raises
        ------
        KeyReusedError
            The key was sent with another request.
        RequestRunningError
            The first request is being worked on, or was when its process ended.
        AnswerNotKeptError
            The request was done, and its answer cannot be given again.
        """
        now = database_now(self._session)
        attempt = Attempt(request_id=_request_id(caller_id, key), number=new_id())
        values = _fresh(attempt, caller_id, request_digest, now)
        if insert_or_nothing(self._session, RepeatedRequestRow, [values], ["id"]):
            return attempt
        row = self._session.scalar(
            select(RepeatedRequestRow)
            .where(RepeatedRequestRow.id == attempt.request_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:  # given back this moment
            raise RequestRunningError(retry_after_s=RETRY_AFTER_S)
        is_over = row.began_at <= now - KEPT_FOR
        if not is_over and (kept := _known(row, request_digest, now)) is not None:
            return kept
        self._forget_cases([row.id])
        self._session.execute(update(RepeatedRequestRow).where(RepeatedRequestRow.id == row.id).values(**values))
        return attempt

    def finish(self, attempt: Attempt, answer: KeptAnswer, *, keeps_body: bool) -> None:
        """Keep an answer for whoever asks again; one that tells of a case which has gone meanwhile is not kept."""
        case_ids = self._cases_in(answer)
        is_kept = keeps_body and case_ids is not None
        done = self._session.execute(
            update(RepeatedRequestRow)
            .where(*_held_by(attempt))
            .values(
                status=answer.status,
                headers=dict(answer.headers) if is_kept else {},
                answer=answer.body if is_kept else None,
            )
            .returning(RepeatedRequestRow.id)
        ).one_or_none()
        if done is not None and is_kept and case_ids:
            rows = [{"request_id": attempt.request_id, "case_id": case_id} for case_id in case_ids]
            insert_or_nothing(self._session, AnsweredCaseRow, rows, ["request_id", "case_id"])

    def give_back(self, attempt: Attempt, *, even_with_effect: bool) -> None:
        """Free the key of a request that was refused or failed, so that it can be sent again at once.

        Parameters
        ----------
        attempt
            The try that ended.
        even_with_effect
            Whether also where it committed something: a refusal may have been written to the audit log, which is no
            reason not to try again. What failed half-way keeps its key.
        """
        freed = delete(RepeatedRequestRow).where(*_held_by(attempt))
        if not even_with_effect:
            freed = freed.where(RepeatedRequestRow.has_effect.is_(False))
        self._session.execute(freed)

    def sweep(self) -> int:
        """Forget a batch of what is older than a day, and return how many requests that were."""
        over = database_now(self._session) - KEPT_FOR
        old = select(RepeatedRequestRow.id).where(RepeatedRequestRow.began_at <= over)
        keys = self._session.scalars(old.order_by(RepeatedRequestRow.began_at).limit(SWEPT_IN_ONE)).all()
        self._forget_cases(keys)
        self._session.execute(delete(RepeatedRequestRow).where(RepeatedRequestRow.id.in_(keys)))
        return len(keys)

    def _forget_cases(self, keys: Collection[str]) -> None:
        self._session.execute(delete(AnsweredCaseRow).where(AnsweredCaseRow.request_id.in_(keys)))

    def _cases_in(self, answer: KeptAnswer) -> set[str] | None:
        """Return the cases that an answer names, each locked against its removal; None where one has gone already."""
        named = sorted(set(_ID.findall(f"{answer.body} {' '.join(answer.headers.values())}")))
        found: set[str] = set()
        for start in range(0, len(named), _AT_ONCE):
            query = select(CaseRow.id, CaseRow.status).where(CaseRow.id.in_(named[start : start + _AT_ONCE]))
            for case_id, status in self._session.execute(query.order_by(CaseRow.id).with_for_update(read=True)):
                if status is CaseStatus.REMOVED:
                    return None
                found.add(case_id)
        return found


def note_effect(session: Session, attempt: Attempt) -> None:
    """Mark in the same transaction that an attempt commits something.

    Raises
    ------
    AttemptOverError
        When its key was taken by a later try: nothing of this one is kept.
    """
    marked = session.execute(
        update(RepeatedRequestRow).where(*_held_by(attempt)).values(has_effect=True).returning(RepeatedRequestRow.id)
    ).one_or_none()
    if marked is None:
        raise AttemptOverError("this took too long, and was begun again under its key")


def forget_answers_of(session: Session, case_id: str) -> None:
    """Let go of kept answers that tell of a case; that the requests were done stays known for their day."""
    telling = select(AnsweredCaseRow.request_id).where(AnsweredCaseRow.case_id == case_id)
    session.execute(
        update(RepeatedRequestRow).where(RepeatedRequestRow.id.in_(telling)).values(answer=None, headers={})
    )
    session.execute(delete(AnsweredCaseRow).where(AnsweredCaseRow.case_id == case_id))


def _known(row: RepeatedRequestRow, request_digest: str, now: datetime) -> KeptAnswer | None:
    """Return what was answered, or None where nothing was done and the key is free again."""
    if row.request_digest != request_digest:
        raise KeyReusedError("this key was sent with another request: every new request needs a key of its own")
    if row.status is not None:
        if row.answer is None:
            raise AnswerNotKeptError(
                "this was done already, and its answer is not kept: it held a secret, was too long, or told of a case "
                "that is gone; look at what it was about, and use a new key for a new request"
            )
        return KeptAnswer(status=row.status, headers=row.headers, body=row.answer)
    if row.lease_until > now:
        raise RequestRunningError(retry_after_s=RETRY_AFTER_S)
    if row.has_effect:
        raise AnswerNotKeptError(
            "this was done at least in part, but failed before it was answered; look at what it was about, and use a "
            "new key for a new request"
        )
    return None


def _held_by(attempt: Attempt) -> tuple[ColumnElement[bool], ...]:
    return (RepeatedRequestRow.id == attempt.request_id, RepeatedRequestRow.attempt == attempt.number)


def _fresh(attempt: Attempt, caller_id: str, request_digest: str, now: datetime) -> dict[str, object]:
    return {
        "id": attempt.request_id,
        "caller_id": caller_id,
        "request_digest": request_digest,
        "attempt": attempt.number,
        "began_at": now,
        "lease_until": now + LEASE,
        "has_effect": False,
        "status": None,
        "headers": {},
        "answer": None,
    }


def _request_id(caller_id: str, key: str) -> str:
    return hashlib.sha256(f"{caller_id}\0{key}".encode()).hexdigest()
