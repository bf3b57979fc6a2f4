"""Playlists on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key, Presentation, Text, Title
from api.schemas.public_cases import PublicCaseItem, QuizCaseItem
from cases.model import Visibility
from cases.playlists import ENTRIES_MAX, NOTE_MAX, NewEntry, Playlist, PlaylistChanges, PlaylistSummary

PlaylistTitle = Annotated[Title, StringConstraints(min_length=1)]
Note = Annotated[Text, StringConstraints(max_length=NOTE_MAX)]
_HOLDS = "`public` lists hold public cases; `unlisted` ones also unlisted cases of your own."
_QUIZ = "Whether others are shown its cases without title, findings and whatever else would tell the diagnosis."


class PlaylistItem(Answer):
    """A playlist as a list shows it."""

    id: str = Field(examples=[ID_EXAMPLE])
    owner: str = Field(examples=["contributor-1"])
    title: str = Field(examples=["Abdominal emergencies"])
    description: str = Field(examples=["Ten cases for the first night on call."])
    visibility: Visibility = Field(description="`unlisted`: read by whoever has an account and this address.")
    quiz: bool = Field(description=_QUIZ)
    entry_count: int = Field(examples=[10], description="Cases of it that you may see.")
    created_at: datetime
    updated_at: datetime
    version: int = Field(examples=[2])

    @classmethod
    def of(cls, summary: PlaylistSummary) -> Self:
        """Describe a playlist for a list."""
        return cls.model_validate(_fields(summary))


def _fields(summary: PlaylistSummary) -> dict[str, object]:
    return {
        "id": summary.id,
        "owner": summary.owner,
        "title": summary.title,
        "description": summary.description,
        "visibility": summary.visibility,
        "quiz": summary.is_quiz,
        "entry_count": summary.entries,
        "created_at": summary.created_at,
        "updated_at": summary.updated_at,
        "version": summary.version,
    }


class PlaylistEntryOut(Answer):
    """A case of a playlist."""

    case: PublicCaseItem | QuizCaseItem
    note: str | None = Field(examples=["Compare with the next one."], description="Null in a quiz.")


class PlaylistOut(PlaylistItem):
    """A playlist with those of its cases that the reader may see, in order."""

    hides_answers: bool = Field(
        description="Whether the cases are shown as a quiz; read them with `?quiz=` and the id of this playlist."
    )
    entries: list[PlaylistEntryOut]

    @classmethod
    def of_playlist(cls, playlist: Playlist, collectors: Mapping[str, int], *, hides_answers: bool) -> Self:
        """Describe a playlist; ``collectors`` as in ``PublicCaseItem.of``."""
        entries = [
            PlaylistEntryOut(case=QuizCaseItem.of(entry.case), note=None)
            if hides_answers
            else PlaylistEntryOut(case=PublicCaseItem.of(entry.case, collectors), note=entry.note)
            for entry in playlist.entries
        ]
        return cls.model_validate(
            {**_fields(playlist.summary), "hides_answers": hides_answers, "entries": entries},
        )


class NewEntryBody(Body):
    """A case to be held by a playlist, and what there is to say on it."""

    case_id: Key = Field(examples=[ID_EXAMPLE])
    note: Note = Field("", examples=["Compare with the next one."])

    def entry(self) -> NewEntry:
        """Return the entry."""
        return NewEntry(case_id=self.case_id, note=self.note)


Entries = Annotated[list[NewEntryBody], Field(max_length=ENTRIES_MAX)]


class NewPlaylist(Body):
    """A playlist to be made."""

    title: PlaylistTitle = Field(examples=["Abdominal emergencies"])
    description: Presentation = Field("", examples=["Ten cases for the first night on call."])
    visibility: Visibility = Field(Visibility.UNLISTED, description=_HOLDS)
    quiz: bool = Field(default=False, description=_QUIZ)
    entries: Entries = Field(default_factory=list)

    def changes(self) -> PlaylistChanges:
        """Return what it says, as a change to an empty playlist."""
        return PlaylistChanges(
            title=self.title,
            description=self.description,
            visibility=self.visibility,
            is_quiz=self.quiz,
            entries=tuple(entry.entry() for entry in self.entries),
        )


class PlaylistEdit(Body):
    """A change to a playlist; a field that is absent or null stays as it is."""

    title: PlaylistTitle | None = Field(None, examples=["Abdominal emergencies"])
    description: Presentation | None = Field(None, examples=["Ten cases for the first night on call."])
    visibility: Visibility | None = Field(None, description=_HOLDS)
    quiz: bool | None = Field(default=None, description=_QUIZ)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("Nothing is changed: give title, description, visibility or quiz.")
        return self

    def changes(self) -> PlaylistChanges:
        """Return the change."""
        return PlaylistChanges(
            title=self.title, description=self.description, visibility=self.visibility, is_quiz=self.quiz
        )


class PlaylistEntries(Body):
    """All cases of a playlist, in their order; those that are not named leave it."""

    entries: Entries

    def changes(self) -> PlaylistChanges:
        """Return the change."""
        return PlaylistChanges(entries=tuple(entry.entry() for entry in self.entries))
