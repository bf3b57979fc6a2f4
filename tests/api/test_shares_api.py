"""Links over HTTP: made by owners, followed by anybody, ended at once, and never in a log."""

import logging
from datetime import timedelta

import pytest

from cases.store import Audit, Cases
from cases.store.clock import now as clock_now
from cases.store.collection_rows import ShareLinkRow
from cases.users import Role
from tests.api.test_privacy import logged
from tests.api.test_public_cases_api import IMAGE_OUT, WHOLE, image_of, names_in, planted


@pytest.fixture
def unlisted(world, picture):
    case_id = planted(world, picture)
    world.unlist(case_id)
    return case_id


@pytest.fixture
def link(as_user, owner, unlisted):
    """What the owner is answered when the link is made."""
    made = as_user(owner).post(f"/api/v1/cases/{unlisted}/shares", json={"label": "tumor board"})
    assert made.status_code == 201
    return made.json()


def test_a_link_shows_the_case_and_its_images_without_an_account(client, world, link, unlisted):
    answer = client.get(link["path"])
    case = answer.json()
    assert set(names_in(case)) == {name for name in WHOLE if not name.startswith("owner.")}
    assert (case["id"], case["title"], case["owner"]) == (unlisted, "canary title", None)
    image_url = f"{link['path']}/images/{image_of(world, unlisted)}"
    image = client.get(image_url)
    assert set(names_in(image.json())) == IMAGE_OUT
    pictures = [client.get(image.json()[name]) for name in ("rendered", "thumbnail")]
    assert image.json()["rendered"] == f"{image_url}/rendered"
    for shown in (answer, image, *pictures):
        assert shown.status_code == 200
        assert shown.headers["cache-control"] == "private, no-store"
        assert shown.headers["x-robots-tag"] == "noindex"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert "etag" not in shown.headers
    assert all(shown.headers["content-type"] == "image/png" for shown in pictures)
    said = f"{answer.text} {image.text}"
    assert "owner-" not in said
    assert "canary sender" not in said
    assert "tumor board" not in said
    assert "2026-01-05" not in said


def test_a_link_only_reads(client, link):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, link["path"], json={"title": "x"}).status_code == 405
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {link['token']}"}).status_code == 401


