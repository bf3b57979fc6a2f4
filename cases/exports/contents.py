"""What is in an export of a case: each file with its name, size and digest, before anything is read. Pure."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cases.exports.names import Siblings, safe_name
from cases.exports.texts import case_text, licence_text
from cases.model import CaseDetail, CaseImage, CaseSeries, CaseStudy

__all__ = ["CASE_JSON", "CHECKSUMS", "ExportFile", "NamedImage", "by_file_id", "by_words", "files_of"]

CASE_TEXT, CASE_JSON, LICENCE_TEXT = "case.txt", "case.json", "licence.txt"
CHECKSUMS = "checksums.sha256"
IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image with the name that its file gets."""

    name: str
    """Relative, with ``/`` between folders."""
    image: CaseImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """One file: a text, which is here, or an image, which lies in the blob store."""

    name: str
    size_bytes: int
    sha256: str
    crc32: int | None
    """None for an image whose CRC-32 was not computed yet."""
    content: bytes = b""
    image: CaseImage | None = None


def by_words(detail: CaseDetail) -> tuple[NamedImage, ...]:
    """Name images so that a person finds them: ``images/1 CT day 0/02 Axial portal venous/0001.dcm``."""
    studies, named = Siblings(), list[NamedImage]()
    for place, study in enumerate(detail.studies, 1):
        of_study = studies.take(_study_name(place, study))
        folders = Siblings()
        for number, series in enumerate(study.series, 1):
            folder = folders.take(_series_name(number, series))
            named += [
                NamedImage(name=f"{IMAGES}/{of_study}/{folder}/{position:04d}.dcm", image=image)
                for position, image in enumerate(series.images, 1)
            ]
    return tuple(named)


def by_file_id(detail: CaseDetail) -> tuple[NamedImage, ...]:
    """Name images as a DICOM file set has to (PS3.10 §8.2): ``IMAGES/ST000001/SE000002/IM000001``."""
    return tuple(
        NamedImage(name=f"IMAGES/ST{place:06d}/SE{number:06d}/IM{position:06d}", image=image)
        for place, study in enumerate(detail.studies, 1)
        for number, series in enumerate(study.series, 1)
        for position, image in enumerate(series.images, 1)
    )


def files_of(detail: CaseDetail, images: Sequence[NamedImage], case_json: bytes) -> tuple[ExportFile, ...]:
    """Return everything that is taken away of a case, the checksums of all of it last.

    Parameters
    ----------
    detail
        The case.
    images
        All its images, named.
    case_json
        The case for programs.
    """
    files = [
        _text(CASE_TEXT, case_text(detail).encode()),
        _text(CASE_JSON, case_json),
        _text(LICENCE_TEXT, licence_text(detail).encode()),
        *(
            ExportFile(
                name=named.name,
                size_bytes=named.image.size_bytes,
                sha256=named.image.sha256,
                crc32=named.image.crc32,
                image=named.image,
            )
            for named in images
        ),
    ]
    return (*files, _text(CHECKSUMS, _checksums(files)))


def _text(name: str, content: bytes) -> ExportFile:
    return ExportFile(
        name=name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        crc32=zlib.crc32(content),
        content=content,
    )


def _checksums(files: Iterable[ExportFile]) -> bytes:
    """Return what ``sha256sum -c`` reads."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in files).encode()


def _study_name(place: int, study: CaseStudy) -> str:
    return safe_name([str(place), study.modality.value, f"day {study.day_offset}"], otherwise=str(place))


def _series_name(place: int, series: CaseSeries) -> str:
    """Return number, plane and phase; a plane that the description names is not said twice."""
    number = f"{place if series.number is None else series.number:02d}"
    is_said = series.perspective.lower() in series.specifics.lower().split()
    words = [number, "" if is_said else series.perspective, series.specifics]
    return safe_name(words, otherwise=number)
