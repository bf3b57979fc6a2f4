"""Documents of consents in the store: one for a case, never without its blob, and gone with what holds it."""

from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import inspect

from cases.changes import CaseChanges
from cases.consents import ConsentDocument, DocumentType, SealedDocument, checked_reason, document_blob_key
from cases.errors import (
    CaseNotFoundError,
    IdentifyingTextError,
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    StoreUnavailableError,
    VersionConflictError,
)
from cases.intake import InstanceOutcome
from cases.model import CaseDetail, CaseStatus
from cases.store import Cases, Consents, Database, Intake
from cases.store import consents as consents_module
from cases.store.clock import now as clock_now
from cases.store.migrate import alembic_config
from cases.store.rows import CaseRow
from cases.users import Role, User
from tests.cases.world import INBOX, SCREEN, file_study, key, open_shell, receive, route, user

ROOT = User(id="", name="root", role=Role.ADMIN, draft_limit=0)
SHA = "a" * 64


def case_of(database: Database, name: str = "study", owner: str = "ann") -> str:
    user(database, owner)
    return file_study(database, route(owner), name).case_id


def sealed(case_id: str, name: str = "1", key_id: str = "k" * 32) -> SealedDocument:
    blob_key = document_blob_key(case_id, key(name))
    return SealedDocument(blob_key=blob_key, key_id=key_id, media_type=DocumentType.PDF, size_bytes=15, sha256=SHA)


def begun(database: Database, viewer: User, document: SealedDocument, case_id: str) -> None:
    with database.write() as session:
        Consents(session).begin(viewer, case_id, document.blob_key)


def kept(database: Database, viewer: User, document: SealedDocument, case_id: str) -> tuple[CaseDetail, str]:
    with database.write() as session:
        return Consents(session).keep(viewer, case_id, document)


def consented(database: Database, case_id: str, name: str = "1", key_id: str = "k" * 32) -> str:
    """Let a case have a document; return where it lies."""
    document = sealed(case_id, name, key_id)
    editor = user(database, "eve", Role.EDITOR)
    begun(database, editor, document, case_id)
    kept(database, editor, document, case_id)
    return document.blob_key


def condemned(database: Database, *, has_spared: bool = False) -> list[str]:
    with database.read() as session:
        return Cases(session).condemned_blobs(has_spared=has_spared)


def shown(database: Database, case_id: str) -> ConsentDocument | None:
    with database.read() as session:
        return Cases(session).get(ROOT, case_id).consent.document


def version_of(database: Database, case_id: str) -> int:
    with database.read() as session:
        return Cases(session).get(ROOT, case_id).summary.version


def set_status(database: Database, case_id: str, status: CaseStatus) -> None:
    with database.write() as session:
        session.get_one(CaseRow, case_id).status = status


# -- keeping ---------------------------------------------------------------------------------------------------------


def test_a_case_tells_of_its_document_and_nothing_of_what_it_is_in(database: Database) -> None:
    case_id = case_of(database)
    before = version_of(database, case_id)
    assert shown(database, case_id) is None

    consented(database, case_id)

    document = shown(database, case_id)
    assert document is not None
    assert (document.media_type, document.size_bytes) == (DocumentType.PDF, 15)
    assert clock_now() - document.kept_at < timedelta(minutes=1)
    assert version_of(database, case_id) == before + 1
    assert condemned(database, has_spared=True) == []
    with database.read() as session:
        assert Consents(session).counts() == {"k" * 32: 1}


def test_a_new_document_replaces_the_one_before_whose_blob_is_condemned(database: Database) -> None:
    case_id = case_of(database)
    old = consented(database, case_id)

    new = consented(database, case_id, "2")

    assert condemned(database) == [old]
    with database.read() as session:
        assert Consents(session).blob_keys(case_id) == [new]


