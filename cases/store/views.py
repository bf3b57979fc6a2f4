"""Rows of cases to the values that people see."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from cases import build
from cases.consents import ConsentDocument, DocumentType
from cases.errands import ErrandKind
from cases.intake import InstanceOutcome
from cases.model import (
    OPEN_STATUSES,
    CaseConsent,
    CaseDetail,
    CaseImage,
    CaseLevel,
    CaseModality,
    CaseSeries,
    CaseStatus,
    CaseStudy,
    CaseSummary,
    CaseSystem,
    Certainty,
    ConsentKind,
    Counts,
    Milestones,
    SeriesDisplay,
    SeriesProgress,
)
from cases.store import queries
from cases.store.errands import Errands
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
)
from deidentify.results import AgeBand, DelayReason
from deidentify.review import MarkedBox

Listed = CaseRow | Row[*tuple[Any, ...]]


def summaries(
    session: Session, rows: Sequence[Listed], owners: Mapping[str, str] | None = None
) -> tuple[CaseSummary, ...]:
    """Return the cases as a list shows them, with a handful of queries for all of them.

    Parameters
    ----------
    rows
        Rows of cases, or of at least ``queries.LISTED``.
    owners
        Names of their owners by id, where they are known.
    """
    ids = [row.id for row in rows]
    if not ids:
        return ()
    owners = _owners(session, rows) if owners is None else owners
    studies = _studies(session, ids)
    counts = _counts(session, ids)
    bare = _arriving_modalities(session, [case_id for case_id in ids if case_id not in studies])
    return tuple(
        _summary(
            row,
            owner=owners.get(row.owner_id) if row.owner_id else None,
            modalities=tuple(dict(studies[row.id])) if row.id in studies else bare.get(row.id, ()),
            studies=len(studies.get(row.id, ())),
            series=sum(series for _, series in studies.get(row.id, ())),
            counts=counts[row.id],
        )
        for row in rows
    )


def _summary(row: Listed, **found: Any) -> CaseSummary:
    return CaseSummary(
        id=row.id,
        status=row.status,
        visibility=row.visibility,
        owner_id=row.owner_id,
        title=row.title,
        age_band=AgeBand(row.age_band),
        sex=row.sex,
        sender=row.sender,
        arrived_at=row.arrived_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        previous_case_id=row.previous_case_id,
        submitted_at=row.submitted_at,
        **found,
    )


def public_detail(session: Session, row: CaseRow) -> CaseDetail:
    """Return a case with all that anybody may be shown of it; of what is for few nothing is read."""
    return _shown(session, row)[0]


def detail(session: Session, row: CaseRow) -> CaseDetail:
    """Return a case with all that is in it."""
    shown, images = _shown(session, row)
    progress, outcomes = _progress(session, row.id)
    held = session.execute(queries.HOLDS_OF, {"id": row.id})
    receipts = session.scalars(queries.RECEIPTS_OF, {"id": row.id, "received_study": row.received_study})
    faces_shown = _faces(image.report for image in images)
    counts = shown.summary.counts
    summary = replace(shown.summary, counts=_counts_of(counts.images, counts.frames, outcomes))
    if not shown.studies:
        summary = replace(summary, modalities=_arriving_modalities(session, [row.id]).get(row.id, ()))
    return replace(
        shown,
        summary=summary,
        held_by_reason={reason: count for reason, count in held},  # noqa: C416 - rows are no tuples
        hold_reason=DelayReason(row.hold_reason) if row.hold_reason else None,
        withheld_words=row.withheld_words,
        related_case_ids=_related(session, row),
        receipts=tuple(receipts),
        knows_identifiers=bool(images) and all(image.identifiers_kept for image in images),
        profile=row.profile,
        profile_revision=row.profile_revision,
        rerun=next(iter(Errands(session).list(ErrandKind.RERUN, case_id=row.id, is_whole=True, limit=1)), None),
        series_progress=progress,
        faces=faces_shown,
        has_faces_acknowledged=sum(faces_shown.values()) <= row.faces_acknowledged,
        consent=CaseConsent(
            kind=ConsentKind(row.consent_kind) if row.consent_kind else None,
            reference=row.consent_reference,
            is_rare=row.is_rare,
            is_small_community=row.is_small_community,
            document=_document(session, row.id),
        ),
        milestones=Milestones(
            licence_accepted_at=row.licence_accepted_at,
            submitted_at=row.submitted_at,
            first_published_at=row.first_published_at,
            approved_at=row.approved_at,
        ),
        suggested_case_ids=_of_one_patient(session, row),
    )


def _shown(session: Session, row: CaseRow) -> tuple[CaseDetail, Sequence[Row[*tuple[Any, ...]]]]:
    studies = session.scalars(queries.STUDIES_OF, {"id": row.id}).all()
    rows = session.execute(queries.IMAGES_OF, {"id": row.id}).all()
    images: defaultdict[str, list[CaseImage]] = defaultdict(list)
    for image in rows:
        images[image.series_id].append(image_value(image))
    series: defaultdict[str, list[CaseSeries]] = defaultdict(list)
    for found in session.scalars(queries.SERIES_OF, {"id": row.id}):
        series[found.case_study_id].append(_series_value(found, images[found.id]))
    summary = _summary(
        row,
        owner=_owners(session, [row]).get(row.owner_id) if row.owner_id else None,
        modalities=tuple(dict.fromkeys(study.modality for study in studies)),
        studies=len(studies),
        series=sum(len(of_study) for of_study in series.values()),
        counts=_counts_of(len(rows), sum(image.frames for image in rows), {}),
    )
    offsets = build.day_offsets([study.study_day for study in studies])
    shown = CaseDetail(
        summary=summary,
        presentation=row.presentation,
        discussion=row.discussion,
        studies=tuple(
            _study_value(study, offset, series[study.id]) for study, offset in zip(studies, offsets, strict=True)
        ),
        held_by_reason={},
        tags=tuple(row.tags),
        systems=tuple(CaseSystem(system) for system in row.systems),
        level=CaseLevel(row.level) if row.level else None,
        certainty=Certainty(row.certainty) if row.certainty else None,
        certainty_evidence=row.certainty_evidence,
        differential=row.differential,
        is_quiz=row.is_quiz,
        key_image_id=row.key_image_id if any(image.id == row.key_image_id for image in rows) else "",
    )
    return shown, rows


def _document(session: Session, case_id: str) -> ConsentDocument | None:
    row = session.execute(queries.DOCUMENT_OF, {"id": case_id}).one_or_none()
    if row is None:
        return None
    return ConsentDocument(kept_at=row.kept_at, media_type=DocumentType(row.media_type), size_bytes=row.size_bytes)


def faces(session: Session, case_id: str) -> dict[str, int]:
    """Return how a face could be seen in the images of a case, and in how many of them."""
    return _faces(session.scalars(select(CaseImageRow.report).where(CaseImageRow.case_id == case_id)))


def _faces(reports: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = Counter(report.get("face", "") for report in reports)
    return {face: count for face, count in sorted(counts.items()) if face}


def _progress(session: Session, case_id: str) -> tuple[tuple[SeriesProgress, ...], Mapping[InstanceOutcome, int]]:
    """Count the instances of each received series, in the order of arrival; those whose header was not read are one.

    Beside it stands how many instances of the case have each outcome.
    """
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"filed": 0, "held": 0, "dropped": 0, "received": 0})
    first: dict[str, str] = {}
    outcomes: Counter[InstanceOutcome] = Counter()
    for key, outcome, count, arrival_id in session.execute(queries.PROGRESS_OF, {"id": case_id}).all():
        outcomes[outcome] += count
        counts[key]["received"] += count
        if outcome in queries.WORKED_ON:
            counts[key][queries.WORKED_ON[outcome]] += count
        first[key] = min(first.get(key, arrival_id), arrival_id)
    ordered = sorted(counts, key=lambda key: first[key])
    return tuple(SeriesProgress(number=number, **counts[key]) for number, key in enumerate(ordered, 1)), outcomes


def _of_one_patient(session: Session, row: CaseRow) -> tuple[str, ...]:
    """Return the owner's other open drafts of the same patient; keys of other generations do not compare."""
    if not row.patient_key or row.owner_id is None or row.status not in OPEN_STATUSES:
        return ()
    query = select(CaseRow.id).where(
        CaseRow.patient_key == row.patient_key,
        CaseRow.secret_generation == row.secret_generation,
        CaseRow.owner_id == row.owner_id,
        CaseRow.status.in_(OPEN_STATUSES),
        CaseRow.id != row.id,
    )
    return tuple(session.scalars(query.order_by(CaseRow.created_at, CaseRow.id)))


