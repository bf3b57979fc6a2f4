"""Who may send, who did, and who was turned away: values of the peer rules and of the books of associations."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPeerRule:
    """A peer that is to be let in: the fields are checked, and the titles and ranges in their plain form."""

    calling_ae: str
    addresses: tuple[str, ...] = ()
    """Addresses and ranges in CIDR notation; none for any address."""
    certificates: tuple[str, ...] = ()
    """Client certificates, one of which the peer has to show; none where it need not."""
    max_associations: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPeer(NewPeerRule):
    """A peer rule that was added while the bridge runs."""

    id: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSuccess:
    """The last association that a peer was granted, and how much it has stored in all."""

    calling_ae: str
    peer_address: str
    last_at: datetime
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSender:
    """A peer whose associations were accepted."""

    calling_ae: str
    peer_address: str
    tls: str
    """The version of TLS, empty without."""
    certificate: str
    """The certificate that it showed, empty where none."""
    associations: int
    stored: int
    first_at: datetime
    last_at: datetime
    last_stored_at: datetime | None
    last_success_at: datetime | None
    """The last association that was released in good order, or on which something was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPeer:
    """A peer whose associations were rejected, and by which rule."""

    id: str
    """Made of the fields that tell it from others, so that it stays the same from one look to the next."""
    calling_ae: str
    called_ae: str
    peer_address: str
    certificate: str
    rule: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPeerRule:
    """A rule in force, as it is shown."""

    id: str | None
    """None for a rule of the settings file, which only the file can take back."""
    origin: str
    """``settings`` or ``allowed``."""
    calling_ae: str
    addresses: tuple[str, ...]
    certificates: tuple[str, ...]
    max_associations: int | None
    commits: bool
    """Whether storage commitment is on for this peer."""
    note: str
    created_by: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRejection:
    """A rejected peer with what to do about it."""

    peer: RejectedPeer
    explanation: str
    """Why it was rejected and what to do, in sentences."""
    is_allowed: bool
    """Whether the rules now in force let it in."""
    can_be_allowed: bool
    """Whether one call of the API lets it in: a rule for a peer is what it lacks."""
    success_of_address: PeerSuccess | None
    """The last success of this address, under whichever AE title."""
    success_of_title: PeerSuccess | None
    """The last success of this AE title, from whichever address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOverview:
    """Everything about who may send."""

    is_open: bool
    """Anybody may send: for trials only."""
    rules: tuple[ShownPeerRule, ...]
    rejected: tuple[ShownRejection, ...]
    rejected_left_out: int
    """Kinds of rejection beyond the newest ones, which are the ones shown."""
    senders: tuple[PeerSender, ...]
