"""Every real file at hand: delivered, dropped or held with a reason, never anything else; and still valid."""

import io
import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from deidentify.dataset import Part, Source, encode
from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError
from deidentify.parser import read_instance
from deidentify.results import Dropped, Hold
from tests.corpus import require_corpus
from tests.deidentify.support import clear_screen, profile, scope

EXCEPTIONS = Path(__file__).parents[2] / "docs" / "dciodvfy-exceptions.md"
LEAST_DELIVERED = 0.97


@cache
def outcomes() -> dict[Path, bytes | Dropped | Hold | DeidentificationError]:
    """Return what became of each file; anything but a named error is a failure of the test that asks."""
    engine = Deidentifier(profile())
    return {file.path: outcome_of(engine, file.path) for file in require_corpus()}


def outcome_of(engine: Deidentifier, path: Path) -> bytes | Dropped | Hold | DeidentificationError:
    with path.open("rb") as identified_file:
        try:
            received = engine.read(identified_file)
            verdict = engine.disposition(received)
            if verdict is not None:
                return verdict
            plan = engine.plan(received, scope())
            target = io.BytesIO()
            engine.write(plan, clear_screen(plan), identified_file, target)
            engine.verify(plan, target)
        except DeidentificationError as error:
            return error
        return target.getvalue()


def test_every_file_is_delivered_dropped_or_held_with_a_reason():
    counts: Counter[str] = Counter()
    for outcome in outcomes().values():
        if isinstance(outcome, bytes):
            counts["delivered"] += 1
        elif isinstance(outcome, DeidentificationError):
            assert str(outcome)
            counts[f"held: {outcome.reason}: {outcome}"] += 1
        else:
            assert outcome.detail
            counts[f"{type(outcome).__name__.lower()}: {outcome.reason}: {outcome.detail}"] += 1
    for reason, count in counts.most_common():
        print(f"{count:4} {reason}")
    assert sum(counts.values()) == len(require_corpus())
    readable = [
        outcome
        for outcome in outcomes().values()
        if isinstance(outcome, bytes)
        or (isinstance(outcome, DeidentificationError) and outcome.reason not in {"unreadable", "pixels-missing"})
    ]
    assert counts["delivered"] >= LEAST_DELIVERED * len(readable)
    assert counts["delivered"] >= 340


@pytest.mark.filterwarnings("ignore")
def test_delivered_files_are_read_by_pydicom_with_the_same_pixels():
    import pydicom

    for path, outcome in outcomes().items():
        if isinstance(outcome, bytes):
            written = pydicom.dcmread(io.BytesIO(outcome))
            before = pydicom.dcmread(path, force=True)
            pixels = before.get("PixelData") or b""
            # An odd length, which some originals have, is padded.
            assert (written.get("PixelData") or b"")[: len(pixels)] == pixels, path.name
            assert written.SOPClassUID == before.SOPClassUID


def error_classes(data: bytes, folder: Path, name: str) -> set[str]:
    """Return dciodvfy's errors without values and numbers."""
    path = folder / name
    path.write_bytes(data)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False, timeout=60)
    path.unlink()
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    errors = (re.sub(r"<[^>]*[.\d][^>]*>", "<>", line) for line in lines if line.startswith("Error"))
    return {re.sub(r"[\d.]+", "#", line) for line in errors}


def comparable(path: Path) -> bytes:
    """Return the original as dciodvfy can read it: it does not inflate."""
    original = path.read_bytes()
    received = read_instance(io.BytesIO(original))
    if received.deflated_at is None:
        return original
    parts: list[Part] = []
    encode(received.identified_elements, received.encoding, parts)
    source = Source(io.BytesIO(original), deflated_at=received.deflated_at)
    body = b"".join(part if isinstance(part, bytes) else b"".join(source.chunks(part)) for part in parts)
    syntax = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    return bytes(128) + b"DICM" + syntax + body


def named_exceptions() -> set[tuple[str, str]]:
    rows = [line.split("|") for line in EXCEPTIONS.read_text().splitlines() if line.startswith("| `")]
    return {(row[1].strip().strip("`"), row[2].strip().strip("`")) for row in rows}


@pytest.mark.slow
def test_dciodvfy_finds_no_new_class_of_error(tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    delivered = [(path, outcome) for path, outcome in outcomes().items() if isinstance(outcome, bytes)]

    def new_classes(job: tuple[int, tuple[Path, bytes]]) -> set[tuple[str, str]]:
        number, (path, written) = job
        before = error_classes(comparable(path), tmp_path, f"{number}a.dcm")
        after = error_classes(written, tmp_path, f"{number}b.dcm")
        return {(path.name, error) for error in after - before}

    with ThreadPoolExecutor(2) as pool:
        found = set().union(*pool.map(new_classes, enumerate(delivered)))
    assert found == named_exceptions()
