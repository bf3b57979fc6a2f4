"""Who may do what, as one table: a call that has no row here is refused, and a test holds the table to the routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from api.errors import ForbiddenError
from cases.errors import CaseNotFoundError
from cases.reviews import REVIEWERS, TEACHERS
from cases.users import Role, Scope, User, in_order


class Relation(StrEnum):
    """How the caller stands to the thing that a call is about."""

    NONE = "none"
    """The call is about no single thing, or makes a new one for the caller."""
    OWN = "own"
    UNOWNED = "unowned"
    """A draft of the inbox."""
    FOREIGN = "foreign"
    PUBLIC = "public"
    """A public case or playlist of somebody else, for those who do not see all."""


EVERYONE = frozenset(Role)
WORKS = EVERYONE - {Role.READER}
SEES_ALL = frozenset({Role.EDITOR, Role.REVIEWER, Role.ADMIN, Role.PRIVACY_OFFICER})
WRITES = frozenset({Role.CONTRIBUTOR, Role.EDITOR, Role.ADMIN})
EDITS_ALL = frozenset({Role.EDITOR, Role.ADMIN})
ADMINISTERS = frozenset({Role.ADMIN})
SEES_ACCESSION = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER})
"""Who is shown the end of an accession number in a receipt: editors and contributors work without it."""
AUDITS = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER})
NOBODY: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: the roles that may make a call, by relation, and the scope that their token needs for it.

    ``is_open`` calls need no token; those under ``/shared`` ask for that of a link, in their address.
    """

    scope: Scope | None
    """None: any valid token will do."""
    others_scope: Scope | None = None
    """For what is not the caller's own, where that needs another scope."""
    none: frozenset[Role] = NOBODY
    own: frozenset[Role] = NOBODY
    unowned: frozenset[Role] = NOBODY
    foreign: frozenset[Role] = NOBODY
    public: frozenset[Role] = NOBODY
    is_open: bool = field(default=False)
    """Needs no token at all."""

    def allows(self, role: Role, relation: Relation) -> bool:
        """Return whether the row lets this role act in this relation."""
        return self.is_open or role in getattr(self, relation.value)

    def scope_of(self, relation: Relation) -> Scope | None:
        """Return the scope that a token needs to act in this relation."""
        is_others = relation in {Relation.UNOWNED, Relation.FOREIGN}
        return self.others_scope if is_others and self.others_scope else self.scope

    @property
    def callers(self) -> frozenset[Role]:
        """Return the roles that may make the call at all."""
        return self.none | self.own | self.unowned | self.foreign | self.public

    def scopes_for(self, role: Role) -> frozenset[Scope]:
        """Return the scopes of which one at least is needed, whatever the call is about."""
        scopes = {self.scope_of(relation) for relation in Relation if self.allows(role, relation)}
        return frozenset() if None in scopes else frozenset(scope for scope in scopes if scope)


_OPEN = Rule(scope=None, is_open=True)
_READ = Rule(scope=Scope.READ, own=EVERYONE, unowned=WORKS, foreign=SEES_ALL, public=EVERYONE)
_EDIT = Rule(scope=Scope.WRITE, others_scope=Scope.MODERATE, own=WRITES, unowned=EDITS_ALL, foreign=EDITS_ALL)
_ADMINISTER = Rule(scope=Scope.ADMINISTER, none=ADMINISTERS)
_OWN = Rule(scope=Scope.WRITE, own=WRITES)
"""What nobody does for the owner of a case."""
_DECIDE = Rule(scope=Scope.MODERATE, none=EDITS_ALL)
"""What is done with cases that others may see."""
_REVIEW = Rule(scope=Scope.MODERATE, own=REVIEWERS | {Role.CONTRIBUTOR}, unowned=REVIEWERS, foreign=REVIEWERS)
"""What held images show and what is decided on them; owners only while the case is a draft."""
_TOKENS = Rule(scope=Scope.WRITE, others_scope=Scope.ADMINISTER, own=EVERYONE, foreign=ADMINISTERS)
_OWN_ACCOUNT = Rule(scope=Scope.WRITE, none=EVERYONE)
_OWN_PLAYLIST = Rule(scope=Scope.WRITE, own=WRITES)

