"""Whether all of a study is there: no judgement claims more than its evidence."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.evidence import (
    AcquisitionFacts,
    EvidenceRule,
    Judgement,
    ListedInstances,
    ReceiptState,
    SeriesFacts,
    StudyFacts,
    judge,
)

MANIFEST, COMMITMENT = EvidenceRule.MANIFEST, EvidenceRule.COMMITMENT


def series(objects: int = 10, *, first: int | None = 1, last: int | None = None, **changes: int | None) -> SeriesFacts:
    end = last if last is not None else None if first is None else first + objects - 1
    facts = SeriesFacts(objects=objects, numbers=0 if first is None else objects, first=first, last=end, stated=None)
    return dataclasses.replace(facts, **changes)


def listed(rule: EvidenceRule = MANIFEST, *, count: int = 10, missing: int = 0, **changes: bool) -> ListedInstances:
    return ListedInstances(rule=rule, listed=count, missing=missing, **changes)


def judged(**facts: object) -> Judgement:
    return judge(StudyFacts(**{"is_settled": True, "objects": 10, **facts}))  # type: ignore[arg-type]


def acquisition(stated: int = 10, fewest: int = 10, objects: int = 10) -> AcquisitionFacts:
    return AcquisitionFacts(stated=stated, fewest=fewest, objects=objects)


NUMBERED = (series(),)
CASES = [
    ({}, "unknown", 0, "nothing-known"),
    ({"series": NUMBERED}, "probably-complete", 0, "instance-numbers"),
    ({"series": (series(first=0),)}, "probably-complete", 0, "instance-numbers"),
    ({"series": (series(first=5),)}, "unknown", 0, "instance-numbers"),
    ({"series": (series(last=13),)}, "unknown", 0, "instance-numbers"),
    ({"series": (series(first=None),)}, "unknown", 0, "nothing-known"),
    ({"series": NUMBERED, "unread": 1}, "unknown", 0, "nothing-known"),
    ({"stated": 10}, "complete", 0, "study-count"),
    ({"stated": 12}, "short", 2, "study-count"),
    ({"stated": 9}, "probably-complete", 0, "study-count"),
    ({"stated": 12, "unread": 10}, "short", 2, "study-count"),
    ({"series": (series(stated=10),)}, "probably-complete", 0, "series-count"),
    ({"series": (series(stated=10),), "unread": 2}, "unknown", 0, "nothing-known"),
    ({"series": (series(stated=13), series(4, stated=5), series())}, "short", 4, "series-count"),
    ({"series": (series(stated=10), series())}, "probably-complete", 0, "instance-numbers"),
    ({"lists": (listed(),)}, "complete", 0, "manifest"),
    ({"lists": (listed(count=12, missing=2),)}, "short", 2, "manifest"),
    ({"lists": (listed(COMMITMENT),)}, "probably-complete", 0, "commitment"),
    ({"lists": (listed(COMMITMENT, missing=3),)}, "short", 3, "commitment"),
    ({"lists": (listed(COMMITMENT, missing=3, is_of_others=True),)}, "unknown", 0, "commitment"),
    ({"lists": (listed(COMMITMENT, leaves_out=True),)}, "unknown", 0, "nothing-known"),
    ({"lists": (listed(),), "stated": 30}, "short", 20, "study-count"),
    ({"lists": (listed(missing=2),), "stated": 10}, "short", 2, "manifest"),
    ({"series": NUMBERED, "refused": 3}, "unknown", 0, "refused"),
    ({"series": NUMBERED, "broken": 1}, "unknown", 0, "broken-association"),
    ({"stated": 10, "refused": 3, "broken": 1}, "complete", 0, "study-count"),
    ({"series": (series(stated=10),), "broken": 1}, "unknown", 0, "broken-association"),
    ({"series": (series(last=12),), "acquisitions": (acquisition(),)}, "probably-complete", 0, "acquisition-count"),
    ({"series": NUMBERED, "acquisitions": (acquisition(stated=20),)}, "unknown", 0, "acquisition-count"),
    ({"series": NUMBERED, "acquisitions": (acquisition(fewest=5),)}, "probably-complete", 0, "instance-numbers"),
]


@pytest.mark.parametrize(("facts", "state", "missing", "rule"), CASES)
def test_a_study_is_judged_by_its_strongest_evidence(
    facts: dict[str, object], state: str, missing: int, rule: str
) -> None:
    found = judged(**facts)
    assert (found.state.value, found.missing, found.evidence[0].rule.value) == (state, missing, rule)


def test_the_weaker_evidence_stands_below_the_deciding_one() -> None:
    found = judged(stated=12, series=NUMBERED, broken=1)
    assert [one.rule.value for one in found.evidence] == ["study-count", "broken-association", "instance-numbers"]
    assert "10 of the 12 instances" in found.evidence[0].detail


def test_before_it_settles_nothing_is_said() -> None:
    found = judged(is_settled=False, stated=30)
    assert (found.state, found.missing) == (ReceiptState.ARRIVING, 0)


def test_every_rule_has_a_case() -> None:
    assert {rule for _, _, _, rule in CASES} == {rule.value for rule in EvidenceRule}


@given(
    lists=st.lists(st.builds(listed, st.sampled_from([MANIFEST, COMMITMENT]), missing=st.integers(0, 5)), max_size=2),
    stated=st.none() | st.integers(1, 20),
    stated_series=st.none() | st.integers(1, 20),
    happened=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)),
)
def test_only_what_the_sender_counted_makes_a_study_complete_or_short(
    lists: list[ListedInstances], stated: int | None, stated_series: int | None, happened: tuple[int, int, int]
) -> None:
    unread, refused, broken = happened
    found = judged(
        lists=tuple(lists),
        stated=stated,
        series=(series(stated=stated_series),),
        unread=unread,
        refused=refused,
        broken=broken,
    )
    shortages = [one.missing for one in lists] + [max(0, (count or 0) - 10) for count in (stated, stated_series)]
    if found.state is ReceiptState.SHORT:
        assert found.missing == max(shortages) > 0
    else:
        assert not any(shortages)
    if found.state is ReceiptState.COMPLETE:
        assert stated == 10 or lists
    if (refused or broken) and found.state is ReceiptState.PROBABLY_COMPLETE:
        pytest.fail("what broke off is not probably complete")


def test_no_finding_quotes_anything_but_figures() -> None:
    details = itertools.chain.from_iterable(judged(**facts).evidence for facts, *_ in CASES)
    assert all(one.detail and one.detail.isascii() for one in details)
