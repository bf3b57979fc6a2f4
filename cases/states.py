"""Every transition of a case, as one table: who may do what from where, and what has to be true.

Pure: the store counts, locks and writes; this decides. A guard that refuses says what to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cases.errors import (
    AlreadyClaimedError,
    CaseClosedError,
    DraftLimitError,
    InvalidTransitionError,
    NotAllowedError,
    NotReadyError,
    PendingLimitError,
    UnlistedLimitError,
)
from cases.model import OPEN_STATUSES, CaseStatus, Visibility
from cases.publication import Fault
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
    SUBMIT = "submit"
    """A draft goes to the editors, to become public."""
    SUBMIT_UNLISTED = "submit-unlisted"
    """The first unlisted case of a user who is not trusted goes to the editors, who look at privacy alone."""
    PUBLISH = "publish"
    """A trusted user's draft becomes public without review."""
    UNLIST = "unlist"
    """A draft becomes an unlisted case."""
    TAKE_BACK = "take-back"
    """An owner takes a case out of review."""
    ACCEPT = "accept"
    """An editor lets others see a case."""
    PUSH_BACK = "push-back"
    """An editor gives a case back, with a reason and a message."""
    HIDE = "hide"
    """A public case becomes unlisted."""
    SHOW = "show"
    """An unlisted case becomes public."""
    RESUBMIT = "resubmit"
    """An unlisted case of a user who is not trusted goes to the editors, to become public."""
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
    unlisted: int = 0
    """Unlisted cases of the owner, those in review for it included, without this case."""
    unlisted_limit: int = 0
    pending: int = 0
    """Cases of the owner in review, without this one."""
    pending_limit: int = 0
    is_trusted: bool = False
    """The owner publishes without review."""
    is_known: bool = False
    """An editor has looked at an unlisted case of the owner before."""
    is_approved: bool = False
    """An editor has let the case become public as it is now."""
    faults: tuple[Fault, ...] = field(default=(), repr=False)
    """What the case lacks for where it shall go."""