def _related(session: Session, row: CaseRow) -> tuple[str, ...]:
    """Return the cases of one selection over several studies that belong to the same owner."""
    if not row.manifest_group:
        return ()
    query = select(CaseRow.id).where(
        CaseRow.manifest_group == row.manifest_group,
        CaseRow.id != row.id,
        CaseRow.status != CaseStatus.REMOVED,
        CaseRow.owner_id.is_not_distinct_from(row.owner_id),
    )
    return tuple(session.scalars(query.order_by(CaseRow.created_at, CaseRow.id)))


def image_value(row: CaseImageRow | Row[*tuple[Any, ...]]) -> CaseImage:
    """Return the value of an image's row."""
    return CaseImage(
        id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        instance_number=row.instance_number,
        position=tuple(row.position) if row.position else None,
        orientation=tuple(row.orientation) if row.orientation else None,
        frames=row.frames,
        rows=row.rows,
        columns=row.columns,
        has_pixels=row.has_pixels,
        verdict=row.verdict,
        blob_key=row.blob_key,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        crc32=row.crc32,
        profile_revision=row.profile_revision,
        redacted=tuple(
            MarkedBox(frame=frame, x=x, y=y, width=width, height=height)
            for frame, x, y, width, height in row.report.get("redacted", ())
        ),
        is_selected=row.is_selected,
        is_key=row.is_key,
        key_position=row.key_position,
        key_frames=tuple(row.key_frames),
    )