def test_what_was_begun_and_never_kept_is_condemned_once_nobody_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, ann = case_of(database), user(database, "ann")
    begun(database, ann, sealed(case_id), case_id)
    assert condemned(database) == []
    assert condemned(database, has_spared=True) == [sealed(case_id).blob_key]

    monkeypatch.setattr(consents_module, "WRITING", timedelta(0))
    begun(database, ann, sealed(case_id, "late"), case_id)

    assert condemned(database) == [sealed(case_id, "late").blob_key]
    with pytest.raises(StoreUnavailableError, match="took too long"):
        kept(database, ann, sealed(case_id, "late"), case_id)
    with pytest.raises(StoreUnavailableError, match="took too long"):
        kept(database, ann, sealed(case_id, "never begun"), case_id)
    assert shown(database, case_id) is None


def test_a_blob_that_is_given_up_goes_at_once_unless_it_is_kept_after_all(database: Database) -> None:
    case_id, ann = case_of(database), user(database, "ann")
    begun(database, ann, sealed(case_id), case_id)
    key_kept = consented(database, case_id, "2")

    with database.write() as session:
        given_up = [Cases(session).give_up_blob(one) for one in (sealed(case_id).blob_key, key_kept)]

    assert given_up == [True, False]
    assert condemned(database) == [sealed(case_id).blob_key]


def test_a_blob_that_a_document_is_in_is_never_condemned_by_somebody_else(database: Database) -> None:
    case_id = case_of(database)
    blob_key = consented(database, case_id)
    with database.write() as session:
        Cases(session).condemn_blob(blob_key, case_id)

    assert condemned(database) == []


@pytest.mark.parametrize("step", [begun, kept])
def test_who_may_not_edit_the_case_keeps_nothing(database: Database, step) -> None:  # type: ignore[no-untyped-def]
    case_id, ann = case_of(database), user(database, "ann")
    begun(database, ann, sealed(case_id), case_id)
    another = sealed(case_id) if step is kept else sealed(case_id, "2")

    with pytest.raises(NotAllowedError):
        step(database, user(database, "bob"), another, case_id)
    set_status(database, case_id, CaseStatus.PENDING_REVIEW)
    with pytest.raises(InvalidTransitionError, match="in review"):
        step(database, ann, another, case_id)
    set_status(database, case_id, CaseStatus.REMOVED)
    with pytest.raises(InvalidTransitionError, match="removed"):
        step(database, ann, another, case_id)
    with pytest.raises(CaseNotFoundError):
        step(database, ann, another, "0" * 32)
    assert shown(database, case_id) is None
    assert condemned(database, has_spared=True) == [sealed(case_id).blob_key]


def test_a_version_that_is_over_is_refused_before_and_after_the_writing(database: Database) -> None:
    case_id, ann = case_of(database), user(database, "ann")
    version = version_of(database, case_id)
    document = sealed(case_id)
    with database.write() as session:
        Consents(session).begin(ann, case_id, document.blob_key, version=version)
    consented(database, case_id, "2")

    with pytest.raises(VersionConflictError), database.write() as session:
        Consents(session).keep(ann, case_id, document, version=version)
    with pytest.raises(VersionConflictError), database.write() as session:
        Consents(session).begin(ann, case_id, sealed(case_id, "3").blob_key, version=version)


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_an_editor_let_out_stays_let_out_with_another_document(database: Database, is_seen: bool) -> None:
    case_id = case_of(database)
    with database.write() as session:
        row = session.get_one(CaseRow, case_id)
        row.approved_version = row.version if is_seen else row.version - 1

    consented(database, case_id)
    with database.write() as session:
        Consents(session).delete(case_id)

    with database.read() as session:
        row = session.get_one(CaseRow, case_id)
        assert (row.approved_version == row.version) is is_seen


# -- reading ---------------------------------------------------------------------------------------------------------


