"""Documents of consents over HTTP: sealed before they are written, given out sealed, and each reading on record."""

import json
import logging

import pytest

from api.routes import consents as routes
from bridge.consent import open_document
from cases.consents import MAX_DOCUMENT_BYTES
from cases.errors import StoreUnavailableError, VersionConflictError
from cases.store import Audit, Cases, Consents
from cases.users import Role
from tests.api.conftest import CONSENT_KEY, unread

CANARY = "Zwitschervogel"
PDF = f"%PDF-1.7 signed by {CANARY}".encode()
AS_PDF = {"Content-Type": "application/pdf"}
WHY = {"Reason": "The patient asks what was signed."}
PATH = "/api/v1/cases/{}/consent-document"


@pytest.fixture
def case_id(world, owner, picture):
    return world.study(owner.name, [picture])


@pytest.fixture
def path(case_id):
    return PATH.format(case_id)


@pytest.fixture
def as_owner(as_user, owner):
    return as_user(owner)


@pytest.fixture
def officer(as_user, world):
    return as_user(world.user("officer", Role.PRIVACY_OFFICER))


def keys_of(world, case_id):
    with world.database.read() as session:
        return Consents(session).blob_keys(case_id)


def condemned(world):
    with world.database.read() as session:
        return Cases(session).condemned_blobs(has_spared=True)


def audited(world, case_id):
    with world.database.read() as session:
        return [(one.actor, one.action, one.detail) for one in Audit(session).entries(subject=case_id)]


def files(tmp_path):
    return sorted(str(one.relative_to(tmp_path / "blobs")) for one in (tmp_path / "blobs").rglob("*") if one.is_file())


# -- keeping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/pdf", PDF),
        ("image/png", b"\x89PNG\r\n\x1a\nsigned"),
        ("image/jpeg", b"\xff\xd8\xff\xe0signed"),
        ("Application/PDF; name=Zwitschervogel.pdf", PDF),
    ],
)
def test_a_document_is_kept_and_opens_for_its_case_elsewhere(*, as_owner, officer, case_id, path, kind, content):
    kept = as_owner.put(path, content=content, headers={"Content-Type": kind})

    assert kept.status_code == 200
    told = kept.json()["consent"]["document"]
    assert (told["media_type"], told["size_bytes"]) == (kind.partition(";")[0].lower(), len(content))
    assert set(told) == {"kept_at", "media_type", "size_bytes"}
    assert kept.headers["ETag"] == as_owner.get(f"/api/v1/cases/{case_id}").headers["ETag"]
    read = officer.get(path, headers=WHY)
    assert (read.status_code, read.headers["Content-Type"]) == (200, "application/octet-stream")
    assert read.headers["Cache-Control"] == "no-store"
    assert open_document(read.content, CONSENT_KEY, case_id) == content


def test_nothing_of_the_document_is_anywhere_but_sealed(*, as_owner, officer, world, path, case_id, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        kept = as_owner.put(path, content=PDF, headers=AS_PDF)
        read = officer.get(path, headers=WHY)
    [key] = keys_of(world, case_id)

    assert key in files(tmp_path)
    assert key.startswith(f"consents/{case_id}/")
    everything = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert len(everything) > 2
    assert not [one for one in everything if CANARY.encode() in one.read_bytes() or CANARY in str(one)]
    assert CANARY not in kept.text + caplog.text + repr(caplog.records)
    assert CANARY.encode() not in read.content
    assert CANARY not in repr(audited(world, case_id))


def test_a_document_has_no_repr(world):
    from cases.consents import DocumentType

    assert CANARY not in repr(routes._Sent(identified_document=PDF, media_type=DocumentType.PDF, seal=None))


def test_a_new_document_replaces_the_old_one_and_its_blob(as_owner, officer, world, path, case_id):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    [old] = keys_of(world, case_id)
    assert as_owner.put(path, content=b"%PDF-2.0", headers=AS_PDF).status_code == 200
    [new] = keys_of(world, case_id)

    assert (world.blobs.exists(old), world.blobs.exists(new)) == (False, True)
    assert condemned(world) == []
    assert open_document(officer.get(path, headers=WHY).content, CONSENT_KEY, case_id) == b"%PDF-2.0"
    kept = [detail for _, action, detail in audited(world, case_id) if action == "consent.keep"]
    assert [(one["replaced"], one["media_type"], one["size_bytes"]) for one in kept] == [
        (False, "application/pdf", len(PDF)),
        (True, "application/pdf", 8),
    ]


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/pdf", b"", 422),
        ("application/pdf", b"\x89PNG\r\n\x1a\nsigned", 422),
        ("image/png", PDF, 422),
        ("application/zip", b"PK\x03\x04", 415),
        ("text/html", b"<script>", 415),
        ("", PDF, 415),
        ("application/pdf", PDF.ljust(MAX_DOCUMENT_BYTES + 1), 413),
    ],
)
def test_what_is_no_document_is_refused_and_not_kept(*, as_owner, world, case_id, path, kind, content, status):
    answer = as_owner.put(path, content=content, headers={"Content-Type": kind})

    assert answer.status_code == status
    assert CANARY not in answer.text
    assert keys_of(world, case_id) == condemned(world) == []
    assert audited(world, case_id) == []


