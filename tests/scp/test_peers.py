import json
import stat

import pytest

from scp.certificates import CertificateIdentity, certificate_entry
from scp.errors import PeerRulesError
from scp.peers import (
    CommitmentRule,
    PeerRule,
    PeerRules,
    PeerRulesFile,
    Refusal,
    allowed_rules_path,
    judge,
    matching_rule,
    write_peer_rules,
)

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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"rules": [{"calling_ae": 7}]}',
        '{"rules": [{"addresses": []}]}',
        '{"rules": {}}',
        '{"rules": ["PACS"]}',
        '{"open": "yes"}',
        '{"opened": true}',
        '{"rules": [{"calling_ae": "PACS", "adresses": ["10.0.0.0/8"]}]}',
        '{"rules": [{"calling_ae": "PACS", "addresses": {"10.0.0.0/8": 1}}]}',
        '{"rules": [{"calling_ae": "PACS", "certificates": ["*.example"]}]}',
        '{"rules": [{"calling_ae": "PACS", "certificates": ["sha256:12"]}]}',
        '{"rules": [{"calling_ae": "PACS", "certificates": "pacs"}]}',
        '{"rules": [{"calling_ae": "PACS", "max_associations": true}]}',
        '{"rules": [{"calling_ae": "PACS", "max_associations": 0}]}',
        '{"rules": [{"calling_ae": "PACS", "commitment": {"host": "h"}}]}',
        '{"rules": [{"calling_ae": "PACS", "commitment": {"host": "", "port": 104}}]}',
        '{"rules": [{"calling_ae": "PACS", "commitment": {"host": "h", "port": 70000}}]}',
        '{"rules": [{"calling_ae": "PACS", "commitment": {"host": "h", "port": 104, "aet": "X"}}]}',
    ],
)
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
        PeerRule(calling_ae="PACS", certificates=("*.example",)),
        PeerRule(calling_ae="PACS", max_associations=0),
        PeerRule(calling_ae="PACS", commitment=CommitmentRule(host="pacs", port=0)),
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


FINGERPRINT = "sha256:" + "ab" * 32
OF_PACS = CertificateIdentity(fingerprint=FINGERPRINT, common_name="ignored", dns_names=("pacs.example", "p2.example"))
OF_CT = CertificateIdentity(fingerprint="sha256:" + "cd" * 32, common_name="CT One")
TIED = PeerRules(
    rules=(
        PeerRule(calling_ae="PACS", addresses=("10.0.0.0/8",), certificates=("pacs.example",)),
        PeerRule(calling_ae="CT1", certificates=("CT One", FINGERPRINT)),
        PeerRule(calling_ae="MIXED", addresses=("10.5.0.0/16",)),
        PeerRule(calling_ae="MIXED", certificates=("pacs.example",)),
    )
)


@pytest.mark.parametrize(
    ("calling", "address", "is_tls", "certificate", "expected"),
    [
        ("PACS", "10.1.2.3", True, OF_PACS, None),
        ("PACS", "10.1.2.3", True, OF_CT, Refusal.CERTIFICATE_NOT_OF_PEER),
        ("PACS", "10.1.2.3", True, None, Refusal.CERTIFICATE_REQUIRED),
        ("PACS", "10.1.2.3", False, None, Refusal.TLS_REQUIRED),
        ("PACS", "11.1.2.3", True, OF_PACS, Refusal.ADDRESS_NOT_ALLOWED),
        ("PACS", "127.0.0.1", False, None, Refusal.TLS_REQUIRED),
        ("PACS", "127.0.0.1", True, OF_CT, Refusal.CERTIFICATE_NOT_OF_PEER),
        ("PACS", "127.0.0.1", True, OF_PACS, None),
        ("CT1", "8.8.8.8", True, OF_CT, None),
        ("CT1", "8.8.8.8", True, OF_PACS, None),
        ("MIXED", "10.5.1.1", False, None, None),
        ("MIXED", "10.6.1.1", False, None, Refusal.TLS_REQUIRED),
        ("MIXED", "10.6.1.1", True, OF_PACS, None),
        ("OTHER", "10.6.1.1", True, OF_PACS, Refusal.UNKNOWN_CALLING_AE),
        ("OTHER", "127.0.0.1", False, None, None),
    ],
)
def test_a_title_tied_to_certificates_is_taken_only_with_one_of_them(calling, address, is_tls, certificate, expected):
    found = judge(
        TIED,
        calling_ae=calling,
        called_ae="CASEBRIDGE",
        address=address,
        own_ae="CASEBRIDGE",
        certificate=certificate,
        is_tls=is_tls,
    )

    assert found is expected
    assert found is None or found.answer == (1, 1, 3)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("pacs.example", True),
        ("PACS.Example", True),
        ("p2.example", True),
        ("ignored", False),
        ("acs.example", False),
        (FINGERPRINT, True),
        ("SHA256:" + ":".join(["AB"] * 32), True),
        ("sha256:" + "cd" * 32, False),
    ],
)
def test_a_certificate_is_named_by_fingerprint_or_by_a_dns_name(entry, expected):
    assert OF_PACS.is_any_of([certificate_entry(entry)]) is expected


