"""A line counts as gone when its ink is covered, and the second engine finds what is left."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import redactors
from benchmarks.burned_in import backgrounds
from benchmarks.burned_in.generate import Image, Kind, made
from benchmarks.redaction.reader import read_words, tokens_of, tokens_read
from benchmarks.redaction.run import interpreters, redact_all
from benchmarks.redaction.score import ImageOutcome, ToolOutcome, is_gone, lines_gone, prepared
from benchmarks.redaction.tables import section
from tests.tools import require_peer, require_tool


@pytest.fixture(autouse=True)
def no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CASEBRIDGE_CORPUS", str(tmp_path / "absent"))
    backgrounds.real_files.cache_clear()
    yield
    backgrounds.real_files.cache_clear()


def with_text(count: int = 8) -> list[Image]:
    images = (made(3, number) for number in range(40))
    return [image for image in images if image.kind is Kind.IDENTITY][:count]


def blackened(image: Image, *, share: float = 1.0, margin: int = 2) -> np.ndarray:
    after = image.frames.copy()
    for one in image.planted:
        left, top, right, bottom = one.box
        right = left + round((right - left) * share)
        after[one.frame, max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin] = 0
    return after


def picture(text: str = "KOWALCZYK MARTA") -> tuple[np.ndarray, np.ndarray]:
    """Return a picture with a line of text, and where its ink is."""
    clean = np.full((120, 420), 40, dtype=np.uint8)
    drawn = cv2.putText(clean.copy(), text, (20, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 220, 2, cv2.LINE_AA)
    return drawn, drawn != clean


def test_a_box_over_a_line_and_nothing_less_makes_it_go():
    images = with_text()
    assert any(one.style.look.value == "in a filled box" for image in images for one in image.planted)
    for image in images:
        assert lines_gone(image, image.frames) == 0
        assert lines_gone(image, blackened(image)) == len(image.planted)
        assert lines_gone(image, blackened(image, share=0.6)) == 0


def test_black_ink_is_covered_by_a_black_box_and_not_by_one_beside_it():
    drawn, ink = picture()
    black = np.where(ink, 0, 90).astype(np.uint8)
    over, beside = black.copy(), black.copy()
    over[20:90] = 0
    beside[90:] = 0
    assert is_gone(ink, black, over)
    assert not is_gone(ink, black, beside)
    assert not is_gone(ink, drawn, 255 - drawn)


def test_tokens_are_the_words_of_four_letters_and_more():
    (image,) = with_text(1)
    one = image.planted[0]
    line = replace(one.line, text="Dr. Müller-Lüdenscheidt ID: 4711 12")
    assert tokens_of([replace(one, line=line)]) == ("4711", "lüdenscheidt", "müller")


@pytest.mark.parametrize(
    ("token", "word", "is_read"),
    [
        ("kowalczyk", "kowalczyk", True),
        ("kowalczyk", "kowa1czyk", True),
        ("4711", "id4711x", True),
        ("4711", "4712", False),
        ("kowalczyk", "walc", False),
        ("kowalczyk", "martamaria", False),
    ],
)
def test_a_token_is_read_when_a_word_is_alike_or_holds_it(token, word, is_read):
    assert tokens_read([token], {word}) == ((token,) if is_read else ())


def test_the_second_engine_reads_what_is_there_and_not_what_is_gone():
    require_tool("tesseract")
    drawn, _ = picture()
    assert tokens_read(("kowalczyk", "marta"), read_words(drawn, [])) == ("kowalczyk", "marta")
    gone = drawn.copy()
    gone[20:90] = 0
    assert tokens_read(("kowalczyk", "marta"), read_words(gone, [])) == ()


def test_our_own_redactor_takes_a_name_away_and_says_what_it_holds(tmp_path):
    run, _ = redactors.casebridge()
    found = {}
    for image in with_text(4):
        _, content = prepared(3, image.number)
        (tmp_path / "source").write_bytes(content.getvalue())
        found[image.number] = run(tmp_path / "source", tmp_path / "target")
        if found[image.number]:
            assert (tmp_path / "target").stat().st_size > 0
    assert any(found.values())


def test_what_a_tool_raises_is_a_refusal_named_by_its_type(tmp_path):
    def careless(_source: Path, _target: Path) -> bool:
        raise ValueError("KOWALCZYK")

    answer = redactors._answer(careless, tmp_path / "a", tmp_path / "b")
    assert answer["outcome"] == "refused: ValueError"
    assert redactors._answer(lambda *_: False, tmp_path / "a", tmp_path / "b")["outcome"] == "held"


def test_tools_take_turns_and_what_they_made_is_kept(tmp_path, monkeypatch):
    require_peer()
    number = with_text(1)[0].number
    tools = {tool: python for tool, python in interpreters({}).items() if tool in {"casebridge", "deid"}}
    assert tools["casebridge"] == Path(sys.executable)
    first, versions = redact_all(seed=3, count=number + 1, tools=tools, folder=tmp_path)
    again, _ = redact_all(seed=3, count=number + 1, tools=tools, folder=tmp_path)
    assert again == first  # CPU seconds, too: nothing was done anew
    named = first[number]
    assert set(named.tools) == set(versions) == {"casebridge", "deid"}
    assert named.tools["deid"].gone == 0
    assert not named.tools["deid"].is_altered
    ours = named.tools["casebridge"]
    assert ours.outcome == "held" or ours.gone == named.lines


def test_the_tables_count_what_passed_with_a_line_and_what_was_read():
    def image(number: int, **tools: ToolOutcome) -> ImageOutcome:
        return ImageOutcome(
            number=number,
            kind=Kind.IDENTITY,
            lines=2,
            tokens=("marta", "4711"),
            read=("marta",),
            is_read=True,
            tools=tools,
        )

    def made_by(outcome: str = "written", **facts: object) -> ToolOutcome:
        return ToolOutcome(outcome=outcome, cpu_s=1.0, is_read=outcome == "written", **facts)

    outcomes = [
        image(1, ours=made_by(gone=2, is_altered=True), theirs=made_by(read=("marta",))),
        image(2, ours=made_by("held"), theirs=made_by("refused: TypeError")),
        image(3, ours=made_by(gone=1, is_altered=True, read=("4711",)), theirs=made_by(gone=2, is_altered=True)),
    ]
    named, _, read = section(outcomes, {"ours": "1", "theirs": "2"}, 3).tables
    shares = [[cell.partition(" (")[0] for cell in row] for row in named.rows]
    assert shares == [
        ["ours 1", "1 of 3", "1 of 3", "0 of 3", "1 of 3", "3 of 4"],
        ["theirs 2", "1 of 3", "0 of 3", "1 of 3", "1 of 3", "2 of 4"],
    ]
    assert [[row[1], row[3], row[4]] for row in read.rows] == [
        ["3", "3 of 6", read.rows[0][4]],
        ["2", "1 of 4", "3"],
        ["2", "1 of 4", "1"],
    ]
