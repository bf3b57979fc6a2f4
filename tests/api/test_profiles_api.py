"""Profiles by HTTP: read, check, explain, publish and take back, as by command line."""

import itertools
import json
import re
import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.__main__ import main
from bridge.profile_book import ProfileBook, revision_of
from cases.errors import StoreUnavailableError
from cases.store import Audit, Cases, Intake, Profiles
from cases.users import Role
from deidentify.profile import Profile
from deidentify.profile_schema import schema
from deidentify.tables import attribute_rows
from tests.api.routes import calls_of
from tests.cases.world import INBOX, arrival
from tests.tools import CHECKOUT

AT = "/api/v1/profiles"
NAME = "TESTPERSON^CANARY"
MINE = """\
name: mine
base: teaching
rules:
  - {keyword: DeviceSerialNumber, only: {modality: MR}, action: K, reason: Physicists compare scanners.}
"""
MINE_TOO = MINE + "  - {keyword: SoftwareVersions, action: X, reason: Nobody needs it.}\n"
SITE = "name: site\nbase: basic\ndates: remove\n"


@pytest.fixture
def as_admin(as_user, admin):
    return as_user(admin)


@pytest.fixture
def profiles_dir(settings):
    return settings.profiles_dir


def published(client, text: str, **more: Any) -> dict[str, Any]:
    answer = client.post(AT, json={"text": text, **more})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def refused(answer, status: int = 422) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def revision_for(world, settings, called: str = "NEURO", calling: str = "PACS") -> tuple[str, str]:
    """Return what the next case of a route would be begun under."""
    with world.database.write() as session:
        found = ProfileBook.of(settings).for_route(Profiles(session), calling, called, "teaching")
    return found.name, found.revision


def audited(world) -> list[tuple[str, str, str]]:
    with world.database.read() as session:
        return [(one.actor, one.action, one.subject) for one in Audit(session).entries()]


# -- looking ----------------------------------------------------------------------------------------------------------


def test_the_list_says_what_each_name_means_and_where_that_is_from(as_admin, profiles_dir):
    (profiles_dir / "site.yaml").write_text(SITE)
    revision = published(as_admin, MINE)["revision"]

    items = {one["name"]: one for one in as_admin.get(AT).json()["items"]}

    assert set(items) == {"mine", "research-dates", "site", "strict", "teaching"}
    assert (items["mine"]["origin"], items["mine"]["revision"]) == ("published", revision)
    assert items["mine"]["base"] == ["teaching"]
    assert (items["site"]["origin"], items["site"]["revision"]) == ("file", revision_of(SITE).revision)
    assert items["site"]["base"] == ["basic"]
    assert items["strict"]["description"] == "Basic Profile without any option."
    assert not any(one["faults"] for one in items.values())


def test_the_list_counts_the_cases_of_the_revision(as_admin, world):
    revision = published(as_admin, MINE)["revision"]
    with world.database.write() as session:
        [key] = Intake(session).record([arrival("study", "one")], destination=INBOX)
        Cases(session).open_shell(key, Profiles(session).revision(revision))

    assert {one["name"]: one["cases"] for one in as_admin.get(AT).json()["items"]}["mine"] == 1
    [publication] = as_admin.get(f"{AT}/mine").json()["publications"]
    assert (publication["revision"], publication["cases"]) == (revision, 1)


def test_a_file_that_is_wrong_is_listed_with_its_faults_and_without_its_place(as_admin, profiles_dir):
    (profiles_dir / "mine.yaml").write_text("name: mine\nbase: basic\ndates: soon\n")
    (profiles_dir / "odd.yaml").write_bytes(b"\xff\xfe")

    answer = as_admin.get(AT)

    items = {one["name"]: one for one in answer.json()["items"]}
    [fault] = items["mine"]["faults"]
    assert (fault["line"], fault["detail"]) == (3, "Line 3: dates is 'soon'; it can be: shift, keep, remove.")
    assert items["odd"]["revision"] is None
    assert "cannot be read" in items["odd"]["faults"][0]["detail"]
    assert str(profiles_dir) not in answer.text
    one = as_admin.get(f"{AT}/mine").json()
    assert one["checked"] is None
    assert one["faults"] == [fault]


