"""``casebridge deidentify`` over every real file at hand, each a case of its own."""

import json
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.__main__ import main
from deidentify.errors import DeidentificationError
from deidentify.parser import read_instance
from tests.corpus import require_corpus
from tests.deidentify.test_corpus import comparable, error_classes, named_exceptions
from tests.tools import require_tool

LEAST_DELIVERED = 0.97
REASONS = {
    "the instance has no SOP Class UID (0008,0016)": "no instance: nobody can say what it is",
    "the data set is empty": "no instance",
    "the instance has no Study Instance UID (0020,000D)": "Type 1 in every IOD; a study of its own would be invented",
    "an item is longer than its sequence": "a DICOMDIR whose lengths are wrong",
    "the file ends inside the pixel data": "cut off",
    "instances under this Study Instance UID name different patients; decide which belong to the case": (
        "two files of unlike patients share a Study UID; in one case they would be one patient"
    ),
}
"""Every reason for which a file of the corpus is held that dcmdump reads, and why a reviewer would agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    files: list[tuple[Path, Path, dict[str, Any]]]
    """Original, where its result is when it was written, and its entry in the report."""
    report: dict[str, Any]

    def of(self, outcome: str) -> list[tuple[Path, Path, dict[str, Any]]]:
        return [row for row in self.files if row[2]["outcome"] == outcome]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    originals = [file.path for file in require_corpus()]
    for number, path in enumerate(originals):
        place = folder / "in" / f"file {number:04}" / "IM0001.dcm"
        place.parent.mkdir(parents=True)
        shutil.copy(path, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASEBRIDGE_DATA_DIR", str(folder / "data"))
        words = ["deidentify", str(folder / "in"), str(folder / "out"), "--no-pixels", "--case-per", "folder"]
        result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    report = json.loads((folder / "out-report.json").read_text())
    rows = [
        (original, folder / "out" / entry["place"], entry)
        for original, entry in zip(originals, report["files"], strict=True)
    ]
    return Corpus(files=rows, report=report)


def is_instance(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(read_instance(file).text(0x00080016))
    except DeidentificationError:
        return path.name != "bad.dcm"  # a preamble and nothing behind it


def test_what_dcmdump_reads_and_policy_keeps_is_delivered(corpus: Corpus) -> None:
    dcmdump = require_tool("dcmdump")

    def is_read(path: Path) -> bool:
        done = subprocess.run([dcmdump, "-q", path], capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    with ThreadPoolExecutor(2) as pool:
        read = dict(
            zip((row[0] for row in corpus.files), pool.map(is_read, [row[0] for row in corpus.files]), strict=True)
        )
    wanted = [row for row in corpus.files if read[row[0]] and row[2]["outcome"] != "dropped" and is_instance(row[0])]
    written = [row for row in wanted if row[2]["outcome"] == "written"]
    missed = Counter(row[2].get("detail", "") for row in wanted if row[2]["outcome"] != "written")
    print(f"{len(written)} of {len(wanted)} instances ({len(written) / len(wanted):.1%}); missed: {dict(missed)}")
    assert len(written) >= LEAST_DELIVERED * len(wanted)
    assert len(written) >= 365
    # What dcmdump reads and we hold, each for a reason that stands above.
    held = {row[2]["detail"] for row in corpus.of("held") + corpus.of("skipped") if read[row[0]]}
    assert held <= REASONS.keys()


def test_what_is_written_is_there_and_nothing_else(corpus: Corpus) -> None:
    root = corpus.files[0][1].parents[1]
    places = {row[1] for row in corpus.of("written")}
    assert {path for path in root.rglob("*") if path.is_file()} == places
    assert corpus.report["cases"] == len({row[2]["case"] for row in corpus.files} - {None})


@pytest.mark.slow
def test_dciodvfy_finds_no_new_class_of_error(corpus: Corpus, tmp_path: Path) -> None:
    require_tool("dciodvfy")

    def new_classes(job: tuple[int, tuple[Path, Path, dict[str, Any]]]) -> set[tuple[str, str]]:
        number, (original, written, _) = job
        before = error_classes(comparable(original), tmp_path, f"{number}a.dcm")
        after = error_classes(written.read_bytes(), tmp_path, f"{number}b.dcm")
        return {(original.name, error) for error in after - before}

    with ThreadPoolExecutor(2) as pool:
        found = set().union(*pool.map(new_classes, enumerate(corpus.of("written"))))
    assert found <= named_exceptions()
