"""Playlists: cases in an order that somebody chose, and which cases a list may hold. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cases.errors import TypedPlace
from cases.model import CaseStatus, CaseSummary, Visibility
from cases.states import is_public

NOTE_MAX = 500
ENTRIES_MAX = 200
"""Cases of one playlist: a course has some dozens."""


class PlaylistScope(StrEnum):
    """Which playlists a list is about."""

    VISIBLE = "visible"
    """Own ones and public ones."""
    MINE = "mine"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistSummary:
    """A playlist as a list shows it."""

    id: str
    owner: str
    title: str
    description: str
    visibility: Visibility
    """Public ones are listed for everybody; an unlisted one is read by whoever has an account and its address."""
    is_quiz: bool
    """Whether others are shown its cases without what would tell the diagnosis."""
    entries: int
    """How many of its cases the viewer may see."""
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistEntry:
    """A case of a playlist, and what its owner notes on it."""

    case: CaseSummary
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """A playlist with those of its cases that the viewer may see, in order."""

    summary: PlaylistSummary
    entries: tuple[PlaylistEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """A case to be held by a playlist."""

    case_id: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistChanges:
    """A change to a playlist; None leaves a field as it is."""

    title: str | None = None
    description: str | None = None
    visibility: Visibility | None = None
    is_quiz: bool | None = None
    entries: tuple[NewEntry, ...] | None = None
    """All of them, in their order."""

    def typed(self) -> Iterator[tuple[TypedPlace, str]]:
        """Yield every text of the change with its place."""
        if self.title:
            yield TypedPlace(field="title"), self.title
        if self.description:
            yield TypedPlace(field="description"), self.description
        for index, entry in enumerate(self.entries or ()):
            if entry.note:
                yield TypedPlace(field="entries", index=index), entry.note


def may_hold(
    visibility: Visibility, owner_id: str, *, case_owner_id: str | None, status: CaseStatus, case_visibility: Visibility
) -> bool:
    """Return whether a playlist may hold a case: public ones all, own unlisted ones where it is unlisted itself."""
    if is_public(status, case_visibility):
        return True
    is_own = case_owner_id is not None and case_owner_id == owner_id
    return visibility == Visibility.UNLISTED and status == CaseStatus.PUBLISHED and is_own