def test_one_profile_is_shown_with_rules_what_it_loosens_and_its_publications(as_admin):
    first = published(as_admin, MINE, note="device of MR")["revision"]
    second = published(as_admin, MINE_TOO)["revision"]

    shown = as_admin.get(f"{AT}/mine").json()

    assert shown["revision"] == second
    assert shown["checked"]["facts"]["dates"] == "shift"
    rule = shown["checked"]["rules"][-2]
    assert (rule["where"], rule["about"], rule["only_for"]) == ("line 4", "(0018,1000) DeviceSerialNumber", "MR")
    assert "line 4" in {one["place"] for one in shown["checked"]["loosened"]}
    told = [(one["revision"], one["published_by"], one["note"]) for one in shown["publications"]]
    assert told == [(second, "admin", ""), (first, "admin", "device of MR")]


@pytest.mark.parametrize("path", ["nobody", "nobody/rollback", f"revisions/{'0' * 16}"])
def test_what_is_not_there_is_not_found(as_admin, path):
    answer = as_admin.post(f"{AT}/{path}") if path.endswith("rollback") else as_admin.get(f"{AT}/{path}")
    assert "no such profile" in refused(answer, 404)["detail"]


def test_a_revision_is_shown_with_its_bases_and_need_not_be_sent_twice(as_admin):
    revision = published(as_admin, MINE)["revision"]
    published(as_admin, MINE_TOO)

    answer = as_admin.get(f"{AT}/revisions/{revision}")

    shown = answer.json()
    assert shown["text"].startswith(MINE)
    assert Profile.from_yaml(shown["text"]).revision == shown["checked"]["facts"]["revision"] == revision
    assert answer.headers["cache-control"] == "private, max-age=86400"
    again = as_admin.get(f"{AT}/revisions/{revision}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_that_was_never_used_is_found_by_its_revision_too(as_admin):
    strict = next(one for one in as_admin.get(AT).json()["items"] if one["name"] == "strict")
    assert as_admin.get(f"{AT}/revisions/{strict['revision']}").json()["checked"]["facts"]["name"] == "strict"


def test_the_schema_is_that_of_the_program(as_admin):
    assert as_admin.get(f"{AT}/schema").json() == schema()


# -- check, explain, translate ----------------------------------------------------------------------------------------


def test_check_tells_what_a_text_says_and_keeps_nothing(as_admin, world):
    found = as_admin.post(f"{AT}/check", json={"text": MINE}).json()

    assert found["facts"]["base"] == ["teaching"]
    assert found["rules"][-1]["where"] == "line 4"
    assert found["loosened"][-1]["instead_of"] == "X/Z/D"
    with world.database.read() as session:
        assert Profiles(session).published_names() == []
    assert audited(world) == []


WRONG = """\
name: wrong
base: teaching
dates: shifted
rules:
  - {keyword: PatientName, action: K, reason: Easier to file.}
  - {keyword: devicename, action: X, reason: Nobody needs it.}
"""


def test_every_fault_is_told_with_its_line(as_admin):
    problem = refused(as_admin.post(f"{AT}/check", json={"text": WRONG}))

    assert problem["type"] == "urn:casebridge:problem:invalid-profile"
    assert [(part["location"], part["field"], part["line"]) for part in problem["errors"]] == [
        ("body", "text", 3),
        ("body", "text", 5),
        ("body", "text", 6),
    ]
    assert problem["errors"][1]["detail"] == (
        "Line 5: rule 1: this names a person: no rule keeps it in a file that says that identity was removed."
    )
    assert "'devicename'" in problem["errors"][2]["detail"]


def test_a_profile_with_hundreds_of_faults_says_how_many_are_left_out(as_admin):
    text = "name: mine\nbase: basic\nrules:\n" + "  - {keyword: Rows, action: X, reason: r}\n" * 600
    problem = refused(as_admin.post(f"{AT}/check", json={"text": text}))
    assert len(problem["errors"]) == 500
    assert "the first 500 of 600 are told" in problem["detail"]


PLACES = [
    "{0}: x",
    "name: {0}",
    "base: {0}",
    "dates: {0}",
    "text: '{0}'",
    "options: [{0}]",
    "options: {0}",
    "vocabulary: ['{0}: x']",
    "vocabulary: [{0}, {0} {1}]",
    "sop_classes: {{drop: [{0}]}}",
    "sop_classes: {{{0}: [video]}}",
    "hold: [{{{0}: x, reason: r, when: []}}]",
    "hold: [{{reason: r, when: {{keyword: {0}, is: x}}}}]",
    "hold: [{{reason: r, when: {{keyword: PatientName, matches: '({0}'}}}}]",
    "hold: [{{reason: r, when: {{keyword: PatientName, is: '{0}', contains: x}}}}]",
    "hold: [{{reason: r, when: {{keyword: PatientName, present: '{0}'}}}}]",
    "rules:\n  - {{{0}: x, action: X, reason: r}}",
    "rules:\n  - {{keyword: {0}, action: X, reason: r}}",
    "rules:\n  - {{tag: '{0}', action: X, reason: r}}",
    "rules:\n  - {{vr: '{0}', action: X, reason: r}}",
    "rules:\n  - {{private: {{creator: '{0}', vr: '{0}'}}, action: X, reason: r}}",
    "rules:\n  - {{private: {{creator: '{0}', element: '{0}'}}, action: X, reason: r}}",
    "rules:\n  - {{private: {{creator: '{0}'}}, action: K, reason: r}}",
    "rules:\n  - {{keyword: KVP, action: '{0}', reason: r}}",
    "rules:\n  - {{keyword: KVP, action: X, reason: r, inside: ['{0}']}}",
    "rules:\n  - {{keyword: KVP, action: X, reason: r, only: {{modality: '{0}'}}}}",
    "rules:\n  - {{keyword: KVP, action: X, reason: r, only: {{sop_class: '{0}'}}}}",
    "rules:\n  - {{keyword: KVP, action: X, reason: r, only: {{'{0}': x}}}}",
    "'{0}",
    "&{1} x: *{1}",
    "!{1} x: y: z",
]


@pytest.mark.parametrize("name", [NAME, 'O\'CANARY "Jo" \\ x', "Canary", "CANARY Nirgendwo, 1957-03-01"])
def test_no_refusal_repeats_a_name_that_was_typed_into_a_profile(as_admin, name, caplog):
    count = 0
    for place in PLACES:
        typed = name.replace("'", "''") if "'{0}" in place else name
        part = place.format(typed, name.split("^")[0].split(" ", maxsplit=1)[0].replace("'", ""))
        heads = [line for line in ("name: mine", "base: basic") if not part.startswith(line.split(":")[0] + ":")]
        answer = as_admin.post(f"{AT}/check", json={"text": "\n".join([*heads, part, ""])})
        if answer.status_code == 422:
            count += 1
            assert "canary" not in answer.text.casefold(), part
            assert answer.json()["errors"][0]["line"], part
    assert count > len(PLACES) * 0.8
    assert "canary" not in caplog.text.casefold()


def test_explain_names_the_line_that_won_and_what_wins_in_some_instances(as_admin):
    [one] = as_admin.post(f"{AT}/explain", json={"text": MINE, "attribute": "DeviceSerialNumber"}).json()["items"]

    assert (one["tag"], one["by"], one["becomes"]) == ("(0018,1000)", "Basic Profile", "removed")
    [other] = one["in_some_instances"]
    assert (other["only_for"], other["source"], other["becomes"]) == ("MR", "line 4", "kept")


def test_explain_takes_a_name_or_a_revision_a_path_and_a_class(as_admin):
    revision = published(as_admin, MINE)["revision"]
    for source in ({"name": "mine"}, {"revision": revision}):
        [one] = as_admin.post(f"{AT}/explain", json={**source, "attribute": "(0018,1000)"}).json()["items"]
        assert one["in_some_instances"][0]["where"] == "line 4"
    asked = {"name": "strict", "attribute": "CodeMeaning", "inside": ["ProcedureCodeSequence"]}
    [one] = as_admin.post(f"{AT}/explain", json={**asked, "sop_class": "MR Image Storage"}).json()["items"]
    assert one["inside"] == ["(0008,1032)"]
    assert len(as_admin.post(f"{AT}/explain", json={"name": "strict"}).json()["items"]) >= len(attribute_rows())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "strict", "attribute": "Canary"}, "The attribute is neither a tag"),
        ({"name": "strict", "attribute": "(0018,10xx)"}, "The attribute is neither a tag"),
        ({"name": "strict", "attribute": "KVP", "inside": ["Canary"]}, "A sequence of inside is neither a tag"),
        ({"name": "strict", "attribute": "KVP", "sop_class": "Canary"}, "The SOP Class is none"),
        ({"attribute": "KVP"}, "Give one of text, name and revision"),
        ({"name": "strict", "text": MINE}, "Give one of text, name and revision"),
        ({"text": WRONG}, "The text cannot be used"),
    ],
)
def test_a_question_that_is_none_is_refused(as_admin, body, said):
    answer = as_admin.post(f"{AT}/explain", json=body)
    assert said in refused(answer)["detail"]
    assert "Canary" not in answer.text


