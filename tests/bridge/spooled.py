"""Arrivals in a real spool, for the tests of what reads it."""

from pathlib import Path

from scp.arrival import Arrival, ArrivalFacts
from scp.journal import AssociationFacts, Outcome
from scp.spool import Spool
from tests.builders import ct_instance, uid, write_part10


def spool_in(folder: Path) -> Spool:
    spool = Spool(folder / "spool", name_key=b"n" * 32, reserve_bytes=0)
    spool.prepare()
    return spool


def arrive(
    spool: Spool, study: int, number: int = 1, *, called: str = "CASEBRIDGE", calling: str = "PACS", key: str = "a" * 32
) -> Arrival:
    """Put an instance into the spool as the receiver does."""
    whole = write_part10(ct_instance(study=study, number=number))
    facts = ArrivalFacts(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        identified_sop_instance_uid=uid(study, 1, number),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae=calling,
        called_ae=called,
        peer_address="127.0.0.1",
        association_id=key,
    )
    incoming = spool.begin(facts)
    incoming.write(whole[144 + int.from_bytes(whole[140:144], "little") :])
    return incoming.commit(identified_study_uid=uid(study))


def journal(spool: Spool, facts: AssociationFacts, *, stored: int = 0, refused: int = 0) -> None:
    """Write the journal of an association that has ended."""
    book = spool.journal.open(facts)
    for _ in range(stored):
        book.stored()
    for _ in range(refused):
        book.refused(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", status=0xC000, reason="unreadable")
    book.end(Outcome.RELEASED)
