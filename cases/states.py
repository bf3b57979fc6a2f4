"""Every transition of a case, as one table: who may do what from where, and what has to be true.

Pure: the store counts, locks and writes; this decides. A guard that refuses says what to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cases.errors import (
    AlreadyClaimedError,
    CaseClosedError,
    CaseOnHoldError,
    DraftLimitError,
    InvalidTransitionError,
    NotAllowedError,
)
from cases.model import OPEN_STATUSES, CaseStatus, Visibility
from cases.users import Role, User


class Action(StrEnum):
    """What moves a case."""

    OPEN = "open"
    """A received study becomes a draft."""
    QUEUE = "queue"
    """A received study waits for a place among its owner's drafts."""
    PROMOTE = "promote"
    """A waiting study gets a place that came free."""
    CLAIM = "claim"
    """A contributor takes a draft from the inbox."""
    REMOVE = "remove"
    MERGE = "merge"
    """All that a draft holds goes to another; a tombstone stays, as of one that is removed."""
    WITHDRAW = "withdraw"
    """A case that others may see becomes a draft again, since its patient wants it."""
    ERASE = "erase"
    """A case goes with all that it holds, since its patient wants it."""


class Actor(StrEnum):
    """In what relation the one who acts stands to the case."""

    SYSTEM = "system"
    OWNER = "owner"
    CONTRIBUTOR = "contributor"
    """Any user who may own cases."""
    EDITOR = "editor"
    """An editor or administrator."""
    PRIVACY_OFFICER = "privacy officer"
    """Whoever acts for a patient, with ``casebridge find-patient``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the guards look at, read under the locks of the transaction that writes."""

    has_owner: bool = False
    drafts: int = 0
    """Drafts of the (coming) owner, without this case."""
    draft_limit: int = 0
    hold_reason: str = ""
    """What the sender of the case wants to wait for."""


