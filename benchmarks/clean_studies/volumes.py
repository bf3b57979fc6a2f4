"""Clean studies of hundreds of slices: each from the slices of one real volume of the corpus, or of one phantom.

Between neighbouring slices of a volume the slices of a study are mixtures; over the length of the study they are
turned, scaled and shifted slowly, and every slice has noise of its own, so that no two are alike.
"""

import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from benchmarks.burned_in.backgrounds import phantom, real_files
from benchmarks.burned_in.generate import part10
from benchmarks.burned_in.texts import header_of, person
from benchmarks.inputs import uid
from benchmarks.midib.bases import corpus_root
from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import Frame, iter_frames, read_format
from deidentify.pixels.source import locate

__all__ = ["Study", "Volume", "real_volumes", "slice_file", "study_of"]

Picture = NDArray[Any]

_MODALITIES = {"CT": CTImageStorage, "MR": MRImageStorage}
_LARGEST = 512
_PHANTOM_PICTURES = (4, 8)
_MOST_VALUE = 4095
_LEAST_RANGE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Neighbouring pictures without text, all of one size, (rows, columns) of 32 bit floats from 0."""

    name: str
    modality: str
    origin: str
    """Either "phantom" or "real"."""
    pictures: tuple[Picture, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a study is made from its volume: where its first slice lies, and how far its last one is moved from it."""

    angles: tuple[float, float]
    """Degrees."""
    scales: tuple[float, float]
    shifts: tuple[tuple[float, float], tuple[float, float]]
    """Down and across, as shares of the sides."""
    is_flipped: bool
    gain: float
    noise: float
    """Standard deviation, as a share of the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study to be: a volume and a way through it."""

    seed: int
    number: int
    volume: Volume
    way: _Way


@cache
def _groups() -> dict[str, tuple[Path, ...]]:
    """Return the files of each real volume: one series of one maker in one size."""
    root = corpus_root()
    if root is None:
        return {}
    facts = {str(root / row["file"]): row for row in json.loads((root / "manifest.json").read_text())["files"]}
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for modality in _MODALITIES:
        for file in real_files().get(modality, ()):
            row = facts[str(file)]
            groups[modality, row["series"], row["vendor"], row["rows"], row["cols"]].append(file)
    named: dict[str, tuple[Path, ...]] = {}
    for (modality, _series, maker, rows, columns), files in sorted(groups.items()):
        name = f"{modality}, {maker or 'maker unknown'}, {rows} × {columns}"  # noqa: RUF001 - the sign is meant
        same = sum(other.startswith(name) for other in named)
        named[f"{name} ({same + 1})" if same else name] = tuple(files)
    return named


@cache
def real_volumes() -> tuple[str, ...]:
    """Return the names of the real volumes, those of CT and MR in turns; none without the corpus."""
    by_modality = [[name for name in _groups() if name.startswith(modality)] for modality in _MODALITIES]
    longest = max(map(len, by_modality))
    return tuple(names[at] for at in range(longest) for names in by_modality if at < len(names))


@lru_cache(maxsize=4)
def _real(name: str) -> Volume:
    pictures = [picture for file in _groups()[name] for picture in _frames(file)]
    return Volume(name=name, modality=name[:2], origin="real", pictures=_alike(pictures))


def _frames(file: Path) -> list[Picture]:
    """Return the stored values of the frames; none where our decoder refuses the file, as it does old syntaxes."""
    with file.open("rb") as content:
        try:
            source = locate(content)
            return [_stored(frame) for frame in iter_frames(source, read_format(source))]
        except PixelDecodeError:
            return []


def _stored(frame: Frame) -> Picture:
    words = frame.words
    if words.dtype.kind == "u":
        words = (words >> frame.shift) & ((1 << frame.bits_stored) - 1)
    return words.astype(np.float32)


def _phantom(random: np.random.Generator, modality: str) -> Volume:
    pictures: list[Picture] = []
    count = int(random.integers(*_PHANTOM_PICTURES))
    while len(pictures) < count:
        made = phantom(random)
        if made.modality == modality:
            pictures.append(made.pixels.astype(np.float32))
    return Volume(name=f"{modality}, phantoms", modality=modality, origin="phantom", pictures=_alike(pictures))


