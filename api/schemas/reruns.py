"""Re-runs on the wire: what was asked for, how far it is and what it changes, in counts and names of attributes."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key, Line
from cases.errands import Errand, ErrandState
from cases.model import CaseStatus
from cases.reruns import RerunCandidate
from deidentify.results import DropReason, ElementFate, HoldReason

ProfileName = Annotated[Line, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}(@[0-9a-f]{4,16})?$")]
"""``NAME`` for what the name means now, or ``NAME@REVISION``."""
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4,16}$")]


class ElementChangeOut(Answer):
    """One attribute that is written otherwise."""

    place: str = Field(examples=["(0018,1000)"], description="With the sequences around it.")
    attribute: str = Field(examples=["DeviceSerialNumber"])
    change: ElementFate
    images: int = Field(examples=[20], description="In how many images.")


class RerunResultOut(Answer):
    """What a re-run changes in a case."""

    remade: int = Field(examples=[20], description="Images that are images again.")
    changed: int = Field(examples=[20], description="Those of them that are written otherwise.")
    pixels: int = Field(examples=[0], description="Those of them whose pixels are written otherwise.")
    cleared: int = Field(examples=[0], description="Instances that were held or left out and become images.")
    held: dict[HoldReason, int] = Field(examples=[{"burned-in-text": 1}], description="What is held then, and was not.")
    dropped: dict[DropReason, int] = Field(examples=[{}], description="What is left out then, and was not.")
    failed: int = Field(examples=[0], description="Instances that could not be made: they stay as they are.")
    gone: int = Field(examples=[0], description="Images that stay as they are, since their originals are gone.")
    decided: int = Field(examples=[0], description="Instances that a person decided on, or has to.")
    expired: int = Field(examples=[0], description="Held ones that nobody can look at: their originals are gone.")
    references: int = Field(
        default=0, examples=[0], description="Images that name others by the UIDs that these have then."
    )
    texts: int = Field(examples=[0], description="Texts of the sender's, not edited since, that are emptied.")
    elements: list[ElementChangeOut]
    more_elements: int = Field(examples=[0], description="Attributes that are not named for their number.")

    @classmethod
    def of(cls, result: dict[str, Any]) -> Self:
        """Describe what came of a re-run."""
        names = ("place", "attribute", "change", "images")
        elements = [dict(zip(names, found, strict=True)) for found in result["elements"]]
        return cls.model_validate({**result, "elements": elements})


class CaseRerunOut(Answer):
    """A re-run as the owner of the case sees it: images made anew under another revision of a profile."""

    id: str = Field(examples=[ID_EXAMPLE])
    case_id: str | None = Field(examples=[ID_EXAMPLE], description="Null where the case was deleted since.")
    profile: str = Field(examples=["mr-device"])
    revision: str = Field(examples=["8fe18da09dce0803"])
    base_revision: str = Field(examples=["9222bfe5bf2270d7"], description="That the case had when it was asked for.")
    state: ErrandState = Field(description="`in-review`: others may see the case, and an editor has to decide.")
    is_review: bool = Field(description="Of single images, after a person decided on what was found in them.")
    total: int = Field(examples=[20], description="Instances to work on.")
    done: int = Field(examples=[20])
    requested_at: datetime
    finished_at: datetime | None
    reason: str = Field(examples=[""], description="Why it failed or was discarded.")
    result: RerunResultOut | None = Field(description="Null until the work is done.")

    @classmethod
    def of(cls, errand: Errand) -> Self:
        """Describe a re-run."""
        values = {name: getattr(errand, name) for name in cls.model_fields if name != "result"}
        result = RerunResultOut.of(dict(errand.result)) if errand.result else None
        return cls.model_validate({**values, "result": result})


class RerunOut(CaseRerunOut):
    """A re-run, with those who asked for it and decided on it."""

    requested_by: str = Field(examples=["admin"])
    decided_by: str = Field(examples=[""])


class RerunCandidateOut(Answer):
    """A case, what a re-run of it finds, and the one that was asked for."""

    case_id: str = Field(examples=[ID_EXAMPLE])
    status: CaseStatus
    owner: str | None = Field(examples=["contributor-1"])
    profile: str = Field(examples=["teaching"])
    revision: str = Field(examples=["9222bfe5bf2270d7"])
    images: int = Field(examples=[20], description="Images whose originals are there.")
    gone: int = Field(examples=[0], description="Images whose originals are gone: they stay as they are.")
    decided: int = Field(examples=[0], description="Instances that only a person can decide on.")
    rerun: RerunOut | None = Field(description="Null where none was asked for.")
    refusal: str = Field(examples=[""], description="Why none was asked for.")

    @classmethod
    def of(cls, candidate: RerunCandidate) -> Self:
        """Describe a case that could be made anew."""
        plan = candidate.plan
        return cls(
            case_id=plan.case_id,
            status=plan.status,
            owner=plan.owner,
            profile=plan.profile,
            revision=plan.revision,
            images=plan.images,
            gone=plan.gone,
            decided=plan.decided,
            rerun=RerunOut.of(candidate.errand) if candidate.errand is not None else None,
            refusal=candidate.refusal,
        )


class NewReruns(Body):
    """Which cases are to be made anew, and under which profile."""

    case_id: Key | None = Field(None, examples=[ID_EXAMPLE], description="One case.")
    made_under: Revision | None = Field(None, examples=[None], description="All cases that have this revision.")
    profile: ProfileName = Field(examples=["mr-device"], description="A name, or a name@revision.")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.case_id is None) == (self.made_under is None):
            raise ValueError("Give either case_id or made_under.")
        return self
