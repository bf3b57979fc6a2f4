"""Profiles as the database keeps them: texts by revision, what a name means, what a route has."""

from dataclasses import dataclass, field
from datetime import datetime

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
