"""The table of transitions."""

import itertools
from dataclasses import replace

import pytest

from cases import states
from cases.errors import (
    CaseClosedError,
    DraftLimitError,
    InvalidTransitionError,
    NotAllowedError,
    NotReadyError,
    PendingLimitError,
    UnlistedLimitError,
)
from cases.model import CaseStatus, Visibility
from cases.publication import Fault, Requirement
from cases.states import Action, Actor, Facts
from cases.users import Role, User

ALL = frozenset(Actor)
ROOM = Facts(drafts=9, draft_limit=10, unlisted_limit=10, pending_limit=3, is_trusted=True)


def someone(role: Role = Role.CONTRIBUTOR, name: str = "u") -> User:
    return User(id=name, name=name, role=role, draft_limit=10)


def test_what_is_not_in_the_table_is_refused() -> None:
    rows = {(row.action, row.source) for row in states.TRANSITIONS}
    assert len(rows) == len(states.TRANSITIONS)
    for action, source in itertools.product(Action, [None, *CaseStatus]):
        if (action, source) not in rows:
            with pytest.raises(InvalidTransitionError):
                states.decide(action, source, ALL, ROOM)
        else:
            seen = next(row.seen for row in states.TRANSITIONS if (row.action, row.source) == (action, source))
            actors = ALL - {Actor.OWNER} if action is Action.ACCEPT else ALL
            reached = states.decide(action, source, actors, ROOM, seen or Visibility.PUBLIC)
            assert reached in CaseStatus


def test_every_row_refuses_those_it_does_not_name() -> None:
    for row in states.TRANSITIONS:
        assert row.actors
        with pytest.raises(NotAllowedError):
            states.decide(row.action, row.source, ALL - row.actors, ROOM, row.seen or Visibility.PUBLIC)


@pytest.mark.parametrize(
    ("has_owner", "drafts", "expected"),
    [
        (True, 9, CaseStatus.DRAFT),
        (True, 10, CaseStatus.WAITING),
        (True, 11, CaseStatus.WAITING),
        (False, 0, CaseStatus.DRAFT),
    ],
)
def test_a_study_enters_as_a_draft_or_waits(has_owner: bool, drafts: int, expected: CaseStatus) -> None:
    facts = Facts(has_owner=has_owner, drafts=drafts, draft_limit=10 if has_owner else 0)
    assert states.entry(facts) == expected


def test_a_full_owner_is_told_what_to_do() -> None:
    full = Facts(has_owner=True, drafts=10, draft_limit=10)
    with pytest.raises(DraftLimitError, match="finish or remove one"):
        states.decide(Action.PROMOTE, CaseStatus.WAITING, ALL, full)


def test_relations_follow_from_role_and_ownership() -> None:
    assert states.actors_of(someone(), "u") == {Actor.CONTRIBUTOR, Actor.OWNER}
    assert states.actors_of(someone(), None) == {Actor.CONTRIBUTOR}
    assert states.actors_of(someone(Role.ADMIN), "other") == {Actor.CONTRIBUTOR, Actor.EDITOR}
    assert states.actors_of(someone(Role.REVIEWER), None) == set()


@pytest.mark.parametrize("status", CaseStatus)
def test_strangers_see_no_owned_case_but_public_ones(status: CaseStatus) -> None:
    for visibility in Visibility:
        is_public = (status, visibility) == (CaseStatus.PUBLISHED, Visibility.PUBLIC)
        assert states.may_see(someone(), "other", status, visibility) is is_public
        assert states.may_see(someone(Role.READER), None, status, visibility) is is_public
        assert states.may_see(someone(Role.ADMIN), "other", status, visibility)
        assert states.may_see(someone(), "u", status, visibility) == (status != CaseStatus.REMOVED)


@pytest.mark.parametrize("status", CaseStatus)
def test_images_end_with_the_draft(status: CaseStatus) -> None:
    if status in {CaseStatus.DRAFT, CaseStatus.WAITING}:
        states.check_open(status)
    else:
        with pytest.raises(CaseClosedError):
            states.check_open(status)


OWNER, TRUSTED, EDITOR = someone(), replace(someone(), is_trusted=True), someone(Role.EDITOR, "e")
EDITED_BY = {
    (CaseStatus.DRAFT, None): (OWNER, TRUSTED, EDITOR),
    (CaseStatus.WAITING, None): (),
    (CaseStatus.PENDING_REVIEW, None): (EDITOR,),
    (CaseStatus.PUBLISHED, Visibility.PUBLIC): (TRUSTED, EDITOR),
    (CaseStatus.PUBLISHED, Visibility.UNLISTED): (OWNER, TRUSTED, EDITOR),
    (CaseStatus.REMOVED, None): (),
}


@pytest.mark.parametrize(("status", "visibility"), list(itertools.product(CaseStatus, Visibility)))
def test_texts_are_edited_by_those_who_may_say_what_others_see(status: CaseStatus, visibility: Visibility) -> None:
    allowed = EDITED_BY.get((status, None)) or EDITED_BY.get((status, visibility), ())
    for who in (OWNER, TRUSTED, EDITOR):
        if who in allowed:
            states.check_editable(who, "u", status, visibility)
        else:
            with pytest.raises(InvalidTransitionError):
                states.check_editable(who, "u", status, visibility)
    with pytest.raises(NotAllowedError):
        states.check_editable(someone(name="stranger"), "u", status, visibility)


def test_every_transition_that_shows_a_case_to_more_people_asks_what_it_lacks() -> None:
    for row in states.TRANSITIONS:
        if row.target in {CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED} and row.action is not Action.HIDE:
            assert states.lacks_nothing in row.guards
    with pytest.raises(NotReadyError):
        states.lacks_nothing(Facts(faults=(Fault(requirement=Requirement.TITLE, what_to_do="give it one"),)))


def test_nobody_accepts_an_own_case() -> None:
    both = frozenset({Actor.OWNER, Actor.EDITOR})
    with pytest.raises(NotAllowedError, match="another editor"):
        states.decide(Action.ACCEPT, CaseStatus.PENDING_REVIEW, both, Facts())


@pytest.mark.parametrize(
    ("guard", "facts", "error"),
    [
        (states.unlisted_place_is_free, Facts(unlisted=10, unlisted_limit=10), UnlistedLimitError),
        (states.review_has_place, Facts(pending=3, pending_limit=3), PendingLimitError),
        (states.is_trusted, Facts(), InvalidTransitionError),
        (states.is_known, Facts(), InvalidTransitionError),
        (states.is_approved, Facts(), InvalidTransitionError),
    ],
)
def test_a_guard_that_refuses_says_what_to_do(guard: states.Guard, facts: Facts, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"submit it for review|make one public|wait for an editor"):
        guard(facts)
    guard(Facts(unlisted=9, unlisted_limit=10, pending=2, pending_limit=3, is_trusted=True))
