"""What a peer proposes reaches the books, whatever it is."""

from datetime import UTC, datetime

import pytest

from bridge.journals import association_summary
from cases.store import Database, Intake, Peers
from cases.store.association_rows import RefusalRow
from scp.journal import AssociationRecord, ContextRecord, Outcome, RefusedObjects

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize("proposed", ["1.2\x003.4", "DOE^JOHN", "", "1." * 40])
def test_a_proposed_syntax_that_is_no_uid_is_counted_and_not_quoted(database: Database, proposed: str) -> None:
    record = AssociationRecord(
        association_id="a" * 32,
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.7",
        started_at=NOON,
        ended_at=NOON,
        outcome=Outcome.RELEASED,
        rule="",
        contexts=(ContextRecord(abstract_syntax=proposed, transfer_syntaxes=("1.2.840.10008.1.2",), accepted=None),),
        stored=0,
        refused=(RefusedObjects(sop_class_uid=proposed, status=0x0122, reason="declined", count=2),),
        echoes=0,
        count=1,
    )

    with database.write() as session:
        assert Intake(session).record_association(association_summary(record))
    with database.read() as session:
        assert Intake(session).summary().declined == {"malformed": 1}
        assert [(row.sop_class_uid, row.count) for row in session.query(RefusalRow)] == [("malformed", 2)]


def test_how_a_connection_was_secured_reaches_the_books(database: Database) -> None:
    record = AssociationRecord(
        association_id="a" * 32,
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.7",
        started_at=NOON,
        ended_at=NOON,
        tls="TLSv1.3",
        certificate="sha256:" + "ab" * 32 + " pacs.example",
        outcome=Outcome.RELEASED,
        rule="",
        contexts=(),
        stored=0,
        refused=(),
        echoes=1,
        count=1,
    )

    with database.write() as session:
        assert Intake(session).record_association(association_summary(record))
    with database.read() as session:
        [sender] = Peers(session).senders()
    assert (sender.tls, sender.certificate) == (record.tls, record.certificate)
