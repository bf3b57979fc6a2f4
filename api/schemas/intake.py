"""What was received, what waits and why, on the wire: counts, reasons and places, never what a text says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer
from cases.intake import AssociationOutcome, IntakeSummary


class TallyOut(Answer):
    """Where every object is: ``stored`` is the sum of all after ``refused``."""

    sent: int = Field(examples=[325])
    stored: int = Field(examples=[320])
    refused: int = Field(examples=[5])
    in_progress: int = Field(examples=[0])
    in_draft: int = Field(examples=[300])
    waiting: int = Field(examples=[0])
    inbox: int = Field(examples=[10])
    submitted: int = Field(examples=[0])
    removed: int = Field(examples=[0])
    dropped: int = Field(examples=[4])
    held: int = Field(examples=[3])
    expired: int = Field(examples=[0])
    duplicate: int = Field(examples=[3])
    superseded: int = Field(examples=[0])
    adds_up: bool


class SenderOut(Answer):
    """The sum of one sender."""

    calling_ae: str = Field(examples=["PACS1"])
    tally: TallyOut
    last_arrival_at: datetime | None
    last_receipt: str | None = Field(examples=["K7Q2M9F"], description="Code of the receipt of its latest study.")


class RefusalOut(Answer):
    """C-STORE requests that were answered with one failure status."""

    status: int = Field(examples=[0xC000])
    reason: str = Field(examples=["cannot understand"])
    count: int = Field(examples=[2])


class RejectedPeerOut(Answer):
    """A peer whose associations were rejected; `GET /api/v1/peers` says what to do."""

    id: str = Field(examples=[ID_EXAMPLE])
    calling_ae: str = Field(examples=["UNKNOWN"])
    called_ae: str = Field(examples=["CASEBRIDGE"])
    peer_address: str = Field(examples=["192.0.2.7"])
    certificate: str = Field(examples=[""], description="The certificate that it showed; empty without one.")
    rule: str = Field(examples=["unknown-calling-ae"])
    count: int = Field(examples=[1])
    first_at: datetime
    last_at: datetime


class StatusOut(Answer):
    """The sum that adds up, of everything that was sent."""

    total: TallyOut
    by_sender: list[SenderOut]
    held_by_reason: dict[str, int] = Field(examples=[{"burned-in-text": 3}])
    dropped_by_reason: dict[str, int] = Field(examples=[{"dose-report": 4}])
    refusals: list[RefusalOut]
    associations: dict[AssociationOutcome, int] = Field(examples=[{"released": 4}])
    rejected_peers: list[RejectedPeerOut]
    declined: dict[str, int] = Field(
        examples=[{"1.2.840.10008.5.1.4.1.2.2.1": 1}], description="Declined presentation contexts by abstract syntax."
    )
    unrecorded: int = Field(examples=[0], description="Acknowledged objects without a row: not 0 for long means loss.")
    studies: int = Field(examples=[4])
    arriving: int = Field(examples=[0], description="Studies that have not settled.")
    warnings: list[str] = Field(
        default_factory=list,
        examples=[["Any sender is let in: for trials only."]],
        description="What works and should not stay so.",
    )

    @classmethod
    def of(cls, summary: IntakeSummary, *, warnings: Sequence[str]) -> Self:
        """Describe the sum."""
        return cls.model_validate(summary).model_copy(update={"warnings": list(warnings)})


class Health(Answer):
    """The process answers."""

    status: str = Field(examples=["ok"])
    version: str = Field(examples=["0.1.0"])


class Ready(Answer):
    """Everything that is needed works."""

    status: str = Field(examples=["ready"])
    warnings: list[str] = Field(
        examples=[["Any sender is let in: for trials only."]],
        description="What works and should not stay so.",
    )
