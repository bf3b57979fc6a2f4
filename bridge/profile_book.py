"""Which revision of which profile a study gets: what was set for its route, what its name means, or the file."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cases.errors import StoreUnavailableError
from cases.profiles import ProfileRevision
from cases.store import Profiles
from config.profile_files import profile_text
from config.settings import Settings
from deidentify.errors import ProfileError
from deidentify.profile import Profile

log = logging.getLogger("casebridge.profiles")
FOLDER = "profiles-in-use"
"""Below the data folder: the texts that this host's processes read."""


class ProfileNotPublishedError(StoreUnavailableError):
    """A study names a profile that nobody has: it waits until somebody publishes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBook:
    """Decides on profiles with the files as they were when the process started, and with the database as it is."""

    files: Mapping[str, ProfileRevision]
    _in_use: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def of(cls, settings: Settings) -> "ProfileBook":
        """Read the profiles that the settings name.

        Raises
        ------
        ConfigError, ProfileError
            When one is not there, or wrong.
        """
        names = {settings.profile, *(route.profile for route in settings.routes if route.profile)}
        return cls(files={name: revision_of(profile_text(name, settings)) for name in sorted(names)})

    def for_route(self, profiles: Profiles, calling_ae: str, called_ae: str, named: str) -> ProfileRevision:
        """Return the revision for a study of this route, and keep its text for as long as there is the database.

        Raises
        ------
        ProfileNotPublishedError
            When its name was neither published nor is a file here: the study waits for the administrator.
        """
        route = profiles.route(calling_ae, called_ae)
        if route is not None and route.revision:
            return profiles.revision(route.revision)
        name = route.name if route is not None else named
        newest = profiles.newest(name)
        if newest is not None:
            return newest
        if name not in self.files:
            raise ProfileNotPublishedError(f"the profile {name} was not published, and is no file here")
        profiles.keep(self.files[name])
        return self.files[name]

    def begin(self, folder: Path, one: ProfileRevision) -> None:
        """Put a revision where child processes find it; say once in this process what a recipe beside it loosens."""
        lay_out(folder, one)
        if one.revision not in self._in_use:
            self._in_use.add(one.revision)
            say_what_is_loosened(one)


def revision_of(text: str) -> ProfileRevision:
    """Return the revision that a profile's text is.

    Raises
    ------
    ProfileError
        When the text is no profile.
    """
    profile = Profile.from_yaml(text)
    return ProfileRevision(name=profile.name, revision=profile.revision, text=text)


def say_what_is_loosened(one: ProfileRevision) -> None:
    """Log how many lines of recipes keep more than the profile would without them; the profile check lists them."""
    try:
        lines = sum(len(recipe.loosened) for recipe in Profile.from_yaml(one.text).recipes)
    except ProfileError:
        return  # whoever de-identifies under it says so, and holds
    if lines:
        log.warning(
            "a recipe beside the profile keeps more than the profile would without it",
            extra={"profile": one.name, "revision": one.revision, "loosened_lines": lines},
        )


def lay_out(folder: Path, one: ProfileRevision) -> None:
    """Put a text where this host's child processes find it; whole, or not at all."""
    path = _path(folder, one.revision)
    if path.exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(one.text)
    Path(part).replace(path)


def laid_out(folder: Path, revision: str) -> Profile:
    """Return a profile whose text was laid out.

    Raises
    ------
    StoreUnavailableError
        When it is not there, or was changed: nothing is de-identified under another text than the case says.
    """
    try:
        text = _path(folder, revision).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise StoreUnavailableError(f"the text of the profile revision {revision} is not on this host") from None
    if hashlib.sha256(text.encode()).hexdigest()[: len(revision)] != revision:
        raise StoreUnavailableError(f"the text of the profile revision {revision} was changed on this host; delete it")
    return Profile.from_yaml(text)


def _path(folder: Path, revision: str) -> Path:
    return folder / f"{revision}.yaml"
