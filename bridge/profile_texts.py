"""Which text a profile is: by name, by revision, or as somebody wrote it; what was published goes before the files."""

from contextlib import suppress
from dataclasses import dataclass

from bridge.profile_book import revision_of
from cases.errors import InvalidChangeError, InvalidTransitionError, ProfileNotKnownError
from cases.profiles import Origin, ProfileRevision, ProfileSource, ProfileText, ShownProfile
from cases.store import Profiles
from config import ConfigError
from config.profile_files import has_profile, profile_names, profile_text, unknown_profile, with_bases
from config.settings import Settings
from deidentify.errors import ProfileError
from deidentify.profile import Profile, revision_of_text
from deidentify.profile_facts import checked


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileTexts:
    """Finds texts in the files of this host and, where there is one, in the database of all hosts."""

    settings: Settings
    profiles: Profiles | None

    def names(self) -> list[str]:
        """Return every name that means something, or has a file."""
        published = self.profiles.published_names() if self.profiles is not None else []
        return sorted({*published, *profile_names(self.settings)})

    def find(self, source: ProfileSource) -> ProfileText:
        """Return the text that is meant.

        Raises
        ------
        ProfileNotKnownError
            When there is no such profile.
        InvalidChangeError
            When the revision is of another profile.
        InvalidTransitionError
            When a file that is needed cannot be read.
        """
        if source.text is not None:
            return _text(self.completed(source.text), Origin.FILE)
        if source.revision is not None:
            return self._of_revision(source.revision, source.name)
        return self.meaning(source.name or "")

    def completed(self, text: str) -> str:
        """Return a text as it would be published: behind it those that it is built on, as their names mean now.

        Raises
        ------
        InvalidTransitionError
            When the file of a base cannot be read.
        """
        try:
            return with_bases(text, self.settings, published=self._published)
        except ConfigError:
            raise _unreadable("of a profile that this one is built on") from None

    def own_file(self, name: str) -> str:
        """Return the text of a name's file, with those of the files that it is built on: what an old name means.

        Raises
        ------
        ProfileNotKnownError
            When there is none.
        InvalidTransitionError
            When it cannot be read.
        """
        if not has_profile(name, self.settings):
            raise ProfileNotKnownError(unknown_profile(name, self.settings))
        try:
            return profile_text(name, self.settings)
        except ConfigError:
            raise _unreadable(f"of the profile {name}, or of one that it is built on,") from None

    def meaning(self, name: str) -> ProfileText:
        """Return what a name means: its latest publication, else its file with those that it is built on.

        A file is built on files: so the workers read it when they start.

        Raises
        ------
        ProfileNotKnownError
            When it means nothing.
        InvalidTransitionError
            When its file cannot be read.
        """
        published = self._published(name)
        if published is not None:
            return _text(published, Origin.PUBLISHED)
        return _text(self.own_file(name), Origin.FILE)

    def revision_now(self, name: str) -> str:
        """Return the revision that a name means, empty where it means none."""
        try:
            return self.meaning(name).revision
        except (ProfileNotKnownError, InvalidTransitionError):
            return ""

    def _of_revision(self, revision: str, name: str | None) -> ProfileText:
        # Until a file is used, the database has no copy of it.
        if (of_file := self._file_of_revision(revision, name)) is not None:
            return of_file
        if self.profiles is None:
            raise ProfileNotKnownError("no file of this host is that revision of a profile")
        found = self.profiles.revision(revision)
        if name is not None and found.name != name:
            raise InvalidChangeError(f"revision {found.revision} is of the profile {found.name}")
        return _text(found.text, Origin.PUBLISHED)

    def _file_of_revision(self, revision: str, called: str | None) -> ProfileText | None:
        for name in profile_names(self.settings):
            if called not in {None, name}:
                continue
            with suppress(InvalidTransitionError):  # a file that cannot be read is no revision; lists tell of it
                text = _text(self.own_file(name), Origin.FILE)
                if text.revision == revision:
                    return text
        return None

    def _published(self, name: str) -> str | None:
        newest = self.profiles.newest(name) if self.profiles is not None else None
        return newest.text if newest is not None else None


def chosen_revision(profiles: Profiles, settings: Settings, chosen: str) -> ProfileRevision:
    """Return the revision that ``NAME`` means now, or that ``NAME@REVISION`` names, and keep its text.

    Raises
    ------
    ProfileNotKnownError
        When there is none.
    InvalidChangeError
        When the revision is of another profile.
    InvalidTransitionError
        When a file that is needed cannot be read.
    ProfileError
        When the text is wrong.
    """
    name, _, revision = chosen.partition("@")
    texts = ProfileTexts(settings=settings, profiles=profiles)
    one = revision_of(texts.find(ProfileSource(name=name, revision=revision or None)).text)
    profiles.keep(one)
    return one


def read(text: ProfileText) -> Profile:
    """Read a text that was found.

    Raises
    ------
    ProfileError
        With every fault.
    """
    return Profile.from_yaml(text.text)


def shown(text: ProfileText) -> ShownProfile:
    """Return what a text says, or why it is refused."""
    try:
        return ShownProfile(source=text, checked=checked(read(text)))
    except ProfileError as error:
        return ShownProfile(source=text, checked=None, faults=tuple(str(error).splitlines()))


def _text(text: str, origin: Origin) -> ProfileText:
    return ProfileText(revision=revision_of_text(text), text=text, origin=origin)


def _unreadable(whose: str) -> InvalidTransitionError:
    return InvalidTransitionError(f"the file {whose} cannot be read; make it a readable UTF-8 text")