def test_scripts_and_recipes_become_profiles_with_what_became_of_each_line(as_admin):
    lines = '<e en="T" t="00081010">@remove()</e>\n<e en="T" t="00081070">@dance()</e>'
    script = f"<script>\n{lines}\n</script>"
    found = as_admin.post(f"{AT}/translate", json={"text": script}).json()
    assert [line["number"] for line in found["lines"]] == [2, 3]
    assert found["not_translated"] == 1
    assert as_admin.post(f"{AT}/check", json={"text": found["text"]}).status_code == 200

    recipe = {"text": "FORMAT dicom\n%header\nKEEP DeviceSerialNumber\n", "name": "ours"}
    plain = as_admin.post(f"{AT}/translate", json=recipe).json()
    loosened = as_admin.post(f"{AT}/translate", json={**recipe, "allow_loosening": "We compare devices."}).json()
    assert Profile.from_yaml(plain["text"]).code(0x00181000) != "K"
    assert Profile.from_yaml(loosened["text"]).code(0x00181000) == "K"
    assert Profile.from_yaml(plain["text"]).name == "ours"

    assert (
        "is for deid recipes"
        in refused(as_admin.post(f"{AT}/translate", json={"text": script, "allow_loosening": "why"}))["detail"]
    )
    for text in ("<script><e", "<!DOCTYPE x [<!ENTITY a 'aaa'>]><script>&a;</script>", "\n"):
        assert refused(as_admin.post(f"{AT}/translate", json={"text": text}))["errors"]