RULES: Mapping[str, Rule] = {
    "get_health": _OPEN,
    "get_readiness": _OPEN,
    "get_metrics": _OPEN,
    "create_session": _OPEN,
    "end_session": Rule(scope=None, none=EVERYONE),
    "get_me": Rule(scope=Scope.READ, none=EVERYONE),
    "set_own_password": _OWN_ACCOUNT,
    "set_user_password": _ADMINISTER,
    "list_users": _ADMINISTER,
    "create_user": _ADMINISTER,
    "get_user": _ADMINISTER,
    "edit_user": _ADMINISTER,
    "list_tokens": Rule(scope=Scope.READ, others_scope=Scope.ADMINISTER, own=EVERYONE, foreign=ADMINISTERS),
    "issue_token": _TOKENS,
    "revoke_token": _TOKENS,
    "list_cases": Rule(scope=Scope.READ, none=EVERYONE),
    "get_case": _READ,
    "edit_case": _EDIT,
    "edit_study": _EDIT,
    "edit_series": _EDIT,
    "withdraw_case": _EDIT,
    "submit_case": _OWN,
    "take_back_case": _OWN,
    "set_case_visibility": _OWN,
    "accept_case": Rule(scope=Scope.MODERATE, foreign=EDITS_ALL),
    "push_back_case": Rule(scope=Scope.MODERATE, own=EDITS_ALL, foreign=EDITS_ALL),
    "keep_consent_document": _OWN,
    "read_consent_document": Rule(
        scope=Scope.ADMINISTER,
        own=frozenset({Role.PRIVACY_OFFICER}),
        unowned=frozenset({Role.PRIVACY_OFFICER}),
        foreign=frozenset({Role.PRIVACY_OFFICER}),
    ),
    "delete_consent_document": Rule(
        scope=Scope.WRITE,
        others_scope=Scope.MODERATE,
        own=WRITES | {Role.PRIVACY_OFFICER},
        unowned=frozenset({Role.PRIVACY_OFFICER}),
        foreign=frozenset({Role.PRIVACY_OFFICER}),
    ),
    "get_case_history": Rule(scope=Scope.READ, own=EVERYONE, unowned=SEES_ALL, foreign=SEES_ALL),
    "get_case_readiness": Rule(scope=Scope.READ, own=EVERYONE, unowned=WORKS, foreign=SEES_ALL),
    "list_pending_cases": Rule(scope=Scope.MODERATE, none=EDITS_ALL),
    "get_vocabularies": Rule(scope=Scope.READ, none=EVERYONE),
    "merge_case": _EDIT,
    "split_case": _EDIT,
    "move_images": _EDIT,
    "list_case_moves": _EDIT,
    "get_image": _READ,
    "render_image": _READ,
    "get_thumbnail": _READ,
    "download_case": Rule(
        scope=Scope.READ, others_scope=Scope.MODERATE, own=WRITES, unowned=EDITS_ALL, foreign=EDITS_ALL
    ),
    "list_playlists": Rule(scope=Scope.READ, none=EVERYONE),
    "create_playlist": Rule(scope=Scope.WRITE, none=WRITES),
    "get_playlist": Rule(scope=Scope.READ, own=EVERYONE, foreign=EVERYONE, public=EVERYONE),
    "edit_playlist": _OWN_PLAYLIST,
    "set_playlist_entries": _OWN_PLAYLIST,
    "delete_playlist": Rule(scope=Scope.WRITE, others_scope=Scope.MODERATE, own=WRITES, foreign=EDITS_ALL),
    "list_featured": Rule(scope=Scope.READ, none=EVERYONE),
    "feature_case": _DECIDE,
    "stop_featuring_case": _DECIDE,
    "pick_case_of_month": _DECIDE,
    "clear_case_of_month": _DECIDE,
    "list_shares": Rule(scope=Scope.READ, own=EVERYONE, unowned=SEES_ALL, foreign=SEES_ALL),
    "create_share": Rule(scope=Scope.WRITE, own=WRITES),
    "revoke_share": Rule(
        scope=Scope.WRITE, others_scope=Scope.MODERATE, own=EVERYONE, foreign=EDITS_ALL | {Role.PRIVACY_OFFICER}
    ),
    "get_shared_case": _OPEN,
    "get_shared_image": _OPEN,
    "render_shared_image": _OPEN,
    "get_shared_thumbnail": _OPEN,
    "list_inbox": Rule(scope=Scope.READ, none=WORKS),
    "claim_case": Rule(scope=Scope.WRITE, unowned=WRITES),
    "list_holds": Rule(scope=Scope.MODERATE, none=WORKS),
    "get_hold": Rule(scope=Scope.MODERATE, own=WORKS, unowned=SEES_ALL, foreign=SEES_ALL),
    "get_held_frame": _REVIEW,
    "decide_hold": _REVIEW,
    "undo_decision": _REVIEW,
    "list_site_layouts": Rule(scope=Scope.MODERATE, none=REVIEWERS),
    "learn_site_layout": Rule(scope=Scope.MODERATE, none=TEACHERS),
    "switch_site_layout": Rule(scope=Scope.MODERATE, none=TEACHERS),
    "list_receipts": Rule(scope=Scope.READ, none=WORKS),
    "get_receipt": Rule(scope=Scope.READ, own=WORKS, unowned=SEES_ALL, foreign=SEES_ALL),
    "get_status": _ADMINISTER,
    "list_audit_entries": Rule(scope=Scope.ADMINISTER, none=AUDITS),
    "list_reruns": _DECIDE,
    "list_rerun_candidates": _ADMINISTER,
    "request_reruns": _ADMINISTER,
    "get_rerun": _DECIDE,
    "apply_rerun": _DECIDE,
    "discard_rerun": _DECIDE,
    "list_case_reruns": Rule(scope=Scope.READ, own=WORKS, unowned=WORKS, foreign=SEES_ALL),
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


def scopes_of(role: Role) -> frozenset[Scope]:
    """Return all the scopes that a token of this role can make use of."""
    return frozenset().union(*(rule.scopes_for(role) for rule in RULES.values()))


def require(caller: User, scopes: frozenset[Scope]) -> None:
    """
    Refuse a call whose token lacks one of these scopes.

    Raises
    ------
    ForbiddenError
        It names what is missing.
    """
    if missing := scopes - caller.scopes:
        raise ForbiddenError(f"This token lacks the scope {named(missing)}: use one that has it.")


def named(scopes: frozenset[Scope]) -> str:
    """Return scopes for a sentence."""
    return ", ".join(scope.value for scope in in_order(scopes))


def permit(operation: str, caller: User, relation: Relation) -> None:
    """
    Let a call through, or refuse it.

    Raises
    ------
    CaseNotFoundError
        The thing is somebody else's, and the caller may not know of it.
    ForbiddenError
        The caller may know of it, but not do this, or not with this token.
    """
    rule = rule_of(operation)
    if rule.allows(caller.role, relation):
        scope = rule.scope_of(relation)
        require(caller, frozenset({scope} if scope else ()))
        return
    if relation is Relation.FOREIGN and caller.role not in SEES_ALL:
        raise CaseNotFoundError("There is no such thing, or it is not yours.")
    if relation is Relation.UNOWNED:
        raise ForbiddenError("This draft is in the inbox: claim it first.")
    raise ForbiddenError("Your role does not include this.")
