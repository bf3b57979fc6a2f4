"""Cases as people use them."""

from dataclasses import replace

import pytest

from cases.changes import CaseChanges, StudyChange
from cases.errors import (
    CaseNotFoundError,
    DraftLimitError,
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    VersionConflictError,
)
from cases.model import CaseDetail, CaseFilter, CaseModality, CaseScope, CaseStatus
from cases.store import Cases, Database
from cases.users import User
from tests.cases.world import INBOX, SCREEN, Role, arrival, file_study, image, receive, route, user

ANN = route("ann")


def ids(database: Database, viewer: User, **filters: object) -> set[str]:
    with database.read() as session:
        page = Cases(session).list(viewer, filters=CaseFilter(**filters))  # type: ignore[arg-type]
    return {case.id for case in page.items}


def test_a_draft_is_edited_by_its_owner(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "s")
    with database.write() as session:
        before = Cases(session).get(ann, shell.case_id)
        changes = CaseChanges(
            title="Pulmonary embolism",
            presentation="Chest pain.",
            studies=(StudyChange(id=before.studies[0].id, findings="Filling defect."),),
        )
        Cases(session).patch(ann, shell.case_id, changes, before.summary.version, SCREEN)
    with database.read() as session:
        after = Cases(session).get(ann, shell.case_id)
    assert (after.summary.title, after.presentation, after.discussion) == ("Pulmonary embolism", "Chest pain.", "")
    assert (after.studies[0].findings, after.studies[0].caption) == ("Filling defect.", "")
    assert after.summary.version == before.summary.version + 1


def test_two_tabs_never_overwrite_each_other(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "s")
    with database.write() as session:
        Cases(session).patch(ann, shell.case_id, CaseChanges(title="one"), 1, SCREEN)
    with database.write() as session, pytest.raises(VersionConflictError):
        Cases(session).patch(ann, shell.case_id, CaseChanges(title="two"), 1, SCREEN)


def test_images_that_appear_do_not_disturb_an_edit(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "s", 1)
    file_study(database, ANN, "s", 3)
    with database.write() as session:
        Cases(session).patch(ann, shell.case_id, CaseChanges(title="one"), 1, SCREEN)


def test_wrong_changes_are_refused_without_their_text(database: Database) -> None:
    ann = user(database, "ann")
    one, other = file_study(database, ANN, "s"), file_study(database, ANN, "t")
    with database.read() as session:
        foreign = Cases(session).get(ann, other.case_id).studies[0].id
    wrong = [
        CaseChanges(title="secret " * 20),
        CaseChanges(presentation="p" * 2001),
        CaseChanges(studies=(StudyChange(id=foreign, findings="x"),)),
        CaseChanges(studies=(StudyChange(id="0" * 32, caption="x"),)),
    ]
    for changes in wrong:
        with database.write() as session, pytest.raises(InvalidChangeError) as caught:
            Cases(session).patch(ann, one.case_id, changes, 1, SCREEN)
        assert "secret" not in str(caught.value)


def test_a_waiting_case_is_seen_but_not_edited(database: Database) -> None:
    ann = user(database, "ann", draft_limit=0)
    shell = file_study(database, ANN, "s")
    assert ids(database, ann, status=CaseStatus.WAITING) == {shell.case_id}
    with database.write() as session, pytest.raises(InvalidTransitionError, match="waits for a place"):
        Cases(session).patch(ann, shell.case_id, CaseChanges(title="x"), 1, SCREEN)


def test_everybody_sees_their_own_and_administrators_see_all(database: Database) -> None:
    ann, bob, root = user(database, "ann"), user(database, "bob"), user(database, "root", Role.ADMIN)
    one, two = file_study(database, ANN, "s").case_id, file_study(database, route("bob"), "s").case_id
    inbox = file_study(database, INBOX, "i").case_id
    assert ids(database, ann) == {one}
    assert ids(database, bob) == {two}
    assert ids(database, root) == {one, two, inbox}
    assert ids(database, root, scope=CaseScope.MINE) == set()
    assert ids(database, root, owner="bob") == {two}
    assert ids(database, ann, scope=CaseScope.INBOX) == ids(database, bob, scope=CaseScope.INBOX) == {inbox}
    assert ids(database, root, modality=CaseModality.CT) == {one, two, inbox}
    assert ids(database, root, modality=CaseModality.MRI) == set()
    with database.write() as session:
        cases = Cases(session)
        for call in (
            lambda: cases.get(bob, one),
            lambda: cases.patch(bob, one, CaseChanges(title="x"), 1, SCREEN),
            lambda: cases.remove(bob, one),
            lambda: cases.image(bob, one, "0" * 32),
            lambda: cases.get(root, "0" * 32),
        ):
            with pytest.raises(CaseNotFoundError):
                call()


