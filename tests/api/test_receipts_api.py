"""Receipts over HTTP: to whom they are shown, and what of them."""

import json
from datetime import timedelta

import pytest

from cases.intake import AssociationOutcome, AssociationSummary, DeclinedContext, InstanceFacts, Refusal
from cases.receipts import read_code
from cases.store import Intake
from cases.users import Role
from tests.api.seed import ARRIVED, CT, burned_in

URL = "/api/v1/receipts"


@pytest.fixture
def study(world, picture):
    """Return a function that makes a study and returns its row key and code."""

    def make(owner, *, images=2, holds=(), numbers=()):
        case_id = world.study(owner, [picture] * images, holds=holds)
        [code] = world.detail(case_id).receipts
        from sqlalchemy import text

        with world.database.read() as session:
            key, study_key = session.execute(
                text("SELECT key, study_key FROM received_study WHERE receipt_code = :code"), {"code": code}
            ).one()
            ids = session.execute(
                text("SELECT arrival_id, association_id FROM received_instance WHERE received_study = :key"),
                {"key": key},
            ).all()
        with world.database.write() as session:
            for (arrival_id, _), number in zip(ids, numbers, strict=False):
                facts = InstanceFacts(series_key="a" * 32, instance_number=number, stated_study=len(ids) + 2)
                Intake(session).set_fingerprint(arrival_id, dataset="", pixels="", facts=facts)
        return {"code": code, "key": key, "study_key": study_key, "associations": [one for _, one in ids]}

    return make


def test_a_receipt_tells_counts_evidence_refusals_and_gaps(as_user, admin, world, study):
    made = study("owner", holds=[burned_in()], numbers=(1, 2, 6))
    with world.database.write() as session:
        Intake(session).record_association(
            AssociationSummary(
                association_id=made["associations"][0],
                calling_ae="PACS1",
                called_ae="CASEBRIDGE",
                peer_address="192.0.2.7",
                started_at=ARRIVED,
                ended_at=ARRIVED + timedelta(seconds=9),
                outcome=AssociationOutcome.ABORTED,
                rule="requestor",
                stored=1,
                refusals=(Refusal(sop_class_uid=CT, status=0xC000, reason="unparsable", count=2),),
                declined=(DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),),
            )
        )
    answer = as_user(admin).get(f"{URL}/{made['code'].lower()}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["code"], told["state"], told["missing"]) == (made["code"], "short", 2)
    assert told["evidence"][0] == {
        "rule": "study-count",
        "state": "short",
        "missing": 2,
        "detail": "3 of the 5 instances that the study states (0020,1208)",
    }
    assert told["sums"] == {
        **dict.fromkeys(("removed", "waiting", "dropped", "duplicate", "superseded", "expired"), 0),
        "sent": 5,
        "stored": 3,
        "refused": 2,
        "filed": 2,
        "held": 1,
        "adds_up": True,
    }
    assert told["lines"] == [
        {"sop_class_uid": CT, "place": "filed", "reason": "", "count": 2},
        {"sop_class_uid": CT, "place": "held", "reason": "burned-in-text", "count": 1},
    ]
    [refusal] = told["refusals"]
    assert (refusal["status"], refusal["count"], refusal["counted_in"]) == (0xC000, 2, made["code"])
    assert [(one["outcome"], one["count"]) for one in told["associations"]] == [("aborted", 1), (None, 2)]
    assert told["declined"] == [{"abstract_syntax": "1.2.3", "count": 1}]
    [series] = told["series"]
    assert (series["missing_numbers"], series["gaps"]) == (3, [{"first": 3, "last": 5}])
    assert (told["senders"], told["called"], told["settled_by"]) == (["PACS1"], ["CASEBRIDGE"], "quiet")


def test_the_end_of_the_accession_number_is_shown_to_administrators_and_privacy_officers_while_it_is_there(
    as_user, world, study, marks
):
    made = study("a-contributor")
    marks.ends[made["study_key"]] = "4711"
    people = {role: world.user(f"a-{role.value}", role) for role in Role if role is not Role.READER}

    def seen_by(role):
        client = as_user(people[role])
        [item] = client.get(URL).json()["items"]
        one = client.get(f"{URL}/{made['code']}").json()
        assert item["identified_accession_end"] == one["identified_accession_end"]
        return one["identified_accession_end"]

    assert {role: seen_by(role) for role in people} == {
        **dict.fromkeys(people),
        Role.ADMIN: "4711",
        Role.PRIVACY_OFFICER: "4711",
    }
    marks.ends.clear()
    assert seen_by(Role.ADMIN) is None


def test_a_contributor_sees_own_receipts_and_own_cases_in_them_alone(as_user, owner, stranger, admin, study):
    mine, theirs = study("owner"), study("stranger")
    study(None)
    client = as_user(owner)
    [item] = client.get(URL).json()["items"]
    assert item["code"] == mine["code"]
    assert [case["owner"] for case in item["cases"]] == ["owner"]
    hidden, nowhere = client.get(f"{URL}/{theirs['code']}"), client.get(f"{URL}/0000000")
    assert (hidden.status_code, hidden.json()) == (404, nowhere.json())
    assert len(as_user(admin).get(URL).json()["items"]) == 3


def test_lists_are_narrowed_and_read_page_by_page(as_user, admin, study):
    codes = [study("owner", numbers=(1, 2))["code"] for _ in range(5)]
    study("owner")
    client = as_user(admin)
    found, cursor = [], None
    while True:
        query = {"limit": 2, "state": "short", "sender": "PACS1", "since": ARRIVED.isoformat()}
        page = client.get(URL, params=query | ({"cursor": cursor} if cursor else {})).json()
        found += [one["code"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == codes[::-1]
    assert client.get(URL, params={"sender": "NOBODY"}).json()["items"] == []
    assert client.get(URL, params={"since": (ARRIVED + timedelta(days=1)).isoformat()}).json()["items"] == []


@pytest.mark.parametrize(
    "query", [{"state": "lost"}, {"since": "yesterday"}, {"since": "2026-01-05T08:00"}, {"sender": "Ü"}]
)
def test_a_wrong_filter_is_refused_without_repeating_it(as_user, admin, query):
    answer = as_user(admin).get(URL, params=query)
    assert answer.status_code == 422
    assert json.dumps(next(iter(query.values()))) not in answer.text


def test_a_cursor_that_is_none_is_refused(as_user, admin):
    assert as_user(admin).get(URL, params={"cursor": "nonsense"}).status_code == 422


def test_cases_and_the_status_name_the_code(as_user, owner, admin, study):
    made = study("owner")
    [case] = as_user(owner).get("/api/v1/cases").json()["items"]
    assert as_user(owner).get(f"/api/v1/cases/{case['id']}").json()["receipts"] == [made["code"]]
    [sender] = as_user(admin).get("/api/v1/status").json()["by_sender"]
    assert sender["last_receipt"] == made["code"] == read_code(made["code"])
