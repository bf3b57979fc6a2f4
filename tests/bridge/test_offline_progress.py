"""How far a command on files is, on a terminal and in a log."""

import io

import pytest
from rich.console import Console

from bridge.offline_progress import progress


def shown(*, is_terminal: bool, by_frame: str = "") -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=80)
    with progress(console, by_frame=by_frame) as step:
        for done in range(41):
            step("Reading", done, 40)
        step("Looking", 0, 0)
    return out.getvalue()


@pytest.mark.parametrize(("by_frame", "unit"), [("", "files"), ("Reading", "frames")])
def test_elsewhere_than_on_a_terminal_each_tenth_is_a_line(by_frame: str, unit: str) -> None:
    lines = shown(is_terminal=False, by_frame=by_frame).splitlines()
    assert lines == [f"Reading: {done} of 40 {unit}" for done in range(4, 41, 4)]


def test_a_terminal_has_a_bar_that_goes_away() -> None:
    text = shown(is_terminal=True)
    assert "Reading" in text
    assert "40/40" in text
    assert "of 40" not in text
