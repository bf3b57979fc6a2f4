"""Who may send, who did and who was turned away, on the wire: machines, never patients."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key, Line
from cases.peers import NewPeerRule, PeerOverview, ShownPeerRule, ShownRejection

Short = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Note = Annotated[Line, StringConstraints(strip_whitespace=True, max_length=200)]
AeTitle = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]


class PeerRuleOut(Answer):
    """A rule in force: who may send, from where, with which certificate."""

    id: str | None = Field(examples=[ID_EXAMPLE], description="Null for a rule of the settings file.")
    origin: Literal["settings", "allowed"] = Field(examples=["allowed"])
    calling_ae: str = Field(examples=["PACS1"])
    addresses: list[str] = Field(examples=[["192.0.2.7/32"]], description="None: from any address.")
    certificates: list[str] = Field(examples=[[]], description="None: no certificate is asked for.")
    max_associations: int | None = Field(examples=[None])
    commits: bool = Field(description="Whether storage commitment is on for this peer.")
    note: str = Field(examples=["asked for by the operator"])
    created_by: str | None = Field(examples=["admin"])
    created_at: datetime | None

    @classmethod
    def of(cls, rule: ShownPeerRule) -> Self:
        """Describe a rule."""
        return cls.model_validate(rule)


class PeerSuccessOut(Answer):
    """The last association that a peer was granted and that ended well, and how much the peer has stored in all."""

    calling_ae: str = Field(examples=["PACS1_QR"])
    peer_address: str = Field(examples=["192.0.2.7"])
    last_at: datetime
    stored: int = Field(examples=[0])


class RejectedOut(Answer):
    """A peer that was turned away: why, and what to do."""

    id: str = Field(examples=[ID_EXAMPLE], description="POST /api/v1/peers takes it as `rejected`.")
    calling_ae: str = Field(examples=["PACS1_STORE"])
    called_ae: str = Field(examples=["CASEBRIDGE"])
    peer_address: str = Field(examples=["192.0.2.7"])
    certificate: str = Field(examples=[""])
    rule: str = Field(examples=["unknown-calling-ae"])
    explanation: str = Field(examples=["No rule names this AE title."])
    count: int = Field(examples=[17])
    first_at: datetime
    last_at: datetime
    state: Literal["rejected", "allowed"] = Field(description="Allowed: the rules now in force let it in.")
    can_be_allowed: bool = Field(description="Whether a rule for exactly this peer would let it in.")
    success_of_address: PeerSuccessOut | None = Field(
        description="The last success of this address, under whichever AE title: a PACS may store from another one "
        "than it queries with."
    )
    success_of_title: PeerSuccessOut | None = Field(
        description="The last success of this AE title, from whichever address."
    )

    @classmethod
    def of(cls, shown: ShownRejection) -> Self:
        """Describe a rejected peer."""
        peer = shown.peer
        return cls(
            id=peer.id,
            calling_ae=peer.calling_ae,
            called_ae=peer.called_ae,
            peer_address=peer.peer_address,
            certificate=peer.certificate,
            rule=peer.rule,
            explanation=shown.explanation,
            count=peer.count,
            first_at=peer.first_at,
            last_at=peer.last_at,
            state="allowed" if shown.is_allowed else "rejected",
            can_be_allowed=shown.can_be_allowed,
            success_of_address=_success(shown.success_of_address),
            success_of_title=_success(shown.success_of_title),
        )


def _success(success: object) -> PeerSuccessOut | None:
    return None if success is None else PeerSuccessOut.model_validate(success)


class PeerSenderOut(Answer):
    """A peer whose associations were accepted."""

    calling_ae: str = Field(examples=["PACS1"])
    peer_address: str = Field(examples=["192.0.2.7"])
    tls: str = Field(examples=["TLSv1.3"], description="Empty without TLS.")
    certificate: str = Field(examples=[""], description="Empty without one.")
    associations: int = Field(examples=[12])
    stored: int = Field(examples=[325])
    first_at: datetime
    last_at: datetime
    last_stored_at: datetime | None


class PeersOut(Answer):
    """Who may send, who was turned away, who did send."""

    is_open: bool = Field(examples=[False], description="Anybody may send: for trials only.")
    rules: list[PeerRuleOut]
    rejected: list[RejectedOut] = Field(description="The latest first.")
    rejected_left_out: int = Field(examples=[0], description="Older kinds of rejection that are not listed.")
    senders: list[PeerSenderOut]

    @classmethod
    def of(cls, overview: PeerOverview) -> Self:
        """Describe everything about who may send."""
        return cls(
            is_open=overview.is_open,
            rules=[PeerRuleOut.of(rule) for rule in overview.rules],
            rejected=[RejectedOut.of(shown) for shown in overview.rejected],
            rejected_left_out=overview.rejected_left_out,
            senders=[PeerSenderOut.model_validate(sender) for sender in overview.senders],
        )


class NewPeer(Body):
    """A peer to let in: one that was rejected, by its id, or one by its AE title and where it sends from."""

    rejected: Key | None = Field(
        None, description="Lets in exactly this AE title from exactly this address; give only a note with it."
    )
    calling_ae: AeTitle | None = Field(
        None, examples=["PACS1"], description="An AE title; `*` for any, with addresses or certificates."
    )
    addresses: list[Short] = Field(
        default_factory=list, max_length=64, examples=[["192.0.2.7"]], description="None: from any address."
    )
    certificates: list[Short] = Field(
        default_factory=list,
        max_length=16,
        examples=[[]],
        description="`sha256:` and the fingerprint, or the name in a certificate; none: no certificate is asked for.",
    )
    max_associations: int | None = Field(None, ge=1, le=1000)
    note: Note = Field("", examples=["asked for by the operator"])

    @property
    def has_fields(self) -> bool:
        """Whether anything is given that ``rejected`` already says."""
        return bool(
            self.calling_ae is not None or self.addresses or self.certificates or self.max_associations is not None
        )

    def rule(self, calling_ae: str) -> NewPeerRule:
        """Return the rule that the fields make."""
        return NewPeerRule(
            calling_ae=calling_ae,
            addresses=tuple(self.addresses),
            certificates=tuple(self.certificates),
            max_associations=self.max_associations,
            note=self.note,
        )