def test_the_largest_document_is_kept(as_owner, officer, case_id, path):
    content = PDF.ljust(MAX_DOCUMENT_BYTES)

    assert as_owner.put(path, content=content, headers=AS_PDF).status_code == 200
    assert open_document(officer.get(path, headers=WHY).content, CONSENT_KEY, case_id) == content


class TestWithoutAKey:
    """An installation that keeps none."""

    @pytest.fixture
    def consent_seal(self):
        return None

    def test_the_reference_number_is_asked_for_instead(self, *, app, as_owner, officer, owner, world, case_id, path):
        answer = as_owner.put(path, content=PDF, headers=AS_PDF)

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:casebridge:problem:documents-not-kept"
        assert "give the reference number instead" in answer.json()["detail"]
        assert keys_of(world, case_id) == condemned(world) == []
        assert officer.get(path, headers=WHY).status_code == 404
        assert unread(app, owner, "PUT", path, content_type="application/pdf") == 409


@pytest.mark.parametrize("role", [Role.READER, Role.REVIEWER, Role.PRIVACY_OFFICER])
def test_the_body_of_somebody_who_keeps_no_documents_is_not_read(app, world, path, role):
    assert unread(app, world.user("somebody", role), "PUT", path, content_type="application/pdf") == 403


def test_an_upload_on_an_older_version_is_refused(as_owner, world, case_id, path):
    tag = as_owner.get(f"/api/v1/cases/{case_id}").headers["ETag"]
    as_owner.patch(f"/api/v1/cases/{case_id}", json={"title": "Changed"})

    older = as_owner.put(path, content=PDF, headers={**AS_PDF, "If-Match": tag})
    newer = as_owner.get(f"/api/v1/cases/{case_id}").headers["ETag"]

    assert older.status_code == 412
    assert keys_of(world, case_id) == condemned(world) == []
    assert as_owner.put(path, content=PDF, headers={**AS_PDF, "If-Match": newer}).status_code == 200


def test_a_case_that_is_not_edited_takes_no_document(as_owner, world, case_id, path):
    world.submit(case_id)
    in_review = as_owner.put(path, content=PDF, headers=AS_PDF)
    world.publish(case_id)
    public = as_owner.put(path, content=PDF, headers=AS_PDF)

    assert (in_review.status_code, public.status_code) == (409, 409)
    assert condemned(world) == []


# -- when something fails --------------------------------------------------------------------------------------------


def test_a_blob_that_cannot_be_written_leaves_the_document_that_was_there(
    *, as_owner, world, case_id, path, tmp_path, monkeypatch
):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    before, there = keys_of(world, case_id), files(tmp_path)

    def fail(*_):
        raise StoreUnavailableError("out of reach")

    monkeypatch.setattr(world.blobs, "put", fail)
    assert as_owner.put(path, content=PDF, headers=AS_PDF).status_code == 503
    assert keys_of(world, case_id) == before
    assert files(tmp_path) == there
    assert condemned(world) == []


