"""The application entity: associations served in this process, and a port that they are accepted on."""

import logging
import socket
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self

from pynetdicom import AE
from pynetdicom.transport import AddressInformation, AssociationSocket

from scp.arrival import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, new_arrival_id
from scp.association import Admission, ReceivingAssociation
from scp.connection import Connection, ListenerKind, open_listener, set_up
from scp.journal import AssociationFacts
from scp.peers import PeerRulesFile, Refusal
from scp.places import Places
from scp.rejections import Rejections
from scp.spool import Spool

__all__ = ["Associations", "Receiver", "ReceiverSettings", "note_flood", "silence_libraries"]

_log = logging.getLogger("casebridge.scp")

_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """How the receiver listens."""

    ae_title: str = "CASEBRIDGE"
    """The called AE title that we answer to."""
    host: str = ""
    """The address to bind; empty means every interface."""
    port: int = 11112
    """The port to bind; 0 means any that is free."""
    max_associations: int = 32
    """How many associations may be open at once."""
    max_associations_per_peer: int | None = None
    """How many of them from one address; None means a quarter, and from loopback all."""
    max_pdu_bytes: int = 256 * 1024
    """The longest variable field of a PDU that a peer may send."""
    max_operations: int = 64
    """How many requests a peer may send before it reads an answer, if it asks for that (PS3.7 §D.3.3.3)."""
    artim_timeout_s: float = 30.0
    """How long a connection may wait before it asks for an association, or after it was rejected."""
    network_timeout_s: float = 60.0
    """How long an association may be silent, and a PDU may take."""
    stop_timeout_s: float = 5.0
    """How long is waited for associations to end when the receiver stops."""


def silence_libraries() -> None:
    """Keep pynetdicom and pydicom from logging and warning: their messages quote what was received."""
    warnings.filterwarnings("ignore", message="Invalid value for VR")
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


def note_flood(rejections: Rejections, peer_address: str) -> None:
    """Record that a connection was closed unread; whose it was is not known, so its address stands in the books."""
    _log.warning("A connection was closed: far too many are open.", extra={"peer": peer_address})
    facts = AssociationFacts(
        association_id=new_arrival_id(),
        calling_ae="",
        called_ae="",
        peer_address=peer_address,
        started_at=datetime.now(UTC),
    )
    rejections.note(facts, Refusal.TOO_MANY_CONNECTIONS)


