"""The judgement whether all of a study is there. Pure, without a database.

It never claims more than its evidence: each finding names the rule that made it, and only a list or a count of the
sender's own makes a study complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ReceiptState(StrEnum):
    """Whether all of a study is there."""

    ARRIVING = "arriving"
    """It has not settled: nothing is said yet."""
    COMPLETE = "complete"
    PROBABLY_COMPLETE = "probably-complete"
    SHORT = "short"
    UNKNOWN = "unknown"
    """Nothing that came with it says how much there should be."""


class EvidenceRule(StrEnum):
    """What a judgement rests on, the strongest first."""

    MANIFEST = "manifest"
    """The list of a teaching file manifest."""
    COMMITMENT = "commitment"
    """The list of a storage commitment request."""
    STUDY_COUNT = "study-count"
    """Number of Study Related Instances (0020,1208)."""
    SERIES_COUNT = "series-count"
    """Number of Series Related Instances (0020,1209)."""
    REFUSED = "refused"
    """Objects were refused on its associations, and none came after; whether they are of this study nobody knows."""
    BROKEN_ASSOCIATION = "broken-association"
    """An association was aborted or lost, and none came after it."""
    ACQUISITION_COUNT = "acquisition-count"
    """Images in Acquisition (0020,1002)."""
    INSTANCE_NUMBERS = "instance-numbers"
    """Instance Number (0020,0013)."""
    NOTHING_KNOWN = "nothing-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedInstances:
    """A sender's own list of what belongs to a study, held against what arrived."""

    rule: EvidenceRule
    listed: int
    missing: int
    """How many of the listed instances have not arrived."""
    is_of_others: bool = False
    """Whether it lists instances of other studies too, so that a missing one may be theirs."""
    leaves_out: bool = False
    """Whether instances of the study arrived that it does not list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """What is known of one series; all counts are of distinct SOP Instances."""

    objects: int
    numbers: int
    """Distinct Instance Numbers."""
    first: int | None
    last: int | None
    stated: int | None
    """Number of Series Related Instances, where an instance states it."""

    @property
    def missing_numbers(self) -> int:
        """Return how many numbers between the first and the last did not arrive."""
        return 0 if self.first is None or self.last is None else self.last - self.first + 1 - self.numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionFacts:
    """What is known of one acquisition: Images in Acquisition, and what arrived under its Acquisition Number."""

    stated: int
    fewest: int
    """Objects of it in the series that has the fewest."""
    objects: int
    """Objects of it in the whole study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """All that a judgement rests on."""

    is_settled: bool
    objects: int
    """Distinct SOP Instances that arrived, whatever became of them."""
    unread: int = 0
    """Those of them whose header was not read: not worked on yet, or unreadable."""
    stated: int | None = None
    """Number of Study Related Instances, the largest that an instance states."""
    lists: tuple[ListedInstances, ...] = ()
    series: tuple[SeriesFacts, ...] = ()
    acquisitions: tuple[AcquisitionFacts, ...] = ()
    refused: int = 0
    """Requests that were refused on associations of this study alone, and after which no other association began."""
    broken: int = 0
    """Associations that were aborted or lost, and after which no other began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says."""

    rule: EvidenceRule
    state: ReceiptState
    detail: str
    """A sentence with the figures, without any value that identifies."""
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether all is there, by how many it is short, and the evidence, the deciding finding first."""

    state: ReceiptState
    missing: int
    evidence: tuple[Finding, ...]


def judge(facts: StudyFacts) -> Judgement:
    """Decide whether all of a study is there.

    A count or list that is not fulfilled outweighs one that is; either outweighs what happened on the associations;
    that outweighs what numbering suggests.
    """
    counted = _counted(facts)
    order = [
        *sorted((one for one in counted if one.state is ReceiptState.SHORT), key=lambda one: -one.missing),
        *(one for one in counted if one.state is ReceiptState.COMPLETE),
        *(one for one in counted if one.state is ReceiptState.UNKNOWN),
        *_happened(facts),
        *(one for one in counted if one.state is ReceiptState.PROBABLY_COMPLETE),
        *_suggested(facts),
    ]
    if not order:
        detail = "nothing that came with the study says how much there should be"
        if facts.unread:
            detail = f"{facts.unread} of {facts.objects} objects could not be looked into (yet)"
        order = [Finding(rule=EvidenceRule.NOTHING_KNOWN, state=ReceiptState.UNKNOWN, detail=detail)]
    if not facts.is_settled:
        return Judgement(state=ReceiptState.ARRIVING, missing=0, evidence=tuple(order))
    return Judgement(state=order[0].state, missing=order[0].missing, evidence=tuple(order))


def _counted(facts: StudyFacts) -> list[Finding]:
    found = [_of_list(one) for one in facts.lists if one.missing or not one.leaves_out]
    if facts.stated is not None:
        found.append(_of_study_count(facts.objects, facts.stated))
    series = [one for one in facts.series if one.stated is not None]
    missing = sum(max(0, (one.stated or 0) - one.objects) for one in series)
    arrived, stated = sum(one.objects for one in series), sum(one.stated or 0 for one in series)
    detail = f"{arrived} of the {stated} instances that {len(series)} series state (0020,1209)"
    if missing:
        found.append(Finding(rule=EvidenceRule.SERIES_COUNT, state=ReceiptState.SHORT, missing=missing, detail=detail))
    elif series and len(series) == len(facts.series) and not facts.unread:
        # A whole series may be missing: no series tells of the others.
        found.append(Finding(rule=EvidenceRule.SERIES_COUNT, state=ReceiptState.PROBABLY_COMPLETE, detail=detail))
    return found


def _of_list(one: ListedInstances) -> Finding:
    whose = "teaching file manifest" if one.rule is EvidenceRule.MANIFEST else "storage commitment request"
    detail = f"{one.listed - one.missing} of the {one.listed} instances that a {whose} lists"
    if one.missing and one.is_of_others:
        detail += ", which may lack some of another study"
        return Finding(rule=one.rule, state=ReceiptState.UNKNOWN, detail=detail)
    if one.missing:
        return Finding(rule=one.rule, state=ReceiptState.SHORT, missing=one.missing, detail=detail)
    # A modality may ask for commitment image by image: its list says what it sent so far, not all that will come.
    is_of_whole_study = one.rule is EvidenceRule.MANIFEST
    state = ReceiptState.COMPLETE if is_of_whole_study else ReceiptState.PROBABLY_COMPLETE
    return Finding(rule=one.rule, state=state, detail=detail)


def _of_study_count(objects: int, stated: int) -> Finding:
    detail = f"{objects} of the {stated} instances that the study states (0020,1208)"
    if objects < stated:
        return Finding(rule=EvidenceRule.STUDY_COUNT, state=ReceiptState.SHORT, missing=stated - objects, detail=detail)
    # More than it states: the count was taken before the study was finished.
    state = ReceiptState.COMPLETE if objects == stated else ReceiptState.PROBABLY_COMPLETE
    return Finding(rule=EvidenceRule.STUDY_COUNT, state=state, detail=detail)


def _happened(facts: StudyFacts) -> list[Finding]:
    found = []
    if facts.refused:
        found.append(
            Finding(
                rule=EvidenceRule.REFUSED,
                state=ReceiptState.UNKNOWN,
                detail=f"{facts.refused} object(s) were refused on its associations and none came after",
            )
        )
    if facts.broken:
        found.append(
            Finding(
                rule=EvidenceRule.BROKEN_ASSOCIATION,
                state=ReceiptState.UNKNOWN,
                detail=f"{facts.broken} association(s) broke off, none came after",
            )
        )
    return found


def _suggested(facts: StudyFacts) -> list[Finding]:
    if facts.unread:
        return []  # a number that is missing may be that of an object nobody has looked into
    found = []
    missing = sum(max(0, one.stated - one.objects) for one in facts.acquisitions)
    objects = sum(one.objects for one in facts.acquisitions)
    if missing:
        # No proof: an object may hold several of the images that the acquisition counts.
        detail = f"{objects} objects of acquisitions that state {objects + missing} images (0020,1002)"
        found.append(Finding(rule=EvidenceRule.ACQUISITION_COUNT, state=ReceiptState.UNKNOWN, detail=detail))
    elif facts.acquisitions and all(one.fewest == one.stated for one in facts.acquisitions):
        detail = f"every acquisition has the images it states (0020,1002), {objects} in all"
        found.append(Finding(rule=EvidenceRule.ACQUISITION_COUNT, state=ReceiptState.PROBABLY_COMPLETE, detail=detail))
    return [*found, *_of_numbers(facts.series)]


def _of_numbers(series: Sequence[SeriesFacts]) -> list[Finding]:
    if not series or any(one.first is None for one in series):
        return []
    gaps = sum(one.missing_numbers for one in series)
    late = sum(one.first not in {0, 1} for one in series)
    rule = EvidenceRule.INSTANCE_NUMBERS
    if gaps or late:
        parts = [f"{gaps} instance number(s) are missing in between"] if gaps else []
        parts += [f"{late} series do not begin with 1"] if late else []
        detail = " and ".join(parts)
        return [Finding(rule=rule, state=ReceiptState.UNKNOWN, detail=detail)]
    detail = "the instance numbers of each series run from the first without a gap"
    return [Finding(rule=rule, state=ReceiptState.PROBABLY_COMPLETE, detail=detail)]
