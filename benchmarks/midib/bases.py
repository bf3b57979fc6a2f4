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
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID_dictionary

from benchmarks.midib.key import leaves
from deidentify.pseudonyms import shifted_date, shifted_datetime
from deidentify.tables import iod_types

__all__ = ["Studies", "corpus_root", "corpus_studies", "loaded", "moved", "own_studies", "written"]

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
def corpus_studies() -> tuple[tuple[Path, ...], ...]:
    """Return the corpus's files that may be bases, by study, in the order of the manifest."""
    root = corpus_root()
    if root is None:
        return ()
    names = [name for group in _NO_BASES.values() for name in group]
    studies: dict[str, list[Path]] = defaultdict(list)
    for row in json.loads((root / "manifest.json").read_text())["files"]:
        file = root / row["file"]
        if row["study"] and row["sop"] and row["bytes"] <= LARGEST and not any(name in row["file"] for name in names):
            studies[row["study"]].append(file)
    usable = ([file for file in files if _is_usable(file)] for files in studies.values())
    return tuple(tuple(_unlike(files)[:_MOST_INSTANCES]) for files in usable if files)


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
    from benchmarks.inputs import ct_slice

    root = folder or Path(tempfile.mkdtemp(prefix="casebridge-midib-"))
    made = []
    (root / "ct").mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        data = ct_slice(1, number, 2, 64)
        file = root / "ct" / f"{number}.dcm"
        if not hasattr(data, "file_meta"):
            data.file_meta = FileMetaDataset()
        data.save_as(file, enforce_file_format=True)
        made.append(file)
    return [made, enhanced_series(root / "mr", 1), report_series(root / "sr", 2)]


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
    """Return so many studies of the corpus, kinds of objects in turn, so that rare ones are met."""
    by_kind: dict[str, list[tuple[Path, ...]]] = defaultdict(list)
    for study in corpus_studies():
        by_kind[str(loaded(study[0]).SOPClassUID)].append(study)
    for studies in by_kind.values():
        rng.shuffle(studies)
    picked: Studies = []
    while len(picked) < count and by_kind:
        for kind in list(by_kind):
            picked.append(list(by_kind[kind].pop()))
            if not by_kind[kind]:
                del by_kind[kind]
    return picked[:count]
