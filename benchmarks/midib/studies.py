"""Generates studies of made-up patients on real files, and keeps the answer key."""

import datetime as dt
import random
import warnings
from pathlib import Path

from pydicom import Dataset

from benchmarks.midib.answers import answers_of
from benchmarks.midib.bases import Studies, loaded, moved, written
from benchmarks.midib.companions import MAKERS, SHARES
from benchmarks.midib.key import Case, Instance, leaves
from benchmarks.midib.people import CULTURES, Kind, Secret, made_up_person
from benchmarks.midib.planting import Planter

__all__ = ["generate"]

_ROOTS = ("1.2.840.113619.2.55.3", "1.3.12.2.1107.5.2.32", "1.2.392.200036.9116.2.6", "1.3.46.670589.33.1")
_PAIRED = 3
"""Every so many cases have a second study of the same patient."""


class _Uids:
    """Makes UIDs that look like a maker's, and gives the same one for the same original of one study."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._root, self._made = rng, rng.choice(_ROOTS), dict[str, str]()

    def new(self) -> str:
        return f"{self._root}.{self._rng.randrange(10**9, 10**10)}.{self._rng.randrange(10**9, 10**10)}"

    def of(self, original: str) -> str:
        if original not in self._made:
            self._made[original] = self.new()
        return self._made[original]


def generate(folder: Path, bases: Studies, seed: int) -> list[Case]:
    """Write the files of all cases below a folder, ``CASE/STUDY/NUMBER.dcm``, and return the key.

    The same bases and seed give the same files.
    """
    order = random.Random(seed)
    cultures = order.sample(list(CULTURES), len(CULTURES))
    cases = []
    for number, files in enumerate(bases):
        name = f"case{number:03d}"
        rng = random.Random(f"{seed} {name}")
        avoid = b"\0".join(file.read_bytes().lower() for file in files).decode("latin-1")
        person = made_up_person(rng, avoid, cultures[number % len(cultures)])
        case = Case(name=name, person=person, secrets=list(person.secrets))
        day = dt.date(2018, 1, 1) + dt.timedelta(days=rng.randrange(5 * 365))
        for _ in range(2 if number % _PAIRED == 0 else 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _study(folder, case, files, rng, day)
            day += dt.timedelta(days=rng.randrange(20, 700))
        case.secrets = list(dict.fromkeys(case.secrets))
        cases.append(case)
    return cases


def _study(folder: Path, case: Case, files: list[Path], rng: random.Random, day: dt.date) -> None:
    uids, study = _Uids(rng), len({one.study for one in case.instances})
    kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    study_uid = uids.new()
    data_sets = []
    for file in files:
        data = loaded(file)
        moved(data, uids.of, day)
        data.StudyInstanceUID = study_uid
        data.StudyDate = day.strftime("%Y%m%d")
        data_sets.append(data)
    images = [one for one in data_sets if "Rows" in one]
    if images and len({one.get("SeriesInstanceUID") for one in images}) >= 1 and images[0].get("SeriesInstanceUID"):
        same = [one for one in images if one.get("SeriesInstanceUID") == images[0].SeriesInstanceUID]
        data_sets.append(MAKERS[kind](same, uids.new))
    when = Secret(day.strftime(case.person.date_format), Kind.DATE)
    case.secrets.append(when)
    case.secrets.append(Secret(day.strftime("%Y%m%d"), Kind.DATE))
    for number, data in enumerate(data_sets):
        _set_charset(data, case.person.charset)
        planter = Planter(rng, case.person, case.secrets, day, uids.new)
        planter.plant(data)
        case.secrets += [Secret(one, Kind.UID) for one in _instance_uids(data)]
        content = _written(data)
        file = folder / case.name / f"study{study}" / f"{number:03d}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        again = loaded(file)
        answers = [*planter.answers, *answers_of(again, planter.planted, rng)]
        relative = file.relative_to(folder).as_posix()
        case.instances.append(
            Instance(file=relative, sop_instance_uid=str(data.SOPInstanceUID), study=study, answers=answers)
        )


def _set_charset(data: Dataset, charset: str | list[str]) -> None:
    data.SpecificCharacterSet = charset
    for element in data.iterall():
        if element.tag == 0x00080005:
            element.value = charset


def _written(data: Dataset) -> bytes:
    """Return the file's bytes, in UTF-8 where the culture's own character set cannot say everything in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return written(data)
        except (UnicodeEncodeError, UserWarning, LookupError):
            pass
    _set_charset(data, "ISO_IR 192")
    return written(data)


def _instance_uids(data: Dataset) -> set[str]:
    """Return the UIDs of instances and what they belong to; every one of them was made for this study."""
    found: set[str] = set()
    for _, element in leaves(data):
        if element.VR == "UI" and element.value:
            many = [element.value] if isinstance(element.value, str) else element.value
            found.update(str(one) for one in many if str(one).startswith(_ROOTS))
    return found
