"""What every route is given: the rooms' objects, and the caller who was let in."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.authorization import Relation, permit, relation_to, require, rule_of
from api.errors import ForbiddenError, UnauthenticatedError
from api.limited import note_rest, peer_of
from api.limits import Budget, CallLimits, budget_of
from api.metrics import AppMetrics
from api.ports import (
    CaseMoves,
    ConsentSeal,
    HoldDecisions,
    PeerPolicy,
    ProfileDesk,
    ProfileImpact,
    ProfilePreview,
    Readiness,
    Rerun,
    StudyMarks,
)
from api.rendering import Renderer
from api.repeats import begin_once
from cases.blobs import BlobStore
from cases.errors import StoreUnavailableError
from cases.model import CaseStanding, CaseSummary
from cases.states import is_public
from cases.store import Accounts, Database
from cases.text_screen import TextScreen
from cases.users import User

MAX_TOKEN_CHARS = 256
_bearer = HTTPBearer(auto_error=False, description="A token from POST /api/v1/tokens or the first start's banner.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The objects that one application works on."""

    database: Database
    blobs: BlobStore
    readiness: Readiness
    metrics: AppMetrics
    limits: CallLimits
    peers: PeerPolicy
    reruns: Rerun
    moves: CaseMoves
    profiles: ProfileDesk
    marks: StudyMarks
    previews: ProfilePreview
    impacts: ProfileImpact
    decisions: HoldDecisions
    consent_seal: ConsentSeal | None
    """None where no documents of consents are kept."""
    text_screen: TextScreen
    renderer: Renderer
    version: str
    hold_retention_days: float


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizedCall:
    """A call whose caller's role and token may make it; what it is about is still to be checked with ``permit``."""

    context: Context
    caller: User
    operation: str
    """Name of the route's function: the row of the authorisation table."""

    @property
    def database(self) -> Database:
        """Return the database."""
        return self.context.database

    def permit(self, owner: str | None, *, is_public: bool = False) -> None:
        """Let the call through to a case of this owner, or refuse it; see ``authorization.permit``."""
        permit(self.operation, self.caller, relation_to(self.caller, owner, is_public=is_public))

    def permit_case(self, case: CaseSummary | CaseStanding) -> None:
        """Let the call through to a case, or refuse it."""
        self.permit(case.owner, is_public=is_public(case.status, case.visibility))

    def is_stranger_to(self, case: CaseSummary | CaseStanding) -> bool:
        """Return whether the caller may read a case as everybody may, and is shown what everybody is."""
        shown_to_all = is_public(case.status, case.visibility)
        return relation_to(self.caller, case.owner, is_public=shown_to_all) is Relation.PUBLIC


def _authorize(
    request: Request,
    context: Here,
    background: BackgroundTasks,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> AuthorizedCall:
    operation = str(request.scope["route"].name)
    caller = None
    if credentials is not None and len(credentials.credentials) <= MAX_TOKEN_CHARS:
        with context.database.read() as session:
            caller = Accounts(session).authenticate(credentials.credentials)
    _count(request, context, caller)
    if credentials is None or len(credentials.credentials) > MAX_TOKEN_CHARS:
        raise UnauthenticatedError("Send a token: Authorization: Bearer <token>.")
    if caller is None:
        raise UnauthenticatedError("This token is unknown, expired or revoked.")
    rule = rule_of(operation)
    if caller.role not in rule.callers:
        raise ForbiddenError("Your role does not include this call.")
    if not caller.scopes & (needed := rule.scopes_for(caller.role)):
        require(caller, needed)  # which of them it is, where there are several, ``permit`` knows
    if caller.token_use_is_due:
        background.add_task(_note_use, context.database, caller.token_id)
    return AuthorizedCall(context=context, caller=caller, operation=operation)


def _count(request: Request, context: Context, caller: User | None) -> None:
    """Count the call for its token; a wrong one for its address, and not against the callers beside it there."""
    if caller is not None:
        budget = budget_of(request.scope["path"])
        note_rest(request.scope, context.limits.spend(budget, caller.token_id or caller.id))
    elif "authorization" in request.headers:
        note_rest(request.scope, context.limits.spend_of_address(Budget.WRONG_TOKENS, peer_of(request.scope)))


def _note_use(database: Database, token_id: str) -> None:
    with suppress(StoreUnavailableError), database.write() as session:  # the time of last use can wait
        Accounts(session).note_use(token_id)


async def _once(request: Request, call: Annotated[AuthorizedCall, Depends(_authorize)]) -> AuthorizedCall:
    """Let a call through that was not made before under its key."""
    await begin_once(request, call.database, call.caller.id, call.operation)
    return call


Call = Annotated[AuthorizedCall, Depends(_once)]
