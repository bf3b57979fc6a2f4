"""Signing in and out with a password, for people who use pages; programs have tokens."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Response

from api.authorization import scopes_of
from api.context import Call, Here
from api.openapi import problems
from api.schemas.accounts import NewSession, Session
from cases.store import Accounts, Audit, Passwords
from cases.store.passwords import prove
from cases.users import in_order

router = APIRouter(prefix="/api/v1/sessions", tags=["accounts"])
LASTS = timedelta(hours=12)


@router.post("", status_code=201, responses=problems(401, 413, 422, 429, 503, is_open=True))
def create_session(here: Here, *, body: NewSession) -> Session:
    """Sign in: the token in this answer is never seen again and lasts for twelve hours."""
    proof = prove(here.database, body.name, body.password.get_secret_value())
    expires_at = datetime.now(UTC) + LASTS
    with here.database.write() as session:
        Passwords(session).confirm(proof)
        accounts = Accounts(session)
        user = accounts.user(proof.user_id)
        scopes = scopes_of(user.role)
        token = accounts.open_session(user.id, expires_at, scopes)
        Audit(session).append(user.name, "session.start", user.id)
    return Session(token=token, expires_at=expires_at, scopes=in_order(scopes))


@router.delete("/current", status_code=204, responses=problems(403))
def end_session(call: Call) -> Response:
    """Sign out: the token of this call ends at once."""
    with call.database.write() as session:
        Accounts(session).revoke_token(call.caller.token_id)
        Audit(session).append(call.caller.name, "session.end", call.caller.id, {"token": call.caller.token_id})
    return Response(status_code=204)
