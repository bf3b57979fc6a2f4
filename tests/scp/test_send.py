import socket
import warnings

import pytest
from pydicom.dataset import FileMetaDataset
from pynetdicom import build_context
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.sop_class import Verification

from scp.requestor import exchange, new_entity
from scp.send import Sent, echo, send
from scp.server import Receiver
from scp.spool import Spool
from tests.corpus import ROOT, require_corpus
from tests.scp.conftest import settings, wait_for
from tests.scp.objects import data_set
from tests.scp.test_spool import WatchedDisk

EXPLICIT = "1.2.840.10008.1.2.1"


def write(path, *, sop_class="1.2.840.10008.5.1.4.1.1.2", instance="2.25.2001", meta_instance=None, **kwargs):
    data = data_set(sop_class=sop_class, instance=instance, **kwargs)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = meta_instance or instance
    data.file_meta.TransferSyntaxUID = EXPLICIT
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def deliver(receiver, *paths, **kwargs):
    return send(paths, host="127.0.0.1", port=receiver.port, called_ae="CASEBRIDGE", **kwargs)


def test_echo_tells_whether_a_destination_answers(receiver):
    assert echo("127.0.0.1", receiver.port, "CASEBRIDGE")
    assert not echo("127.0.0.1", receiver.port, "WRONG")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not echo("127.0.0.1", unused.getsockname()[1], "CASEBRIDGE")


def test_folders_are_walked_and_every_file_is_counted_with_its_reason(receiver, spool, tmp_path):
    folder = tmp_path / "in"
    write(folder / "a" / "one.dcm")
    write(folder / "b" / "two.dcm", instance="2.25.2002")
    write(folder / "stale.dcm", instance="2.25.2003", meta_instance="2.25.9")
    write(folder / "no_study.dcm", instance="2.25.2004", study=None)
    write(folder / "DICOMDIR", sop_class="1.2.840.10008.1.3.10")
    (folder / "notes.txt").write_text("nothing")
    progress = []

    summary = deliver(receiver, folder, on_progress=lambda *step: progress.append(step[:2]))

    assert {outcome: summary.count(outcome) for outcome in Sent} == {
        Sent.STORED: 3, Sent.REFUSED: 1, Sent.SKIPPED: 2, Sent.FAILED: 0,
    }  # fmt: skip
    assert len(spool.scan()[0]) == 3
    assert progress == [(number, 6) for number in range(1, 7)]
    assert not summary.is_complete
    assert any("Study Instance UID" in reason for reason in summary.reasons)
    assert "one.dcm" not in repr(summary)


def test_more_than_128_contexts_take_another_association(receiver, spool, tmp_path):
    for number in range(130):
        write(tmp_path / f"{number}.dcm", sop_class=f"1.3.9999.{number}", instance=f"2.25.{number + 1}")

    summary = deliver(receiver, tmp_path)

    assert (summary.count(Sent.STORED), summary.associations) == (130, 2)
    assert summary.is_complete


def test_a_rejection_is_told_once_and_every_file_is_accounted_for(receiver, tmp_path):
    write(tmp_path / "one.dcm")

    summary = send([tmp_path], host="127.0.0.1", port=receiver.port, called_ae="WRONG")

    assert "1/1/7" in summary.rejection
    assert summary.count(Sent.FAILED) == 1
    assert not summary.is_complete


def test_a_refused_object_does_not_stop_the_next(tmp_path):
    disk = WatchedDisk()
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=1, disk=disk)
    write(tmp_path / "in" / "1.dcm")
    write(tmp_path / "in" / "2.dcm", instance="2.25.2002")
    with Receiver(settings(), spool) as receiver:

        def free_the_disk(*_):
            disk.free = None

        # Room enough for an association, not for an object.
        disk.free = 1 << 20
        summary = deliver(receiver, tmp_path / "in", on_progress=free_the_disk)

    assert [one.status for one in summary.files] == [0xA700, 0]


@pytest.mark.slow
def test_the_corpus_is_sent_with_every_file_accounted_for(receiver, spool):
    require_corpus()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = deliver(receiver, ROOT)

    assert len(summary.files) == sum(1 for path in ROOT.rglob("*") if path.is_file())
    assert summary.count(Sent.FAILED) == 0
    assert summary.count(Sent.STORED) == len(spool.scan()[0]) > 340
    wait_for(spool.journals)
    record = spool.read_journal(spool.journals()[0])
    assert sum(one.count for one in record.refused) == summary.count(Sent.REFUSED)


def test_a_response_that_the_associations_own_thread_has_taken_still_arrives(receiver, monkeypatch):
    entity = new_entity("SENDER", timeout_s=10)
    association = entity.associate("127.0.0.1", receiver.port, [build_context(Verification)], ae_title="CASEBRIDGE")
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, Verification
    real = association.dimse.send_msg

    def send_and_lose_the_race(message, context_id):
        real(message, context_id)
        context_id, response = association.dimse.get_msg(block=True)
        association._serve_request(response, context_id)

    monkeypatch.setattr(association.dimse, "send_msg", send_and_lose_the_race)
    try:
        assert exchange(association, request, 1, timeout_s=10).Status == 0
    finally:
        association.release()
