"""The HTTP application: hand-written wiring of routes, errors, figures and the description."""

from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.context import Context
from api.documentation import install_documentation
from api.limited import LimitCalls
from api.limits import CallBudgets, CallLimits
from api.metrics import AppMetrics
from api.middleware import RequestFrame
from api.openapi import install_openapi
from api.ports import (
    CaseMoves,
    ConsentSeal,
    HoldDecisions,
    MetricsSource,
    PeerPolicy,
    ProfileDesk,
    ProfileImpact,
    ProfilePreview,
    Readiness,
    Rerun,
    StudyMarks,
)
from api.problems import install_problem_handlers
from api.rendering import RendererOnDemand
from api.repeats import AnsweredBefore, KeepAnswers, replayed
from api.routes import (
    accounts,
    archive,
    audit,
    cases,
    consents,
    featured,
    health,
    holds,
    images,
    inbox,
    moderation,
    passwords,
    playlists,
    profile_routes,
    receipts,
    sessions,
    shared,
    shares,
    site_layouts,
    status,
    tokens,
)
from api.routes import moves as moves_routes
from api.routes import peers as peers_routes
from api.routes import previews as previews_routes
from api.routes import profiles as profiles_routes
from api.routes import reruns as reruns_routes
from cases.blobs import BlobStore
from cases.store import Database
from cases.store.intake import HOLD_RETENTION_DAYS
from cases.text_screen import TextScreen

TITLE = "Casebridge"
DESCRIPTION = """\
Draft teaching cases, made of what a PACS sent and de-identified on the way.

Send the token as `Authorization: Bearer <token>`. Lists answer `{"items": […], "next": …}`: pass `next` as `cursor` to
read on. Errors are problem details (RFC 9457).

A case carries an `ETag`. Send it as `If-Match` with an edit, and an edit of somebody else in between is not
overwritten; send it as `If-None-Match`, and an unchanged case answers 304.

A call by POST that may have been lost can be sent again with the `Idempotency-Key` of the first time: it is done once,
and answered as the first time. Too many calls in a minute answer 429; `RateLimit` says how many are left.
"""


def create_app(
    *,
    database: Database,
    blobs: BlobStore,
    readiness: Readiness,
    metrics: MetricsSource,
    peers: PeerPolicy,
    reruns: Rerun,
    moves: CaseMoves,
    profiles: ProfileDesk,
    marks: StudyMarks,
    previews: ProfilePreview,
    impacts: ProfileImpact,
    decisions: HoldDecisions,
    consent_seal: ConsentSeal | None,
    text_screen: TextScreen,
    version: str,
    hold_retention_days: float = HOLD_RETENTION_DAYS,
    budgets: CallBudgets | None = None,
) -> FastAPI:
    """
    Build the application on the given rooms.

    Parameters
    ----------
    database
        The one database, brought up to date; its owner closes it.
    blobs
        Where filed instances lie.
    readiness
        What ``/readyz`` asks.
    metrics
        Figures for ``/metrics`` beside those of the requests.
    peers
        Who may send.
    reruns
        Makes cases anew.
    moves
        Moves images between drafts.
    profiles
        What becomes of what is sent.
    marks
        What identifies a study to its operator.
    previews
        What a profile makes of originals and files.
    impacts
        What another revision would change.
    decisions
        What held images show, and what is decided on them.
    consent_seal
        Seals documents of consents; None where none are kept.
    text_screen
        Looks through what people type into cases.
    version
        Version of the program, for ``/healthz`` and the description.
    hold_retention_days
        After how many days an undecided hold ends.
    budgets
        How many calls a minute are answered.
    """
    figures = AppMetrics([metrics])
    limits = CallLimits(budgets or CallBudgets(), refused=figures.refused)
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=version,
        docs_url=None,  # the framework's pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        # spans and logs of the framework carry what callers wrote; the job engine may have set up exporters for them
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.context = Context(
        database=database,
        blobs=blobs,
        readiness=readiness,
        metrics=figures,
        limits=limits,
        peers=peers,
        reruns=reruns,
        moves=moves,
        profiles=profiles,
        marks=marks,
        previews=previews,
        impacts=impacts,
        decisions=decisions,
        consent_seal=consent_seal,
        text_screen=text_screen,
        renderer=RendererOnDemand(),
        version=version,
        hold_retention_days=hold_retention_days,
    )
    app.add_middleware(KeepAnswers, database=database)  # the last one added is the outermost
    app.add_middleware(LimitCalls, limits=limits)
    app.add_middleware(RequestFrame, metrics=figures)
    install_problem_handlers(app)
    app.add_exception_handler(AnsweredBefore, replayed)
    app.router.routes.extend(_routes())
    install_documentation(app)
    install_openapi(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """
    Return the routes of all resources, for any application.

    What the framework reads of a route's function is read once in a process: a route works on its request alone.
    """
    router = APIRouter(generate_unique_id_function=_operation_id)
    for resource in (
        health,
        accounts,
        sessions,
        passwords,
        tokens,
        cases,
        consents,
        moderation,
        images,
        archive,
        playlists,
        featured,
        shares,
        shared,
        inbox,
        holds,
        site_layouts,
        receipts,
        status,
        audit,
        peers_routes,
        reruns_routes,
        moves_routes,
    ):
        router.include_router(resource.router)
    router.include_router(profile_routes.router)  # before a profile's name could be taken for theirs
    router.include_router(profiles_routes.router)
    router.include_router(previews_routes.router)
    return tuple(router.routes)


def _operation_id(route: APIRoute) -> str:
    return route.name
