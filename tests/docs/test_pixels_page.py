"""docs/pixels.md shows what the program prints, and explains every key and verdict of its JSON."""

import json
import re
from typing import Any

import pytest

from deidentify.results import PixelVerdict
from tests.docs.pixels_page import PAGE, run_page
from tests.docs.profiles_page import blocks

TEXT = PAGE.read_text()


@pytest.fixture(scope="module")
def run_of_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int], dict[str, Any]]:
    return run_page(tmp_path_factory.mktemp("page"))


def in_json(page: str) -> Any:
    [block] = [block for block in blocks(page) if block.kind == "json"]
    return json.loads(block.text)


def but_json(page: str) -> str:
    return re.sub(r"^```json\n.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def test_the_tables_are_those_that_the_program_prints(run_of_page: tuple[str, dict[str, int], dict[str, Any]]) -> None:
    anew = "write it anew with: .venv/bin/python -m tests.docs.pixels_page"
    assert but_json(run_of_page[0]) == but_json(TEXT), anew
    assert set(run_of_page[1].values()) == {1}


def test_the_entry_of_a_file_is_what_the_program_writes(
    run_of_page: tuple[str, dict[str, int], dict[str, Any]],
) -> None:
    shown, now = in_json(TEXT), in_json(run_of_page[0])
    for place in (("frames", 0), ("layers", 0, "frames", 0)):
        [ours], [theirs] = inside(shown, place).pop("regions"), inside(now, place).pop("regions")
        # Another processor rounds otherwise.
        for key in ("x", "y", "width", "height", "score"):
            assert ours.pop(key) == pytest.approx(theirs.pop(key), abs=2)
        assert ours == theirs
    assert shown == now


def inside(entry: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        entry = entry[key]
    return entry


def explained(heading: str) -> set[str]:
    """Return the keys in the first column of the table behind a line."""
    table = TEXT.partition(f"{heading}\n\n")[2].partition("\n\n")[0]
    return {key for row in table.splitlines()[2:] for key in re.findall("`([^`]+)`", row.split("|")[1])}


def test_every_key_is_explained(run_of_page: tuple[str, dict[str, int], dict[str, Any]]) -> None:
    told = run_of_page[2]
    [file] = told["files"]
    [frame] = file["frames"]
    assert explained("Of the whole run:") == set(told)
    assert explained("Of each file:") == set(file)
    assert explained("Of each frame:") == set(frame)
    [layer] = file["layers"]
    assert explained("Of each layer:") == set(layer)
    assert explained("Of each region:") == set(frame["regions"][0])


def test_every_verdict_is_explained() -> None:
    verdicts = set(
        re.findall(r"^\| `([a-z-]+)` \|", TEXT.partition("| Verdict |")[2].partition("\n\n")[0], re.MULTILINE)
    )
    # Redaction is a decision of the bridge; the command only says what is there.
    assert verdicts == {*PixelVerdict, "skipped", "not-done"} - {PixelVerdict.REDACT}