# -- publish and take back --------------------------------------------------------------------------------------------


def test_a_published_text_counts_for_the_next_case_and_is_taken_back(as_admin, world, settings):
    as_admin.put(f"{AT}/routes", json={"called_ae": "NEURO", "name": "teaching"})
    before = revision_for(world, settings)
    text = "name: teaching\nbase: basic\ndates: remove\n"
    answer = as_admin.post(AT, json={"text": text, "note": "no dates"})

    assert answer.status_code == 201
    done = answer.json()
    assert (done["before"], done["is_changed"]) == (before[1], True)
    assert revision_for(world, settings) == ("teaching", done["revision"])

    back = as_admin.post(f"{AT}/teaching/rollback").json()
    assert (back["revision"], back["before"]) == (before[1], done["revision"])
    assert revision_for(world, settings) == before
    assert audited(world) == [
        ("admin", "profile.publish", "profile teaching"),
        ("admin", "profile.route", "route NEURO *"),
        ("admin", "profile.publish", "profile teaching"),
        ("admin", "profile.rollback", "profile teaching"),
    ]


def test_the_same_text_again_changes_nothing_and_says_so(as_admin, world):
    first = published(as_admin, MINE)
    again = as_admin.post(AT, json={"text": MINE})
    assert again.status_code == 200
    assert again.json() == {**first, "before": first["revision"], "is_changed": False}
    assert len(audited(world)) == 1


def test_a_first_publication_is_taken_back_to_the_file(as_admin, profiles_dir, world):
    of_file = next(one["revision"] for one in as_admin.get(AT).json()["items"] if one["name"] == "strict")
    done = published(as_admin, "name: strict\nbase: basic\ndescription: ours\n")
    assert done["before"] == of_file
    assert as_admin.post(f"{AT}/strict/rollback").json()["revision"] == of_file


@pytest.mark.parametrize("name", ["mine", "strict"])
def test_what_has_nothing_before_it_cannot_be_taken_back(as_admin, name):
    if name == "mine":
        published(as_admin, MINE)
    assert "no earlier publication" in refused(as_admin.post(f"{AT}/{name}/rollback"), 409)["detail"]


