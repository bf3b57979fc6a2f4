"""Who may send: the rules of the settings and those allowed since, who was turned away, and what the receivers read."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from pydantic import ValidationError

from bridge.rejected_peers import explanation, is_tied, no_rule_because, shown_certificate, single_address
from cases.errors import CaseError, InvalidChangeError, StoreUnavailableError
from cases.peers import (
    AllowedPeer,
    NewPeerRule,
    PeerOverview,
    PeerSender,
    PeerSuccess,
    RejectedPeer,
    ShownPeerRule,
    ShownRejection,
)
from cases.store import Database, Peers
from cases.store import PeerRules as AddedRules
from config.settings import Peer
from scp.errors import PeerRulesError
from scp.peers import (
    PeerRule,
    PeerRules,
    PeerRulesFile,
    Refusal,
    encode_peer_rules,
    judge,
    write_peer_rules,
)
from scp.spool import Spool

log = logging.getLogger("casebridge.peers")

REJECTED_SHOWN = 200
ORIGIN_SETTINGS = "settings"
ORIGIN_ALLOWED = "allowed"
OPEN_TO_ALL = "any sender is let in, whatever its AE title and address: for trials only"


class BridgePeers:
    """Shows and changes who may send; a change reaches every receiver of the spool without a restart.

    Parameters
    ----------
    database
        Where the rules that were allowed are kept.
    spool
        Where the receivers read them.
    own_ae
        The AE title that the receivers always answer to.
    """

    def __init__(self, *, database: Database, spool: Spool, own_ae: str) -> None:
        self._database = database
        self._own_ae = own_ae
        self._path = spool.allowed_peers_path
        self._rules = PeerRulesFile(spool.peer_rules_path)

    # -- showing -----------------------------------------------------------------------------------------------------

    def is_open(self) -> bool:
        """Return whether the receivers let anybody in."""
        return self._rules.of_settings().is_open

    def overview(self) -> PeerOverview:
        """Return the rules in force, who was rejected (the latest first, so many), and who sent."""
        with self._database.read() as session:
            added = AddedRules(session).in_force()
            books = Peers(session)
            rejected, kinds, senders = books.rejected(limit=REJECTED_SHOWN), books.rejected_kinds(), books.senders()
        of_settings = self._rules.of_settings()
        in_force = self._in_force(added)
        of_address = _successes(senders, lambda sender: sender.peer_address)
        of_title = _successes(senders, lambda sender: sender.calling_ae)
        return PeerOverview(
            is_open=of_settings.is_open,
            rules=(*map(_of_settings, of_settings.rules), *map(_allowed, added)),
            rejected=tuple(
                ShownRejection(
                    peer=peer,
                    explanation=explanation(peer.rule),
                    is_allowed=is_allowed,
                    can_be_allowed=not is_allowed and no_rule_because(peer, in_force) is None,
                    success_of_address=of_address.get(peer.peer_address),
                    success_of_title=of_title.get(peer.calling_ae),
                )
                for peer in rejected
                for is_allowed in (self._is_allowed(in_force, peer),)
            ),
            rejected_left_out=max(0, kinds - len(rejected)),
            senders=senders,
        )

    def _in_force(self, added: Iterable[AllowedPeer]) -> PeerRules:
        of_settings = self._rules.of_settings()
        return replace(of_settings, rules=of_settings.rules + tuple(map(_as_read, added)))

    def _is_allowed(self, rules: PeerRules, peer: RejectedPeer) -> bool:
        refusal = judge(
            rules,
            calling_ae=peer.calling_ae,
            called_ae=peer.called_ae,
            address=peer.peer_address,
            own_ae=self._own_ae,
            certificate=shown_certificate(peer),
            is_tls=bool(peer.certificate),
        )
        return refusal is None

    # -- changing ----------------------------------------------------------------------------------------------------

    def allow(self, actor: str, rule: NewPeerRule) -> ShownPeerRule:
        """Let a peer in from now on.

        Raises
        ------
        InvalidChangeError
            When the rule is none: an address that is none, or any AE title from anywhere.
        StoreUnavailableError
            When the receivers cannot be told; the rule is kept, and they are told as soon as that works.
        """
        checked = _checked(rule)
        with self._database.write() as session:
            added = AddedRules(session).allow(actor, checked)
        self._tell_receivers()
        return _allowed(added)

    def allow_rejected(self, actor: str, rejected_id: str, *, note: str = "") -> ShownPeerRule:
        """Let in exactly the AE title that was rejected, from exactly its address.

        Where its certificate was what a rule did not name, or its AE title is tied to certificates, the new rule names
        the certificate that it showed.

        Raises
        ------
        CaseNotFoundError
            When there is no such rejected peer.
        InvalidChangeError
            When no rule would help it.
        """
        with self._database.read() as session:
            peer = Peers(session).rejected_peer(rejected_id)
            in_force = self._in_force(AddedRules(session).in_force())
        fault = no_rule_because(peer, in_force)
        if fault is not None:
            raise InvalidChangeError(fault)
        is_named = peer.rule == Refusal.CERTIFICATE_NOT_OF_PEER or is_tied(in_force, peer)
        identity = shown_certificate(peer) if is_named else None
        rule = NewPeerRule(
            calling_ae=peer.calling_ae,
            addresses=(str(single_address(peer.peer_address)),),
            certificates=(identity.fingerprint,) if identity else (),
            note=note,
        )
        return self.allow(actor, rule)

    def remove(self, actor: str, rule_id: str) -> None:
        """Take back a rule that was allowed; associations that are open go on to their end.

        Raises
        ------
        CaseNotFoundError
            When there is no such rule; those of the settings file are none that can be removed here.
        StoreUnavailableError
            When the receivers cannot be told; they are as soon as that works.
        """
        with self._database.write() as session:
            AddedRules(session).remove(actor, rule_id)
        self._tell_receivers()

    # -- the file that receivers read --------------------------------------------------------------------------------

    def keep_in_step(self) -> bool:
        """Write the file of the allowed rules where it says something else than the database; return whether it did.

        Raises
        ------
        OSError
            When the file cannot be written.
        PeerRulesError
            When the database holds a rule that no receiver would understand.
        """
        with self._database.read() as session:
            if self._is_in_step(AddedRules(session).in_force()):
                return False
        with self._database.write() as session:
            rules = AddedRules(session)
            # Whoever writes does so alone and from what is the latest: two writers cannot bring back what was removed.
            rules.lock()
            write_peer_rules(self._path, _file_of(rules.in_force()))
        return True

    def _is_in_step(self, rules: tuple[AllowedPeer, ...]) -> bool:
        try:
            return self._path.read_bytes() == encode_peer_rules(_file_of(rules))
        except FileNotFoundError:
            return not rules

    def _tell_receivers(self) -> None:
        try:
            self.keep_in_step()
        except (OSError, PeerRulesError) as error:
            log.error("the file of the allowed peers cannot be written", extra={"error": type(error).__name__})  # noqa: TRY400
            raise StoreUnavailableError("the receivers cannot be told now; they are as soon as that works") from None


def warnings_of(peers: BridgePeers) -> tuple[str, ...]:
    """Return a sentence for each thing about the peers that works and should not stay so."""
    return (OPEN_TO_ALL,) if peers.is_open() else ()


def keep_peers_in_step(peers: BridgePeers) -> None:
    """Do what ``BridgePeers.keep_in_step`` does; a file that cannot be written is logged and keeps nobody from work."""
    try:
        if peers.keep_in_step():
            log.info("the file of the allowed peers was written anew from the database")
    except StoreUnavailableError:
        raise
    except (OSError, PeerRulesError, CaseError) as error:
        log.error("the file of the allowed peers cannot be written", extra={"error": type(error).__name__})  # noqa: TRY400


def _checked(rule: NewPeerRule) -> NewPeerRule:
    """Return a rule in its plain form, held to what the settings file is held to."""
    try:
        peer = Peer(
            calling_ae=rule.calling_ae,
            addresses=rule.addresses,
            certificates=rule.certificates,
            max_associations=rule.max_associations,
        )
    except ValidationError as error:
        faults = [
            f"{fault['loc'][0] if fault['loc'] else 'the rule'} {str(fault['msg']).removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise InvalidChangeError("; ".join(faults)) from None
    return replace(rule, calling_ae=peer.calling_ae, addresses=peer.addresses, certificates=peer.certificates)


def _successes(senders: Iterable[PeerSender], group: Callable[[PeerSender], str]) -> dict[str, PeerSuccess]:
    """Return the last success of each group of senders."""
    found: dict[str, PeerSuccess] = {}
    for sender in senders:
        at, known = sender.last_success_at, found.get(group(sender))
        if at is not None and (known is None or known.last_at < at):
            found[group(sender)] = PeerSuccess(
                calling_ae=sender.calling_ae, peer_address=sender.peer_address, last_at=at, stored=sender.stored
            )
    return found


def _as_read(rule: AllowedPeer) -> PeerRule:
    return PeerRule(
        calling_ae=rule.calling_ae,
        addresses=rule.addresses,
        certificates=rule.certificates,
        max_associations=rule.max_associations,
    )


def _file_of(rules: Iterable[AllowedPeer]) -> PeerRules:
    return PeerRules(rules=tuple(map(_as_read, rules)))


def _of_settings(rule: PeerRule) -> ShownPeerRule:
    return ShownPeerRule(
        id=None,
        origin=ORIGIN_SETTINGS,
        calling_ae=rule.calling_ae,
        addresses=rule.addresses,
        certificates=rule.certificates,
        max_associations=rule.max_associations,
        commits=rule.commitment is not None,
        note="",
        created_by=None,
        created_at=None,
    )


def _allowed(rule: AllowedPeer) -> ShownPeerRule:
    return ShownPeerRule(
        id=rule.id,
        origin=ORIGIN_ALLOWED,
        calling_ae=rule.calling_ae,
        addresses=rule.addresses,
        certificates=rule.certificates,
        max_associations=rule.max_associations,
        commits=False,
        note=rule.note,
        created_by=rule.created_by,
        created_at=rule.created_at,
    )
