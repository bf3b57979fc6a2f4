"""Links to unlisted cases. A token is random, shown once and kept as its SHA-256 only."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cases.errors import CaseNotFoundError, InvalidTransitionError, NotAllowedError, TypedPlace
from cases.model import CaseDetail, CaseImage, CaseStatus, Visibility
from cases.shares import ShareLink
from cases.store import views
from cases.store.clock import now as clock_now
from cases.store.collection_rows import ShareLinkRow
from cases.store.collections import end_links
from cases.store.identifier_hashes import HashesOfIdentifiers
from cases.store.rows import CaseImageRow, CaseRow
from cases.store.shells import lock_case
from cases.text_screen import TextScreen, check_texts
from cases.users import User

TOKEN_BYTES = 32


class Shares:
    """Links, for their owners and for those who follow them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def make(
        self, owner: User, case_id: str, *, label: str, lasts: timedelta, screen: TextScreen
    ) -> tuple[ShareLink, str]:
        """Make a link to an unlisted case, and return it with its token: the only time that this can be seen.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        NotAllowedError
            When it is not the owner's.
        InvalidTransitionError
            When it is not published, or public.
        IdentifyingTextError
            When the label could identify somebody.
        """
        case = lock_case(self._session, case_id)
        if case.owner_id != owner.id:
            raise NotAllowedError("only its owner makes links to a case")
        if case.status != CaseStatus.PUBLISHED or case.visibility != Visibility.UNLISTED:
            raise InvalidTransitionError("links are for unlisted cases: publish the case as unlisted first")
        known = HashesOfIdentifiers(self._session).known(case)
        check_texts(screen, [(TypedPlace(field="label"), label)], known)
        token, now = secrets.token_urlsafe(TOKEN_BYTES), clock_now()
        row = ShareLinkRow(case_id=case_id, label=label, sha256=_digest(token), created_by=owner.name, uses=0)
        row.created_at, row.expires_at = now, now + lasts
        self._session.add(row)
        self._session.flush()
        return _value(row), token

    def list(self, case_id: str) -> tuple[ShareLink, ...]:
        """Return all links that a case had, the newest first."""
        query = select(ShareLinkRow).where(ShareLinkRow.case_id == case_id)
        rows = self._session.scalars(query.order_by(ShareLinkRow.created_at.desc(), ShareLinkRow.id.desc()))
        return tuple(_value(row) for row in rows)

    def revoke(self, case_id: str, link_id: str) -> None:
        """End a link at once; one that has ended stays as it is.

        Raises
        ------
        CaseNotFoundError
            When the case has no such link.
        """
        row = self._session.get(ShareLinkRow, link_id)
        if row is None or row.case_id != case_id:
            raise CaseNotFoundError("there is no such link")
        row.revoked_at = row.revoked_at or clock_now()
        self._session.flush()

    def revoke_all(self, case_id: str) -> int:
        """End all links of a case at once; return how many counted still.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        """
        lock_case(self._session, case_id)
        return end_links(self._session, case_id)

    def open(self, token: str, now: datetime | None = None) -> ShareLink:
        """Return the link that a token stands for; reads only.

        Raises
        ------
        CaseNotFoundError
            When there is none, or it has expired or was revoked, or its case is not published: one for all of them.
        """
        found = self._session.execute(
            select(ShareLinkRow)
            .join(CaseRow)
            .where(
                ShareLinkRow.sha256 == _digest(token),
                ShareLinkRow.revoked_at.is_(None),
                ShareLinkRow.expires_at > (now or clock_now()),
                # said again although leave_public ends the links: a state that somebody forgot must not show a case
                CaseRow.status == CaseStatus.PUBLISHED,
            )
        ).scalar_one_or_none()
        if found is None:
            raise CaseNotFoundError("there is no such link")
        return _value(found)

    def case(self, link: ShareLink) -> CaseDetail:
        """Return the case of an open link, as anybody may see it."""
        return views.public_detail(self._session, self._session.get_one(CaseRow, link.case_id))

    def image(self, link: ShareLink, image_id: str) -> CaseImage:
        """Return an image of the case of an open link.

        Raises
        ------
        CaseNotFoundError
            When there is no such image in this case.
        """
        row = self._session.get(CaseImageRow, image_id)
        if row is None or row.case_id != link.case_id:
            raise CaseNotFoundError("there is no such image")
        return views.image_value(row)

    def note_use(self, link_id: str, *, is_opened: bool) -> None:
        """Keep that a link was used just now; ``is_opened`` counts it."""
        uses = ShareLinkRow.uses + int(is_opened)
        self._session.execute(
            update(ShareLinkRow).where(ShareLinkRow.id == link_id).values(last_used_at=clock_now(), uses=uses)
        )


def _digest(token: str) -> str:
    # A token has 256 random bits: a fast hash keeps it as safe as a slow one would.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _value(row: ShareLinkRow) -> ShareLink:
    return ShareLink(
        id=row.id,
        case_id=row.case_id,
        label=row.label,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        uses=row.uses,
    )