Guard = Callable[[Facts], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table. ``source`` None means that the case does not exist yet."""

    action: Action
    source: CaseStatus | None
    target: CaseStatus
    actors: frozenset[Actor]
    guards: tuple[Guard, ...] = ()
    seen: Visibility | None = None
    """The visibility that the case has to have; None for any."""
    becomes: Visibility | None = None
    """The visibility that it gets; None leaves it."""
    bars_owner: bool = False
    """Whether it is not for who owns the case, whatever else they are."""


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


def unlisted_place_is_free(facts: Facts) -> None:
    """Refuse when the owner's unlisted cases are as many as there may be."""
    if facts.unlisted >= facts.unlisted_limit:
        raise UnlistedLimitError(
            f"{facts.unlisted} of {facts.unlisted_limit} unlisted cases are in use: make one public or remove one, "
            "then try again"
        )


def review_has_place(facts: Facts) -> None:
    """Refuse when as many cases of a user who is not trusted are in review as may be at once."""
    if not facts.is_trusted and facts.pending >= facts.pending_limit:
        raise PendingLimitError(
            f"{facts.pending} of {facts.pending_limit} cases are in review: wait for an editor, or take one back"
        )


def is_trusted(facts: Facts) -> None:
    """Refuse what goes past the editors to those who are not trusted."""
    if not facts.is_trusted:
        raise InvalidTransitionError("an editor looks at your cases first: submit it for review")


def is_known(facts: Facts) -> None:
    """Refuse the first unlisted case of who is not trusted: its privacy is looked at."""
    if not facts.is_trusted and not facts.is_known:
        raise InvalidTransitionError("an editor looks at your first unlisted case: submit it for review")


def is_approved(facts: Facts) -> None:
    """Refuse what no editor saw as it is now, unless its owner is trusted."""
    if not facts.is_trusted and not facts.is_approved:
        raise InvalidTransitionError("an editor has not seen the case as it is now: submit it for review")


def lacks_nothing(facts: Facts) -> None:
    """Refuse while anything is missing for where the case shall go; all of it is told at once."""
    if facts.faults:
        raise NotReadyError(facts.faults)


LEAVING: tuple[Guard, ...] = (lacks_nothing,)
"""Guards of every transition that shows a case to others begin with them."""

_SYSTEM = frozenset({Actor.SYSTEM})
_PRIVACY_OFFICER = frozenset({Actor.PRIVACY_OFFICER})
_OWNER = frozenset({Actor.OWNER})
_EDITOR = frozenset({Actor.EDITOR})
_OWNER_OR_EDITOR = frozenset({Actor.OWNER, Actor.EDITOR})
_DRAFT, _PENDING, _PUBLISHED = CaseStatus.DRAFT, CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED
_PUBLIC, _UNLISTED = Visibility.PUBLIC, Visibility.UNLISTED

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
    Transition(
        action=Action.SUBMIT,
        source=_DRAFT,
        target=_PENDING,
        becomes=_PUBLIC,
        actors=_OWNER,
        guards=(*LEAVING, review_has_place),
    ),
    Transition(
        action=Action.SUBMIT_UNLISTED,
        source=_DRAFT,
        target=_PENDING,
        becomes=_UNLISTED,
        actors=_OWNER,
        guards=(*LEAVING, review_has_place, unlisted_place_is_free),
    ),
    Transition(
        action=Action.PUBLISH,
        source=_DRAFT,
        target=_PUBLISHED,
        becomes=_PUBLIC,
        actors=_OWNER,
        guards=(*LEAVING, is_trusted),
    ),
    Transition(
        action=Action.UNLIST,
        source=_DRAFT,
        target=_PUBLISHED,
        becomes=_UNLISTED,
        actors=_OWNER,
        guards=(*LEAVING, is_known, unlisted_place_is_free),
    ),
    Transition(action=Action.TAKE_BACK, source=_PENDING, target=_DRAFT, actors=_OWNER, guards=(place_is_free,)),
    Transition(
        action=Action.ACCEPT,
        source=_PENDING,
        target=_PUBLISHED,
        actors=_EDITOR,
        bars_owner=True,
        guards=LEAVING,
    ),
    # It may exceed the owner's limit: an editor does not wait for a place.
    *(
        Transition(action=Action.PUSH_BACK, source=source, target=_DRAFT, actors=_EDITOR)
        for source in (_PENDING, _PUBLISHED)
    ),
    Transition(
        action=Action.HIDE,
        source=_PUBLISHED,
        seen=_PUBLIC,
        target=_PUBLISHED,
        becomes=_UNLISTED,
        actors=_OWNER,
        guards=(unlisted_place_is_free,),
    ),
    Transition(
        action=Action.SHOW,
        source=_PUBLISHED,
        seen=_UNLISTED,
        target=_PUBLISHED,
        becomes=_PUBLIC,
        actors=_OWNER,
        guards=(*LEAVING, is_approved),
    ),
    Transition(
        action=Action.RESUBMIT,
        source=_PUBLISHED,
        seen=_UNLISTED,
        target=_PENDING,
        becomes=_PUBLIC,
        actors=_OWNER,
        guards=(*LEAVING, review_has_place),
    ),
    *(
        Transition(action=Action.REMOVE, source=source, target=CaseStatus.REMOVED, actors=_OWNER_OR_EDITOR)
        for source in (_DRAFT, CaseStatus.WAITING, _PENDING, _PUBLISHED)
    ),
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


def row_of(
    action: Action, source: CaseStatus | None, actors: frozenset[Actor], visibility: Visibility = Visibility.PUBLIC
) -> Transition:
    """Return the row of the table, before its guards are asked.

    Raises
    ------
    InvalidTransitionError
        When the table has no such row.
    NotAllowedError
        When none of the actor's relations may do it.
    """
    for row in TRANSITIONS:
        if row.action == action and row.source == source and row.seen in {None, visibility}:
            if not row.actors & actors:
                raise NotAllowedError(f"only {_either(row.actors)} may {action} this case")
            if row.bars_owner and Actor.OWNER in actors:
                raise NotAllowedError(f"nobody may {action} an own case: another editor has to")
            return row
    raise InvalidTransitionError(f"a case that is {_described(source, visibility)} cannot do this: {action}")


def decide(
    action: Action,
    source: CaseStatus | None,
    actors: frozenset[Actor],
    facts: Facts,
    visibility: Visibility = Visibility.PUBLIC,
) -> CaseStatus:
    """Return the state that the action leads to.

    Raises
    ------
    InvalidTransitionError
        When the table has no such row, or a guard refuses (then a subclass that says which).
    NotAllowedError
        When none of the actor's relations may do it.
    """
    row = row_of(action, source, actors, visibility)
    for guard in row.guards:
        guard(facts)
    return row.target


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


def check_editable(user: User, owner_id: str | None, status: CaseStatus, visibility: Visibility) -> None:
    """Refuse edits of texts by who may not make them.

    A draft is edited by its owner and by editors; what is in review by editors alone, so that it stays what was
    submitted; what is published by editors, and by its owner where nobody has to look at it first: unlisted cases, and
    all of a trusted user.

    Raises
    ------
    NotAllowedError
        When the user is neither owner nor editor.
    InvalidTransitionError
        When the case is in a state in which this user does not edit it.
    """
    actors = actors_of(user, owner_id)
    if not actors & _OWNER_OR_EDITOR:
        raise NotAllowedError("claim the case before you edit it" if owner_id is None else "only the owner may edit it")
    if status == CaseStatus.WAITING:
        raise InvalidTransitionError("the case waits for a place among the drafts: finish or remove a draft first")
    if status == CaseStatus.REMOVED:
        raise InvalidTransitionError("the case was removed")
    if Actor.EDITOR in actors or status == CaseStatus.DRAFT:
        return
    if status == CaseStatus.PENDING_REVIEW:
        raise InvalidTransitionError("the case is in review: take it back to edit it")
    if visibility == Visibility.PUBLIC and not user.is_trusted:
        raise InvalidTransitionError("the case is public: make it unlisted to edit it, then submit it again")


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


def _described(source: CaseStatus | None, visibility: Visibility) -> str:
    if source is None:
        return "new"
    words = source.value.replace("_", " ")
    return f"{words} and {visibility.value}" if source is CaseStatus.PUBLISHED else words