class Associations:
    """The associations that this process serves; connections are handed to it.

    Parameters
    ----------
    settings
        How the receiver listens.
    spool
        Where objects go; it is prepared.
    """

    def __init__(self, settings: ReceiverSettings, spool: Spool) -> None:
        self._settings = settings
        self._running: set[ReceivingAssociation] = set()
        self._lock = threading.Lock()
        self._is_stopping = False
        self.rejections = Rejections(spool.journal)
        self.peers = PeerRulesFile(spool.peer_rules_path)
        self._ae = AE(ae_title=settings.ae_title)
        self._ae.acse_timeout = settings.artim_timeout_s
        self._ae.network_timeout = settings.network_timeout_s
        self._ae.maximum_pdu_size = settings.max_pdu_bytes
        self._ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION
        self._admission = Admission(
            spool=spool,
            peers=self.peers,
            rejections=self.rejections,
            own_ae=settings.ae_title,
            max_pdu_bytes=settings.max_pdu_bytes,
            max_operations=settings.max_operations,
            pdu_timeout_s=settings.network_timeout_s,
            is_stopping=lambda: self._is_stopping,
        )

    def serve(self, connection: Connection) -> None:
        """Serve a connection on threads of its own; what cannot be served is closed."""
        try:
            set_up(connection.socket, timeout_s=self._settings.network_timeout_s)
            association = self._association(connection)
        except Exception as error:  # noqa: BLE001 - whatever one connection brings, the others go on
            _log.warning("A connection could not be served.", extra={"error": type(error).__name__})
            connection.socket.close()
            connection.ended()
            return
        with self._lock:
            self._running = {one for one in self._running if one.is_alive() or one.ident is None}
            self._running.add(association)
        association.start()

    def tick(self) -> None:
        """Do what is due from time to time."""
        self.rejections.flush_due()

    def stop(self) -> None:
        """Abort what is open, and close every journal."""
        self._is_stopping = True
        for association in self._open():
            association.abort_reason = "receiver-stopped"
            if association.is_established:
                association.abort(block=False)
        for association in self._open():
            association.join(timeout=self._settings.stop_timeout_s)
            if association.is_alive():
                association.close_transport(wait_s=1.0)
                association.join(timeout=self._settings.stop_timeout_s)
        self.rejections.flush()

    def _association(self, connection: Connection) -> ReceivingAssociation:
        association = ReceivingAssociation(self._ae, self._admission, connection)
        association.name = "AcceptorThread@casebridge"
        association.set_socket(AssociationSocket(association, client_socket=connection.socket))
        association.acceptor.maximum_length = self._settings.max_pdu_bytes
        association.acceptor.ae_title = self._settings.ae_title
        association.acceptor.address_info = AddressInformation.from_tuple(connection.socket.getsockname())
        association.acceptor.implementation_class_uid = self._ae.implementation_class_uid
        association.acceptor.implementation_version_name = self._ae.implementation_version_name
        association.requestor.address_info = AddressInformation.from_tuple(connection.peer)
        return association

    def _open(self) -> list[ReceivingAssociation]:
        with self._lock:
            return [one for one in self._running if one.is_alive()]


class Receiver:
    """Receives objects into a spool in this process, from :meth:`start` to :meth:`stop`; a context manager does both.

    Parameters
    ----------
    settings
        How it listens.
    spool
        Where objects go; it is prepared at the start.
    """

    def __init__(self, settings: ReceiverSettings, spool: Spool) -> None:
        self.settings = settings
        self.spool = spool
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._associations: Associations | None = None

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises
        ------
        RuntimeError
            If the receiver is not started.
        """
        if self._listener is None:
            raise RuntimeError("the receiver is not started")
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Prepare the spool and listen.

        Raises
        ------
        OSError
            If the spool cannot be used or the port cannot be bound.
        """
        silence_libraries()
        self.spool.prepare()
        self._associations = Associations(self.settings, self.spool)
        self._listener = open_listener(self.settings.host, self.settings.port)
        self._listener.settimeout(_POLL_S)
        self._thread = threading.Thread(
            target=self._listen, args=(self._listener, self._associations), name="scp-server", daemon=True
        )
        self._thread.start()
        _log.info("Receiving.", extra={"ae_title": self.settings.ae_title, "port": self.port})

    def stop(self) -> None:
        """Stop listening, abort what is open, and close every journal."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        assert self._thread is not None
        assert self._associations is not None
        self._thread.join()
        listener.close()
        self._associations.stop()
        _log.info("Stopped receiving.")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self, listener: socket.socket, associations: Associations) -> None:
        places = Places(
            self.settings.max_associations,
            per_address=self.settings.max_associations_per_peer,
            rules=associations.peers,
        )
        while self._listener is listener:
            associations.tick()
            try:
                accepted, peer = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                # Out of descriptors, say; the connection waits in the backlog meanwhile.
                _log.warning("A connection cannot be accepted now.", extra={"errno": error.errno})
                threading.Event().wait(_POLL_S)
                continue
            place = places.take(str(peer[0]))
            if place is None:
                with suppress(OSError):
                    accepted.close()
                note_flood(associations.rejections, str(peer[0]))
                continue
            associations.serve(
                Connection(
                    socket=accepted,
                    peer=peer,
                    kind=ListenerKind.PLAIN,
                    refusal=place.refusal,
                    ended=partial(places.free, place),
                )
            )