def series_of(session: Session, row: CaseSeriesRow) -> CaseSeries:
    """Return the value of a series with its images."""
    images = session.scalars(select(CaseImageRow).where(CaseImageRow.series_id == row.id))
    return _series_value(row, [image_value(image) for image in images])


def _series_value(row: CaseSeriesRow, images: Collection[CaseImage]) -> CaseSeries:
    return CaseSeries(
        id=row.id,
        series_instance_uid=row.series_instance_uid,
        number=row.number,
        perspective=row.perspective,
        specifics=row.specifics,
        body_part=row.body_part,
        laterality=row.laterality,
        images=build.in_order(images),
        display=SeriesDisplay(
            window_center=row.window_center,
            window_width=row.window_width,
            crop=(row.crop[0], row.crop[1], row.crop[2], row.crop[3]) if row.crop else None,
            first_frame=row.first_frame,
            last_frame=row.last_frame,
            frame_step=row.frame_step,
            opening_frame=row.opening_frame,
            key_image_id=row.key_image_id if any(image.id == row.key_image_id for image in images) else "",
        ),
    )


def _study_value(row: CaseStudyRow, day_offset: int, series: Collection[CaseSeries]) -> CaseStudy:
    return CaseStudy(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        modality=row.modality,
        position=row.position,
        day_offset=day_offset,
        description=row.description,
        caption=row.caption,
        findings=row.findings,
        series=tuple(sorted(series, key=lambda one: (one.number is None, one.number or 0, one.series_instance_uid))),
    )


def _owners(session: Session, rows: Sequence[Listed]) -> dict[str, str]:
    ids = {row.owner_id for row in rows if row.owner_id}
    found = session.execute(queries.OWNERS, {"ids": sorted(ids)}) if ids else ()
    return {user_id: name for user_id, name in found}  # noqa: C416 - rows are no tuples


def _studies(session: Session, ids: Sequence[str]) -> dict[str, list[tuple[CaseModality, int]]]:
    """Return the modality of each study of the cases, in their order, with how many series it has."""
    studies: defaultdict[str, list[tuple[CaseModality, int]]] = defaultdict(list)
    for case_id, modality, series in session.execute(queries.STUDIES, {"ids": ids}):
        studies[case_id].append((modality, series))
    return dict(studies)


def _counts(session: Session, ids: Sequence[str]) -> Mapping[str, Counts]:
    images = {case_id: (count, int(frames)) for case_id, count, frames in session.execute(queries.IMAGES, {"ids": ids})}
    outcomes: defaultdict[str | None, dict[InstanceOutcome, int]] = defaultdict(dict)
    for case_id, outcome, count in session.execute(queries.OUTCOMES, {"ids": ids}):
        outcomes[case_id][outcome] = count
    return {case_id: _counts_of(*images.get(case_id, (0, 0)), outcomes[case_id]) for case_id in ids}


def _counts_of(images: int, frames: int, outcomes: Mapping[InstanceOutcome, int]) -> Counts:
    return Counts(
        images=images,
        frames=frames,
        pending=outcomes.get(InstanceOutcome.RECEIVED, 0),
        held=outcomes.get(InstanceOutcome.HELD, 0),
        dropped=outcomes.get(InstanceOutcome.DROPPED, 0),
    )


def _arriving_modalities(session: Session, ids: Sequence[str]) -> dict[str, tuple[CaseModality, ...]]:
    """Return what the SOP Classes of the instances say for cases that have no image yet."""
    if not ids:
        return {}
    classes: defaultdict[str | None, set[str]] = defaultdict(set)
    for case_id, uid in session.execute(queries.CLASSES, {"ids": ids}):
        classes[case_id].add(uid)
    return {case_id: build.modalities_of_sop_classes(classes[case_id]) for case_id in ids if case_id in classes}
