"""The history of cases: every transition, in the order in which they were made."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.model import CaseStatus, Visibility
from cases.publication import CaseEvent, PushBackReason
from cases.states import Action
from cases.store.clock import now as clock_now
from cases.store.event_rows import CaseEventRow
from cases.store.rows import CaseRow

SYSTEM = "system"
PRIVACY_OFFICER = "privacy officer"
"""Who acts where nobody with an account does."""


def note(  # noqa: PLR0917 - what the row has
    session: Session,
    case: CaseRow,
    actor: str,
    action: Action,
    source: CaseStatus | None,
    reason: PushBackReason | None = None,
    message: str = "",
) -> None:
    """Write down that a case was moved to where it is now."""
    session.add(
        CaseEventRow(
            case_id=case.id,
            at=clock_now(),
            actor=actor,
            action=action.value,
            source=source.value if source else "",
            target=case.status.value,
            visibility=case.visibility.value,
            reason=reason.value if reason else "",
            message=message,
            version=case.version,
        )
    )


def events(session: Session, case_id: str) -> tuple[CaseEvent, ...]:
    """Return the steps of a case, the first of them first."""
    query = select(CaseEventRow).where(CaseEventRow.case_id == case_id).order_by(CaseEventRow.id)
    return tuple(
        CaseEvent(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            source=CaseStatus(row.source) if row.source else None,
            target=CaseStatus(row.target),
            visibility=Visibility(row.visibility),
            reason=PushBackReason(row.reason) if row.reason else None,
            message=row.message,
        )
        for row in session.scalars(query)
    )
