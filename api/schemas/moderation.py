"""The ways of a case to others, on the wire."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.problems import sentence
from api.schemas.cases import CaseItem
from api.schemas.common import Answer, Body, LongText
from cases.model import (
    CaseLevel,
    CaseModality,
    CaseStatus,
    CaseSummary,
    CaseSystem,
    Certainty,
    ConsentKind,
    Sex,
    Visibility,
)
from cases.publication import LICENCE, CaseEvent, Completeness, Fault, Part, PushBackReason, Requirement


class Submission(Body):
    """Who shall see the case."""

    visibility: Visibility = Field(
        Visibility.PUBLIC, description="`public`: everybody finds it; `unlisted`: whoever has a link."
    )


class NewVisibility(Body):
    """Who shall see a published case from now on."""

    visibility: Visibility


class Acceptance(Body):
    """An editor's word that others may see the case."""

    accepts_probable: bool = Field(False, description="Let a probable diagnosis pass.")
    message: LongText = Field("", examples=[""], description="To its owner.")


class PushBack(Body):
    """Why a case goes back to its owner, and what has to be done."""

    reason: PushBackReason
    message: LongText = Field(min_length=1, examples=["Please write the findings of the second study."])


class CaseEventOut(Answer):
    """One step in the life of a case."""

    at: datetime
    actor: str = Field(examples=["editor-1"])
    action: str = Field(examples=["push-back"])
    source: CaseStatus | None = Field(description="Null where it began.")
    target: CaseStatus
    visibility: Visibility
    reason: PushBackReason | None
    message: str = Field(examples=["Please write the findings of the second study."])

    @classmethod
    def of(cls, event: CaseEvent) -> Self:
        """Describe a step."""
        return cls.model_validate(event)


class MissingOut(Answer):
    """One thing that a case lacks, and what to do about it."""

    requirement: Requirement
    what_to_do: str = Field(examples=["Write the discussion."])
    study_id: str | None = Field(examples=[None], description="The study that lacks it.")

    @classmethod
    def of(cls, fault: Fault) -> Self:
        """Describe what is missing."""
        return cls(requirement=fault.requirement, what_to_do=sentence(fault.what_to_do), study_id=fault.study_id)


class ScorePart(Answer):
    """One part of the score."""

    name: str = Field(examples=["findings"])
    points: int = Field(examples=[15])
    reached: int = Field(examples=[7])

    @classmethod
    def of(cls, part: Part) -> Self:
        """Describe a part."""
        return cls.model_validate(part)


class CompletenessOut(Answer):
    """How complete a case is, of 100. It says nothing of quality and decides nothing."""

    score: int = Field(examples=[85])
    missing: list[str] = Field(examples=[["findings", "key image"]])
    parts: list[ScorePart]

    @classmethod
    def of(cls, found: Completeness) -> Self:
        """Describe a score."""
        return cls(score=found.score, missing=list(found.missing), parts=[ScorePart.of(part) for part in found.parts])


class Readiness(Answer):
    """What a case lacks on each way out of its draft; nothing where it may go."""

    public: list[MissingOut]
    unlisted: list[MissingOut]
    completeness: CompletenessOut


class PendingCase(CaseItem):
    """A case that waits for an editor."""

    submitted_at: datetime | None
    is_own: bool = Field(description="Your own: another editor has to accept it.")

    @classmethod
    def for_editor(cls, case: CaseSummary, editor: str) -> Self:
        """Describe a case of the queue for an editor, by name."""
        item = CaseItem.of(case)
        return cls.model_validate(
            {**item.model_dump(), "submitted_at": case.submitted_at, "is_own": case.owner == editor}
        )


class Vocabularies(Answer):
    """The terms that fields of a case take."""

    modalities: list[CaseModality]
    systems: list[CaseSystem]
    certainties: list[Certainty]
    levels: list[CaseLevel]
    sexes: list[Sex]
    consent_kinds: list[ConsentKind]
    push_back_reasons: list[PushBackReason]
    licence: str = Field(examples=[LICENCE])
