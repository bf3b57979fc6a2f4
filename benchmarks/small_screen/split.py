"""Which real pictures the network learns from, and which it never sees before it is scored.

The corpus is split by where a file comes from, never by file: slices of one volume lie on one side.
"""

import json
from pathlib import Path

__all__ = ["HELD_OUT", "is_held_out", "write_corpus"]

HELD_OUT = (
    "QIICR+dcmqi/",
    "CTImage.dcm",
    "dicompyler+dicompyler-core/",
    "neurolabusc+dcm_qa_ts/",
    "suyashkumar+dicom/",
    "RSNA+anonymizer/",
    "CT_small.dcm",
    "RG1_J2KI",
)
"""Parts of names: two CT volumes and a CT slice, two MR volumes, single MR, PT and CR frames, a CT of 128 pixels."""


def is_held_out(file: str) -> bool:
    """Say whether a file of the corpus is kept for the score."""
    return any(part in file for part in HELD_OUT)


def write_corpus(root: Path, target: Path, *, held_out: bool) -> int:
    """Make a corpus of links to one side of another one; return how many files it has.

    The generator of burned-in text then draws on these files alone, when ``CASEBRIDGE_CORPUS`` names the folder.
    """
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["files"] = [row for row in manifest["files"] if is_held_out(row["file"]) == held_out]
    for row in manifest["files"]:
        link = target / row["file"]
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(root / row["file"])
    (target / "manifest.json").write_text(json.dumps(manifest))
    return len(manifest["files"])
