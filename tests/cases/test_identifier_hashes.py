"""Hashes of a case's identifiers: kept with the image that they came with, once, bounded, and gone with the case."""

import pytest
from alembic import command
from sqlalchemy import delete, func, inspect, select, text

from cases.changes import CaseChanges, StudyChange
from cases.errors import CaseClosedError, IdentifyingTextError, TypedPlace
from cases.intake import InstanceOutcome
from cases.model import CaseStatus
from cases.store import Cases, Database, Holds, Intake
from cases.store.identifier_hashes import MOST_OF_A_CASE, HashesOfIdentifiers, IdentifierHashRow
from cases.store.migrate import alembic_config
from cases.store.rows import CaseImageRow, CaseRow
from deidentify.results import IdentifierHashes, TextReason
from deidentify.screen_tokens import CaseHash
from tests.cases.world import HOLD, INBOX, NOON, SCREEN, file, image, open_shell, receive, route, user

ANN = route("ann")


def hashes(case_id: str, *words: str, is_whole: bool = True) -> IdentifierHashes:
    """What is kept of an original that names these words."""
    hashed = CaseHash(b"s" * 32, case_id)
    return IdentifierHashes(hashes=frozenset(hashed("word", word) for word in words), is_whole=is_whole)


def kept(database: Database, case_id: str | None = None) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(IdentifierHashRow)
        return session.scalar(query if case_id is None else query.where(IdentifierHashRow.case_id == case_id)) or 0


def edit(database: Database, case_id: str, changes: CaseChanges) -> None:
    ann = user(database, "ann")
    with database.write() as session:
        version = Cases(session).get(ann, case_id).summary.version
        Cases(session).patch(ann, case_id, changes, version, SCREEN)


def knows(database: Database, case_id: str) -> bool:
    with database.read() as session:
        seen = Cases(session).get(user(database, "ann"), case_id).knows_identifiers
        row = session.get(CaseRow, case_id)
        assert row is not None
        assert seen == HashesOfIdentifiers(session).known(row).is_whole
    return seen


def test_hashes_are_kept_with_the_image_once_and_each_batch_adds_its_own(database: Database) -> None:
    one, two, three = receive(database, ANN, "s", 3)
    shell = open_shell(database, ANN, "s")
    assert not knows(database, shell.case_id)
    for _ in range(2):
        file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller", "johanna"))
    assert kept(database, shell.case_id) == 2
    file(database, shell, two, image("2", study="s"), hashes(shell.case_id, "keller", "johanna"))
    file(database, shell, three, image("3", study="other"), hashes(shell.case_id, "keller", "meier"))
    assert kept(database, shell.case_id) == 3
    assert knows(database, shell.case_id)


def test_filing_that_fails_keeps_no_hash(database: Database) -> None:
    (one,) = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")

    def fail() -> None:
        with database.write() as session:
            found = hashes(shell.case_id, "keller")
            Cases(session).file(shell.case_id, one.arrival_id, image("1", study="s"), "cases/b", found)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert kept(database) == 0


def test_a_case_that_was_closed_takes_no_hash(database: Database) -> None:
    one, two = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller"))
    with database.write() as session:
        Cases(session).remove(user(database, "ann"), shell.case_id)
    with pytest.raises(CaseClosedError):
        file(database, shell, two, image("2", study="s"), hashes(shell.case_id, "keller"))
    assert kept(database) == 0


def test_hashes_of_one_case_are_no_other_cases(database: Database) -> None:
    for name in ("s", "t"):
        arrivals = receive(database, ANN, name)
        shell = open_shell(database, ANN, name)
        file(database, shell, arrivals[0], image(name, study=name), hashes(shell.case_id, "keller"))
    with database.read() as session:
        rows = [(row.case_id, row.digest) for row in session.scalars(select(IdentifierHashRow))]
    assert len({digest for _, digest in rows}) == len({case_id for case_id, _ in rows}) == 2


# -- gone with the case ------------------------------------------------------------------------------------------------


def test_a_withdrawn_case_leaves_no_hash_behind(database: Database) -> None:
    one, two = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller"))
    with database.write() as session:
        Holds(session).hold(shell.case_id, two.arrival_id, HOLD)
    with database.write() as session:
        Cases(session).remove(user(database, "ann"), shell.case_id)
    assert kept(database) == 0


def test_hashes_go_with_the_last_image_that_is_taken_out(database: Database) -> None:
    one, two = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    for number, arrived in enumerate((one, two)):
        file(database, shell, arrived, image(str(number), study="s"), hashes(shell.case_id, "keller"))
    with database.write() as session:
        Cases(session).withdraw_image(one.arrival_id)
        Holds(session).hold(shell.case_id, one.arrival_id, HOLD)
    assert kept(database) == 1
    with database.write() as session:
        Cases(session).withdraw_image(two.arrival_id)
        Holds(session).hold(shell.case_id, two.arrival_id, HOLD)
    assert kept(database) == 0
    # What is held now ends undecided some day; nothing is kept of it then either.
    with database.write() as session:
        Intake(session).mark_purged([one.arrival_id, two.arrival_id], NOON)
    assert kept(database) == 0
    assert not knows(database, shell.case_id)


