"""Which profile a route has: what was set for it, what it had before, and the settings where nothing was set."""

from bridge.profile_book import revision_of
from bridge.profile_texts import ProfileTexts
from cases.errors import InvalidChangeError, InvalidTransitionError, StoreUnavailableError, VersionConflictError
from cases.profiles import ANY, Origin, RouteProfile, ShownRoute, spelled
from cases.store import Audit, Profiles
from config import values
from config.profile_files import has_profile


class RouteDesk:
    """Routes of one session; without an audit log nothing can be changed."""

    def __init__(self, texts: ProfileTexts, audit: Audit | None = None) -> None:
        self._texts, self._audit = texts, audit

    # -- looking ------------------------------------------------------------------------------------------------------

    def shown(self) -> tuple[ShownRoute, ...]:
        """Return what was set, and the routes of the settings that nothing goes before."""
        profiles, settings = self._texts.profiles, self._texts.settings
        added = [self._told(one) for one in profiles.routes()] if profiles is not None else []
        taken = {(one.called_ae, one.calling_ae) for one in added}
        of_settings = [(one.called_ae, one.calling_ae, one.profile or settings.profile) for one in settings.routes]
        if (ANY, ANY) not in {(called, calling) for called, calling, _ in of_settings}:
            of_settings.append((ANY, ANY, settings.profile))
        return (
            *added,
            *(
                ShownRoute(
                    origin=Origin.FILE,
                    called_ae=called,
                    calling_ae=calling,
                    profile=name,
                    means=self._texts.revision_now(name),
                )
                for called, calling, name in of_settings
                if not {(called, calling), (called, ANY)} & taken
            ),
        )

    def history(self, called_ae: str, calling_ae: str) -> tuple[ShownRoute, ...]:
        """Return what was set for a route, the latest first; without a profile: the settings decided again.

        Raises
        ------
        InvalidChangeError
            When an AE title is none.
        """
        called, calling = _route(called_ae, calling_ae)
        profiles = self._texts.profiles
        return tuple(map(self._told, profiles.route_history(called, calling))) if profiles is not None else ()

    def _told(self, one: RouteProfile) -> ShownRoute:
        return ShownRoute(
            origin=Origin.PUBLISHED,
            called_ae=one.called_ae,
            calling_ae=one.calling_ae,
            profile=spelled(one.name, one.revision),
            means=one.revision or (self._texts.revision_now(one.name) if one.name else ""),
            set_at=one.set_at,
            set_by=one.set_by,
        )

    # -- changing -----------------------------------------------------------------------------------------------------

    def set(
        self, actor: str, called_ae: str, calling_ae: str, *, name: str, revision: str, replaces: str | None
    ) -> ShownRoute:
        """Give a route a profile by name, or pinned to a revision, which may be shortened.

        A name that is only a file is published with it: other hosts may have another file of that name, or none.

        Raises
        ------
        InvalidChangeError
            When nobody has the profile, the revision is of another one, or an AE title is none.
        ProfileError
            When its file is wrong.
        VersionConflictError
            When the route has something else than the caller knows of.
        """
        called, calling = _route(called_ae, calling_ae)
        profiles, _ = self._changing()
        now = self._expected(profiles, called, calling, replaces)
        pinned = ""
        if revision:
            found = profiles.revision(revision)
            if found.name != name:
                raise InvalidChangeError(f"revision {found.revision} is of the profile {found.name}, not of this one")
            pinned = found.revision
        elif profiles.newest(name) is None:
            self._publish_file(actor, name)
        if now is not None and (now.name, now.revision) == (name, pinned):
            return self._told(now)
        return self._keep(actor, (called, calling), name, pinned)

    def roll_back(
        self, actor: str, called_ae: str, calling_ae: str, *, to_settings: bool, replaces: str | None
    ) -> ShownRoute:
        """Give a route what it had before, or leave it to the settings.

        Raises
        ------
        InvalidTransitionError
            When nothing was set for it.
        VersionConflictError
            When the route has something else than the caller knows of.
        """
        called, calling = _route(called_ae, calling_ae)
        profiles, _ = self._changing()
        now = self._expected(profiles, called, calling, replaces)
        if now is None or not now.name:
            raise InvalidTransitionError(f"nothing was set for {route_text(called, calling)}")
        history = () if to_settings else profiles.route_history(called, calling)[1:]
        before = next((one for one in history if (one.name, one.revision) != (now.name, now.revision)), None)
        name, revision = (before.name, before.revision) if before is not None else ("", "")
        return self._keep(actor, (called, calling), name, revision)

    def _changing(self) -> tuple[Profiles, Audit]:
        profiles, audit = self._texts.profiles, self._audit
        if profiles is None or audit is None:
            raise StoreUnavailableError("there is no database that a decision could be kept in")
        return profiles, audit

    def _expected(self, profiles: Profiles, called: str, calling: str, replaces: str | None) -> RouteProfile | None:
        """Return what is set for a route, if it is what the caller knows of."""
        now = next(iter(profiles.route_history(called, calling, limit=1)), None)
        has = spelled(now.name, now.revision) if now is not None else ""
        if replaces is not None and replaces != has:
            sentence = f"{route_text(called, calling)}: somebody else decided meanwhile; it has {has or 'nothing set'}"
            raise VersionConflictError(sentence)
        return now

    def _publish_file(self, actor: str, name: str) -> None:
        if not has_profile(name, self._texts.settings):
            raise InvalidChangeError("there is no profile of this name; publish it, or choose one of the list")
        profiles, audit = self._changing()
        one = revision_of(self._texts.own_file(name))
        if one.name != name:
            raise InvalidChangeError(f"the file of {name} holds the profile {one.name}; give the two one name")
        profiles.publish(one, actor=actor, note="with the route that uses it")
        audit.append(actor, "profile.publish", f"profile {name}", {"revision": one.revision, "before": one.revision})

    def _keep(self, actor: str, route: tuple[str, str], name: str, revision: str) -> ShownRoute:
        profiles, audit = self._changing()
        called, calling = route
        row = profiles.set_route(called, calling, name, revision, actor=actor)
        audit.append(actor, "profile.route", f"route {called} {calling}", {"profile": name, "revision": revision})
        return self._told(row)


def route_text(called_ae: str, calling_ae: str) -> str:
    """Return a route in words."""
    return f"to {called_ae}" + (f" from {calling_ae}" if calling_ae != ANY else "")


def _route(called_ae: str, calling_ae: str) -> tuple[str, str]:
    """Return the AE titles of a route without their padding."""
    for what, title, check in (
        ("the AE title that is sent to", called_ae, values.ae_title),
        ("the AE title that sends", calling_ae, values.ae_title_or_any),
    ):
        try:
            check(title)
        except ValueError as error:
            raise InvalidChangeError(f"{what} {error}") from None
    called, calling = called_ae.strip(" "), values.ae_title_or_any(calling_ae)
    if called == ANY:
        raise InvalidChangeError("the settings have the profile of all routes; name the AE title that is sent to")
    return called, calling
