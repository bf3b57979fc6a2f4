"""What people type into cases is screened on every way in, and no answer or log line repeats it."""

import logging

import pytest

from cases.store import Audit, Cases, Database
from cases.store.rows import CaseImageRow
from deidentify.results import IdentifierHashes
from deidentify.screen_tokens import CaseHash
from tests.api.seed import TEXT_KEY

OWN = "Zimmerhackl"


@pytest.fixture
def case_id(world, picture):
    """A case whose one original named somebody."""
    made = world.study("owner", [picture])
    know(world.database, made, OWN.casefold())
    return made


def know(database: Database, case_id: str, *words: str) -> None:
    from cases.store.identifier_hashes import HashesOfIdentifiers

    hashed = CaseHash(TEXT_KEY, case_id)
    found = IdentifierHashes(hashes=frozenset(hashed("word", word) for word in words), is_whole=True)
    with database.write() as session:
        assert HashesOfIdentifiers(session).add(case_id, found)
        for row in session.query(CaseImageRow).filter_by(case_id=case_id):
            row.identifiers_kept = True


def refused(answer):
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:casebridge:problem:identifying-text"
    assert OWN.casefold() not in answer.text.casefold()
    return [(part["field"], part["start"], part["end"], part["reason"]) for part in problem["errors"]]


def test_a_text_that_names_the_patient_is_refused_by_place_and_reason(as_user, owner, world, case_id):
    client, url = as_user(owner), f"/api/v1/cases/{case_id}"
    before = client.get(url).json()
    study = before["studies"][0]["id"]
    body = {
        "title": f"Case of {OWN}",
        "tags": ["good", OWN.lower()],
        "studies": [{"id": study, "findings": f"Seen on 3 March 2019. {OWN.upper()} left."}],
    }
    assert refused(client.patch(url, json=body)) == [
        ("title", 8, 19, "case-identifier"),
        ("tags.1", 0, 11, "case-identifier"),
        ("studies.0.findings", 8, 20, "date"),
        ("studies.0.findings", 22, 33, "case-identifier"),
    ]
    assert client.get(url).json() == before
    answer = client.patch(f"{url}/studies/{study}", json={"caption": OWN})
    assert refused(answer) == [("caption", 0, 11, "case-identifier")]
    assert answer.json()["errors"][0]["detail"].startswith("Characters 1 to 11: ")
    assert client.get(url).json() == before


def test_prose_without_identifiers_is_kept_as_it_was_typed(as_user, owner, case_id):
    text = "Zimmer frame. Unheardofword, 3.5 x 2 cm at L4/5, since 2019; T2 bright."
    answer = as_user(owner).patch(f"/api/v1/cases/{case_id}", json={"discussion": text})
    assert answer.status_code == 200
    assert answer.json()["discussion"] == text


def test_a_case_says_what_its_texts_are_held_against(as_user, owner, world, picture, case_id):
    client = as_user(owner)
    assert client.get(f"/api/v1/cases/{case_id}").json()["text_screen"] == "identifiers"
    older = world.study("owner", [picture])
    assert client.get(f"/api/v1/cases/{older}").json()["text_screen"] == "patterns"
    assert client.patch(f"/api/v1/cases/{older}", json={"title": OWN}).status_code == 200
    answer = client.patch(f"/api/v1/cases/{older}", json={"title": "Mail a.b@example.org"})
    assert refused(answer) == [("title", 5, 20, "e-mail")]
    empty = world.study("owner", pending=1)
    assert client.get(f"/api/v1/cases/{empty}").json()["text_screen"] == "patterns"


def test_no_answer_holds_a_hash(as_user, owner, world, case_id):
    digest = CaseHash(TEXT_KEY, case_id)("word", OWN.casefold())
    client = as_user(owner)
    said = (
        client.get(f"/api/v1/cases/{case_id}").text + client.patch(f"/api/v1/cases/{case_id}", json={"title": OWN}).text
    )
    assert digest.hex() not in said
    assert digest.hex()[:12] not in said


def test_what_was_refused_stands_in_no_log_but_that_it_was_does(as_user, owner, world, case_id, caplog):
    caplog.set_level(logging.DEBUG)
    answer = as_user(owner).patch(f"/api/v1/cases/{case_id}", json={"title": f"{OWN}, call 089 1234567"})
    refused(answer)
    logged = " ".join(str(record.__dict__) for record in caplog.records if not record.name.startswith("http"))
    assert OWN.casefold() not in logged.casefold()
    assert "1234567" not in logged
    with world.database.read() as session:
        (entry,) = [entry for entry in Audit(session).entries(subject=case_id) if entry.action == "case.edit-refused"]
        versions = Cases(session).get(_anyone(), case_id).summary.version
    assert entry.actor == "owner"
    assert entry.detail == {"case-identifier": 1, "phone": 1}
    assert versions == 1


def _anyone():
    from cases.users import Role, User

    return User(id="", name="", role=Role.ADMIN, draft_limit=0)


def test_many_findings_are_answered_with_the_first_of_them(as_user, owner, case_id):
    text = "; ".join(f"a{number}@example.org" for number in range(500))
    assert len(refused(as_user(owner).patch(f"/api/v1/cases/{case_id}", json={"discussion": text}))) == 20


def test_a_stranger_learns_nothing_from_what_is_refused(as_user, stranger, case_id):
    for title in (OWN, "Fine"):
        assert as_user(stranger).patch(f"/api/v1/cases/{case_id}", json={"title": title}).status_code == 404