Guard = Callable[[Facts], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table. ``source`` None means that the case does not exist yet."""

    action: Action
    source: CaseStatus | None
    target: CaseStatus
    actors: frozenset[Actor]
    guards: tuple[Guard, ...] = ()


def place_is_free(facts: Facts) -> None:
    """Refuse when the owner's drafts are full; a case without an owner takes no place."""
    if facts.has_owner and facts.drafts >= facts.draft_limit:
        raise DraftLimitError(
            f"{facts.drafts} of {facts.draft_limit} drafts are in use: finish or remove one, then try again"
        )


def is_unowned(facts: Facts) -> None:
    """Refuse when the case has an owner."""
    if facts.has_owner:
        raise AlreadyClaimedError("the case has an owner: only drafts of the inbox can be claimed")


def claimer_has_place(facts: Facts) -> None:
    """Refuse when the drafts of the one who claims are full."""
    if facts.drafts >= facts.draft_limit:
        raise DraftLimitError(
            f"{facts.drafts} of {facts.draft_limit} drafts are in use: finish or remove one, then claim again"
        )


def is_not_on_hold(facts: Facts) -> None:
    """Refuse while the case waits for what its sender wanted to wait for."""
    if facts.hold_reason:
        raise CaseOnHoldError(
            f"its sender asked to wait for this: {facts.hold_reason.replace('-', ' ')}; "
            "clear hold_reason when that has happened, then try again"
        )


LEAVING: tuple[Guard, ...] = (is_not_on_hold,)
"""Guards of every transition that shows a case to others: submission and publication begin with them."""

_SYSTEM = frozenset({Actor.SYSTEM})
_PRIVACY_OFFICER = frozenset({Actor.PRIVACY_OFFICER})
_OWNER_OR_EDITOR = frozenset({Actor.OWNER, Actor.EDITOR})

TRANSITIONS: tuple[Transition, ...] = (
    Transition(action=Action.OPEN, source=None, target=CaseStatus.DRAFT, actors=_SYSTEM, guards=(place_is_free,)),
    Transition(action=Action.QUEUE, source=None, target=CaseStatus.WAITING, actors=_SYSTEM),
    Transition(
        action=Action.PROMOTE,
        source=CaseStatus.WAITING,
        target=CaseStatus.DRAFT,
        actors=_SYSTEM,
        guards=(place_is_free,),
    ),
    Transition(
        action=Action.CLAIM,
        source=CaseStatus.DRAFT,
        target=CaseStatus.DRAFT,
        actors=frozenset({Actor.CONTRIBUTOR}),
        guards=(is_unowned, claimer_has_place),
    ),
    Transition(action=Action.REMOVE, source=CaseStatus.DRAFT, target=CaseStatus.REMOVED, actors=_OWNER_OR_EDITOR),
    Transition(action=Action.REMOVE, source=CaseStatus.WAITING, target=CaseStatus.REMOVED, actors=_OWNER_OR_EDITOR),
    Transition(action=Action.MERGE, source=CaseStatus.DRAFT, target=CaseStatus.REMOVED, actors=_OWNER_OR_EDITOR),
    Transition(action=Action.MERGE, source=CaseStatus.WAITING, target=CaseStatus.REMOVED, actors=_OWNER_OR_EDITOR),
    # The owner's limit does not count: a patient does not wait for a place.
    *(
        Transition(action=Action.WITHDRAW, source=source, target=CaseStatus.DRAFT, actors=_PRIVACY_OFFICER)
        for source in (CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED)
    ),
    # Of a removed case too: its tombstone still tells whose it was.
    *(
        Transition(action=Action.ERASE, source=source, target=CaseStatus.REMOVED, actors=_PRIVACY_OFFICER)
        for source in CaseStatus
    ),
)


def decide(action: Action, source: CaseStatus | None, actors: frozenset[Actor], facts: Facts) -> CaseStatus:
    """Return the state that the action leads to.

    Raises
    ------
    InvalidTransitionError
        When the table has no such row, or a guard refuses (then a subclass that says which).
    NotAllowedError
        When none of the actor's relations may do it.
    """
    for row in TRANSITIONS:
        if row.action == action and row.source == source:
            if not row.actors & actors:
                raise NotAllowedError(f"only {_either(row.actors)} may {action} this case")
            for guard in row.guards:
                guard(facts)
            return row.target
    raise InvalidTransitionError(f"a case that is {source or 'new'} cannot do this: {action}")


def entry(facts: Facts) -> CaseStatus:
    """Return the state in which a received study becomes a case: a draft, or waiting where there is no place."""
    try:
        return decide(Action.OPEN, None, _SYSTEM, facts)
    except DraftLimitError:
        return decide(Action.QUEUE, None, _SYSTEM, facts)


def actors_of(user: User, owner_id: str | None) -> frozenset[Actor]:
    """Return in which relations a user stands to a case."""
    relations = set()
    if user.role in {Role.CONTRIBUTOR, Role.EDITOR, Role.ADMIN}:
        relations.add(Actor.CONTRIBUTOR)
    if owner_id is not None and owner_id == user.id:
        relations.add(Actor.OWNER)
    if user.role in {Role.EDITOR, Role.ADMIN}:
        relations.add(Actor.EDITOR)
    return frozenset(relations)


def may_see(user: User, owner_id: str | None, status: CaseStatus, visibility: Visibility) -> bool:
    """Return whether a user may know of a case: own and public ones, those of the inbox, and all for who sees all."""
    if user.sees_all:
        return True
    if status == CaseStatus.REMOVED:
        return False
    is_in_inbox = owner_id is None and status == CaseStatus.DRAFT and user.role is not Role.READER
    return owner_id == user.id or is_in_inbox or is_public(status, visibility)


def is_public(status: CaseStatus, visibility: Visibility) -> bool:
    """Return whether everybody with an account may read a case."""
    return status == CaseStatus.PUBLISHED and visibility == Visibility.PUBLIC


def is_shown_to_others(status: CaseStatus) -> bool:
    """Return whether a case in this state left its owner's hands."""
    return status in {CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED}


def check_editable(user: User, owner_id: str | None, status: CaseStatus) -> None:
    """Refuse edits by others than the owner or an editor, and edits of anything but a draft.

    Raises
    ------
    NotAllowedError
        When the user is neither.
    InvalidTransitionError
        When the case is not a draft.
    """
    if not actors_of(user, owner_id) & _OWNER_OR_EDITOR:
        raise NotAllowedError("claim the case before you edit it" if owner_id is None else "only the owner may edit it")
    if status == CaseStatus.WAITING:
        raise InvalidTransitionError("the case waits for a place among the drafts: finish or remove a draft first")
    if status != CaseStatus.DRAFT:
        raise InvalidTransitionError(f"a case that is {status} cannot be edited")


def check_open(status: CaseStatus) -> None:
    """Refuse images for a case that takes none any more.

    Raises
    ------
    CaseClosedError
        Always with the same sentence; the caller opens a linked new draft.
    """
    if status not in OPEN_STATUSES:
        raise CaseClosedError("the case takes no more images: open a linked new draft")


def _either(actors: frozenset[Actor]) -> str:
    return " or ".join(f"the {actor}" for actor in sorted(actors))
