"""Featured cases over HTTP: picked by editors, read by everybody."""

from datetime import timedelta

from cases.featured import month_of
from cases.store import Audit
from cases.store.clock import now as clock_now
from cases.store.rows import CaseRow
from cases.users import Role
from tests.api.test_public_cases_api import ITEM, names_in, planted

URL = "/api/v1/featured"


def test_editors_feature_and_everybody_reads(as_user, owner, world, picture):
    editor = as_user(world.user("ed", Role.EDITOR))
    case_id = planted(world, picture)
    assert as_user(owner).put(f"{URL}/{case_id}").status_code == 403
    assert editor.put(f"{URL}/{case_id}").status_code == 200
    for role in Role:
        [item] = as_user(world.user(f"a-{role.value}", role)).get(URL).json()["items"]
        assert (item["case"]["id"], item["month"]) == (case_id, None)
        assert set(names_in(item["case"])) == ITEM
        assert "ed" not in {str(value) for value in item.values()}
    assert editor.delete(f"{URL}/{case_id}").status_code == 204
    assert editor.delete(f"{URL}/{case_id}").status_code == 404
    with world.database.read() as session:
        actions = [entry.action for entry in Audit(session).entries(subject=case_id)]
    assert actions == ["case.feature", "case.feature-ended"]


def test_what_is_not_public_is_not_featured(as_user, admin, world, picture):
    draft, unlisted = world.study("owner", [picture]), world.study("owner", [picture])
    world.unlist(unlisted)
    for case_id in (draft, unlisted):
        answer = as_user(admin).put(f"{URL}/{case_id}")
        assert answer.status_code == 409
        assert "published first" in answer.json()["detail"]
    assert as_user(admin).put(f"{URL}/{'0' * 32}").status_code == 404


def test_the_case_of_the_month_is_one_of_the_month_before(as_user, admin, world, picture):
    client, now = as_user(admin), clock_now()
    one, two, fresh = (planted(world, picture) for _ in range(3))
    with world.database.write() as session:
        for case_id in (one, two):
            session.get_one(CaseRow, case_id).first_public_at = now.replace(day=1) - timedelta(days=1)
    url = f"{URL}/months/{month_of(now)}"
    late = client.put(url, json={"case_id": fresh})
    assert late.status_code == 409
    assert "first published in" in late.json()["detail"]
    assert client.put(url, json={"case_id": one}).json()["month"] == month_of(now)
    taken = client.put(url, json={"case_id": two})
    assert taken.status_code == 409
    assert "clear the month first" in taken.json()["detail"]
    assert client.put(f"{URL}/months/{now.year + 1}-01", json={"case_id": one}).status_code == 409
    assert client.put(f"{URL}/months/2026-13", json={"case_id": one}).status_code == 422
    world.unlist(one)
    assert client.get(URL).json()["items"] == []
    assert client.put(url, json={"case_id": two}).status_code == 200
    assert client.delete(url).status_code == 204
    assert client.delete(url).status_code == 404
    assert [item["month"] for item in client.get(URL).json()["items"]] == [None]
