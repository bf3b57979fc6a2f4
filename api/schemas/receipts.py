"""Receipts on the wire: counts, reasons and evidence; of what identifies, the end of an accession number alone."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer
from cases.evidence import EvidenceRule, Finding, ReceiptState
from cases.intake import AssociationOutcome
from cases.model import CaseStatus
from cases.receipts import Place, Receipt, ReceiptSeries, ReceiptSummary, SettledBy

CT = "1.2.840.10008.5.1.4.1.1.2"
CODE_EXAMPLE = "K7Q2M9F"


class EvidenceOut(Answer):
    """What one rule says of whether all is there."""

    rule: EvidenceRule
    state: ReceiptState
    missing: int = Field(examples=[2])
    detail: str = Field(examples=["10 of the 12 instances that the study states (0020,1208)"])


class ReceiptSumsOut(Answer):
    """Where every object is: ``sent`` is ``stored`` and ``refused``, ``stored`` the sum of all after ``refused``."""

    sent: int = Field(examples=[12])
    stored: int = Field(examples=[10])
    refused: int = Field(examples=[2])
    filed: int = Field(examples=[7])
    removed: int = Field(examples=[0], description="Filed in a case that was removed since.")
    waiting: int = Field(examples=[0], description="Not worked through yet.")
    dropped: int = Field(examples=[1], description="Left out by the profile.")
    held: int = Field(examples=[1])
    duplicate: int = Field(examples=[1])
    superseded: int = Field(examples=[0])
    expired: int = Field(examples=[0])
    adds_up: bool


class ReceiptCaseOut(Answer):
    """A case that the study became."""

    case_id: str = Field(examples=[ID_EXAMPLE])
    status: CaseStatus
    owner: str | None = Field(examples=["contributor-1"])


class ReceiptItem(Answer):
    """A receipt as a list shows it."""

    code: str = Field(examples=[CODE_EXAMPLE])
    state: ReceiptState
    missing: int = Field(examples=[2], description="By how many objects a short study is short.")
    evidence: list[EvidenceOut] = Field(description="What the state rests on, the deciding finding first.")
    senders: list[str] = Field(examples=[["PACS1"]], description="Calling AE titles.")
    called: list[str] = Field(examples=[["CASEBRIDGE"]], description="Called AE titles.")
    sums: ReceiptSumsOut
    identified_accession_end: str | None = Field(
        examples=["4711"],
        description="The last four characters of the Accession Number, for administrators and privacy officers, and "
        "only while originals of the study are there.",
    )
    generation: int = Field(examples=[1], description="How many times the study settled.")
    settled_by: SettledBy | None
    first_arrival_at: datetime
    last_arrival_at: datetime
    settled_at: datetime | None
    first_filed_at: datetime | None = Field(description="When the first image appeared in a case.")
    done_at: datetime | None = Field(description="When the last object came to its end; null while one waits.")
    cases: list[ReceiptCaseOut]

    @classmethod
    def of(cls, summary: ReceiptSummary, *, viewer: str | None, identified_accession_end: str | None) -> Self:
        """Describe a receipt; with a viewer, only the viewer's own cases."""
        return cls.model_validate(_fields(summary, viewer, identified_accession_end))


def _fields(summary: ReceiptSummary, viewer: str | None, identified_accession_end: str | None) -> dict[str, object]:
    names = ("code", "generation", "settled_by", "first_arrival_at", "last_arrival_at", "settled_at")
    judgement = summary.judgement
    return {
        **{name: getattr(summary, name) for name in (*names, "first_filed_at", "done_at")},
        "state": judgement.state,
        "missing": judgement.missing,
        "evidence": [_finding(one) for one in judgement.evidence],
        "senders": list(summary.senders),
        "called": list(summary.called),
        "sums": ReceiptSumsOut.model_validate(summary.sums),
        "identified_accession_end": identified_accession_end,
        "cases": [
            ReceiptCaseOut.model_validate(case) for case in summary.cases if viewer is None or case.owner == viewer
        ],
    }


