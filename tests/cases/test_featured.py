"""Featured cases, the case of the month, and what a contributor collects."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.errors import CaseNotFoundError, InvalidTransitionError
from cases.featured import check_month, month_before, month_of
from cases.model import Visibility
from cases.store import Cases, Collections, Collector, Database, Featured
from cases.store.rows import CaseRow
from tests.cases.test_playlists import DRAFT, PUBLIC, UNLISTED, case_of, move
from tests.cases.world import user

NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)


def published_in(database: Database, case_id: str, moment: datetime) -> None:
    with database.write() as session:
        session.get_one(CaseRow, case_id).first_public_at = moment


def featured(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        return [(one.case.id, one.month) for one in Featured(session).list().items]


@given(st.datetimes(min_value=datetime(1000, 2, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_month_before_ends_where_a_month_begins(moment: datetime) -> None:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = first.fromtimestamp(first.timestamp() - 1, UTC)
    assert month_before(month_of(moment)) == month_of(before)


@pytest.mark.parametrize(
    ("month", "published", "is_right"),
    [
        ("2026-11", OCTOBER, True),
        ("2026-11", NOVEMBER, False),
        ("2026-11", datetime(2026, 9, 30, tzinfo=UTC), False),
        ("2026-11", None, False),
        ("2026-12", NOVEMBER, False),  # December has not begun
        ("2026-01", datetime(2025, 12, 1, tzinfo=UTC), True),
    ],
)
def test_a_month_takes_cases_of_the_month_before_once_it_has_begun(
    month: str, published: datetime | None, is_right: bool
) -> None:
    if is_right:
        check_month(month, published, NOVEMBER)
        return
    with pytest.raises(InvalidTransitionError):
        check_month(month, published, NOVEMBER)


def test_only_public_cases_are_featured(database: Database) -> None:
    user(database, "ann")
    public = case_of(database, "ann", "p")
    for state in (UNLISTED, DRAFT):
        other = case_of(database, "ann", f"other {state}", state)
        with database.write() as session, pytest.raises(InvalidTransitionError, match="published first"):
            Featured(session).feature("ed", other)
    for _ in range(2):
        with database.write() as session:
            assert Featured(session).feature("ed", public).case.id == public
    with database.write() as session, pytest.raises(CaseNotFoundError):
        Featured(session).feature("ed", "0" * 32)
    assert featured(database) == [(public, None)]
    with database.write() as session:
        Featured(session).drop(public)
        with pytest.raises(CaseNotFoundError):
            Featured(session).drop(public)
    assert featured(database) == []


def test_a_month_has_one_case(database: Database) -> None:
    user(database, "ann")
    one, two = case_of(database, "ann", "one"), case_of(database, "ann", "two")
    for case_id in (one, two):
        published_in(database, case_id, OCTOBER)
    with database.write() as session:
        Featured(session).feature("ed", one)
    for _ in range(2):
        with database.write() as session:
            assert Featured(session).pick("ed", one, "2026-11", NOVEMBER).month == "2026-11"
    with database.write() as session:
        with pytest.raises(InvalidTransitionError, match="has its case"):
            Featured(session).pick("ed", two, "2026-11", NOVEMBER)
        assert Featured(session).clear_month("2026-11") == one
        with pytest.raises(CaseNotFoundError):
            Featured(session).clear_month("2026-11")
        Featured(session).pick("ed", two, "2026-11", NOVEMBER)
    assert featured(database) == [(two, "2026-11"), (one, None)]


def test_a_case_that_leaves_the_public_is_featured_no_more_and_its_month_is_free(database: Database) -> None:
    user(database, "ann")
    one, two = case_of(database, "ann", "one"), case_of(database, "ann", "two")
    for case_id in (one, two):
        published_in(database, case_id, OCTOBER)
    with database.write() as session:
        Featured(session).pick("ed", one, "2026-11", NOVEMBER)
        Featured(session).feature("ed", two)
    move(database, one, *UNLISTED)
    with database.write() as session:
        Cases(session).withdraw(two)
    assert featured(database) == []
    move(database, two, *PUBLIC)
    with database.write() as session:
        Featured(session).pick("ed", two, "2026-11", NOVEMBER)
    assert featured(database) == [(two, "2026-11")]


def test_the_first_publication_counts_however_often_a_case_comes_back(database: Database) -> None:
    user(database, "ann")
    case_id = case_of(database, "ann", "p")
    published_in(database, case_id, OCTOBER)
    for state in (UNLISTED, PUBLIC, DRAFT, PUBLIC):
        move(database, case_id, *state)
    with database.write() as session:
        Collections(session).enter_public(case_id)
        assert session.get_one(CaseRow, case_id).first_public_at == OCTOBER


def test_lists_of_featured_cases_are_read_on(database: Database) -> None:
    user(database, "ann")
    ids = [case_of(database, "ann", str(number)) for number in range(3)]
    for case_id in ids:
        with database.write() as session:
            Featured(session).feature("ed", case_id)
    with database.read() as session:
        first = Featured(session).list(limit=2)
        second = Featured(session).list(limit=2, cursor=first.next_cursor)
    assert [one.case.id for one in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None


def test_the_collector_counts_own_public_cases(database: Database) -> None:
    user(database, "ann")
    user(database, "bob")
    ids = [case_of(database, "ann", str(number)) for number in range(3)]
    case_of(database, "ann", "draft", DRAFT)
    case_of(database, "bob", "unlisted", UNLISTED)
    move(database, ids[0], *UNLISTED)
    with database.read() as session:
        assert Collector(session).counts(["ann", "bob", "nobody"]) == {"ann": 2}
        assert Collector(session).count("bob") == 0
        shown = Cases(session).get(user(database, "ann"), ids[1]).summary
        assert shown.visibility is Visibility.PUBLIC
        assert Collector(session).of_owners([shown]) == {"ann": 2}
