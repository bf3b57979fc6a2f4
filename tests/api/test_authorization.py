"""Every call is made by every role on everything, and the answers must be those of the one table."""

import hashlib
import itertools
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import delete, text

from api.authorization import RULES, SEES_ALL, Relation, scopes_of
from bridge.profile_book import revision_of
from cases.consents import DocumentType, SealedDocument, document_blob_key
from cases.featured import month_of
from cases.holds import HoldFilter
from cases.passwords import hashed
from cases.peers import NewPeerRule
from cases.playlists import PlaylistChanges
from cases.reviews import Decision, ReviewAction
from cases.store import (
    Accounts,
    Consents,
    Featured,
    Holds,
    Passwords,
    PeerRules,
    Playlists,
    Profiles,
    Reviews,
    Shares,
    SiteLayouts,
)
from cases.store.clock import now as clock_now
from cases.store.collection_rows import FeaturedCaseRow
from cases.store.rows import CaseRow
from cases.users import ALL_SCOPES, Role, Scope, User, UserChange
from tests.api.routes import Call, calls_of
from tests.api.seed import Somebody, World, burned_in
from tests.bridge.books import shipped
from tests.bridge.looking import Looking
from tests.cases.world import SCREEN

PROFILE = "name: mine\nbase: basic\n"
PASSWORD = "a horse that is correct"
BODIES = {
    "edit_case": {"title": "A title"},
    "edit_study": {"findings": "Nothing of note."},
    "edit_series": {"perspective": "Axial"},
    "submit_case": {"visibility": "public"},
    "set_case_visibility": {"visibility": "public"},
    "accept_case": {"accepts_probable": False},
    "push_back_case": {"reason": "language", "message": "Please write in English."},
    "create_user": {"name": "newcomer"},
    "edit_user": {"draft_limit": 1000},
    "create_session": {"name": "somebody", "password": PASSWORD},
    "set_own_password": {"password": PASSWORD, "old_password": PASSWORD},
    "set_user_password": {"password": PASSWORD},
    "issue_token": {"label": "another"},
    "request_reruns": {"profile": "strict"},
    "allow_peer": {"calling_ae": "PACS2", "addresses": ["192.0.2.7"]},
    "check_profile": {"text": PROFILE},
    "explain_profile": {"name": "teaching", "attribute": "StationName"},
    "translate_profile": {"text": "%header\nREMOVE StationName\n"},
    "publish_profile": {"text": PROFILE},
    "set_profile_route": {"called_ae": "NEURO", "name": "strict"},
    "roll_back_profile_route": {"called_ae": "NEURO"},
    "decide_hold": {"action": "confirm"},
    "learn_site_layout": {"name": "Room 3"},
    "switch_site_layout": {"is_active": False},
    "request_impact": {"first": "teaching", "second": "strict"},
    "create_playlist": {"title": "Emergencies"},
    "edit_playlist": {"title": "Emergencies"},
    "set_playlist_entries": {"entries": []},
    "create_share": {"label": "tumor board"},
}
CASE_CALLS = {"get_case", "edit_case", "edit_study", "withdraw_case", "get_image", "render_image", "get_thumbnail"}
MOVES = {"submit_case", "take_back_case", "set_case_visibility", "accept_case", "push_back_case"}
"""Calls that move a case between its owner, the editors and everybody."""
CASE_CALLS |= {"list_case_reruns", "edit_series", "get_case_history", "get_case_readiness", *MOVES}
CASE_CALLS |= {"merge_case", "split_case", "move_images", "list_case_moves", "download_case"}
DOCUMENT_CALLS = {"keep_consent_document", "read_consent_document", "delete_consent_document"}
CASE_CALLS |= DOCUMENT_CALLS
READ_CALLS = {"get_case", "get_image", "render_image", "get_thumbnail"}
PLAYLIST_CALLS = {"get_playlist", "edit_playlist", "set_playlist_entries", "delete_playlist"}
SHARE_CALLS = {"list_shares", "create_share", "revoke_share"}
HOLD_CALLS = {"get_hold", "get_held_frame", "decide_hold", "undo_decision"}
STRICT = shipped("strict")
RELATIONS = {
    **dict.fromkeys(CASE_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN)),
    **dict.fromkeys(MOVES, (Relation.OWN, Relation.FOREIGN)),
    **dict.fromkeys(READ_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN, Relation.PUBLIC)),
    **dict.fromkeys(HOLD_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN)),
    **dict.fromkeys(PLAYLIST_CALLS, (Relation.OWN, Relation.FOREIGN)),
    **dict.fromkeys(SHARE_CALLS, (Relation.OWN, Relation.FOREIGN)),
    "list_shares": (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN),
    "get_receipt": (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN),
    "list_tokens": (Relation.OWN, Relation.FOREIGN),
    "issue_token": (Relation.OWN, Relation.FOREIGN),
    "revoke_token": (Relation.OWN, Relation.FOREIGN),
    "claim_case": (Relation.UNOWNED,),
}
"""What each call is about; a call that is not named here is about no single thing."""


