"""One patient's cases: found under every generation, withdrawn, erased; whom was asked for is kept nowhere."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.keys import Generation, Keys, Purpose
from bridge.patients import Found, PatientRights, PatientSearch, Wanted
from cases.blobs import LocalBlobs
from cases.errors import CaseClosedError, CaseNotFoundError, StoreUnavailableError
from cases.intake import Destination, InstanceOutcome, NewArrival
from cases.model import CaseShell, CaseStatus, Visibility
from cases.store import Audit, Cases, Consents, Database, Generations, Holds, Intake, Shares
from cases.store.rows import CaseRow
from cases.users import Role
from deidentify.pseudonyms import patient_key_of, patient_number_key_of
from scp.spool import Spool
from tests.cases.test_consents import consented, sealed
from tests.cases.world import (
    HOLD,
    INBOX,
    SCREEN,
    arrival,
    file,
    file_study,
    image,
    key,
    open_shell,
    receive,
    route,
    user,
)

KEYS = dataclasses.replace(
    Keys.derive(b"\x01" * 32),
    generations=(Generation(number=1, secret=b"\x01" * 32), Generation(number=2, secret=b"\x02" * 32)),
)
SOUTH = dataclasses.replace(INBOX, id="south", hospital="south")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool", name_key=KEYS.name_key, reserve_bytes=0)
    made.prepare()
    return made


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def search(database: Database, spool: Spool) -> PatientSearch:
    return PatientSearch(database=database, keys=KEYS, spool=spool, hospitals=frozenset({""}))


@pytest.fixture
def rights(database: Database, spool: Spool, blobs: LocalBlobs) -> PatientRights:
    return PatientRights(database=database, spool=spool, blobs=blobs, actor="officer")


def find(search: PatientSearch, number: str, issuer: str = "") -> Found:
    return search.find(Wanted(identified_patient_id=number, identified_issuer=issuer), actor="officer")


def name_patient(
    database: Database,
    study: str,
    number: str,
    route: Destination = INBOX,
    *,
    generation: int = 1,
    issuer: str | None = None,
) -> None:
    """Let the first instance of a study name its patient, as inspection does."""
    patients = KEYS.of(generation).subkey(Purpose.PATIENTS)
    of_number = patient_number_key_of(patients, identified_patient_id=number)
    whose = patient_key_of(patients, issuer=issuer or route.hospital, identified_patient_id=number)
    with database.write() as session:
        Intake(session).set_patient_key(f"{key(study)}-{route.id}", whose, of_number)


def file_of(
    database: Database,
    study: str,
    number: str,
    route: Destination = INBOX,
    *,
    generation: int = 1,
    issuer: str | None = None,
) -> CaseShell:
    shell = file_study(database, route, study, 2)
    name_patient(database, study, number, route, generation=generation, issuer=issuer)
    return shell


def keep_originals(spool: Spool, *arrivals: NewArrival) -> list[Path]:
    paths = [spool.path(one.study_key, one.sop_key, one.arrival_id) for one in arrivals]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"original")
        path.with_suffix(".findings.json").write_bytes(b"recognised text")
    return paths


def publish(database: Database, shell: CaseShell, status: CaseStatus = CaseStatus.PUBLISHED) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE teaching_case SET status = '{status.value}' WHERE id = '{shell.case_id}'")


def status_of(database: Database, shell: CaseShell) -> CaseStatus:
    admin = user(database, "root", Role.ADMIN)
    with database.read() as session:
        return Cases(session).get(admin, shell.case_id).summary.status


def case_ids(found: Found) -> list[str]:
    return [case.case_id for case in found.findings.cases]


# -- finding ---------------------------------------------------------------------------------------------------------


def test_cases_of_every_generation_and_issuer_are_found_by_the_number_alone(
    database: Database, search: PatientSearch
) -> None:
    first = file_of(database, "first", "4711")
    second = file_of(database, "second", " 04711 ", generation=2)
    south = file_of(database, "third", "4711", SOUTH)
    stated = file_of(database, "fourth", "4711", issuer="Elsewhere AG")
    file_of(database, "of another", "4712")

    found = find(search, "4711")

    assert case_ids(found) == [shell.case_id for shell in (first, second, south, stated)]
    assert [found.issuer_of(case) for case in found.findings.cases] == ["north", "north", "south", "another issuer"]
    assert found.patients == 3
    assert case_ids(find(search, "nobody")) == []


def test_an_issuer_narrows_the_search_and_what_is_left_out_is_counted(
    database: Database, search: PatientSearch
) -> None:
    file_of(database, "north", "4711")
    south = file_of(database, "south", "4711", SOUTH)
    stated = file_of(database, "stated", "4711", issuer="Elsewhere AG")

    for issuer, shell in (("South", south), ("elsewhere ag", stated)):
        found = find(search, "4711", issuer)
        assert case_ids(found) == [shell.case_id]
        assert found.elsewhere == 4
        assert found.patients == 1


def test_two_unknown_issuers_count_as_two_people(database: Database, search: PatientSearch) -> None:
    file_of(database, "first", "4711", issuer="One")
    file_of(database, "second", "4711", issuer="Other")

    assert find(search, "4711").patients == 2


def test_a_study_whose_patient_has_no_number_is_found_by_its_uid(
    database: Database, search: PatientSearch, spool: Spool
) -> None:
    uid = "1.2.3.4"
    arrived = dataclasses.replace(arrival("s", "1"), study_key=spool.study_key(uid))
    with database.write() as session:
        Intake(session).record([arrived], destination=INBOX)
        Intake(session).assign_generation(f"{arrived.study_key}-{INBOX.id}")
        shell = Cases(session).open_shell(f"{arrived.study_key}-{INBOX.id}")
    file_study(database, INBOX, "another without a number")

    found = search.find(Wanted(identified_study_uid=uid), actor="officer")

    assert case_ids(found) == [shell.case_id]
    assert found.patients == 0
    assert case_ids(find(search, "4711")) == []


def test_the_audit_log_says_who_asked_and_how_much_was_found_and_nothing_of_whom(
    database: Database, search: PatientSearch
) -> None:
    file_of(database, "study", "KANARI-4711")
    wanted = Wanted(identified_patient_id="KANARI-4711", identified_issuer="north")
    found = search.find(wanted, actor="command-line (ann)")
    find(search, "KANARI-0815")

    with database.read() as session:
        entries = Audit(session).entries(actions=("patient.find",))
    assert [(one.actor, one.detail["cases"], one.detail["with_issuer"]) for one in entries] == [
        ("command-line (ann)", 1, True),
        ("officer", 0, False),
    ]
    assert "KANARI" not in repr((wanted, found, entries))
    keys = {one.patient_key for one in (*found.findings.cases, *found.findings.studies)}
    assert not any(each in repr((found, entries)) for each in keys)
    with database.engine.connect() as connection:
        for table in ("teaching_case", "received_study", "audit_entry"):
            assert "KANARI" not in repr(connection.exec_driver_sql(f"SELECT * FROM {table}").all())


# -- withdrawing -----------------------------------------------------------------------------------------------------


def test_what_others_see_becomes_a_draft_and_the_rest_stays(
    database: Database, search: PatientSearch, rights: PatientRights
) -> None:
    shells = [file_of(database, name, "4711") for name in ("published", "in review", "draft")]
    stranger = file_of(database, "stranger", "4712")
    publish(database, shells[0])
    publish(database, shells[1], CaseStatus.PENDING_REVIEW)
    publish(database, stranger)

    assert rights.withdraw(find(search, "4711").findings) == 2

    assert {status_of(database, shell) for shell in shells} == {CaseStatus.DRAFT}
    assert status_of(database, stranger) is CaseStatus.PUBLISHED
    with database.read() as session:
        entries = Audit(session).entries(actions=("patient.withdraw",))
    assert [one.subject for one in entries] == [shell.case_id for shell in shells[:2]]


@pytest.mark.parametrize("transition", ["withdraw", "erase"])
def test_links_to_the_cases_of_a_patient_end_and_it_is_on_record_how_many(
    database: Database, search: PatientSearch, rights: PatientRights, transition: str
) -> None:
    ann = user(database, "ann")
    shells = [file_of(database, name, number, route("ann")) for name, number in (("one", "4711"), ("two", "4712"))]
    tokens = []
    for shell in shells:
        with database.write() as session:
            case = session.get_one(CaseRow, shell.case_id)
            case.status, case.visibility = CaseStatus.PUBLISHED, Visibility.UNLISTED
            session.flush()
            made = Shares(session).make(ann, shell.case_id, label="board", lasts=timedelta(days=1), screen=SCREEN)
            tokens.append(made[1])

    done = getattr(rights, transition)(find(search, "4711").findings)

    assert (done if transition == "withdraw" else done.links) == 1
    with database.read() as session:
        with pytest.raises(CaseNotFoundError):
            Shares(session).open(tokens[0])
        assert Shares(session).open(tokens[1]).case_id == shells[1].case_id
        [entry] = Audit(session).entries(actions=(f"patient.{transition}",))
    assert entry.detail["links"] == 1


# -- erasing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [CaseStatus.DRAFT, CaseStatus.PUBLISHED])
def test_erasing_takes_images_originals_holds_and_every_key_of_the_patient(
    database: Database, search: PatientSearch, rights: PatientRights, spool: Spool, status: CaseStatus
) -> None:
    filed, held = receive(database, INBOX, "study", 2)
    shell = open_shell(database, INBOX, "study")
    name_patient(database, "study", "4711")
    blob = file(database, shell, filed, image("1"))
    rights.blobs.put(blob, b"pixels")
    with database.write() as session:
        Holds(session).hold(shell.case_id, held.arrival_id, HOLD)
    originals = keep_originals(spool, filed, held)
    stranger = file_of(database, "stranger", "4712")
    kept = keep_originals(spool, arrival("stranger", "0"))
    publish(database, shell, status)

    erased = rights.erase(find(search, "4711").findings)

    assert (erased.cases, erased.images, erased.originals, erased.left, erased.blobs_left) == (1, 1, 2, 0, 0)
    assert not any(path.exists() or path.with_suffix(".findings.json").exists() for path in originals)
    assert not rights.blobs.exists(blob)
    assert all(path.exists() for path in kept)
    assert status_of(database, shell) is CaseStatus.REMOVED
    assert status_of(database, stranger) is CaseStatus.DRAFT
    again = find(search, "4711")
    assert not again.findings.cases
    assert not again.findings.studies
    admin = user(database, "root", Role.ADMIN)
    with database.read() as session:
        assert not Holds(session).list(admin).items
        assert all(one.is_purged for one in Intake(session).instances(f"{key('study')}-{INBOX.id}"))
        assert Intake(session).summary().total.adds_up
        actions = [one.action for one in Audit(session).entries() if one.actor == "officer"]
    assert actions == ["patient.find", "patient.erase-study", "patient.erase", "patient.find"]


def test_erasing_takes_the_document_of_the_consent_and_counts_what_is_still_on_its_way(
    database: Database, search: PatientSearch, rights: PatientRights
) -> None:
    shell, other = file_of(database, "study", "4711"), file_of(database, "other", "4712")
    gone, stays = consented(database, shell.case_id, "gone"), consented(database, other.case_id, "stays")
    written = sealed(shell.case_id, "being written").blob_key
    for blob in (gone, stays, written):
        rights.blobs.put(blob, b"sealed")
    with database.write() as session:
        Consents(session).begin(user(database, "eve", Role.EDITOR), shell.case_id, written)

    erased = rights.erase(find(search, "4711").findings)

    assert [rights.blobs.exists(blob) for blob in (gone, stays)] == [False, True]
    assert erased.blobs_left == 1


def test_the_tombstone_of_a_removed_case_is_erased_too(
    database: Database, search: PatientSearch, rights: PatientRights
) -> None:
    shell = file_of(database, "study", "4711")
    editor = user(database, "eve", Role.EDITOR)
    with database.write() as session:
        Cases(session).remove(editor, shell.case_id)
    assert [case.status for case in find(search, "4711").findings.cases] == [CaseStatus.REMOVED]

    rights.erase(find(search, "4711").findings)

    assert not find(search, "4711").findings.cases


def test_what_still_arrives_or_is_worked_on_becomes_no_case(
    database: Database, search: PatientSearch, rights: PatientRights, spool: Spool
) -> None:
    working, other = receive(database, INBOX, "study", 2)
    shell = open_shell(database, INBOX, "study")
    name_patient(database, "study", "4711")
    arriving = arrival("study", "late")
    with database.write() as session:
        Intake(session).record([arriving], destination=INBOX)
    keep_originals(spool, working, other, arriving)

    rights.erase(find(search, "4711").findings)

    with pytest.raises(CaseClosedError):
        file(database, shell, working, image("1"))
    # The engine tries the study again, and a child process may have read an original before it went.
    later = open_shell(database, INBOX, "study")
    blob = file(database, later, working, image("1"))
    with database.write() as session:
        assert not Intake(session).arriving()
        assert blob in Cases(session).condemned_blobs()
        Cases(session).close_books(f"{key('study')}-{INBOX.id}")
    admin = user(database, "root", Role.ADMIN)
    with database.read() as session:
        assert [case.status for case in Cases(session).list(admin).items] == []
        outcomes = {one.outcome for one in Intake(session).instances(f"{key('study')}-{INBOX.id}")}
        assert outcomes == {InstanceOutcome.DROPPED}
        assert Intake(session).summary().total.adds_up


def test_an_original_that_cannot_be_deleted_is_found_again_and_erased_then(
    database: Database,
    search: PatientSearch,
    rights: PatientRights,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrivals = receive(database, INBOX, "study", 2)
    open_shell(database, INBOX, "study")
    name_patient(database, "study", "4711")
    originals = keep_originals(spool, *arrivals)
    remove = Spool.remove

    def refuse(self: Spool, study_key: str, sop_key: str, arrival_id: str) -> bool:
        if arrival_id == arrivals[1].arrival_id:
            raise OSError(5, "Input/output error")
        return remove(self, study_key, sop_key, arrival_id)

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "remove", refuse)
        erased = rights.erase(find(search, "4711").findings)
    assert (erased.originals, erased.left) == (1, 1)
    assert [path.exists() for path in originals] == [False, True]

    erased = rights.erase(find(search, "4711").findings)

    assert (erased.originals, erased.left) == (1, 0)
    assert not originals[1].exists()
    assert not find(search, "4711").findings.studies


def test_images_that_the_store_does_not_delete_are_said_to_be_there(
    database: Database, search: PatientSearch, rights: PatientRights, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(database, "study", "4711")

    def refuse(_blobs: LocalBlobs, _key: str) -> None:
        raise StoreUnavailableError("a blob cannot be deleted")

    monkeypatch.setattr(LocalBlobs, "delete", refuse)
    assert rights.erase(find(search, "4711").findings).blobs_left == 2


def test_a_retired_generation_leads_to_nobody_any_more(database: Database, search: PatientSearch) -> None:
    with database.write() as session:
        for one in KEYS.generations:
            Generations(session).register(one.number, one.check)
    newer = file_of(database, "newer", "4711", generation=2)
    assert newer.secret_generation == 2

    left = dataclasses.replace(search, keys=dataclasses.replace(KEYS, generations=KEYS.generations[1:]))

    assert case_ids(find(left, "4711")) == [newer.case_id]
