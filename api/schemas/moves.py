"""Moves between drafts on the wire: what goes where, and how far it is."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key
from cases.consents import DocumentFate
from cases.errands import Errand, ErrandState
from cases.moves import NewMove

MOST = 200
"""Studies, and series, of one request."""


class MoveResultOut(Answer):
    """What came of a move, in counts."""

    images: int = Field(examples=[20], description="Images that are in the other case now.")
    studies: int = Field(examples=[1])
    held: int = Field(examples=[0], description="Held instances that went with them.")
    duplicates: int = Field(
        examples=[0], description="Images that the other case had already: they stay as it had them."
    )
    with_originals: int = Field(
        examples=[20],
        description="Images whose originals were there: they are as if they had come to that case at once, so that "
        "references between them and what it had are whole.",
    )
    consent_document: DocumentFate = Field(
        DocumentFate.NONE,
        description="Of the case that was left: it goes to no other case. `stays` with that one, or is `gone` with it; "
        "give it anew where it is wanted.",
    )


class CaseMoveOut(Answer):
    """A move of images to another draft; nothing of it is to be seen until all of it is there."""

    id: str = Field(examples=[ID_EXAMPLE])
    from_case_id: str = Field(examples=[ID_EXAMPLE])
    to_case_id: str = Field(examples=[ID_EXAMPLE], description="Of a new draft too, which is there once it is done.")
    is_whole: bool = Field(description="Whether the case is merged: nothing stays of it but a tombstone.")
    state: ErrandState
    total: int = Field(examples=[20], description="Images to write.")
    done: int = Field(examples=[20])
    requested_by: str = Field(examples=["contributor-1"])
    requested_at: datetime
    finished_at: datetime | None
    reason: str = Field(examples=[""], description="Why it failed or was given up; both cases are as they were then.")
    result: MoveResultOut | None = Field(description="Null until the work is done.")

    @classmethod
    def of(cls, errand: Errand) -> Self:
        """Describe a move."""
        return cls(
            id=errand.id,
            from_case_id=errand.case_id or "",
            to_case_id=errand.other_case_id or "",
            is_whole=bool(errand.asked["is_whole"]),
            state=errand.state,
            total=errand.total,
            done=errand.done,
            requested_by=errand.requested_by,
            requested_at=errand.requested_at,
            finished_at=errand.finished_at,
            reason=errand.reason,
            result=MoveResultOut.model_validate(dict(errand.result)) if errand.result else None,
        )


class MergeBody(Body):
    """Which case is to become part of this one."""

    from_case: Key = Field(alias="from", examples=[ID_EXAMPLE])


class PartBody(Body):
    """Which studies and series go; a study goes with all of its series."""

    studies: list[Key] = Field(default_factory=list, max_length=MOST, examples=[[ID_EXAMPLE]])
    series: list[Key] = Field(default_factory=list, max_length=MOST, examples=[[]])

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if not self.studies and not self.series:
            raise ValueError("Nothing is moved: give studies or series.")
        return self

    def part_of(self, case_id: str, to_case: str = "") -> NewMove:
        """Return what is asked for."""
        return NewMove(from_case=case_id, to_case=to_case, studies=tuple(self.studies), series=tuple(self.series))


class MoveBody(PartBody):
    """Which studies and series go to which other draft."""

    to: Key = Field(examples=[ID_EXAMPLE])