WITH_QUERY = {"list_tokens", "list_rerun_candidates", "get_profile_route_history", "clear_profile_route"}
HIDDEN = {"revoke_token", "get_receipt", *HOLD_CALLS}
"""Calls whose things nobody knows of who may not do them."""


def test_every_route_has_a_row_and_every_row_a_route(app):
    assert {call.operation for call in calls_of(app)} == set(RULES)


def test_only_health_figures_signing_in_and_what_is_behind_a_link_are_open():
    links = {"get_shared_case", "get_shared_image", "render_shared_image", "get_shared_thumbnail"}
    opened = {name for name, rule in RULES.items() if rule.is_open}
    assert opened == {"get_health", "get_readiness", "get_metrics", "create_session"} | links


@dataclass
class Sent:
    """One call as it is sent; each arranger adds what it knows of."""

    token: str
    scopes: frozenset[Scope]
    """Of the token."""
    values: dict[str, object] = field(default_factory=dict)
    """For the path."""
    body: dict[str, object] = field(default_factory=dict)
    query: dict[str, object] = field(default_factory=dict)
    raw: dict[str, object] | None = None
    """In place of body and query."""


@dataclass
class Scene:
    """What the calls are made on."""

    world: World
    picture: bytes
    looks: Looking
    people: dict[Role, Somebody]
    somebody: Somebody
    made: dict[object, str] = field(default_factory=dict)
    owners: ClassVar = {Relation.UNOWNED: None, Relation.FOREIGN: "somebody", Relation.PUBLIC: "somebody"}

    def token(self, role: Role, scope: Scope | None) -> str:
        """Return the token of a person, or one with this scope alone."""
        if scope is None:
            return self.people[role].token
        if (role, scope) not in self.made:
            with self.world.database.write() as session:
                accounts = Accounts(session)
                self.made[role, scope] = accounts.issue_token(self.people[role].id, "narrow", scopes=frozenset({scope}))
        return self.made[role, scope]

    def owner(self, role: Role, relation: Relation) -> str | None:
        return self.people[role].name if relation is Relation.OWN else self.owners[relation]


