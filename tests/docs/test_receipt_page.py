"""The receipt that the operator's page explains is one that the program prints."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from bridge import receipts
from cases.evidence import EvidenceRule, ReceiptState
from cases.receipts import Place
from tests.bridge.story import CODE, settings_in, tell
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs" / "operator.md"


def printed(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str | None) -> str:
    settings = settings_in(folder)
    tell(settings, monkeypatch)
    output = io.StringIO()
    monkeypatch.setattr(receipts, "Console", lambda **_: Console(file=output, width=receipts.WIDTH))
    if code is None:
        receipts.show_receipts(settings, filters=receipts.ReceiptFilter(), limit=50, as_json=False)
    else:
        receipts.show_receipt(settings, code, as_json=False)
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


@pytest.mark.parametrize("code", [None, CODE])
def test_the_example_is_what_the_program_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None
) -> None:
    assert f"```\n{printed(tmp_path, monkeypatch, code)}\n```" in PAGE.read_text()


@pytest.mark.parametrize("kind", [ReceiptState, EvidenceRule])
def test_the_page_explains_every_state_and_rule(kind: type[ReceiptState] | type[EvidenceRule]) -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert {member.value for member in kind} <= explained


def test_every_place_stands_on_the_page() -> None:
    text = PAGE.read_text()
    assert all(f"*{words}*" in text for words in (receipts.PLACES[place] for place in Place))
