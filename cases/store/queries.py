"""What is asked of cases when they are shown; ``views`` makes values of the answers."""

from typing import Any

from sqlalchemy import BindParameter, bindparam, func, inspect, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from cases.holds import HoldState
from cases.intake import InstanceOutcome
from cases.store.account_rows import UserRow
from cases.store.consent_rows import ConsentDocumentRow
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    HoldRow,
    ReceivedInstanceRow,
    ReceivedStudyRow,
)

# Most calls read cases, and to put a statement together costs as much as to run it: these are made once.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_ID: BindParameter[Any] = bindparam("id")
OWNERS = select(UserRow.id, UserRow.name).where(UserRow.id.in_(_IDS))
STUDIES = (
    select(
        CaseStudyRow.case_id,
        CaseStudyRow.modality,
        select(func.count()).where(CaseSeriesRow.case_study_id == CaseStudyRow.id).scalar_subquery(),
    )
    .where(CaseStudyRow.case_id.in_(_IDS))
    .order_by(CaseStudyRow.position)
)
IMAGES = (
    select(CaseImageRow.case_id, func.count(), func.sum(CaseImageRow.frames))
    .where(CaseImageRow.case_id.in_(_IDS))
    .group_by(CaseImageRow.case_id)
)
_NOT_FILED = (InstanceOutcome.RECEIVED, InstanceOutcome.HELD, InstanceOutcome.DROPPED)
OUTCOMES = (
    select(ReceivedInstanceRow.case_id, ReceivedInstanceRow.outcome, func.count())
    .where(ReceivedInstanceRow.case_id.in_(_IDS), ReceivedInstanceRow.outcome.in_(_NOT_FILED))
    .group_by(ReceivedInstanceRow.case_id, ReceivedInstanceRow.outcome)
)
CLASSES = (
    select(ReceivedInstanceRow.case_id, ReceivedInstanceRow.sop_class_uid)
    .where(ReceivedInstanceRow.case_id.in_(_IDS))
    .distinct()
)
STUDIES_OF = select(CaseStudyRow).where(CaseStudyRow.case_id == _ID).order_by(CaseStudyRow.position, CaseStudyRow.id)
SERIES_OF = (
    select(CaseSeriesRow)
    .join(CaseStudyRow, CaseStudyRow.id == CaseSeriesRow.case_study_id)
    .where(CaseStudyRow.case_id == _ID)
)
# Columns, not objects: a case has thousands of images.
IMAGES_OF = select(*inspect(CaseImageRow).columns).where(CaseImageRow.case_id == _ID)
HOLDS_OF = (
    select(HoldRow.reason, func.count())
    .where(HoldRow.case_id == _ID, HoldRow.state == HoldState.OPEN)
    .group_by(HoldRow.reason)
    .order_by(HoldRow.reason)
)
RECEIPTS_OF = (
    select(ReceivedStudyRow.receipt_code)
    .where(
        or_(
            ReceivedStudyRow.key == bindparam("received_study"),
            ReceivedStudyRow.key.in_(
                select(ReceivedInstanceRow.received_study).where(ReceivedInstanceRow.case_id == _ID)
            ),
        )
    )
    .order_by(ReceivedStudyRow.first_arrival_at, ReceivedStudyRow.key)
)
DOCUMENT_OF = select(ConsentDocumentRow.kept_at, ConsentDocumentRow.media_type, ConsentDocumentRow.size_bytes).where(
    ConsentDocumentRow.case_id == _ID
)
WORKED_ON = {InstanceOutcome.FILED: "filed", InstanceOutcome.HELD: "held", InstanceOutcome.DROPPED: "dropped"}
PROGRESS_OF = (
    select(
        ReceivedInstanceRow.series_key,
        ReceivedInstanceRow.outcome,
        func.count(),
        func.min(ReceivedInstanceRow.arrival_id),
    )
    .where(
        ReceivedInstanceRow.case_id == _ID,
        ReceivedInstanceRow.outcome.in_([InstanceOutcome.RECEIVED, *WORKED_ON]),
    )
    .group_by(ReceivedInstanceRow.series_key, ReceivedInstanceRow.outcome)
)
LISTED: tuple[InstrumentedAttribute[Any], ...] = (
    CaseRow.id,
    CaseRow.owner_id,
    CaseRow.status,
    CaseRow.visibility,
    CaseRow.title,
    CaseRow.age_band,
    CaseRow.sex,
    CaseRow.sender,
    CaseRow.arrived_at,
    CaseRow.created_at,
    CaseRow.updated_at,
    CaseRow.version,
    CaseRow.previous_case_id,
    CaseRow.submitted_at,
)
"""What a list needs of a case: long texts stay where they are."""