def test_a_document_is_found_for_a_reason_that_names_nobody(database: Database) -> None:
    case_id = case_of(database)
    blob_key = consented(database, case_id)
    with database.read() as session:
        consents = Consents(session)
        found = consents.for_reading(case_id, "  The patient\n asks. ", SCREEN)
        for reason in ("", "  ", "x" * 201, "a\0b"):
            with pytest.raises(InvalidChangeError, match="say why"):
                consents.for_reading(case_id, reason, SCREEN)
        for reason in ("Asked by Dr. Zwitschervogel", "born 07.06.1935"):
            with pytest.raises(IdentifyingTextError):
                consents.for_reading(case_id, reason, SCREEN)
        with pytest.raises(CaseNotFoundError):
            consents.for_reading("0" * 32, "The patient asks.", SCREEN)

    assert (found.blob_key, found.sha256, found.size_bytes) == (blob_key, SHA, 15)
    assert blob_key not in repr(found)
    assert checked_reason(" two\n lines ") == "two lines"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7", DocumentType.PDF),
        (b"\x89PNG\r\n\x1a\n...", DocumentType.PNG),
        (b"\xff\xd8\xff\xe0", DocumentType.JPEG),
        (b"PK\x03\x04", None),
        (b" %PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_document_is_known_by_how_it_begins(content: bytes, kind: DocumentType | None) -> None:
    assert DocumentType.of(content) is kind


# -- going -----------------------------------------------------------------------------------------------------------


def test_a_document_is_deleted_whatever_the_state_of_its_case(database: Database) -> None:
    case_id = case_of(database)
    blob_key = consented(database, case_id)
    set_status(database, case_id, CaseStatus.PUBLISHED)
    before = version_of(database, case_id)
    with database.write() as session:
        assert Consents(session).delete(case_id) == blob_key

    assert shown(database, case_id) is None
    assert condemned(database) == [blob_key]
    assert version_of(database, case_id) == before + 1
    for missing in (case_id, "0" * 32):
        with pytest.raises(CaseNotFoundError), database.write() as session:
            Consents(session).delete(missing)


def test_the_document_goes_with_a_case_that_is_removed_or_erased_and_no_other(database: Database) -> None:
    removed, erased, stays = (case_of(database, name) for name in ("removed", "erased", "stays"))
    keys = {case_id: consented(database, case_id, case_id) for case_id in (removed, erased, stays)}
    editor = user(database, "eve", Role.EDITOR)
    with database.write() as session:
        images = Cases(session).remove(editor, removed)
        count = Cases(session).erase(erased)

    assert (len(images), count) == (1, 1), "a document is no image"
    assert {keys[removed], keys[erased]} <= set(condemned(database))
    assert keys[stays] not in condemned(database)
    assert shown(database, removed) is None
    assert shown(database, erased) is None
    assert shown(database, stays) is not None


def test_a_draft_that_came_to_nothing_stays_while_it_has_a_document(database: Database) -> None:
    empty, consented_to = ("empty", "consented")
    cases = {}
    for name in (empty, consented_to):
        (arrived,) = receive(database, INBOX, name, 1)
        cases[name] = open_shell(database, INBOX, name).case_id
        if name == consented_to:
            consented(database, cases[name])
        with database.write() as session:
            Intake(session).finish(arrived.arrival_id, InstanceOutcome.DROPPED, "dose-report")
            Cases(session).close_books(f"{key(name)}-{INBOX.id}")

    assert shown(database, cases[consented_to]) is not None
    with pytest.raises(CaseNotFoundError):
        shown(database, cases[empty])


def test_a_consent_that_is_taken_back_leaves_its_document(database: Database) -> None:
    case_id, ann = case_of(database), user(database, "ann")
    consented(database, case_id)
    with database.write() as session:
        changes = CaseChanges(clears_consent=True, consent_reference="")
        Cases(session).patch(ann, case_id, changes, version_of(database, case_id), SCREEN)

    assert shown(database, case_id) is not None


def test_documents_are_condemned_where_the_schema_goes_back_behind_them(empty_url: str) -> None:
    database = Database.open(empty_url)
    database.migrate()
    case_id = case_of(database)
    blob_key = consented(database, case_id)
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0013")
        assert "consent_document" not in inspect(connection).get_table_names()
    database.migrate()

    assert condemned(database) == [blob_key]
    assert shown(database, case_id) is None
    database.close()
