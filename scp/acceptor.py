"""Several receiver processes behind one port: one light process accepts, its children receive.

The acceptor binds, accepts, counts, and hands each connection to the child that has fewest. It reads nothing of what a
peer sends, runs one thread alone, and forks from it; so a child that dies is replaced at once while the port stays
bound. The channel between them is a pair of sockets: its end tells a child that the acceptor is gone or wants it to
stop, and tells the acceptor that a child is gone.
"""

import gc
import json
import logging
import os
import resource
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from scp.connection import Connection, ListenerKind
from scp.peers import PeerRulesFile, Refusal
from scp.places import Place, Places
from scp.rejections import Rejections
from scp.server import (
    Associations,
    ReceiverSettings,
    note_flood,
    open_listeners,
    server_certificate,
    silence_libraries,
)
from scp.spool import Spool
from scp.tls import ServerCertificate

__all__ = ["Acceptor"]

_log = logging.getLogger("casebridge.scp")

_TICK_S = 1.0
_ACCEPT_AT_ONCE = 16
_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)
_STEADY_S = 30.0
_NUMBER = struct.Struct("!Q")
_MESSAGE_BYTES = 4096
_DESCRIPTORS = 65_536


@dataclass(slots=True, kw_only=True)
class _Child:
    """A process that receives, and the connections that it has."""

    pid: int
    channel: socket.socket
    started_at: float
    places: dict[int, Place] = field(default_factory=dict)


