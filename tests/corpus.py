"""Where the corpus of real DICOM files lies, for the tests that need it."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("CASEBRIDGE_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFile:
    """One real file and what the manifest says of it."""

    path: Path
    facts: dict[str, str]


@cache
def corpus_files() -> tuple[CorpusFile, ...]:
    """Return every file of the manifest that is there."""
    if not (ROOT / "manifest.json").is_file():
        return ()
    rows = json.loads((ROOT / "manifest.json").read_text())["files"]
    return tuple(CorpusFile(path=ROOT / row["file"], facts=row) for row in rows if (ROOT / row["file"]).is_file())


def require_corpus() -> tuple[CorpusFile, ...]:
    """Return the corpus or skip the test with a reason."""
    files = corpus_files()
    if not files:
        pytest.skip("the corpus of real DICOM files is not here (set CASEBRIDGE_CORPUS)")
    return files