def test_unknown_expired_and_revoked_links_are_answered_alike(client, as_user, owner, *, world, link, unlisted):
    url = f"/api/v1/cases/{unlisted}/shares"
    revoked = as_user(owner).post(url, json={"label": "two"}).json()
    assert as_user(owner).delete(f"{url}/{revoked['link']['id']}").status_code == 204
    withdrawn = planted(world, b"")
    world.unlist(withdrawn)
    ended = as_user(owner).post(f"/api/v1/cases/{withdrawn}/shares", json={"label": "three"}).json()
    with world.database.write() as session:
        Cases(session).withdraw(withdrawn)
        session.get_one(ShareLinkRow, link["link"]["id"]).expires_at = clock_now() - timedelta(seconds=1)
    image = f"/images/{image_of(world, unlisted)}"
    paths = [revoked["path"], ended["path"], link["path"], "/api/v1/shared/nonsense", f"/api/v1/shared/{'x' * 500}"]
    answers = [client.get(path + rest) for path in paths for rest in ("", image, f"{image}/rendered")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
    assert all(answer.headers["x-robots-tag"] == "noindex" for answer in answers)


def test_an_image_of_another_case_is_not_behind_the_link(client, world, picture, link):
    other = planted(world, picture)
    assert client.get(f"{link['path']}/images/{image_of(world, other)}/rendered").status_code == 404


def test_the_owner_sees_when_a_link_was_used_and_how_often_and_nothing_of_its_token(
    client, as_user, owner, *, world, link, unlisted
):
    url = f"/api/v1/cases/{unlisted}/shares"
    [before] = as_user(owner).get(url).json()["items"]
    assert (before["label"], before["uses"], before["last_used_at"]) == ("tumor board", 0, None)
    for _ in range(2):
        client.get(link["path"])
    client.get(f"{link['path']}/images/{image_of(world, unlisted)}/thumbnail")
    listed = as_user(owner).get(url)
    [after] = listed.json()["items"]
    assert after["uses"] == 2
    assert after["last_used_at"] is not None
    assert link["token"] not in listed.text


def test_a_link_lasts_thirty_days_and_at_most_a_year(as_user, owner, unlisted):
    client, url = as_user(owner), f"/api/v1/cases/{unlisted}/shares"
    for days, lasts in ((None, 30), (1, 1), (365, 365)):
        body = {"label": "board"} | ({"days": days} if days else {})
        made = client.post(url, json=body).json()["link"]
        assert made["expires_at"][:10] == (clock_now() + timedelta(days=lasts)).date().isoformat()
    for days in (0, 366, -1):
        assert client.post(url, json={"label": "board", "days": days}).status_code == 422


def test_links_are_made_by_the_owner_of_an_unlisted_case(as_user, owner, stranger, *, admin, world, picture, unlisted):
    url, body = "/api/v1/cases/{}/shares", {"label": "board"}
    assert as_user(stranger).post(url.format(unlisted), json=body).status_code == 404
    assert as_user(admin).post(url.format(unlisted), json=body).status_code == 403
    for case_id in (planted(world, picture), world.study("owner", [picture])):
        answer = as_user(owner).post(url.format(case_id), json=body)
        assert answer.status_code == 409
        assert "publish the case as unlisted first" in answer.json()["detail"]


def test_a_label_that_could_identify_somebody_is_refused_and_it_is_on_record(as_user, owner, world, unlisted):
    url = f"/api/v1/cases/{unlisted}/shares"
    answer = as_user(owner).post(url, json={"label": "a.b@example.org"})
    assert answer.status_code == 422
    assert [part["field"] for part in answer.json()["errors"]] == ["label"]
    assert as_user(owner).get(url).json()["items"] == []
    with world.database.read() as session:
        [entry] = Audit(session).entries(subject=unlisted)
    assert (entry.action, entry.detail) == ("share.create-refused", {"e-mail": 1})


def test_privacy_officers_end_links_and_every_change_is_on_record(client, as_user, world, link, unlisted):
    officer = as_user(world.user("po", Role.PRIVACY_OFFICER))
    url = f"/api/v1/cases/{unlisted}/shares"
    [item] = officer.get(url).json()["items"]
    assert officer.delete(f"{url}/{item['id']}").status_code == 204
    assert officer.delete(f"{url}/{'0' * 32}").status_code == 404
    assert client.get(link["path"]).status_code == 404
    with world.database.read() as session:
        entries = Audit(session).entries(subject=unlisted)
    assert [(one.actor, one.action) for one in entries] == [("owner", "share.create"), ("po", "share.revoke")]
    assert link["token"] not in str(entries)
    assert "tumor" not in str(entries)


def test_no_token_reaches_the_log_or_the_figures(client, as_user, owner, *, world, link, unlisted, caplog):
    caplog.set_level(logging.DEBUG)
    image = image_of(world, unlisted)
    url = f"{link['path']}/images/{image}"
    paths = [link["path"], url, f"{url}/rendered", f"{url}/rendered?frame=7", f"{url}/thumbnail", f"{url}/nowhere"]
    world.blobs.delete(world.detail(unlisted).studies[0].series[0].images[0].blob_key)
    for path in (*paths, f"{link['path']}/images/nonsense", link["path"].replace("shared", "share")):
        client.get(path)
    as_user(owner).get(f"/api/v1/cases/{unlisted}/shares")
    routes = {record.route for record in caplog.records if record.name == "casebridge.api"}
    assert {"/api/v1/shared/{token}", "/api/v1/shared/{token}/images/{image_id}/rendered"} <= routes
    assert link["token"] not in logged(caplog)
    assert link["token"] not in client.get("/metrics").text
