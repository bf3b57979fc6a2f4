"""The data sets that people are planted in: files of the corpus by study, or objects made here where it is absent."""

import datetime as dt
import io
import json
import os
import random
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID_dictionary

from benchmarks.midib.key import leaves
from deidentify.pseudonyms import shifted_date, shifted_datetime
from deidentify.tables import iod_types

__all__ = ["Studies", "chosen", "corpus_root", "loaded", "moved", "own_studies", "written"]

Studies = list[list[Path]]
LARGEST = 600_000
_MOST_INSTANCES = 4
_LEAST_ATTRIBUTES = 12

# Named, so that nobody has to guess why a file is no base.
_NO_BASES = {
    "not an instance": ("DICOMDIR", ".dir"),
    "made to be malformed: nothing can be said of what has to stay": (
        *("bad", "truncated", "missing", "invalid", "nested_priv", "priv_SQ", "no_meta", "no_ts", "unexpected"),
        *("UN_sequence", "bomb", "empty_charset", "zipMR", "fragment", "too_short", "extra_garbage", "wrong"),
    ),
}
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def corpus_root() -> Path | None:
    """Return the folder of real files; None where it is not."""
    root = Path(os.environ.get("CASEBRIDGE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
    return root if (root / "manifest.json").is_file() else None


@cache
def _corpus() -> tuple[tuple[str, tuple[Path, ...]], ...]:
    """Return the kind of each study of the corpus and its files, as the manifest has them."""
    root = corpus_root()
    if root is None:
        return ()
    names = [name for group in _NO_BASES.values() for name in group]
    studies: dict[str, list[Path]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for row in json.loads((root / "manifest.json").read_text())["files"]:
        if row["study"] and row["sop"] and row["bytes"] <= LARGEST and not any(name in row["file"] for name in names):
            studies[row["study"]].append(root / row["file"])
            kinds.setdefault(row["study"], row["sop_class_uid"])
    return tuple((kinds[study], tuple(files)) for study, files in studies.items())


def _unlike(files: list[Path]) -> list[Path]:
    """Return each SOP Instance once, one of each kind first."""
    seen: set[str] = set()
    kinds: set[str] = set()
    first, rest = [], []
    for file in files:
        data = loaded(file)
        if str(data.SOPInstanceUID) in seen:
            continue
        seen.add(str(data.SOPInstanceUID))
        (rest if str(data.SOPClassUID) in kinds else first).append(file)
        kinds.add(str(data.SOPClassUID))
    return [*first, *rest]


def _usable(files: tuple[Path, ...]) -> list[Path]:
    return _unlike([file for file in files if _is_usable(file)])[:_MOST_INSTANCES]


def _is_usable(file: Path) -> bool:
    """Tell whether pydicom reads and writes a file, so that something can be planted."""
    try:
        data = loaded(file)
        written(data)
    except Exception:  # noqa: BLE001 - whatever pydicom stumbles over
        return False
    types = iod_types(str(data.SOPClassUID))
    if len(data) < _LEAST_ATTRIBUTES or types is None:
        # Private and unknown classes: nothing says what has to stay.
        return False
    return types.type_of((), 0x00280010) != "1" or any(keyword in data for keyword in _PIXELS)


def loaded(file: Path) -> Dataset:
    """Return a base, every element decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dcmread(file)
        data.decode()
        for _ in data.iterall():
            pass
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"):
        if not data.get(keyword):
            raise ValueError(f"no {keyword}")
    return data


def written(data: Dataset) -> bytes:
    """Return the bytes of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def own_studies(folder: Path | None = None) -> Studies:
    """Return studies made here, for machines without the corpus: two CT slices, an enhanced MR, a report."""
    from benchmarks.headers import enhanced_series, report_series
    from benchmarks.inputs import ct_series

    root = folder or Path(tempfile.mkdtemp(prefix="casebridge-midib-"))
    return [ct_series(root / "ct", 2, size=64), report_series(root / "sr", 2), enhanced_series(root / "mr", 1)]


def moved(data: Dataset, uid_of: Callable[[str], str], study_date: dt.date) -> int:
    """Give a base UIDs of its own and bring its dates to the day of the study; return by how many days."""
    origin = next(
        (
            date
            for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate")
            if (date := shifted_date(str(data.get(keyword) or ""), 0)) is not None and "-" not in date
        ),
        None,
    )
    days = (study_date - dt.datetime.strptime(origin, "%Y%m%d").date()).days if origin else 0  # noqa: DTZ007
    for _, element in leaves(data):
        if element.VR == "UI" and element.value:
            many = [element.value] if isinstance(element.value, str) else list(element.value)
            made = [one if _is_registered(one) else uid_of(str(one)) for one in many]
            element.value = made[0] if len(made) == 1 else made
        elif element.VR in {"DA", "DT"} and element.value and element.VM == 1:
            move = shifted_date if element.VR == "DA" else shifted_datetime
            element.value = move(str(element.value), -days) or element.value
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return days


def _is_registered(uid: str) -> bool:
    # Classes that are newer than pydicom's dictionary are the Standard's all the same.
    return not uid or uid in UID_dictionary or uid.startswith("1.2.840.10008.")


def chosen(rng: random.Random, count: int) -> Studies:
    """Return so many studies of the corpus, kinds of objects in turn, so that rare ones are met; none without it."""
    by_kind: dict[str, list[tuple[Path, ...]]] = defaultdict(list)
    for kind, files in _corpus():
        by_kind[kind].append(files)
    for studies in by_kind.values():
        rng.shuffle(studies)
    kinds = list(by_kind)
    rng.shuffle(kinds)
    picked: Studies = []
    while len(picked) < count and any(by_kind.values()):
        for kind in kinds:
            if by_kind[kind] and len(picked) < count and (usable := _usable(by_kind[kind].pop())):
                picked.append(usable)
    return picked
