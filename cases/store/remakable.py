"""Which received instances can be made anew, and which of them only a person can decide on."""

from cases.intake import InstanceOutcome
from cases.reruns import FOR_A_PERSON
from cases.store.rows import ReceivedInstanceRow
from deidentify.results import DropReason

_DROPPED_BY_PROFILE = frozenset(reason.value for reason in DropReason if reason is not DropReason.REVIEW)


def can_be_made_anew(row: ReceivedInstanceRow) -> bool:
    """Tell whether a profile, and what a person decided on its pixels, say what becomes of an instance."""
    if row.outcome is InstanceOutcome.FILED:
        return True
    return _was_answered_by_a_profile(row) and not waits_for_a_person(row)


def waits_for_a_person(row: ReceivedInstanceRow) -> bool:
    """Tell whether no profile answers what an instance waits for."""
    # One without digests was never compared with what else came under its UIDs.
    is_for_a_person = row.outcome is InstanceOutcome.HELD and row.reason in FOR_A_PERSON
    return is_for_a_person or (_was_answered_by_a_profile(row) and not row.fingerprint_dataset)


def _was_answered_by_a_profile(row: ReceivedInstanceRow) -> bool:
    is_dropped = row.outcome is InstanceOutcome.DROPPED and row.reason in _DROPPED_BY_PROFILE
    return is_dropped or row.outcome is InstanceOutcome.HELD
