"""What administrators ask about profiles and decide on them: the one place for command line and API alike."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bridge.profile_book import revision_of
from bridge.profile_routes import RouteDesk
from bridge.profile_texts import ProfileTexts, read, shown
from cases.errors import (
    InvalidChangeError,
    InvalidTransitionError,
    ProfileNotKnownError,
    StoreUnavailableError,
    VersionConflictError,
)
from cases.profiles import (
    CountedPublication,
    Meaning,
    NamedProfile,
    ProfileRevision,
    ProfileSource,
    ShownProfile,
    ShownRoute,
)
from cases.store import Audit, Database, Profiles
from config.profile_files import has_profile
from config.settings import Settings
from deidentify.ctp import translate_script
from deidentify.explain import loosened
from deidentify.profile import Profile
from deidentify.profile_facts import AttributeFacts, Question, answered
from deidentify.profile_schema import schema
from deidentify.recipe import translate_recipe
from deidentify.translation import Translation

MOST_NOTE = 200
NAMES_OF_CALLS = frozenset(("routes", "schema"))
"""GET /api/v1/profiles/{name} answers something else under these."""


class BridgeProfiles:
    """Shows and changes what profiles say, what their names mean, and which of them routes have.

    Parameters
    ----------
    settings
        They name the files.
    database
        Where publications are; None where there is no database yet: then the files count, and nothing can be changed.
    """

    def __init__(self, settings: Settings, database: Database | None) -> None:
        self._settings, self._database = settings, database

    # -- looking ------------------------------------------------------------------------------------------------------

    def listed(self) -> tuple[NamedProfile, ...]:
        """Return what each name means; without its publications."""
        with self._reading() as texts:
            return tuple(_named(texts, name) for name in texts.names())

    def named(self, name: str) -> NamedProfile:
        """Return what a name means, with its publications.

        Raises
        ------
        ProfileNotKnownError
            When it means nothing.
        """
        with self._reading() as texts:
            if name not in texts.names():
                texts.meaning(name)
            return _named(texts, name, has_publications=True)

    def publications(self, name: str | None = None) -> tuple[CountedPublication, ...]:
        """Return what was published under a name, or under all of them, name by name and the latest first."""
        with self._reading() as texts:
            if texts.profiles is None:
                return ()
            names = texts.profiles.published_names() if name is None else [name]
            return tuple(one for each in names for one in _publications(texts.profiles, each))

    def shown(self, source: ProfileSource) -> ShownProfile:
        """Return a text and what it says, or why it is refused; ``find`` of ``ProfileTexts`` says what it raises."""
        with self._reading() as texts:
            found = texts.find(source)
        return shown(found)

    def profile(self, source: ProfileSource) -> Profile:
        """Return a profile.

        Raises
        ------
        ProfileError
            With every fault of its text.
        """
        with self._reading() as texts:
            found = texts.find(source)
        return read(found)

    def explained(self, source: ProfileSource, question: Question) -> tuple[AttributeFacts, ...]:
        """Return what becomes of an attribute, or of all, and by which line.

        Raises
        ------
        InvalidChangeError
            When the question names what is not there.
        ProfileError
            With every fault of the text.
        """
        profile = self.profile(source)
        try:
            return answered(profile, question)
        except ValueError as error:
            raise InvalidChangeError(str(error)) from None

    @staticmethod
    def translated(text: str, *, name: str = "", allow_loosening: str = "") -> Translation:
        """Return the profile that an anonymizer script of CTP, or a recipe of the package ``deid``, becomes.

        Raises
        ------
        InvalidChangeError
            When a script is given what is for recipes.
        ProfileError
            When the text is neither, or becomes no profile.
        """
        if text.lstrip("\ufeff \t\r\n").upper().startswith(("FORMAT", "%", "#")):
            found = translate_recipe(text, name=name or "deid-recipe", allow_loosening=allow_loosening)
        elif allow_loosening:
            raise InvalidChangeError("a reason to loosen is for deid recipes; the rules of a script that keep say so")
        else:
            found = translate_script(text)
        Profile.from_yaml(found.profile_yaml)
        return found

    @staticmethod
    def schema() -> Mapping[str, Any]:
        """Return the JSON Schema of the language."""
        return schema()

    # -- deciding what a name means -----------------------------------------------------------------------------------

    def publish(self, actor: str, source: ProfileSource, *, note: str = "", replaces: str | None = None) -> Meaning:
        """Let a profile's name mean a text from the next case on; a text that it means already changes nothing.

        Parameters
        ----------
        actor
            Who does it, for history and audit log.
        source
            The text, or a revision that is to count again.
        note
            Why, for the history.
        replaces
            The revision that the name has to mean until now, empty for none; None where it does not matter.

        Raises
        ------
        ProfileError
            With every fault of the text.
        VersionConflictError
            When the name means another revision than the caller knows of.
        InvalidChangeError
            When it cannot have this name, or the note is too long.
        """
        if len(note) > MOST_NOTE:
            raise InvalidChangeError(f"the note has more than {MOST_NOTE} characters")
        with self._reading() as texts:
            found = texts.find(source)
        profile = read(found)  # outside of the transaction: others need not wait for it
        if profile.name in NAMES_OF_CALLS:
            raise InvalidChangeError(f"the API has a call named {profile.name}; give the profile another name")
        with self._writing() as (texts, profiles, audit):
            if texts.find(source).text != found.text:
                raise VersionConflictError("a profile that this one is built on was changed meanwhile; do it again")
            before = _expected(texts, profile.name, replaces)
            newest = profiles.newest(profile.name)
            done = Meaning(
                name=profile.name,
                revision=profile.revision,
                before=before,
                is_changed=newest is None or newest.revision != profile.revision,
                loosened=len(loosened(profile)),
            )
            if done.is_changed:
                one = ProfileRevision(name=profile.name, revision=profile.revision, text=found.text)
                profiles.publish(one, actor=actor, note=note)
                _audit_meaning(audit, actor, "profile.publish", done)
        return done

    def roll_back(self, actor: str, name: str, *, replaces: str | None = None) -> Meaning:
        """Let a name mean again what it meant before: the publication before, else its file.

        Raises
        ------
        InvalidTransitionError
            When there is nothing to go back to.
        VersionConflictError
            When it means another revision than the caller knows of.
        """
        with self._writing() as (texts, profiles, audit):
            now = _expected(texts, name, replaces)
            one = self._before(texts, profiles, name)
            done = Meaning(
                name=name,
                revision=one.revision,
                before=now,
                is_changed=True,
                loosened=len(loosened(Profile.from_yaml(one.text))),
            )
            profiles.publish(one, actor=actor, note=f"back from {now}")
            _audit_meaning(audit, actor, "profile.rollback", done)
        return done

    def _before(self, texts: ProfileTexts, profiles: Profiles, name: str) -> ProfileRevision:
        history = profiles.publications(name)
        if history:
            now = history[0].revision
            before = next((one.revision for one in history if one.revision != now), None)
            if before is not None:
                return profiles.revision(before)
            if has_profile(name, self._settings):
                of_file = revision_of(texts.own_file(name))
                if of_file.revision != now:
                    return of_file
        elif name not in texts.names():
            raise ProfileNotKnownError(f"there is no profile {name}")
        raise InvalidTransitionError(f"{name} has no earlier publication, and no other file, to go back to")

    # -- deciding which profile a route has ---------------------------------------------------------------------------

    def routes(self) -> tuple[ShownRoute, ...]:
        """Return the profile of each route, those of the settings that nothing else goes before included."""
        with self._reading() as texts:
            return RouteDesk(texts).shown()

    def route_history(self, called_ae: str, calling_ae: str) -> tuple[ShownRoute, ...]:
        """Return what was set for a route, the latest first."""
        with self._reading() as texts:
            return RouteDesk(texts).history(called_ae, calling_ae)

    def set_route(
        self,
        actor: str,
        called_ae: str,
        calling_ae: str,
        *,
        name: str,
        revision: str = "",
        replaces: str | None = None,
    ) -> ShownRoute:
        """Give a route a profile, its newest revision or a pinned one; see ``RouteDesk.set``."""
        with self._writing() as (texts, _profiles, audit):
            desk = RouteDesk(texts, audit)
            return desk.set(actor, called_ae, calling_ae, name=name, revision=revision, replaces=replaces)

    def roll_back_route(
        self, actor: str, called_ae: str, calling_ae: str, *, to_settings: bool = False, replaces: str | None = None
    ) -> ShownRoute:
        """Give a route what it had before, or leave it to the settings again; see ``RouteDesk.roll_back``."""
        with self._writing() as (texts, _profiles, audit):
            desk = RouteDesk(texts, audit)
            return desk.roll_back(actor, called_ae, calling_ae, to_settings=to_settings, replaces=replaces)

    # -- sessions -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[ProfileTexts]:
        if self._database is None:
            yield ProfileTexts(settings=self._settings, profiles=None)
            return
        with self._database.read() as session:
            yield ProfileTexts(settings=self._settings, profiles=Profiles(session))

    @contextmanager
    def _writing(self) -> Iterator[tuple[ProfileTexts, Profiles, Audit]]:
        if self._database is None:
            raise StoreUnavailableError("there is no database that a decision could be kept in")
        with self._database.write() as session:
            profiles = Profiles(session)
            profiles.lock()
            yield ProfileTexts(settings=self._settings, profiles=profiles), profiles, Audit(session)


def _audit_meaning(audit: Audit, actor: str, action: str, done: Meaning) -> None:
    """Write down what a name means from now on."""
    subject = f"profile {done.name}"
    audit.append(actor, action, subject, {"revision": done.revision, "before": done.before, "loosened": done.loosened})


def _named(texts: ProfileTexts, name: str, *, has_publications: bool = False) -> NamedProfile:
    try:
        found = shown(texts.meaning(name))
    except InvalidTransitionError:
        found = None
    profiles = texts.profiles
    return NamedProfile(
        name=name,
        shown=found,
        cases=profiles.cases_under(found.source.revision) if profiles is not None and found is not None else 0,
        publications=_publications(profiles, name) if profiles is not None and has_publications else (),
    )


def _publications(profiles: Profiles, name: str) -> tuple[CountedPublication, ...]:
    found = profiles.publications(name)
    cases = {revision: profiles.cases_under(revision) for revision in {one.revision for one in found}}
    return tuple(CountedPublication(publication=one, cases=cases[one.revision]) for one in found)


def _expected(texts: ProfileTexts, name: str, replaces: str | None) -> str:
    """Return the revision that a name means, if it is the one that the caller knows of."""
    now = texts.revision_now(name)
    if replaces is not None and replaces != now:
        means = f"it means {now}" if now else "it means nothing"
        raise VersionConflictError(f"somebody else decided on the profile {name} meanwhile: {means}; look at it first")
    return now
