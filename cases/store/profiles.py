"""Profiles: each revision is kept for ever, what a name and a route mean is decided by the latest row."""

from sqlalchemy import ColumnElement, exists, func, or_, select, text
from sqlalchemy.orm import Session

from cases.errors import ProfileNotKnownError
from cases.profiles import ANY, ProfileRevision, Publication, RouteProfile
from cases.store.clock import now as clock_now
from cases.store.profile_rows import ProfilePublicationRow, ProfileRevisionRow, RouteProfileRow
from cases.store.rows import CaseImageRow, CaseRow
from cases.store.upsert import insert_or_nothing

_LOCK = 0x50524F46  # "PROF": any constant of our own, for the advisory lock of PostgreSQL


class Profiles:
    """Revisions, publications and routes of profiles."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self) -> None:
        """Keep others from deciding until the transaction ends. On SQLite every writer is alone anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    def keep(self, one: ProfileRevision) -> None:
        """Keep the text of a revision; nothing where it is kept already."""
        values = {"revision": one.revision, "name": one.name, "text": one.text, "known_since": clock_now()}
        insert_or_nothing(self._session, ProfileRevisionRow, [values], ["revision"])

    def revision(self, revision: str) -> ProfileRevision:
        """Return a revision with its text, by the whole of it or how it begins.

        Raises
        ------
        ProfileNotKnownError
            When there is none, or several begin so.
        """
        query = select(ProfileRevisionRow).where(ProfileRevisionRow.revision.startswith(revision, autoescape=True))
        rows = self._session.scalars(query.limit(2)).all()
        if len(rows) != 1:
            why = "several revisions begin" if rows else "no revision begins"
            raise ProfileNotKnownError(f"{why} with {revision[:16]!r}")
        return ProfileRevision(name=rows[0].name, revision=rows[0].revision, text=rows[0].text)

    def publish(self, one: ProfileRevision, *, actor: str, note: str = "") -> Publication:
        """Let the name of a profile mean this revision from now on."""
        self.keep(one)
        row = ProfilePublicationRow(
            name=one.name, revision=one.revision, published_at=clock_now(), published_by=actor, note=note
        )
        self._session.add(row)
        self._session.flush()
        return _publication(row)

    def newest(self, name: str) -> ProfileRevision | None:
        """Return what a name means; None where it was never published."""
        found = self.publications(name, limit=1)
        return self.revision(found[0].revision) if found else None

    def publications(self, name: str, *, limit: int = 100) -> list[Publication]:
        """Return the publications of a name, the latest first."""
        query = (
            select(ProfilePublicationRow)
            .where(ProfilePublicationRow.name == name)
            .order_by(ProfilePublicationRow.id.desc())
            .limit(limit)
        )
        return [_publication(row) for row in self._session.scalars(query)]

    def published_names(self) -> list[str]:
        """Return every name that was published."""
        return list(self._session.scalars(select(ProfilePublicationRow.name).distinct().order_by("name")))

    def set_route(self, called_ae: str, calling_ae: str, name: str, revision: str, *, actor: str) -> RouteProfile:
        """Give a route a profile; without a name the settings decide again."""
        row = RouteProfileRow(
            called_ae=called_ae,
            calling_ae=calling_ae,
            name=name,
            revision=revision,
            set_at=clock_now(),
            set_by=actor,
        )
        self._session.add(row)
        self._session.flush()
        return _route(row)

    def route(self, calling_ae: str, called_ae: str) -> RouteProfile | None:
        """Return the profile that was set for an association, the most telling one; None where the settings decide."""
        for calling in (calling_ae, ANY):
            history = self.route_history(called_ae, calling, limit=1)
            if history and history[0].name:
                return history[0]
        return None

    def route_history(self, called_ae: str, calling_ae: str = ANY, *, limit: int = 100) -> list[RouteProfile]:
        """Return what a route had, the latest first."""
        query = (
            select(RouteProfileRow)
            .where(RouteProfileRow.called_ae == called_ae, RouteProfileRow.calling_ae == calling_ae)
            .order_by(RouteProfileRow.id.desc())
            .limit(limit)
        )
        return [_route(row) for row in self._session.scalars(query)]

    def routes(self) -> list[RouteProfile]:
        """Return what is set for each route now."""
        latest = select(func.max(RouteProfileRow.id)).group_by(RouteProfileRow.called_ae, RouteProfileRow.calling_ae)
        query = select(RouteProfileRow).where(RouteProfileRow.id.in_(latest), RouteProfileRow.name != "")
        return [_route(row) for row in self._session.scalars(query.order_by(RouteProfileRow.called_ae))]

    def cases_under(self, revision: str) -> int:
        """Return how many cases were made under a revision, or have an image that was."""
        query = select(func.count()).select_from(CaseRow).where(has_revision(revision))
        return int(self._session.scalar(query) or 0)


def has_revision(revision: str) -> ColumnElement[bool]:
    """Return the condition that a case has a revision, or an image of it that could not be made anew since."""
    return or_(
        CaseRow.profile_revision == revision,
        exists().where(CaseImageRow.case_id == CaseRow.id, CaseImageRow.profile_revision == revision),
    )


def _publication(row: ProfilePublicationRow) -> Publication:
    return Publication(
        name=row.name,
        revision=row.revision,
        published_at=row.published_at,
        published_by=row.published_by,
        note=row.note,
    )


def _route(row: RouteProfileRow) -> RouteProfile:
    return RouteProfile(
        called_ae=row.called_ae,
        calling_ae=row.calling_ae,
        name=row.name,
        revision=row.revision,
        set_at=row.set_at,
        set_by=row.set_by,
    )