def test_the_common_name_counts_where_there_is_no_dns_name():
    assert OF_CT.is_any_of(["ct one"])
    assert OF_CT.text == "sha256:" + "cd" * 32 + " CT One"
    assert CertificateIdentity(fingerprint=FINGERPRINT, common_name="A\nB").text == FINGERPRINT + " AB"
    assert not CertificateIdentity(fingerprint=FINGERPRINT).is_any_of([""])


def test_a_name_that_looks_like_a_fingerprint_is_none():
    impostor = CertificateIdentity(fingerprint="sha256:" + "ef" * 32, common_name=FINGERPRINT)
    assert not impostor.is_any_of([FINGERPRINT])
    impostor = CertificateIdentity(fingerprint="sha256:" + "ef" * 32, dns_names=(FINGERPRINT, "pacs.example"))
    assert not impostor.is_any_of([FINGERPRINT])
    assert impostor.is_any_of(["pacs.example"])


def test_the_closest_rule_is_the_one_that_a_peer_sends_under():
    wide = PeerRule(calling_ae="*", addresses=("10.0.0.0/8",), max_associations=1)
    rules = PeerRules(rules=(wide, *TIED.rules))

    def found(calling: str, address: str, certificate: CertificateIdentity | None = None) -> PeerRule | None:
        return matching_rule(rules, calling_ae=calling, address=address, certificate=certificate)

    assert found("PACS", "10.1.2.3", OF_PACS) == TIED.rules[0]
    assert found("PACS", "10.1.2.3") == wide
    assert found("MIXED", "10.5.1.1") == TIED.rules[2]
    assert found("MIXED", "10.5.1.1", OF_PACS) == TIED.rules[3]
    assert found("OTHER", "127.0.0.1") is None


FULL = PeerRules(
    rules=(
        PeerRule(
            calling_ae="PACS",
            addresses=("10.0.0.0/8",),
            certificates=(FINGERPRINT, "pacs.example"),
            max_associations=3,
            commitment=CommitmentRule(host="pacs.example", port=104, ae_title="PACSSTORE"),
        ),
        PeerRule(calling_ae="CT1", commitment=CommitmentRule(host="10.1.1.1", port=11112)),
    )
)


def test_rules_read_back_as_they_were_written(tmp_path):
    write_peer_rules(tmp_path / "peers.json", FULL)

    assert PeerRulesFile(tmp_path / "peers.json").rules() == FULL


def test_rules_that_were_allowed_since_are_added_and_may_add_no_more(tmp_path):
    path = tmp_path / "peers.json"
    file = PeerRulesFile(path)
    write_peer_rules(allowed_rules_path(path), FULL)
    assert file.rules() == FULL, "allowed rules count before the settings have any"
    write_peer_rules(path, RULES)
    assert file.rules() == PeerRules(rules=RULES.rules + FULL.rules, called_aes=RULES.called_aes)

    write_peer_rules(allowed_rules_path(path), PeerRules(rules=FULL.rules[:1], is_open=True))
    assert file.rules().rules == RULES.rules + FULL.rules, "what would open the receiver is not taken at all"
    allowed_rules_path(path).unlink()
    assert file.rules() == RULES