def of_cases(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "{case_id}" not in call.path and "{hold_id}" not in call.path:
        return
    if "share" in call.operation or "featur" in call.operation:
        return
    world = scene.world
    owner = scene.owner(role, relation)
    key = (owner, relation, call.method if call.method == "GET" else object())
    if key not in scene.made:  # what is only read serves for all
        scene.made[key] = world.study(owner, [scene.picture], holds=[burned_in()], profile=STRICT)
        if relation is Relation.PUBLIC:
            world.publish(scene.made[key])
    case_id = scene.made[key]
    with world.database.read() as session:
        admin = Accounts(session).user(scene.people[Role.ADMIN].id)
        study = world.detail(case_id).studies[0]
        [hold] = Holds(session).list(admin, filters=HoldFilter(case_id=case_id)).items
    series = study.series[0]
    sent.values |= {"case_id": case_id, "study_id": study.id, "series_id": series.id, "image_id": series.images[0].id}
    sent.values |= {"hold_id": hold.id, "frame": 0}
    placed(scene.looks, hold, scene.picture)
    if call.operation == "undo_decision":
        decided(world, admin, hold)


def of_moderation(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if call.operation not in MOVES:
        return
    case_id = scene.world.study(scene.owner(role, relation), [scene.picture])
    scene.world.finish(case_id)
    if call.operation == "set_case_visibility":
        scene.world.unlist(case_id)
    elif call.operation != "submit_case":
        scene.world.submit(case_id)
    sent.values["case_id"] = case_id


def of_moves(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if call.operation not in {"merge_case", "split_case", "move_images"}:
        return
    world, owner, patient = scene.world, scene.owner(role, relation), secrets.token_hex(32)
    case_id, other = (
        world.study(owner, [scene.picture] * 2, profile=STRICT, patient=patient, series=2) for _ in range(2)
    )
    series = world.detail(case_id).studies[0].series[1].id
    sent.values["case_id"] = case_id
    sent.body = {
        "merge_case": {"from": other},
        "split_case": {"series": [series]},
        "move_images": {"to": other, "series": [series]},
    }[call.operation]


def of_receipts(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "{code}" in call.path:
        owner = scene.owner(role, relation)
        if ("receipt", owner) not in scene.made:
            scene.made["receipt", owner] = scene.world.study(owner, [scene.picture])
        sent.values["code"] = scene.world.detail(scene.made["receipt", owner]).receipts[0]


def of_tokens(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "token" in call.operation:
        of = scene.people[role] if relation is Relation.OWN else scene.somebody
        with scene.world.database.write() as session:
            accounts = Accounts(session)
            accounts.issue_token(of.id, "to be ended")
            [token, *_] = [token for token in accounts.tokens(of.id) if token.label == "to be ended"]
        sent.values["token_id"], sent.query = token.id, {"user": of.id}
        sent.body |= {"user": of.id} if sent.body else {}


def of_peers(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if "{peer_id}" in call.path:
        with scene.world.database.write() as session:
            sent.values["peer_id"] = PeerRules(session).allow("admin", NewPeerRule(calling_ae="PACS3")).id


def of_reruns(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if "rerun" in call.operation:
        world = scene.world
        with world.database.write() as session:
            Profiles(session).keep(STRICT)
        if "{rerun_id}" in call.path:
            waiting = world.rerun_in_review(world.study("somebody", [scene.picture]), STRICT)
            sent.values["rerun_id"] = waiting.id
        sent.query = {"made_under": STRICT.revision}
        sent.body |= {"case_id": world.study("somebody", [scene.picture])} if sent.body else {}


def of_profiles(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if "profile" in call.operation:
        sent.values |= {"name": "mine", "revision": told_twice(scene.world)}
        sent.query = {"called_ae": "NEURO"}


def of_site_layouts(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if "site_layout" in call.operation:
        hold_id, layout_id = taught(scene.world, scene.people[Role.ADMIN], scene.picture)
        sent.values["layout_id"] = layout_id
        sent.body |= {"hold": hold_id} if "name" in sent.body else {}


def of_accounts(scene: Scene, call: Call, role: Role, _relation: Relation, sent: Sent) -> None:
    if "{user_id}" in call.path:
        sent.values["user_id"] = scene.somebody.id
    if call.operation == "create_user":
        sent.body["name"] = f"newcomer-{role.value}"


def of_sessions(scene: Scene, call: Call, role: Role, _relation: Relation, sent: Sent) -> None:
    if call.operation in {"create_session", "set_own_password"}:
        of = scene.somebody if call.operation == "create_session" else scene.people[role]
        with scene.world.database.write() as session:
            Passwords(session).replace(of.id, hashed(PASSWORD))
    if call.operation == "end_session":
        with scene.world.database.write() as session:
            sent.token = Accounts(session).issue_token(scene.people[role].id, "ended by its holder", scopes=sent.scopes)


def of_files(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if call.operation == "preview_file":
        sent.raw = handed_in(scene.picture)


def of_consents(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if call.operation == "keep_consent_document":
        sent.raw = {"content": b"%PDF-1.7 signed", "headers": {"Content-Type": "application/pdf"}}
    elif call.operation in DOCUMENT_CALLS:
        consented(scene.world, str(sent.values["case_id"]))
        sent.raw = {"headers": {"Reason": "The patient asks."}}


def of_playlists(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "{playlist_id}" in call.path:
        of = scene.people[role] if relation is Relation.OWN else scene.somebody
        with scene.world.database.write() as session:
            caller = Accounts(session).user(of.id)
            made = Playlists(session).make(caller, PlaylistChanges(title="Emergencies"), SCREEN)
        sent.values["playlist_id"] = made.summary.id


def of_shares(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "share" in call.operation:
        of = scene.people[role] if relation is Relation.OWN else scene.somebody
        made = shared(scene.world, of, scene.picture)
        sent.values |= {"case_id": made.case_id, "share_id": made.link_id, "token": made.token}
        sent.values["image_id"] = scene.world.detail(made.case_id).studies[0].series[0].images[0].id
    if relation is Relation.UNOWNED and "share" in call.operation:
        sent.values["case_id"] = scene.world.study(None, [scene.picture])


def of_featured(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if call.path.startswith("/api/v1/featured/"):
        world, now = scene.world, clock_now()
        case_id = world.study("somebody", [scene.picture])
        world.publish(case_id)
        with world.database.write() as session:
            session.execute(delete(FeaturedCaseRow))
            session.get_one(CaseRow, case_id).first_public_at = now.replace(day=1) - timedelta(days=1)
            session.flush()
            if call.method == "DELETE":
                Featured(session).pick("somebody", case_id, month_of(now))
        sent.values |= {"case_id": case_id, "month": month_of(now)}
        sent.body |= {"case_id": case_id} if call.operation == "pick_case_of_month" else {}


ARRANGERS = (
    of_cases,
    of_playlists,
    of_shares,
    of_featured,
    of_moderation,
    of_moves,
    of_receipts,
    of_tokens,
    of_peers,
    of_reruns,
    of_profiles,
    of_site_layouts,
    of_accounts,
    of_sessions,
    of_files,
    of_consents,
)
"""Each makes what the calls of one resource are about."""


@pytest.fixture
def matrix(app, world, picture, looks, quick_passwords):
    """Give a function that makes one call as one role on one thing and returns the status."""
    people = {role: world.user(f"a-{role.value}", role, draft_limit=1000) for role in Role}
    somebody = world.user("somebody", draft_limit=999)
    with world.database.write() as session:
        session.execute(text("UPDATE user_account SET pending_limit = 1000, unlisted_limit = 1000"))
    scene = Scene(world=world, picture=picture, looks=looks, people=people, somebody=somebody)
    study_key, of_looks = looked(looks)
    bodies = BODIES | {"request_preview": {"study": study_key, "profile": "teaching"}}

    def call_once(call: Call, role: Role, relation: Relation, scope: Scope | None = None) -> Response:
        sent = Sent(
            token=scene.token(role, scope),
            scopes=frozenset({scope}) if scope else ALL_SCOPES,
            values=dict(of_looks),
            body=dict(bodies.get(call.operation, {})),
        )
        for arrange in ARRANGERS:
            arrange(scene, call, role, relation, sent)
        query = sent.query if call.operation in WITH_QUERY else None
        parts = sent.raw or {"json": sent.body or None, "params": query}
        client = TestClient(app, headers={"Authorization": f"Bearer {sent.token}"})
        return client.request(call.method, call.path.format(**sent.values), **parts)

    return call_once


@dataclass(frozen=True, kw_only=True)
class Shared:
    """An unlisted case behind a link."""

    case_id: str
    link_id: str
    token: str


def shared(world: World, owner: Somebody, picture: bytes) -> Shared:
    """Publish a case of somebody for those who have a link to it, and make one."""
    case_id = world.study(owner.name, [picture])
    world.unlist(case_id)
    with world.database.write() as session:
        caller = Accounts(session).user(owner.id)
        made = Shares(session).make(caller, case_id, label="tumor board", lasts=timedelta(days=1), screen=SCREEN)
    return Shared(case_id=case_id, link_id=made[0].id, token=made[1])


def told_twice(world) -> str:
    """Publish a profile twice, give a route one, and return the older revision."""
    with world.database.write() as session:
        profiles = Profiles(session)
        older, newer = (revision_of(f"{PROFILE}description: {number}\n") for number in range(2))
        for one in (older, newer):
            profiles.publish(one, actor="somebody")
        profiles.set_route("NEURO", "*", "mine", "", actor="somebody")
    return older.revision


def looked(looks):
    """Look at a study, and return its key with what the paths of looks name."""
    (one,) = looks.received((1, 1))
    preview = looks.previews.request("somebody", one.study_key, "teaching", most=1, has_pixels=True)
    looks.work()
    impact = looks.impacts.request("somebody", "teaching", "strict", last=1, most=1)
    return one.study_key, {"preview_id": preview.errand.id, "number": 1, "picture": 1, "impact_id": impact.id}


def placed(looks, hold, picture):
    """Put the original of a hold into the spool."""
    path = looks.spool.path(hold.study_key, hold.sop_key, hold.arrival_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


def decided(world, admin, hold):
    """Confirm what was found in a held image."""
    with world.database.write() as session:
        Reviews(session).decide(admin, hold.id, Decision(action=ReviewAction.CONFIRM))


def taught(world, somebody, picture):
    """Return a held image that was decided on, and the rule that it made."""
    case_id = world.study(None, [picture], holds=[burned_in()], profile=STRICT)
    with world.database.read() as session:
        admin = Accounts(session).user(somebody.id)
        [hold] = Holds(session).list(admin, filters=HoldFilter(case_id=case_id)).items
    decided(world, admin, hold)
    with world.database.write() as session:
        return hold.id, SiteLayouts(session).learn(admin, hold.id, "Room 3").id


def consented(world: World, case_id: str) -> str:
    """Let a case have the document of a consent, unless it has one; return where it lies."""
    with world.database.read() as session:
        if there := Consents(session).blob_keys(case_id):
            return there[0]
    editor = User(id="", name="editor", role=Role.EDITOR, draft_limit=0)
    key, sealed = document_blob_key(case_id, secrets.token_hex(16)), b"sealed"
    with world.database.write() as session:
        Consents(session).begin(editor, case_id, key)
    world.blobs.put(key, sealed)
    document = SealedDocument(
        blob_key=key,
        key_id="k" * 32,
        media_type=DocumentType.PDF,
        size_bytes=15,
        sha256=hashlib.sha256(sealed).hexdigest(),
    )
    with world.database.write() as session:
        Consents(session).keep(editor, case_id, document)
    return key


def handed_in(picture):
    """Return how a file is sent."""
    parameters = {"profile": "teaching", "pixels": False}
    return {"params": parameters, "content": picture, "headers": {"Content-Type": "application/dicom"}}


def expected(call: Call, role: Role, relation: Relation) -> set[int]:
    rule = RULES[call.operation]
    if rule.allows(role, relation):
        return {200, 201, 202, 204}
    if call.operation in HIDDEN and role in rule.callers:
        return {404}
    if role in rule.callers and relation is Relation.FOREIGN and role not in SEES_ALL:
        return {404}
    if role in rule.callers and relation is Relation.UNOWNED and role is Role.READER:
        return {404}
    return {403}


def test_every_role_may_do_on_everything_what_the_table_says_and_no_more(app, matrix):
    wrong, made = [], 0
    for call in calls_of(app):
        for role, relation in itertools.product(Role, RELATIONS.get(call.operation, (Relation.NONE,))):
            status = matrix(call, role, relation).status_code
            made += 1
            if status not in expected(call, role, relation):
                wrong.append((call.operation, role.value, relation.value, status))
    assert not wrong
    assert made > 200


OF_OTHERS = {("set_user_password", Relation.NONE), ("issue_token", Relation.FOREIGN)}
"""What gives somebody else's scopes away: a token that lacks them cannot, and no single scope has them all."""
LIKELY = (Role.CONTRIBUTOR, Role.EDITOR, Role.ADMIN, Role.REVIEWER, Role.PRIVACY_OFFICER)


def test_every_call_needs_the_scope_that_the_table_says_and_no_other(app, matrix):
    wrong, made, needed = [], 0, set()
    for call in calls_of(app):
        rule = RULES[call.operation]
        for relation in RELATIONS.get(call.operation, (Relation.NONE,)):
            role = next((role for role in LIKELY if rule.allows(role, relation)), None)
            if role is None:  # nobody does this for somebody else
                continue
            scope_needed = rule.scope_of(relation)
            needed.add(scope_needed)
            for scope in Scope:
                answer = matrix(call, role, relation, scope)
                made += 1
                is_let_in = scope_needed in {None, scope} and (call.operation, relation) not in OF_OTHERS
                if answer.is_success is not is_let_in:
                    wrong.append((call.operation, relation.value, scope.value, answer.status_code))
                elif not is_let_in:
                    assert answer.status_code == 403
                    assert "scope" in answer.json()["detail"]
                if scope_needed not in {None, scope}:
                    assert scope_needed.value in answer.json()["detail"], call
    assert not wrong
    assert needed == {None, *Scope}
    assert made > 250


def test_a_role_has_the_scopes_that_its_calls_need():
    of_readers = {Scope.READ, Scope.WRITE}
    assert scopes_of(Role.READER) == of_readers
    assert scopes_of(Role.CONTRIBUTOR) == of_readers | {Scope.MODERATE}
    assert scopes_of(Role.ADMIN) == ALL_SCOPES
    # Privacy officers read the audit log.
    assert {role for role in Role if Scope.ADMINISTER in scopes_of(role)} == {Role.ADMIN, Role.PRIVACY_OFFICER}


def test_only_open_calls_and_signing_out_need_no_scope():
    assert {name for name, rule in RULES.items() if rule.scope is None and not rule.is_open} == {"end_session"}


def test_without_a_token_only_open_calls_answer(app, client):
    for call in calls_of(app):
        path = re.sub(r"\{\w+\}", "0" * 7, call.path)
        status = client.request(call.method, path).status_code
        # signing in asks for a body
        opened = {404} if "{token}" in call.path else {200, 422}
        assert status in (opened if RULES[call.operation].is_open else {401}), call


def test_a_route_without_a_row_is_refused(app, as_user, admin):
    from api.context import Call as Authorized

    @app.get("/api/v1/forgotten")
    def forgotten(call: Authorized) -> str:
        return "open"

    assert as_user(admin).get("/api/v1/forgotten").status_code == 403


def test_what_is_somebody_elses_and_what_does_not_exist_answer_alike(as_user, stranger, owner, world, picture):
    case_id = world.study("owner", [picture])
    there = as_user(stranger).get(f"/api/v1/cases/{case_id}")
    nowhere = as_user(stranger).get(f"/api/v1/cases/{'0' * 32}")
    assert there.status_code == nowhere.status_code == 404
    assert there.json() == nowhere.json()


def test_a_disabled_account_is_shut_out(as_user, owner, world):
    with world.database.write() as session:
        Accounts(session).edit(owner.id, UserChange(is_disabled=True))
    assert as_user(owner).get("/api/v1/me").status_code == 401