def test_what_was_written_for_nothing_is_deleted_at_once(*, as_owner, world, case_id, path, tmp_path, monkeypatch):
    there = files(tmp_path)

    def changed(*_, **__):
        assert len(files(tmp_path)) == len(there) + 1
        raise VersionConflictError("somebody was faster")

    monkeypatch.setattr(Consents, "keep", changed)
    assert as_owner.put(path, content=PDF, headers=AS_PDF).status_code == 412
    assert files(tmp_path) == there
    assert condemned(world) == []


def test_a_process_that_dies_after_the_writing_leaves_a_blob_that_is_on_the_list(
    as_owner, world, path, tmp_path, monkeypatch
):
    def end(*_, **__):
        raise StoreUnavailableError("the process is no more")

    there = files(tmp_path)
    monkeypatch.setattr(Consents, "keep", end)
    monkeypatch.setattr(routes, "_leave", lambda *_: None)
    assert as_owner.put(path, content=PDF, headers=AS_PDF).status_code == 503
    [left] = set(files(tmp_path)) - set(there)
    assert condemned(world) == [left]


def test_an_answer_that_was_lost_after_the_commit_takes_no_blob_from_the_document(
    *, as_owner, officer, world, case_id, path, monkeypatch
):
    kept = routes._kept

    def lost(*arguments):
        kept(*arguments)
        raise StoreUnavailableError("out of reach")

    monkeypatch.setattr(routes, "_kept", lost)
    assert as_owner.put(path, content=PDF, headers=AS_PDF).status_code == 503
    assert open_document(officer.get(path, headers=WHY).content, CONSENT_KEY, case_id) == PDF


# -- reading ---------------------------------------------------------------------------------------------------------


def test_a_reading_is_in_the_audit_log_with_its_reason_before_the_first_byte(
    *, as_owner, officer, world, case_id, path, monkeypatch
):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    said = []
    read = world.blobs.read

    def watched(key):
        said.extend(audited(world, case_id))
        return read(key)

    monkeypatch.setattr(type(world.blobs), "read", lambda _self, key: watched(key))
    assert officer.get(path, headers={"Reason": "  Rückfrage der\tEthik ".encode()}).status_code == 200
    actor, action, detail = said[-1]
    assert (actor, action, detail["reason"]) == ("officer", "consent.read", "Rückfrage der Ethik")


def test_a_reading_that_cannot_be_written_down_gives_no_byte(as_owner, officer, world, path, monkeypatch):
    as_owner.put(path, content=PDF, headers=AS_PDF)

    def fail(*_, **__):
        raise StoreUnavailableError("out of reach")

    def never(*_):
        raise AssertionError("the document was read")

    monkeypatch.setattr("cases.store.database.chain_pending", fail)
    monkeypatch.setattr(type(world.blobs), "read", never)
    answer = officer.get(path, headers=WHY)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (None, 422),
        ("", 422),
        ("   ", 422),
        ("x" * 201, 422),
        ("Dr. Zwitschervogel asks.", 422),
        ("The one born on 07.06.1935", 422),
    ],
)
def test_nothing_is_read_without_a_reason_that_names_nobody(*, as_owner, officer, world, case_id, path, reason, status):
    as_owner.put(path, content=PDF, headers=AS_PDF)

    answer = officer.get(path, headers={} if reason is None else {"Reason": reason})

    assert answer.status_code == status
    assert CANARY not in json.dumps(answer.json())
    said = audited(world, case_id)
    assert "consent.read" not in {action for _, action, _ in said}
    assert CANARY not in repr(said)
    is_told = reason is not None and ("Dr." in reason or "born" in reason)
    assert ("consent.read-refused" in {action for _, action, _ in said}) is is_told


