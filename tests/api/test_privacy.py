"""Canaries: what must stay inside is planted, and every answer, header and log line is searched for it."""

import logging
import re

import pytest

from cases.users import Role
from tests.api.routes import calls_of
from tests.api.seed import burned_in
from tests.api.test_authorization import consented, placed, shared
from tests.bridge.books import shipped

CANARY = "CANARY-DOE-JANE"


def everything_said(answer):
    return f"{answer.status_code} {answer.headers} {answer.text}"


def logged(caplog):
    """Return all that was logged with everything attached to it, but by the test's own client."""
    return " ".join(str(record.__dict__) for record in caplog.records if not record.name.startswith("http"))


def test_no_answer_holds_a_key_of_the_spool_a_hospital_or_a_token(client, as_user, world, picture, *, looks, caplog):
    caplog.set_level(logging.DEBUG)
    from cases.store import Holds

    people = [world.user(f"a-{role.value}", role) for role in Role]
    case_id = world.study("a-contributor", [picture, picture], pending=1, holds=[burned_in()])
    world.secrets.append(consented(world, case_id))
    world.study(None, [picture], holds=[burned_in()])
    errand = world.rerun_in_review(world.study("a-contributor", [picture]), shipped("strict"))
    study = world.detail(case_id).studies[0]
    code = world.detail(case_id).receipts[0]
    preview = looks.previews.request("admin", code, "teaching", most=1, has_pixels=False)
    impact = looks.impacts.request("admin", "teaching", "strict", last=1, most=1)
    link = shared(world, people[1], picture)
    playlist = as_user(people[1]).post("/api/v1/playlists", json={"title": "Emergencies"}).json()["id"]
    said = [client.get("/openapi.json").text]
    for somebody in people:
        world.secrets.append(somebody.token)
        with world.database.read() as session:
            from cases.store import Accounts

            holds = Holds(session).list(Accounts(session).user(somebody.id)).items
        for hold in holds:
            placed(looks, hold, picture)
        values = {
            "case_id": case_id,
            "study_id": study.id,
            "image_id": study.series[0].images[0].id,
            "hold_id": holds[0].id if holds else "0" * 32,
            "frame": 0,
            "layout_id": "0" * 32,
            "token_id": "0" * 32,
            "user_id": people[0].id,
            "code": code,
            "preview_id": preview.errand.id,
            "impact_id": impact.id,
            "number": 1,
            "picture": 1,
            "rerun_id": errand.id,
            "name": "teaching",
            "revision": "0" * 16,
            "playlist_id": playlist,
            "token": link.token,
        }
        query = {"called_ae": "NEURO", "made_under": errand.revision}
        for call in calls_of(client.app):
            if call.method == "GET":
                answer = as_user(somebody).get(call.path.format(**values), params=query, headers={"Reason": "A look."})
                assert answer.status_code in {200, 403, 404}, call
                told = everything_said(answer)
                if call.operation == "list_audit_entries":
                    # It names studies by their key, as `casebridge originals` does, to those who answer for privacy.
                    told = told.replace(preview.errand.study_key, "")
                said.append(told)
    assert len(world.secrets) > 15
    for secret in world.secrets:
        assert not any(secret in text for text in said)
        assert secret not in logged(caplog)
    assert case_id not in logged(caplog)
    assert link.token not in logged(caplog)


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.ADMIN])
def test_nothing_a_caller_writes_comes_back_from_a_refusal_or_into_the_log(app, as_user, world, caplog, role):
    caplog.set_level(logging.DEBUG)
    client = as_user(world.user("somebody", role))
    for call in calls_of(app):
        path = re.sub(r"\{\w+\}", CANARY, call.path)
        answer = client.request(
            call.method,
            path,
            params={"limit": CANARY, "cursor": CANARY, "frame": CANARY, "user": CANARY, CANARY: CANARY},
            json={"title": [CANARY], "name": f"{CANARY} {CANARY}", "label": {}, CANARY: CANARY},
            headers={
                "If-Match": CANARY,
                "If-None-Match": CANARY,
                "Idempotency-Key": CANARY,
                "User-Agent": CANARY,
                "X-Forwarded-For": CANARY,
                "X-Request-Id": CANARY,
            },
        )
        assert CANARY not in everything_said(answer), call
    assert CANARY not in logged(caplog)


def test_the_text_of_a_case_is_never_logged(as_user, owner, world, caplog):
    caplog.set_level(logging.DEBUG)
    case_id = world.study("owner")
    edit = {"title": CANARY, "discussion": CANARY}
    assert as_user(owner).patch(f"/api/v1/cases/{case_id}", json=edit).status_code == 200
    assert CANARY not in logged(caplog)
    from cases.store import Audit

    with world.database.read() as session:
        assert CANARY not in str(Audit(session).entries())
