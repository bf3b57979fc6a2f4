"""What people type into a case, held against the identifiers of its originals before it is kept.

The originals are gone by then, or soon: what is left of their identifiers are keyed hashes that only the screen can
read. ``deidentify`` provides the screen.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from cases.changes import CaseChanges, SeriesChange, StudyChange
from cases.errors import IdentifyingTextError, TypedFinding, TypedPlace
from cases.model import CaseDetail
from deidentify.results import KnownIdentifiers, TextFinding, TextReason

_A_NUMBER = "consent_reference"
"""The field that is a number by its nature: what merely looks like one is no reason to refuse it."""
_LIKE_A_NUMBER = frozenset({TextReason.DATE, TextReason.PHONE, TextReason.RECORD_NUMBER})


class TextScreen(Protocol):
    """Finds in typed text what could identify somebody."""

    def findings(self, text: str, known: KnownIdentifiers) -> tuple[TextFinding, ...]:
        """Return every place that holds an identifier of the case or looks like one of anybody, in order.

        A word that is merely unknown is none: people write prose.

        Parameters
        ----------
        text
            What was typed.
        known
            What is kept of the case's identifiers; without any, only patterns are looked for.
        """
        ...


OF_NO_CASE = KnownIdentifiers(case_id="", generation=0, hashes=frozenset(), is_whole=False)
"""For texts that belong to no case: they are held against patterns alone."""


def texts_of(case: CaseDetail) -> CaseChanges:
    """Return everything that people may have typed into a case, as the change that would type it again."""
    return CaseChanges(
        title=case.summary.title,
        presentation=case.presentation,
        discussion=case.discussion,
        differential=case.differential,
        certainty_evidence=case.certainty_evidence,
        consent_reference=case.consent.reference,
        tags=case.tags,
        studies=tuple(
            StudyChange(id=study.id, findings=study.findings, caption=study.caption) for study in case.studies
        ),
        series=tuple(
            SeriesChange(id=series.id, perspective=series.perspective, specifics=series.specifics)
            for study in case.studies
            for series in study.series
        ),
    )


def check_typed(screen: TextScreen, changes: CaseChanges, known: KnownIdentifiers) -> None:
    """Refuse a change of a case whose texts could identify somebody.

    Raises
    ------
    IdentifyingTextError
        With the places and the reasons, never with the words.
    """
    check_texts(screen, _typed(changes), known)


def check_texts(screen: TextScreen, texts: Iterable[tuple[TypedPlace, str]], known: KnownIdentifiers) -> None:
    """Refuse texts, each with its place, that could identify somebody.

    Raises
    ------
    IdentifyingTextError
        With the places and the reasons, never with the words.
    """
    found = tuple(
        TypedFinding(place=place, finding=finding)
        for place, text in texts
        for finding in screen.findings(text, known)
        if place.field != _A_NUMBER or finding.reason not in _LIKE_A_NUMBER
    )
    if found:
        raise IdentifyingTextError(found)


def _typed(changes: CaseChanges) -> Iterator[tuple[TypedPlace, str]]:
    """Yield every text of a change with its place."""
    for name in ("title", "presentation", "discussion", "differential", "certainty_evidence", "consent_reference"):
        if text := getattr(changes, name):
            yield TypedPlace(field=name), text
    for index, tag in enumerate(changes.tags or ()):
        yield TypedPlace(field="tags", index=index), tag
    for study, change in enumerate(changes.studies):
        for name in ("findings", "caption"):
            if text := getattr(change, name):
                yield TypedPlace(field=name, study=study), text
    for series, labels in enumerate(changes.series):
        for name in ("perspective", "specifics"):
            if text := getattr(labels, name):
                yield TypedPlace(field=name, series=series), text
