"""The receive path where the system gives little: descriptors, threads, buffers, pauses."""

import errno
import os
import resource
import selectors
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

from scp import connection, folders
from scp.acceptor import Acceptor
from scp.association import ReceivingAssociation
from scp.inlet import Inlet
from scp.server import Receiver
from scp.spool import Spool
from tests.scp.commitments import action_information, allow, ask, associate, decide
from tests.scp.conftest import NAME_KEY, settings, wait_for
from tests.scp.objects import CT, data_set, encoded
from tests.scp.test_acceptor import accepting
from tests.scp.wire import EXPLICIT, Peer, context_item, pdv, store_rq

CT_EXPLICIT = context_item(1, CT, EXPLICIT)


def good(instance: str) -> bytes:
    return encoded(data_set(instance=instance))


def test_an_object_is_answered_while_the_bytes_of_the_next_one_never_pause(receiver, monkeypatch):
    def read_without_pause(inlet, view):
        while (count := read_into(inlet, view)) is None:
            inlet.wait(0.05)
        return count

    read_into = Inlet.read_into
    monkeypatch.setattr(Inlet, "read_into", read_without_pause)
    with Peer(receiver.port) as peer:
        assert peer.associate(CT_EXPLICIT, window=4)[0] == 2
        peer.send(pdv(1, 3, store_rq(CT, "2.25.1", message_id=1)) + pdv(1, 2, good("2.25.1")))
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2", message_id=2)) + pdv(1, 0, good("2.25.2")))
        is_answered = threading.Event()

        def flow():
            while not is_answered.wait(0.02):
                peer.send(pdv(1, 0, bytes(1000)))

        flowing = threading.Thread(target=flow)
        flowing.start()
        try:
            response = peer.response()
        finally:
            is_answered.set()
            flowing.join()
        assert (response.message_id, response.status) == (1, 0)


def test_a_thread_that_cannot_be_started_costs_one_connection_only(spool, monkeypatch):
    def refuse(_association):
        monkeypatch.setattr(ReceivingAssociation, "start", start)
        raise RuntimeError("can't start new thread")

    start = ReceivingAssociation.start
    with Receiver(settings(max_associations=1), spool) as receiver:
        monkeypatch.setattr(ReceivingAssociation, "start", refuse)
        with Peer(receiver.port) as peer:
            assert peer.read_pdu()[0] == 0
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2
            assert peer.store(1, CT, "2.25.1", good("2.25.1")).status == 0
            assert peer.release() == 6


def test_a_report_larger_than_the_send_buffer_is_sent_whole(spool, monkeypatch):
    def set_up_small(accepted, *, timeout_s):
        connection.set_up(accepted, timeout_s=timeout_s)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    monkeypatch.setattr("scp.server.set_up", set_up_small)
    allow(spool)
    received: list = []
    with Receiver(settings(), spool) as receiver:
        association = associate(receiver.port, received)
        assert ask(association, action_information(*(f"2.25.{n}" for n in range(10_000)))) == 0
        request_id = decide(spool)
        wait_for(lambda: received or not association.is_established)
        wait_for(lambda: spool.commitments.reported() == [request_id])
        association.release()
    assert [len(one.ReferencedSOPSequence) for _, one in received] == [10_000]


def test_descriptors_beyond_1023_serve_as_well(receiver):
    with ExitStack() as stack:
        for _ in range(1100):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        with Peer(receiver.port) as peer:
            assert peer.associate(CT_EXPLICIT)[0] == 2
            assert peer.store(1, CT, "2.25.1", good("2.25.1")).status == 0
            assert peer.release() == 6


def test_the_children_may_open_as_many_files_as_the_system_allows(spool):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with accepting(spool, 1) as running:
            [child] = running.children
            assert resource.prlimit(child, resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_study_that_cannot_be_counted_refuses_the_object_and_not_the_association(tmp_path, monkeypatch):
    def fail(_folder):
        raise OSError(errno.EIO, "input/output error")

    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0, max_study_bytes=1 << 30)
    monkeypatch.setattr(folders, "_bytes_in", fail)
    with Receiver(settings(), spool) as receiver, Peer(receiver.port) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.1", good("2.25.1")).status == 0xA700
        monkeypatch.undo()
        assert peer.store(1, CT, "2.25.1", good("2.25.1")).status == 0
    assert not list((spool.root / "incoming").iterdir())


def test_a_process_that_cannot_be_made_now_is_tried_again_and_the_others_go_on(spool, monkeypatch):
    def refuse():
        raise OSError(errno.EAGAIN, "resource temporarily unavailable")

    acceptor = Acceptor(settings(), spool, processes=1)
    acceptor._selector = selectors.DefaultSelector()
    monkeypatch.setattr(os, "fork", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    acceptor._start_children()
    acceptor._start_children()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not acceptor._children
    acceptor._selector.close()


def test_a_connection_that_the_other_thread_closes_meanwhile_is_closed_all_the_same():
    class Closing:
        """Its socket is gone when it is asked for again."""

        def __init__(self, one):
            self._sockets = [one, None]

        @property
        def socket(self):
            return self._sockets.pop(0) if len(self._sockets) > 1 else self._sockets[0]

    ours, theirs = socket.socketpair()
    with ours, theirs:
        dul = SimpleNamespace(socket=Closing(ours), is_alive=lambda: False)
        ReceivingAssociation.close_transport(SimpleNamespace(dul=dul), wait_s=0.0)
        assert ours.fileno() == -1