def test_two_administrators_do_not_overwrite_each_other(as_admin, as_user, world):
    other = as_user(world.user("other", Role.ADMIN))
    first = published(as_admin, MINE, replaces="")["revision"]
    second = published(other, MINE_TOO, replaces=first)["revision"]

    third = MINE.replace("MR", "CT")
    for replaces in (first, ""):
        problem = refused(as_admin.post(AT, json={"text": third, "replaces": replaces}), 412)
        assert f"it means {second}" in problem["detail"]
    assert refused(as_admin.post(f"{AT}/mine/rollback", json={"replaces": first}), 412)
    assert as_admin.get(f"{AT}/mine").json()["revision"] == second
    assert as_admin.post(f"{AT}/mine/rollback", json={"replaces": second}).json()["revision"] == first
    assert len(audited(world)) == 3


def test_a_base_is_what_was_published_before_what_is_a_file(as_admin, profiles_dir):
    (profiles_dir / "site.yaml").write_text("name: site\nbase: basic\ndates: keep\n")
    mine = "name: mine\nbase: site\n"
    check = {"text": mine}
    assert as_admin.post(f"{AT}/check", json=check).json()["facts"]["dates"] == "keep"
    published(as_admin, SITE)
    assert as_admin.post(f"{AT}/check", json=check).json()["facts"]["dates"] == "remove"
    revision = published(as_admin, mine)["revision"]
    # What was published keeps the base that it was published with.
    published(as_admin, "name: site\nbase: basic\ndates: shift\n")
    assert as_admin.get(f"{AT}/mine").json()["revision"] == revision
    assert as_admin.get(f"{AT}/mine").json()["checked"]["facts"]["dates"] == "remove"
    assert published(as_admin, mine)["revision"] != revision


def test_a_base_that_is_nowhere_but_published_is_found(as_admin):
    published(as_admin, SITE)
    published(as_admin, "name: middle\nbase: site\n")
    done = published(as_admin, "name: mine\nbase: middle\n")
    facts = as_admin.get(f"{AT}/revisions/{done['revision']}").json()["checked"]["facts"]
    assert (facts["base"], facts["dates"]) == (["site", "middle"], "remove")


def test_an_edit_does_not_pile_up_on_the_publication_before(as_admin):
    published(as_admin, SITE)
    published(as_admin, "name: middle\nbase: site\n")
    problem = refused(as_admin.post(AT, json={"text": "name: site\nbase: middle\n"}))
    assert "the bases go round in a circle by way of 'site'" in problem["errors"][0]["detail"]
    own = refused(as_admin.post(AT, json={"text": "name: site\nbase: site\n"}))
    assert "circle by way of 'site'" in own["errors"][0]["detail"]


@pytest.mark.parametrize("name", ["routes", "schema"])
def test_a_name_that_the_api_could_not_show_is_refused(as_admin, name):
    answer = as_admin.post(AT, json={"text": f"name: {name}\nbase: basic\n"})
    assert "give the profile another name" in refused(answer)["detail"]


# -- routes -----------------------------------------------------------------------------------------------------------


def test_a_route_gets_a_profile_pinned_or_not_and_what_it_had_before(as_admin, world, settings):
    first = published(as_admin, MINE)["revision"]
    given = as_admin.put(f"{AT}/routes", json={"called_ae": "NEURO", "name": "mine"}).json()
    assert (given["profile"], given["means"], given["set_by"]) == ("mine", first, "admin")
    second = published(as_admin, MINE_TOO)["revision"]
    assert revision_for(world, settings) == ("mine", second)

    pinned = {"called_ae": "NEURO", "calling_ae": "MR1", "name": "mine", "revision": first}
    assert as_admin.put(f"{AT}/routes", json=pinned).json()["profile"] == f"mine@{first}"
    assert revision_for(world, settings, calling="MR1") == ("mine", first)

    listed = as_admin.get(f"{AT}/routes").json()["items"]
    assert {(one["called_ae"], one["calling_ae"], one["profile"], one["origin"]) for one in listed} == {
        ("NEURO", "*", "mine", "published"),
        ("NEURO", "MR1", f"mine@{first}", "published"),
        ("*", "*", "teaching", "file"),
    }
    as_admin.put(f"{AT}/routes", json={"called_ae": "NEURO", "name": "strict"})
    back = as_admin.post(f"{AT}/routes/rollback", json={"called_ae": "NEURO"}).json()
    assert back["profile"] == "mine"
    cleared = as_admin.delete(f"{AT}/routes", params={"called_ae": "NEURO"}).json()
    assert (cleared["profile"], cleared["means"]) == ("", "")
    assert revision_for(world, settings)[0] == "teaching"
    history = as_admin.get(f"{AT}/routes/history", params={"called_ae": "NEURO"}).json()["items"]
    assert [one["profile"] for one in history] == ["", "mine", "strict", "mine"]
    assert audited(world)[-1] == ("admin", "profile.route", "route NEURO *")


