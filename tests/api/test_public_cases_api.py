"""What strangers are shown of a case, in a list, as a whole and in a quiz: what is named here and nothing else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from cases.users import Role

ITEM = {
    "id", "status", "visibility", "owner", "owner.name", "owner.collector", "title", "age", "sex", "modalities",
    "study_count", "series_count", "image_count", "frame_count", "version",
}  # fmt: skip
IMAGE = {
    "id", "instance_number", "frames", "rows", "columns", "has_pixels", "is_key", "key_position", "key_frames",
}  # fmt: skip
IMAGE_OUT = IMAGE | {"sop_instance_uid", "sop_class_uid", "position", "orientation", "rendered", "thumbnail"}
SERIES = {"id", "number", "perspective", "specifics", "body_part", "laterality", "frames", "display", "images"}
DISPLAY = {
    "window_center", "window_width", "crop", "first_frame", "last_frame", "frame_step", "opening_frame", "key_image_id",
}  # fmt: skip
STUDY = {"id", "modality", "position", "day_offset", "description", "caption", "findings", "series"}
CASE = ITEM | {
    "presentation", "discussion", "tags", "systems", "level", "differential", "certainty", "certainty_evidence",
    "suitable_for_quiz", "licence", "key_image_id", "studies",
}  # fmt: skip
WHOLE = (
    CASE
    | {f"studies.{name}" for name in STUDY}
    | {f"studies.series.{name}" for name in SERIES}
    | {f"studies.series.display.{name}" for name in DISPLAY}
    | {f"studies.series.images.{name}" for name in IMAGE}
)
QUIZ_ITEM = {"id", "age", "sex", "modalities", "study_count", "series_count", "image_count", "frame_count"}
QUIZ = (
    QUIZ_ITEM
    | {"presentation", "studies"}
    | {f"studies.{name}" for name in ("id", "modality", "position", "day_offset", "series")}
    | {f"studies.series.{name}" for name in ("id", "number", "perspective", "specifics", "images")}
    | {f"studies.series.images.{name}" for name in IMAGE - {"is_key", "key_position", "key_frames"}}
)
PLANTED = (
    (
        "teaching_case",
        (
            "title",
            "presentation",
            "discussion",
            "differential",
            "certainty_evidence",
            "consent_reference",
            "sender",
            "profile",
        ),
    ),
    ("case_study", ("description", "caption", "findings")),
    ("case_series", ("perspective", "specifics", "body_part", "laterality")),
)


def names_in(part: object, prefix: str = "") -> Iterator[str]:
    """Yield the path of every field of an answer."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield f"{prefix}{name}"
            yield from names_in(value, f"{prefix}{name}.")
    elif isinstance(part, list):
        for one in part:
            yield from names_in(one, prefix)


def planted(world, picture, owner="owner"):
    """Return a public case in which every text says which it is."""
    case_id = world.study(owner, [picture])
    with world.database.write() as session:
        for table, columns in PLANTED:
            said = ", ".join(f"{column} = 'canary {column}'" for column in columns)
            session.execute(text(f"UPDATE {table} SET {said}"))
        session.execute(text("""UPDATE teaching_case SET tags = '["canary tag"]', systems = '["Chest"]'"""))
        session.execute(text("UPDATE teaching_case SET level = 'advanced'"))
        session.execute(text("UPDATE case_image SET is_key = true, key_position = 7, key_frames = '[1]'"))
    world.publish(case_id)
    return case_id


def image_of(world, case_id):
    return world.detail(case_id).studies[0].series[0].images[0].id


@pytest.mark.parametrize("role", [Role.READER, Role.CONTRIBUTOR])
def test_a_stranger_is_shown_what_is_named_and_nothing_else(as_user, world, picture, role):
    case_id = planted(world, picture)
    client = as_user(world.user("somebody", role))
    case = client.get(f"/api/v1/cases/{case_id}").json()
    assert set(names_in(case)) == WHOLE
    assert case["owner"] == {"name": "owner", "collector": 1}
    [item] = client.get("/api/v1/cases", params={"scope": "public"}).json()["items"]
    assert set(names_in(item)) == ITEM
    image = client.get(f"/api/v1/cases/{case_id}/images/{image_of(world, case_id)}").json()
    assert set(names_in(image)) == IMAGE_OUT
    said = f"{case} {item} {image}"
    assert "canary sender" not in said
    assert "canary profile" not in said
    assert "canary consent_reference" not in said
    assert "2026-01-05" not in said, "the day of arrival is near that of the examination"


