"""``python -m tests.faults [--write]``: run the fault suite; with ``--write`` its tables go to docs/reliability.md."""

import re
import sys
from collections.abc import Sequence

import pytest

from tests.faults.ledger import HEAD, STEP_HEAD, STEP_PROPERTY, table
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs" / "reliability.md"


class Reports:
    """A plugin that keeps the reports of the tests."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.reports.append(report)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the last column is a test, shown by its name."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 2) + "---|"]
    lines += ["| " + " | ".join([*row[:-1], f"`{row[-1].removeprefix('tests/faults/')}`"]) + " |" for row in rows]
    return "\n".join(lines)


def written(page: str, mark: str, text: str) -> str:
    """Return a page with a text between the marks of that name."""
    pattern = rf"(<!-- {mark} -->\n).*?(<!-- end of {mark} -->)"
    assert re.search(pattern, page, re.DOTALL), f"no place for {mark}"
    return re.sub(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)


def main() -> int:
    kept = Reports()
    status = pytest.main(["-q", str(CHECKOUT / "tests" / "faults")], plugins=[kept])
    if status == 0 and "--write" in sys.argv[1:]:
        page = written(PAGE.read_text(), "faults", markdown(HEAD, table(kept.reports)))
        steps = table(kept.reports, STEP_PROPERTY, STEP_HEAD)
        PAGE.write_text(written(page, "steps", markdown(STEP_HEAD, steps)))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
