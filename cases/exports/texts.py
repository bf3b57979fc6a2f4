"""The texts of a case as a person reads them without a program for them."""

from collections.abc import Iterator

from cases.model import CaseDetail, CaseSeries, CaseStatus, CaseStudy
from cases.publication import LICENCE, LICENCE_NAME, LICENCE_URL

__all__ = ["case_text", "licence_text"]

_SEXES = {"F": "female", "M": "male", "O": "other"}
_STATES = {
    CaseStatus.DRAFT: "draft, not published",
    CaseStatus.WAITING: "draft, not published",
    CaseStatus.PENDING_REVIEW: "in review, not published",
    CaseStatus.PUBLISHED: "published",
    CaseStatus.REMOVED: "removed",
}
_NOTHING = "(nothing was written)"


def case_text(detail: CaseDetail) -> str:
    """Return all that was written of a case, in the order in which it is read."""
    return "\n".join(_lines(detail)) + "\n"


def _lines(detail: CaseDetail) -> Iterator[str]:
    summary = detail.summary
    title = _one_line(summary.title) or "Case without a title"
    yield from (title, "=" * len(title), "")
    yield f"Age: {summary.age_band or 'not known'}"
    yield f"Sex: {_SEXES.get(summary.sex, summary.sex) or 'not known'}"
    yield f"Systems: {', '.join(detail.systems) or 'none'}"
    yield f"Tags: {', '.join(map(_one_line, detail.tags)) or 'none'}"
    if detail.level is not None:
        yield f"Level: {detail.level}"
    state = _STATES[summary.status]
    yield f"State: {f'{state}, {summary.visibility}' if summary.status is CaseStatus.PUBLISHED else state}"
    yield f"Case: {summary.id}, version {summary.version}"
    yield from _section("Presentation", detail.presentation)
    for place, study in enumerate(detail.studies, 1):
        yield from _study(place, study)
    yield from _section("Discussion", detail.discussion)
    yield from _section("Differential diagnosis", detail.differential)
    yield from _section("Certainty of the diagnosis", detail.certainty or "")
    if detail.certainty_evidence:
        yield from ("", f"It rests on: {_plain(detail.certainty_evidence)}")
    yield from _section("Licence", licence_text(detail))
    yield from _section("Images", _WHAT_THE_IMAGES_ARE)


_WHAT_THE_IMAGES_ARE = """\
The DICOM files are those of the case: de-identified, with identifiers of their own and with dates that were moved
unless the profile keeps them. They are for teaching, not for diagnosis. checksums.sha256 tells whether a file is as it
was filed: sha256sum -c checksums.sha256"""


def _study(place: int, study: CaseStudy) -> Iterator[str]:
    heading = f"Study {place}: {study.modality.value}, day {study.day_offset}"
    yield from _section(heading, study.findings)
    if study.description:
        yield from ("", f"Description: {_one_line(study.description)}")
    if study.caption:
        yield from ("", f"Caption: {_one_line(study.caption)}")
    if study.series:
        yield ""
    for number, series in enumerate(study.series, 1):
        yield f"Series {_series(number, series)}"


def _series(place: int, series: CaseSeries) -> str:
    words = [series.perspective, series.specifics, series.body_part, series.laterality]
    said = ", ".join(_one_line(word) for word in words if word)
    number = place if series.number is None else series.number
    return f"{number}: {f'{said}; ' if said else ''}{len(series.images)} image(s)"


def _section(heading: str, text: str) -> tuple[str, ...]:
    return ("", heading, "-" * len(heading), _plain(text) or _NOTHING)


def licence_text(detail: CaseDetail) -> str:
    """Return under which licence a case may be used, by name and address; the licence itself stands there."""
    if detail.milestones.licence_accepted_at is None:
        return (
            "The owner of this case has not accepted a licence: nothing is granted to others. Once accepted, it is\n"
            f"{LICENCE}: {LICENCE_NAME}\n{LICENCE_URL}\n"
        )
    return f"{LICENCE}: {LICENCE_NAME}\n{LICENCE_URL}\n"


def _plain(text: str) -> str:
    """Return a text with the line ends of one kind and nothing around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
