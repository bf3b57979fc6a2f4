"""The table of transitions."""

import itertools

import pytest

from cases import states
from cases.errors import CaseClosedError, DraftLimitError, InvalidTransitionError, NotAllowedError
from cases.model import CaseStatus, Visibility
from cases.states import Action, Actor, Facts
from cases.users import Role, User

ALL = frozenset(Actor)
ROOM = Facts(drafts=9, draft_limit=10)


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
            assert states.decide(action, source, ALL, ROOM) in CaseStatus


def test_every_row_refuses_those_it_does_not_name() -> None:
    for row in states.TRANSITIONS:
        assert row.actors
        with pytest.raises(NotAllowedError):
            states.decide(row.action, row.source, ALL - row.actors, ROOM)


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
def test_images_and_edits_end_with_the_draft(status: CaseStatus) -> None:
    if status == CaseStatus.DRAFT:
        states.check_editable(someone(), "u", status)
    else:
        with pytest.raises(InvalidTransitionError):
            states.check_editable(someone(), "u", status)
    if status in {CaseStatus.DRAFT, CaseStatus.WAITING}:
        states.check_open(status)
    else:
        with pytest.raises(CaseClosedError):
            states.check_open(status)
