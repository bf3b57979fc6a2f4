"""Who may send, seen and decided through the API."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cases.intake import AssociationOutcome, AssociationSummary
from cases.store import Audit, Intake
from scp.peers import PeerRule, PeerRules, PeerRulesFile, judge, write_peer_rules

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
FINGERPRINT = "sha256:" + "ab" * 32
_numbers = itertools.count(1)


@pytest.fixture
def as_admin(as_user, admin):
    return as_user(admin)


def record(world, **values: Any) -> None:
    defaults: dict[str, Any] = {
        "calling_ae": "PACS_STORE",
        "called_ae": "CASEBRIDGE",
        "peer_address": "192.0.2.7",
        "started_at": NOON,
        "outcome": AssociationOutcome.REJECTED,
        "rule": "unknown-calling-ae",
    }
    chosen = defaults | values
    if chosen["outcome"] != AssociationOutcome.REJECTED:
        chosen["rule"] = ""
    with world.database.write() as session:
        summary = AssociationSummary(association_id=f"{next(_numbers):032x}", ended_at=chosen["started_at"], **chosen)
        assert Intake(session).record_association(summary)


def read_by_receivers(peers) -> tuple[PeerRule, ...]:
    return PeerRulesFile(peers._path.with_name("peers.json")).rules().rules


def test_a_rejected_peer_is_shown_with_the_reason_what_to_do_and_the_last_successes(as_admin, world):
    record(world, count=17)
    record(world, calling_ae="PACS_QR", outcome=AssociationOutcome.RELEASED, started_at=NOON + timedelta(hours=1))
    record(world, peer_address="192.0.2.9", outcome=AssociationOutcome.RELEASED, stored=4)

    [shown] = as_admin.get("/api/v1/peers").json()["rejected"]

    assert (shown["calling_ae"], shown["count"], shown["state"]) == ("PACS_STORE", 17, "rejected")
    assert shown["can_be_allowed"]
    assert "allow it from this address" in shown["explanation"]
    # the AE title that this PACS queries with, and the address that this AE title has stored from
    assert shown["success_of_address"]["calling_ae"] == "PACS_QR"
    assert shown["success_of_address"]["last_at"] == "2026-03-04T13:00:00Z"
    assert (shown["success_of_title"]["peer_address"], shown["success_of_title"]["stored"]) == ("192.0.2.9", 4)


def test_senders_are_shown_with_what_they_stored_and_their_certificate(as_admin, world):
    record(world, outcome=AssociationOutcome.RELEASED, stored=3, tls="TLSv1.3", certificate=f"{FINGERPRINT} pacs")

    [sender] = as_admin.get("/api/v1/peers").json()["senders"]

    assert (sender["stored"], sender["tls"], sender["certificate"]) == (3, "TLSv1.3", f"{FINGERPRINT} pacs")
    assert sender["last_stored_at"] == "2026-03-04T12:00:00Z"


def test_one_call_lets_in_exactly_that_title_from_exactly_that_address(as_admin, world, peers):
    record(world)
    [shown] = as_admin.get("/api/v1/peers").json()["rejected"]

    answer = as_admin.post("/api/v1/peers", json={"rejected": shown["id"], "note": "asked for"})

    assert answer.status_code == 201
    assert answer.json()["addresses"] == ["192.0.2.7/32"]
    assert read_by_receivers(peers) == (PeerRule(calling_ae="PACS_STORE", addresses=("192.0.2.7/32",)),)
    after = as_admin.get("/api/v1/peers").json()
    assert [row["state"] for row in after["rejected"]] == ["allowed"]
    assert not after["rejected"][0]["can_be_allowed"]
    [rule] = after["rules"]
    assert (rule["origin"], rule["created_by"], rule["note"]) == ("allowed", "admin", "asked for")
    with world.database.read() as session:
        [entry] = Audit(session).entries(subject=rule["id"])
    assert (entry.actor, entry.action) == ("admin", "peer.allow")


@pytest.mark.parametrize(
    ("address", "network"),
    [("2001:db8::7", "2001:db8::7/128"), ("fe80::1%eth0", "fe80::1/128"), ("::ffff:192.0.2.7", "192.0.2.7/32")],
)
def test_an_address_of_the_sixth_version_is_allowed_alone_too(as_admin, world, peers, address, network):
    record(world, peer_address=address)
    [shown] = as_admin.get("/api/v1/peers").json()["rejected"]

    assert as_admin.post("/api/v1/peers", json={"rejected": shown["id"]}).json()["addresses"] == [network]

    rules = PeerRules(rules=read_by_receivers(peers))
    common = {"called_ae": "CASEBRIDGE", "own_ae": "CASEBRIDGE"}
    assert judge(rules, calling_ae="PACS_STORE", address=address, **common) is None
    assert judge(rules, calling_ae="PACS_STORE", address="192.0.2.8", **common) is not None


def test_a_peer_whose_certificate_was_not_the_right_one_is_let_in_with_that_certificate_only(as_admin, world, peers):
    record(world, rule="certificate-not-of-peer", certificate=f"{FINGERPRINT} pacs.example")
    [shown] = as_admin.get("/api/v1/peers").json()["rejected"]

    as_admin.post("/api/v1/peers", json={"rejected": shown["id"]})

    assert read_by_receivers(peers)[0].certificates == (FINGERPRINT,)
    assert as_admin.get("/api/v1/peers").json()["rejected"][0]["state"] == "allowed"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rule": "unknown-called-ae", "called_ae": "ELSEWHERE"}, "not ours"),
        ({"rule": "disk-reserve"}, "disk was full"),
        ({"rule": "tls-required"}, "not encrypted"),
        ({"rule": "certificate-required"}, "showed none"),
        ({"rule": "certificate-not-of-peer"}, "by its fingerprint"),
        ({"calling_ae": "(various)", "called_ae": "(various)", "peer_address": "(various)"}, "several peers"),
        ({"calling_ae": "*"}, "calls itself *"),
        ({"calling_ae": "A\\B"}, "backslash"),
    ],
)
def test_what_no_rule_or_no_narrow_rule_helps_is_refused_with_what_to_do(as_admin, world, peers, values, said):
    record(world, **values)
    [shown] = as_admin.get("/api/v1/peers").json()["rejected"]

    answer = as_admin.post("/api/v1/peers", json={"rejected": shown["id"]})

    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert read_by_receivers(peers) == ()


def test_a_peer_is_let_in_by_explicit_fields_and_taken_out_again(as_admin, peers):
    body = {"calling_ae": "PACS9", "addresses": ["10.1.4.9/24"], "certificates": [FINGERPRINT], "max_associations": 4}

    rule = as_admin.post("/api/v1/peers", json=body).json()

    assert rule["addresses"] == ["10.1.4.0/24"]
    assert read_by_receivers(peers) == (
        PeerRule(calling_ae="PACS9", addresses=("10.1.4.0/24",), certificates=(FINGERPRINT,), max_associations=4),
    )
    assert as_admin.post("/api/v1/peers", json=body).json()["id"] == rule["id"]
    assert as_admin.delete(f"/api/v1/peers/{rule['id']}").status_code == 204
    assert read_by_receivers(peers) == ()
    assert as_admin.delete(f"/api/v1/peers/{rule['id']}").status_code == 404
    assert as_admin.get("/api/v1/peers").json()["rules"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"calling_ae": "*"}, "every AE title in from every address"),
        ({"calling_ae": "PACS", "addresses": ["10.1.4.300"]}, "neither an IP address nor a range"),
        ({"calling_ae": "PACS", "certificates": ["sha256:12"]}, "no SHA-256 fingerprint"),
        ({"calling_ae": "PÄCS"}, "not printable ASCII"),
        ({}, "Give either rejected"),
        ({"rejected": "0" * 32, "calling_ae": "PACS"}, "Give either rejected"),
        ({"rejected": "0" * 32, "addresses": ["192.0.2.7"]}, "Give either rejected"),
    ],
)
def test_a_rule_that_is_none_is_refused_as_in_the_settings(as_admin, peers, body, said):
    answer = as_admin.post("/api/v1/peers", json=body)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert read_by_receivers(peers) == ()


def test_rules_of_the_settings_are_shown_as_such_and_cannot_be_taken_back_here(as_admin, world, peers):
    of_settings = PeerRule(calling_ae="PACS_STORE", addresses=("192.0.2.0/24",))
    write_peer_rules(peers._path.with_name("peers.json"), PeerRules(rules=(of_settings,), called_aes=("CASEBRIDGE",)))
    record(world)

    shown = as_admin.get("/api/v1/peers").json()

    assert [(rule["id"], rule["origin"]) for rule in shown["rules"]] == [(None, "settings")]
    assert shown["rejected"][0]["state"] == "allowed"
    assert as_admin.delete("/api/v1/peers/None").status_code == 422


def test_a_rejected_peer_that_is_unknown_is_not_found(as_admin):
    assert as_admin.post("/api/v1/peers", json={"rejected": "0" * 32}).status_code == 404


def test_a_receiver_that_lets_everybody_in_is_shown(as_admin, peers):
    assert not as_admin.get("/api/v1/peers").json()["is_open"]
    write_peer_rules(peers._path.with_name("peers.json"), PeerRules(is_open=True))
    assert as_admin.get("/api/v1/peers").json()["is_open"]


def test_a_file_that_cannot_be_written_is_said_and_the_rule_is_kept_for_later(as_admin, peers):
    folder = peers._path.parent
    folder.rename(folder.with_name("away"))

    answer = as_admin.post("/api/v1/peers", json={"calling_ae": "PACS9"})

    assert answer.status_code == 503
    folder.with_name("away").rename(folder)
    assert peers.keep_in_step()
    assert [rule.calling_ae for rule in read_by_receivers(peers)] == ["PACS9"]


def test_the_status_says_what_works_and_should_not_stay_so(as_admin, condition):
    condition.said = ["any sender is let in"]
    assert as_admin.get("/api/v1/status").json()["warnings"] == ["Any sender is let in."]
