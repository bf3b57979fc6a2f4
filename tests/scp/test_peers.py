import json
import stat

import pytest

from scp.errors import PeerRulesError
from scp.peers import PeerRule, PeerRules, PeerRulesFile, Refusal, judge, write_peer_rules

RULES = PeerRules(
    rules=(
        PeerRule(calling_ae="PACS", addresses=("10.1.0.0/16", "192.168.7.7")),
        PeerRule(calling_ae="ANYWHERE"),
        PeerRule(calling_ae="*", addresses=("172.16.0.0/12", "2001:db8::/32")),
    ),
    called_aes=("TEACHING",),
)


@pytest.mark.parametrize(
    ("calling", "address", "called", "expected"),
    [
        ("PACS", "10.1.2.3", "CASEBRIDGE", None),
        ("PACS", "192.168.7.7", "TEACHING", None),
        ("PACS", "::ffff:10.1.2.3", "CASEBRIDGE", None),
        ("PACS", "10.2.0.1", "CASEBRIDGE", Refusal.ADDRESS_NOT_ALLOWED),
        ("ANYWHERE", "8.8.8.8", "CASEBRIDGE", None),
        ("OTHER", "172.20.1.1", "CASEBRIDGE", None),
        ("OTHER", "2001:db8::7", "CASEBRIDGE", None),
        ("OTHER", "8.8.8.8", "CASEBRIDGE", Refusal.ADDRESS_NOT_ALLOWED),
        ("OTHER", "127.0.0.1", "CASEBRIDGE", None),
        ("OTHER", "::1", "CASEBRIDGE", None),
        ("PACS", "10.1.2.3", "ELSEWHERE", Refusal.UNKNOWN_CALLED_AE),
        ("OTHER", "127.0.0.1", "ELSEWHERE", Refusal.UNKNOWN_CALLED_AE),
    ],
)
def test_a_peer_is_judged_by_title_address_and_called_title(calling, address, called, expected):
    found = judge(RULES, calling_ae=calling, called_ae=called, address=address, own_ae="CASEBRIDGE")

    assert found is expected


def test_without_rules_only_loopback_may_send_and_open_lets_all_in():
    asked = {"calling_ae": "X", "called_ae": "CASEBRIDGE", "address": "10.0.0.1", "own_ae": "CASEBRIDGE"}

    assert judge(PeerRules(), **asked) is Refusal.UNKNOWN_CALLING_AE
    assert judge(PeerRules(is_open=True), **asked) is None


def test_refusals_answer_with_the_codes_of_the_standard():
    assert Refusal.UNKNOWN_CALLING_AE.answer == (1, 1, 3)
    assert Refusal.ADDRESS_NOT_ALLOWED.answer == (1, 1, 3)
    assert Refusal.UNKNOWN_CALLED_AE.answer == (1, 1, 7)
    assert Refusal.TOO_MANY_ASSOCIATIONS.answer == (2, 3, 2)
    assert Refusal.DISK_RESERVE.answer == (2, 3, 2)


def test_a_changed_file_is_in_force_at_once(tmp_path):
    path = tmp_path / "peers.json"
    file = PeerRulesFile(path)
    assert file.rules() == PeerRules()

    write_peer_rules(path, RULES)
    assert file.rules() == RULES
    write_peer_rules(path, PeerRules(is_open=True))
    assert file.rules().is_open
    path.unlink()
    assert file.rules() == PeerRules()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rules": [{"calling_ae": 7}]}', '{"rules": [{"addresses": []}]}'])
def test_a_broken_file_changes_nothing(tmp_path, text):
    path = tmp_path / "peers.json"
    write_peer_rules(path, RULES)
    file = PeerRulesFile(path)
    assert file.rules() == RULES

    path.write_text(text)

    assert file.rules() == RULES


@pytest.mark.parametrize(
    "rule",
    [
        PeerRule(calling_ae=""),
        PeerRule(calling_ae="MUCH TOO LONG A TITLE"),
        PeerRule(calling_ae="PACS", addresses=("300.1.1.1",)),
        PeerRule(calling_ae="PACS", addresses=("host.example",)),
    ],
)
def test_rules_that_could_not_be_applied_are_not_written(tmp_path, rule):
    with pytest.raises(PeerRulesError):
        write_peer_rules(tmp_path / "peers.json", PeerRules(rules=(rule,)))

    assert list(tmp_path.iterdir()) == []


def test_the_file_is_written_whole_and_for_the_owner_only(tmp_path):
    write_peer_rules(tmp_path / "peers.json", RULES)

    assert [path.name for path in tmp_path.iterdir()] == ["peers.json"]
    assert stat.S_IMODE((tmp_path / "peers.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "peers.json").read_text())["open"] is False
