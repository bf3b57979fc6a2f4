"""Who may do what, as one table: a call that has no row here is refused, and a test holds the table to the routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from api.errors import ForbiddenError
from cases.errors import CaseNotFoundError
from cases.reviews import REVIEWERS, TEACHERS
from cases.users import Role, User


class Relation(StrEnum):
    """How the caller stands to the thing that a call is about."""

    NONE = "none"
    """The call is about no single thing, or makes a new one for the caller."""
    OWN = "own"
    UNOWNED = "unowned"
    """A draft of the inbox."""
    FOREIGN = "foreign"
    PUBLIC = "public"
    """A public case of somebody else, for those who do not see all."""


EVERYONE = frozenset(Role)
WORKS = EVERYONE - {Role.READER}
SEES_ALL = frozenset({Role.EDITOR, Role.REVIEWER, Role.ADMIN, Role.PRIVACY_OFFICER})
WRITES = frozenset({Role.CONTRIBUTOR, Role.EDITOR, Role.ADMIN})
EDITS_ALL = frozenset({Role.EDITOR, Role.ADMIN})
ADMINISTERS = frozenset({Role.ADMIN})
SEES_ACCESSION = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER})
"""Who is shown the end of an accession number in a receipt: editors and contributors work without it."""
NOBODY: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: the roles that may make a call, by relation. ``is_open`` calls need no token."""

    none: frozenset[Role] = NOBODY
    own: frozenset[Role] = NOBODY
    unowned: frozenset[Role] = NOBODY
    foreign: frozenset[Role] = NOBODY
    public: frozenset[Role] = NOBODY
    is_open: bool = field(default=False)

    def allows(self, role: Role, relation: Relation) -> bool:
        """Return whether the row lets this role act in this relation."""
        return self.is_open or role in getattr(self, relation.value)

    @property
    def callers(self) -> frozenset[Role]:
        """Return the roles that may make the call at all."""
        return self.none | self.own | self.unowned | self.foreign | self.public


_OPEN = Rule(is_open=True)
_READ = Rule(own=EVERYONE, unowned=WORKS, foreign=SEES_ALL, public=EVERYONE)
_EDIT = Rule(own=WRITES, unowned=EDITS_ALL, foreign=EDITS_ALL)
_ADMINISTER = Rule(none=ADMINISTERS)
_DECIDE = Rule(none=EDITS_ALL)
"""What is done with cases that others may see."""
_REVIEW = Rule(own=REVIEWERS | {Role.CONTRIBUTOR}, unowned=REVIEWERS, foreign=REVIEWERS)
"""What held images show and what is decided on them; owners only while the case is a draft."""

RULES: Mapping[str, Rule] = {
    "get_health": _OPEN,
    "get_readiness": _OPEN,
    "get_metrics": _OPEN,
    "get_me": Rule(none=EVERYONE),
    "list_users": _ADMINISTER,
    "create_user": _ADMINISTER,
    "list_tokens": Rule(own=EVERYONE, foreign=ADMINISTERS),
    "issue_token": Rule(own=EVERYONE, foreign=ADMINISTERS),
    "revoke_token": Rule(own=EVERYONE, foreign=ADMINISTERS),
    "list_cases": Rule(none=EVERYONE),
    "get_case": _READ,
    "edit_case": _EDIT,
    "edit_study": _EDIT,
    "withdraw_case": _EDIT,
    "merge_case": _EDIT,
    "split_case": _EDIT,
    "move_images": _EDIT,
    "list_case_moves": _EDIT,
    "get_image": _READ,
    "render_image": _READ,
    "get_thumbnail": _READ,
    "list_inbox": Rule(none=WORKS),
    "claim_case": Rule(unowned=WRITES),
    "list_holds": Rule(none=WORKS),
    "get_hold": Rule(own=WORKS, unowned=SEES_ALL, foreign=SEES_ALL),
    "get_held_frame": _REVIEW,
    "decide_hold": _REVIEW,
    "undo_decision": _REVIEW,
    "list_site_layouts": Rule(none=REVIEWERS),
    "learn_site_layout": Rule(none=TEACHERS),
    "switch_site_layout": Rule(none=TEACHERS),
    "list_receipts": Rule(none=WORKS),
    "get_receipt": Rule(own=WORKS, unowned=SEES_ALL, foreign=SEES_ALL),
    "get_status": _ADMINISTER,
    "list_reruns": _DECIDE,
    "list_rerun_candidates": _ADMINISTER,
    "request_reruns": _ADMINISTER,
    "get_rerun": _DECIDE,
    "apply_rerun": _DECIDE,
    "discard_rerun": _DECIDE,
    "list_case_reruns": Rule(own=WORKS, unowned=WORKS, foreign=SEES_ALL),
    "get_peers": _ADMINISTER,
    "allow_peer": _ADMINISTER,
    "remove_peer": _ADMINISTER,
    "list_profiles": _ADMINISTER,
    "get_profile": _ADMINISTER,
    "get_profile_revision": _ADMINISTER,
    "get_profile_schema": _ADMINISTER,
    "check_profile": _ADMINISTER,
    "explain_profile": _ADMINISTER,
    "translate_profile": _ADMINISTER,
    "publish_profile": _ADMINISTER,
    "roll_back_profile": _ADMINISTER,
    "list_profile_routes": _ADMINISTER,
    "get_profile_route_history": _ADMINISTER,
    "set_profile_route": _ADMINISTER,
    "clear_profile_route": _ADMINISTER,
    "roll_back_profile_route": _ADMINISTER,
    "request_preview": _ADMINISTER,
    "preview_file": _ADMINISTER,
    "get_preview": _ADMINISTER,
    "get_previewed_instance": _ADMINISTER,
    "get_previewed_picture": _ADMINISTER,
    "request_impact": _ADMINISTER,
    "get_impact": _ADMINISTER,
}


def rule_of(operation: str) -> Rule:
    """
    Return the row of a call.

    Raises
    ------
    ForbiddenError
        When there is none: what nobody thought about is refused.
    """
    try:
        return RULES[operation]
    except KeyError:
        raise ForbiddenError("This call is open to nobody.") from None


def relation_to(caller: User, owner: str | None, *, is_public: bool = False) -> Relation:
    """Return how the caller stands to a case of this owner, given by name."""
    if owner == caller.name:
        return Relation.OWN
    if is_public and caller.role not in SEES_ALL:
        return Relation.PUBLIC
    return Relation.UNOWNED if owner is None else Relation.FOREIGN


def permit(operation: str, caller: User, relation: Relation) -> None:
    """
    Let a call through, or refuse it.

    Raises
    ------
    CaseNotFoundError
        The thing is somebody else's, and the caller may not know of it.
    ForbiddenError
        The caller may know of it, but not do this.
    """
    if rule_of(operation).allows(caller.role, relation):
        return
    if relation is Relation.FOREIGN and caller.role not in SEES_ALL:
        raise CaseNotFoundError("There is no such thing, or it is not yours.")
    if relation is Relation.UNOWNED:
        raise ForbiddenError("This draft is in the inbox: claim it first.")
    raise ForbiddenError("Your role does not include this.")