def test_the_same_profile_for_a_route_again_changes_nothing(as_admin, world):
    body = {"called_ae": "NEURO", "name": "strict"}
    first = as_admin.put(f"{AT}/routes", json=body).json()
    count = len(audited(world))
    assert as_admin.put(f"{AT}/routes", json=body).json() == first
    assert len(audited(world)) == count


def test_two_administrators_do_not_overwrite_the_route_of_each_other(as_admin):
    body = {"called_ae": "NEURO", "name": "strict"}
    assert as_admin.put(f"{AT}/routes", json={**body, "replaces": ""}).status_code == 200
    other = {**body, "name": "teaching", "replaces": ""}
    assert "it has strict" in refused(as_admin.put(f"{AT}/routes", json=other), 412)["detail"]
    rollback = {"called_ae": "NEURO", "replaces": "teaching"}
    assert refused(as_admin.post(f"{AT}/routes/rollback", json=rollback), 412)
    assert refused(as_admin.delete(f"{AT}/routes", params=rollback), 412)
    assert as_admin.put(f"{AT}/routes", json={**other, "replaces": "strict"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"called_ae": "NEURO", "name": "nobody"}, 422, "There is no profile of this name"),
        ({"called_ae": "NEURO", "name": "mine", "revision": "0" * 16}, 404, "no such revision"),
        ({"called_ae": "NEURO", "name": "teaching", "revision": "MINE"}, 422, "is of the profile mine"),
        ({"called_ae": "*", "name": "strict"}, 422, "Name the AE title that is sent to"),
        ({"called_ae": "NÄURO", "name": "strict"}, 422, "not printable ASCII"),
        ({"called_ae": "NEURO", "calling_ae": "A\\B", "name": "strict"}, 422, "backslash"),
        ({"called_ae": "NEURO", "name": "wrong"}, 422, "The text cannot be used"),
        ({"called_ae": "NEURO", "name": "else"}, 422, "give the two one name"),
        ({"called_ae": "NEURO", "name": "odd"}, 409, "cannot be read"),
    ],
)
def test_a_route_that_is_none_is_refused_and_the_running_profile_stays(
    *, as_admin, world, settings, profiles_dir, body, status, said
):
    (profiles_dir / "wrong.yaml").write_text(WRONG)
    (profiles_dir / "else.yaml").write_text(SITE)
    (profiles_dir / "odd.yaml").write_bytes(b"\xff\xfe")
    revision = published(as_admin, MINE)["revision"]
    before = revision_for(world, settings), audited(world)
    asked = {**body, "revision": revision} if body.get("revision") == "MINE" else body
    assert said.casefold() in refused(as_admin.put(f"{AT}/routes", json=asked), status)["detail"].casefold()
    assert (revision_for(world, settings), audited(world)) == before


def test_a_route_that_has_nothing_cannot_be_taken_back(as_admin):
    assert (
        "nothing was set"
        in refused(as_admin.post(f"{AT}/routes/rollback", json={"called_ae": "NEURO"}), 409)["detail"].casefold()
    )
    assert refused(as_admin.delete(f"{AT}/routes", params={"called_ae": "NEURO"}), 409)


# -- bad input --------------------------------------------------------------------------------------------------------

