"""What goes wrong on real networks, through the whole bridge: a clear status or a hold, and nothing good is lost."""

import os
import signal
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEG2000Lossless

from scp.send import Sent, send
from tests.builders import PATIENT_TWO, ct_instance, uid, write_part10
from tests.integration.running import RunningBridge, eventually
from tests.integration.senders import case_of, deliver, holds_of, images_of, settled, tally_of, write_files
from tests.scp.wire import EXPLICIT, Peer, context_item, pdv, store_rq

SECOND: dict[str, Any] = dict(PATIENT_TWO)
CT = "1.2.840.10008.5.1.4.1.1.2"


def data_set(number: int, study: int) -> bytes:
    """Return a CT's data set in Explicit VR Little Endian, without file meta."""
    whole = write_part10(ct_instance(study=study, number=number))
    (length,) = struct.unpack_from("<L", whole, 140)
    return whole[144 + length :]


def without(identified_uid: str, data: bytes) -> bytes:
    """Return the data set with a UID blanked, wherever it stands."""
    return data.replace(identified_uid.encode(), b"\0" * len(identified_uid))


def association(bridge: RunningBridge, calling: str) -> Peer:
    peer = Peer(bridge.dicom_port, timeout=30)
    kind, _ = peer.associate(context_item(1, CT, EXPLICIT), calling=calling.encode())
    assert kind == 2
    return peer


def good_still_works(bridge: RunningBridge, folder: Path, study: int, calling: str) -> None:
    """Send a good object afterwards: it is filed, and the association with it is not lost."""
    deliver(bridge, folder, [ct_instance(study=study)], calling=calling)
    settled(bridge, calling, 1)
    assert len(images_of(case_of(bridge, calling))) == 1


# -- refused with a status -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    [("no-study-uid", 0xC000), ("other-instance", 0xA900), ("other-class", 0xA900), ("empty", 0xC000)],
)
def test_what_cannot_be_taken_is_refused_and_its_neighbours_are_filed(
    bridge: RunningBridge, tmp_path: Path, name: str, status: int
) -> None:
    study = {"no-study-uid": 301, "other-instance": 302, "other-class": 303, "empty": 304}[name]
    calling = name.upper()
    bad = {
        "no-study-uid": (
            CT,
            uid(study, 1, 2),
            without(uid(study), data_set(2, study)),
        ),
        "other-instance": (CT, uid(study, 1, 99), data_set(2, study)),
        "other-class": ("1.2.840.10008.5.1.4.1.1.4", uid(study, 1, 2), data_set(2, study)),
        "empty": (CT, uid(study, 1, 2), b""),
    }[name]

    with association(bridge, calling) as peer:
        assert peer.store(1, CT, uid(study, 1, 1), data_set(1, study)).status == 0
        answer = peer.store(1, *bad)
        assert peer.store(1, CT, uid(study, 1, 3), data_set(3, study)).status == 0
        peer.release()

    assert answer.status == status
    assert answer.comment
    assert uid(study) not in answer.comment
    tally = settled(bridge, calling, 2)
    refused = eventually(
        lambda: tally_of(bridge, calling).get("refused"), within_s=20, what="the refusal is in the books"
    )
    assert (tally["inbox"], refused) == (2, 1)


