"""Figures for those who watch: right, and cheap however often somebody asks."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.metrics import _LABEL
from bridge.handshakes import EXPLANATIONS
from bridge.health import COST_FACTOR, FIGURES_KEPT_S, BridgeMetrics, KeptFigures, _of_intake
from bridge.peers import BridgePeers
from cases.intake import AssociationOutcome, AssociationSummary, IntakeFigures, Refusal, Tally
from cases.store import Database, Holds, Intake
from scp.peers import PeerRules, write_peer_rules
from scp.peers import Refusal as RefusedBy
from tests.bridge.spooled import spool_in
from tests.cases.world import HOLD, INBOX, NOON, file, image, open_shell, receive
from tests.scp.pki import DAY, Authority


class Client:
    """A job engine without jobs."""

    def counts(self) -> dict[str, int]:
        return {"pending": 2}


@pytest.fixture
def metrics(database: Database, tmp_path: Path) -> BridgeMetrics:
    spool = spool_in(tmp_path)
    write_peer_rules(spool.peer_rules_path, PeerRules(is_open=True))
    return BridgeMetrics(
        database=database,
        spool=spool,
        client=Client(),  # type: ignore[arg-type] # a fake with the one method that is used
        peers=BridgePeers(database=database, spool=spool, own_ae="CASEBRIDGE"),
        tls_certificate_file=Authority(tmp_path / "pki").issue("server", valid=(-DAY, DAY)).certificate,
    )


def fill(database: Database) -> None:
    """Receive three objects: one filed, one held, one in work; refuse two; reject five associations."""
    arrivals = receive(database, INBOX, "study", 3)
    shell = open_shell(database, INBOX, "study")
    file(database, shell, arrivals[0], image("study/0"))
    common = {"calling_ae": "PACS", "called_ae": "CASEBRIDGE", "peer_address": "192.0.2.7", "started_at": NOON}
    with database.write() as session:
        Holds(session).hold(shell.case_id, arrivals[1].arrival_id, HOLD)
        for summary in (
            AssociationSummary(
                association_id="1" * 32,
                ended_at=NOON,
                outcome=AssociationOutcome.RELEASED,
                stored=3,
                refusals=(Refusal(status=0xC000, reason="unreadable", count=2),),
                **common,  # type: ignore[arg-type]
            ),
            AssociationSummary(
                association_id="2" * 32,
                ended_at=NOON,
                outcome=AssociationOutcome.REJECTED,
                rule="unknown-calling-ae",
                count=5,
                **common,  # type: ignore[arg-type]
            ),
        ):
            Intake(session).record_association(summary)


def test_the_figures_are_those_of_the_sum_that_adds_up(metrics: BridgeMetrics, database: Database) -> None:
    fill(database)

    found = {(one.name, *one.labels.values()): one.value for one in metrics.measurements()}

    with database.read() as session:
        summary = Intake(session).summary()
        figures = Intake(session).figures()
    assert figures.total == summary.total
    assert (figures.held_by_reason, figures.associations) == (summary.held_by_reason, summary.associations)
    for state, count in (("stored", 3), ("refused", 2), ("inbox", 1), ("held", 1), ("in_progress", 1), ("dropped", 0)):
        assert found["casebridge_objects", state] == count
    assert found["casebridge_objects_held", "burned-in-text"] == 1
    assert found["casebridge_associations", "released"] == 1
    assert found["casebridge_rejections", "unknown-calling-ae"] == 5
    assert found["casebridge_open_to_all",] == 1
    assert found["casebridge_studies", "pending"] == 2
    assert found["casebridge_figures_age_seconds",] >= 0


class Counting:
    """Counts how often it was asked, and takes as long as it is told by a clock of its own."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.now = 1000.0
        self.asked = 0

    def clock(self) -> float:
        return self.now

    def count(self) -> IntakeFigures:
        self.asked += 1
        self.now += self.takes_s
        return IntakeFigures(total=Tally(stored=self.asked), held_by_reason={}, associations={}, rejections={})


def test_the_end_of_the_certificate_is_among_the_figures(metrics: BridgeMetrics) -> None:
    [ends_at] = [one.value for one in metrics.measurements() if one.name == "casebridge_tls_certificate_end_seconds"]

    assert ends_at == pytest.approx((datetime.now(UTC) + DAY).timestamp(), abs=600)


@pytest.mark.parametrize(("takes_s", "good_for_s"), [(0.001, FIGURES_KEPT_S), (2.0, 2.0 * COST_FACTOR)])
def test_the_figures_are_counted_anew_no_more_often_than_their_cost_allows(takes_s: float, good_for_s: float) -> None:
    counting = Counting(takes_s)
    kept = KeptFigures(counting.count, clock=counting.clock)

    assert kept.figures()[0].total.stored == 1
    counting.now += good_for_s - 0.1
    figures, age_s = kept.figures()
    assert (figures.total.stored, round(age_s, 3)) == (1, round(good_for_s - 0.1, 3))
    counting.now += 0.2
    assert kept.figures() == (
        IntakeFigures(total=Tally(stored=2), held_by_reason={}, associations={}, rejections={}),
        0,
    )


def test_many_who_ask_at_once_share_one_count() -> None:
    counting = Counting(0.5)
    kept = KeptFigures(counting.count, clock=counting.clock)
    threads = [threading.Thread(target=kept.figures) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert counting.asked == 1


def test_a_count_that_failed_is_tried_again() -> None:
    counting = Counting(0.5)
    answers = iter([OSError("away"), None])

    def count() -> IntakeFigures:
        answer = next(answers)
        if answer is not None:
            raise answer
        return counting.count()

    kept = KeptFigures(count, clock=counting.clock)
    with pytest.raises(OSError, match="away"):
        kept.figures()
    assert kept.figures()[0].total.stored == 1


def test_every_rule_that_rejects_makes_a_label_that_is_not_left_out() -> None:
    rules = {*map(str, RefusedBy), *EXPLANATIONS}
    figures = IntakeFigures(total=Tally(), held_by_reason={}, associations={}, rejections=dict.fromkeys(rules, 1))

    labels = {one.labels["rule"] for one in _of_intake(figures) if one.name == "casebridge_rejections"}

    assert len(labels) == len(rules) > 20
    assert all(map(_LABEL.fullmatch, labels))
