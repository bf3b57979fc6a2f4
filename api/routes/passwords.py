"""Passwords of accounts: everybody changes the own one, administrators give one to those who have none or forgot it."""

from fastapi import APIRouter, Response

from api.authorization import require, scopes_of
from api.context import AuthorizedCall, Call
from api.errors import ForbiddenError, InvalidRequestError
from api.openapi import problems
from api.schemas.accounts import FirstPassword, NewPassword
from api.schemas.common import Key
from cases.errors import SignInRefusedError
from cases.passwords import checked, hashed
from cases.store import Accounts, Audit, Passwords
from cases.store.passwords import Proof, prove

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.put("/me/password", status_code=204, responses=problems(403, 413, 429))
def set_own_password(call: Call, *, body: NewPassword) -> Response:
    """Change the caller's own password; every session ends, this one too, and tokens that were issued by hand stay."""
    wanted = checked(body.password.get_secret_value(), call.caller.name)
    proof = _proved(call, body) if call.caller.has_password else _unproved(call)
    kept = hashed(wanted)
    with call.database.write() as session:
        passwords = Passwords(session)
        try:
            passwords.confirm(proof)
        except SignInRefusedError:
            raise ForbiddenError("The password was changed at this moment: sign in again.") from None
        passwords.replace(call.caller.id, kept)
        Audit(session).append(call.caller.name, "password.change", call.caller.id)
    return Response(status_code=204)


def _proved(call: AuthorizedCall, body: NewPassword) -> Proof:
    if body.old_password is None:
        raise InvalidRequestError("This account has a password: give it as old_password.")
    try:
        return prove(call.database, call.caller.name, body.old_password.get_secret_value())
    except SignInRefusedError:
        raise ForbiddenError("The old password is wrong; nothing was changed.") from None


def _unproved(call: AuthorizedCall) -> Proof:
    # Who knows the password can sign in, and has all that the role has: a narrow token must not lead there.
    require(call.caller, scopes_of(call.caller.role))
    return Proof(user_id=call.caller.id, kept="")


@router.put("/users/{user_id}/password", status_code=204, responses=problems(403, 404, 413, 429))
def set_user_password(call: Call, *, user_id: Key, body: FirstPassword) -> Response:
    """Give an account a password: the first one, or another where it was forgotten. Its sessions end."""
    if user_id == call.caller.id:
        raise InvalidRequestError("This is your own account: PUT /api/v1/me/password changes its password.")
    with call.database.read() as session:
        user = Accounts(session).user(user_id)
    require(call.caller, scopes_of(user.role))
    kept = hashed(checked(body.password.get_secret_value(), user.name))
    with call.database.write() as session:
        Passwords(session).replace(user_id, kept)
        Audit(session).append(call.caller.name, "password.set", user_id)
    return Response(status_code=204)
