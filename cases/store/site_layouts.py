"""Rules for all images of a device and format: learned from what was decided on a held image, switched on and off."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidTransitionError, NotAllowedError
from cases.reviews import NOBODY_DECIDED, TEACHERS, ReviewAction, ShownLayout, boxes_of, boxes_values, decided
from cases.store.clock import now as clock_now
from cases.store.holds import Holds
from cases.store.review_rows import SiteLayoutRow, reviews_of
from cases.users import User
from deidentify.review import NO_REVIEW, PixelReview, SiteLayout


class SiteLayouts:
    """The rules of the site; none is ever deleted, so that it can be said what an image was made under."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self) -> Sequence[ShownLayout]:
        """Return all rules, the oldest first."""
        rows = self._session.scalars(select(SiteLayoutRow).order_by(SiteLayoutRow.created_at, SiteLayoutRow.id))
        return [_shown(row) for row in rows]

    def active(self) -> tuple[SiteLayout, ...]:
        """Return what child processes need of the rules that are on."""
        rows = self._session.scalars(
            select(SiteLayoutRow).where(SiteLayoutRow.is_active).order_by(SiteLayoutRow.layout_key)
        )
        return tuple(SiteLayout(layout_key=row.layout_key, boxes=boxes_of(row.boxes)) for row in rows)

    def learn(self, viewer: User, hold_id: str, name: str) -> ShownLayout:
        """Make a rule of the boxes that become black in a held image; one that is there gets these too, and is on.

        What may stay in one image is never made a rule: a name may stand there tomorrow.

        Raises
        ------
        CaseNotFoundError
            When there is no such hold.
        NotAllowedError
            When the viewer may not make rules.
        InvalidTransitionError
            When no box was decided on it, or its header names no device.
        """
        if viewer.role not in TEACHERS:
            raise NotAllowedError("only reviewers and administrators make rules for a device")
        hold = Holds(self._session).get(viewer, hold_id)
        boxes = reviews_of(self._session, [hold.arrival_id]).get(hold.arrival_id, NOBODY_DECIDED).review.redact
        if not hold.layout_key:
            raise InvalidTransitionError("its header names no device: nothing tells which images are laid out alike")
        if not boxes:
            raise InvalidTransitionError("no box was decided on it: confirm or draw boxes first")
        row = self._session.scalar(
            select(SiteLayoutRow).where(SiteLayoutRow.layout_key == hold.layout_key).with_for_update()
        )
        if row is None:
            row = SiteLayoutRow(layout_key=hold.layout_key, boxes=[], rows=hold.rows, columns=hold.columns)
            row.created_by, row.created_at = viewer.name, clock_now()
            self._session.add(row)
        before = PixelReview(redact=boxes_of(row.boxes)) if row.boxes else NO_REVIEW
        whole = decided(before, ReviewAction.DRAW, boxes, is_itself=False)
        row.name, row.boxes, row.is_active = name, boxes_values(whole.redact), True
        return self._changed(row, viewer)

    def switch(self, viewer: User, layout_id: str, *, is_active: bool) -> ShownLayout:
        """Let a rule count, or not; images that are made already stay as they are.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        NotAllowedError
            When the viewer may not make rules.
        """
        if viewer.role not in TEACHERS:
            raise NotAllowedError("only reviewers and administrators make rules for a device")
        row = self._session.get(SiteLayoutRow, layout_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise CaseNotFoundError("there is no such layout")
        row.is_active = is_active
        return self._changed(row, viewer)

    def _changed(self, row: SiteLayoutRow, viewer: User) -> ShownLayout:
        row.changed_by, row.changed_at = viewer.name, clock_now()
        self._session.flush()
        return _shown(row)


def _shown(row: SiteLayoutRow) -> ShownLayout:
    return ShownLayout(
        id=row.id,
        layout_key=row.layout_key,
        name=row.name,
        boxes=boxes_of(row.boxes),
        rows=row.rows,
        columns=row.columns,
        is_active=row.is_active,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )
