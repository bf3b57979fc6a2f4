"""What a contributor does with a draft: find it, read it, fill it in, withdraw it."""

import pytest

from cases.store import Audit, Cases
from cases.users import Role
from tests.api.seed import burned_in


def test_a_draft_is_listed_with_what_a_contributor_looks_for(as_user, owner, world, picture):
    case_id = world.study("owner", [picture, picture, picture], pending=2, holds=[burned_in()])
    listed = as_user(owner).get("/api/v1/cases").json()
    assert listed["next"] is None
    [case] = listed["items"]
    assert case["id"] == case_id
    assert case["status"] == "draft"
    assert case["owner"] == "owner"
    assert case["modalities"] == ["CT"]
    assert case["age"] == "45 years"
    assert case["sex"] == "F"
    assert (case["study_count"], case["series_count"], case["image_count"]) == (1, 1, 3)
    assert case["progress"] == {"received": 6, "screened": 4, "filed": 3, "held": 1, "dropped": 0}
    assert case["notes"] == ["1 held", "2 of 6 are still being screened"]
    assert case["sender"] == "PACS1"
    whole = as_user(owner).get(f"/api/v1/cases/{case_id}").json()
    assert whole["series_progress"] == [
        {"number": 1, "received": 5, "screened": 3, "filed": 3, "held": 0, "dropped": 0},
        {"number": 2, "received": 1, "screened": 1, "filed": 0, "held": 1, "dropped": 0},
    ]


def test_lists_are_read_on_with_the_cursor(as_user, owner, world):
    made = [world.study("owner") for _ in range(5)]
    client, seen, cursor = as_user(owner), [], None
    while True:
        page = client.get("/api/v1/cases", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["items"]) <= 2
        seen += [case["id"] for case in page["items"]]
        if not (cursor := page["next"]):
            break
    assert seen == made[::-1]


def test_a_cursor_that_is_not_ours_is_refused(as_user, owner):
    assert as_user(owner).get("/api/v1/cases", params={"cursor": "nonsense"}).status_code == 422


def test_lists_are_narrowed_by_modality_status_and_owner(as_user, owner, admin, world, picture):
    ct = world.study("owner", [picture])
    mr = world.study("owner", [picture], modality="MR")
    other = world.study("stranger", [picture])
    unowned = world.study(None, [picture])

    def ids(somebody, **params):
        return {case["id"] for case in as_user(somebody).get("/api/v1/cases", params=params).json()["items"]}

    assert ids(owner) == {ct, mr}
    assert ids(owner, modality="MRI") == {mr}
    assert ids(owner, status="published") == set()
    assert ids(admin) == {ct, mr, other, unowned}
    assert ids(admin, owner="stranger") == {other}
    assert ids(admin, scope="mine") == set()
    assert ids(admin, scope="inbox") == {unowned}
    assert as_user(owner).get("/api/v1/cases", params={"owner": "stranger"}).status_code == 403


def test_a_case_shows_studies_series_and_images_in_order(as_user, owner, world, picture):
    case_id = world.study("owner", [picture, picture], holds=[burned_in()])
    case = as_user(owner).get(f"/api/v1/cases/{case_id}").json()
    [study] = case["studies"]
    assert study["modality"] == "CT"
    assert study["position"] == 2
    assert study["day_offset"] == 0
    [series] = study["series"]
    assert series["perspective"] == "Axial"
    assert [image["instance_number"] for image in series["images"]] == [1, 2]
    assert case["held_by_reason"] == {"burned-in-text": 1}
    assert case["presentation"] == case["discussion"] == ""


def test_texts_are_filled_in_and_what_is_not_named_stays(as_user, owner, world, picture):
    case_id = world.study("owner", [picture])
    client = as_user(owner)
    study = client.get(f"/api/v1/cases/{case_id}").json()["studies"][0]["id"]
    first = client.patch(
        f"/api/v1/cases/{case_id}",
        json={"title": "  Acute appendicitis ", "studies": [{"id": study, "findings": "A dilated appendix."}]},
    )
    assert first.status_code == 200
    second = client.patch(f"/api/v1/cases/{case_id}", json={"presentation": "Pain for two days.\nFever."})
    case = second.json()
    assert case["title"] == "Acute appendicitis"
    assert case["presentation"] == "Pain for two days.\nFever."
    assert case["studies"][0]["findings"] == "A dilated appendix."
    assert client.get(f"/api/v1/cases/{case_id}").json() == case


def test_a_study_has_an_address_of_its_own_for_its_texts(as_user, owner, world, picture):
    case_id = world.study("owner", [picture])
    client = as_user(owner)
    study = client.get(f"/api/v1/cases/{case_id}").json()["studies"][0]["id"]
    answer = client.patch(f"/api/v1/cases/{case_id}/studies/{study}", json={"caption": "Axial", "findings": ""})
    assert answer.json()["studies"][0]["caption"] == "Axial"
    assert client.patch(f"/api/v1/cases/{case_id}/studies/{'0' * 32}", json={"caption": "x"}).status_code == 422


