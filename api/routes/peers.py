"""Who may send: to be seen and decided without editing a file."""

from fastapi import APIRouter, Response

from api.context import Call
from api.errors import InvalidRequestError
from api.openapi import problems
from api.schemas.common import Key
from api.schemas.peers import NewPeer, PeerRuleOut, PeersOut

router = APIRouter(prefix="/api/v1/peers", tags=["peers"])


@router.get("", responses=problems(403))
def get_peers(call: Call) -> PeersOut:
    """Show the rules in force, who was turned away and why, and who sent."""
    return PeersOut.of(call.context.peers.overview())


@router.post("", status_code=201, responses=problems(403, 404, 413))
def allow_peer(call: Call, *, body: NewPeer) -> PeerRuleOut:
    """Let a peer in, from its next association on; a rule that is in force already is answered as it is."""
    peers, actor = call.context.peers, call.caller.name
    if body.rejected is not None and not body.has_fields:
        return PeerRuleOut.of(peers.allow_rejected(actor, body.rejected, note=body.note))
    if body.calling_ae is None or body.rejected is not None:
        raise InvalidRequestError("Give either rejected (with a note, if you like), or calling_ae with the rest.")
    return PeerRuleOut.of(peers.allow(actor, body.rule(body.calling_ae)))


@router.delete("/{peer_id}", status_code=204, responses=problems(403, 404))
def remove_peer(call: Call, *, peer_id: Key) -> Response:
    """Take back a rule that was allowed here; those of the settings file are changed in the file."""
    call.context.peers.remove(call.caller.name, peer_id)
    return Response(status_code=204)
