"""Where a de-identified instance goes in a case, and in which order things are shown. Pure.

A case study is not a DICOM study: it has one modality, so that a PET/CT makes two. Everything prefilled is a fact of
the instance or a label that de-identification left, never a guess.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import isfinite

from cases.model import CaseImage, CaseModality
from deidentify.results import AgeBand, DeidentifiedInstance, Description

_INTEGER_MAX = 2**31 - 1

FIRST_POSITION = 2
"""Position of the first study: 1 is the discussion."""

MODALITIES: Mapping[str, CaseModality] = {
    "AR": CaseModality.PHOTOGRAPH,
    "BMD": CaseModality.X_RAY,
    "CR": CaseModality.X_RAY,
    "CT": CaseModality.CT,
    "DG": CaseModality.PHOTOGRAPH,
    "DMS": CaseModality.PHOTOGRAPH,
    "DX": CaseModality.X_RAY,
    "ES": CaseModality.PHOTOGRAPH,
    "GM": CaseModality.PATHOLOGY,
    "IO": CaseModality.X_RAY,
    "IVUS": CaseModality.ULTRASOUND,
    "BDUS": CaseModality.ULTRASOUND,
    "MG": CaseModality.MAMMOGRAPHY,
    "MR": CaseModality.MRI,
    "NM": CaseModality.NUCLEAR_MEDICINE,
    "OP": CaseModality.PHOTOGRAPH,
    "PT": CaseModality.NUCLEAR_MEDICINE,
    "PX": CaseModality.X_RAY,
    "RF": CaseModality.FLUOROSCOPY,
    "RG": CaseModality.X_RAY,
    "SM": CaseModality.PATHOLOGY,
    "US": CaseModality.ULTRASOUND,
    "XA": CaseModality.DSA,
    "XC": CaseModality.PHOTOGRAPH,
}
"""Modality (0008,0060) → modality of the library. Whatever is no acquisition (SEG, SR …) is an annotated image."""

SOP_CLASS_MODALITIES: Mapping[str, CaseModality] = {
    "1.2.840.10008.5.1.4.1.1.1": CaseModality.X_RAY,
    "1.2.840.10008.5.1.4.1.1.1.1": CaseModality.X_RAY,
    "1.2.840.10008.5.1.4.1.1.1.2": CaseModality.MAMMOGRAPHY,
    "1.2.840.10008.5.1.4.1.1.1.3": CaseModality.X_RAY,
    "1.2.840.10008.5.1.4.1.1.2": CaseModality.CT,
    "1.2.840.10008.5.1.4.1.1.2.1": CaseModality.CT,
    "1.2.840.10008.5.1.4.1.1.2.2": CaseModality.CT,
    "1.2.840.10008.5.1.4.1.1.3.1": CaseModality.ULTRASOUND,
    "1.2.840.10008.5.1.4.1.1.4": CaseModality.MRI,
    "1.2.840.10008.5.1.4.1.1.4.1": CaseModality.MRI,
    "1.2.840.10008.5.1.4.1.1.4.3": CaseModality.MRI,
    "1.2.840.10008.5.1.4.1.1.4.4": CaseModality.MRI,
    "1.2.840.10008.5.1.4.1.1.6.1": CaseModality.ULTRASOUND,
    "1.2.840.10008.5.1.4.1.1.6.2": CaseModality.ULTRASOUND,
    "1.2.840.10008.5.1.4.1.1.12.1": CaseModality.DSA,
    "1.2.840.10008.5.1.4.1.1.12.1.1": CaseModality.DSA,
    "1.2.840.10008.5.1.4.1.1.12.2": CaseModality.FLUOROSCOPY,
    "1.2.840.10008.5.1.4.1.1.12.2.1": CaseModality.FLUOROSCOPY,
    "1.2.840.10008.5.1.4.1.1.13.1.3": CaseModality.MAMMOGRAPHY,
    "1.2.840.10008.5.1.4.1.1.20": CaseModality.NUCLEAR_MEDICINE,
    "1.2.840.10008.5.1.4.1.1.77.1.6": CaseModality.PATHOLOGY,
    "1.2.840.10008.5.1.4.1.1.128": CaseModality.NUCLEAR_MEDICINE,
    "1.2.840.10008.5.1.4.1.1.130": CaseModality.NUCLEAR_MEDICINE,
}
"""What a shell without images shows: the modalities that the SOP Classes of what arrived name."""

_SECTIONAL = frozenset({CaseModality.CT, CaseModality.MRI, CaseModality.NUCLEAR_MEDICINE})
_OBLIQUE_BELOW = 0.85
"""Cosine of the angle to the nearest plane's normal, below which a plane is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an instance goes, and what its study, series and case are prefilled with when they are new."""

    study_instance_uid: str
    modality: CaseModality
    study_day: str
    study_description: str
    series_instance_uid: str
    series_number: int | None
    perspective: str
    specifics: str
    body_part: str
    laterality: str
    age_band: AgeBand
    sex: str


