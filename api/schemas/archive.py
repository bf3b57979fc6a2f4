"""``case.json`` of what is taken away: the case as strangers read it, with the file of each image."""

from collections.abc import Sequence

from pydantic import Field

from api.schemas.public_cases import PublicCaseOut, PublicImageItem, PublicSeriesOut, PublicStudyOut, public_case
from cases.exports.contents import NamedImage
from cases.model import CaseDetail
from cases.publication import LICENCE_URL


class ArchivedImage(PublicImageItem):
    """An image and its file; the UID is that of the case."""

    file: str = Field(examples=["images/1 CT day 0/02 Axial portal venous/0001.dcm"])
    sop_instance_uid: str
    size_bytes: int
    sha256: str


class ArchivedSeries(PublicSeriesOut):
    """A series, its images in order."""

    images: list[ArchivedImage]  # type: ignore[assignment]


class ArchivedStudy(PublicStudyOut):
    """A study of the case: one modality."""

    series: list[ArchivedSeries]  # type: ignore[assignment]


class ArchivedCase(PublicCaseOut):
    """A case that leaves: nothing of the work on it, of when it came, and of whose it is."""

    licence_url: str
    licence_accepted: bool
    """Whether the licence counts already."""
    studies: list[ArchivedStudy]  # type: ignore[assignment]


def case_json(detail: CaseDetail, images: Sequence[NamedImage]) -> bytes:
    """Return a case for programs.

    Parameters
    ----------
    detail
        The case.
    images
        All its images, named.
    """
    names = {named.image.id: named.name for named in images}
    fields = public_case(detail, None) | {
        "licence_url": LICENCE_URL,
        "licence_accepted": detail.milestones.licence_accepted_at is not None,
        "studies": [
            {
                **_fields(study, PublicStudyOut),
                "series": [
                    {
                        **_fields(series, PublicSeriesOut),
                        "images": [
                            {**_fields(image, ArchivedImage), "file": names[image.id]} for image in series.images
                        ],
                    }
                    for series in study.series
                ],
            }
            for study in detail.studies
        ],
    }
    return ArchivedCase.model_validate(fields).model_dump_json(indent=2).encode() + b"\n"


def _fields(value: object, shape: type[PublicStudyOut | PublicSeriesOut | PublicImageItem]) -> dict[str, object]:
    return {name: getattr(value, name) for name in shape.model_fields if hasattr(value, name)}