def _alike(pictures: list[Picture]) -> tuple[Picture, ...]:
    """Return pictures in the size of the first one, at most 512 pixels a side, their values from 0."""
    rows, columns = pictures[0].shape
    share = min(1.0, _LARGEST / max(rows, columns))
    size = round(columns * share), round(rows * share)
    resized = [
        one if one.shape == size[::-1] else cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures
    ]
    # The same picture stored in fewer bits would be a slice of nothing between the others.
    widest = max(float(np.ptp(one)) for one in resized)
    kept = [one for one in resized if np.ptp(one) >= _LEAST_RANGE * widest]
    lowest = min(float(one.min()) for one in kept)
    return tuple(one - lowest for one in kept)


@lru_cache(maxsize=4)
def study_of(seed: int, number: int) -> Study:
    """Return a study: real volumes and phantoms in turns, CT and MR; only phantoms where there is no corpus."""
    random = np.random.default_rng((seed, number))
    real = real_volumes()
    if real and number % 2 == 0:
        volume = _real(real[number // 2 % len(real)])
    else:
        volume = _phantom(random, list(_MODALITIES)[number // 2 % len(_MODALITIES)])
    return Study(seed=seed, number=number, volume=volume, way=_way(random))


def _way(random: np.random.Generator) -> _Way:
    def from_to(middle: float, most: float, change: float) -> tuple[float, float]:
        begin = middle + float(random.uniform(-most, most))
        return begin, begin + float(random.uniform(-change, change))

    return _Way(
        angles=from_to(0, 12, 5),
        scales=from_to(1, 0.15, 0.1),
        shifts=(from_to(0, 0.06, 0.05), from_to(0, 0.06, 0.05)),
        is_flipped=bool(random.random() < 0.5),
        gain=float(random.uniform(0.7, 1.3)),
        noise=float(random.uniform(0.002, 0.02)),
    )


def slice_file(study: Study, number: int, of: int) -> io.BytesIO:
    """Return slice ``number`` of so many as a file whose header names somebody made up, one person a study."""
    pixels = _pixels(study, number, of)
    data = header_of(person(np.random.default_rng((study.seed, study.number))))
    _describe(data, study, number)
    data.Rows, data.Columns = pixels.shape
    stored = max(8, int(pixels.max()).bit_length())
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, stored, stored - 1
    data.add_new(0x7FE00010, "OW", pixels.tobytes())
    return part10(data)


def _describe(data: Dataset, study: Study, number: int) -> None:
    data.Modality = study.volume.modality
    data.SOPClassUID = _MODALITIES[study.volume.modality]
    data.SOPInstanceUID = uid(7, 3, study.number + 1, number + 1)
    data.SeriesInstanceUID, data.StudyInstanceUID = uid(7, 2, study.number + 1), uid(7, 1, study.number + 1)
    data.InstanceNumber = number + 1
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0


def _pixels(study: Study, number: int, of: int) -> NDArray[np.uint16]:
    pictures, way = study.volume.pictures, study.way
    along = number / max(1, of - 1)
    place = along * (len(pictures) - 1)
    lower = int(place)
    upper = min(lower + 1, len(pictures) - 1)
    mixed = pictures[lower] * (1 - (place - lower)) + pictures[upper] * (place - lower)
    rows, columns = mixed.shape
    angle, scale, down, across = (begin + (end - begin) * along for begin, end in (way.angles, way.scales, *way.shifts))
    move = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, scale)
    move[:, 2] += across * columns, down * rows
    turned = cv2.warpAffine(mixed, move, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if way.is_flipped:
        turned = turned[:, ::-1]
    highest = max(float(np.percentile(turned, 99.5)), 1.0)
    noise = np.random.default_rng((study.seed, study.number, number)).normal(0, way.noise * highest, turned.shape)
    # As a scanner's words: twelve bits for most, and no negative magnitude.
    made = np.abs((turned + noise) * way.gain * min(1.0, _MOST_VALUE / highest))
    return np.clip(np.rint(made), 0, 65535).astype(np.uint16)
