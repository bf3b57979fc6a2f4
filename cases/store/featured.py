"""Featured cases and the case of the month, as editors pick them."""

from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidTransitionError
from cases.featured import FeaturedCase, check_month
from cases.model import CaseStatus, CaseSummary, Page, Visibility
from cases.states import is_public
from cases.store import views
from cases.store.clock import now as clock_now
from cases.store.collection_rows import FeaturedCaseRow
from cases.store.paging import checked_limit, decode_cursor, encode_cursor
from cases.store.rows import CaseRow
from cases.store.shells import lock_case


class Featured:
    """Public cases that editors point out."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self, *, cursor: str | None = None, limit: int = 50) -> Page[FeaturedCase]:
        """Return the featured cases, the latest first."""
        size = checked_limit(limit)
        public = (CaseRow.status == CaseStatus.PUBLISHED) & (CaseRow.visibility == Visibility.PUBLIC)
        query = select(FeaturedCaseRow, CaseRow).join(CaseRow).where(public)
        at, row_id = FeaturedCaseRow.featured_at, FeaturedCaseRow.case_id
        if cursor is not None:
            last_at, last_id = decode_cursor(cursor)
            query = query.where(or_(at < last_at, and_(at == last_at, row_id < last_id)))
        found = self._session.execute(query.order_by(at.desc(), row_id.desc()).limit(size + 1)).all()
        shown = found[:size]
        cases = views.summaries(self._session, [case for _, case in shown])
        items = (_value(row, case) for (row, _), case in zip(shown, cases, strict=True))
        last = shown[-1][0] if shown else None
        return Page(
            items=tuple(items),
            next_cursor=encode_cursor(last.featured_at, last.case_id) if last and len(found) > size else None,
        )

    def feature(self, actor: str, case_id: str) -> FeaturedCase:
        """Feature a public case; one that is featured stays as it is.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        InvalidTransitionError
            When it is not public.
        """
        row = self._row(actor, self._public(case_id))
        self._session.flush()
        return self._shown(row)

    def pick(self, actor: str, case_id: str, month: str, now: datetime | None = None) -> FeaturedCase:
        """Make a public case the case of a month; it is featured thereby.

        Parameters
        ----------
        month : str
            YYYY-MM, in UTC.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        InvalidTransitionError
            When it is not public, was first published in another month than the one before, or the month has a case.
        """
        case = self._public(case_id)
        check_month(month, case.first_public_at, now or clock_now())
        try:
            with self._session.begin_nested():
                row = self._row(actor, case)
                row.month = month
        except IntegrityError:
            raise InvalidTransitionError(f"{month} has its case: clear the month first, then pick again") from None
        return self._shown(row)

    def drop(self, case_id: str) -> None:
        """Feature a case no more; it is the case of no month then.

        Raises
        ------
        CaseNotFoundError
            When it is not featured.
        """
        gone = delete(FeaturedCaseRow).where(FeaturedCaseRow.case_id == case_id).returning(FeaturedCaseRow.case_id)
        if self._session.scalar(gone) is None:
            raise CaseNotFoundError("this case is not featured")

    def clear_month(self, month: str) -> str:
        """Leave a month without its case, which stays featured; return the case's id.

        Raises
        ------
        CaseNotFoundError
            When the month has none.
        """
        cleared = update(FeaturedCaseRow).where(FeaturedCaseRow.month == month).values(month=None)
        case_id: str | None = self._session.scalar(cleared.returning(FeaturedCaseRow.case_id))
        if case_id is None:
            raise CaseNotFoundError("this month has no case")
        return case_id

    def _public(self, case_id: str) -> CaseRow:
        """Lock a case: it leaves the public before this, or finds itself featured when it does."""
        case = lock_case(self._session, case_id)
        if not is_public(case.status, case.visibility):
            raise InvalidTransitionError("only a public case can be featured: it has to be published first")
        return case

    def _row(self, actor: str, case: CaseRow) -> FeaturedCaseRow:
        row = self._session.get(FeaturedCaseRow, case.id)
        if row is None:
            row = FeaturedCaseRow(case_id=case.id, featured_by=actor, featured_at=clock_now())
            self._session.add(row)
        return row

    def _shown(self, row: FeaturedCaseRow) -> FeaturedCase:
        [case] = views.summaries(self._session, [self._session.get_one(CaseRow, row.case_id)])
        return _value(row, case)


def _value(row: FeaturedCaseRow, case: CaseSummary) -> FeaturedCase:
    return FeaturedCase(case=case, featured_at=row.featured_at, month=row.month)
