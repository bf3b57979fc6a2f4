"""Where it stands what should have arrived of a study: the senders' own lists.

One visible list of sources. Each is a function of a session and a study's row key that returns the list held against
what arrived, or None where there is none. A list by which nothing is missing lets its study settle at once, and every
list is evidence in the study's receipt.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cases.evidence import EvidenceRule, ListedInstances
from cases.receipts import SettledBy
from cases.store.commitment_rows import CommitmentInstanceRow
from cases.store.commitments import Commitments
from cases.store.manifests import teaching_list
from cases.store.rows import ReceivedInstanceRow

ListSource = Callable[[Session, str], ListedInstances | None]


def _requested_for_commitment(session: Session, study_key: str) -> ListedInstances | None:
    found = Commitments(session).requested(study_key)
    if found is None:
        return None
    missing = found.named - found.present
    return ListedInstances(
        rule=EvidenceRule.COMMITMENT,
        listed=found.named,
        missing=missing,
        # A request may list instances of several studies, and the missing ones bear no mark of theirs.
        is_of_others=missing > 0 and found.present > _named_and_here(session, study_key),
        leaves_out=missing == 0 and not found.is_complete,
    )


def _named_and_here(session: Session, study_key: str) -> int:
    query = select(func.count(ReceivedInstanceRow.sop_key.distinct())).where(
        ReceivedInstanceRow.received_study == study_key,
        ReceivedInstanceRow.sop_key.in_(select(CommitmentInstanceRow.sop_key)),
    )
    return session.scalar(query) or 0


SOURCES: Sequence[ListSource] = (teaching_list, _requested_for_commitment)
"""In the order in which they are asked; a new kind of list is one line here."""


def lists_of(session: Session, study_key: str) -> tuple[ListedInstances, ...]:
    """Return every list that there is of a study, by its row key."""
    return tuple(found for source in SOURCES if (found := source(session, study_key)) is not None)


def settled_by_list(session: Session, study_key: str) -> SettledBy | None:
    """Return the kind of list by which everything is there, None where none says so.

    A commitment request may name a part of what its sender sends: it counts only where nothing came that it leaves out.
    """
    for found in lists_of(session, study_key):
        if found.missing:
            continue
        if found.rule is EvidenceRule.MANIFEST:
            return SettledBy.MANIFEST
        if not found.leaves_out:
            return SettledBy.COMMITMENT
    return None