def test_a_reason_that_holds_what_stands_in_the_originals_is_refused(as_owner, officer, world, case_id, path):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    assert as_owner.patch(f"/api/v1/cases/{case_id}", json={"title": "call 555 0188 774411"}).status_code == 422
    assert officer.get(path, headers={"Reason": "call 555 0188 774411"}).status_code == 422


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PRIVACY_OFFICER])
def test_nobody_but_the_privacy_officer_reads_it_whoever_owns_the_case(as_user, world, picture, role):
    somebody = world.user("somebody", role)
    case_id = world.study("somebody", [picture])
    as_user(somebody).put(PATH.format(case_id), content=PDF, headers=AS_PDF)

    answer = as_user(somebody).get(PATH.format(case_id), headers=WHY)

    assert answer.status_code == 403
    assert "consent.read" not in {action for _, action, _ in audited(world, case_id)}


def test_what_is_not_what_was_written_is_not_given_out(*, as_owner, officer, world, case_id, path, caplog):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    [key] = keys_of(world, case_id)
    world.blobs.put(key, b"something else")
    changed = officer.get(path, headers=WHY)
    world.blobs.delete(key)
    gone = officer.get(path, headers=WHY)

    assert (changed.status_code, gone.status_code) == (404, 404)
    assert "not what was written" in caplog.text
    assert changed.json()["detail"] == "What was stored is gone."


def test_without_a_document_there_is_nothing_to_read_or_delete(as_owner, officer, path):
    assert officer.get(path, headers=WHY).status_code == 404
    assert as_owner.delete(path).status_code == 404


# -- who is told of it -----------------------------------------------------------------------------------------------


def test_strangers_are_not_told_of_a_document(*, as_owner, as_user, stranger, officer, world, case_id, path):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    world.publish(case_id)
    public = as_user(stranger).get(f"/api/v1/cases/{case_id}")

    assert public.status_code == 200
    assert "consent" not in public.json()
    assert "application/pdf" not in public.text
    assert officer.get(f"/api/v1/cases/{case_id}").json()["consent"]["document"]["size_bytes"] == len(PDF)
    assert as_user(stranger).get(path, headers=WHY).status_code == 403
    assert as_user(stranger).put(path, content=PDF, headers=AS_PDF).status_code == 403
    assert as_user(stranger).delete(path).status_code == 403


# -- deleting --------------------------------------------------------------------------------------------------------


def test_the_owner_deletes_it_in_any_state_and_the_blob_goes(as_owner, world, case_id, path):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    [key] = keys_of(world, case_id)
    world.publish(case_id)

    assert as_owner.delete(path).status_code == 204
    assert not world.blobs.exists(key)
    assert condemned(world) == []
    assert as_owner.get(f"/api/v1/cases/{case_id}").json()["consent"]["document"] is None
    assert audited(world, case_id)[-1][:2] == ("owner", "consent.delete")


def test_the_privacy_officer_deletes_it_and_an_editor_does_not(*, as_owner, as_user, officer, world, case_id, path):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    editor = as_user(world.user("editor", Role.EDITOR))

    assert editor.delete(path).status_code == 403
    assert editor.put(path, content=PDF, headers=AS_PDF).status_code == 403
    assert officer.delete(path).status_code == 204
    assert audited(world, case_id)[-1][:2] == ("officer", "consent.delete")


def test_a_blob_that_cannot_be_deleted_now_stays_on_the_list(as_owner, world, case_id, path, monkeypatch):
    as_owner.put(path, content=PDF, headers=AS_PDF)
    keys = keys_of(world, case_id)

    def fail(*_):
        raise StoreUnavailableError("out of reach")

    monkeypatch.setattr(type(world.blobs), "delete", fail)
    assert as_owner.delete(path).status_code == 204
    assert condemned(world) == keys


def test_a_case_that_is_removed_takes_its_document_along(*, as_owner, officer, world, case_id, path, tmp_path):
    as_owner.put(path, content=PDF, headers=AS_PDF)

    assert as_owner.delete(f"/api/v1/cases/{case_id}").status_code == 204
    assert files(tmp_path) == []
    assert audited(world, case_id)[-1][1:] == ("case.withdraw", {"images": 1})
    assert officer.get(path, headers=WHY).status_code == 404
