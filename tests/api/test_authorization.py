"""Every call is made by every role on everything, and the answers must be those of the one table."""

import itertools
import re
import secrets
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from fastapi.testclient import TestClient

from api.authorization import RULES, SEES_ALL, Relation
from bridge.profile_book import revision_of
from cases.holds import HoldFilter
from cases.peers import NewPeerRule
from cases.reviews import Decision, ReviewAction
from cases.store import Accounts, Holds, PeerRules, Profiles, Reviews, SiteLayouts
from cases.users import Role
from tests.api.routes import Call, calls_of
from tests.api.seed import Somebody, World, burned_in
from tests.bridge.books import shipped
from tests.bridge.looking import Looking

PROFILE = "name: mine\nbase: basic\n"
BODIES = {
    "edit_case": {"title": "A title"},
    "edit_study": {"findings": "Nothing of note."},
    "create_user": {"name": "newcomer"},
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
}
CASE_CALLS = {"get_case", "edit_case", "edit_study", "withdraw_case", "get_image", "render_image", "get_thumbnail"}
CASE_CALLS |= {"list_case_reruns", "merge_case", "split_case", "move_images", "list_case_moves"}
READ_CALLS = {"get_case", "get_image", "render_image", "get_thumbnail"}
HOLD_CALLS = {"get_hold", "get_held_frame", "decide_hold", "undo_decision"}
STRICT = shipped("strict")
RELATIONS = {
    **dict.fromkeys(CASE_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN)),
    **dict.fromkeys(READ_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN, Relation.PUBLIC)),
    **dict.fromkeys(HOLD_CALLS, (Relation.OWN, Relation.UNOWNED, Relation.FOREIGN)),
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


def test_only_health_and_figures_are_open():
    assert {name for name, rule in RULES.items() if rule.is_open} == {"get_health", "get_readiness", "get_metrics"}


@dataclass
class Sent:
    """One call as it is sent; each arranger adds what it knows of."""

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

    def owner(self, role: Role, relation: Relation) -> str | None:
        return self.people[role].name if relation is Relation.OWN else self.owners[relation]


def of_cases(scene: Scene, call: Call, role: Role, relation: Relation, sent: Sent) -> None:
    if "{case_id}" not in call.path and "{hold_id}" not in call.path:
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
    image = study.series[0].images[0]
    sent.values |= {"case_id": case_id, "study_id": study.id, "image_id": image.id, "hold_id": hold.id, "frame": 0}
    placed(scene.looks, hold, scene.picture)
    if call.operation == "undo_decision":
        decided(world, admin, hold)


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


def of_accounts(_scene: Scene, call: Call, role: Role, _relation: Relation, sent: Sent) -> None:
    if call.operation == "create_user":
        sent.body["name"] = f"newcomer-{role.value}"


def of_files(scene: Scene, call: Call, _role: Role, _relation: Relation, sent: Sent) -> None:
    if call.operation == "preview_file":
        sent.raw = handed_in(scene.picture)


ARRANGERS = (
    of_cases,
    of_moves,
    of_receipts,
    of_tokens,
    of_peers,
    of_reruns,
    of_profiles,
    of_site_layouts,
    of_accounts,
    of_files,
)
"""Each makes what the calls of one resource are about."""


@pytest.fixture
def matrix(app, world, picture, looks):
    """Give a function that makes one call as one role on one thing and returns the status."""
    people = {role: world.user(f"a-{role.value}", role, draft_limit=100) for role in Role}
    somebody = world.user("somebody", draft_limit=100)
    scene = Scene(world=world, picture=picture, looks=looks, people=people, somebody=somebody)
    study_key, of_looks = looked(looks)
    bodies = BODIES | {"request_preview": {"study": study_key, "profile": "teaching"}}

    def call_once(call: Call, role: Role, relation: Relation) -> int:
        sent = Sent(values=dict(of_looks), body=dict(bodies.get(call.operation, {})))
        for arrange in ARRANGERS:
            arrange(scene, call, role, relation, sent)
        query = sent.query if call.operation in WITH_QUERY else None
        parts = sent.raw or {"json": sent.body or None, "params": query}
        client = TestClient(app, headers=people[role].headers)
        return client.request(call.method, call.path.format(**sent.values), **parts).status_code

    return call_once


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
            status = matrix(call, role, relation)
            made += 1
            if status not in expected(call, role, relation):
                wrong.append((call.operation, role.value, relation.value, status))
    assert not wrong
    assert made > 200


def test_without_a_token_only_open_calls_answer(app, client):
    for call in calls_of(app):
        path = re.sub(r"\{\w+\}", "0" * 7, call.path)
        status = client.request(call.method, path).status_code
        assert (status == 200) if RULES[call.operation].is_open else (status == 401), call


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
        Accounts(session).disable(owner.id)
    assert as_user(owner).get("/api/v1/me").status_code == 401
