"""When a study has settled, by a clock that a test moves."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bridge.settling import CALM_S, SettleRules, Settling
from cases.intake import ArrivingStudy
from cases.receipts import SettledBy
from scp.journal import Receiving

STUDY = ArrivingStudy(
    key="k-route", study_key="k", quiet_for_s=0, waiting_for_s=0, quiet_period_s=None, max_settle_s=None
)


class World:
    """One study that arrives, a clock, and the lists that there are."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lists: dict[str, SettledBy] = {}
        self.asked = 0
        self.settling = Settling(
            SettleRules(quiet_period_s=30, max_settle_s=100), list_of=self._list_of, clock=lambda: self.now
        )

    def _list_of(self, key: str) -> SettledBy | None:
        self.asked += 1
        return self.lists.get(key)

    def record(self, key: str = STUDY.key) -> None:
        self.settling.note([key])

    def after(
        self, seconds: float, *studies: ArrivingStudy, receiving: Iterable[Receiving] = ()
    ) -> list[tuple[str, SettledBy]]:
        self.now += seconds
        return self.settling.due(studies or (STUDY,), receiving)


@pytest.fixture
def world() -> World:
    return World()


def on_its_way(progress: int, study_key: str = "k", association: str = "a") -> Receiving:
    return Receiving(association_id=association, study_key=study_key, progress=progress)


def test_a_study_settles_when_nothing_came_for_the_quiet_period(world: World) -> None:
    world.record()
    assert world.after(29.9) == []
    assert world.after(0.1) == [(STUDY.key, SettledBy.QUIET)]


def test_traffic_restarts_the_quiet_period_but_not_for_ever(world: World) -> None:
    for _ in range(5):
        world.record()
        assert world.after(19) == []
    world.record()
    assert world.after(5) == [(STUDY.key, SettledBy.LONGEST_WAIT)]


def test_an_object_that_takes_longer_than_the_quiet_period_keeps_its_study_open(world: World) -> None:
    world.record()
    for second in range(1, 60):
        assert world.after(1, receiving=[on_its_way(second)]) == []
    world.record()
    assert world.after(29) == []
    assert world.after(1) == [(STUDY.key, SettledBy.QUIET)]


def test_an_association_that_is_open_and_silent_delays_nothing(world: World) -> None:
    world.record()
    assert world.after(10, receiving=[on_its_way(7)]) == []
    assert world.after(20, receiving=[on_its_way(7)]) == []
    assert world.after(10, receiving=[on_its_way(7)]) == [(STUDY.key, SettledBy.QUIET)]


def test_an_object_of_another_study_delays_nothing(world: World) -> None:
    world.record()
    for second in range(29):
        assert world.after(1, receiving=[on_its_way(second, study_key="other")]) == []
    assert world.after(1, receiving=[on_its_way(99, study_key="other")]) == [(STUDY.key, SettledBy.QUIET)]


def test_two_associations_are_told_apart(world: World) -> None:
    world.record()
    for second in range(1, 60):
        both = [on_its_way(5, association="silent"), on_its_way(second, association="busy")]
        assert world.after(1, receiving=both) == []


def test_a_list_settles_a_study_after_a_pause_and_not_in_the_midst_of_traffic(world: World) -> None:
    world.lists[STUDY.key] = SettledBy.MANIFEST
    world.record()
    assert world.after(CALM_S / 2) == []
    world.record()
    assert world.after(CALM_S / 2) == []
    assert world.asked == 0
    assert world.after(CALM_S / 2) == [(STUDY.key, SettledBy.MANIFEST)]


def test_a_list_that_comes_later_settles_as_well(world: World) -> None:
    world.record()
    assert world.after(CALM_S + 1) == []
    world.lists[STUDY.key] = SettledBy.COMMITMENT
    assert world.after(1) == [(STUDY.key, SettledBy.COMMITMENT)]


def test_a_route_has_its_own_quiet_period_and_longest_wait(world: World) -> None:
    slow = replace(STUDY, key="slow", quiet_period_s=60.0)
    quick = replace(STUDY, key="quick", max_settle_s=20.0)
    for key in (STUDY.key, "slow", "quick"):
        world.record(key)
    assert world.after(20, STUDY, slow, quick) == [("quick", SettledBy.LONGEST_WAIT)]
    assert world.after(10, STUDY, slow) == [(STUDY.key, SettledBy.QUIET)]
    assert world.after(30, slow) == [("slow", SettledBy.QUIET)]


def test_what_comes_after_settling_waits_for_a_quiet_period_of_its_own(world: World) -> None:
    world.record()
    assert world.after(30) != []
    world.record()
    assert world.after(29) == []
    assert world.after(1) == [(STUDY.key, SettledBy.QUIET)]


def test_a_scanner_that_takes_over_goes_on_where_the_other_was(world: World) -> None:
    assert world.after(0, replace(STUDY, quiet_for_s=20, waiting_for_s=20)) == []
    assert world.after(10) == [(STUDY.key, SettledBy.QUIET)]
    assert world.after(0, replace(STUDY, quiet_for_s=1, waiting_for_s=100)) == [(STUDY.key, SettledBy.LONGEST_WAIT)]


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_meanwhile_changes_nothing(world: World, jump_s: float) -> None:
    world.record()
    jumped = replace(STUDY, quiet_for_s=jump_s, waiting_for_s=jump_s)
    assert world.after(29, jumped) == []
    assert world.after(1, jumped) == [(STUDY.key, SettledBy.QUIET)]


def test_a_clock_that_was_set_back_before_a_takeover_delays_a_study_by_one_quiet_period(world: World) -> None:
    behind = replace(STUDY, quiet_for_s=-3600, waiting_for_s=-3600)
    assert world.after(0, behind) == []
    assert world.after(30, behind) == [(STUDY.key, SettledBy.QUIET)]


def test_whoever_gets_the_lease_again_begins_anew(world: World) -> None:
    world.record()
    world.now += 3600
    world.settling.forget()
    assert world.after(0, replace(STUDY, quiet_for_s=3, waiting_for_s=3)) == []