def test_what_is_no_dicom_is_not_sent_and_costs_nothing(bridge: RunningBridge, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mixed", [b"", b"a text\n" * 100, os.urandom(5000), ct_instance(study=305)])

    summary = send([folder], host="127.0.0.1", port=bridge.dicom_port, called_ae="CASEBRIDGE", calling_ae="NODICOM")

    assert (summary.count(Sent.STORED), summary.count(Sent.SKIPPED)) == (1, 3)
    settled(bridge, "NODICOM", 1)


# -- held with a reason ----------------------------------------------------------------------------------------------


def cut_before_pixels(instance: Any) -> bytes:
    """Return the file up to the middle of the last element before its pixels."""
    whole = write_part10(instance)
    return whole[: whole.index(b"\xe0\x7f\x10\x00O") - 1]


HELD = {
    "TRUNCATED": (write_part10(ct_instance(study=311, number=2))[:-300], {"pixels-undecodable", "unreadable"}),
    "CUT-IN-HEADER": (cut_before_pixels(ct_instance(study=312, number=2)), {"unreadable"}),
    "NO-PIXELS": (write_part10(ct_instance(study=313, number=2, PixelData=None)), {"pixels-missing"}),
    "UNDECODABLE": (
        write_part10(
            ct_instance(study=314, number=2),
            transfer_syntax=JPEG2000Lossless,
            frames=[b"\xff\x4f\xff\x51" + b"\0" * 60],
        ),
        {"pixels-undecodable"},
    ),
    "SHORT-PIXELS": (
        write_part10(ct_instance(study=315, number=2, PixelData=b"\1\2" * 20)),
        {"pixels-undecodable"},
    ),
}


@pytest.mark.parametrize("name", sorted(HELD))
def test_what_cannot_be_shown_clean_is_held_alone(bridge: RunningBridge, tmp_path: Path, name: str) -> None:
    content, reasons = HELD[name]
    study = 311 + list(HELD).index(name)

    deliver(
        bridge, tmp_path / "s", [ct_instance(study=study), content, ct_instance(study=study, number=3)], calling=name
    )

    tally = settled(bridge, name, 3)
    [hold] = holds_of(bridge, name)
    assert hold["reason"] in reasons
    assert len(hold["detail"].split()) >= 3
    assert (tally["inbox"], tally["held"]) == (2, 1)
    case = case_of(bridge, name)
    assert hold["case_id"] == case["id"]
    assert [image["instance_number"] for image in images_of(case)] == [1, 3]


def test_a_study_without_patient_id_is_filed(bridge: RunningBridge, tmp_path: Path) -> None:
    study = [ct_instance(study=321, number=n, PatientID="", PatientName="") for n in (1, 2)]

    deliver(bridge, tmp_path / "s", study, calling="NOPATIENT")

    assert settled(bridge, "NOPATIENT", 2)["inbox"] == 2


def test_two_patients_in_one_study_are_held_until_a_person_decides(bridge: RunningBridge, tmp_path: Path) -> None:
    study = [ct_instance(study=322), ct_instance(study=322, number=2, **SECOND)]

    deliver(bridge, tmp_path / "s", study, calling="TWOPATIENTS")

    tally = settled(bridge, "TWOPATIENTS", 2)
    assert tally["held"] == 2
    assert {hold["reason"] for hold in holds_of(bridge, "TWOPATIENTS")} == {"two-patients"}


def test_another_patient_who_comes_later_is_held_and_the_first_stays(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(bridge, tmp_path / "one", [ct_instance(study=323)], calling="STRANGER")
    settled(bridge, "STRANGER", 1)

    deliver(bridge, tmp_path / "two", [ct_instance(study=323, number=2, **SECOND)], calling="STRANGER")

    tally = settled(bridge, "STRANGER", 2)
    assert (tally["inbox"], tally["held"]) == (1, 1)


# -- on the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "garbage"),
    [
        ("text", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
        ("noise", bytes(range(256)) * 40),
        ("long-pdu", b"\x01\0\xff\xff\xff\xff" + b"\0" * 4000),
        ("silence", b""),
    ],
)
def test_garbage_ends_its_own_connection_only(bridge: RunningBridge, tmp_path: Path, name: str, garbage: bytes) -> None:
    study = 331 + ["text", "noise", "long-pdu", "silence"].index(name)
    with Peer(bridge.dicom_port) as peer:
        peer.send(garbage)
        good_still_works(bridge, tmp_path / "good", study, f"AFTER-{name.upper()}")


def test_an_aborted_association_keeps_what_was_acknowledged(bridge: RunningBridge, tmp_path: Path) -> None:
    with association(bridge, "ABORTS") as peer:
        assert peer.store(1, CT, uid(341, 1, 1), data_set(1, 341)).status == 0
        peer.send(pdv(1, 3, store_rq(CT, uid(341, 1, 2))) + pdv(1, 0, data_set(2, 341)[:700]))
        peer.send(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))

    tally = settled(bridge, "ABORTS", 1)

    assert (tally["inbox"], tally["held"]) == (1, 0)
    eventually(
        lambda: bridge.get("/api/v1/status")["associations"].get("aborted"), within_s=20, what="the abort is booked"
    )


def test_garbage_within_an_association_costs_only_what_was_not_acknowledged(bridge: RunningBridge) -> None:
    with association(bridge, "MIDWAY") as peer:
        assert peer.store(1, CT, uid(342, 1, 1), data_set(1, 342)).status == 0
        peer.send(b"\xaa" * 5000)
        assert peer.read_pdu()[0] in {0, 7}

    assert settled(bridge, "MIDWAY", 1)["inbox"] == 1


def receivers_peak_bytes(bridge: RunningBridge) -> int:
    """Return the largest peak resident size of a process that receives."""

    def is_receiver(pid: int) -> bool:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[3:4] == [b"scp"]

    return max(peak_memory_bytes(pid) for pid in bridge.pids() if is_receiver(pid))


def peak_memory_bytes(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_two_gigabytes_of_zeros_announced_do_not_fill_the_memory(bridge: RunningBridge, tmp_path: Path) -> None:
    head = data_set(2, 343)
    pixels = head.index(b"\xe0\x7f\x10\x00OW")
    announced = head[: pixels + 8] + struct.pack("<L", 2_000_000_000)
    chunk = pdv(1, 0, bytes(16_000))
    with association(bridge, "ZEROS") as peer:
        assert peer.store(1, CT, uid(343, 1, 1), data_set(1, 343)).status == 0
        before = receivers_peak_bytes(bridge)
        peer.send(pdv(1, 3, store_rq(CT, uid(343, 1, 2))) + pdv(1, 0, announced))
        for _ in range(4000):
            peer.send(chunk)
        growth = receivers_peak_bytes(bridge) - before
        files = bridge.data_dir / "spool" / "incoming"
        assert sum(path.stat().st_size for path in files.iterdir()) > 10_000_000

    assert growth < 24_000_000
    assert settled(bridge, "ZEROS", 1)["inbox"] == 1
    eventually(lambda: not list(files.glob("*.part")), within_s=20, what="nothing of it stays")
    good_still_works(bridge, tmp_path / "good", 344, "AFTER-ZEROS")


def test_a_huge_element_in_the_header_is_answered_and_held_or_refused(bridge: RunningBridge) -> None:
    bad = data_set(2, 345)
    # Study Description claims more than the object holds.
    at = bad.index(b"\x08\x00\x30\x10LO")
    bad = bad[: at + 4] + b"UT\0\0" + struct.pack("<L", 0x7FFFFFFE) + bad[at + 8 :]
    with association(bridge, "HUGE") as peer:
        answer = peer.store(1, CT, uid(345, 1, 2), bad)
        assert peer.store(1, CT, uid(345, 1, 1), data_set(1, 345)).status == 0
        peer.release()

    if answer.status == 0:
        tally = settled(bridge, "HUGE", 2)
        assert (tally["inbox"], tally["held"]) == (1, 1)
    else:
        assert answer.status in {0xA900, 0xC000}
        assert settled(bridge, "HUGE", 1)["inbox"] == 1


def test_two_senders_with_the_same_study_at_once_give_one_draft(bridge: RunningBridge, tmp_path: Path) -> None:
    study = [ct_instance(study=351, number=n) for n in range(1, 9)]
    folders = [write_files(tmp_path / name, study) for name in ("a", "b")]
    together = threading.Barrier(2)

    def go(folder: Path) -> int:
        together.wait(timeout=30)
        calling = f"TWIN-{folder.name.upper()}"
        summary = send([folder], host="127.0.0.1", port=bridge.dicom_port, called_ae="CASEBRIDGE", calling_ae=calling)
        return summary.count(Sent.STORED)

    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(go, folders)) == [8, 8]

    tallies = [settled(bridge, f"TWIN-{name}", 8) for name in ("A", "B")]
    assert sum(tally["inbox"] for tally in tallies) == 8
    assert sum(tally["duplicate"] for tally in tallies) == 8
    cases = [case for case in bridge.all_items("/api/v1/cases") if case["sender"].startswith("TWIN-")]
    assert [case["image_count"] for case in cases] == [8]


def test_a_child_process_killed_at_its_work_fails_no_study(bridge: RunningBridge, tmp_path: Path) -> None:
    deliver(
        bridge,
        tmp_path / "s",
        [ct_instance(study=361, number=n, rows=128, columns=128) for n in range(1, 7)],
        calling="KILLED",
    )
    eventually(lambda: tally_of(bridge, "KILLED").get("in_progress"), within_s=20, what="work begins")
    for pid in bridge.pids():
        if b"bridge.pool_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break

    assert settled(bridge, "KILLED", 6)["inbox"] == 6
    assert bridge.is_ready()


def test_the_bridge_is_ready_after_all_this(bridge: RunningBridge) -> None:
    report = bridge.status()

    assert report["adds_up"]
    assert report["unrecorded"] == 0
    assert report["spool"]["unreadable_files"] == 0
    assert bridge.is_ready()