def test_an_image_is_found_in_its_own_case_only(database: Database) -> None:
    ann = user(database, "ann")
    one, two = file_study(database, ANN, "s"), file_study(database, ANN, "t")
    with database.read() as session:
        cases = Cases(session)
        image = cases.get(ann, one.case_id).studies[0].series[0].images[0]
        assert cases.image(ann, one.case_id, image.id) == image
        with pytest.raises(CaseNotFoundError):
            cases.image(ann, two.case_id, image.id)


def test_an_unclaimed_draft_is_read_but_not_edited(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, INBOX, "s")
    with database.write() as session:
        cases = Cases(session)
        assert cases.get(ann, shell.case_id).summary.sender == "PACS"
        with pytest.raises(NotAllowedError, match="claim"):
            cases.patch(ann, shell.case_id, CaseChanges(title="x"), 1, SCREEN)
        with pytest.raises(NotAllowedError):
            cases.remove(ann, shell.case_id)
        assert cases.claim(ann, shell.case_id).summary.owner == "ann"
        assert cases.patch(ann, shell.case_id, CaseChanges(title="x"), 2, SCREEN).summary.title == "x"


def test_a_claim_beyond_the_limit_says_what_to_do(database: Database) -> None:
    ann = user(database, "ann", draft_limit=1)
    file_study(database, ANN, "mine")
    shell = file_study(database, INBOX, "s")
    with database.write() as session, pytest.raises(DraftLimitError, match="1 of 1 drafts are in use: finish"):
        Cases(session).claim(ann, shell.case_id)


def test_a_reviewer_does_not_claim(database: Database) -> None:
    shell = file_study(database, INBOX, "s")
    with database.write() as session, pytest.raises(NotAllowedError):
        Cases(session).claim(user(database, "rita", Role.REVIEWER), shell.case_id)


def test_a_removed_case_is_a_tombstone_that_only_staff_sees(database: Database) -> None:
    ann, root = user(database, "ann"), user(database, "root", Role.ADMIN)
    shell = file_study(database, ANN, "s", 2)
    with database.write() as session:
        Cases(session).patch(ann, shell.case_id, CaseChanges(title="x"), 1, SCREEN)
        keys = Cases(session).remove(ann, shell.case_id)
        assert sorted(keys) == sorted(Cases(session).condemned_blobs())
    assert len(keys) == 2
    assert ids(database, ann) == ids(database, root) == set()
    assert ids(database, root, status=CaseStatus.REMOVED) == {shell.case_id}
    assert ids(database, ann, status=CaseStatus.REMOVED) == set()
    with database.write() as session:
        with pytest.raises(CaseNotFoundError):
            Cases(session).get(ann, shell.case_id)
        tombstone = Cases(session).get(root, shell.case_id)
        assert (tombstone.studies, tombstone.summary.title) == ((), "")
        with pytest.raises(InvalidTransitionError):
            Cases(session).remove(root, shell.case_id)


def test_a_list_goes_on_behind_its_cursor_although_cases_are_added(database: Database) -> None:
    ann = user(database, "ann", draft_limit=100)
    old = [file_study(database, ANN, f"s{n}").case_id for n in range(5)]
    with database.read() as session:
        first = Cases(session).list(ann, limit=2)
    file_study(database, ANN, "new")
    with database.read() as session:
        second = Cases(session).list(ann, limit=2, cursor=first.next_cursor)
        third = Cases(session).list(ann, limit=2, cursor=second.next_cursor)
        with pytest.raises(InvalidChangeError):
            Cases(session).list(ann, cursor="nonsense")
    assert [case.id for page in (first, second, third) for case in page.items] == old[::-1]
    assert third.next_cursor is None


def test_faces_are_told_and_acknowledged_until_more_come(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "faces", 1)

    def seen() -> CaseDetail:
        with database.read() as session:
            return Cases(session).get(ann, shell.case_id)

    def add(name: str) -> None:
        [arrived] = receive(database, ANN, "faces", [arrival("faces", name)])
        with database.write() as session:
            Cases(session).file(shell.case_id, arrived.arrival_id, replace(image(name), face="volume"), f"{name}.dcm")

    assert seen().has_faces_acknowledged
    add("a")
    assert (seen().faces, seen().has_faces_acknowledged) == ({"volume": 1}, False)
    with database.write() as session:
        change = CaseChanges(acknowledges_faces=True)
        after = Cases(session).patch(ann, shell.case_id, change, seen().summary.version, SCREEN)
    assert after.has_faces_acknowledged
    add("b")
    assert not seen().has_faces_acknowledged
