"""The page on reliability is held against the suites that it tells of."""

import re
from collections.abc import Iterator

import pytest

from tests.faults.ledger import HEAD, STEP_HEAD
from tests.fuzz.targets import TARGETS
from tests.tools import CHECKOUT

PAGE = (CHECKOUT / "docs" / "reliability.md").read_text()


def rows(mark: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table between its marks, by column."""
    found = re.search(rf"<!-- {mark} -->\n(.*?)<!-- end of {mark} -->", PAGE, re.DOTALL)
    assert found
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    yield from (dict(zip(lines[0], line, strict=True)) for line in lines[2:])


@pytest.mark.parametrize(("mark", "head"), [("faults", HEAD), ("steps", STEP_HEAD)])
def test_every_row_names_a_test_that_is_there(mark: str, head: tuple[str, ...]) -> None:
    found = list(rows(mark))
    assert len(found) > 4
    for row in found:
        assert tuple(row) == head
        file, _, test = row["Test"].strip("`").partition("::")
        assert f"def {test}(" in (CHECKOUT / "tests" / "faults" / file).read_text(), row


def test_every_fault_loses_doubles_and_breaks_nothing() -> None:
    for row in rows("faults"):
        assert (row["Lost"], row["Doubled"], row["Broken"]) == ("0", "0", "0"), row
        assert int(row["Stored"]) >= int(row["Acknowledged"]) > 0


def test_every_step_taken_out_loses_something() -> None:
    assert all(int(row["Lost"]) for row in rows("steps"))


def test_every_test_that_enters_a_row_has_one() -> None:
    named = {row["Test"].strip("`").partition("::")[2] for mark in ("faults", "steps") for row in rows(mark)}
    for path in (CHECKOUT / "tests" / "faults").glob("test_*.py"):
        for test, body in re.findall(r"^def (test_\w+)\((.*?)(?=^def |\Z)", path.read_text(), re.MULTILINE | re.DOTALL):
            assert test in named or "ledger.enter" not in body, f"{test}: python -m tests.faults --write"


def test_the_page_counts_what_each_target_was_given() -> None:
    counted = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", PAGE, re.MULTILINE))
    assert set(counted) == set(TARGETS)
    assert all(int(count.replace(",", "")) > 10_000 for count in counted.values())
