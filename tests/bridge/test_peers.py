"""The file that receivers read is what the database says, whatever happened to either."""

import logging
import threading
from pathlib import Path

import pytest

from bridge.peers import REJECTED_SHOWN, BridgePeers, keep_peers_in_step
from bridge.rejected_peers import EXPLANATIONS
from cases.errors import InvalidChangeError
from cases.intake import AssociationOutcome, AssociationSummary
from cases.peers import NewPeerRule
from cases.store import Database, Intake
from cases.store import PeerRules as AddedRules
from scp.peers import PeerRule, PeerRules, PeerRulesFile, Refusal, write_peer_rules
from tests.bridge.spooled import spool_in
from tests.cases.world import NOON


@pytest.fixture
def peers(database: Database, tmp_path: Path) -> BridgePeers:
    return BridgePeers(database=database, spool=spool_in(tmp_path), own_ae="CASEBRIDGE")


def titles(peers: BridgePeers) -> list[str]:
    return [rule.calling_ae for rule in PeerRulesFile(peers._path.with_name("peers.json")).rules().rules]


def test_every_rule_that_refuses_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Refusal)
    assert all(text.endswith(".") for text in EXPLANATIONS.values())


def test_without_any_rule_no_file_is_made(peers: BridgePeers) -> None:
    assert not peers.keep_in_step()
    assert not peers._path.exists()


def test_a_lost_file_is_written_from_the_database(peers: BridgePeers) -> None:
    peers.allow("admin", NewPeerRule(calling_ae="PACS"))
    peers._path.unlink()

    assert peers.keep_in_step()

    assert titles(peers) == ["PACS"]
    assert not peers.keep_in_step()


def test_a_damaged_file_is_written_from_the_database_even_when_that_has_no_rule(peers: BridgePeers) -> None:
    peers._path.write_text("{")

    assert peers.keep_in_step()

    assert titles(peers) == []
    assert not peers.keep_in_step()


def test_what_an_older_database_does_not_know_may_not_send_any_more(peers: BridgePeers) -> None:
    """A backup that was restored, or a database that was begun anew: the file follows it."""
    write_peer_rules(peers._path, PeerRules(rules=(PeerRule(calling_ae="FORGOTTEN"),)))

    assert peers.keep_in_step()

    assert titles(peers) == []


def test_changes_side_by_side_leave_the_file_with_the_last_word(peers: BridgePeers, database: Database) -> None:
    def change(number: int) -> None:
        rule = peers.allow("admin", NewPeerRule(calling_ae=f"PACS{number}"))
        if number % 2:
            peers.remove("admin", str(rule.id))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(titles(peers)) == ["PACS0", "PACS2", "PACS4", "PACS6"]
    assert not peers.keep_in_step()


def test_the_scanner_goes_on_when_the_file_cannot_be_written(
    peers: BridgePeers, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as session:
        AddedRules(session).allow("admin", NewPeerRule(calling_ae="PACS"))
    peers._path.parent.rename(peers._path.parent.with_name("away"))

    with caplog.at_level(logging.ERROR):
        keep_peers_in_step(peers)

    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("tied", "shown", "named"),
    [
        ((PeerRule(calling_ae="PACS", addresses=("10.0.0.0/8",), certificates=("pacs.example",)),), True, True),
        ((PeerRule(calling_ae="PACS", addresses=("10.0.0.0/8",), certificates=("pacs.example",)),), False, None),
        ((PeerRule(calling_ae="PACS", addresses=("10.0.0.0/8",)),), True, False),
        ((PeerRule(calling_ae="*", addresses=("10.0.0.0/8",), certificates=("pacs.example",)),), False, None),
    ],
)
def test_letting_a_second_address_in_does_not_untie_a_title_from_its_certificate(
    peers: BridgePeers, database: Database, tied: tuple[PeerRule, ...], shown: bool, named: bool | None
) -> None:
    write_peer_rules(peers._path.with_name("peers.json"), PeerRules(rules=tied))
    fingerprint = "sha256:" + "ab" * 32
    with database.write() as session:
        Intake(session).record_association(
            AssociationSummary(
                association_id="1" * 32,
                calling_ae="PACS",
                called_ae="CASEBRIDGE",
                peer_address="192.0.2.7",
                started_at=NOON,
                ended_at=NOON,
                outcome=AssociationOutcome.REJECTED,
                rule="address-not-allowed",
                certificate=f"{fingerprint} pacs.example" if shown else "",
            )
        )
    [rejected] = peers.overview().rejected
    assert rejected.can_be_allowed is (named is not None)
    if named is None:
        with pytest.raises(InvalidChangeError, match="certificate"):
            peers.allow_rejected("admin", rejected.peer.id)
        assert titles(peers) == [tied[0].calling_ae]
        return
    assert peers.allow_rejected("admin", rejected.peer.id).certificates == ((fingerprint,) if named else ())


def test_only_the_latest_kinds_are_listed_and_the_rest_counted(peers: BridgePeers, database: Database) -> None:
    with database.write() as session:
        for number in range(REJECTED_SHOWN + 3):
            Intake(session).record_association(
                AssociationSummary(
                    association_id=f"{number:032x}",
                    calling_ae=f"X{number}",
                    called_ae="CASEBRIDGE",
                    peer_address="192.0.2.7",
                    started_at=NOON,
                    ended_at=NOON,
                    outcome=AssociationOutcome.REJECTED,
                    rule="unknown-calling-ae",
                )
            )

    shown = peers.overview()

    assert (len(shown.rejected), shown.rejected_left_out) == (REJECTED_SHOWN, 3)
