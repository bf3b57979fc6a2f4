"""The caller's own account, and everybody's for administrators."""

from fastapi import APIRouter

from api.context import Call
from api.openapi import problems
from api.schemas.accounts import Me, NewUser, UserOut
from api.schemas.common import Listed
from cases.store import Accounts, Audit, Collector

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.get("/me", responses=problems(403))
def get_me(call: Call) -> Me:
    """Show the caller's account, how many drafts are free, and how many cases are public."""
    with call.database.read() as session:
        collector = Collector(session).count(call.caller.name)
    return Me.of(call.caller, collector)


@router.get("/users", responses=problems(403))
def list_users(call: Call) -> Listed[UserOut]:
    """List all accounts by name."""
    with call.database.read() as session:
        users = Accounts(session).users()
    return Listed(items=[UserOut.model_validate(user) for user in users])


@router.post("/users", status_code=201, responses=problems(403, 413))
def create_user(call: Call, *, body: NewUser) -> UserOut:
    """Make an account; a token for it is issued apart."""
    with call.database.write() as session:
        user = Accounts(session).create_user(body.name, body.role, body.draft_limit)
        Audit(session).append(call.caller.name, "user.create", user.id, {"role": user.role.value})
    return UserOut.model_validate(user)