def _finding(one: Finding) -> EvidenceOut:
    return EvidenceOut.model_validate(one)


class ReceiptLineOut(Answer):
    """Stored objects of one SOP class in one place for one reason."""

    sop_class_uid: str = Field(examples=[CT])
    place: Place
    reason: str = Field(examples=["burned-in-text"])
    count: int = Field(examples=[1])


class ReceiptRefusalOut(Answer):
    """Refused requests of one association: they belong to no study that is known, and are counted once."""

    association_id: str = Field(examples=[ID_EXAMPLE])
    sop_class_uid: str = Field(examples=[CT], description="Of the presentation context.")
    status: int = Field(examples=[0xC000])
    reason: str = Field(examples=["unparsable"])
    count: int = Field(examples=[2])
    counted_in: str = Field(
        examples=[CODE_EXAMPLE], description="The receipt that counts them: of the study the association brought first."
    )


class ReceiptAssociationsOut(Answer):
    """Associations of the study that ended alike."""

    calling_ae: str = Field(examples=["PACS1"])
    called_ae: str = Field(examples=["CASEBRIDGE"])
    peer_address: str = Field(examples=["192.0.2.7"])
    outcome: AssociationOutcome | None = Field(description="Null while they are open.")
    rule: str = Field(examples=[""], description="Why they were aborted.")
    count: int = Field(examples=[1])
    started_at: datetime | None
    ended_at: datetime | None


class DeclinedOut(Answer):
    """A presentation context that was proposed on the study's associations and declined."""

    abstract_syntax: str = Field(examples=["1.2.840.10008.1.20.1"])
    count: int = Field(examples=[1])


class GapOut(Answer):
    """Instance Numbers that did not arrive, from the first to the last of them."""

    first: int = Field(examples=[17])
    last: int = Field(examples=[19])


class ReceiptSeriesOut(Answer):
    """One series, numbered in the order of arrival."""

    number: int = Field(examples=[1])
    objects: int = Field(examples=[117])
    stated: int | None = Field(examples=[120], description="Number of Series Related Instances (0020,1209).")
    first_number: int | None = Field(examples=[1])
    last_number: int | None = Field(examples=[120])
    missing_numbers: int = Field(examples=[3])
    gaps: list[GapOut] = Field(description="The first 20 of them.")

    @classmethod
    def of(cls, series: ReceiptSeries) -> Self:
        """Describe a series."""
        facts = series.facts
        return cls(
            number=series.number,
            objects=facts.objects,
            stated=facts.stated,
            first_number=facts.first,
            last_number=facts.last,
            missing_numbers=facts.missing_numbers,
            gaps=[GapOut(first=first, last=last) for first, last in series.gaps],
        )


class ReceiptOut(ReceiptItem):
    """A receipt with all its parts."""

    lines: list[ReceiptLineOut]
    refusals: list[ReceiptRefusalOut]
    associations: list[ReceiptAssociationsOut]
    declined: list[DeclinedOut]
    series: list[ReceiptSeriesOut]

    @classmethod
    def of_receipt(cls, receipt: Receipt, *, viewer: str | None, identified_accession_end: str | None) -> Self:
        """Describe a whole receipt; with a viewer, only the viewer's own cases."""
        return cls.model_validate(
            {
                **_fields(receipt.summary, viewer, identified_accession_end),
                "lines": [ReceiptLineOut.model_validate(line) for line in receipt.lines],
                "refusals": [ReceiptRefusalOut.model_validate(one) for one in receipt.refusals],
                "associations": [ReceiptAssociationsOut.model_validate(one) for one in receipt.associations],
                "declined": [DeclinedOut(abstract_syntax=uid, count=count) for uid, count in receipt.declined],
                "series": [ReceiptSeriesOut.of(series) for series in receipt.series],
            }
        )