LAUGHS = "".join(f"{one}: &{one} [{', '.join([f'*{of}'] * 9)}]\n" for of, one in itertools.pairwise("abcdefg"))
BAD = {
    "a YAML bomb": ("a: &a [x, x, x, x]\n" + LAUGHS, "anchors and aliases"),
    "a circle of anchors": ("name: teaching\nbase: &b {a: *b}\n", "anchors and aliases"),
    "a key twice": ("name: teaching\nbase: basic\ndates: keep\ndates: remove\n", "key 'dates' stands twice"),
    "10,000 rules": (
        "name: teaching\nbase: basic\nrules:\n" + "  - {keyword: KVP, action: X, reason: r}\n" * 10_000,
        "of more than 60,000 values",
    ),
    "2,500 rules": (
        "name: teaching\nbase: basic\nrules:\n" + "  - {keyword: KVP, action: X, reason: r}\n" * 2500,
        "there are 2,500 rules; at most 2,000 are read",
    ),
    "a name that is kept": (
        "name: teaching\nbase: basic\nrules:\n  - {keyword: PatientName, action: K, reason: r}\n",
        "names a person",
    ),
    "options that contradict": (
        "name: teaching\nbase: basic\ndates: remove\noptions: [retain-longitudinal-full-dates]\n",
        "contradicts",
    ),
    "a repeat count that explodes": (
        "name: teaching\nbase: basic\nhold: [{reason: r, when: {keyword: StudyID, matches: '((a{900}){900}){900}'}}]\n",
        "this is no regular expression",
    ),
    "a deep text": ("[" * 5000, "deeper than"),
    "bytes that are no text": ("name: teaching\x00\n", "this is not YAML"),
    "nothing": ("\n", "the profile is empty"),
}


@pytest.mark.parametrize("text", [text for text, _ in BAD.values()], ids=list(BAD))
def test_what_is_no_profile_is_refused_with_a_sentence_and_the_running_one_stays(as_admin, world, settings, text):
    said = next(said for bad, said in BAD.values() if bad == text)
    before = revision_for(world, settings)
    for path in (AT, f"{AT}/check", f"{AT}/explain"):
        problem = refused(as_admin.post(path, json={"text": text}))
        assert any(said in part["detail"] for part in problem["errors"]), problem
    assert revision_for(world, settings) == before
    assert audited(world) == []


def test_an_expression_that_explodes_elsewhere_takes_linear_time_here(as_admin):
    text = "name: mine\nbase: basic\nhold: [{reason: r, when: {keyword: StudyID, matches: '(a+)+$'}}]\n"
    assert as_admin.post(f"{AT}/check", json={"text": text}).status_code == 200


def test_a_text_that_is_too_long_and_a_character_that_is_none_are_refused(as_admin):
    assert refused(as_admin.post(AT, json={"text": "# " + "x" * 1_000_001}))
    assert refused(as_admin.post(AT, json={"text": "x" * 2_000_000}), 413)
    many_bytes = {"text": "# " + "ä" * 600_000}
    assert refused(as_admin.post(AT, json=many_bytes), 413)
    broken = b'{"text": "name: \\ud800"}'
    assert refused(as_admin.post(AT, content=broken, headers={"Content-Type": "application/json"}))


def test_a_store_out_of_reach_is_said(as_admin, monkeypatch):
    def away(self, one, **_):
        raise StoreUnavailableError("away")

    monkeypatch.setattr(Profiles, "publish", away)
    refused(as_admin.post(AT, json={"text": MINE}), 503)


# -- command line and API ---------------------------------------------------------------------------------------------


@pytest.fixture
def command(settings, monkeypatch, tmp_path):
    """Give a function that runs ``casebridge profile`` on the same installation."""
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("CASEBRIDGE_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("CASEBRIDGE_PROFILES_DIR", str(settings.profiles_dir))
    monkeypatch.chdir(tmp_path)

    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["profile", *words], env={"COLUMNS": "200"})
        assert done.exit_code == status, done.output
        return done.output

    return run