class Acceptor:
    """Receives objects into a spool with several processes.

    Parameters
    ----------
    settings
        How it listens.
    spool
        Where objects go; it is prepared at the start.
    processes
        How many children receive.
    inherited
        Descriptors that the children must not keep open.
    """

    def __init__(
        self, settings: ReceiverSettings, spool: Spool, *, processes: int, inherited: Sequence[int] = ()
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._wanted = processes
        self._inherited = tuple(inherited)
        rules = PeerRulesFile(spool.peer_rules_path)
        self._places = Places(settings.max_associations, per_address=settings.max_associations_per_peer, rules=rules)
        self._rejections = Rejections(spool.journal)
        self._certificate: ServerCertificate | None = None
        self._listeners: list[tuple[socket.socket, ListenerKind]] = []
        self._children: dict[int, _Child] = {}
        self._leaving: dict[int, float] = {}
        """When each process started whose channel has ended, until it is reaped."""
        self._deaths = 0
        self._due_at = 0.0
        self._next_number = 0
        self._is_stopping = False
        self._is_accepting = False

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are listened on."""
        return tuple(int(listener.getsockname()[1]) for listener, _ in self._listeners)

    def run(self, *, on_ready: Callable[[], None], life_fd: int | None = None) -> None:
        """Receive until SIGTERM, SIGINT or the end of the pipe `life_fd`; call it on the main thread, the only one.

        Parameters
        ----------
        on_ready
            Called once connections are accepted.
        life_fd
            The read end of a pipe that a supervisor holds open.

        Raises
        ------
        OSError
            If the spool cannot be used or a port cannot be bound.
        TlsFilesError
            If the certificate cannot be used.
        """
        silence_libraries()
        _allow_descriptors()
        self._certificate = server_certificate(self._settings)
        self._spool.prepare()
        self._listeners = open_listeners(self._settings)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)
        self._wake_read.setblocking(False)
        previous = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }
        wakeup = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wake)
        if life_fd is not None:
            self._selector.register(life_fd, selectors.EVENT_READ, self._supervisor_ended)
        gc.freeze()  # what the children share stays shared
        try:
            self._start_children()
            _log.info("Receiving.", extra={"ae_title": self._settings.ae_title, "ports": self.ports})
            on_ready()
            while not self._is_stopping:
                self._turn()
        finally:
            self._stop()
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
        _log.info("Stopped receiving.")

    def _turn(self) -> None:
        """Wait, then serve the ends of connections before new ones, so that a place just freed can be had."""
        events = [key for key, _ in self._selector.select(timeout=_TICK_S)]
        events.sort(key=lambda key: isinstance(key.data, tuple))
        for key in events:
            if isinstance(key.data, tuple):
                self._accept(*key.data)
            elif isinstance(key.data, _Child):
                self._read(key.data)
            else:
                key.data()
        self._reap()
        self._start_children()
        self._rejections.flush_due()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._is_stopping = True

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _supervisor_ended(self) -> None:
        self._is_stopping = True

    # ---- Connections

    def _accept(self, listener: socket.socket, kind: ListenerKind) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            if not self._children:
                return  # the last one's end was read in this turn: connections wait in the backlog for the next
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Out of descriptors, say; the connection waits in the backlog meanwhile.
                _log.warning("A connection cannot be accepted now.", extra={"errno": error.errno})
                time.sleep(0.05)
                return
            with connection:
                self._place(connection, peer, kind)

    def _place(self, connection: socket.socket, peer: tuple[Any, ...], kind: ListenerKind) -> None:
        address = str(peer[0])
        place = self._places.take(address)
        if place is None or place.refusal is not None:
            # Before a peer is turned away, what has ended meanwhile is counted.
            for child in list(self._children.values()):
                self._read(child)
            if place is not None:
                self._places.free(place)
            place = self._places.take(address)
        if place is not None and self._hand_over(connection, peer, kind, place):
            return
        if place is not None:
            self._places.free(place)
        for child in list(self._children.values()):
            self._read(child)
        if self._children:
            note_flood(self._rejections, address)
        else:
            _log.warning("A connection was closed: the process that was to take it has just ended.")

    def _hand_over(self, connection: socket.socket, peer: tuple[Any, ...], kind: ListenerKind, place: Place) -> bool:
        self._next_number += 1
        message = json.dumps(
            {"number": self._next_number, "peer": peer, "kind": kind, "refusal": place.refusal}, separators=(",", ":")
        ).encode()
        for child in sorted(self._children.values(), key=lambda child: len(child.places)):
            try:
                socket.send_fds(child.channel, [message], [connection.fileno()])
            except OSError:
                continue  # it is ending, or has not taken earlier ones yet
            child.places[self._next_number] = place
            return True
        return False

    def _read(self, child: _Child) -> None:
        """Take what a child reports: the numbers of connections that have ended, or its own end."""
        while child.pid in self._children:
            try:
                data = child.channel.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._forget(child)
                return
            (number,) = _NUMBER.unpack(data)
            place = child.places.pop(number, None)
            if place is not None:
                self._places.free(place)

    # ---- Children

    def _start_children(self) -> None:
        while (
            len(self._children) + len(self._leaving) < self._wanted
            and time.monotonic() >= self._due_at
            and not self._is_stopping
        ):
            try:
                self._fork()
            except OSError as error:
                _log.warning("A receiver process cannot be started now.", extra={"errno": error.errno})
                self._due_at = time.monotonic() + _PAUSES_S[-1]
        is_able = bool(self._children)
        if is_able != self._is_accepting:
            # Without a child, connections wait in the backlog.
            self._is_accepting = is_able
            for listener, kind in self._listeners:
                listener.setblocking(False)
                if is_able:
                    self._selector.register(listener, selectors.EVENT_READ, (listener, kind))
                else:
                    self._selector.unregister(listener)

    def _fork(self) -> None:
        if self._certificate is not None:
            self._certificate.context()  # a child begins with the last good one
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            status = 1
            try:
                ours.close()
                self._become_child()
                _serve_channel(theirs, Associations(self._settings, self._spool, self._certificate))
                status = 0
            except BaseException as error:  # noqa: BLE001 - nothing may return into the acceptor's code
                _log.error("A receiver process ended.", extra={"error": type(error).__name__})
            finally:
                logging.shutdown()
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        child = _Child(pid=pid, channel=ours, started_at=time.monotonic())
        self._children[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _become_child(self) -> None:
        """Let go of everything that is the acceptor's: a child that held its channels open would hide its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the acceptor too, which ends us in order
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
        for listener, _ in self._listeners:
            listener.close()
        for child in self._children.values():
            child.channel.close()
        for descriptor in self._inherited:
            with suppress(OSError):
                os.close(descriptor)

    def _forget(self, child: _Child) -> None:
        """Count the connections of a child that has ended no more; it is replaced once it is reaped."""
        self._selector.unregister(child.channel)
        child.channel.close()
        for place in child.places.values():
            self._places.free(place)
        child.places.clear()
        del self._children[child.pid]
        self._leaving[child.pid] = child.started_at
        if not self._is_stopping:
            _log.error("A receiver process ended; another takes its place.", extra={"pid": child.pid})

    def _reap(self) -> None:
        for pid, started_at in list(self._leaving.items()):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            del self._leaving[pid]
            self._deaths = 0 if time.monotonic() - started_at > _STEADY_S else self._deaths + 1
            self._due_at = time.monotonic() + _PAUSES_S[min(self._deaths, len(_PAUSES_S) - 1)]
            try:
                self._spool.prepare()  # ends its journals and clears what it was writing
            except OSError as error:
                _log.warning("The spool cannot be cleared now.", extra={"errno": error.errno})

    def _stop(self) -> None:
        """Close the ports, let every child end in order, and end those that do not."""
        self._is_stopping = True
        for listener, _ in self._listeners:
            listener.close()
        pids = [*self._children, *self._leaving]
        for child in self._children.values():
            child.channel.close()
        # As long as an association may take to end, twice: see Associations.stop.
        deadline = time.monotonic() + 2 * self._settings.stop_timeout_s + 1.0
        for pid in pids:
            _await(pid, deadline)
        self._children.clear()
        self._leaving.clear()
        self._rejections.flush()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


def _allow_descriptors() -> None:
    """Ask for as many open files as the system lets us have: each object that waits for its batch is one."""
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _await(pid: int, deadline: float) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
            time.sleep(0.01)


def _serve_channel(channel: socket.socket, associations: Associations) -> None:
    """Serve the connections that come over a channel until it ends or this process is asked to stop."""
    stop_read, stop_write = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop_write, b"s"))
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(stop_read, selectors.EVENT_READ)
        is_open = True
        while is_open:
            ready = [key.fileobj for key, _ in selector.select(timeout=_TICK_S)]
            if stop_read in ready:
                break
            if channel in ready:
                is_open = _take_connection(channel, associations)
            associations.tick()
    channel.close()  # the acceptor hands over no more
    associations.stop()


def _take_connection(channel: socket.socket, associations: Associations) -> bool:
    """Take one connection from the channel and serve it; return whether the channel is still open."""
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 1)
    except OSError:
        return False
    if not data:
        return False
    message = json.loads(data)
    if not descriptors:
        # The kernel drops the descriptor where this process may open no more.
        _report(channel, message["number"])
        return True
    associations.serve(
        Connection(
            socket=socket.socket(fileno=descriptors[0]),
            peer=tuple(message["peer"]),
            kind=ListenerKind(message["kind"]),
            refusal=Refusal(message["refusal"]) if message["refusal"] else None,
            ended=partial(_report, channel, message["number"]),
        )
    )
    return True


def _report(channel: socket.socket, number: int) -> None:
    with suppress(OSError):  # the acceptor is gone, and counts no more
        channel.send(_NUMBER.pack(number))
