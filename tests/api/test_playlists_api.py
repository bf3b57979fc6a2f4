"""Playlists over HTTP: made, read, edited by their owner, deleted by editors."""

import pytest

from cases.store import Audit
from cases.users import Role
from tests.api.test_public_cases_api import planted

URL = "/api/v1/playlists"


@pytest.fixture
def made(as_user, owner, world, picture):
    """A public playlist of two public cases, as its owner reads it."""
    ids = [planted(world, picture) for _ in range(2)]
    body = {"title": " Emergencies ", "description": "For the first night.", "visibility": "public"}
    return as_user(owner).post(URL, json=body | {"entries": [{"case_id": one} for one in ids]}).json()


def test_a_playlist_is_made_read_and_listed(as_user, owner, stranger, made):
    assert (made["title"], made["owner"], made["entry_count"], made["quiz"]) == ("Emergencies", "owner", 2, False)
    for somebody in (owner, stranger):
        client = as_user(somebody)
        assert client.get(f"{URL}/{made['id']}").json() == made
        [item] = client.get(URL).json()["items"]
        assert item == {name: value for name, value in made.items() if name not in {"entries", "hides_answers"}}
    assert as_user(stranger).get(URL, params={"scope": "mine"}).json()["items"] == []
    assert as_user(owner).get(URL, params={"cursor": "nonsense"}).status_code == 422


def test_an_unlisted_playlist_is_read_by_its_address_and_found_by_nobody_else(as_user, owner, stranger, world, picture):
    public, unlisted = planted(world, picture), world.study("owner", [picture])
    world.unlist(unlisted)
    entries = [{"case_id": unlisted}, {"case_id": public}]
    made = as_user(owner).post(URL, json={"title": "Course", "entries": entries}).json()
    assert (made["visibility"], made["entry_count"]) == ("unlisted", 2)
    assert as_user(stranger).get(URL).json()["items"] == []
    read = as_user(stranger).get(f"{URL}/{made['id']}").json()
    assert (read["entry_count"], [one["case"]["id"] for one in read["entries"]]) == (1, [public])
    assert unlisted not in str(read)
    assert as_user(stranger).patch(f"{URL}/{made['id']}", json={"title": "x"}).status_code == 404


def test_entries_are_replaced_and_reordered_and_what_is_not_named_stays(as_user, owner, made):
    client, url = as_user(owner), f"{URL}/{made['id']}"
    ids = [entry["case"]["id"] for entry in made["entries"]]
    entries = [{"case_id": ids[1], "note": "First."}, {"case_id": ids[0]}]
    changed = client.put(f"{url}/entries", json={"entries": entries}).json()
    assert [(entry["case"]["id"], entry["note"]) for entry in changed["entries"]] == [(ids[1], "First."), (ids[0], "")]
    edited = client.patch(url, json={"quiz": True}).json()
    assert (edited["quiz"], edited["title"], edited["entries"]) == (True, "Emergencies", changed["entries"])
    assert client.put(f"{url}/entries", json={"entries": []}).json()["entry_count"] == 0


def test_the_second_of_two_tabs_does_not_overwrite_the_first(as_user, owner, made):
    client, url = as_user(owner), f"{URL}/{made['id']}"
    tag = client.get(url).headers["etag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    first = client.patch(url, json={"title": "First"}, headers={"If-Match": tag})
    assert first.status_code == 200
    assert client.put(f"{url}/entries", json={"entries": []}, headers={"If-Match": tag}).status_code == 412
    assert client.patch(url, json={"title": "Second"}, headers={"If-Match": '"nonsense"'}).status_code == 412
    third = client.put(f"{url}/entries", json={"entries": []}, headers={"If-Match": first.headers["etag"]})
    assert third.status_code == 200


def test_a_case_that_leaves_the_public_leaves_the_playlist_and_the_copy_of_it_is_stale(
    as_user, owner, stranger, world, made
):
    client, url = as_user(owner), f"{URL}/{made['id']}"
    tag = client.get(url).headers["etag"]
    gone, stays = (entry["case"]["id"] for entry in made["entries"])
    world.unlist(gone)
    assert [entry["case"]["id"] for entry in as_user(stranger).get(url).json()["entries"]] == [stays]
    assert client.patch(url, json={"title": "x"}, headers={"If-Match": tag}).status_code == 412
    again = client.put(f"{url}/entries", json={"entries": [{"case_id": gone}]})
    assert again.status_code == 422
    assert "a public playlist holds public cases" in again.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "x" * 121},
        {"title": "t", "description": "x" * 2001},
        {"title": "t", "visibility": "secret"},
        {"title": "t", "entries": [{"case_id": "0" * 32}]},
        {"title": "t", "entries": [{"case_id": "0" * 32, "note": "x" * 501}]},
        {"title": "t", "entries": [{"case_id": f"{number:032x}"} for number in range(201)]},
        {"title": "t", "owner": "somebody"},
    ],
)
def test_what_does_not_fit_makes_no_playlist(as_user, owner, body):
    client = as_user(owner)
    assert client.post(URL, json=body).status_code == 422
    assert client.get(URL).json()["items"] == []


def test_becoming_public_with_an_unlisted_case_is_refused_with_what_to_do(as_user, owner, world, picture):
    unlisted = world.study("owner", [picture])
    world.unlist(unlisted)
    client = as_user(owner)
    made = client.post(URL, json={"title": "t", "entries": [{"case_id": unlisted}]}).json()
    answer = client.patch(f"{URL}/{made['id']}", json={"visibility": "public"})
    assert answer.status_code == 409
    assert "take 1 case(s) out of it first" in answer.json()["detail"]


def test_texts_that_could_identify_somebody_are_refused_by_place_and_it_is_on_record(as_user, owner, world, made):
    client, url = as_user(owner), f"{URL}/{made['id']}"
    case_id = made["entries"][0]["case"]["id"]
    for method, path, body, field in (
        ("POST", URL, {"title": "Mail a.b@example.org"}, "title"),
        ("PATCH", url, {"description": "Call 089 1234567"}, "description"),
        ("PUT", f"{url}/entries", {"entries": [{"case_id": case_id, "note": "On 3 March 2019."}]}, "entries.0"),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:casebridge:problem:identifying-text"
        assert [part["field"] for part in answer.json()["errors"]] == [field]
    assert client.get(url).json() == made
    with world.database.read() as session:
        refused = [one for one in Audit(session).entries() if one.action == "playlist.edit-refused"]
    assert [one.detail for one in refused] == [{"e-mail": 1}, {"phone": 1}, {"date": 1}]


def test_every_change_is_on_record_without_its_text(as_user, owner, world, made):
    editor = world.user("ed", Role.EDITOR)
    url = f"{URL}/{made['id']}"
    assert as_user(owner).patch(url, json={"title": "Canary words"}).status_code == 200
    assert as_user(editor).patch(url, json={"title": "x"}).status_code == 403
    assert as_user(editor).delete(url).status_code == 204
    assert as_user(owner).get(url).status_code == 404
    with world.database.read() as session:
        entries = Audit(session).entries(subject=made["id"])
    assert [(one.actor, one.action) for one in entries] == [
        ("owner", "playlist.create"),
        ("owner", "playlist.edit"),
        ("ed", "playlist.delete"),
    ]
    assert "Canary" not in str(entries)
