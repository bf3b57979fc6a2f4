import pytest

from scp.peers import PeerRule, PeerRules, PeerRulesFile, Refusal, write_peer_rules
from scp.places import Place, Places


def places(tmp_path, limit: int, *rules: PeerRule, per_address: int | None = None) -> Places:
    path = tmp_path / "peers.json"
    write_peer_rules(path, PeerRules(rules=rules))
    return Places(limit, per_address=per_address, rules=PeerRulesFile(path))


def full(found: Places, address: str, most: int = 100) -> list[Place]:
    """Take places until one is refused; return those that were not."""
    taken: list[Place] = []
    while len(taken) < most and (place := found.take(address)) is not None and place.refusal is None:
        taken.append(place)
    return taken


@pytest.mark.parametrize(
    ("address", "count"), [("10.0.0.1", 5), ("::ffff:10.0.0.1", 5), ("127.0.0.1", 20), ("::1", 20), ("no address", 5)]
)
def test_an_address_has_a_quarter_of_the_places_and_loopback_all(tmp_path, address, count):
    assert len(full(places(tmp_path, 20), address)) == count


def test_the_setting_holds_for_every_address(tmp_path):
    found = places(tmp_path, 20, per_address=2)

    assert [len(full(found, address)) for address in ("127.0.0.1", "10.0.0.1", "10.0.0.2")] == [2, 2, 2]


def test_a_peers_own_rule_goes_before_it_and_the_limit_in_all_before_both(tmp_path):
    rules = (
        PeerRule(calling_ae="PACS", addresses=("10.1.0.0/16",), max_associations=7),
        PeerRule(calling_ae="CT1", addresses=("10.1.2.3",), max_associations=1),
        PeerRule(calling_ae="MR1", addresses=("10.9.0.1",)),
    )
    found = places(tmp_path, 12, *rules, per_address=3)

    assert len(full(found, "10.1.2.3")) == 7
    assert len(full(found, "10.9.0.1")) == 3
    assert len(full(found, "10.1.9.9")) == 2
    refused = found.take("10.7.7.7")
    assert refused is not None
    assert refused.refusal is Refusal.TOO_MANY_ASSOCIATIONS


def test_spare_places_are_few_and_take_none_of_the_others(tmp_path):
    found = places(tmp_path, 40)
    taken = full(found, "10.0.0.1")
    spare = [found.take("10.0.0.1") for _ in range(30)]

    assert found.take("10.0.0.1") is None
    assert {one.refusal for one in spare if one is not None} == {Refusal.TOO_MANY_FROM_ADDRESS}
    assert len(full(found, "10.0.0.2")) == 10
    assert len(full(found, "10.0.0.3")) == 10

    found.free(taken[0])
    found.free(taken[0])
    assert len(full(found, "10.0.0.1")) == 1
