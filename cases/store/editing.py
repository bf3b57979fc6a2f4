"""An edit of a case, field by field: what is out of bounds or not of this case is refused."""

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.changes import (
    LABEL_MAX,
    PRESENTATION_MAX,
    REFERENCE_MAX,
    TAG_MAX,
    TAGS_MAX,
    TEXT_MAX,
    TITLE_MAX,
    CaseChanges,
    SeriesChange,
    StudyChange,
)
from cases.errors import InvalidChangeError
from cases.model import CaseSeries, SeriesDisplay
from cases.store import views
from cases.store.clock import now as clock_now
from cases.store.rows import CaseImageRow, CaseRow, CaseSeriesRow, CaseStudyRow

_FIRST_POSITION = 2
"""Of a study: position 1 is the discussion."""
_TEXTS = {
    "title": TITLE_MAX,
    "presentation": PRESENTATION_MAX,
    "discussion": TEXT_MAX,
    "differential": TEXT_MAX,
    "certainty_evidence": TEXT_MAX,
    "consent_reference": REFERENCE_MAX,
}
_REFERENCE = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9 ./_-]*|")
_FLAGS = ("is_quiz", "is_rare", "is_small_community")
_AGE = re.compile(
    r"(?:1 day|(?:[02-9]|1\d|2[0-7]) days|1 month|(?:[2-9]|1\d|2[0-3]) months|([1-8]?\d) years|90\+ years)?"
)
_ROUNDED_FROM, _ROUNDED_TO = 18, 5


def change_case(session: Session, case: CaseRow, changes: CaseChanges) -> None:
    """Change the fields of a locked case; the caller has its texts looked through.

    Raises
    ------
    InvalidChangeError
        When a value does not fit its field, or names what is not of this case.
    """
    _change_texts(case, changes)
    _change_terms(case, changes)
    _decide(session, case, changes)
    if changes.key_image_id is not None:
        case.key_image_id = _of_case(session, case.id, changes.key_image_id)
    for study in changes.studies:
        _change_study(session, case.id, study)
    for series in changes.series:
        _change_series(session, case.id, series)
    if changes.study_order is not None:
        _order(session, case.id, changes.study_order)


def _change_texts(case: CaseRow, changes: CaseChanges) -> None:
    for name, longest in _TEXTS.items():
        setattr(case, name, _checked(name, getattr(changes, name), getattr(case, name), longest))
    if not _REFERENCE.fullmatch(case.consent_reference):
        raise InvalidChangeError("consent_reference is the number of a form that is kept elsewhere, never a name")
    if changes.tags is not None:
        case.tags = _checked_tags(changes.tags)
    if changes.systems is not None:
        case.systems = [system.value for system in dict.fromkeys(changes.systems)]


def _decide(session: Session, case: CaseRow, changes: CaseChanges) -> None:
    """Keep what its owner says of the case as a whole."""
    for name in _FLAGS:
        if getattr(changes, name) is not None:
            setattr(case, name, getattr(changes, name))
    if changes.clears_hold:
        case.hold_reason = ""
    if changes.accepts_licence and case.licence_accepted_at is None:
        case.licence_accepted_at = clock_now()
    if changes.acknowledges_faces:
        case.faces_acknowledged = sum(views.faces(session, case.id).values())


def _change_terms(case: CaseRow, changes: CaseChanges) -> None:
    """Change what is one of few terms; an empty one is taken back."""
    if changes.level is not None or changes.clears_level:
        case.level = changes.level.value if changes.level else ""
    if changes.certainty is not None or changes.clears_certainty:
        case.certainty = changes.certainty.value if changes.certainty else ""
    if changes.consent_kind is not None or changes.clears_consent:
        case.consent_kind = changes.consent_kind.value if changes.consent_kind else ""
    if changes.sex is not None or changes.clears_sex:
        case.sex = changes.sex.value if changes.sex else ""
    if changes.age_band is not None:
        case.age_band = _checked_age(changes.age_band)


def _checked_age(band: str) -> str:
    """Return an age as coarse as a case may show it: adults by five years, nobody beyond 89."""
    found = _AGE.fullmatch(band)
    years = int(found[1]) if found and found[1] else 0
    if not found or (years >= _ROUNDED_FROM and years % _ROUNDED_TO):
        raise InvalidChangeError(
            "an age is given as days under four weeks, months under two years, years under 18, then rounded to five "
            'years, "90+ years" at the end: "45 years"'
        )
    return band