def test_command_line_and_api_tell_one_story(as_admin, command, tmp_path, world, settings):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    checked = as_admin.post(f"{AT}/check", json={"text": MINE}).json()
    by_command = json.loads(command("check", str(path), "--json"))
    rest = {name: checked[name] for name in ("rules", "loosened", "recipes")}
    assert by_command == {**checked["facts"], **rest}
    explained = as_admin.post(f"{AT}/explain", json={"text": MINE}).json()["items"]
    assert json.loads(command("explain", str(path), "--json")) == explained

    command("publish", str(path), "--note", "by command")
    first = as_admin.get(f"{AT}/mine").json()["revision"]
    second = published(as_admin, MINE_TOO, replaces=first)["revision"]
    assert second in command("list")
    assert second in command("check", "mine")
    assert first in command("check", f"mine@{first[:8]}")
    assert command("show", "mine") == as_admin.get(f"{AT}/revisions/{second}").json()["text"]
    assert "somebody else decided" in command("publish", str(path), "--replaces", first, status=1)

    command("use", "mine", "--called", "NEURO")
    assert as_admin.get(f"{AT}/routes").json()["items"][0]["profile"] == "mine"
    assert f"means {first} again" in command("rollback", "mine")
    assert as_admin.get(f"{AT}/mine").json()["revision"] == first
    assert as_admin.post(f"{AT}/mine/rollback", json={"replaces": first}).json()["revision"] == second
    assert revision_for(world, settings) == ("mine", second)
    assert "the profile of the settings again" in command("rollback", "--called", "NEURO", "--to-settings")
    assert [one["origin"] for one in as_admin.get(f"{AT}/routes").json()["items"]] == ["file"]

    told = json.loads(command("history", "--json"))["publications"]
    by_api = as_admin.get(f"{AT}/mine").json()["publications"]
    assert [one["revision"] for one in told] == [one["revision"] for one in by_api] == [second, first, second, first]
    assert [one["published_by"].split(" ")[0] for one in told] == ["admin", "command-line", "admin", "command-line"]


def test_what_the_command_shows_is_published_again_as_the_same_revision(as_admin, command, tmp_path):
    first = published(as_admin, MINE)["revision"]
    published(as_admin, MINE_TOO)
    whole = tmp_path / "whole.yaml"
    whole.write_text(command("show", f"mine@{first}"))
    command("publish", str(whole))
    assert as_admin.get(f"{AT}/mine").json()["revision"] == first


def test_the_command_publishes_what_lies_in_the_file_of_a_name_now(as_admin, command, profiles_dir):
    published(as_admin, SITE)
    (profiles_dir / "site.yaml").write_text("name: site\nbase: basic\ndates: keep\n")
    assert "dates       remove" in command("check", "site")
    command("publish", "site")
    assert "dates       keep" in command("check", "site")


def test_the_command_says_that_it_looked_at_files_alone(command, settings, monkeypatch):
    monkeypatch.setenv("CASEBRIDGE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert "the files are looked at alone" in command("check", "teaching")


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_names_every_call(app):
    page = (CHECKOUT / "docs/profiles.md").read_text()
    named = set(re.findall(r"^\| `([A-Z]+) (/api/v1/\S+)` \|", page, re.MULTILINE))
    told = {(call.method, call.path) for call in calls_of(app) if re.search("/(profiles|reruns)", call.path)}
    assert named == told


def test_the_calls_on_the_page_answer_as_it_says(as_admin):
    page = (CHECKOUT / "docs/profiles.md").read_text()
    [block] = re.findall(r"^```text\n(jq .*?)^```", page, re.MULTILINE | re.DOTALL)
    [_, program, *sent], taken_back = (shlex.split(line) for line in block.replace("|\n", "").strip().split("\ncurl "))
    [replaces] = re.findall(r'replaces: "(\w+)"', " ".join([program, *sent]))
    assert replaces == as_admin.get(f"{AT}/teaching").json()["revision"]
    body = {"text": "name: teaching\nbase: basic\n", "replaces": replaces}  # what jq makes of the file
    assert as_admin.post(sent[-1], json=body).status_code == 201
    assert as_admin.request(taken_back[1], taken_back[-1].replace("$NAME", "teaching")).json()["revision"] == replaces


def test_a_recipe_travels_with_the_text_that_names_it(as_admin):
    named = "name: mine\nbase: basic\nrecipe: ct.recipe\n"
    answer = as_admin.post(f"{AT}/check", json={"text": named})
    assert answer.status_code == 422
    assert "recipe" in answer.json()["errors"][0]["detail"]

    whole = f"{named}---\nrecipe_file: ct.recipe\nrecipe_text: |2\n  FORMAT dicom\n  %header\n  KEEP StationName\n"
    checked = as_admin.post(f"{AT}/check", json={"text": whole}).json()

    [recipe] = checked["recipes"]
    assert (recipe["called"], recipe["loosened"]) == ("ct.recipe", [])
    assert [(line["number"], line["outcome"]) for line in recipe["lines"]] == [
        (1, "disabled"),
        (2, "disabled"),
        (3, "not-translated"),
    ]
