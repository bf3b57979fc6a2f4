"""Profiles as the database keeps them, texts by revision, what a name means and a route has; and as they are shown."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from deidentify.profile_facts import CheckedProfile

ANY = "*"
"""A calling AE title that stands for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRevision:
    """A profile's text, by the hash that is its revision."""

    name: str
    revision: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """That a name means a revision, since when and by whose decision."""

    name: str
    revision: str
    published_at: datetime
    published_by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteProfile:
    """The profile of a route: the newest revision of its name, or a pinned one. No name: that of the settings."""

    called_ae: str
    calling_ae: str
    name: str
    revision: str
    set_at: datetime
    set_by: str


class Origin(StrEnum):
    """Where it is said what a name means, or which profile a route has."""

    PUBLISHED = "published"
    """In the database, for all hosts. It goes before the other."""
    FILE = "file"
    """In a file of this host: of a profile, or of the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSource:
    """Which profile is meant; one of the three is told."""

    text: str | None = field(default=None, repr=False)
    """That of a profile alone; its bases are looked up."""
    name: str | None = None
    revision: str | None = None
    """With a name: it has to be of that name, and may be shortened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileText:
    """A text as it would count: with the texts that it is built on."""

    revision: str
    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProfile:
    """A text, and what it says; nothing where it is refused, and then why."""

    source: ProfileText
    checked: CheckedProfile | None
    faults: tuple[str, ...] = ()
    """A sentence each, with its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPublication:
    """A publication, and how many cases were begun under its revision."""

    publication: Publication
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProfile:
    """What a name means, and since when; the latest publication first."""

    name: str
    shown: ShownProfile | None
    """None where the file cannot be read."""
    cases: int
    """Begun under this revision."""
    publications: tuple[CountedPublication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a name means after somebody decided on it."""

    name: str
    revision: str
    before: str
    """The revision that it meant until then; empty where it meant nothing."""
    is_changed: bool
    loosened: int
    """How much it keeps that options and table would not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRoute:
    """The profile of a route: where that is said, and which revision it is now."""

    origin: Origin
    called_ae: str
    calling_ae: str
    profile: str
    """A name, or ``name@revision`` where it is pinned; empty: the settings decide."""
    means: str
    """The revision of studies that begin now; empty where nobody has the profile."""
    set_at: datetime | None = None
    set_by: str | None = None


def spelled(name: str, revision: str) -> str:
    """Return a profile as a route has it: its name, with its revision where it is pinned."""
    return f"{name}@{revision}" if revision else name