def _change_study(session: Session, case_id: str, change: StudyChange) -> None:
    row = session.get(CaseStudyRow, change.id)
    if row is None or row.case_id != case_id:
        raise InvalidChangeError("a study of the change is not a study of this case")
    row.findings = _checked("findings", change.findings, row.findings, TEXT_MAX)
    row.caption = _checked("caption", change.caption, row.caption, TEXT_MAX)


def _change_series(session: Session, case_id: str, change: SeriesChange) -> None:
    row = session.scalar(
        select(CaseSeriesRow)
        .join(CaseStudyRow, CaseStudyRow.id == CaseSeriesRow.case_study_id)
        .where(CaseSeriesRow.id == change.id, CaseStudyRow.case_id == case_id)
    )
    if row is None:
        raise InvalidChangeError("a series of the change is not a series of this case")
    row.perspective = _checked("perspective", change.perspective, row.perspective, LABEL_MAX)
    row.specifics = _checked("specifics", change.specifics, row.specifics, LABEL_MAX)
    row.is_labelled = row.is_labelled or change.perspective is not None or change.specifics is not None
    if change.display is not None:
        shown = change.display
        _check_display(shown, views.series_of(session, row))
        row.window_center, row.window_width = shown.window_center, shown.window_width
        row.crop = list(shown.crop) if shown.crop else None
        row.first_frame, row.last_frame, row.frame_step = shown.first_frame, shown.last_frame, shown.frame_step
        row.opening_frame, row.key_image_id = shown.opening_frame, shown.key_image_id


def _check_display(shown: SeriesDisplay, series: CaseSeries) -> None:
    first, last = shown.first_frame or 0, series.frames - 1 if shown.last_frame is None else shown.last_frame
    if not 0 <= first <= last < max(1, series.frames):
        raise InvalidChangeError(f"the stack has {series.frames} frames: give a range within it, counted from 0")
    if shown.opening_frame is not None and not first <= shown.opening_frame <= last:
        raise InvalidChangeError("the opening frame lies outside of the frames that are shown")
    if shown.frame_step < 1:
        raise InvalidChangeError("every frame, every second, every third: the step is 1 or more")
    if (shown.window_center is None) != (shown.window_width is None):
        raise InvalidChangeError("a window has a center and a width: give both or neither")
    if shown.crop is not None:
        left, top, width, height = shown.crop
        least_rows, least_columns = (
            min((getattr(image, size) for image in series.images), default=0) for size in ("rows", "columns")
        )
        if min(left, top) < 0 or min(width, height) < 1 or left + width > least_columns or top + height > least_rows:
            raise InvalidChangeError("what is cropped to has to lie inside every image of the series")
    if shown.key_image_id and all(image.id != shown.key_image_id for image in series.images):
        raise InvalidChangeError("the key image is not an image of this series")


def _of_case(session: Session, case_id: str, image_id: str) -> str:
    row = session.get(CaseImageRow, image_id) if image_id else None
    if image_id and (row is None or row.case_id != case_id):
        raise InvalidChangeError("the key image is not an image of this case")
    return image_id


def _order(session: Session, case_id: str, ids: Sequence[str]) -> None:
    rows = {row.id: row for row in session.scalars(select(CaseStudyRow).where(CaseStudyRow.case_id == case_id))}
    if sorted(ids) != sorted(rows):
        raise InvalidChangeError("give the id of each study of the case once, in the order that is wanted")
    for position, study_id in enumerate(ids, _FIRST_POSITION):
        rows[study_id].position = position


def _checked_tags(tags: Sequence[str]) -> list[str]:
    kept = list(dict.fromkeys(" ".join(tag.split()) for tag in tags))
    if len(kept) > TAGS_MAX or any(not 0 < len(tag) <= TAG_MAX for tag in kept):
        raise InvalidChangeError(f"at most {TAGS_MAX} tags of 1 to {TAG_MAX} characters are allowed")
    return kept


def _checked(name: str, new: str | None, old: str, longest: int) -> str:
    if new is None:
        return old
    if len(new) > longest:
        raise InvalidChangeError(f"{name} is {len(new)} characters long; at most {longest} are allowed")
    return new