@pytest.mark.parametrize(
    "edit",
    [
        {"title": "x" * 121},
        {"title": "two\nlines"},
        {"presentation": "x" * 2001},
        {"discussion": "x" * 50_001},
        {"discussion": "a\x00b"},
        {},
        {"status": "published"},
        {"studies": [{"id": "0" * 32}]},
        {"studies": [{"id": "not-an-id", "findings": "x"}]},
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(as_user, owner, world, edit):
    case_id = world.study("owner")
    client = as_user(owner)
    before = client.get(f"/api/v1/cases/{case_id}").json()
    assert client.patch(f"/api/v1/cases/{case_id}", json=edit).status_code == 422
    assert client.get(f"/api/v1/cases/{case_id}").json() == before


def test_texts_of_the_greatest_length_fit(as_user, owner, world):
    case_id = world.study("owner")
    edit = {"title": "x" * 120, "presentation": "x" * 2000, "discussion": "\N{GREEK SMALL LETTER ALPHA}" * 50_000}
    assert as_user(owner).patch(f"/api/v1/cases/{case_id}", json=edit).status_code == 200


def test_the_second_of_two_tabs_does_not_overwrite_the_first(as_user, owner, world):
    case_id = world.study("owner")
    client, url = as_user(owner), f"/api/v1/cases/{case_id}"
    tag = client.get(url).headers["etag"]
    first = client.patch(url, json={"title": "From the first tab"}, headers={"If-Match": tag})
    assert first.status_code == 200
    second = client.patch(url, json={"title": "From the second tab"}, headers={"If-Match": tag})
    assert second.status_code == 412
    assert second.headers["content-type"] == "application/problem+json"
    assert client.get(url).json()["title"] == "From the first tab"
    third = client.patch(url, json={"title": "Read again"}, headers={"If-Match": first.headers["etag"]})
    assert third.status_code == 200
    assert third.headers["etag"] == client.get(url).headers["etag"]


def test_an_edit_without_a_tag_goes_through_when_somebody_was_faster(as_user, owner, world, monkeypatch):
    from dataclasses import replace

    case_id = world.study("owner")
    get, stale = Cases.get, []

    def get_stale_once(self, viewer, wanted):
        detail = get(self, viewer, wanted)
        if not stale:
            stale.append(replace(detail, summary=replace(detail.summary, version=detail.summary.version - 1)))
            return stale[0]
        return detail

    monkeypatch.setattr(Cases, "get", get_stale_once)
    answer = as_user(owner).patch(f"/api/v1/cases/{case_id}", json={"title": "Later"})
    assert answer.status_code == 200
    assert answer.json()["title"] == "Later"


@pytest.mark.parametrize(("tag", "status"), [("*", 200), ('"nonsense"', 412), ('"77-0123456789abcdef"', 412)])
def test_if_match_holds_for_any_version_or_for_one(as_user, owner, world, tag, status):
    case_id = world.study("owner")
    answer = as_user(owner).patch(f"/api/v1/cases/{case_id}", json={"title": "x"}, headers={"If-Match": tag})
    assert answer.status_code == status


def test_images_that_arrive_change_the_tag_but_do_not_make_an_edit_fail(as_user, owner, world, picture):
    case_id = world.study("owner", pending=1)
    client, url = as_user(owner), f"/api/v1/cases/{case_id}"
    tag = client.get(url).headers["etag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    world.file_pending(case_id, picture)
    changed = client.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert client.patch(url, json={"title": "x"}, headers={"If-Match": tag}).status_code == 200


def test_a_waiting_case_says_what_to_do(as_user, world):
    owner = world.user("busy", draft_limit=1)
    first = world.study("busy")
    waiting = world.study("busy")
    client = as_user(owner)
    case = client.get(f"/api/v1/cases/{waiting}").json()
    assert case["status"] == "waiting"
    assert "waits for a free place" in case["notes"][0]
    answer = client.patch(f"/api/v1/cases/{waiting}", json={"title": "x"})
    assert answer.status_code == 409
    assert "finish or remove a draft first" in answer.json()["detail"]
    assert client.delete(f"/api/v1/cases/{first}").status_code == 204
    assert client.get(f"/api/v1/cases/{waiting}").json()["status"] == "draft"


def test_a_withdrawn_draft_is_gone_with_its_pixels(as_user, owner, world, picture):
    case_id = world.study("owner", [picture, picture], holds=[burned_in()])
    blob_keys = [
        image.blob_key for study in world.detail(case_id).studies for series in study.series for image in series.images
    ]
    client = as_user(owner)
    assert client.delete(f"/api/v1/cases/{case_id}").status_code == 204
    assert not any(world.blobs.exists(key) for key in blob_keys)
    assert client.get(f"/api/v1/cases/{case_id}").status_code == 404
    assert client.get("/api/v1/cases").json()["items"] == []
    assert client.get("/api/v1/holds").json()["items"] == []
    with world.database.read() as session:
        assert Cases(session).condemned_blobs() == []
        assert [entry.action for entry in Audit(session).entries(subject=case_id)] == ["case.withdraw"]
    assert client.delete(f"/api/v1/cases/{case_id}").status_code == 404


def test_an_image_that_cannot_be_deleted_now_stays_condemned(as_user, owner, world, picture, monkeypatch):
    from cases.errors import StoreUnavailableError

    case_id = world.study("owner", [picture])

    def fail(key):
        raise StoreUnavailableError("out of reach")

    monkeypatch.setattr(world.blobs, "delete", fail)
    assert as_user(owner).delete(f"/api/v1/cases/{case_id}").status_code == 204
    with world.database.read() as session:
        assert len(Cases(session).condemned_blobs()) == 1


def test_the_inbox_shows_sender_arrival_and_modality_and_is_claimed_from(as_user, owner, stranger, world, picture):
    case_id = world.study(None, [picture])
    [item] = as_user(owner).get("/api/v1/inbox").json()["items"]
    assert item["id"] == case_id
    assert item["sender"] == "PACS1"
    assert item["modalities"] == ["CT"]
    assert item["arrived_at"].startswith("2026-01-05T08:01:00")
    assert "title" not in item
    claimed = as_user(owner).post(f"/api/v1/inbox/{case_id}/claim")
    assert claimed.status_code == 200
    assert claimed.json()["owner"] == "owner"
    assert as_user(owner).get("/api/v1/inbox").json()["items"] == []
    late = as_user(stranger).post(f"/api/v1/inbox/{case_id}/claim")
    assert late.status_code == 409
    assert as_user(stranger).get(f"/api/v1/cases/{case_id}").status_code == 404


def test_a_claim_needs_a_free_place(as_user, world):
    somebody = world.user("busy", draft_limit=0)
    case_id = world.study(None)
    answer = as_user(somebody).post(f"/api/v1/inbox/{case_id}/claim")
    assert answer.status_code == 409
    assert "finish or remove one" in answer.json()["detail"]


def test_holds_say_why_and_where_and_never_what(as_user, owner, stranger, admin, world):
    case_id = world.study("owner", holds=[burned_in()])
    world.study("stranger", holds=[burned_in()])
    [item] = as_user(owner).get("/api/v1/holds").json()["items"]
    assert item["case_id"] == case_id
    assert item["reason"] == "burned-in-text"
    hold = as_user(owner).get(f"/api/v1/holds/{item['id']}").json()
    [box] = hold["boxes"]
    assert box == {"frame": 0, "x": 3, "y": 4, "width": 50, "height": 12} | {
        "text_class": "identifying",
        "score": 0.93,
        "layer": "",
        "fate": "held",
        "text": None,
    }
    assert as_user(stranger).get(f"/api/v1/holds/{item['id']}").status_code == 404
    assert len(as_user(admin).get("/api/v1/holds").json()["items"]) == 2
    assert len(as_user(admin).get("/api/v1/holds", params={"case": case_id}).json()["items"]) == 1
    assert as_user(admin).get("/api/v1/holds", params={"reason": "two-patients"}).json()["items"] == []
    page = as_user(admin).get("/api/v1/holds", params={"limit": 1}).json()
    rest = as_user(admin).get("/api/v1/holds", params={"limit": 1, "cursor": page["next"]}).json()
    assert {page["items"][0]["case_id"], rest["items"][0]["case_id"]} >= {case_id}


def test_the_status_adds_up(as_user, admin, world, picture):
    world.study("owner", [picture, picture], pending=1, holds=[burned_in()])
    world.study(None, [picture])
    status = as_user(admin).get("/api/v1/status").json()
    total = status["total"]
    assert (total["in_draft"], total["inbox"], total["held"], total["in_progress"]) == (2, 1, 1, 1)
    assert total["adds_up"] is True
    assert status["held_by_reason"] == {"burned-in-text": 1}
    assert status["by_sender"][0]["calling_ae"] == "PACS1"


def test_editors_read_everything_and_contributors_their_own(as_user, world, picture):
    editor = world.user("an-editor", Role.EDITOR)
    case_id = world.study("owner", [picture])
    assert as_user(editor).get(f"/api/v1/cases/{case_id}").status_code == 200
