"""Generates the studies, lets every tool at them, and puts the scores into one table."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from benchmarks.midib.answers import NOT_IN_TABLE
from benchmarks.midib.bases import Studies, chosen, own_studies
from benchmarks.midib.checks import Uids, passes, words_in
from benchmarks.midib.closed import Marks, days_of, found_secrets, lost_types, marks_of, references, uids_of
from benchmarks.midib.drawn import generate_drawn
from benchmarks.midib.key import Action, Answer, Case, Instance, found, path_text
from benchmarks.midib.people import Secret
from benchmarks.midib.planting import value_text
from benchmarks.midib.studies import generate
from benchmarks.receivers import CHECKOUT
from benchmarks.report import NOTHING, Section, Table

__all__ = ["OURS", "PEERS", "PROFILE", "RELATIONS", "REMOVALS", "VALUES", "Score", "apply", "measure", "score"]

OURS = "casebridge"
SCREENED = "casebridge, screened"
_DRAWN = 18
"""Images, two thirds of them with text in their pixels; each costs the pixel screen half a second."""
PEERS = ("deid", "dicognito", "dicom-anonymizer")
PEERS_PYTHON = CHECKOUT / ".venv-peers" / "bin" / "python"
PROFILE = Path(__file__).with_name("profile.yaml")

REMOVALS = (Action.TEXT_REMOVED, Action.DATE_SHIFTED, Action.UID_CHANGED)
VALUES = (Action.TAG_RETAINED, Action.TEXT_NOTNULL, Action.TEXT_RETAINED)
SCAN, INTERVALS, REFERENCES, TYPES, MARKERS = "whole file", "intervals", "references", "types", "markers"
RELATIONS = (Action.UID_CONSISTENT, Action.PATID_CONSISTENT, INTERVALS, REFERENCES)
WORDS, SEALED_WORDS, TECHNICAL, PRIVATE = "words", "words, sealed", "technical words", "safe private"

_ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("**removals**", (*REMOVALS, SCAN)),
    ("text_removed", (Action.TEXT_REMOVED,)),
    ("date_shifted", (Action.DATE_SHIFTED,)),
    ("uid_changed", (Action.UID_CHANGED,)),
    ("identifiers, whole file in every encoding", (SCAN,)),
    ("**kept**, values and words", (*VALUES, WORDS, SEALED_WORDS, TECHNICAL)),
    ("tag_retained", (Action.TAG_RETAINED,)),
    ("text_notnull", (Action.TEXT_NOTNULL,)),
    ("text_retained, numbers and codes", (Action.TEXT_RETAINED,)),
    ("text_retained, words of descriptions and reports", (WORDS, SEALED_WORDS)),
    ("– of these, sealed phrases", (SEALED_WORDS,)),  # noqa: RUF001 - a dash is meant
    ("text_retained, technical text", (TECHNICAL,)),
    ("safe private elements", (PRIVATE,)),
    ("**relations**", RELATIONS),
    ("uid_consistent", (Action.UID_CONSISTENT,)),
    ("patid_consistent", (Action.PATID_CONSISTENT,)),
    ("intervals between dates", (INTERVALS,)),
    ("references within the study", (REFERENCES,)),
    ("**pixels_retained**, bit for bit", (Action.PIXELS_RETAINED,)),
    ("**types**, Type 1 and 2, VRs", (TYPES,)),
    ("**markers**, there and true", (MARKERS,)),
)


@dataclass(slots=True)
class Score:
    """What one tool reached. A file that is not delivered is asked nothing: it is counted as what it is."""

    tool: str
    version: str = ""
    passed: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    """What failed and where, without values of people."""

    def add(self, row: str, passed: int, asked: int = 1) -> None:
        """Count."""
        self.passed[row] += passed
        self.asked[row] += asked

    def share(self, rows: Iterable[str]) -> float | None:
        """Return the share of what passed; None where nothing was asked."""
        asked = sum(self.asked[row] for row in rows)
        return sum(self.passed[row] for row in rows) / asked if asked else None

    def delivered(self) -> float:
        """Return the share of generated instances that came out."""
        return self.outcomes["delivered"] / max(1, sum(self.outcomes.values()))


def apply(tool: str, source: Path, target: Path, python: str = sys.executable) -> dict[str, Any]:
    """Let a tool go through a folder of generated cases; return its version and what became of each file."""
    command = [python, "-m", "benchmarks.midib.apply", tool, str(source), str(target), "--profile", str(PROFILE)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode:
        raise RuntimeError(f"{tool} ended: {done.stderr[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _read(file: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dcmread(file, force=True)
        data.decode()
        return data


def score(result: Score, cases: list[Case], source: Path, target: Path, outcomes: dict[str, str]) -> None:
    """Judge all files that a tool delivered, case by case."""
    for case in cases:
        delivered: list[tuple[Instance, Dataset]] = []
        for instance in case.instances:
            outcome = outcomes[instance.file]
            result.outcomes["delivered" if outcome == "delivered" else outcome.split(":")[0]] += 1
            if outcome != "delivered":
                result.misses[f"not delivered: {outcome}"] += 1
                continue
            try:
                delivered.append((instance, _read(target / instance.file)))
            except Exception as error:  # noqa: BLE001 - what pydicom cannot read is not delivered
                result.outcomes["delivered"] -= 1
                result.outcomes["failed"] += 1
                result.misses[f"not delivered: unreadable: {type(error).__name__}"] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _score_case(result, case, delivered, source, target)


def _score_case(
    result: Score, case: Case, delivered: list[tuple[Instance, Dataset]], source: Path, target: Path
) -> None:
    uids, pairs = uids_of(delivered), days_of(delivered)
    kept, asked = pairs.score()
    result.add(INTERVALS, kept, asked)
    if kept < asked:
        result.misses[f"interval: {pairs.lost} lost, {len(pairs.moves)} moves"] += asked - kept
    kept, asked = references(delivered)
    result.add(REFERENCES, kept, asked)
    shifts = set(pairs.moves)
    for instance, after in delivered:
        before = _read(source / instance.file)
        shifted = _written_dates(instance, after)
        original = ((source / instance.file).read_bytes(), before)
        written = ((target / instance.file).read_bytes(), after)
        leaks = _scan(result, case.secrets, original, written, shifted)
        for answer in instance.answers:
            _score_answer(result, after, answer, uids)
        good, all_, lost = lost_types(before, after)
        result.add(TYPES, good, all_)
        result.misses.update(f"types: {path_text(path)}" for path in lost)
        marks = marks_of(before, after, leaks=leaks, moves=shifts, has_dates=bool(shifted), drawn=False)
        _add_marks(result, marks)


def _add_marks(result: Score, marks: Marks) -> None:
    result.add(MARKERS, marks.true, marks.asked)
    result.misses.update(f"marker: {sentence}" for sentence in marks.false)


def _written_dates(instance: Instance, after: Dataset) -> frozenset[str]:
    return frozenset(
        str(element.value)[:8]
        for answer in instance.answers
        if answer.action is Action.DATE_SHIFTED and answer.is_required
        for element in found(after, answer.path)
        if element.value and str(element.value)[:8] != answer.value[:8]
    )


def _scan(
    result: Score,
    secrets: list[Secret],
    original: tuple[bytes, Dataset],
    written: tuple[bytes, Dataset],
    shifted: frozenset[str],
) -> int:
    """Count the planted identifiers of a file that are still somewhere in it."""
    (source, before), (content, after) = original, written
    pixels = bytes(before.get("PixelData") or b"")
    if len(pixels) > 64:
        # The same bytes hold nothing that was planted; changed ones are searched.
        source, content = source.replace(pixels, b""), content.replace(pixels, b"")
    planted = found_secrets(source, before, secrets, frozenset())
    left = found_secrets(content, after, planted, shifted)
    result.add(SCAN, len(planted) - len(left), len(planted))
    result.misses.update(f"{SCAN}: {secret.kind}" for secret in left)
    return len(left)


def _score_answer(result: Score, after: Dataset, answer: Answer, uids: Uids) -> None:
    outcome = passes(after, answer, uids)
    if outcome is None:
        return
    row: str = answer.action
    if answer.action is Action.TEXT_RETAINED and any(isinstance(step, tuple) for step in answer.path):
        row = PRIVATE
    elif outcome.asked:
        row = TECHNICAL if answer.why == NOT_IN_TABLE else SEALED_WORDS if answer.is_sealed else WORDS
    result.add(row, outcome.kept if outcome.asked else outcome.passed, outcome.asked or 1)
    if not outcome.passed:
        # Words of sealed phrases are not named: whoever reads them would add them to the vocabulary.
        what = f" {_missing(after, answer)}" if outcome.asked and not answer.is_sealed else ""
        result.misses[f"{row}: {path_text(answer.path)}{what}"] += 1


def _missing(after: Dataset, answer: Answer) -> str:

    here = set(words_in(" ".join(value_text(element) for element in found(after, answer.path))))
    return ",".join(word for word in words_in(" ".join(answer.words)) if word not in here)


def measure(work: Path, *, seeds: int, studies: int, step: Callable[[str], None]) -> Section:
    """Score our engine and the peers on the same generated files, one seed after the other."""
    scores = {tool: Score(tool) for tool in (OURS, *PEERS) if tool == OURS or PEERS_PYTHON.exists()}
    files = 0
    drawn = _drawn(list(scores), step)
    for seed in range(1, seeds + 1):
        bases = chosen(random.Random(seed), studies) or own_studies(work / "midib-own")
        files += _one_seed(scores, bases, seed, step)
    return _section(scores, drawn, files, seeds)


def _one_seed(scores: dict[str, Score], bases: Studies, seed: int, step: Callable[[str], None]) -> int:
    with tempfile.TemporaryDirectory(prefix="casebridge-midib-") as name:
        folder = Path(name)
        step(f"midib, seed {seed}: generating")
        cases = generate(folder / "in", bases, seed)
        for tool, result in scores.items():
            step(f"midib, seed {seed}: {tool}")
            python = sys.executable if tool == OURS else str(PEERS_PYTHON)
            answer = apply(tool, folder / "in", folder / tool, python)
            result.version = answer["version"]
            score(result, cases, folder / "in", folder / tool, answer["outcomes"])
            shutil.rmtree(folder / tool, ignore_errors=True)
        return sum(len(case.instances) for case in cases)


def _drawn(tools: list[str], step: Callable[[str], None]) -> dict[str, Score]:
    """Let every tool at images with a name in their pixels, ours with its pixel screen."""
    scores = {}
    with tempfile.TemporaryDirectory(prefix="casebridge-midib-") as name:
        folder = Path(name)
        cases = generate_drawn(folder / "in", _DRAWN, 1)
        for tool in tools:
            step(f"midib, drawn text: {tool}")
            python = sys.executable if tool == OURS else str(PEERS_PYTHON)
            run_as = SCREENED if tool == OURS else tool
            answer = apply(run_as, folder / "in", folder / tool, python)
            result = scores[tool] = Score(tool, answer["version"])
            for case in cases:
                for one in case.instances:
                    outcome = answer["outcomes"][one.file]
                    kind = "drawn" if one.answers[0].action is Action.PIXELS_HIDDEN else "clean"
                    result.outcomes[kind] += 1
                    result.outcomes[f"{kind}, {outcome.split(':')[0]}"] += 1
                    if outcome == "delivered":
                        _score_answer(result, _read(folder / tool / one.file), one.answers[0], Uids())
    return scores


def _drawn_table(drawn: dict[str, Score]) -> Table:
    rows = [
        [
            f"{one.tool} {one.version}",
            f"{one.outcomes['drawn, held']} of {one.outcomes['drawn']}",
            f"{one.outcomes['drawn, delivered']} of {one.outcomes['drawn']}",
            str(one.passed[Action.PIXELS_HIDDEN]),
            f"{one.passed[Action.PIXELS_RETAINED]} of {one.outcomes['clean']}",
        ]
        for one in drawn.values()
    ]
    columns = ("tool", "held for a person", "delivered", "of these pixels_hidden", "clean ones delivered, bit for bit")
    return Table(title="A name drawn into the pixels", columns=columns, rows=rows)


def _percent(share: float | None) -> str:
    if share is None:
        return NOTHING
    # Rounded down: 100 means all.
    return f"{int(share * 10000) / 100:.2f}"


def _section(scores: dict[str, Score], drawn: dict[str, Score], files: int, seeds: int) -> Section:
    columns = ["% of the checks passed", *(f"{one.tool} {one.version}" for one in scores.values()), "asked of ours"]
    rows = [
        [
            title,
            *(_percent(one.share(parts)) for one in scores.values()),
            str(sum(scores[OURS].asked[p] for p in parts)),
        ]
        for title, parts in _ROWS
    ]
    outcomes = [
        [what, *(f"{one.outcomes[what]} ({_percent(one.outcomes[what] / files)} %)" for one in scores.values()), ""]
        for what in ("delivered", "held", "dropped", "failed")
    ]
    about = (
        f"{files} generated instances, {seeds} seeds. Only delivered files are asked; what is held, dropped by the "
        "profile or makes a tool fail is counted apart and never as passed. Each tool as an ordinary user starts it: "
        "deid with its default recipe and dicom-anonymizer with its rules, both removing private elements, dicognito "
        "as its command does. Our pixel screen is not run for the "
        "first table: nothing is drawn into those pixels."
    )
    return Section(
        name="midib",
        title="De-identification scored",
        tables=[
            Table(title="Ten check types and the closed holes", columns=columns, rows=[*rows, *outcomes]),
            _drawn_table(drawn),
        ],
        notes=[about],
        data={
            tool: {
                "passed": dict(one.passed),
                "asked": dict(one.asked),
                "outcomes": dict(one.outcomes),
                "misses": dict(one.misses.most_common(400)),
            }
            for tool, one in scores.items()
        },
    )