def test_owners_and_those_who_see_all_are_shown_the_whole(as_user, owner, admin, world, picture):
    case_id = planted(world, picture)
    for somebody in (owner, admin):
        client = as_user(somebody)
        assert client.get(f"/api/v1/cases/{case_id}").json()["sender"] == "canary sender"
        [item] = client.get("/api/v1/cases", params={"scope": "public"}).json()["items"]
        assert item["sender"] == "canary sender"
        assert "sha256" in client.get(f"/api/v1/cases/{case_id}/images/{image_of(world, case_id)}").json()


def test_a_strangers_copy_has_a_tag_too(as_user, stranger, world, picture):
    case_id = planted(world, picture)
    client, url = as_user(stranger), f"/api/v1/cases/{case_id}"
    tag = client.get(url).headers["etag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304


def test_my_account_says_what_i_collected(as_user, owner, stranger, world, picture):
    planted(world, picture)
    world.unlist(world.study("owner", [picture]))
    assert as_user(owner).get("/api/v1/me").json()["collector"] == 1
    assert as_user(stranger).get("/api/v1/me").json()["collector"] == 0


# -- quiz ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiz(as_user, owner, world, picture):
    """A public quiz of one case, with its case."""
    case_id = planted(world, picture)
    body = {"title": "Guess", "visibility": "public", "quiz": True}
    body["entries"] = [{"case_id": case_id, "note": "canary note"}]
    made = as_user(owner).post("/api/v1/playlists", json=body)
    assert made.status_code == 201
    return made.json()["id"], case_id


def test_a_quiz_hides_every_field_that_nobody_allowed(as_user, owner, stranger, admin, quiz):
    playlist, case_id = quiz
    for somebody in (stranger, owner, admin):
        answer = as_user(somebody).get(f"/api/v1/cases/{case_id}", params={"quiz": playlist})
        case = answer.json()
        assert set(names_in(case)) == QUIZ
        assert case["presentation"] == "canary presentation"
        assert (case["age"], case["sex"]) == ("45 years", "F")
        shown = {"canary presentation", "canary perspective", "canary specifics"}
        assert answer.text.count("canary") == sum(answer.text.count(one) for one in shown) == len(shown)
        assert "Chest" not in answer.text
        assert "content-disposition" not in answer.headers
        image = case["studies"][0]["series"][0]["images"][0]["id"]
        assert as_user(somebody).get(f"/api/v1/cases/{case_id}/images/{image}/rendered").status_code == 200


def test_a_quiz_playlist_hides_the_answers_from_all_but_its_owner(as_user, owner, stranger, admin, quiz):
    url, case_id = f"/api/v1/playlists/{quiz[0]}", quiz[1]
    for client, params in (
        (as_user(stranger), {}),
        (as_user(admin), {}),
        (as_user(owner), {"quiz": True}),
        (as_user(stranger), {"quiz": False}),
    ):
        answer = client.get(url, params=params)
        playlist = answer.json()
        [entry] = playlist["entries"]
        assert (playlist["hides_answers"], playlist["title"], entry["note"]) == (True, "Guess", None)
        assert set(names_in(entry["case"])) == QUIZ_ITEM
        assert "canary" not in answer.text
        assert entry["case"]["id"] == case_id
    own = as_user(owner).get(url).json()
    assert own["hides_answers"] is False
    assert (own["entries"][0]["note"], own["entries"][0]["case"]["title"]) == ("canary note", "canary title")


def test_a_quiz_is_asked_for_by_a_playlist_that_shows_the_case(as_user, owner, stranger, *, world, picture, quiz):
    playlist, case_id = quiz
    other = planted(world, picture)
    client = as_user(stranger)
    for wrong_case, wrong_playlist in ((other, playlist), (case_id, "0" * 32)):
        assert client.get(f"/api/v1/cases/{wrong_case}", params={"quiz": wrong_playlist}).status_code == 404
    assert client.get(f"/api/v1/cases/{case_id}", params={"quiz": "nonsense"}).status_code == 422
    hidden = world.study("owner", [picture])
    assert client.get(f"/api/v1/cases/{hidden}", params={"quiz": playlist}).status_code == 404
    world.unlist(case_id)
    assert as_user(owner).get(f"/api/v1/cases/{case_id}", params={"quiz": playlist}).status_code == 404