def storable(described: Description) -> Description:
    """Return a description without what no column takes: numbers beyond all bounds, endless labels, no numbers at all.

    Files say "Instance Number 99999999999999999999" and "Image Position NaN"; one of them must not fail its study.
    """
    return replace(
        described,
        series_number=_number(described.series_number),
        instance_number=_number(described.instance_number),
        frames=min(described.frames, _INTEGER_MAX),
        study_day=described.study_day[:8] if described.study_day[:8].isdigit() else "",
        study_description=_label(described.study_description, 200),
        series_description=_label(described.series_description, 200),
        body_part=_label(described.body_part, 64),
        laterality=_label(described.laterality, 16),
        position=described.position if _is_finite(described.position) else None,
        orientation=described.orientation if _is_finite(described.orientation) else None,
    )


def _number(value: int | None) -> int | None:
    return value if value is not None and abs(value) <= _INTEGER_MAX else None


def _label(text: str, longest: int) -> str:
    return text.replace("\0", "")[:longest]


def _is_finite(values: Iterable[float] | None) -> bool:
    return values is not None and all(map(isfinite, values))


def place(instance: DeidentifiedInstance) -> Placement:
    """Return where an instance goes."""
    described = storable(instance.description)
    modality = case_modality(described.modality)
    return Placement(
        study_instance_uid=described.study_instance_uid,
        modality=modality,
        study_day=described.study_day,
        study_description=described.study_description,
        series_instance_uid=described.series_instance_uid,
        series_number=described.series_number,
        perspective=plane(described.orientation) if modality in _SECTIONAL else "",
        specifics=described.series_description,
        body_part=described.body_part,
        laterality=described.laterality,
        age_band=described.age_band,
        sex=described.sex,
    )


def case_modality(modality: str) -> CaseModality:
    """Return the library's modality for a Modality (0008,0060)."""
    return MODALITIES.get(modality.strip().upper(), CaseModality.ANNOTATED_IMAGE)


def modalities_of_sop_classes(uids: Iterable[str]) -> tuple[CaseModality, ...]:
    """Return the modalities that SOP Classes name, without those that name none."""
    found = {SOP_CLASS_MODALITIES[uid] for uid in uids if uid in SOP_CLASS_MODALITIES}
    return tuple(sorted(found))


def plane(orientation: Sequence[float] | None) -> str:
    """Return the plane that Image Orientation (Patient) (0020,0037) lies in, empty when absent or oblique."""
    normal = _normal(orientation)
    if normal is None:
        return ""
    weights = [abs(part) for part in normal]
    nearest = max(range(3), key=weights.__getitem__)
    return ("Sagittal", "Coronal", "Axial")[nearest] if weights[nearest] >= _OBLIQUE_BELOW else ""


def day_offsets(study_days: Sequence[str]) -> tuple[int, ...]:
    """Return for each shifted day (YYYYMMDD, or empty) the days since the earliest; 0 where there is none."""
    days = [_day(text) for text in study_days]
    first = min((day for day in days if day is not None), default=None)
    return tuple((day - first).days if day is not None and first is not None else 0 for day in days)


def in_order(images: Iterable[CaseImage]) -> tuple[CaseImage, ...]:
    """Return the images of a series as they are scrolled: by instance number, else along the stack, else by UID.

    Where instance numbers are missing or occur twice, the place along the normal of the stack decides.
    """
    todo = list(images)
    numbers = [image.instance_number for image in todo]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return tuple(sorted(todo, key=lambda image: image.instance_number or 0))
    return tuple(
        sorted(
            todo,
            key=lambda image: (
                _along(image),
                image.instance_number if image.instance_number is not None else 0,
                image.sop_instance_uid,
            ),
        )
    )


def _along(image: CaseImage) -> float:
    normal = _normal(image.orientation)
    if normal is None or image.position is None:
        return 0.0
    # A tenth of a micrometre: noise of the arithmetic must not decide between images of one place.
    return round(sum(part * place for part, place in zip(normal, image.position, strict=True)), 4)


def _normal(orientation: Sequence[float] | None) -> tuple[float, float, float] | None:
    if orientation is None:
        return None
    rx, ry, rz, cx, cy, cz = orientation
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    length = sum(part * part for part in normal) ** 0.5
    if length < 0.5:  # noqa: PLR2004 - unit vectors at right angles give 1; anything small is not an orientation
        return None
    return (normal[0] / length, normal[1] / length, normal[2] / length)


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
