"""The application entity: a port that associations are accepted on, started and stopped."""

import logging
import socket
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from pynetdicom import AE
from pynetdicom.transport import (
    AddressInformation,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

from scp.arrival import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, new_arrival_id
from scp.association import Admission, ReceivingAssociation
from scp.contexts import VERIFICATION
from scp.journal import AssociationFacts
from scp.peers import PeerRulesFile, Refusal
from scp.rejections import Rejections
from scp.spool import Spool

__all__ = ["Receiver", "ReceiverSettings", "silence_libraries"]

_log = logging.getLogger("casebridge.scp")

_SPARE_CONNECTIONS = 16
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
    max_pdu_bytes: int = 256 * 1024
    """The longest variable field of a PDU that a peer may send."""
    artim_timeout_s: float = 30.0
    """How long a connection may wait before it asks for an association, or after it was rejected."""
    network_timeout_s: float = 60.0
    """How long an association may be silent, and a PDU may take."""
    stop_timeout_s: float = 5.0
    """How long `Receiver.stop` waits for associations to end."""


def silence_libraries() -> None:
    """Keep pynetdicom and pydicom from logging and warning: their messages quote what was received."""
    warnings.filterwarnings("ignore", message="Invalid value for VR")
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


class _Connection(RequestHandler):  # type: ignore[misc] # pynetdicom has no types
    """Turns a connection into an association."""

    def handle(self) -> None:
        receiver: Receiver = self.server.receiver
        association = receiver.new_association(self.server, self.request, self.client_address)
        if association is None:
            self.server.shutdown_request(self.request)
            return
        association.start()


class _Server(ThreadedAssociationServer):  # type: ignore[misc] # pynetdicom has no types
    """Listens for connections."""

    request_queue_size = 128
    daemon_threads = True
    receiver: "Receiver"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # pynetdicom leaves accepted sockets without a timeout: a peer silent within a PDU would hold them for ever.
        connection.settimeout(self.receiver.settings.network_timeout_s)
        return connection, address

    def service_actions(self) -> None:
        super().service_actions()
        self.receiver.tick()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        _log.warning("A connection could not be served.")


class Receiver:
    """Receives objects into a spool, from :meth:`start` to :meth:`stop`; a context manager does both.

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
        self._rejections = Rejections(spool.journal)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._associations: set[ReceivingAssociation] = set()
        self._lock = threading.Lock()
        self._is_stopping = False
        self._ae = AE(ae_title=settings.ae_title)
        self._ae.acse_timeout = settings.artim_timeout_s
        self._ae.network_timeout = settings.network_timeout_s
        self._ae.maximum_pdu_size = settings.max_pdu_bytes
        self._ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION
        self._admission = Admission(
            spool=spool,
            peers=PeerRulesFile(spool.peer_rules_path),
            rejections=self._rejections,
            own_ae=settings.ae_title,
            max_pdu_bytes=settings.max_pdu_bytes,
            pdu_timeout_s=settings.network_timeout_s,
            places=threading.Semaphore(settings.max_associations),
            is_stopping=lambda: self._is_stopping,
        )

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises
        ------
        RuntimeError
            If the receiver is not started.
        """
        if self._server is None:
            raise RuntimeError("the receiver is not started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Prepare the spool and listen.

        Raises
        ------
        OSError
            If the spool cannot be used or the port cannot be bound.
        """
        silence_libraries()
        self.spool.prepare()
        self._is_stopping = False
        # pynetdicom wants a supported context to be named; what is accepted is decided in scp.contexts.
        self._ae.add_supported_context(VERIFICATION)
        self._server = self._ae.make_server(
            (self.settings.host or "0.0.0.0", self.settings.port),  # noqa: S104 - what an empty host says
            server_class=_Server,
            request_handler=_Connection,
        )
        self._server.receiver = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_S}, name="scp-server", daemon=True
        )
        self._thread.start()
        _log.info("Receiving.", extra={"ae_title": self.settings.ae_title, "port": self.port})

    def stop(self) -> None:
        """Stop listening, abort what is open, and close every journal."""
        server, self._server = self._server, None
        if server is None:
            return
        self._is_stopping = True
        with suppress(OSError, ValueError):  # its socket may be gone already
            server.shutdown()
        if self._thread is not None:
            self._thread.join()
        for association in self._open_associations():
            association.abort_reason = "receiver-stopped"
            if association.is_established:
                association.abort(block=False)
        for association in self._open_associations():
            association.join(timeout=self.settings.stop_timeout_s)
            if association.is_alive():
                association.close_transport(wait_s=1.0)
                association.join(timeout=self.settings.stop_timeout_s)
        self._rejections.flush()
        _log.info("Stopped receiving.")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def tick(self) -> None:
        """Do what is due from time to time; called by the server's loop."""
        self._rejections.flush_due()

    def new_association(
        self, server: _Server, connection: socket.socket, address: tuple[Any, ...]
    ) -> ReceivingAssociation | None:
        """Return the association of a connection, None where there are far too many."""
        with self._lock:
            self._associations = {one for one in self._associations if one.is_alive() or one.ident is None}
            if len(self._associations) >= self.settings.max_associations + _SPARE_CONNECTIONS:
                self._note_flood(str(address[0]))
                return None
            association = ReceivingAssociation(self._ae, self._admission, peer_address=str(address[0]))
            self._associations.add(association)
        association._server = server  # noqa: SLF001 - pynetdicom's own request handler sets it so
        association.name = "AcceptorThread@casebridge"
        association.set_socket(AssociationSocket(association, client_socket=connection))
        association.acceptor.maximum_length = self.settings.max_pdu_bytes
        association.acceptor.ae_title = self.settings.ae_title
        association.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        association.acceptor.implementation_class_uid = self._ae.implementation_class_uid
        association.acceptor.implementation_version_name = self._ae.implementation_version_name
        association.acceptor.supported_contexts = server.contexts
        association.requestor.address_info = AddressInformation.from_tuple(address)
        return association

    def _note_flood(self, peer_address: str) -> None:
        # Whose it was is not known yet: a sender that fails for this must find its address in the books.
        _log.warning("A connection was closed: far too many are open.", extra={"peer": peer_address})
        facts = AssociationFacts(
            association_id=new_arrival_id(),
            calling_ae="",
            called_ae="",
            peer_address=peer_address,
            started_at=datetime.now(UTC),
        )
        self._rejections.note(facts, Refusal.TOO_MANY_CONNECTIONS)

    def _open_associations(self) -> list[ReceivingAssociation]:
        with self._lock:
            return [one for one in self._associations if one.is_alive()]
