"""Tools take turns on the same images; what each made of one is scored, and kept for a further run."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.burned_in.generate import Image, Kind
from benchmarks.clean_studies.run import screen_version
from benchmarks.receivers import CHECKOUT
from benchmarks.redaction.reader import engine_version, grey, read_words, tokens_of, tokens_read
from benchmarks.redaction.score import ImageOutcome, ToolOutcome, prepared, scored, side_by_side

__all__ = ["Redactors", "interpreters", "redact_all"]


def interpreters(given: Mapping[str, Path]) -> dict[str, Path]:
    """Return the interpreter of each tool that is here: our own, the peers', and those that are given by name."""
    peers = CHECKOUT / ".venv-peers" / "bin" / "python"
    there = {"casebridge": Path(sys.executable)}
    if peers.exists():
        there["deid"] = peers
    return {**there, **given}


@dataclass(slots=True)
class Redactors:
    """One process of each tool, each asked in its turn."""

    processes: dict[str, subprocess.Popen[str]]
    versions: dict[str, str] = field(default_factory=dict)

    def ask(self, tool: str, source: Path, target: Path) -> dict[str, Any]:
        """Let a tool work on one file."""
        process = self.processes[tool]
        assert process.stdin is not None
        process.stdin.write(json.dumps({"source": str(source), "target": str(target)}) + "\n")
        process.stdin.flush()
        return self.answer(tool)

    def answer(self, tool: str) -> dict[str, Any]:
        """Return the next line of a tool."""
        process = self.processes[tool]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{tool} ended; start it by hand to see why: python -m benchmarks.redactors {tool}")
        return dict(json.loads(line))


@contextmanager
def _started(tools: Mapping[str, Path]) -> Iterator[Redactors]:
    """Start a process of each tool, wait until they have loaded what they need, and end them."""
    with ExitStack() as stack:
        started = Redactors(processes={})
        for tool, python in tools.items():
            process = stack.enter_context(
                subprocess.Popen(
                    [str(python), "-m", "benchmarks.redactors", tool],
                    cwd=CHECKOUT,
                    env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            started.processes[tool] = process
        for tool in tools:
            started.versions[tool] = str(started.answer(tool)["version"])
        yield started
        for process in started.processes.values():
            assert process.stdin is not None
            process.stdin.close()


@dataclass(slots=True)
class _Reader:
    """The second engine; equal pictures of one image are read once."""

    image: Image
    known: dict[bytes, set[str]] = field(default_factory=dict)

    def tokens(self, frame: NDArray[Any]) -> tuple[str, ...]:
        """Return the planted tokens that are read in a frame."""
        content = frame.tobytes()
        if content not in self.known:
            self.known[content] = read_words(grey(frame), [one.style.turn for one in self.image.planted])
        return tokens_read(tokens_of(self.image.planted), self.known[content])


@dataclass(slots=True)
class _Kept:
    """What tools of these very versions have made of these very images before; the file is added to line by line."""

    file: Path
    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self) -> None:
        """Read what is there."""
        for line in self.file.read_text().splitlines() if self.file.exists() else ():
            row = json.loads(line)
            self.known[row["image"], row["by"]] = row["made"]

    def add(self, image: str, by: str, made: dict[str, Any]) -> None:
        """Remember one more."""
        with self.lock, self.file.open("a") as file:
            file.write(json.dumps({"image": image, "by": by, "made": made}) + "\n")


def _marks(redactors: Redactors, engine: str) -> dict[str, str]:
    """Return what each tool's results are kept under: it changes with all that they depend on."""
    own = {"casebridge": screen_version()}
    return {
        tool: f"{tool} {version} {engine} {own.get(tool, '')}".strip() for tool, version in redactors.versions.items()
    }


def _image(
    redactors: Redactors, seed: int, number: int, kept: _Kept, *, engine: str, is_over: bool
) -> ImageOutcome | None:
    """Return what became of one image; where the time is over, only if nothing has to be done for it any more."""
    image, content = prepared(seed, number)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    marks = _marks(redactors, engine)
    if is_over and any((digest, by) not in kept.known for by in marks.values()):
        return None
    reader = _Reader(image) if engine and image.kind is Kind.IDENTITY else None
    original = kept.known.get((digest, engine))
    if original is None and reader is not None:
        original = {"read": reader.tokens(image.frames[_frame(image)])}
        kept.add(digest, engine, original)
    tools: dict[str, ToolOutcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.dcm")
        source.write_bytes(content.getvalue())
        for tool in redactors.processes:
            by = (
                f"{tool} {redactors.versions[tool]} {engine} {screen_version() if tool == 'casebridge' else ''}".strip()
            )
            made = kept.known.get((digest, by))
            if made is None:
                target = Path(folder, f"{tool}.dcm")
                outcome, after = scored(image, redactors.ask(tool, source, target), target)
                outcome = _looked_at(
                    image, reader, outcome, after, kept.file.parent / "pictures" / f"{number:05d}-{tool}"
                )
                kept.add(digest, marks[tool], asdict(outcome))
            else:
                outcome = ToolOutcome(**{**made, "read": tuple(made["read"])})
            tools[tool] = outcome
    return ImageOutcome(
        number=number,
        kind=image.kind,
        lines=len(image.planted),
        tokens=tokens_of(image.planted) if image.kind is Kind.IDENTITY else (),
        read=tuple(original["read"]) if original is not None else (),
        is_read=reader is not None,
        tools=tools,
    )


def _frame(image: Image) -> int:
    return image.planted[0].frame if image.planted else 0


def _looked_at(
    image: Image, reader: _Reader | None, outcome: ToolOutcome, after: NDArray[Any] | None, picture: Path
) -> ToolOutcome:
    """Let the second engine read what was written, and draw it where something is wrong."""
    if after is None:
        return outcome
    frame = after[_frame(image)]
    if reader is not None:
        outcome = replace(outcome, read=reader.tokens(frame), is_read=True)
    if _is_wrong(image, outcome):
        side_by_side(grey(image.frames[_frame(image)]), grey(frame), picture.with_suffix(".png"))
    return outcome


def _is_wrong(image: Image, outcome: ToolOutcome) -> bool:
    if image.kind is Kind.IDENTITY:
        return bool(outcome.read) or outcome.gone < len(image.planted)
    return outcome.is_altered


def redact_all(
    *,
    seed: int,
    count: int,
    tools: Mapping[str, Path],
    folder: Path,
    processes: int = 1,
    minutes: float | None = None,
    on_done: Callable[[int], None] = lambda _done: None,
) -> tuple[list[ImageOutcome], dict[str, str]]:
    """Return what became of images 0 to ``count``, and the versions of the tools; fewer where the minutes are over."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    kept = _Kept(folder / "images.jsonl")
    kept.load()
    found: dict[int, ImageOutcome] = {}
    with ExitStack() as stack:
        free = [stack.enter_context(_started(tools)) for _ in range(processes)]
        versions = free[0].versions

        def one(number: int) -> ImageOutcome | None:
            is_over, redactors = time.monotonic() > end, free.pop()
            try:
                return _image(redactors, seed, number, kept, engine=engine_version(), is_over=is_over)
            finally:
                free.append(redactors)

        threads = stack.enter_context(ThreadPoolExecutor(processes))
        for future in as_completed([threads.submit(one, number) for number in range(count)]):
            outcome = future.result()
            if outcome is not None:
                found[outcome.number] = outcome
                on_done(len(found))
    return [found[number] for number in sorted(found)], versions
