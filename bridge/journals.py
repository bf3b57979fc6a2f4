"""From the receiver's journal of an association to the books that the case store keeps."""

from collections import Counter

from cases.intake import AssociationOutcome, AssociationSummary, DeclinedContext, Refusal
from scp.contexts import declined_because, is_uid
from scp.journal import AssociationRecord, Outcome

OUTCOMES = {
    Outcome.RELEASED: AssociationOutcome.RELEASED,
    Outcome.ABORTED: AssociationOutcome.ABORTED,
    Outcome.INTERRUPTED: AssociationOutcome.LOST,
    Outcome.REJECTED: AssociationOutcome.REJECTED,
}


def association_summary(record: AssociationRecord) -> AssociationSummary:
    """Return what the store keeps of an association: who, when, how it ended, and what was refused and declined."""
    refused = Counter[tuple[str, int, str]]()
    for group in record.refused:
        refused[_uid(group.sop_class_uid), group.status, group.reason] += group.count
    return AssociationSummary(
        association_id=record.association_id,
        calling_ae=record.calling_ae,
        called_ae=record.called_ae,
        peer_address=record.peer_address,
        started_at=record.started_at,
        ended_at=record.ended_at,
        outcome=OUTCOMES[record.outcome],
        rule=record.rule,
        count=record.count,
        stored=record.stored,
        tls=record.tls,
        certificate=record.certificate,
        refusals=tuple(
            Refusal(sop_class_uid=uid, status=status, reason=reason, count=count)
            for (uid, status, reason), count in sorted(refused.items())
        ),
        declined=tuple(
            DeclinedContext(
                abstract_syntax=_uid(context.abstract_syntax),
                reason=declined_because(context.abstract_syntax, context.transfer_syntaxes),
            )
            for context in record.declined
        ),
    )


def _uid(proposed: str) -> str:
    # Anybody who reaches the port can propose anything: a NUL, which PostgreSQL takes in no text, or a name.
    return proposed if is_uid(proposed) else "malformed"
