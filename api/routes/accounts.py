"""The caller's own account, and everybody's for administrators."""

from fastapi import APIRouter

from api.context import Call
from api.openapi import problems
from api.schemas.accounts import Me, NewUser, UserOut
from api.schemas.common import Listed
from cases.store import Accounts, Audit
from cases.users import Usage

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.get("/me", responses=problems(403))
def get_me(call: Call) -> Me:
    """Show the caller's account and what is free of its limits."""
    with call.database.read() as session:
        usage = Accounts(session).usage(call.caller.id)
    return Me.of(call.caller, usage)


@router.get("/users", responses=problems(403))
def list_users(call: Call) -> Listed[UserOut]:
    """List all accounts by name."""
    with call.database.read() as session:
        accounts = Accounts(session)
        users, usages = accounts.users(), accounts.usages()
    return Listed(items=[UserOut.of(user, usages.get(user.id, Usage())) for user in users])


@router.post("/users", status_code=201, responses=problems(403, 413))
def create_user(call: Call, *, body: NewUser) -> UserOut:
    """Make an account; a token for it is issued apart."""
    with call.database.write() as session:
        user = Accounts(session).create_user(**body.model_dump())
        Audit(session).append(call.caller.name, "user.create", user.id, {"role": user.role.value})
    return UserOut.of(user, Usage())