def test_an_image_that_takes_anothers_place_leaves_the_hashes_of_both(database: Database) -> None:
    one, two = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("same", study="s"), hashes(shell.case_id, "keller"))
    with database.write() as session:
        Cases(session).withdraw_image(one.arrival_id)
        Intake(session).finish(one.arrival_id, InstanceOutcome.SUPERSEDED, duplicate_of=two.arrival_id)
        Cases(session).file(
            shell.case_id, two.arrival_id, image("same", study="s"), "cases/b", hashes(shell.case_id, "meier")
        )
    assert kept(database, shell.case_id) == 1
    assert knows(database, shell.case_id)


def test_the_database_itself_deletes_the_hashes_of_a_case_that_is_deleted(database: Database) -> None:
    one, *_ = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    with database.write() as session:
        HashesOfIdentifiers(session).add(shell.case_id, hashes(shell.case_id, "keller"))
    assert kept(database) == 1
    with database.write() as session:
        session.execute(text("UPDATE received_instance SET case_id = NULL"))
        session.execute(delete(CaseRow).where(CaseRow.id == shell.case_id))
    assert kept(database) == 0
    assert one.arrival_id


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_what_is_kept_of_a_case_is_bounded_and_the_case_says_so(database: Database) -> None:
    one, two, three = receive(database, ANN, "s", 3)
    shell = open_shell(database, ANN, "s")
    many = [f"word{number}" for number in range(MOST_OF_A_CASE)]
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, *many))
    assert knows(database, shell.case_id)
    file(database, shell, two, image("2", study="s"), hashes(shell.case_id, *many[:5]))
    assert knows(database, shell.case_id)
    file(database, shell, three, image("3", study="s"), hashes(shell.case_id, "one", "more"))
    assert kept(database, shell.case_id) == MOST_OF_A_CASE
    assert not knows(database, shell.case_id)


def test_an_original_that_held_more_than_is_kept_of_one_says_so(database: Database) -> None:
    one, *_ = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller", is_whole=False))
    assert kept(database) == 1
    assert not knows(database, shell.case_id)


# -- what is typed -----------------------------------------------------------------------------------------------------


def test_a_text_with_an_identifier_of_the_case_changes_nothing_and_its_places_are_named(database: Database) -> None:
    one, *_ = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller"))
    ann = user(database, "ann")
    with database.read() as session:
        before = Cases(session).get(ann, shell.case_id)
    study = StudyChange(id=before.studies[0].id, findings="As Keller had it in 3/4/2019.", caption="clean")
    changes = CaseChanges(title="Fine", presentation="Mr Keller", tags=("good", "keller"), studies=(study,))
    with pytest.raises(IdentifyingTextError) as caught:
        edit(database, shell.case_id, changes)
    found = [(one.place, one.finding.start, one.finding.end, one.finding.reason) for one in caught.value.findings]
    assert found == [
        (TypedPlace(field="presentation"), 0, 9, TextReason.CASE_IDENTIFIER),
        (TypedPlace(field="tags", index=1), 0, 6, TextReason.CASE_IDENTIFIER),
        (TypedPlace(field="findings", study=0), 3, 9, TextReason.CASE_IDENTIFIER),
        (TypedPlace(field="findings", study=0), 20, 28, TextReason.DATE),
    ]
    assert "keller" not in f"{caught.value!s}{caught.value!r}".casefold()
    with database.read() as session:
        assert Cases(session).get(ann, shell.case_id) == before


def test_a_case_whose_identifiers_nobody_kept_is_held_against_patterns_alone(database: Database) -> None:
    one, *_ = receive(database, ANN, "s")
    shell = open_shell(database, ANN, "s")
    file(database, shell, one, image("1", study="s"))
    assert not knows(database, shell.case_id)
    edit(database, shell.case_id, CaseChanges(title="Keller"))
    with pytest.raises(IdentifyingTextError):
        edit(database, shell.case_id, CaseChanges(title="Mr Keller"))


def test_images_of_an_older_version_count_as_unknown(empty_url: str) -> None:
    database = Database.open(empty_url)
    database.migrate()
    one, *_ = receive(database, INBOX, "s")
    shell = open_shell(database, INBOX, "s")
    file(database, shell, one, image("1", study="s"), hashes(shell.case_id, "keller"))
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")
        assert "identifier_hash" not in inspect(connection).get_table_names()
        assert connection.execute(text("SELECT count(*) FROM case_image")).scalar() == 1
    database.migrate()
    with database.read() as session:
        assert session.scalars(select(CaseImageRow.identifiers_kept)).all() == [False]
        case = session.scalars(select(CaseRow)).one()
        known = HashesOfIdentifiers(session).known(case)
        assert (known.hashes, known.is_whole) == (frozenset(), False)
        assert case.status == CaseStatus.DRAFT
    database.close()
