"""The caller's own account, and everybody's for administrators."""

from fastapi import APIRouter

from api.context import Call
from api.openapi import problems
from api.schemas.accounts import Me, NewUser, UserEdit, UserOut
from api.schemas.common import Key, Listed
from cases.store import Accounts, Audit, Cases, Collector
from cases.users import Usage

router = APIRouter(prefix="/api/v1", tags=["accounts"])


@router.get("/me", responses=problems(403))
def get_me(call: Call) -> Me:
    """Show the caller's account, what is free of its limits, and how many cases are public."""
    with call.database.read() as session:
        usage = Accounts(session).usage(call.caller.id)
        collector = Collector(session).count(call.caller.name)
    return Me.of(call.caller, usage, collector)


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


@router.get("/users/{user_id}", responses=problems(403, 404))
def get_user(call: Call, *, user_id: Key) -> UserOut:
    """Show one account."""
    with call.database.read() as session:
        accounts = Accounts(session)
        return UserOut.of(accounts.user(user_id), accounts.usage(user_id))


@router.patch("/users/{user_id}", responses=problems(403, 404, 409, 413))
def edit_user(call: Call, *, user_id: Key, body: UserEdit) -> UserOut:
    """Change role, limits, trust or policy of an account, or shut it out; the last administrator stays one."""
    change = body.change()
    with call.database.write() as session:
        accounts = Accounts(session)
        user = accounts.edit(user_id, change)
        detail = {"fields": ", ".join(sorted(change.named))}
        Audit(session).append(call.caller.name, "user.edit", user_id, detail)
        if change.draft_limit is not None:
            Cases(session).promote_waiting()
        return UserOut.of(user, accounts.usage(user_id))
