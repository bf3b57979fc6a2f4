"""Tokens: everybody has their own in hand, administrators everybody's. A secret is shown once and kept as a hash."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.authorization import Relation, named, permit, require, rule_of, scopes_of
from api.context import AuthorizedCall, Call
from api.errors import ForbiddenError, InvalidRequestError
from api.openapi import problems
from api.schemas.accounts import IssuedToken, NewToken, TokenOut
from api.schemas.common import Key, Listed
from cases.errors import CaseNotFoundError
from cases.store import Accounts, Audit
from cases.users import Scope, User, in_order

router = APIRouter(prefix="/api/v1/tokens", tags=["accounts"])
LONGEST = timedelta(days=3653)
USUAL = timedelta(days=90)
OfUser = Annotated[Key | None, Query(description="An account's id: administrators see the tokens of others.")]


@router.get("", responses=problems(403, 404))
def list_tokens(call: Call, *, user: OfUser = None) -> Listed[TokenOut]:
    """List tokens, newest first, without their secrets."""
    user_id = _permitted(call, user)
    with call.database.read() as session:
        accounts = Accounts(session)
        tokens = accounts.tokens(accounts.user(user_id).id)
    return Listed(items=[TokenOut.model_validate(token) for token in tokens])


@router.post("", status_code=201, responses=problems(403, 404, 413))
def issue_token(call: Call, *, body: NewToken) -> IssuedToken:
    """Issue a token; its text is in this answer and never seen again."""
    user_id = _permitted(call, body.user)
    now = datetime.now(UTC)
    expires_at = body.expires_at if "expires_at" in body.model_fields_set else now + USUAL
    if expires_at is not None and not now < expires_at <= now + LONGEST:
        raise InvalidRequestError("A token expires at a time to come, within ten years.")
    with call.database.write() as session:
        accounts = Accounts(session)
        scopes = _granted(call, accounts.user(user_id), body.scopes)
        text = accounts.issue_token(user_id, body.label, expires_at, scopes)
        Audit(session).append(call.caller.name, "token.issue", user_id, {"scopes": named(scopes)})
    return IssuedToken(token=text, expires_at=expires_at, scopes=in_order(scopes))


def _granted(call: AuthorizedCall, user: User, wanted: list[Scope] | None) -> frozenset[Scope]:
    """Return what a new token may be used for: never more than the account's role, nor than the token of the call."""
    of_role = scopes_of(user.role)
    if wanted is None:
        if scopes := of_role & call.caller.scopes:
            return scopes
        raise ForbiddenError("This token has no scope that the account could use: use one that has.")
    scopes = frozenset(wanted)
    if beyond := scopes - of_role:
        raise InvalidRequestError(f"The role of the account does not include the scope {named(beyond)}: leave it out.")
    require(call.caller, scopes)
    return scopes


@router.delete("/{token_id}", status_code=204, responses=problems(403, 404))
def revoke_token(call: Call, *, token_id: Key) -> Response:
    """End a token at once."""
    with call.database.write() as session:
        accounts = Accounts(session)
        owner_id = _owner_of(accounts, call, token_id)
        _permitted(call, owner_id)
        accounts.revoke_token(token_id)
        Audit(session).append(call.caller.name, "token.revoke", owner_id, {"token": token_id})
    return Response(status_code=204)


def _permitted(call: AuthorizedCall, user_id: str | None) -> str:
    """Return whose tokens are meant, once the caller may have them in hand."""
    user_id = user_id or call.caller.id
    permit(call.operation, call.caller, Relation.OWN if user_id == call.caller.id else Relation.FOREIGN)
    return user_id


def _owner_of(accounts: Accounts, call: AuthorizedCall, token_id: str) -> str:
    """Return whose token it is; only who may revoke those of others has others looked at."""
    users = accounts.users() if rule_of(call.operation).allows(call.caller.role, Relation.FOREIGN) else (call.caller,)
    for user in users:
        if any(token.id == token_id for token in accounts.tokens(user.id)):
            return user.id
    raise CaseNotFoundError("There is no such token, or it is not yours.")
