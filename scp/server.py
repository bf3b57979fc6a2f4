"""The application entity: associations served in this process, and a port that they are accepted on."""

import logging
import select
import socket
import ssl
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
from scp.tls import ServerCertificate, TlsSettings, send_close_notify

__all__ = [
    "Associations",
    "Receiver",
    "ReceiverSettings",
    "note_flood",
    "open_listeners",
    "server_certificate",
    "silence_libraries",
]

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
    is_plain: bool = True
    """Whether that port is listened on."""
    tls: TlsSettings | None = None
    """The port for TLS, and what is shown and asked for there."""
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


class _Transport(AssociationSocket):  # type: ignore[misc] # pynetdicom has no types
    """A connection whose end the peer is told of where it is encrypted, and which is closed whatever its state."""

    @property
    def ready(self) -> bool:
        """Whether there is something to read; with descriptors of any number, which `select` does not take."""
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
        except ValueError:  # closed meanwhile
            self.event_queue.put("Evt17")
            return False
        return bool(poll.poll(0))

    def _shutdown_socket(self) -> None:
        connection = self.socket
        if connection is None:
            return
        send_close_notify(connection)
        with suppress(OSError):  # the peer may be gone already
            connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            connection.close()


def open_listeners(settings: ReceiverSettings) -> list[tuple[socket.socket, ListenerKind]]:
    """Return a listening socket for each port, the plain one first.

    Raises
    ------
    OSError
        If a port cannot be bound.
    """
    listeners: list[tuple[socket.socket, ListenerKind]] = []
    try:
        if settings.is_plain:
            listeners.append((open_listener(settings.host, settings.port), ListenerKind.PLAIN))
        if settings.tls is not None:
            listeners.append((open_listener(settings.host, settings.tls.port), ListenerKind.TLS))
    except OSError:
        for listener, _ in listeners:
            listener.close()
        raise
    return listeners


def server_certificate(settings: ReceiverSettings) -> ServerCertificate | None:
    """Return what encrypted connections are begun with, None where there are none.

    Raises
    ------
    TlsFilesError
        If the files cannot be used.
    """
    return ServerCertificate(settings.tls) if settings.tls is not None else None


class Associations:
    """The associations that this process serves; connections are handed to it.

    Parameters
    ----------
    settings
        How the receiver listens.
    spool
        Where objects go; it is prepared.
    certificate
        What encrypted connections are begun with, None where there are none.
    """

    def __init__(self, settings: ReceiverSettings, spool: Spool, certificate: ServerCertificate | None = None) -> None:
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
            certificate=certificate,
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
        try:
            association.start()
        except RuntimeError as error:
            # No thread can be had now; those who are served already must not pay for it.
            _log.warning("A connection could not be served.", extra={"error": type(error).__name__})
            with self._lock:
                self._running.discard(association)
            connection.socket.close()
            connection.ended()

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
        association.set_socket(_Transport(association, client_socket=connection.socket))
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
        self._listeners: list[tuple[socket.socket, ListenerKind]] = []
        self._threads: list[threading.Thread] = []
        self._associations: Associations | None = None

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises
        ------
        RuntimeError
            If the receiver is not started.
        """
        return self._port(ListenerKind.PLAIN)

    @property
    def tls_port(self) -> int:
        """The port that is listened on for TLS.

        Raises
        ------
        RuntimeError
            If the receiver is not started.
        """
        return self._port(ListenerKind.TLS)

    def _port(self, kind: ListenerKind) -> int:
        for listener, its_kind in self._listeners:
            if its_kind is kind:
                return int(listener.getsockname()[1])
        raise RuntimeError("the receiver is not started")

    def start(self) -> None:
        """Prepare the spool and listen.

        Raises
        ------
        OSError
            If the spool cannot be used or a port cannot be bound.
        TlsFilesError
            If the certificate cannot be used.
        """
        silence_libraries()
        certificate = server_certificate(self.settings)
        self.spool.prepare()
        associations = self._associations = Associations(self.settings, self.spool, certificate)
        places = Places(
            self.settings.max_associations,
            per_address=self.settings.max_associations_per_peer,
            rules=associations.peers,
        )
        self._listeners = open_listeners(self.settings)
        for listener, kind in self._listeners:
            listener.settimeout(_POLL_S)
            thread = threading.Thread(
                target=self._listen, args=(listener, kind, associations, places), name=f"scp-server-{kind}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        ports = [listener.getsockname()[1] for listener, _ in self._listeners]
        _log.info("Receiving.", extra={"ae_title": self.settings.ae_title, "ports": ports})

    def stop(self) -> None:
        """Stop listening, abort what is open, and close every journal."""
        listeners, self._listeners = self._listeners, []
        if not listeners:
            return
        assert self._associations is not None
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for listener, _ in listeners:
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

    def _listen(self, listener: socket.socket, kind: ListenerKind, associations: Associations, places: Places) -> None:
        while (listener, kind) in self._listeners:
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
                    kind=kind,
                    refusal=place.refusal,
                    ended=partial(places.free, place),
                )
            )
